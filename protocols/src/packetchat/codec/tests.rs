use proptest::prelude::*;

use super::*;
use Numbering::{Client, Document};

const NUMBERINGS: [Numbering; 2] = [Document, Client];

// Numbers as a server draws them: the first digit says of what.
const SESSION: u64 = 0x1111_1111_1111_1111;
const USER: u64 = 0x2222_2222_2222_2222;
const FILE: u64 = 0x3333_3333_3333_3333;
const DOWNLOAD: u64 = 0x4444_4444_4444_4444;
const UPLOAD: u64 = 0x5555_5555_5555_5555;
const MESSAGE: u64 = 0x6666_6666_6666_6666;
/// The sender's own number of a message.
const OWN: u64 = 0xf00d;

/// The bytes that `hex` spells, spaces left out.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    assert_eq!(digits.len() % 2, 0, "{hex}");
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap())
        .collect()
}

fn golden_requests() -> Vec<(Request<'static>, &'static str)> {
    let mut golden = vec![
        (Request::Session { name: b"anna" }, "0001 0004 616e6e61"),
        (
            Request::Preserve { session: SESSION },
            "0004 1111111111111111",
        ),
        (Request::Users { session: SESSION }, "0005 1111111111111111"),
        (
            Request::UserData {
                session: SESSION,
                user: USER,
            },
            "0007 1111111111111111 2222222222222222",
        ),
        (
            Request::Message {
                session: SESSION,
                to: USER,
                message: OWN,
                text: b"hi",
            },
            "0009 1111111111111111 2222222222222222 000000000000f00d 0002 6869",
        ),
        (
            Request::Broadcast {
                session: SESSION,
                message: OWN,
                text: b"",
            },
            "000b 1111111111111111 000000000000f00d 0000",
        ),
        (
            Request::Received { message: MESSAGE },
            "000e 6666666666666666",
        ),
    ];
    for (numbering, wire) in [
        (
            Document,
            [
                "0013 1111111111111111",
                "0015 1111111111111111 3333333333333333",
                "000f 1111111111111111 3333333333333333",
                "0011 4444444444444444 00000102",
                "000f 1111111111111111 01020304 0006 612e7478 7400",
                "0011 5555555555555555 00000102 0005 0001027fff",
            ],
        ),
        (
            Client,
            [
                "000f 1111111111111111",
                "0011 1111111111111111 3333333333333333",
                "0013 1111111111111111 3333333333333333",
                "0015 4444444444444444 00000102",
                "0017 1111111111111111 01020304 0006 612e7478 7400",
                "0019 5555555555555555 00000102 0005 0001027fff",
            ],
        ),
    ] {
        let packets = [
            Request::Files {
                session: SESSION,
                numbering,
            },
            Request::FileData {
                session: SESSION,
                file: FILE,
                numbering,
            },
            Request::Download {
                session: SESSION,
                file: FILE,
                numbering,
            },
            Request::DownloadChunk {
                transaction: DOWNLOAD,
                chunk: 0x102,
                numbering,
            },
            Request::Upload {
                session: SESSION,
                size: 0x0102_0304,
                name: b"a.txt\0",
                numbering,
            },
            Request::UploadChunk {
                transaction: UPLOAD,
                chunk: 0x102,
                bytes: &[0, 1, 2, 127, 255],
                numbering,
            },
        ];
        golden.extend(packets.into_iter().zip(wire));
    }
    golden
}

fn golden_responses() -> Vec<(Response<'static>, Numbering, &'static str)> {
    let mut golden = Vec::new();
    for (numbering, wire) in [
        (
            Document,
            [
                "0014 0002 3333333333333333 3333333333333334",
                "0016 3333333333333333 01020304 0002 c3a9",
                "0010 3333333333333333 4444444444444444",
                "0012 4444444444444444 00000102 0003 000aff",
                "0010 3333333333333333 5555555555555555",
                "0012 5555555555555555 00000102",
            ],
        ),
        (
            Client,
            [
                "0010 0002 3333333333333333 3333333333333334",
                "0012 3333333333333333 01020304 0002 c3a9",
                "0014 3333333333333333 4444444444444444",
                "0016 4444444444444444 00000102 0003 000aff",
                "0018 3333333333333333 5555555555555555",
                "001a 5555555555555555 00000102",
            ],
        ),
    ] {
        let about_files = [
            Response::Files(vec![FILE, FILE + 1]),
            Response::FileData {
                file: FILE,
                size: 0x0102_0304,
                name: "é".as_bytes(),
            },
            Response::Download {
                file: FILE,
                transaction: DOWNLOAD,
            },
            Response::DownloadChunk {
                transaction: DOWNLOAD,
                chunk: 0x102,
                bytes: b"\x00\n\xff",
            },
            Response::Upload {
                file: FILE,
                transaction: UPLOAD,
            },
            Response::UploadChunk {
                transaction: UPLOAD,
                chunk: 0x102,
            },
        ];
        let others = [
            (
                Response::Cookie {
                    user: USER,
                    session: SESSION,
                },
                "0002 2222222222222222 1111111111111111",
            ),
            (Response::Users(vec![USER]), "0006 0001 2222222222222222"),
            (
                Response::UserData {
                    user: USER,
                    name: b"anna",
                },
                "0008 2222222222222222 0004 616e6e61",
            ),
            (Response::Message { message: OWN }, "000a 000000000000f00d"),
            (
                Response::Broadcast { message: OWN },
                "000c 000000000000f00d",
            ),
            (
                Response::Incoming {
                    sender: USER,
                    message: MESSAGE,
                    text: b"hi",
                },
                "000d 2222222222222222 6666666666666666 0002 6869",
            ),
        ];
        let about_files = about_files.into_iter().zip(wire);
        let all = others.into_iter().chain(about_files);
        golden.extend(all.map(|(response, wire)| (response, numbering, wire)));
    }
    golden
}

#[test]
fn request_bytes_are_golden() {
    for (request, wire) in golden_requests() {
        assert_eq!(request.packet(), bytes(wire), "{request:?}");
        assert_eq!(decode_request(&bytes(wire)), Ok(request), "{wire}");
    }
}

#[test]
fn response_bytes_are_golden() {
    for (response, numbering, wire) in golden_responses() {
        assert_eq!(response.packet(numbering), bytes(wire), "{response:?}");
        let packet = bytes(wire);
        let decoded = decode_response(&packet, numbering);
        assert_eq!(decoded, Ok(response), "{wire}");
    }
}

#[test]
fn an_encoded_response_is_appended() {
    let mut out = b"before".to_vec();
    Response::Message { message: OWN }.encode(Client, &mut out);
    assert_eq!(out, b"before\x00\x0a\0\0\0\0\0\0\xf0\x0d");
}

/// Beginnings of requests that are requests themselves: (a packet, its beginning's length, what that
/// is). They all are of types that mean several things, and told apart by length: 10 bytes are the files
/// request, 14 the download chunk request, and 18 of type 15 the download request.
fn whole_beginnings() -> Vec<(Request<'static>, usize, Request<'static>)> {
    let mut whole = Vec::new();
    for (request, _) in golden_requests() {
        match request {
            Request::Download {
                session, numbering, ..
            } => {
                let numbering = match numbering {
                    Document => Client,
                    Client => Document,
                };
                whole.push((request, 10, Request::Files { session, numbering }));
            }
            Request::Upload {
                session,
                numbering: Document,
                ..
            } => {
                let files = Request::Files {
                    session,
                    numbering: Client,
                };
                whole.push((request, 10, files));
                // Its size, the length of its name and two bytes of that. No such file is ever drawn: its
                // number begins with a size.
                let download = Request::Download {
                    session,
                    file: 0x0102_0304_0006_612e,
                    numbering: Document,
                };
                whole.push((request, 18, download));
            }
            // The chunk is the first half of the file's number, and the transaction is a session: nobody's
            // download.
            Request::FileData {
                session, numbering, ..
            } => {
                let chunk = Request::DownloadChunk {
                    transaction: session,
                    chunk: 0x3333_3333,
                    numbering: match numbering {
                        Document => Client,
                        Client => Document,
                    },
                };
                whole.push((request, 14, chunk));
            }
            // The transaction is an upload's: again nobody's download.
            Request::UploadChunk {
                transaction,
                chunk,
                numbering: Document,
                ..
            } => {
                let chunk = Request::DownloadChunk {
                    transaction,
                    chunk,
                    numbering: Document,
                };
                whole.push((request, 14, chunk));
            }
            _ => {}
        }
    }
    whole
}

#[test]
fn cut_requests_are_refused_or_other_requests() {
    let whole = whole_beginnings();
    let mut found = 0;
    for (request, wire) in golden_requests() {
        let packet = bytes(wire);
        for cut in 0..packet.len() {
            let other = whole
                .iter()
                .find(|(of, length, _)| (*of, *length) == (request, cut));
            match (decode_request(&packet[..cut]), other) {
                (Ok(decoded), Some((_, _, other))) => {
                    assert_eq!(decoded, *other);
                    found += 1;
                }
                (Err(_), None) => {}
                (decoded, _) => panic!("{request:?} cut to {cut}: {decoded:?}"),
            }
        }
    }
    assert_eq!(found, whole.len());
}

#[test]
fn longer_requests_are_refused() {
    for (request, wire) in golden_requests() {
        for more in 0..=u8::MAX {
            let packet = [bytes(wire), vec![more]].concat();
            let decoded = decode_request(&packet);
            assert!(decoded.is_err(), "{request:?} and {more}: {decoded:?}");
        }
    }
}

#[test]
fn only_two_document_requests_can_be_longer_and_others() {
    // An upload of a name of one byte, whose length does not count the second: a download, of a file whose
    // number begins with the size.
    let mut packet = Request::Upload {
        session: SESSION,
        size: 9,
        name: b"a",
        numbering: Document,
    }
    .packet();
    packet.push(b'b');
    let download = Request::Download {
        session: SESSION,
        file: 0x0000_0009_0001_6162,
        numbering: Document,
    };
    assert_eq!(decode_request(&packet), Ok(download));
    // A download of a file in whose number stands the length of what then follows: an upload.
    let mut packet = Request::Download {
        session: SESSION,
        file: 0x3000_0001_0003_6162,
        numbering: Document,
    }
    .packet();
    packet.push(b'c');
    let upload = Request::Upload {
        session: SESSION,
        size: 0x3000_0001,
        name: b"abc",
        numbering: Document,
    };
    assert_eq!(decode_request(&packet), Ok(upload));
    // With a file data request of the clients' it is an upload chunk of a session: nobody's upload.
    let mut packet = Request::FileData {
        session: SESSION,
        file: 0x3000_0001_0003_6162,
        numbering: Client,
    }
    .packet();
    packet.push(b'c');
    let chunk = Request::UploadChunk {
        transaction: SESSION,
        chunk: 0x3000_0001,
        bytes: b"abc",
        numbering: Document,
    };
    assert_eq!(decode_request(&packet), Ok(chunk));
}

#[test]
fn cut_and_longer_responses_are_refused() {
    let mut found = 0;
    for (response, numbering, wire) in golden_responses() {
        let packet = bytes(wire);
        for cut in 0..packet.len() {
            let decoded = decode_response(&packet[..cut], numbering);
            // In the document's numbering a download's chunk without its bytes acknowledges one of an
            // upload, but of no upload that there is.
            let chunk_alone = matches!(response, Response::DownloadChunk { .. })
                && (numbering, cut) == (Document, 14);
            if chunk_alone {
                let acknowledged = Response::UploadChunk {
                    transaction: DOWNLOAD,
                    chunk: 0x102,
                };
                assert_eq!(decoded, Ok(acknowledged));
                found += 1;
            } else {
                assert!(decoded.is_err(), "{response:?} cut to {cut}: {decoded:?}");
            }
        }
        for more in 0..=u8::MAX {
            let packet = [&packet[..], &[more]].concat();
            let decoded = decode_response(&packet, numbering);
            assert!(decoded.is_err(), "{response:?} and {more}: {decoded:?}");
        }
    }
    assert_eq!(found, 1);
}

#[test]
fn packets_that_nobody_sends_are_refused() {
    let requests = [1, 4, 5, 7, 9, 11, 14, 15, 17, 19, 21, 23, 25];
    let of_both = [2, 6, 8, 10, 12, 13];
    for kind in (0..=300).chain([u16::MAX]) {
        let packet = [&kind.to_be_bytes()[..], &[0; 40]].concat();
        let unknown = |result: Result<(), WireError>| result.unwrap_err().field == "type";
        let asked = decode_request(&packet).map(drop);
        assert_eq!(unknown(asked), !requests.contains(&kind), "{kind}");
        for (numbering, others) in [
            (Document, &[16, 18, 20, 22][..]),
            // 26 is known by its length too, and this one has another.
            (Client, &[16, 18, 20, 22, 24]),
        ] {
            let known = of_both.contains(&kind) || others.contains(&kind);
            let said = decode_response(&packet, numbering).map(drop);
            assert_eq!(unknown(said), !known, "{kind} {numbering:?}");
        }
    }
}

#[test]
fn the_document_tells_download_and_upload_by_their_transactions_and_the_clients_by_their_types() {
    // Numbers that this server does not draw so.
    for transaction in [UPLOAD, DOWNLOAD, 7] {
        for response in [
            Response::Download {
                file: FILE,
                transaction,
            },
            Response::Upload {
                file: FILE,
                transaction,
            },
        ] {
            let packet = response.packet(Client);
            assert_eq!(decode_response(&packet, Client), Ok(response));
        }
    }
}

#[test]
fn names_and_chunks_are_bounded() {
    let long = [b'x'; MAX_FILE_NAME + 1];
    for numbering in NUMBERINGS {
        let upload = |name| Request::Upload {
            session: SESSION,
            size: 0,
            name,
            numbering,
        };
        let chunk = |bytes| Request::UploadChunk {
            transaction: UPLOAD,
            chunk: 0,
            bytes,
            numbering,
        };
        for (fits, exceeds, field) in [
            (
                upload(&long[..MAX_FILE_NAME]),
                upload(&long[..=MAX_FILE_NAME]),
                "name",
            ),
            (
                chunk(&long[..CHUNK]),
                chunk(&long[..=CHUNK]),
                "chunk's bytes",
            ),
        ] {
            assert_eq!(decode_request(&fits.packet()), Ok(fits));
            let error = decode_request(&exceeds.packet()).unwrap_err();
            assert_eq!((error.field, error.position), (field, 14));
        }
        let exceeds = Response::DownloadChunk {
            transaction: DOWNLOAD,
            chunk: 0,
            bytes: &long[..=CHUNK],
        };
        let error = decode_response(&exceeds.packet(numbering), numbering).unwrap_err();
        assert_eq!(error.field, "chunk's bytes");
    }
}

#[test]
fn the_longest_text_fits_in_every_packet_that_carries_it() {
    let long = vec![0xff; MAX_TEXT + 1];
    let texts = |text| {
        [
            Request::Message {
                session: SESSION,
                to: USER,
                message: OWN,
                text,
            },
            Request::Broadcast {
                session: SESSION,
                message: OWN,
                text,
            },
        ]
    };
    assert_eq!(texts(&long[1..])[0].packet().len(), MAX_PACKET);
    for request in texts(&long[1..]) {
        assert_eq!(decode_request(&request.packet()), Ok(request));
    }
    for request in texts(&long) {
        assert_eq!(decode_request(&request.packet()).unwrap_err().field, "text");
    }
    let incoming = Response::Incoming {
        sender: USER,
        message: MESSAGE,
        text: &long[1..],
    };
    let packet = incoming.packet(Client);
    assert!(packet.len() <= MAX_PACKET);
    assert_eq!(decode_response(&packet, Client), Ok(incoming));
}

#[test]
fn what_a_length_can_not_say_is_left_out() {
    let name = vec![b'x'; 70_000];
    let packet = Request::Session { name: &name }.packet();
    assert_eq!(packet[..4], bytes("0001 ffff"));
    assert_eq!(packet.len(), 4 + 0xffff);
}

#[test]
fn lists_are_cut_to_one_datagram() {
    let numbers: Vec<u64> = (0..70_000).collect();
    for numbering in NUMBERINGS {
        for count in [0, 1, MAX_LIST - 1, MAX_LIST, MAX_LIST + 1, 70_000] {
            let [given, fitting] = [count, count.min(MAX_LIST)].map(|n| numbers[..n].to_vec());
            for (list, cut) in [
                (
                    Response::Users(given.clone()),
                    Response::Users(fitting.clone()),
                ),
                (Response::Files(given), Response::Files(fitting)),
            ] {
                let packet = list.packet(numbering);
                assert!(packet.len() <= MAX_PACKET, "{count}: {}", packet.len());
                assert_eq!(decode_response(&packet, numbering), Ok(cut));
            }
        }
    }
    // One more would not fit.
    const { assert!(4 + 8 * (MAX_LIST + 1) > MAX_PACKET) };
}

/// The values of every packet's fields.
#[derive(Debug, Clone)]
struct Values {
    session: u64,
    user: u64,
    file: u64,
    download: u64,
    upload: u64,
    message: u64,
    own: u64,
    size: u32,
    chunk: u32,
    name: Vec<u8>,
    text: Vec<u8>,
    bytes: Vec<u8>,
    list: Vec<u64>,
}

impl Values {
    /// Every request there is; those about files in both numberings.
    fn requests(&self) -> Vec<Request<'_>> {
        let &Values { session, file, .. } = self;
        let mut requests = vec![
            Request::Session { name: &self.name },
            Request::Preserve { session },
            Request::Users { session },
            Request::UserData {
                session,
                user: self.user,
            },
            Request::Message {
                session,
                to: self.user,
                message: self.own,
                text: &self.text,
            },
            Request::Broadcast {
                session,
                message: self.own,
                text: &self.text,
            },
            Request::Received {
                message: self.message,
            },
        ];
        for numbering in NUMBERINGS {
            requests.extend([
                Request::Files { session, numbering },
                Request::FileData {
                    session,
                    file,
                    numbering,
                },
                Request::Download {
                    session,
                    file,
                    numbering,
                },
                Request::DownloadChunk {
                    transaction: self.download,
                    chunk: self.chunk,
                    numbering,
                },
                Request::Upload {
                    session,
                    size: self.size,
                    name: &self.name,
                    numbering,
                },
                Request::UploadChunk {
                    transaction: self.upload,
                    chunk: self.chunk,
                    bytes: &self.bytes,
                    numbering,
                },
            ]);
        }
        requests
    }

    /// Every response there is.
    fn responses(&self) -> Vec<Response<'_>> {
        let &Values { file, .. } = self;
        vec![
            Response::Cookie {
                user: self.user,
                session: self.session,
            },
            Response::Users(self.list.clone()),
            Response::UserData {
                user: self.user,
                name: &self.name,
            },
            Response::Message { message: self.own },
            Response::Broadcast { message: self.own },
            Response::Incoming {
                sender: self.user,
                message: self.message,
                text: &self.text,
            },
            Response::Files(self.list.clone()),
            Response::FileData {
                file,
                size: self.size,
                name: &self.name,
            },
            Response::Download {
                file,
                transaction: self.download,
            },
            Response::DownloadChunk {
                transaction: self.download,
                chunk: self.chunk,
                bytes: &self.bytes,
            },
            Response::Upload {
                file,
                transaction: self.upload,
            },
            Response::UploadChunk {
                transaction: self.upload,
                chunk: self.chunk,
            },
        ]
    }
}

/// A number that the server drew for something of this kind.
fn drawn(kind: Kind) -> impl Strategy<Value = u64> {
    any::<u64>().prop_map(move |random| kind.number(random))
}

/// A file's number that looks as much like a size, a short length and a name as a drawn one can: where an
/// upload has the length of its name stands a small number.
fn like_an_upload() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0u64..6)
        .prop_map(|(random, length)| Kind::File.number(random & !0xffff_0000 | length << 16))
}

/// Any bytes up to `most`, often so few that lengths of packets coincide.
fn blob(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => proptest::collection::vec(any::<u8>(), 2),
        3 => proptest::collection::vec(any::<u8>(), 0..6),
        2 => proptest::collection::vec(any::<u8>(), 0..=most),
    ]
}

/// Numbers as the server draws them; whatever else a client or an operator likes.
fn values() -> impl Strategy<Value = Values> {
    let numbers = (
        drawn(Kind::Session),
        drawn(Kind::User),
        prop_oneof![drawn(Kind::File), like_an_upload()],
        drawn(Kind::Download),
        drawn(Kind::Upload),
        drawn(Kind::Message),
        any::<u64>(),
    );
    let rest = (
        any::<u32>(),
        any::<u32>(),
        blob(MAX_FILE_NAME),
        blob(2000),
        blob(CHUNK),
        proptest::collection::vec(any::<u64>(), 0..20),
    );
    (numbers, rest).prop_map(
        |(
            (session, user, file, download, upload, message, own),
            (size, chunk, name, text, bytes, list),
        )| Values {
            session,
            user,
            file,
            download,
            upload,
            message,
            own,
            size,
            chunk,
            name,
            text,
            bytes,
            list,
        },
    )
}

/// Something like a packet: a type that there may be, and bytes many of which are small, so that lengths
/// and counts are often right.
fn packet_like() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![2 => 0u8..3, 1 => any::<u8>()];
    let body = prop_oneof![
        proptest::collection::vec(byte.clone(), 0..40),
        // A number, and then no more than a few things.
        proptest::collection::vec(byte.clone(), 8),
        proptest::collection::vec(byte.clone(), 12),
        proptest::collection::vec(byte, 16),
    ];
    (0u16..28, body).prop_map(|(kind, body)| [&kind.to_be_bytes()[..], &body].concat())
}

/// What decodes encodes to the same bytes.
fn assert_unambiguous(packet: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(request) = decode_request(packet) {
        prop_assert_eq!(request.packet(), packet, "{:?}", request);
    }
    for numbering in NUMBERINGS {
        if let Ok(response) = decode_response(packet, numbering) {
            prop_assert_eq!(response.packet(numbering), packet, "{:?}", response);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// So every two packets that share a type, of whichever numbering, are told apart.
    #[test]
    fn every_packet_comes_back_as_it_went(values in values()) {
        for request in values.requests() {
            let packet = request.packet();
            prop_assert_eq!(decode_request(&packet), Ok(request));
        }
        for numbering in NUMBERINGS {
            for response in values.responses() {
                let packet = response.packet(numbering);
                prop_assert_eq!(decode_response(&packet, numbering), Ok(response));
            }
        }
    }

    /// Type 15, 18 bytes: the upload is made to differ from the download as little as it can.
    #[test]
    fn a_download_and_an_upload_of_a_short_name_are_told_apart(
        session in drawn(Kind::Session), file in like_an_upload(),
    ) {
        let download = Request::Download { session, file, numbering: Document };
        let file = file.to_be_bytes();
        let size = u32::from_be_bytes([file[0], file[1], file[2], file[3]]);
        let upload = Request::Upload { session, size, name: &file[6..], numbering: Document };
        let [one, other] = [download, upload].map(|request| request.packet());
        prop_assert_eq!(one.len(), other.len());
        prop_assert_eq!(&one[..14], &other[..14]);
        prop_assert_eq!(&one[16..], &other[16..]);
        prop_assert_eq!(decode_request(&one), Ok(download));
        prop_assert_eq!(decode_request(&other), Ok(upload));
    }

    /// Type 17, 18 bytes, of which all but the first digit are the same; a client may ask for any number,
    /// also one that no file can have.
    #[test]
    fn file_data_and_an_upload_chunk_of_two_bytes_are_told_apart(
        random: u64, chunk: u32, bytes: [u8; 2],
    ) {
        let file = u64::from(chunk) << 32 | 2 << 16 | u64::from(u16::from_be_bytes(bytes));
        let session = Kind::Session.number(random);
        let file_data = Request::FileData { session, file, numbering: Client };
        let transaction = Kind::Upload.number(random);
        let upload_chunk = Request::UploadChunk { transaction, chunk, bytes: &bytes, numbering: Document };
        let [one, other] = [file_data, upload_chunk].map(|request| request.packet());
        prop_assert_eq!(&one[3..], &other[3..]);
        prop_assert_eq!(decode_request(&one), Ok(file_data));
        prop_assert_eq!(decode_request(&other), Ok(upload_chunk));
    }

    #[test]
    fn random_bytes_never_panic_and_what_decodes_is_unambiguous(
        noise in proptest::collection::vec(any::<u8>(), 0..300), packet in packet_like(),
    ) {
        assert_unambiguous(&noise)?;
        assert_unambiguous(&packet)?;
    }

    /// Also of packets that are nearly right, in which one byte is another.
    #[test]
    fn a_damaged_packet_is_refused_or_unambiguous(
        values in values(), at: prop::sample::Index, byte: u8,
    ) {
        let requests = values.requests().into_iter().map(|request| request.packet());
        let responses = NUMBERINGS
            .iter()
            .flat_map(|numbering| values.responses().into_iter().map(|r| r.packet(*numbering)));
        for mut packet in requests.chain(responses) {
            let at = at.index(packet.len());
            packet[at] = byte;
            assert_unambiguous(&packet)?;
        }
    }
}

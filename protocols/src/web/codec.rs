//! The bytes of the console's WebSocket (RFC 6455), after its handshake, which HTTP has done.
//!
//! ```text
//! frame    fin 1 bit, 000, opcode 4 bits | mask 1 bit, length 7 bits | length u16 or u64, if 126 or 127
//!          | mask 4 bytes, from clients | payload
//! opcodes  0 continuation   1 text   2 binary   8 close   9 ping   A pong
//! ```
//!
//! Text is JSON with a `type`. Binary, integers big-endian:
//!
//! ```text
//! video    01 | quality u8 | 00 00 | stream u32 | frame u32 | due u32, ms | JPEG      server to client
//! sound    02 | 00 00 00 | buffer u32 | samples, s16 little-endian                    server to client
//! camera   03 | JPEG                                                                  client to server
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use super::message::{ClientMessage, ServerMessage};
use crate::wire::{Step, WireError};

/// The longest text that a client may send, in bytes of JSON.
pub const MAX_TEXT: usize = 64 * 1024;
/// The longest message before somebody has joined.
pub const MAX_FIRST: usize = 4 * 1024;
/// The largest picture of a camera, in bytes.
pub const MAX_CAMERA: usize = 512 * 1024;
/// Bytes of what somebody says.
pub const MAX_SAY: usize = 16 * 1024;
/// Pieces that a message may come in: each costs a look at it.
const MAX_PIECES: usize = 1024;
/// Bytes of a control frame's payload.
const MAX_CONTROL: usize = 125;
/// Bytes of a frame's head from the server, at most.
const MAX_HEAD: usize = 10;
/// Bytes before a video frame's JPEG, at most.
pub const FRAME_HEAD: usize = MAX_HEAD + 16;

const KIND_VIDEO: u8 = 1;
const KIND_SOUND: u8 = 2;
/// What a client's binary message is.
pub const KIND_CAMERA: u8 = 3;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Why a connection is closed (RFC 6455, 7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    Normal,
    /// The server goes.
    Away,
    Protocol,
    /// Text that is no UTF-8.
    Data,
    /// A rule of ours.
    Policy,
    TooLarge,
    Internal,
}

impl CloseCode {
    fn number(self) -> u16 {
        match self {
            CloseCode::Normal => 1000,
            CloseCode::Away => 1001,
            CloseCode::Protocol => 1002,
            CloseCode::Data => 1007,
            CloseCode::Policy => 1008,
            CloseCode::TooLarge => 1009,
            CloseCode::Internal => 1011,
        }
    }
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    Message(ClientMessage),
    /// A picture of the camera, JPEG as far as it says.
    Camera(Bytes),
    /// To be answered with a [`pong`] of the same.
    Ping(Bytes),
    Pong,
    /// The peer is about to go.
    Close,
}

/// After this the stream can't be followed any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Broken {
    /// What the peer is told.
    pub code: CloseCode,
    pub error: WireError,
}

fn broken(code: CloseCode, position: usize, field: &'static str, rule: &'static str) -> Broken {
    Broken {
        code,
        error: WireError::new(position, field, rule),
    }
}

/// Decodes what a client sends.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Somebody has joined, who may send longer messages.
    known: bool,
    /// The opcode of a message of which pieces are here, and how many.
    begun: Option<(u8, usize)>,
    pieces: BytesMut,
}

struct Head {
    fin: bool,
    opcode: u8,
    mask: [u8; 4],
    /// Bytes of the head.
    bytes: usize,
    /// Bytes of the payload.
    length: usize,
}

impl Decoder {
    /// From here on messages may be as long as they get.
    pub fn trust(&mut self) {
        self.known = true;
    }

    /// Takes the next message from `input`, which is all that is unread.
    ///
    /// # Errors
    /// The stream can't be followed any further.
    pub fn decode(&mut self, input: &[u8]) -> Result<Step<Incoming>, Broken> {
        let Some(head) = self.head(input)? else {
            return Ok(Step::More { used: 0 });
        };
        let used = head.bytes + head.length;
        let Some(masked) = input.get(head.bytes..used) else {
            return Ok(Step::More { used: 0 });
        };
        let payload = masked.iter().zip(head.mask.iter().cycle());
        let payload = payload.map(|(byte, mask)| byte ^ mask);
        match head.opcode {
            CLOSE => Ok(Step::Got {
                message: Incoming::Close,
                used,
            }),
            PING => Ok(Step::Got {
                message: Incoming::Ping(payload.collect()),
                used,
            }),
            PONG => Ok(Step::Got {
                message: Incoming::Pong,
                used,
            }),
            opcode => {
                self.pieces.extend(payload);
                let (kind, pieces) = self.begun.unwrap_or((opcode, 0));
                if !head.fin {
                    if pieces == MAX_PIECES {
                        let rule = "a message comes in 1024 pieces at most";
                        return Err(broken(CloseCode::Policy, 0, "fin", rule));
                    }
                    self.begun = Some((kind, pieces + 1));
                    return Ok(Step::More { used });
                }
                self.begun = None;
                let whole = std::mem::take(&mut self.pieces).freeze();
                whole_message(kind, whole, used)
            }
        }
    }

    /// The head of the next frame, if all of it is here, and it may come now.
    fn head(&self, input: &[u8]) -> Result<Option<Head>, Broken> {
        let protocol =
            |position, field, rule| Err(broken(CloseCode::Protocol, position, field, rule));
        let Some((&[first, second], rest)) = input.split_first_chunk::<2>() else {
            return Ok(None);
        };
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0f);
        if first & 0x70 != 0 {
            return protocol(0, "reserved", "no extension was agreed upon");
        }
        if second & 0x80 == 0 {
            return protocol(1, "mask", "a client masks what it sends");
        }
        let is_control = opcode >= CLOSE;
        match opcode {
            CONTINUATION if self.begun.is_none() => {
                return protocol(0, "opcode", "there is nothing that goes on");
            }
            TEXT | BINARY if self.begun.is_some() => {
                return protocol(0, "opcode", "the message before is not complete");
            }
            CONTINUATION | TEXT | BINARY => {}
            CLOSE | PING | PONG if fin => {}
            CLOSE | PING | PONG => return protocol(0, "fin", "a control frame is never cut"),
            _ => return protocol(0, "opcode", "it is not known"),
        }
        let (length, rest) = match second & 0x7f {
            126 => match rest.split_first_chunk::<2>() {
                Some((bytes, rest)) => (u64::from(u16::from_be_bytes(*bytes)), rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk::<8>() {
                Some((bytes, rest)) => (u64::from_be_bytes(*bytes), rest),
                None => return Ok(None),
            },
            short => (u64::from(short), rest),
        };
        if is_control && length > MAX_CONTROL as u64 {
            return protocol(1, "length", "a control frame has 125 bytes at most");
        }
        let kind = self.begun.map_or(opcode, |(kind, _)| kind);
        let most = match kind {
            _ if is_control => MAX_CONTROL,
            _ if !self.known => MAX_FIRST,
            TEXT => MAX_TEXT,
            _ => MAX_CAMERA + 1,
        };
        let here = if is_control { 0 } else { self.pieces.len() };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length.saturating_add(here) > most {
            let rule = match most {
                MAX_FIRST => "at most 4096 bytes before somebody has joined",
                MAX_TEXT => "a text message has 65536 bytes at most",
                _ => "a picture has 524288 bytes at most",
            };
            return Err(broken(CloseCode::TooLarge, 1, "length", rule));
        }
        let bytes = input.len() - rest.len();
        let Some((mask, _)) = rest.split_first_chunk::<4>() else {
            return Ok(None);
        };
        Ok(Some(Head {
            fin,
            opcode,
            mask: *mask,
            bytes: bytes + 4,
            length,
        }))
    }
}

fn whole_message(kind: u8, whole: Bytes, used: usize) -> Result<Step<Incoming>, Broken> {
    if kind == BINARY {
        return Ok(match whole.first() {
            Some(&KIND_CAMERA) => Step::Got {
                message: Incoming::Camera(whole.slice(1..)),
                used,
            },
            _ => Step::Refused {
                error: WireError::new(
                    0,
                    "kind",
                    "binary is a picture of the camera, and begins with 3",
                ),
                used,
            },
        });
    }
    let Ok(text) = std::str::from_utf8(&whole) else {
        return Err(broken(CloseCode::Data, 0, "text", "text is UTF-8"));
    };
    Ok(match serde_json::from_str(text) {
        Ok(message) => Step::Got {
            message: Incoming::Message(message),
            used,
        },
        Err(e) => Step::Refused {
            error: WireError::new(e.column().saturating_sub(1), "text", e.to_string()),
            used,
        },
    })
}

/// The head of a frame from the server, of a payload of so many bytes.
fn put_head(head: &mut impl BufMut, opcode: u8, length: usize) {
    head.put_u8(0x80 | opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..=125), _) => head.put_u8(length),
        (_, Ok(length)) => {
            head.put_u8(126);
            head.put_u16(length);
        }
        _ => {
            head.put_u8(127);
            head.put_u64(length as u64);
        }
    }
}

/// JSON as a whole frame.
pub fn text(json: &[u8]) -> Bytes {
    let mut wire = BytesMut::with_capacity(MAX_HEAD + json.len());
    put_head(&mut wire, TEXT, json.len());
    wire.extend_from_slice(json);
    wire.freeze()
}

/// A message as a whole frame.
pub fn encode(message: &ServerMessage<'_>) -> Bytes {
    // Nothing in it can fail to be JSON.
    text(&serde_json::to_vec(message).unwrap_or_default())
}

/// The answer to a ping.
pub fn pong(payload: &[u8]) -> Bytes {
    let mut wire = BytesMut::with_capacity(2 + payload.len());
    put_head(&mut wire, PONG, payload.len());
    wire.extend_from_slice(payload);
    wire.freeze()
}

/// The last frame.
pub fn close(code: CloseCode, reason: &str) -> Bytes {
    let mut end = reason.len().min(MAX_CONTROL - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let reason = &reason.as_bytes()[..end];
    let mut wire = BytesMut::with_capacity(4 + reason.len());
    put_head(&mut wire, CLOSE, 2 + reason.len());
    wire.put_u16(code.number());
    wire.extend_from_slice(reason);
    wire.freeze()
}

/// Where a frame belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramePlace {
    /// The page's number of the stream.
    pub stream: u32,
    /// Index of the quality, 0 the lowest.
    pub quality: u8,
    /// Index on the video's timeline.
    pub frame: u32,
    /// Milliseconds from the video's start.
    pub due: u32,
}

/// What comes before the JPEG of a video frame of so many bytes.
pub fn frame_head(place: FramePlace, jpeg: usize) -> Bytes {
    let mut head = BytesMut::with_capacity(FRAME_HEAD);
    put_head(&mut head, BINARY, 16 + jpeg);
    head.put_u8(KIND_VIDEO);
    head.put_u8(place.quality);
    head.put_u16(0);
    head.put_u32(place.stream);
    head.put_u32(place.frame);
    head.put_u32(place.due);
    head.freeze()
}

/// What comes before a buffer of sound of so many bytes.
pub fn sound_head(buffer: u32, samples: usize) -> Bytes {
    let mut head = BytesMut::with_capacity(MAX_HEAD + 8);
    put_head(&mut head, BINARY, 8 + samples);
    head.put_u32(u32::from(KIND_SOUND) << 24);
    head.put_u32(buffer);
    head.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::message::{Ending, Id, Said, Speaker};
    use super::*;

    /// A frame as a client sends it.
    fn frame(fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut wire = vec![u8::from(fin) << 7 | opcode];
        match payload.len() {
            length @ ..=125 => wire.push(0x80 | length as u8),
            length @ ..=0xffff => {
                wire.push(0x80 | 126);
                wire.extend((length as u16).to_be_bytes());
            }
            length => {
                wire.push(0x80 | 127);
                wire.extend((length as u64).to_be_bytes());
            }
        }
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        wire.extend(mask);
        wire.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
        wire
    }

    fn all(mut decoder: Decoder, mut input: &[u8]) -> Vec<Incoming> {
        let mut got = Vec::new();
        loop {
            match decoder.decode(input).unwrap() {
                Step::Got { message, used } => {
                    got.push(message);
                    input = &input[used..];
                }
                Step::More { used: 0 } => break,
                Step::More { used } => input = &input[used..],
                Step::Refused { error, .. } => panic!("{error}"),
            }
        }
        assert!(input.is_empty());
        got
    }

    fn known() -> Decoder {
        let mut decoder = Decoder::default();
        decoder.trust();
        decoder
    }

    #[test]
    fn the_example_of_the_standard() {
        // RFC 6455, 5.7: a masked text message, "Hello".
        let wire = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        let Ok(Step::Refused { used, .. }) = Decoder::default().decode(&wire) else {
            panic!("Hello is no JSON")
        };
        assert_eq!(used, wire.len());
        assert_eq!(
            &text(b"Hello")[..],
            [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]
        );
        assert_eq!(
            &pong(b"Hello")[..],
            [0x8a, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]
        );
        assert_eq!(
            &close(CloseCode::Normal, "ok")[..],
            [0x88, 4, 0x03, 0xe8, b'o', b'k']
        );
    }

    #[test]
    fn every_message_of_a_page() {
        let say = |json: &str| {
            let got = all(Decoder::default(), &frame(true, TEXT, json.as_bytes()));
            let [Incoming::Message(message)] = &got[..] else {
                panic!("{got:?}")
            };
            message.clone()
        };
        assert_eq!(
            say(r#"{"type":"join","name":"anna","more":1}"#),
            ClientMessage::Join {
                name: "anna".to_owned()
            }
        );
        assert_eq!(
            say(r#"{"type":"say","text":"hé","to":"18446744073709551615"}"#),
            ClientMessage::Say {
                text: "hé".to_owned(),
                to: Some(u64::MAX.to_string())
            }
        );
        assert_eq!(
            say(r#"{"type":"watch","stream":7,"video":"cells","quality":"720p","from":9}"#),
            ClientMessage::Watch {
                stream: 7,
                video: Some("cells".to_owned()),
                live: None,
                quality: Some("720p".to_owned()),
                from: 9
            }
        );
        assert_eq!(
            say(r#"{"type":"stop","stream":7}"#),
            ClientMessage::Stop { stream: 7 }
        );
        for (word, message) in [
            ("listen", ClientMessage::Listen { on: true }),
            ("camera", ClientMessage::Camera { on: true }),
            ("vitals", ClientMessage::Vitals { on: true }),
        ] {
            assert_eq!(say(&format!(r#"{{"type":"{word}","on":true}}"#)), message);
        }
    }

    #[test]
    fn pieces_are_joined_and_control_frames_come_between() {
        let mut wire = frame(false, TEXT, br#"{"type":"li"#);
        wire.extend(frame(true, PING, b"are you there"));
        wire.extend(frame(false, CONTINUATION, br#"sten","on":"#));
        wire.extend(frame(true, CONTINUATION, b"false}"));
        wire.extend(frame(true, BINARY, b"\x03JPEG"));
        wire.extend(frame(true, CLOSE, b""));
        let expected = [
            Incoming::Ping(Bytes::from_static(b"are you there")),
            Incoming::Message(ClientMessage::Listen { on: false }),
            Incoming::Camera(Bytes::from_static(b"JPEG")),
            Incoming::Close,
        ];
        assert_eq!(all(known(), &wire), expected);
        for cut in 0..wire.len() {
            let mut decoder = known();
            let (mut unread, mut got) = (Vec::new(), Vec::new());
            for part in [&wire[..cut], &wire[cut..]] {
                unread.extend_from_slice(part);
                loop {
                    match decoder.decode(&unread).unwrap() {
                        Step::Got { message, used } => {
                            got.push(message);
                            unread.drain(..used);
                        }
                        Step::More { used: 0 } => break,
                        Step::More { used } => drop(unread.drain(..used)),
                        Step::Refused { error, .. } => panic!("{error}"),
                    }
                }
            }
            assert_eq!(got, expected, "cut at {cut}");
        }
    }

    #[test]
    fn broken_rules_name_their_code() {
        let code = |decoder: &mut Decoder, wire: &[u8]| decoder.decode(wire).unwrap_err().code;
        let fresh = Decoder::default;
        assert_eq!(
            code(&mut fresh(), &[0x81, 0x05]),
            CloseCode::Protocol,
            "no mask"
        );
        assert_eq!(
            code(&mut fresh(), &[0xc1, 0x85]),
            CloseCode::Protocol,
            "reserved"
        );
        assert_eq!(
            code(&mut fresh(), &[0x83, 0x85]),
            CloseCode::Protocol,
            "opcode"
        );
        assert_eq!(
            code(&mut fresh(), &frame(true, CONTINUATION, b"")),
            CloseCode::Protocol
        );
        assert_eq!(
            code(&mut fresh(), &frame(false, PING, b"")),
            CloseCode::Protocol
        );
        assert_eq!(
            code(&mut fresh(), &frame(true, PING, &[0; 126])),
            CloseCode::Protocol
        );
        assert_eq!(
            code(&mut fresh(), &frame(true, TEXT, &[0xff])),
            CloseCode::Data
        );
        assert_eq!(
            code(&mut fresh(), &frame(true, TEXT, &[b' '; 5000])[..8]),
            CloseCode::TooLarge
        );
        let endless = [0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(code(&mut known(), &endless), CloseCode::TooLarge);
        let mut decoder = known();
        decoder
            .decode(&frame(false, TEXT, &[b' '; MAX_TEXT]))
            .unwrap();
        assert_eq!(
            code(&mut decoder, &frame(true, CONTINUATION, b" ")),
            CloseCode::TooLarge
        );
        let mut decoder = known();
        decoder.decode(&frame(false, TEXT, b"")).unwrap();
        assert_eq!(
            code(&mut decoder, &frame(true, TEXT, b"")),
            CloseCode::Protocol
        );
        let mut decoder = known();
        decoder.decode(&frame(false, TEXT, b"")).unwrap();
        let refusal = (0..MAX_PIECES + 1)
            .find_map(|_| decoder.decode(&frame(false, CONTINUATION, b"")).err());
        assert_eq!(refusal.unwrap().code, CloseCode::Policy);
    }

    #[test]
    fn heads_of_all_lengths() {
        assert_eq!(text(&[b' '; 125])[..2], [0x81, 125]);
        assert_eq!(text(&[b' '; 126])[..4], [0x81, 126, 0, 126]);
        assert_eq!(
            text(&[b' '; 65_536])[..10],
            [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]
        );
        let place = FramePlace {
            stream: 7,
            quality: 2,
            frame: 0x0102_0304,
            due: 40,
        };
        assert_eq!(
            frame_head(place, 100)[..],
            [0x82, 116, 1, 2, 0, 0, 0, 0, 0, 7, 1, 2, 3, 4, 0, 0, 0, 40]
        );
        assert_eq!(frame_head(place, 65_536 - 16).len(), FRAME_HEAD);
        assert_eq!(
            sound_head(5, 8192)[..],
            [0x82, 126, 0x20, 0x08, 2, 0, 0, 0, 0, 0, 0, 5]
        );
    }

    #[test]
    fn a_close_reason_is_cut_between_characters() {
        let wire = close(CloseCode::Policy, &"é".repeat(100));
        assert_eq!(wire.len(), 2 + 2 + 122);
        assert!(std::str::from_utf8(&wire[4..]).is_ok());
    }

    #[test]
    fn what_a_page_is_told() {
        let json = |message| {
            let wire = encode(&message);
            String::from_utf8(wire[wire.iter().position(|b| *b == b'{').unwrap()..].to_vec())
                .unwrap()
        };
        assert_eq!(
            json(ServerMessage::Said(Said {
                id: Some(Id(u64::MAX)),
                at: 5,
                from: Speaker {
                    id: Id(1),
                    name: "an\"na",
                    service: "web"
                },
                text: "hi".into(),
                to: None
            })),
            r#"{"type":"said","id":"18446744073709551615","at":5,"from":{"id":"1","name":"an\"na","service":"web"},"text":"hi"}"#
        );
        assert_eq!(
            json(ServerMessage::End {
                stream: 3,
                reason: Ending::Over,
                message: None
            }),
            r#"{"type":"end","stream":3,"reason":"over"}"#
        );
    }

    proptest! {
        #[test]
        fn anything_else_is_refused_without_a_panic(input in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut decoder = known();
            let mut at = 0;
            while let Ok(Step::Got { used, .. } | Step::Refused { used, .. } | Step::More { used }) =
                decoder.decode(&input[at..])
            {
                if used == 0 {
                    break;
                }
                at += used;
                prop_assert!(at <= input.len());
            }
        }

        #[test]
        fn payloads_of_any_length_come_back(length in 0..70_000usize, opcode in prop_oneof![Just(BINARY)]) {
            let mut payload = vec![KIND_CAMERA];
            payload.extend((0..length).map(|i| i as u8));
            let got = all(known(), &frame(true, opcode, &payload));
            prop_assert_eq!(got, [Incoming::Camera(Bytes::from(payload).slice(1..))]);
        }
    }
}

//! The bytes of chatroom. Nothing but a stream's frames has a length that is read by it, so all the
//! rest goes out alone.
//!
//! ```text
//! server  -----BEGIN RSA PUBLIC KEY----- …     client  anna
//! server  OK                                   client  -----BEGIN RSA PUBLIC KEY----- …
//! server  URIF{"anna":"-----BEGIN RSA …"}      client  [CHAT] | [STREAM] | [DISCONNECT]
//!
//! chat    CHAT | one RSA block                 both ways; QUIT leaves
//! list    STLI | length u32, then alone: ["name",…]       client answers with a bare name
//! stream  STRM | frames u32, then so many times: size u64 | JPEG
//! ```

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::message::{ClientMessage, ServerMessage};
use crate::wire::{self, Step, WireError};

/// The server's answer to a name that it takes.
pub const OK: &[u8] = b"OK";
/// Bytes of a frame before its JPEG.
pub const FRAME_HEAD: usize = 8;
/// Bytes of every header word.
const WORD: usize = 4;
/// The longest bare video name, in bytes: that of a file name, and a line end.
const MAX_VIDEO_NAME: usize = 257;

const BEGIN: &[u8] = b"-----BEGIN RSA PUBLIC KEY-----";
const END: &[u8] = b"-----END RSA PUBLIC KEY-----";
const CHAT: &[u8] = b"CHAT";

/// The words that stand for themselves.
const WORDS: [(&[u8], ClientMessage<'static>); 4] = [
    (b"[CHAT]", ClientMessage::EnterChat),
    (b"[STREAM]", ClientMessage::ListVideos),
    (b"[DISCONNECT]", ClientMessage::Disconnect),
    (b"QUIT", ClientMessage::LeaveChat),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Name,
    Key,
    Choice,
    Chat,
    VideoName,
}

/// Decodes what a client sends.
#[derive(Debug)]
pub struct Decoder {
    stage: Stage,
    blocks: Arc<[usize]>,
}

impl Decoder {
    /// A decoder for a client of whom nothing is known yet.
    pub fn new() -> Decoder {
        Decoder {
            stage: Stage::Name,
            blocks: Arc::new([]),
        }
    }

    /// Says which lengths a `CHAT` block can have, in bytes, ascending: those of the moduli of the
    /// people here. With one length a message ends there; with several, at the first one behind
    /// which the input ends or another message begins.
    pub fn set_blocks(&mut self, blocks: Arc<[usize]>) {
        self.blocks = blocks;
    }

    /// Takes the next message from `input`, which is all that is unread. The first bare name and a
    /// video's name end with it.
    ///
    /// # Errors
    /// The stream can't be followed any further: a bad name or key.
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> Result<Step<ClientMessage<'a>>, WireError> {
        if self.stage == Stage::Name {
            if input.is_empty() {
                return Ok(Step::More { used: 0 });
            }
            let (name, used) = wire::name(input, BEGIN)?;
            self.stage = Stage::Key;
            return Ok(Step::Got {
                message: ClientMessage::Name(name),
                used,
            });
        }
        if self.stage == Stage::Key {
            let step = wire::pem(input, BEGIN, END)?.map(ClientMessage::PublicKey);
            if matches!(step, Step::Got { .. }) {
                self.stage = Stage::Choice;
            }
            return Ok(step);
        }
        let blank = wire::leading_white(input);
        let rest = &input[blank..];
        if rest.is_empty() && (self.stage != Stage::VideoName || blank == 0) {
            return Ok(Step::More { used: blank });
        }
        // A video's name may begin with a word; where one is expected, only the word alone is none.
        let is_word = |word: &[u8]| match self.stage {
            Stage::VideoName => rest.trim_ascii_end() == word && word != b"QUIT",
            _ => rest.starts_with(word),
        };
        if let Some((word, message)) = WORDS.iter().find(|(word, _)| is_word(word)) {
            self.stage = match message {
                ClientMessage::EnterChat => Stage::Chat,
                ClientMessage::ListVideos => Stage::VideoName,
                _ => Stage::Choice,
            };
            return Ok(Step::Got {
                message: message.clone(),
                used: blank + word.len(),
            });
        }
        let beginning = WORDS.iter().any(|(word, _)| word.starts_with(rest));
        match self.stage {
            Stage::VideoName => {
                self.stage = Stage::Choice;
                Ok(video_name(rest, blank))
            }
            _ if beginning => Ok(Step::More { used: blank }),
            Stage::Chat if rest.starts_with(CHAT) => Ok(match self.chat_length(rest) {
                Some(length) => Step::Got {
                    message: ClientMessage::Chat(&rest[..length]),
                    used: blank + length,
                },
                None => Step::More { used: blank },
            }),
            Stage::Chat if CHAT.starts_with(rest) => Ok(Step::More { used: blank }),
            stage => Ok(Step::Refused {
                error: WireError::new(
                    blank,
                    "header",
                    if stage == Stage::Chat {
                        "a message begins with CHAT or QUIT"
                    } else {
                        "[CHAT], [STREAM] or [DISCONNECT] is expected"
                    },
                ),
                used: input.len(),
            }),
        }
    }

    /// Where the message ends that `input` begins with; `None` if that can't be told yet.
    fn chat_length(&self, input: &[u8]) -> Option<usize> {
        let last = self.blocks.last().copied().unwrap_or(0);
        for &block in self.blocks.iter() {
            let behind = input.get(WORD + block..)?;
            if block == last || behind.is_empty() {
                return Some(WORD + block);
            }
            let words = WORDS.iter().map(|(word, _)| *word).chain([CHAT]);
            match behind {
                _ if words.clone().any(|word| behind.starts_with(word)) => {
                    return Some(WORD + block);
                }
                // The beginning of a word, or a byte of a longer block: the next read tells.
                _ if words.clone().any(|word| word.starts_with(behind)) => return None,
                _ => {}
            }
        }
        None
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder::new()
    }
}

fn video_name(rest: &[u8], blank: usize) -> Step<ClientMessage<'_>> {
    let used = blank + rest.len();
    let refused = |rule| Step::Refused {
        error: WireError::new(blank, "video name", rule),
        used,
    };
    if rest.len() > MAX_VIDEO_NAME {
        return refused("a video name has at most 255 bytes");
    }
    match std::str::from_utf8(rest) {
        Ok(name) => Step::Got {
            message: ClientMessage::VideoName(name.trim_end()),
            used,
        },
        Err(_) => refused("a video name is UTF-8"),
    }
}

/// `URIF` and the list of everyone, a JSON object as [`wire::people_object`] makes it.
pub fn people(object: &[u8]) -> Bytes {
    [b"URIF", object].concat().into()
}

/// `CHAT` and one RSA block.
pub fn chat(block: &[u8]) -> Bytes {
    [CHAT, block].concat().into()
}

/// The RSA block of a message that the decoder gave.
pub fn block(message: &[u8]) -> &[u8] {
    message.strip_prefix(CHAT).unwrap_or(message)
}

/// `STLI` and the list of videos: two writes.
pub fn video_list(names: &[String]) -> [Bytes; 2] {
    let list = serde_json::to_vec(names).unwrap_or_else(|_| b"[]".to_vec());
    let mut head = BytesMut::with_capacity(2 * WORD);
    head.put_slice(b"STLI");
    head.put_u32(u32::try_from(list.len()).unwrap_or(u32::MAX));
    [head.freeze(), list.into()]
}

/// `STRM`: so many frames follow.
pub fn stream(frames: u32) -> Bytes {
    let mut head = BytesMut::with_capacity(2 * WORD);
    head.put_slice(b"STRM");
    head.put_u32(frames);
    head.freeze()
}

/// The bytes of a frame that come before its JPEG of `size` bytes.
pub fn frame_head(size: usize) -> [u8; FRAME_HEAD] {
    (size as u64).to_be_bytes()
}

/// The client's side, for our own tests: decodes what the server sends after the keys.
#[derive(Debug, Default)]
pub struct ServerDecoder {
    /// Frames of the stream that are still to come.
    frames: u32,
    /// Bytes of the list of videos that follows.
    list: Option<usize>,
}

impl ServerDecoder {
    /// Takes the next message from `input`, which is all that is unread; a `CHAT` message has
    /// `block` bytes.
    ///
    /// # Errors
    /// An unknown header, or JSON that is none.
    pub fn decode(&mut self, input: &[u8], block: usize) -> Result<Step<ServerMessage>, WireError> {
        let json_error = |e: serde_json::Error| WireError::new(WORD, "list", e.to_string());
        let more = Ok(Step::More { used: 0 });
        if self.frames > 0 {
            let Some((size, rest)) = input.split_first_chunk::<FRAME_HEAD>() else {
                return more;
            };
            let size = usize::try_from(u64::from_be_bytes(*size))
                .map_err(|_| WireError::new(0, "size", "a frame fits in memory"))?;
            let Some(jpeg) = rest.get(..size) else {
                return more;
            };
            self.frames -= 1;
            return Ok(Step::Got {
                message: ServerMessage::Frame(Bytes::copy_from_slice(jpeg)),
                used: FRAME_HEAD + size,
            });
        }
        if let Some(length) = self.list {
            let Some(list) = input.get(..length) else {
                return more;
            };
            self.list = None;
            return Ok(Step::Got {
                message: ServerMessage::Videos(serde_json::from_slice(list).map_err(json_error)?),
                used: length,
            });
        }
        let Some((word, rest)) = input.split_first_chunk::<WORD>() else {
            return more;
        };
        let number = rest.first_chunk::<4>().map(|n| u32::from_be_bytes(*n));
        Ok(match (word, number) {
            (b"URIF", _) => {
                let mut values = serde_json::Deserializer::from_slice(rest).into_iter();
                match values.next() {
                    Some(Ok(people)) => Step::Got {
                        message: ServerMessage::People(people),
                        used: WORD + values.byte_offset(),
                    },
                    Some(Err(e)) if !e.is_eof() => return Err(json_error(e)),
                    _ => Step::More { used: 0 },
                }
            }
            (b"CHAT", _) => match rest.get(..block) {
                Some(cipher) => Step::Got {
                    message: ServerMessage::Chat(Bytes::copy_from_slice(cipher)),
                    used: WORD + block,
                },
                None => Step::More { used: 0 },
            },
            (b"STLI", Some(length)) => {
                self.list = Some(length as usize);
                Step::More { used: 2 * WORD }
            }
            (b"STRM", Some(frames)) => {
                self.frames = frames;
                Step::Got {
                    message: ServerMessage::Stream { frames },
                    used: 2 * WORD,
                }
            }
            (b"STLI" | b"STRM", None) => Step::More { used: 0 },
            _ => {
                return Err(WireError::new(
                    0,
                    "header",
                    "URIF, CHAT, STLI or STRM is expected",
                ));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PEM: &str = "-----BEGIN RSA PUBLIC KEY-----\nMIGJ\n-----END RSA PUBLIC KEY-----";

    #[derive(Debug, Clone, PartialEq)]
    enum Said {
        Name(String),
        Key(String),
        Enter,
        Chat(Vec<u8>),
        Leave,
        List,
        Video(String),
        Disconnect,
        Refused(&'static str),
    }

    fn feed(blocks: &[usize], reads: &[&[u8]]) -> Result<Vec<Said>, WireError> {
        let (mut decoder, mut unread, mut said) = (Decoder::new(), Vec::new(), Vec::new());
        decoder.set_blocks(blocks.into());
        for read in reads {
            unread.extend_from_slice(read);
            loop {
                let used = match decoder.decode(&unread)? {
                    Step::Got { message, used } => {
                        said.push(match message {
                            ClientMessage::Name(name) => Said::Name(name.into()),
                            ClientMessage::PublicKey(pem) => Said::Key(pem.into()),
                            ClientMessage::EnterChat => Said::Enter,
                            ClientMessage::Chat(wire) => Said::Chat(wire.into()),
                            ClientMessage::LeaveChat => Said::Leave,
                            ClientMessage::ListVideos => Said::List,
                            ClientMessage::VideoName(name) => Said::Video(name.into()),
                            ClientMessage::Disconnect => Said::Disconnect,
                        });
                        used
                    }
                    Step::Refused { error, used } => {
                        said.push(Said::Refused(error.field));
                        used
                    }
                    Step::More { used } => {
                        unread.drain(..used);
                        break;
                    }
                };
                unread.drain(..used);
            }
        }
        Ok(said)
    }

    fn chat(block: usize, fill: u8) -> Vec<u8> {
        [CHAT, &vec![fill; block]].concat()
    }

    #[test]
    fn client_bytes_are_golden() {
        let said = feed(
            &[4],
            &[
                b"anna",
                PEM.as_bytes(),
                b"\n",
                b"[CHAT]",
                b"CHAT\x01\x02\x03\x04",
                b"QUIT",
                b"[STREAM]",
                b"test_card",
                b"[DISCONNECT]",
            ],
        );
        assert_eq!(
            said.unwrap(),
            [
                Said::Name("anna".into()),
                Said::Key(PEM.into()),
                Said::Enter,
                Said::Chat(b"CHAT\x01\x02\x03\x04".to_vec()),
                Said::Leave,
                Said::List,
                Said::Video("test_card".into()),
                Said::Disconnect,
            ]
        );
    }

    #[test]
    fn server_bytes_are_golden() {
        assert_eq!(&people(b"{\"a\":\"K\"}")[..], b"URIF{\"a\":\"K\"}");
        let [head, list] = video_list(&["a b".into(), "c".into()]);
        assert_eq!(&head[..], b"STLI\x00\x00\x00\x0b");
        assert_eq!(&list[..], b"[\"a b\",\"c\"]");
        assert_eq!(&stream(260)[..], b"STRM\x00\x00\x01\x04");
        assert_eq!(frame_head(258), *b"\x00\x00\x00\x00\x00\x00\x01\x02");
    }

    #[test]
    fn server_messages_come_back_as_they_went_wherever_they_are_split() {
        let mut wire = people("{\"Zoë\":\"K\"}".as_bytes()).to_vec();
        wire.extend_from_slice(&chat(4, 9));
        for part in video_list(&["x".into()]) {
            wire.extend_from_slice(&part);
        }
        wire.extend_from_slice(&stream(2));
        for jpeg in [b"J1".as_slice(), b"J22"] {
            wire.extend_from_slice(&frame_head(jpeg.len()));
            wire.extend_from_slice(jpeg);
        }
        wire.extend_from_slice(&people(b"{}"));
        let mut zoe = serde_json::Map::new();
        zoe.insert("Zoë".into(), "K".into());
        let whole = [
            ServerMessage::People(zoe),
            ServerMessage::Chat(Bytes::from_static(&[9; 4])),
            ServerMessage::Videos(vec!["x".into()]),
            ServerMessage::Stream { frames: 2 },
            ServerMessage::Frame(Bytes::from_static(b"J1")),
            ServerMessage::Frame(Bytes::from_static(b"J22")),
            ServerMessage::People(serde_json::Map::new()),
        ];
        for cut in 0..=wire.len() {
            let (mut decoder, mut unread, mut said) =
                (ServerDecoder::default(), Vec::new(), vec![]);
            for read in [&wire[..cut], &wire[cut..]] {
                unread.extend_from_slice(read);
                loop {
                    match decoder.decode(&unread, 4).unwrap() {
                        Step::Got { message, used } => {
                            said.push(message);
                            unread.drain(..used);
                        }
                        Step::More { used: 0 } => break,
                        Step::More { used } => drop(unread.drain(..used)),
                        Step::Refused { error, .. } => panic!("{error}"),
                    }
                }
            }
            assert_eq!(said, whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_conversation_is_the_same_wherever_it_is_split() {
        let key = format!("{PEM}\n");
        let one = chat(128, b'C');
        let two = chat(128, 0);
        let wire = [
            key.as_bytes(),
            b"[CHAT]",
            &one,
            &two,
            b"QUIT",
            b"[CHAT]",
            &two,
            b"[DISCONNECT]",
        ]
        .concat();
        let whole = [
            Said::Name("anna".into()),
            Said::Key(PEM.into()),
            Said::Enter,
            Said::Chat(one.clone()),
            Said::Chat(two.clone()),
            Said::Leave,
            Said::Enter,
            Said::Chat(two.clone()),
            Said::Disconnect,
        ];
        for cut in 0..=wire.len() {
            let said = feed(&[128], &[b"anna", &wire[..cut], &wire[cut..]]).unwrap();
            assert_eq!(said, whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = wire.chunks(1).collect();
        let said = feed(&[128], &[&[b"anna".as_slice()], &bytes[..]].concat()).unwrap();
        assert_eq!(said, whole);
    }

    #[test]
    fn blocks_of_several_lengths_are_told_apart_by_what_follows() {
        let head = format!("{PEM}[CHAT]");
        let (short, long) = (chat(64, 1), chat(128, 2));
        for order in [
            [&short, &long, &short],
            [&long, &short, &long],
            [&short, &short, &long],
        ] {
            let wire = [&order[0][..], order[1], order[2], b"QUIT"].concat();
            let said = feed(&[64, 128], &[b"anna", head.as_bytes(), &wire]).unwrap();
            let chats: Vec<_> = order.iter().map(|wire| Said::Chat(wire.to_vec())).collect();
            assert_eq!(said[3..6], chats);
            assert_eq!(said[6..], [Said::Leave]);
        }
        // One message a read, as the old clients' pauses make it.
        let reads: [&[u8]; 5] = [b"anna", head.as_bytes(), &short, &long, &short];
        let said = feed(&[64, 128], &reads).unwrap();
        assert_eq!(
            said[3..],
            [
                Said::Chat(short.clone()),
                Said::Chat(long),
                Said::Chat(short)
            ]
        );
    }

    #[test]
    fn what_has_no_header_is_refused_and_the_next_read_is_understood() {
        let said = feed(
            &[4],
            &[
                b"anna",
                PEM.as_bytes(),
                b"hello",
                b"[CHAT]",
                b"\x00\x01",
                b"CHATabcd",
                b"QUIT",
                b"CHATabcd",
                b"[STREAM]",
                b"\xff",
                b"[DISCONNECT]",
            ],
        );
        assert_eq!(
            said.unwrap()[2..],
            [
                Said::Refused("header"),
                Said::Enter,
                Said::Refused("header"),
                Said::Chat(b"CHATabcd".to_vec()),
                Said::Leave,
                Said::Refused("header"),
                Said::List,
                Said::Refused("video name"),
                Said::Disconnect,
            ]
        );
    }

    #[test]
    fn a_video_name_is_what_one_read_brings() {
        let said = feed(
            &[4],
            &[
                b"anna",
                PEM.as_bytes(),
                b"[STREAM]",
                b" my_film\r\n",
                b"[STREAM]",
                b"[CHAT]",
            ],
        );
        assert_eq!(
            said.unwrap()[2..],
            [
                Said::List,
                Said::Video("my_film".into()),
                Said::List,
                Said::Enter
            ]
        );
    }

    #[test]
    fn a_video_may_be_named_like_a_word() {
        for name in ["QUITE_nice", "QUIT", "[CHAT] with anna"] {
            let said = feed(
                &[4],
                &[b"anna", PEM.as_bytes(), b"[STREAM]", name.as_bytes()],
            );
            assert_eq!(said.unwrap()[2..], [Said::List, Said::Video(name.into())]);
        }
    }

    #[test]
    fn a_key_of_the_other_kind_is_an_error() {
        let error = feed(&[4], &[b"anna", b"-----BEGIN PUBLIC KEY-----\n"]).unwrap_err();
        assert_eq!(error.field, "public key");
    }

    proptest! {
        #[test]
        fn random_input_never_panics_and_takes_no_more_than_there_is(
            input in proptest::collection::vec(any::<u8>(), 0..300), start in 0usize..5, word in 0usize..6,
        ) {
            let words: [&[u8]; 6] = [b"", b"CHAT", b"QUIT", b"[STREAM]", b"STRM", b"URIF"];
            let input = [words[word], &input].concat();
            let mut decoder = Decoder::new();
            decoder.set_blocks(Arc::new([64, 128]));
            decoder.stage = [Stage::Name, Stage::Key, Stage::Choice, Stage::Chat, Stage::VideoName][start];
            if let Ok(Step::Got { used, .. } | Step::Refused { used, .. } | Step::More { used }) = decoder.decode(&input) {
                prop_assert!(used <= input.len());
            }
            let _ = ServerDecoder::default().decode(&input, 128);
        }
    }
}

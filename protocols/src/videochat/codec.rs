//! The bytes of videochat.
//!
//! Until the key is there, both sides send bare text:
//!
//! ```text
//! server  Enter your name:␠          client  anna
//! server  Enter the public key:␠     client  -----BEGIN PUBLIC KEY----- … -----END PUBLIC KEY-----
//! ```
//!
//! From then on every message is framed, integers big-endian:
//!
//! ```text
//! type 1, JSON    01 | length u32 | JSON object with "identifier"
//! type 2, frame   02 | length u32 | size in decimal ASCII, 16 bytes, left-justified | JPEG
//!                                   (length = 16 + size)
//! ```

use std::borrow::Cow;

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeSliceError, Engine as _};
use bytes::{BufMut, Bytes, BytesMut};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::message::{ClientMessage, Presence, ServerMessage};
use crate::wire::{self, Step, WireError};

/// Type of a JSON message.
pub const TYPE_JSON: u8 = 1;
/// Type of a frame.
pub const TYPE_FRAME: u8 = 2;
/// Bytes of type and length.
pub const HEAD: usize = 5;
/// Bytes of a frame before its JPEG: type, length, and the size in ASCII.
pub const FRAME_HEAD: usize = HEAD + SIZE_FIELD;
const SIZE_FIELD: usize = 16;
/// The longest JSON body that is taken from a client, in bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// The longest body that is passed over to follow a client which sent too much, in bytes.
pub const MAX_SKIP: usize = 16 * 1024 * 1024;
/// The longest RSA block that is relayed, in bytes: that of a 4,096-bit key, the longest that is taken.
const MAX_CIPHER: usize = 512;

const BEGIN: &[u8] = b"-----BEGIN PUBLIC KEY-----";
const END: &[u8] = b"-----END PUBLIC KEY-----";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Name,
    Key,
    Framed,
}

/// Decodes what a client sends.
#[derive(Debug)]
pub struct Decoder {
    stage: Stage,
    /// Bytes of a refused body that are still to be passed over.
    skip: usize,
    /// The first framed message has begun.
    begun: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder {
            stage: Stage::Name,
            skip: 0,
            begun: false,
        }
    }
}

impl Decoder {
    /// Takes the next message from `input`, which is all that is unread.
    ///
    /// # Errors
    /// The stream can't be followed any further: a bad name or key, an unknown type, an absurd length.
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> Result<Step<ClientMessage<'a>>, WireError> {
        match self.stage {
            Stage::Name => {
                if input.is_empty() {
                    return Ok(Step::More { used: 0 });
                }
                let (name, used) = wire::name(input, BEGIN)?;
                self.stage = Stage::Key;
                Ok(Step::Got {
                    message: ClientMessage::Name(name),
                    used,
                })
            }
            Stage::Key => {
                let step = wire::pem(input, BEGIN, END)?.map(ClientMessage::PublicKey);
                if matches!(step, Step::Got { .. }) {
                    self.stage = Stage::Framed;
                }
                Ok(step)
            }
            Stage::Framed => self.framed(input),
        }
    }

    /// Whether the key is there, so that both sides frame what they send.
    pub fn is_framed(&self) -> bool {
        self.stage == Stage::Framed
    }

    fn framed<'a>(&mut self, input: &'a [u8]) -> Result<Step<ClientMessage<'a>>, WireError> {
        if self.skip > 0 {
            let used = self.skip.min(input.len());
            self.skip -= used;
            return Ok(Step::More { used });
        }
        // The line end of the key may come in a read of its own. No type is white space.
        let blank = match self.begun {
            true => 0,
            false => wire::leading_white(input),
        };
        self.begun |= blank < input.len();
        let Some((kind, length)) = head(&input[blank..]) else {
            return Ok(Step::More { used: blank });
        };
        if kind != TYPE_JSON && kind != TYPE_FRAME {
            return Err(WireError::new(
                0,
                "type",
                format!("{kind} is neither 1 (JSON) nor 2 (frame)"),
            ));
        }
        if length > MAX_SKIP {
            return Err(WireError::new(
                1,
                "length",
                format!("{length} bytes are more than the {MAX_BODY} that a message may have"),
            ));
        }
        let refusal = if kind == TYPE_FRAME {
            Some(WireError::new(0, "type", "a client sends no frames"))
        } else if length > MAX_BODY {
            Some(WireError::new(
                1,
                "length",
                format!("{length} bytes are more than the {MAX_BODY} that a message may have"),
            ))
        } else {
            None
        };
        if let Some(error) = refusal {
            self.skip = length;
            return Ok(Step::Refused {
                error,
                used: blank + HEAD,
            });
        }
        let Some(body) = input.get(blank + HEAD..blank + HEAD + length) else {
            return Ok(Step::More { used: blank });
        };
        let used = blank + HEAD + length;
        Ok(match client_json(body) {
            Ok(message) => Step::Got { message, used },
            Err(error) => Step::Refused { error, used },
        })
    }
}

fn head(input: &[u8]) -> Option<(u8, usize)> {
    let (head, _) = input.split_first_chunk::<HEAD>()?;
    let [kind, a, b, c, d] = *head;
    // usize has at least 32 bits on every machine that runs FFmpeg.
    Some((kind, u32::from_be_bytes([a, b, c, d]) as usize))
}

#[derive(Deserialize)]
struct ClientJson<'a> {
    #[serde(borrow)]
    identifier: Cow<'a, str>,
    #[serde(borrow, default)]
    encrypt_message: Option<Text<'a>>,
    #[serde(borrow, default)]
    choice: Option<Text<'a>>,
    #[serde(borrow, default)]
    to: Hint<'a>,
}

/// A string, or anything else, which then is none.
#[derive(Default)]
struct Hint<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Hint<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Any<'a> {
            Text(#[serde(borrow)] Cow<'a, str>),
            Other(IgnoredAny),
        }
        Ok(match Any::deserialize(deserializer)? {
            Any::Text(text) => Hint(Some(text)),
            Any::Other(_) => Hint(None),
        })
    }
}

/// A string that borrows where it can, also behind an `Option`.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn client_json(body: &[u8]) -> Result<ClientMessage<'_>, WireError> {
    // An array of values in the order of our members would do for the library.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(WireError::new(HEAD, "body", "a message is a JSON object"));
    }
    let json: ClientJson = serde_json::from_slice(body)
        .map_err(|e| WireError::new(HEAD + e.column().saturating_sub(1), "body", e.to_string()))?;
    let member = |text: Option<Text<'_>>, field| {
        text.map(|text| text.0.into_owned())
            .ok_or_else(|| WireError::new(HEAD, field, "this member is missing"))
    };
    match json.identifier.as_ref() {
        "Communication" => {
            let Some(Text(encrypt_message)) = json.encrypt_message else {
                return Err(WireError::new(
                    HEAD,
                    "encrypt_message",
                    "this member is missing",
                ));
            };
            base64_checked(&encrypt_message)?;
            Ok(ClientMessage::Communication {
                encrypt_message,
                to: json.to.0,
            })
        }
        "Video List" => Ok(ClientMessage::VideoList),
        "Video Choice" => Ok(ClientMessage::VideoChoice {
            choice: Cow::Owned(member(json.choice, "choice")?),
        }),
        "QUIT" => Ok(ClientMessage::Quit),
        other => Err(WireError::new(
            HEAD,
            "identifier",
            format!(
                "\"{}\" is not known here",
                other.escape_debug().take(64).collect::<String>()
            ),
        )),
    }
}

/// Old clients decode what they get without a second thought: no text that is not base64 may reach them.
fn base64_checked(text: &str) -> Result<(), WireError> {
    let mut cipher = [0; MAX_CIPHER];
    let rule = match STANDARD.decode_slice(text, &mut cipher) {
        Ok(0) => "this is empty",
        Ok(_) => return Ok(()),
        Err(DecodeSliceError::OutputSliceTooSmall) => "this is longer than one RSA block",
        Err(DecodeSliceError::DecodeError(_)) => "this is no base64",
    };
    Err(WireError::new(HEAD, "encrypt_message", rule))
}

/// A JSON message around `body`.
pub fn json_frame(body: &[u8]) -> Bytes {
    let mut wire = BytesMut::with_capacity(HEAD + body.len());
    put_json(&mut wire, &[body]);
    wire.freeze()
}

fn put_json(wire: &mut BytesMut, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    wire.reserve(HEAD + length);
    wire.put_u8(TYPE_JSON);
    // Bodies are made of lists that fit in memory many times over; one of 4 GiB can't come up.
    wire.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    for part in parts {
        wire.put_slice(part);
    }
}

/// `broadcast_message` or `AFK`: the list of everyone, a JSON object as
/// [`wire::people_object`] makes it, and who came or left (several names are joined with `, `).
pub fn presence(kind: Presence, people: &[u8], names: &str) -> Bytes {
    let identifier: &[u8] = match kind {
        Presence::Joined => b"{\"identifier\":\"broadcast_message\",\"data\":",
        Presence::Left => b"{\"identifier\":\"AFK\",\"data\":",
    };
    let mut wire = BytesMut::new();
    put_json(
        &mut wire,
        &[
            identifier,
            people,
            b",\"name\":",
            &wire::json_string(names),
            b"}",
        ],
    );
    wire.freeze()
}

/// Appends a `Communication` from the person whose name `from` is, as a JSON string.
///
/// `encrypt_message` has come through [`Decoder`] and so is base64, which JSON shows as it is.
pub fn put_communication(wire: &mut BytesMut, encrypt_message: &str, from: &[u8]) {
    put_json(
        wire,
        &[
            b"{\"identifier\":\"Communication\",\"encrypt_message\":\"",
            encrypt_message.as_bytes(),
            b"\",\"from\":",
            from,
            b"}",
        ],
    );
}

/// One RSA block as `encrypt_message` says it, …
pub fn cipher_text(block: &[u8]) -> String {
    STANDARD.encode(block)
}

/// … and back, if it has `length` bytes: anything else is looked at for no longer than that takes.
pub fn cipher_block(encrypt_message: &str, length: usize) -> Option<Vec<u8>> {
    if encrypt_message.len() != length.div_ceil(3) * 4 {
        return None;
    }
    let block = STANDARD.decode(encrypt_message).ok()?;
    (block.len() == length).then_some(block)
}

/// The answer to `Video List`: file names.
pub fn video_list(files: &[String]) -> Bytes {
    json_frame(
        serde_json::json!({"identifier": "Video List", "data": files})
            .to_string()
            .as_bytes(),
    )
}

/// `Video Frame`: frames follow.
pub fn video_frame() -> Bytes {
    json_frame(b"{\"identifier\":\"Video Frame\"}")
}

/// `Video Finish`: that was the last frame.
pub fn video_finish() -> Bytes {
    json_frame(b"{\"identifier\":\"Video Finish\"}")
}

/// `Disconnection`: goodbye to you too.
pub fn disconnection() -> Bytes {
    json_frame(b"{\"identifier\":\"Disconnection\"}")
}

/// `Error`: what is wrong, to the one at fault.
pub fn error(message: &str) -> Bytes {
    json_frame(
        serde_json::json!({"identifier": "Error", "message": message})
            .to_string()
            .as_bytes(),
    )
}

/// The bytes of a frame that come before its JPEG of `size` bytes.
pub fn frame_head(size: usize) -> [u8; FRAME_HEAD] {
    let mut head = [b' '; FRAME_HEAD];
    head[0] = TYPE_FRAME;
    let length = u32::try_from(SIZE_FIELD + size).unwrap_or(u32::MAX);
    head[1..HEAD].copy_from_slice(&length.to_be_bytes());
    let digits = size.to_string();
    // A JPEG of 10^16 bytes can't come up; the slice keeps the head well-formed if it did.
    let digits = &digits.as_bytes()[..digits.len().min(SIZE_FIELD)];
    head[HEAD..HEAD + digits.len()].copy_from_slice(digits);
    head
}

/// What the client's side needs: for our own load program and tests, and to prove the encoders.
///
/// `max` is the longest body that is taken, in bytes.
///
/// # Errors
/// An unknown type, a body that is too long or no JSON, a frame whose two sizes differ.
pub fn decode_server(input: &[u8], max: usize) -> Result<Step<ServerMessage>, WireError> {
    let Some((kind, length)) = head(input) else {
        return Ok(Step::More { used: 0 });
    };
    if length > max {
        return Err(WireError::new(1, "length", "the message is too long"));
    }
    let Some(body) = input.get(HEAD..HEAD + length) else {
        return Ok(Step::More { used: 0 });
    };
    let message = match kind {
        TYPE_JSON => ServerMessage::Json(
            serde_json::from_slice(body)
                .map_err(|e| WireError::new(HEAD, "body", e.to_string()))?,
        ),
        TYPE_FRAME => {
            let Some((size, jpeg)) = body.split_at_checked(SIZE_FIELD) else {
                return Err(WireError::new(1, "length", "a frame has 16 bytes of size"));
            };
            let size = std::str::from_utf8(size)
                .ok()
                .and_then(|s| s.trim_end().parse().ok());
            if size != Some(jpeg.len()) {
                return Err(WireError::new(HEAD, "size", "size and length differ"));
            }
            ServerMessage::Frame(Bytes::copy_from_slice(jpeg))
        }
        _ => return Err(WireError::new(0, "type", "neither JSON nor a frame")),
    };
    Ok(Step::Got {
        message,
        used: HEAD + length,
    })
}

/// What a client sends once it is in, for our own load program and tests.
pub fn client_frame(message: &ClientMessage<'_>, from: &str) -> Bytes {
    let json = match message {
        ClientMessage::Name(text) | ClientMessage::PublicKey(text) => {
            return Bytes::copy_from_slice(text.as_bytes());
        }
        ClientMessage::Communication {
            encrypt_message,
            to: None,
        } => serde_json::json!({
            "identifier": "Communication", "encrypt_message": encrypt_message, "from": from}),
        ClientMessage::Communication {
            encrypt_message,
            to: Some(to),
        } => serde_json::json!({
            "identifier": "Communication", "encrypt_message": encrypt_message, "from": from, "to": to}),
        ClientMessage::VideoList => serde_json::json!({"identifier": "Video List"}),
        ClientMessage::VideoChoice { choice } => {
            serde_json::json!({"identifier": "Video Choice", "choice": choice, "from": from})
        }
        ClientMessage::Quit => serde_json::json!({"identifier": "QUIT"}),
    };
    json_frame(json.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----";

    /// Feeds `wire` cut into the given reads, as a connection does, and collects what comes out.
    fn feed(reads: &[&[u8]]) -> Result<Vec<Result<ClientMessage<'static>, WireError>>, WireError> {
        let (mut decoder, mut unread, mut said) = (Decoder::default(), Vec::new(), Vec::new());
        for read in reads {
            unread.extend_from_slice(read);
            loop {
                let used = match decoder.decode(&unread)? {
                    Step::Got { message, used } => {
                        said.push(Ok(owned(message)));
                        used
                    }
                    Step::Refused { error, used } => {
                        said.push(Err(error));
                        used
                    }
                    Step::More { used } => {
                        unread.drain(..used);
                        if used > 0 {
                            continue;
                        }
                        break;
                    }
                };
                unread.drain(..used);
            }
        }
        Ok(said)
    }

    fn owned(message: ClientMessage<'_>) -> ClientMessage<'static> {
        match message {
            ClientMessage::Name(name) => ClientMessage::Name(name.to_owned().leak()),
            ClientMessage::PublicKey(pem) => ClientMessage::PublicKey(pem.to_owned().leak()),
            ClientMessage::Communication {
                encrypt_message,
                to,
            } => ClientMessage::Communication {
                encrypt_message: encrypt_message.into_owned().into(),
                to: to.map(|to| to.into_owned().into()),
            },
            ClientMessage::VideoList => ClientMessage::VideoList,
            ClientMessage::VideoChoice { choice } => ClientMessage::VideoChoice {
                choice: choice.into_owned().into(),
            },
            ClientMessage::Quit => ClientMessage::Quit,
        }
    }

    fn raw(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut wire = vec![kind];
        wire.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
        wire.extend_from_slice(body);
        wire
    }

    fn conversation() -> (Vec<u8>, Vec<ClientMessage<'static>>) {
        let framed = [
            ClientMessage::Communication {
                encrypt_message: "AAECAw==".into(),
                to: None,
            },
            ClientMessage::Communication {
                encrypt_message: "AAECAw==".into(),
                to: Some("Zoë@web".into()),
            },
            ClientMessage::VideoList,
            ClientMessage::VideoChoice {
                choice: "Zoë_240p.mp4".into(),
            },
            ClientMessage::Quit,
        ];
        let mut wire = format!("{PEM}\n").into_bytes();
        for message in &framed {
            wire.extend_from_slice(&client_frame(message, "anna"));
        }
        let mut said = vec![ClientMessage::Name("anna"), ClientMessage::PublicKey(PEM)];
        said.extend(framed);
        (wire, said)
    }

    #[test]
    fn client_bytes_are_golden() {
        assert_eq!(
            &client_frame(&ClientMessage::VideoList, "a")[..],
            b"\x01\x00\x00\x00\x1b{\"identifier\":\"Video List\"}"
        );
        assert_eq!(
            feed(&[
                b"anna",
                PEM.as_bytes(),
                b"\n\x01\x00\x00\x00\x46{\"identifier\": \"Communication\", \"encrypt_message\": \"AQID\", \"from\":\"x\"}",
                b"\x01\x00\x00\x00\x39{\"identifier\": \"Video Choice\", \"choice\": \"\\u00e9_1p.mp4\"}",
                b"\x01\x00\x00\x00\x15{\"identifier\":\"QUIT\"}",
            ])
            .unwrap(),
            [
                Ok(ClientMessage::Name("anna")),
                Ok(ClientMessage::PublicKey(PEM)),
                Ok(ClientMessage::Communication {
                    encrypt_message: "AQID".into(),
                    to: None
                }),
                Ok(ClientMessage::VideoChoice {
                    choice: "é_1p.mp4".into()
                }),
                Ok(ClientMessage::Quit),
            ]
        );
    }

    #[test]
    fn a_hint_that_is_no_text_is_none() {
        for to in ["null", "5", "[\"a\"]", "{\"a\":[{}]}"] {
            let body = format!(
                "{{\"identifier\":\"Communication\",\"to\":{to},\"encrypt_message\":\"AQID\"}}"
            );
            let message = client_json(body.as_bytes()).unwrap();
            let ClientMessage::Communication { to, .. } = message else {
                panic!("{body}")
            };
            assert_eq!(to, None, "{body}");
        }
    }

    #[test]
    fn a_block_comes_back_if_it_has_its_length() {
        for length in 262..266 {
            let text = cipher_text(&vec![7; length]);
            assert_eq!(cipher_block(&text, 264).is_some(), length == 264);
        }
        assert_eq!(cipher_block(&"!".repeat(352), 264), None);
    }

    #[test]
    fn server_bytes_are_golden() {
        assert_eq!(
            &presence(Presence::Joined, b"{\"a\":\"K\"}", "a")[..],
            b"\x01\x00\x00\x00\x3e{\"identifier\":\"broadcast_message\",\"data\":{\"a\":\"K\"},\"name\":\"a\"}"
        );
        assert_eq!(
            &presence(Presence::Left, b"{}", "a, b")[..],
            b"\x01\x00\x00\x00\x2c{\"identifier\":\"AFK\",\"data\":{},\"name\":\"a, b\"}"
        );
        let mut wire = BytesMut::new();
        put_communication(&mut wire, "AQID", b"\"b\"");
        assert_eq!(
            &wire[..],
            b"\x01\x00\x00\x00\x42{\"identifier\":\"Communication\",\"encrypt_message\":\"AQID\",\"from\":\"b\"}"
        );
        assert_eq!(
            &video_list(&["a_1p.mp4".into()])[..],
            b"\x01\x00\x00\x00\x2f{\"data\":[\"a_1p.mp4\"],\"identifier\":\"Video List\"}"
        );
        assert_eq!(
            &video_frame()[..],
            b"\x01\x00\x00\x00\x1c{\"identifier\":\"Video Frame\"}"
        );
        assert_eq!(
            &video_finish()[..],
            b"\x01\x00\x00\x00\x1d{\"identifier\":\"Video Finish\"}"
        );
        assert_eq!(
            &disconnection()[..],
            b"\x01\x00\x00\x00\x1e{\"identifier\":\"Disconnection\"}"
        );
        assert_eq!(
            &error("no")[..],
            b"\x01\x00\x00\x00\x25{\"identifier\":\"Error\",\"message\":\"no\"}"
        );
        assert_eq!(&frame_head(3)[..], b"\x02\x00\x00\x00\x133               ");
    }

    #[test]
    fn server_messages_come_back_as_they_went() {
        let mut wire = presence(Presence::Joined, b"{}", "Zo\"ë").to_vec();
        wire.extend_from_slice(&frame_head(4));
        wire.extend_from_slice(b"JPEG");
        wire.extend_from_slice(&error("a \"quoted\" rule"));
        let whole = [
            ServerMessage::Json(
                json!({"identifier": "broadcast_message", "data": {}, "name": "Zo\"ë"}),
            ),
            ServerMessage::Frame(Bytes::from_static(b"JPEG")),
            ServerMessage::Json(json!({"identifier": "Error", "message": "a \"quoted\" rule"})),
        ];
        for cut in 0..=wire.len() {
            let (mut unread, mut said) = (Vec::new(), Vec::new());
            for read in [&wire[..cut], &wire[cut..]] {
                unread.extend_from_slice(read);
                while let Step::Got { message, used } = decode_server(&unread, 1 << 20).unwrap() {
                    said.push(message);
                    unread.drain(..used);
                }
            }
            assert_eq!(said, whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_conversation_is_the_same_wherever_it_is_split() {
        let (wire, said) = conversation();
        let said: Vec<_> = said.into_iter().map(Ok).collect();
        for cut in 0..=wire.len() {
            let heard = feed(&[b"anna", &wire[..cut], &wire[cut..]]).unwrap();
            assert_eq!(heard, said, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(
            feed(&[&[b"anna".as_slice()], &bytes[..]].concat()).unwrap(),
            said
        );
        let hurried = [b"anna".as_slice(), &wire].concat();
        assert_eq!(feed(&[&hurried]).unwrap(), said, "name and key in one read");
    }

    #[test]
    fn what_breaks_a_rule_is_named_and_the_next_message_is_read() {
        let long = "A".repeat(4 * MAX_CIPHER);
        for (bad, field) in [
            (raw(1, b"no json"), "body"),
            (raw(1, b""), "body"),
            (raw(1, b"[]"), "body"),
            (raw(1, b"[\"Video List\", null, \"QUIT\"]"), "body"),
            (raw(1, b"{\"identifier\":7}"), "body"),
            (raw(1, b"{\"data\":7}"), "body"),
            (raw(1, b"{\"identifier\":\"\\ud800\"}"), "body"),
            (raw(1, b"\xff\xfe"), "body"),
            (raw(1, b"{\"identifier\":\"Dance\"}"), "identifier"),
            (
                raw(1, b"{\"identifier\":\"Communication\"}"),
                "encrypt_message",
            ),
            (
                raw(
                    1,
                    b"{\"identifier\":\"Communication\",\"encrypt_message\":\"\"}",
                ),
                "encrypt_message",
            ),
            (
                raw(
                    1,
                    b"{\"identifier\":\"Communication\",\"encrypt_message\":\"*\"}",
                ),
                "encrypt_message",
            ),
            (
                raw(
                    1,
                    format!("{{\"identifier\":\"Communication\",\"encrypt_message\":\"{long}\"}}")
                        .as_bytes(),
                ),
                "encrypt_message",
            ),
            (raw(1, b"{\"identifier\":\"Video Choice\"}"), "choice"),
            (raw(1, &vec![b'['; 60_000]), "body"),
            (raw(1, &vec![b' '; MAX_BODY + 1]), "length"),
            (raw(2, b"frame"), "type"),
        ] {
            let said = feed(&[
                b"anna",
                PEM.as_bytes(),
                &bad,
                &raw(1, b"{\"identifier\":\"QUIT\"}"),
            ])
            .unwrap();
            let [_, _, Err(error), Ok(ClientMessage::Quit)] = &said[..] else {
                panic!("{field}: {said:?}")
            };
            assert_eq!(error.field, field);
        }
    }

    #[test]
    fn a_stream_that_can_not_be_followed_is_an_error() {
        for (bad, field) in [
            (b"\x01\x00\x00\x00\x02{}\n\n\n\n\n".to_vec(), "type"),
            (b"GET / HTTP/1.1\r\n".to_vec(), "type"),
            (b"\x01\xff\xff\xff\xff".to_vec(), "length"),
            (b"\x02\xff\xff\xff\xff".to_vec(), "length"),
        ] {
            assert_eq!(
                feed(&[b"anna", PEM.as_bytes(), &bad]).unwrap_err().field,
                field
            );
        }
        assert_eq!(feed(&[b"anna", b"no key"]).unwrap_err().field, "public key");
        assert_eq!(feed(&[b"\xff"]).unwrap_err().field, "name");
    }

    proptest! {
        #[test]
        fn random_input_never_panics_and_takes_no_more_than_there_is(
            input in proptest::collection::vec(any::<u8>(), 0..300), start in 0usize..3, kind in 0u8..4
        ) {
            let stage = [Stage::Name, Stage::Key, Stage::Framed][start];
            let mut decoder = Decoder { stage, skip: 0, begun: false };
            let framed = [raw(kind, &input), input.clone()].concat();
            for wire in [&input, &framed] {
                if let Ok(Step::Got { used, .. } | Step::Refused { used, .. } | Step::More { used }) =
                    decoder.decode(wire)
                {
                    prop_assert!(used <= wire.len());
                }
            }
            let _ = decode_server(&framed, 1 << 20);
        }

        #[test]
        fn what_is_relayed_is_what_was_said(cipher in proptest::collection::vec(any::<u8>(), 1..512), from in "\\PC{1,64}") {
            let text = STANDARD.encode(&cipher);
            let wire = client_frame(&ClientMessage::Communication { encrypt_message: text.as_str().into(), to: None }, "somebody else");
            let said = feed(&[b"anna", PEM.as_bytes(), &wire]).unwrap();
            let Ok(ClientMessage::Communication { encrypt_message, .. }) = &said[2] else { panic!() };
            let mut relayed = BytesMut::new();
            put_communication(&mut relayed, encrypt_message, &wire::json_string(&from));
            let Step::Got { message: ServerMessage::Json(json), used } = decode_server(&relayed, 1 << 20).unwrap() else { panic!() };
            prop_assert_eq!(used, relayed.len());
            prop_assert_eq!(json, json!({"identifier": "Communication", "encrypt_message": text, "from": from}));
        }
    }
}

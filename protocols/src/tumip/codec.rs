//! The bytes of tumip: a header, and text behind it where there is any.
//!
//! ```text
//! bare      user u32 | request u8 | flag u8 | field u16              as the protocol's document has it
//! marked    01 | user u32 | request u8 | flag u8 | field u16         as its client has it
//!
//! request 1   register; field: width × height of the pictures
//!   answer    1, flag 00, field: UDP port      or 1, flag 10, field 0
//! request 3   ask the bot; field: length of the text | text
//!   answer    3, flag 00, field: length | text      or 3, flag 10, with the reason as text
//! others      answered with their own number and flag 10
//! ```
//!
//! The first message decides for all: a client that begins with the byte 01 and has something else than
//! a flag of 0 where a bare header has its flag sends the marker, since no request has the number 0.
//! (Bare, it would be a user with a number from 2²⁴ on, and then its flag is 0.)
//!
//! Clients ask the bot with a field that is not the length of what they send. What is shorter ends when
//! its sender has been quiet for a while, which only a clock can tell: see [`Decoder::quiet`].

use bytes::{BufMut, Bytes, BytesMut};

use super::message::{Answer, ClientMessage, Request, ServerMessage};
use crate::wire::{Step, WireError};

/// The largest picture, in pixels: 230 × 230.
pub const MAX_PIXELS: u16 = 230 * 230;
/// The longest picture, in bytes: what a datagram carries over IPv4, less than three for each pixel.
pub const MAX_PICTURE: usize = 65_507;
/// The longest answer, in bytes: clients read it with a single recv of this.
pub const MAX_ANSWER: usize = 8_024;

const HEADER: usize = 8;
const MARKER: u8 = 1;
const REGISTER: u8 = 1;
const ASK: u8 = 3;
const FINE: u8 = 0;
const FAILED: u8 = 0x10;

/// The form of a client's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// As in the document: 8 bytes.
    Bare,
    /// As its client has it: a marker before them.
    Marked,
}

impl Form {
    /// The form that `input` begins with; `None` if it is too short to tell.
    fn of(input: &[u8]) -> Option<Form> {
        match (input.first()?, input.get(5)) {
            (&MARKER, None) => None,
            (&MARKER, Some(&flag)) if flag != FINE => Some(Form::Marked),
            _ => Some(Form::Bare),
        }
    }

    fn marker(self) -> usize {
        match self {
            Form::Bare => 0,
            Form::Marked => 1,
        }
    }
}

/// Decodes what a client sends.
#[derive(Debug, Default)]
pub struct Decoder {
    form: Option<Form>,
}

/// A header, and the bytes it takes.
struct Header {
    user: u32,
    request: u8,
    field: u16,
    length: usize,
}

impl Decoder {
    /// The form of the client's headers, once it has sent one.
    pub fn form(&self) -> Option<Form> {
        self.form
    }

    /// Takes the next message from `input`, which is all that is unread.
    ///
    /// # Errors
    /// A marked header without its marker: the stream can't be followed any further.
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> Result<Step<ClientMessage<'a>>, WireError> {
        let Some(header) = self.header(input)? else {
            return Ok(Step::More { used: 0 });
        };
        let body = match header.request {
            ASK => usize::from(header.field),
            _ => 0,
        };
        match input.get(header.length..header.length + body) {
            Some(body) => Ok(header.message(body)),
            None => Ok(Step::More { used: 0 }),
        }
    }

    /// The question in `input`, whose sender has been quiet for so long that there is no more of it to
    /// come, whatever its header says. `None` if there is none.
    pub fn quiet<'a>(&mut self, input: &'a [u8]) -> Option<Step<ClientMessage<'a>>> {
        let header = self.header(input).ok()??;
        let body = input.get(header.length..)?;
        (header.request == ASK).then(|| header.message(body))
    }

    fn header(&mut self, input: &[u8]) -> Result<Option<Header>, WireError> {
        let Some(form) = self.form.or_else(|| Form::of(input)) else {
            return Ok(None);
        };
        let length = HEADER + form.marker();
        let Some(header) = input.get(..length) else {
            return Ok(None);
        };
        let (marker, header) = header.split_at(form.marker());
        let &[a, b, c, d, request, _flag, high, low] = header else {
            return Ok(None);
        };
        if marker.iter().any(|&marker| marker != MARKER) {
            let rule = "a header begins with 01, as the first one did";
            return Err(WireError::new(0, "marker", rule));
        }
        self.form = Some(form);
        Ok(Some(Header {
            user: u32::from_be_bytes([a, b, c, d]),
            request,
            field: u16::from_be_bytes([high, low]),
            length,
        }))
    }
}

impl Header {
    fn message<'a>(&self, body: &'a [u8]) -> Step<ClientMessage<'a>> {
        let request = match self.request {
            REGISTER => Request::Register { pixels: self.field },
            ASK => Request::Ask(body),
            other => Request::Other(other),
        };
        Step::Got {
            message: ClientMessage {
                user: self.user,
                request,
            },
            used: self.length + body.len(),
        }
    }
}

fn put_header(out: &mut BytesMut, form: Form, user: u32, request: u8, flag: u8, field: u16) {
    if form == Form::Marked {
        out.put_u8(MARKER);
    }
    out.put_u32(user);
    out.put_u8(request);
    out.put_u8(flag);
    out.put_u16(field);
}

/// `text`, without what is more than `most` bytes of it: whole characters where it is UTF-8.
fn cut(text: &[u8], most: usize) -> &[u8] {
    let Some(cut) = text.get(..most) else {
        return text;
    };
    match std::str::from_utf8(cut) {
        // What was cut through is less than a character.
        Err(e) if e.error_len().is_none() => &cut[..e.valid_up_to()],
        _ => cut,
    }
}

impl ServerMessage {
    /// The answer in the form that asked, cut to what clients read at once.
    pub fn encode(&self, form: Form) -> Bytes {
        let room = MAX_ANSWER - HEADER - form.marker();
        let (request, flag, field, text) = match &self.answer {
            Answer::Accepted { port } => (REGISTER, FINE, *port, &[][..]),
            Answer::Rejected => (REGISTER, FAILED, 0, &[][..]),
            Answer::Unknown(request) => (*request, FAILED, 0, &[][..]),
            Answer::Said(text) => (ASK, FINE, 0, cut(text, room)),
            Answer::Failed(text) => (ASK, FAILED, 0, cut(text, room)),
        };
        let field = match request {
            ASK => u16::try_from(text.len()).unwrap_or(u16::MAX),
            _ => field,
        };
        let mut out = BytesMut::with_capacity(HEADER + form.marker() + text.len());
        put_header(&mut out, form, self.user, request, flag, field);
        out.put_slice(text);
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORMS: [Form; 2] = [Form::Bare, Form::Marked];

    fn request(form: Form, message: ClientMessage<'_>) -> Vec<u8> {
        let (request, field, body) = match message.request {
            Request::Register { pixels } => (REGISTER, pixels, &[][..]),
            Request::Ask(text) => (ASK, u16::try_from(text.len()).unwrap(), text),
            Request::Other(request) => (request, 7, &[][..]),
        };
        let mut out = BytesMut::new();
        put_header(&mut out, form, message.user, request, FINE, field);
        out.put_slice(body);
        out.to_vec()
    }

    fn got<'a>(decoder: &mut Decoder, input: &'a [u8]) -> (ClientMessage<'a>, usize) {
        match decoder.decode(input).unwrap() {
            Step::Got { message, used } => (message, used),
            step => panic!("{step:?}"),
        }
    }

    #[test]
    fn requests_have_these_bytes_in_both_forms() {
        let register = Request::Register { pixels: 16_384 };
        let golden: [(&[u8], Form, Request<'_>); 5] = [
            (b"\0\0\0\x20\x01\0\x40\0", Form::Bare, register),
            (b"\x01\0\0\0\x20\x01\0\x40\0", Form::Marked, register),
            (b"\0\0\0\x20\x03\0\0\x02hi", Form::Bare, Request::Ask(b"hi")),
            (
                b"\x01\0\0\0\x20\x03\0\0\x02hi",
                Form::Marked,
                Request::Ask(b"hi"),
            ),
            (
                b"\x01\0\0\0\x20\x09\0\0\x07",
                Form::Marked,
                Request::Other(9),
            ),
        ];
        for (bytes, form, wanted) in golden {
            let mut decoder = Decoder::default();
            let (message, used) = got(&mut decoder, bytes);
            assert_eq!((message.user, message.request), (32, wanted));
            assert_eq!((used, decoder.form()), (bytes.len(), Some(form)));
            assert_eq!(request(form, message), bytes);
        }
    }

    #[test]
    fn answers_have_these_bytes_in_both_forms() {
        let golden: [(Answer, &[u8]); 5] = [
            (
                Answer::Accepted { port: 55_001 },
                b"\0\0\0\x20\x01\0\xd6\xd9",
            ),
            (Answer::Rejected, b"\0\0\0\x20\x01\x10\0\0"),
            (
                Answer::Said("né".into()),
                b"\0\0\0\x20\x03\0\0\x03n\xc3\xa9",
            ),
            (
                Answer::Failed(b"no".to_vec()),
                b"\0\0\0\x20\x03\x10\0\x02no",
            ),
            (Answer::Unknown(9), b"\0\0\0\x20\x09\x10\0\0"),
        ];
        for (answer, bytes) in golden {
            let message = ServerMessage { user: 32, answer };
            assert_eq!(message.encode(Form::Bare), bytes);
            assert_eq!(message.encode(Form::Marked), [b"\x01", bytes].concat());
        }
    }

    #[test]
    fn a_user_whose_number_begins_like_the_marker_is_not_taken_for_one() {
        let message = ClientMessage {
            user: 0x0100_0020,
            request: Request::Register { pixels: 100 },
        };
        let bytes = request(Form::Bare, message);
        let mut decoder = Decoder::default();
        assert_eq!(got(&mut decoder, &bytes), (message, 8));
        assert_eq!(decoder.form(), Some(Form::Bare));
    }

    #[test]
    fn a_marked_client_stays_one() {
        let mut decoder = Decoder::default();
        got(&mut decoder, b"\x01\0\0\0\x20\x01\0\x40\0");
        let error = decoder.decode(b"\0\0\0\x20\x01\0\x40\0\0").unwrap_err();
        assert_eq!((error.position, error.field), (0, "marker"));
    }

    #[test]
    fn a_question_that_is_shorter_than_its_header_says_ends_when_its_sender_is_quiet() {
        let bytes = b"\x01\0\0\0\x20\x03\0\x40\0hello";
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(bytes), Ok(Step::More { used: 0 }));
        let ask = ClientMessage {
            user: 32,
            request: Request::Ask(b"hello"),
        };
        let used = bytes.len();
        assert_eq!(decoder.quiet(bytes), Some(Step::Got { message: ask, used }));
        assert_eq!(
            decoder.quiet(&bytes[..8]),
            None,
            "half a header asks nothing"
        );
        assert_eq!(decoder.quiet(b""), None);
    }

    #[test]
    fn answers_are_cut_to_one_recv_between_characters() {
        for form in FORMS {
            let answer = Answer::Said("é".repeat(MAX_ANSWER).into());
            let bytes = ServerMessage { user: 1, answer }.encode(form);
            let text = &bytes[HEADER + form.marker()..];
            assert!(bytes.len() <= MAX_ANSWER && bytes.len() > MAX_ANSWER - 2);
            assert!(std::str::from_utf8(text).is_ok());
            let field = [
                bytes[HEADER + form.marker() - 2],
                bytes[HEADER + form.marker() - 1],
            ];
            assert_eq!(usize::from(u16::from_be_bytes(field)), text.len());
        }
    }

    fn any_request() -> impl Strategy<Value = (u32, u8, Vec<u8>, u16)> {
        (
            any::<u32>(),
            1..=255_u8,
            proptest::collection::vec(any::<u8>(), 0..300),
            any::<u16>(),
        )
    }

    proptest! {
        #[test]
        fn messages_come_whole_wherever_they_are_split(
            messages in proptest::collection::vec(any_request(), 1..5),
            marked: bool,
        ) {
            let form = if marked { Form::Marked } else { Form::Bare };
            let messages: Vec<ClientMessage<'_>> = messages
                .iter()
                .map(|(user, request, text, pixels)| ClientMessage {
                    // Bare, the marker as the first byte of a user's number is told by the flag.
                    user: *user,
                    request: match *request {
                        REGISTER => Request::Register { pixels: *pixels },
                        ASK => Request::Ask(text),
                        other => Request::Other(other),
                    },
                })
                .collect();
            let wire: Vec<u8> = messages.iter().flat_map(|message| request(form, *message)).collect();
            for cut in 0..=wire.len() {
                let (mut decoder, mut at, mut came) = (Decoder::default(), 0, Vec::new());
                for end in [cut, wire.len()] {
                    while let Step::Got { message, used } = decoder.decode(&wire[at..end]).unwrap() {
                        at += used;
                        came.push(message);
                    }
                }
                prop_assert_eq!(&came, &messages);
            }
        }

        #[test]
        fn nothing_that_comes_can_harm(input: Vec<u8>) {
            let mut decoder = Decoder::default();
            let mut at = 0;
            while let Ok(Step::Got { used, .. }) = decoder.decode(&input[at..]) {
                prop_assert!(used > 0);
                at += used;
            }
            decoder.quiet(&input[at..]);
        }
    }
}

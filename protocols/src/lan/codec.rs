//! The bytes of the plain services.
//!
//! ```text
//! lan_file    → the file                                             then the connection closes
//! lan_chat    → Welcome to this chatroom!
//!             ← text                                                 a line, or what one read brings
//!             → <192.168.1.5> text                                   to all others
//! lan_audio   → samples: i16 little-endian, mono, 44,100 a second    4,096 at a time
//! lan_video   ← length | pickle                                      length: u64 or u32, little-endian
//! ```
//!
//! The length in lan_video is a native `unsigned long` of the camera's machine: 8 bytes on Linux and macOS,
//! 4 on Windows. A pickle begins with 0x80, and no frame has 4 GiB, so the fifth byte tells them apart.

use std::net::IpAddr;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use super::message::{Frame, Text};
use crate::wire::{Step, WireError};

/// What a newcomer in lan_chat reads first.
pub const WELCOME: &[u8] = b"Welcome to this chatroom!";
/// The longest text in lan_chat that is one message, in bytes: what its people take with one read.
pub const MAX_TEXT: usize = 2048;
/// Samples in a buffer of lan_audio.
pub const BUFFER_SAMPLES: usize = 4096;

/// The first byte of every pickle of protocol 2 or later.
const PICKLE: u8 = 0x80;
/// Memory that a frame gets before any of it is here, at most.
const FIRST_RESERVE: usize = 64 * 1024;

/// Takes the next text from `input`, which is all that is unread: a line, or [`MAX_TEXT`] bytes of one
/// that is longer. What has no end yet may still get one: see [`quiet_text`].
pub fn decode_text(input: &[u8]) -> Step<Text<'_>> {
    let window = &input[..input.len().min(MAX_TEXT)];
    let used = match memchr::memchr(b'\n', window) {
        Some(end) => end + 1,
        None if window.len() == MAX_TEXT => whole_characters(window),
        None => return Step::More { used: 0 },
    };
    Step::Got {
        message: Text(&input[..used]),
        used,
    }
}

/// What is unread as a text, whose sender has been quiet for so long that no line end is to come. The
/// beginning of a character stays for the next time, unless there is nothing else.
pub fn quiet_text(input: &[u8]) -> Option<Text<'_>> {
    let whole = match whole_characters(input) {
        0 => input.len(),
        whole => whole,
    };
    (whole > 0).then_some(Text(&input[..whole]))
}

/// How much of `text` does not end in the middle of a UTF-8 character; all of it if it is no UTF-8.
fn whole_characters(text: &[u8]) -> usize {
    let tail = text.len().saturating_sub(3);
    let begin = text.iter().rposition(|byte| byte & 0xC0 != 0x80);
    match begin {
        Some(at) if at >= tail && text[at] >= 0xC0 => {
            let needs = match text[at] {
                0xF0.. => 4,
                0xE0.. => 3,
                _ => 2,
            };
            if text.len() - at < needs {
                at
            } else {
                text.len()
            }
        }
        _ => text.len(),
    }
}

/// Appends `text` as the others read it; says where it stands there, without its line end.
pub fn encode_text(to: &mut BytesMut, prefix: &[u8], text: Text<'_>) -> Range<usize> {
    to.reserve(prefix.len() + text.0.len());
    to.put_slice(prefix);
    let begin = to.len();
    to.put_slice(text.0);
    let line = text.0.strip_suffix(b"\n").unwrap_or(text.0);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    begin..begin + line.len()
}

/// What stands before each text of somebody at `ip`.
pub fn prefix(ip: IpAddr) -> Bytes {
    Bytes::from(format!("<{ip}> "))
}

/// Samples as they cross the wire.
pub fn encode_samples(samples: &[i16]) -> Bytes {
    samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect()
}

/// Decodes what a camera sends. A frame is kept here until it is whole, so that nothing is copied twice.
#[derive(Debug)]
pub struct FrameDecoder {
    max_bytes: usize,
    frame: Vec<u8>,
    /// Bytes of the frame that is under way.
    length: Option<usize>,
}

impl FrameDecoder {
    /// For frames of at most `max_bytes`.
    pub fn new(max_bytes: usize) -> FrameDecoder {
        FrameDecoder {
            max_bytes,
            frame: Vec::new(),
            length: None,
        }
    }

    /// Takes the next frame from `input`, which is all that is unread, or what there is of it.
    ///
    /// # Errors
    /// A length that no frame has: the stream can't be followed any further. No byte of it is kept.
    pub fn decode(&mut self, input: &[u8]) -> Result<Step<Frame>, WireError> {
        let (head, length) = match self.length {
            Some(length) => (0, length),
            None => match self.head(input)? {
                Some(head) => head,
                None => return Ok(Step::More { used: 0 }),
            },
        };
        self.length = Some(length);
        let body = input.get(head..).unwrap_or_default();
        let taken = body.len().min(length - self.frame.len());
        let body = &body[..taken];
        if self.frame.capacity() - self.frame.len() < taken {
            // Twice what is here: memory follows what comes, not what was announced.
            let want = (2 * (self.frame.len() + taken))
                .max(FIRST_RESERVE)
                .min(length);
            self.frame.reserve_exact(want - self.frame.len());
        }
        self.frame.extend_from_slice(body);
        let used = head + taken;
        if self.frame.len() < length {
            return Ok(Step::More { used });
        }
        self.length = None;
        Ok(Step::Got {
            message: Frame(std::mem::take(&mut self.frame)),
            used,
        })
    }

    /// Takes the memory of a frame that was decoded here back, for the next one.
    pub fn reuse(&mut self, mut memory: Vec<u8>) {
        if self.length.is_none() {
            memory.clear();
            self.frame = memory;
        }
    }

    /// Whether part of a frame is here.
    pub fn is_amid(&self) -> bool {
        self.length.is_some()
    }

    /// How long the head is, and the frame; `None` if that can't be told yet.
    fn head(&self, input: &[u8]) -> Result<Option<(usize, usize)>, WireError> {
        let Some((&[a, b, c, d, fifth], rest)) = input.split_first_chunk() else {
            return Ok(None);
        };
        let low = u32::from_le_bytes([a, b, c, d]);
        let (head, length) = match fifth {
            PICKLE => (4, u64::from(low)),
            _ => {
                let Some(&[f, g, h]) = rest.first_chunk() else {
                    return Ok(None);
                };
                (8, u64::from_le_bytes([a, b, c, d, fifth, f, g, h]))
            }
        };
        match usize::try_from(length) {
            Ok(0) => Err(WireError::new(0, "length", "a frame is not empty")),
            Ok(length) if length <= self.max_bytes => Ok(Some((head, length))),
            _ => {
                let rule = format!(
                    "{length} bytes: a frame has at most {} (lan_video.max_frame_mb)",
                    self.max_bytes
                );
                Err(WireError::new(0, "length", rule))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(mut input: &[u8]) -> (Vec<&[u8]>, &[u8]) {
        let mut texts = Vec::new();
        while let Step::Got { message, used } = decode_text(input) {
            texts.push(message.0);
            input = &input[used..];
        }
        (texts, input)
    }

    #[test]
    fn a_line_is_one_text() {
        assert_eq!(
            texts(b"one\n\r\ntwo\r\nthr"),
            (vec![&b"one\n"[..], b"\r\n", b"two\r\n"], &b"thr"[..])
        );
        assert_eq!(decode_text(b""), Step::More { used: 0 });
        assert_eq!(quiet_text(b"thr"), Some(Text(b"thr")));
        assert_eq!(quiet_text(b""), None);
        let euro = "5 €".as_bytes();
        assert_eq!(quiet_text(&euro[..4]), Some(Text(b"5 ")));
        assert_eq!(quiet_text(&euro[2..4]), Some(Text(&euro[2..4])));
    }

    #[test]
    fn a_long_line_comes_in_pieces_of_whole_characters() {
        let line = [vec![b'a'; MAX_TEXT - 1], b"\n".to_vec()].concat();
        assert_eq!(texts(&line).0, [&line[..]]);
        for (character, cut) in [("é", 1), ("€", 1), ("€", 2), ("😀", 1), ("😀", 3), ("a", 1)]
        {
            let before = "x".repeat(MAX_TEXT - cut);
            let line = format!("{before}{character}{}", "y".repeat(3000));
            let (texts, rest) = texts(line.as_bytes());
            assert!(texts.iter().all(|text| std::str::from_utf8(text).is_ok()));
            assert!(std::str::from_utf8(rest).is_ok());
            assert_eq!([&texts.concat(), rest].concat(), line.as_bytes());
        }
        // What is no UTF-8 is cut where the window ends.
        let binary = [0x80; MAX_TEXT + 5];
        assert_eq!(texts(&binary).0[0].len(), MAX_TEXT);
        let last = [&[b'a'; MAX_TEXT - 1][..], &[0xC3], b"z"].concat();
        assert_eq!(texts(&last).0[0].len(), MAX_TEXT - 1);
    }

    #[test]
    fn others_read_the_address_before_a_text() {
        let mut wire = BytesMut::new();
        let prefix = prefix("192.168.1.5".parse().unwrap());
        encode_text(&mut wire, &prefix, Text(b"hello\n"));
        encode_text(&mut wire, &prefix, Text(b"there"));
        assert_eq!(wire, "<192.168.1.5> hello\n<192.168.1.5> there");
    }

    #[test]
    fn samples_are_little_endian() {
        let wire = encode_samples(&[0, 1, -1, i16::MAX, i16::MIN]);
        assert_eq!(wire[..], [0, 0, 1, 0, 255, 255, 255, 127, 0, 128]);
    }

    /// All frames of `input`, fed in pieces that end at `cuts`.
    fn frames(input: &[u8], cuts: &[usize]) -> Result<Vec<Frame>, WireError> {
        let mut decoder = FrameDecoder::new(1000);
        let (mut frames, mut unread, mut from) = (Vec::new(), Vec::new(), 0);
        for &cut in cuts.iter().chain([&input.len()]) {
            let cut = cut.clamp(from, input.len());
            unread.extend_from_slice(&input[from..cut]);
            from = cut;
            loop {
                let used = match decoder.decode(&unread)? {
                    Step::Got { message, used } => {
                        frames.push(message);
                        used
                    }
                    Step::More { used } => used,
                    Step::Refused { .. } => unreachable!(),
                };
                unread.drain(..used);
                if used == 0 {
                    break;
                }
            }
        }
        Ok(frames)
    }

    const LONG: &[u8] = b"\x03\0\0\0\0\0\0\0\x80\x04.";
    const SHORT: &[u8] = b"\x03\0\0\0\x80\x02.";

    #[test]
    fn both_lengths_are_understood_however_they_come() {
        let wire = [LONG, SHORT, LONG].concat();
        let expected =
            [b"\x80\x04.", b"\x80\x02.", b"\x80\x04."].map(|pickle| Frame(pickle.to_vec()));
        for cut in 0..=wire.len() {
            assert_eq!(frames(&wire, &[cut]).unwrap(), expected, "cut at {cut}");
        }
        let each: Vec<usize> = (0..wire.len()).collect();
        assert_eq!(frames(&wire, &each).unwrap(), expected);
    }

    #[test]
    fn lengths_are_checked_before_a_byte_is_kept() {
        let refused = |wire: &[u8]| {
            let mut decoder = FrameDecoder::new(1000);
            let error = decoder.decode(wire).unwrap_err();
            assert_eq!(decoder.frame.capacity(), 0);
            error.to_string()
        };
        assert_eq!(
            refused(&[0xE9, 3, 0, 0, 0, 0, 0, 0, 0x80]),
            "length at byte 0: 1001 bytes: a frame has at most 1000 (lan_video.max_frame_mb)"
        );
        assert!(refused(&[255; 8]).contains("18446744073709551615 bytes"));
        assert!(refused(&[255, 255, 255, 255, 0x80]).contains("4294967295 bytes"));
        assert!(refused(&[0; 8]).contains("not empty"));
        assert!(refused(b"\0\0\0\0\x80").contains("not empty"));
        assert!(refused(b"GET / HTTP/1.1").contains("at most"));
        let mut decoder = FrameDecoder::new(1000);
        assert_eq!(
            decoder.decode(&[0xE8, 3, 0, 0, 0, 0, 0, 0]).unwrap(),
            Step::More { used: 8 }
        );
        assert!(decoder.is_amid());
        assert!(decoder.frame.capacity() <= 1000);
    }

    #[test]
    fn memory_follows_what_comes() {
        let mut decoder = FrameDecoder::new(32 << 20);
        let mut wire = (31_u64 << 20).to_le_bytes().to_vec();
        wire.push(0x80);
        decoder.decode(&wire).unwrap();
        assert_eq!(decoder.frame.capacity(), FIRST_RESERVE);
        let mut sent = 1;
        while sent < 31 << 20 {
            let piece = [7; 50_000];
            let piece = &piece[..piece.len().min((31 << 20) - sent)];
            sent += piece.len();
            match decoder.decode(piece).unwrap() {
                Step::More { .. } => {
                    assert!(decoder.frame.capacity() <= (2 * sent).max(FIRST_RESERVE));
                }
                Step::Got { message, .. } => assert_eq!(message.0.len(), 31 << 20),
                Step::Refused { .. } => unreachable!(),
            }
        }
        assert!(!decoder.is_amid());
        decoder.reuse(vec![1; 100]);
        assert_eq!(frames(&[LONG, LONG].concat(), &[]).unwrap().len(), 2);
        let kept = decoder.decode(LONG).unwrap();
        assert!(
            matches!(kept, Step::Got { message: Frame(frame), .. } if frame == LONG[8..] && frame.capacity() == 100)
        );
    }

    proptest! {
        #[test]
        fn frames_come_back_as_they_were_sent(
            bodies in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..300)), 0..6),
            cuts in proptest::collection::vec(0..2000_usize, 0..8),
        ) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut wire = Vec::new();
            let mut expected = Vec::new();
            for (long, body) in bodies {
                let pickle = [&[PICKLE], &body[..]].concat();
                match long {
                    true => wire.extend((pickle.len() as u64).to_le_bytes()),
                    false => wire.extend((pickle.len() as u32).to_le_bytes()),
                }
                wire.extend(&pickle);
                expected.push(Frame(pickle));
            }
            prop_assert_eq!(frames(&wire, &cuts).unwrap(), expected);
        }

        #[test]
        fn any_input_is_decoded_or_refused(input in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = frames(&input, &[]);
            let (texts, rest) = texts(&input);
            prop_assert_eq!([&texts.concat(), rest].concat(), input);
        }
    }
}

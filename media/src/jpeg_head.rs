//! Whether bytes from outside are one whole JPEG that viewers can decode, and how large its picture is:
//! found by walking from marker to marker, without decoding. Nothing is allocated, and each byte is looked
//! at once.
//!
//! The picture itself may still be damaged. What is certain is that it begins, ends, and has one frame of a
//! kind that every decoder knows.

use std::fmt;

use memchr::memchr;
use thiserror::Error;

use crate::clip::MAX_SIDE;

/// The size of a JPEG's picture, as its frame header claims it: a size is not limited here, and decoding
/// takes memory for all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JpegShape {
    /// In pixels; 1 to 65,535.
    pub width: u32,
    /// In pixels; 1 to 65,535.
    pub height: u32,
}

impl JpegShape {
    /// Whether memory may be taken for it.
    pub(crate) fn is_bearable(self) -> bool {
        let sides = 1..=MAX_SIDE;
        sides.contains(&self.width) && sides.contains(&self.height)
    }
}

/// Why bytes are no JPEG that can be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a JPEG, at byte {position}: {rule}")]
pub struct NotJpeg {
    /// Offset of the byte that breaks the rule; of the end, if something is missing there.
    pub position: usize,
    /// The rule.
    pub rule: JpegRule,
}

/// What a JPEG must be for [`inspect_jpeg`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JpegRule {
    /// The first two bytes.
    Start,
    /// It goes on to the end marker.
    End,
    /// Segments follow one another without a gap.
    Marker,
    /// A segment's length fits what it holds.
    Length,
    /// A kind of coding that every viewer knows.
    Coding,
    /// Bits for each sample.
    Precision,
    /// How many colours.
    Components,
    /// Neither side is 0.
    Size,
    /// A single picture.
    OneFrame,
    /// A scan comes after the frame's header, of that frame's components.
    Scan,
    /// What follows the end marker.
    AfterEnd,
}

impl fmt::Display for JpegRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "must begin with FF D8",
            Self::End => "cut off; must end with FF D9",
            Self::Marker => "a marker must come here",
            Self::Length => "the segment's length must fit its content",
            Self::Coding => "must be baseline, extended or progressive with Huffman coding",
            Self::Precision => "must have 8 bits a sample",
            Self::Components => "must have 1, 3 or 4 components",
            Self::Size => "width and height must be above 0",
            Self::OneFrame => "must have one frame",
            Self::Scan => "a frame must be followed by scans of its components, with data",
            Self::AfterEnd => "only zero bytes may follow the end",
        })
    }
}

/// What the walk found.
pub(crate) struct JpegHead {
    pub shape: JpegShape,
    /// Whether it brings its Huffman tables. Without them it is an abbreviated JPEG, as some cameras send
    /// them, which not every viewer decodes.
    pub has_tables: bool,
}

// Second byte of each marker; the first is FF.
const SOF0: u8 = 0xC0;
const SOF2: u8 = 0xC2;
const SOF3: u8 = 0xC3;
const SOF5: u8 = 0xC5;
const SOF11: u8 = 0xCB;
const SOF13: u8 = 0xCD;
const SOF15: u8 = 0xCF;
const DHT: u8 = 0xC4;
const DAC: u8 = 0xCC;
const RST0: u8 = 0xD0;
const RST7: u8 = 0xD7;
const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const TEM: u8 = 0x01;

/// Looks whether `bytes` are one JPEG from its first byte to its last: baseline, extended or progressive,
/// 8 bits a sample, 1, 3 or 4 components. Zero bytes may follow it.
///
/// # Errors
/// The first rule that is broken, and where.
pub fn inspect_jpeg(bytes: &[u8]) -> Result<JpegShape, NotJpeg> {
    walk(bytes).map(|head| head.shape)
}

/// As [`inspect_jpeg`], with all that is found on the way.
pub(crate) fn walk(bytes: &[u8]) -> Result<JpegHead, NotJpeg> {
    let mut walk = Walk { bytes, at: 0 };
    if !bytes.starts_with(&[0xFF, SOI]) {
        return Err(broken(0, JpegRule::Start));
    }
    walk.at = 2;
    let mut frame: Option<(JpegShape, usize)> = None;
    let mut has_tables = false;
    let mut scanned = false;
    loop {
        let (position, marker) = walk.marker()?;
        match marker {
            EOI => break,
            0 | TEM | RST0..=SOI => return Err(broken(position, JpegRule::Marker)),
            _ => {}
        }
        let (start, segment) = walk.segment()?;
        match marker {
            SOS => {
                let components = frame.map_or(0, |(_, components)| components);
                check_scan(start, segment, components)?;
                walk.skip_data()?;
                scanned = true;
            }
            SOF0..=SOF2 if frame.is_some() => return Err(broken(position, JpegRule::OneFrame)),
            SOF0..=SOF2 => frame = Some(read_frame(start, segment)?),
            DHT => has_tables = true,
            DAC => {}
            SOF3 | SOF5..=SOF11 | SOF13..=SOF15 => return Err(broken(position, JpegRule::Coding)),
            _ => {}
        }
    }
    let end = walk.at;
    let Some((shape, _)) = frame.filter(|_| scanned) else {
        return Err(broken(end, JpegRule::Scan));
    };
    let rest = bytes.get(end..).unwrap_or_default();
    match rest.iter().position(|&byte| byte != 0) {
        Some(offset) => Err(broken(end + offset, JpegRule::AfterEnd)),
        None => Ok(JpegHead { shape, has_tables }),
    }
}

fn broken(position: usize, rule: JpegRule) -> NotJpeg {
    NotJpeg { position, rule }
}

/// The frame header's content: precision, height, width, and three bytes for each component.
fn read_frame(start: usize, segment: &[u8]) -> Result<(JpegShape, usize), NotJpeg> {
    let &[precision, h1, h0, w1, w0, count, ref components @ ..] = segment else {
        return Err(broken(start, JpegRule::Length));
    };
    let components_fit = components.len() == usize::from(count) * 3;
    let shape = JpegShape {
        width: u16::from_be_bytes([w1, w0]).into(),
        height: u16::from_be_bytes([h1, h0]).into(),
    };
    if precision != 8 {
        Err(broken(start, JpegRule::Precision))
    } else if shape.width == 0 || shape.height == 0 {
        Err(broken(start + 1, JpegRule::Size))
    } else if !matches!(count, 1 | 3 | 4) {
        Err(broken(start + 5, JpegRule::Components))
    } else if !components_fit {
        Err(broken(start, JpegRule::Length))
    } else {
        Ok((shape, count.into()))
    }
}

/// The scan header's content: which of the frame's components it codes, and three bytes for how.
fn check_scan(start: usize, segment: &[u8], components: usize) -> Result<(), NotJpeg> {
    let Some((&count, rest)) = segment.split_first() else {
        return Err(broken(start, JpegRule::Length));
    };
    let count = usize::from(count);
    if !(1..=components).contains(&count) {
        Err(broken(start, JpegRule::Scan))
    } else if rest.len() != count * 2 + 3 {
        Err(broken(start, JpegRule::Length))
    } else {
        Ok(())
    }
}

/// A position in the bytes.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    fn cut_off(&self) -> NotJpeg {
        broken(self.bytes.len(), JpegRule::End)
    }

    fn byte(&mut self) -> Result<u8, NotJpeg> {
        let byte = *self.bytes.get(self.at).ok_or(self.cut_off())?;
        self.at += 1;
        Ok(byte)
    }

    /// The next marker and where it is; it may be preceded by any number of FF.
    fn marker(&mut self) -> Result<(usize, u8), NotJpeg> {
        let position = self.at;
        if self.byte()? != 0xFF {
            return Err(broken(position, JpegRule::Marker));
        }
        loop {
            match self.byte()? {
                0xFF => {}
                marker => return Ok((position, marker)),
            }
        }
    }

    /// A segment's content and where it starts. The length before it counts itself.
    fn segment(&mut self) -> Result<(usize, &'a [u8]), NotJpeg> {
        let position = self.at;
        let length = usize::from(u16::from_be_bytes([self.byte()?, self.byte()?]));
        let Some(length) = length.checked_sub(2) else {
            return Err(broken(position, JpegRule::Length));
        };
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let segment = rest.get(..length).ok_or(self.cut_off())?;
        self.at += length;
        Ok((start, segment))
    }

    /// Goes to the marker that ends a scan's data. FF 00 in it is a coded FF, and restart markers divide it.
    fn skip_data(&mut self) -> Result<(), NotJpeg> {
        let mut start = self.at;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let found = memchr(0xFF, rest).ok_or(self.cut_off())?;
            self.at += found;
            match rest.get(found + 1) {
                None => return Err(self.cut_off()),
                Some(0 | RST0..=RST7) => self.at += 2,
                // Fills up before a marker.
                Some(0xFF) => {
                    start += usize::from(self.at == start);
                    self.at += 1;
                }
                Some(_) if self.at == start => return Err(broken(start, JpegRule::Scan)),
                Some(_) => return Ok(()),
            }
        }
    }
}

//! Whether bytes from outside are one whole JPEG that viewers can decode, and how large its picture is:
//! found by walking from marker to marker, without decoding. Nothing is allocated, and each byte is looked
//! at once.
//!
//! The picture itself may still be damaged. What is certain is that it begins, ends, and has one frame of a
//! kind that every decoder knows, with scans that it can read and all the tables that these take.

use std::fmt;

use memchr::memchr;
use thiserror::Error;

use crate::clip::MAX_SIDE;
use crate::jpeg_tables::Tables;

/// A progressive JPEG of many scans takes seconds for a few bytes; honest ones have about ten.
pub(crate) const MAX_SCANS: u16 = 100;
/// Blocks of all components that a scan may code together.
const MAX_BLOCKS: u8 = 10;
/// How many bits of its coefficients a scan may leave to later ones.
const MAX_BITS_LEFT: u8 = 13;

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
    /// Segments of kinds that every viewer knows follow one another without a gap.
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
    /// How many samples each component has for the others'.
    Sampling,
    /// A quantisation or Huffman table that decoders take.
    Table,
    /// A single picture.
    OneFrame,
    /// A scan comes after the frame's header, of that frame's components.
    Scan,
    /// Which coefficients, and which of their bits, a scan of a progressive JPEG brings.
    Progression,
    /// A scan comes after the tables that it takes.
    Undefined,
    /// How many scans.
    Scans,
    /// What follows the end marker.
    AfterEnd,
}

impl fmt::Display for JpegRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "must begin with FF D8",
            Self::End => "cut off; must end with FF D9",
            Self::Marker => "a marker that viewers know must come here",
            Self::Length => "the segment's length must fit its content",
            Self::Coding => "must be baseline, extended or progressive with Huffman coding",
            Self::Precision => "must have 8 bits a sample",
            Self::Components => "must have 1, 3 or 4 components",
            Self::Size => "width and height must be above 0",
            Self::Sampling => {
                "sampling factors must be 1 to 4, divide the largest, and give a scan at most 10 blocks"
            }
            Self::Table => "tables must be whole, in places that exist, and codes that can be told apart",
            Self::OneFrame => "must have one frame",
            Self::Scan => "a frame must be followed by scans of its components, with data",
            Self::Progression => "must be a band of coefficients and bits of them that can come together",
            Self::Undefined => "quantisation and Huffman tables must be defined before the scan",
            Self::Scans => return write!(f, "must have at most {MAX_SCANS} scans"),
            Self::AfterEnd => "only zero bytes may follow the end",
        })
    }
}

// Second byte of each marker; the first is FF.
const SOF0: u8 = 0xC0;
const SOF2: u8 = 0xC2;
const SOF3: u8 = 0xC3;
const DHT: u8 = 0xC4;
const SOF15: u8 = 0xCF;
const RST0: u8 = 0xD0;
const RST7: u8 = 0xD7;
const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DQT: u8 = 0xDB;
const DNL: u8 = 0xDC;
const DRI: u8 = 0xDD;
const APP0: u8 = 0xE0;
const APP15: u8 = 0xEF;
const COM: u8 = 0xFE;

/// Looks whether `bytes` are one JPEG from its first byte to its last: baseline, extended or progressive,
/// 8 bits a sample, 1, 3 or 4 components, with all its tables. Zero bytes may follow it.
///
/// # Errors
/// The first rule that is broken, and where.
pub fn inspect_jpeg(bytes: &[u8]) -> Result<JpegShape, NotJpeg> {
    if !bytes.starts_with(&[0xFF, SOI]) {
        return Err(broken(0, JpegRule::Start));
    }
    let mut walk = Walk { bytes, at: 2 };
    let mut frame: Option<Frame> = None;
    let mut tables = Tables::default();
    let mut scans = 0;
    loop {
        let (position, marker) = walk.marker()?;
        match marker {
            EOI => break,
            SOF0..=SOF15 | SOS | DQT | DNL | DRI | APP0..=APP15 | COM => {}
            _ => return Err(broken(position, JpegRule::Marker)),
        }
        let (start, segment) = walk.segment()?;
        let ill = |rule| broken(start, rule);
        match marker {
            SOS => {
                let frame = frame.as_ref().ok_or(ill(JpegRule::Scan))?;
                check_scan(segment, frame, &tables).map_err(ill)?;
                scans += 1;
                if scans > MAX_SCANS {
                    return Err(broken(position, JpegRule::Scans));
                }
                walk.skip_data()?;
            }
            SOF0..=SOF2 if frame.is_some() => return Err(broken(position, JpegRule::OneFrame)),
            SOF0..=SOF2 => frame = Some(read_frame(marker, start, segment)?),
            DHT => tables.define_huffman(segment).ok_or(ill(JpegRule::Table))?,
            DQT => tables
                .define_quantisation(segment)
                .ok_or(ill(JpegRule::Table))?,
            DRI if segment.len() != 2 => return Err(ill(JpegRule::Length)),
            SOF3..=SOF15 => return Err(broken(position, JpegRule::Coding)),
            _ => {}
        }
    }
    let end = walk.at;
    let frame = frame.filter(|_| scans > 0);
    let shape = frame.ok_or(broken(end, JpegRule::Scan))?.shape;
    let rest = bytes.get(end..).unwrap_or_default();
    match rest.iter().position(|&byte| byte != 0) {
        Some(offset) => Err(broken(end + offset, JpegRule::AfterEnd)),
        None => Ok(shape),
    }
}

fn broken(position: usize, rule: JpegRule) -> NotJpeg {
    NotJpeg { position, rule }
}

/// What a frame header says.
struct Frame<'a> {
    shape: JpegShape,
    progressive: bool,
    components: &'a [Component],
}

/// Its name, its sampling factors, and the place of its quantisation table.
type Component = [u8; 3];

/// Across and down, of a component.
fn factors([_, factors, _]: &Component) -> [u8; 2] {
    [factors >> 4, factors & 0xF]
}

/// The frame header's content: precision, height, width, and the components.
fn read_frame(marker: u8, start: usize, segment: &[u8]) -> Result<Frame<'_>, NotJpeg> {
    let &[precision, h1, h0, w1, w0, count, ref rest @ ..] = segment else {
        return Err(broken(start, JpegRule::Length));
    };
    let (components, odd) = rest.as_chunks();
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
    } else if components.len() != usize::from(count) || !odd.is_empty() {
        Err(broken(start, JpegRule::Length))
    } else if !(0..2).all(|side| sampling_fits(components, side)) {
        Err(broken(start + 6, JpegRule::Sampling))
    } else {
        Ok(Frame {
            shape,
            progressive: marker == SOF2,
            components,
        })
    }
}

/// Viewers repeat whole samples.
fn sampling_fits(components: &[Component], side: usize) -> bool {
    let mut sampling = components.iter().map(|component| factors(component)[side]);
    let largest = sampling.clone().max().unwrap_or(0);
    largest <= 4 && sampling.all(|factor| factor != 0 && largest % factor == 0)
}

/// The scan header's content: which of the frame's components it codes, in their order there, with which
/// Huffman tables; the first and last of the coefficients, and which of their bits.
fn check_scan(segment: &[u8], frame: &Frame<'_>, tables: &Tables) -> Result<(), JpegRule> {
    let (&count, rest) = segment.split_first().ok_or(JpegRule::Length)?;
    if !(1..=frame.components.len()).contains(&count.into()) {
        return Err(JpegRule::Scan);
    }
    let (selectors, &[first, last, bits]) = rest.split_last_chunk().ok_or(JpegRule::Length)?;
    let (selectors, odd) = selectors.as_chunks::<2>();
    if selectors.len() != usize::from(count) || !odd.is_empty() {
        return Err(JpegRule::Length);
    }
    // How many bits the scans before it have left, 0 for the first one, and how many it leaves.
    let (before, left) = (bits >> 4, bits & 0xF);
    if frame.progressive {
        let band = match first {
            0 => last == 0,
            _ => (first..64).contains(&last) && count == 1,
        };
        if !band || left > MAX_BITS_LEFT || (before != 0 && before != left + 1) {
            return Err(JpegRule::Progression);
        }
    }
    let takes_dc = !frame.progressive || (first == 0 && before == 0);
    let takes_ac = !frame.progressive || first != 0;
    let mut components = frame.components.iter();
    let mut blocks = 0;
    for &[name, places] in selectors {
        let component = components.find(|component| component[0] == name);
        let [across, down] = factors(component.ok_or(JpegRule::Scan)?);
        blocks += across * down;
        if (takes_dc && !tables.has_dc(places >> 4)) || (takes_ac && !tables.has_ac(places & 0xF)) {
            return Err(JpegRule::Undefined);
        }
    }
    let mut quantisation = frame.components.iter().map(|&[.., place]| place);
    if !quantisation.all(|place| tables.has_quantisation(place)) {
        Err(JpegRule::Undefined)
    } else if count > 1 && blocks > MAX_BLOCKS {
        Err(JpegRule::Sampling)
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

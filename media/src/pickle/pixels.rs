//! An array's pixels, from where they lie in the pickle to rows.

use std::borrow::Cow;

use super::error::{PickleError, PickleRule};
use super::value::Text;
use super::{Channels, PickledFrame};

/// Where an array's elements lie.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    Bytes(&'a [u8]),
    /// One for each character.
    Latin1(Text<'a>),
}

/// An array that is a picture.
#[derive(Debug, Clone, Copy)]
pub struct Pixels<'a> {
    /// With as many bytes as there are elements, or about as many characters.
    pub source: Source<'a>,
    /// How many elements each axis of the source has. Those of the last one are neighbours.
    pub sides: [u32; 3],
    /// Which of these axes the rows, the columns and the channels are.
    pub axes: [usize; 3],
    pub channels: Channels,
}

impl<'a> Pixels<'a> {
    /// The picture, turned and decoded if it has to be.
    pub fn into_frame(mut self) -> Result<PickledFrame<'a>, PickleError> {
        let [height, width, _] = self.axes.map(|axis| self.sides[axis]);
        let pixels = match self.source {
            Source::Bytes(bytes) if self.axes == [0, 1, 2] => Cow::Borrowed(bytes),
            _ => Cow::Owned(self.turned()?),
        };
        Ok(PickledFrame {
            width,
            height,
            channels: self.channels,
            pixels,
        })
    }

    fn turned(&mut self) -> Result<Vec<u8>, PickleError> {
        let sides = self.sides.map(|side| side as usize);
        let size = sides.iter().product();
        let mut pixels = vec![0; size];
        if self.axes == [0, 1, 2] {
            self.read(&mut pixels, size)?;
        } else {
            // How far apart the picture has what are neighbours on each axis of the source.
            let [_, width, channels] = self.axes.map(|axis| sides[axis]);
            let mut steps = [0; 3];
            for (axis, step) in self.axes.into_iter().zip([width * channels, channels, 1]) {
                steps[axis] = step;
            }
            let mut line = vec![0; sides[2]];
            for i in 0..sides[0] {
                for j in 0..sides[1] {
                    self.read(&mut line, size)?;
                    let start = i * steps[0] + j * steps[1];
                    let targets = pixels.iter_mut().skip(start).step_by(steps[2]);
                    for (target, &element) in targets.zip(&line) {
                        *target = element;
                    }
                }
            }
        }
        match self.source {
            Source::Latin1(rest) if !rest.bytes.is_empty() => {
                Err(rest.broken(PickleRule::Characters(size)))
            }
            _ => Ok(pixels),
        }
    }

    /// Fills `target` with the next elements, of `size` in all.
    fn read(&mut self, target: &mut [u8], size: usize) -> Result<(), PickleError> {
        match &mut self.source {
            Source::Bytes(bytes) => {
                for (target, &byte) in target.iter_mut().zip(*bytes) {
                    *target = byte;
                }
                *bytes = bytes.get(target.len()..).unwrap_or_default();
                Ok(())
            }
            Source::Latin1(text) => text.decode(target, size),
        }
    }
}

impl Text<'_> {
    fn broken(&self, rule: PickleRule) -> PickleError {
        PickleError {
            position: self.position,
            opcode: None,
            rule,
        }
    }

    /// Fills `target` with the next characters, of `size` in all, and goes on behind them.
    ///
    /// A character from 80 on is C2 or C3 and a byte from 80 to BF, which lacks a bit after C3. Pictures have
    /// no pattern in which characters are such, so nothing here branches on that.
    fn decode(&mut self, target: &mut [u8], size: usize) -> Result<(), PickleError> {
        let (mut filled, mut used, mut lead) = (0, 0, 0);
        let rule = loop {
            let Some(target) = target.get_mut(filled) else {
                break None;
            };
            let Some(&byte) = self.bytes.get(used) else {
                break Some(PickleRule::Characters(size));
            };
            let leads = byte & 0xFE == 0xC2;
            let follows = byte & 0xC0 == 0x80;
            if follows != (lead != 0) || !(byte < 0x80 || leads || follows) {
                break Some(PickleRule::Latin1);
            }
            *target = byte | (lead & 1) << 6;
            lead = byte * u8::from(leads);
            filled += usize::from(!leads);
            used += 1;
        };
        self.position += used;
        self.bytes = self.bytes.get(used..).unwrap_or_default();
        rule.map_or(Ok(()), |rule| Err(self.broken(rule)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_of_latin1_is_decoded() {
        let text: String = (0..=255).map(char::from).collect();
        let mut text = Text {
            position: 7,
            bytes: text.as_bytes(),
        };
        let mut decoded = [0; 256];
        text.decode(&mut decoded[..200], 256).unwrap();
        text.decode(&mut decoded[200..], 256).unwrap();
        assert!(decoded.into_iter().eq(0..=255));
        assert_eq!((text.position, text.bytes), (7 + 128 + 256, &[][..]));
    }
}

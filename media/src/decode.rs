//! From a clip to its pictures: exactly as many as it has frames, in order, whatever the file holds.
//!
//! Frames are found by the presentation time that their packet carries, not by counting what the decoder
//! gives: it leaves out what it can't decode, and starts anywhere after a seek.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::av::{Decoded, Decoder, Frame, Input, Packet};
use crate::clip::{self, Clip, ClipError};
use crate::timeline::Key;

/// Decodes one clip. Not shared, but may move between threads.
pub struct ClipDecoder {
    clip: Arc<Clip>,
    threads: usize,
    /// `None` when the file can't be opened any more.
    source: Option<Source>,
    position: u32,
    /// A frame that came out before its turn.
    ahead: Option<(i64, Arc<Frame>)>,
    /// What is shown again for a frame that doesn't come.
    last: Option<Arc<Frame>>,
}

/// A decoded frame of a clip. A clone shares the pixels.
#[derive(Clone)]
pub struct Picture {
    frame: Arc<Frame>,
    index: u32,
    repeated: bool,
}

impl Picture {
    /// Which frame of the clip it stands for; 0 for one of a live source.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Whether that frame couldn't be decoded and this is another one in its place.
    pub fn repeated(&self) -> bool {
        self.repeated
    }

    /// In pixels; may change in the middle of a clip.
    pub fn width(&self) -> u32 {
        self.frame.raw().width.unsigned_abs()
    }

    /// In pixels; may change in the middle of a clip.
    pub fn height(&self) -> u32 {
        self.frame.raw().height.unsigned_abs()
    }

    /// A picture that is of no clip.
    pub(crate) fn of(frame: Frame) -> Picture {
        Picture {
            frame: Arc::new(frame),
            index: 0,
            repeated: false,
        }
    }

    pub(crate) fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl ClipDecoder {
    /// Opens the clip's file at frame 0, with this many decoding threads (at least 1).
    ///
    /// # Errors
    /// The file is gone, unreadable, or no longer the one that was probed.
    pub fn open(clip: Arc<Clip>, threads: usize) -> Result<Self, ClipError> {
        let source = Some(Source::open(&clip, threads)?);
        Ok(ClipDecoder {
            clip,
            threads,
            source,
            position: 0,
            ahead: None,
            last: None,
        })
    }

    /// The clip it decodes.
    pub fn clip(&self) -> &Arc<Clip> {
        &self.clip
    }

    /// Index of the frame that [`next`](Self::next) would return.
    pub fn position(&self) -> u32 {
        self.position
    }

    /// Positions so that [`next`](Self::next) returns frame `i`; past the end, so that it returns `None`.
    /// Decodes on if `i` lies ahead in the same group of pictures, seeks to the key frame otherwise. The
    /// decoding itself is left to `next`.
    ///
    /// # Errors
    /// The file had to be opened again and couldn't be. The position is `i` all the same, and `next` repeats
    /// what it has.
    pub fn seek(&mut self, i: u32) -> Result<(), ClipError> {
        let here = self.position;
        self.position = i.min(self.clip.frame_count());
        let ahead = i >= here && (self.clip.counted || self.clip.key_frame_before(i) <= here);
        if ahead || i >= self.clip.frame_count() {
            return Ok(());
        }
        self.ahead = None;
        self.last = None;
        if let Some(key) = self.clip.key_before(i)
            && !self.clip.counted
            && let Some(source) = &mut self.source
            && source.seek(self.clip.stream, key)
        {
            return Ok(());
        }
        self.source = None;
        self.source = Some(Source::open(&self.clip, self.threads)?);
        Ok(())
    }

    /// The next frame. Exactly [`frame_count`](Clip::frame_count) come from the start on, then `None`: one
    /// that can't be decoded is replaced by the last good one, else the nearest, else a grey picture.
    #[allow(clippy::should_implement_trait)] // an iterator's `next` wouldn't go with `seek`
    pub fn next(&mut self) -> Option<Picture> {
        let index = self.position;
        let wanted = self.clip.stamp(index)?;
        let wanted = if self.clip.counted {
            index.into()
        } else {
            wanted
        };
        let found = self.decode_to(wanted);
        let repeated = found.is_none();
        let frame = found.or_else(|| self.substitute())?;
        self.last = Some(frame.clone());
        self.position += 1;
        Some(Picture {
            frame,
            index,
            repeated,
        })
    }

    /// The frame with the stamp `wanted`, if it comes.
    fn decode_to(&mut self, wanted: i64) -> Option<Arc<Frame>> {
        loop {
            let (stamp, frame) = match self.ahead.take() {
                Some(ahead) => ahead,
                None => self.source.as_mut()?.decode(&self.clip, wanted)?,
            };
            match stamp.cmp(&wanted) {
                Ordering::Less => self.last = Some(frame),
                Ordering::Equal => return Some(frame),
                Ordering::Greater => {
                    self.ahead = Some((stamp, frame));
                    return None;
                }
            }
        }
    }

    fn substitute(&self) -> Option<Arc<Frame>> {
        let near = self
            .last
            .as_ref()
            .or(self.ahead.as_ref().map(|(_, frame)| frame));
        near.cloned()
            .or_else(|| self.first_good())
            .or_else(|| Frame::grey(self.clip.width, self.clip.height).map(Arc::new))
    }

    fn first_good(&self) -> Option<Arc<Frame>> {
        let mut source = Source::open(&self.clip, 1).ok()?;
        source.decode(&self.clip, i64::MIN).map(|(_, frame)| frame)
    }
}

/// An open file and its decoder.
struct Source {
    input: Input,
    decoder: Decoder,
    packet: Packet,
    /// Whether `packet` has been read but not sent.
    holds_packet: bool,
    /// Whether the decoder knows that no packet will come.
    drained: bool,
    /// How many frames came out.
    decoded: i64,
}

impl Source {
    fn open(clip: &Clip, threads: usize) -> Result<Source, ClipError> {
        let path = &clip.path;
        if clip::regular_file(path)?.len() != clip.bytes {
            return Err(ClipError::Changed { path: path.clone() });
        }
        let mut input = clip::open(path)?;
        input.select(clip.stream);
        let decoder = Decoder::open(&input, clip.stream, threads)
            .map_err(|error| clip::undecodable(path, error))?;
        let packet = Packet::new().map_err(|error| clip::undecodable(path, error))?;
        Ok(Source {
            input,
            decoder,
            packet,
            holds_packet: false,
            drained: false,
            decoded: 0,
        })
    }

    /// The next good frame and its stamp. Work on frames before `wanted` that no other needs is skipped.
    fn decode(&mut self, clip: &Clip, wanted: i64) -> Option<(i64, Arc<Frame>)> {
        loop {
            match self.decoder.receive() {
                Decoded::Frame(frame) => {
                    let stamp = if clip.counted {
                        self.decoded
                    } else {
                        frame.pts().unwrap_or(wanted)
                    };
                    self.decoded += 1;
                    return Some((stamp, Arc::new(frame)));
                }
                Decoded::End => return None,
                Decoded::Hungry if self.drained => return None,
                Decoded::Hungry
                    if self.holds_packet || self.input.read(clip.stream, &mut self.packet) =>
                {
                    self.holds_packet = false;
                    let passed_over =
                        !clip.counted && self.packet.pts().is_some_and(|pts| pts < wanted);
                    self.decoder.skip_unreferenced(passed_over);
                    self.decoder.send(Some(&self.packet));
                }
                Decoded::Hungry => {
                    self.drained = true;
                    self.decoder.send(None);
                }
            }
        }
    }

    /// Positions at `key` or a key frame before it. False if the container can't.
    fn seek(&mut self, stream: i32, key: Key) -> bool {
        self.decoder.flush();
        self.drained = false;
        // Containers search by presentation time, by decoding time or by something between: the first may
        // land too late, the second is never later.
        [key.pts, key.dts].into_iter().any(|timestamp| {
            self.holds_packet = self.input.seek(stream, timestamp) && self.read_to_key(stream);
            self.holds_packet && self.packet.pts().is_some_and(|pts| pts <= key.pts)
        })
    }

    fn read_to_key(&mut self, stream: i32) -> bool {
        while self.input.read(stream, &mut self.packet) {
            if self.packet.is_key() {
                return true;
            }
        }
        false
    }
}

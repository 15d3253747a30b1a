//! Live sources: a file that is played again and again, a stream on the network, a camera.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::av::{Decoded, Decoder, Frame, Medium, Packet, StreamFacts};
use crate::decode::Picture;
use crate::jpeg_head::{JpegShape, inspect_jpeg};
use crate::live_error::LiveError;
use crate::live_feed::Feed;
use crate::pace::Pace;

/// Few: sources are read as long as the server runs, besides all else.
const THREADS: usize = 2;
/// So many packets in a row without a picture are the end: some 50 seconds of a source that needs a key
/// frame first.
const MAX_BARREN: u32 = 3000;

/// A picture of a live source.
pub struct LivePicture {
    /// When it is to be shown, from the first one on; never less than the one before. Of a source that is
    /// read as it comes ([`LiveInput::is_file`] is false) that is when it came.
    pub due: Duration,
    pub image: LiveImage,
}

/// The pixels of a [`LivePicture`].
pub enum LiveImage {
    /// A JPEG as the source has it.
    Jpeg(Bytes),
    /// For a [`JpegEncoder`](crate::JpegEncoder).
    Decoded(Picture),
}

/// An open live source. Blocking; belongs on a thread of its own.
pub struct LiveInput {
    feed: Feed,
    source: Source,
    /// `None` if pictures are due when they come.
    pace: Option<Pace>,
    /// When the first picture came.
    began: Option<Instant>,
    /// Whether there has been a picture since the file's beginning.
    fruitful: bool,
}

impl LiveInput {
    /// Opens what `url` names: a path of a file, which is played in a loop; `scheme://…` for what FFmpeg
    /// reads from the network; `device:FORMAT:NAME` for a capture device.
    ///
    /// `stop`, set from another thread, ends any call that waits, within about 0.1 s, and so does a wait of
    /// more than `patience` for the next of the source's packets. Looking a host's name up is the one thing
    /// that neither can end.
    ///
    /// # Errors
    /// All of [`LiveError`] but `NoPicture`, `Ended`, `Broken` and what is said of sound.
    pub fn open(
        url: &str,
        stop: Arc<AtomicBool>,
        patience: Duration,
    ) -> Result<LiveInput, LiveError> {
        let mut feed = Feed::open(url, Medium::Pictures, stop, patience)?;
        let source = Source::open(&mut feed)?;
        Ok(LiveInput {
            pace: feed.runs_ahead().then(|| Pace::new(&source.facts)),
            feed,
            source,
            began: None,
            fruitful: false,
        })
    }

    /// Whether pictures come as fast as they are asked for, so that the caller has to wait until each is due:
    /// a file, but also a recording or a segmented stream (HLS, DASH) on the network, and pictures that FFmpeg
    /// makes itself (`device:lavfi:…`).
    pub fn is_file(&self) -> bool {
        self.pace.is_some()
    }

    /// The next picture, waiting for it if need be. A file begins again at its end, its times go on; all else
    /// ends with an error. What is broken is left out.
    ///
    /// # Errors
    /// The source is to be opened anew after any of them.
    #[allow(clippy::should_implement_trait)] // an iterator would go on after an error
    pub fn next(&mut self) -> Result<LivePicture, LiveError> {
        let mut barren = 0;
        loop {
            if self.feed.is_stopped() {
                return Err(LiveError::Stopped);
            }
            match self.source.decoder.receive() {
                Decoded::Frame(frame) => return Ok(self.decoded(frame)),
                Decoded::Hungry if !self.source.drained => {}
                Decoded::End if !self.source.drained => {
                    return Err(self.feed.broken("the decoder is stuck".to_owned()));
                }
                Decoded::Hungry | Decoded::End => {
                    self.begin_again()?;
                    continue;
                }
            }
            if barren == MAX_BARREN {
                let reason = format!("{MAX_BARREN} packets gave no picture");
                return Err(self.feed.broken(reason));
            }
            barren += 1;
            if !self.feed.read()? {
                self.source.drained = true;
                self.source.decoder.send(None);
            } else if let Some(jpeg) = self.source.jpeg(self.feed.packet()) {
                let packet = self.feed.packet();
                let stamp = packet.pts().or(packet.dts());
                return Ok(self.picture(stamp, LiveImage::Jpeg(jpeg)));
            } else {
                self.source.decoder.send(Some(self.feed.packet()));
            }
        }
    }

    fn decoded(&mut self, frame: Frame) -> LivePicture {
        let stamp = frame.pts();
        self.picture(stamp, LiveImage::Decoded(Picture::of(frame)))
    }

    fn picture(&mut self, stamp: Option<i64>, image: LiveImage) -> LivePicture {
        self.fruitful = true;
        let due = match &mut self.pace {
            Some(pace) => pace.due(stamp),
            None => {
                let now = Instant::now();
                now.duration_since(*self.began.get_or_insert(now))
            }
        };
        LivePicture { due, image }
    }

    /// After the last picture.
    fn begin_again(&mut self) -> Result<(), LiveError> {
        if self.feed.is_file() && !self.fruitful {
            let address = self.feed.address();
            return Err(LiveError::NoPicture { address });
        }
        self.fruitful = false;
        self.feed.begin_again()?;
        self.source = Source::open(&mut self.feed)?;
        if let Some(pace) = &mut self.pace {
            pace.begin_again(&self.source.facts);
        }
        Ok(())
    }
}

/// The pictures of an open source, and their decoder.
struct Source {
    facts: StreamFacts,
    decoder: Decoder,
    /// Whether the decoder knows that no packet will come.
    drained: bool,
}

impl Source {
    fn open(feed: &mut Feed) -> Result<Source, LiveError> {
        let facts = feed.input().video().ok_or_else(|| LiveError::NoVideo {
            address: feed.address(),
        })?;
        feed.select(facts.index);
        let decoder = if feed.is_file() {
            Decoder::open(feed.input(), facts.index, THREADS)
        } else {
            Decoder::open_prompt(feed.input(), facts.index, THREADS)
        };
        Ok(Source {
            decoder: decoder.map_err(|error| feed.undecodable(error))?,
            facts,
            drained: false,
        })
    }

    /// The packet, if it can be passed on as it is: a JPEG that any viewer decodes, with the tables that it
    /// takes, which some cameras leave out.
    fn jpeg(&self, packet: &Packet) -> Option<Bytes> {
        if !self.facts.motion_jpeg || packet.is_hidden() {
            return None;
        }
        let fits = inspect_jpeg(packet.bytes()).is_ok_and(JpegShape::is_bearable);
        fits.then(|| Bytes::copy_from_slice(packet.bytes()))
    }
}

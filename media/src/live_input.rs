//! Live sources: a file that is played again and again, a stream on the network, a camera.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use thiserror::Error;

use crate::av::{AvError, Decoded, Decoder, Frame, Input, Interrupt, Packet, Read, StreamFacts};
use crate::clip::{self, ClipError};
use crate::decode::Picture;
use crate::jpeg_head::{JpegShape, inspect_jpeg};
use crate::live_address::{Address, hide_secrets, protocols};
use crate::pace::Pace;

/// Few: sources are read as long as the server runs, besides all else.
const THREADS: usize = 2;
/// So many packets in a row without a picture are the end: some 50 seconds of a source that needs a key
/// frame first.
const MAX_BARREN: u32 = 3000;
/// So many errors in a row are the end, or with a file, the end of the file.
const MAX_READ_ERRORS: u32 = 16;
/// After so long, a source that had nothing is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(3);

/// Why there is no picture of a live source, or none any more. Users, passwords and queries of addresses
/// are left out.
#[derive(Debug, Error)]
pub enum LiveError {
    /// The file can't be opened.
    #[error(transparent)]
    File(#[from] ClipError),
    /// Not a way to reach a source over the network.
    #[error("{scheme}:// can't be read; must be one of {known}")]
    Scheme { scheme: String, known: String },
    /// A device that isn't named fully.
    #[error("{address}: a device is named device:FORMAT:NAME")]
    DeviceName { address: String },
    /// FFmpeg has no such format, or it isn't one that captures pictures.
    #[error("{address}: FFmpeg has no capture devices of this format")]
    DeviceFormat { address: String },
    /// The source can't be opened: nobody there, refused, not a known format, …
    #[error("{address}: can't be opened: {reason}")]
    Unopened { address: String, reason: String },
    /// Sound alone, or nothing.
    #[error("{address}: has no video stream")]
    NoVideo { address: String },
    /// There is no decoder.
    #[error("{address}: can't be decoded: {reason}")]
    Undecodable { address: String, reason: String },
    /// The file has been read through, and nothing in it was a picture.
    #[error("{address}: gave no picture from beginning to end")]
    NoPicture { address: String },
    /// The source has come to its end.
    #[error("{address}: has ended")]
    Ended { address: String },
    /// Too many errors in a row.
    #[error("{address}: broken off: {reason}")]
    Broken { address: String, reason: String },
    /// Nothing came for so long.
    #[error("{address}: sent nothing for {patience:?}")]
    Silent { address: String, patience: Duration },
    /// The caller's `stop` was set.
    #[error("stopped")]
    Stopped,
}

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
    address: Address,
    /// For errors.
    label: String,
    interrupt: Arc<Interrupt>,
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
    /// All of [`LiveError`] but `NoPicture`, `Ended` and `Broken`.
    pub fn open(
        url: &str,
        stop: Arc<AtomicBool>,
        patience: Duration,
    ) -> Result<LiveInput, LiveError> {
        let address = Address::parse(url)?;
        let label = hide_secrets(url);
        let interrupt = Interrupt::new(stop, patience);
        let source = Source::open(&address, &label, &interrupt)?;
        let paced = match &address {
            Address::File(_) => true,
            Address::Network(_) => source.input.runs_ahead(),
            Address::Device { .. } => address.is_generator(),
        };
        Ok(LiveInput {
            pace: paced.then(|| Pace::new(&source.facts)),
            address,
            label,
            interrupt,
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
            if self.interrupt.is_stopped() {
                return Err(LiveError::Stopped);
            }
            match self.source.decoder.receive() {
                Decoded::Frame(frame) => return Ok(self.decoded(frame)),
                Decoded::Hungry if !self.source.drained => {}
                Decoded::End if !self.source.drained => {
                    return Err(self.broken("the decoder is stuck".to_owned()));
                }
                Decoded::Hungry | Decoded::End => {
                    self.begin_again()?;
                    continue;
                }
            }
            if barren == MAX_BARREN {
                return Err(self.broken(format!("{MAX_BARREN} packets gave no picture")));
            }
            barren += 1;
            if !self.read()? {
                self.source.drained = true;
                self.source.decoder.send(None);
            } else if let Some(jpeg) = self.source.jpeg() {
                let stamp = self.source.packet.pts().or(self.source.packet.dts());
                return Ok(self.picture(stamp, LiveImage::Jpeg(jpeg)));
            } else {
                self.source.decoder.send(Some(&self.source.packet));
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

    /// The next packet with video; false at the end.
    fn read(&mut self) -> Result<bool, LiveError> {
        self.interrupt.begin();
        let mut errors = 0;
        loop {
            let Source { input, packet, .. } = &mut self.source;
            let read = input.read_once(packet);
            // First, since a call that was interrupted may return any error, or the end.
            if !matches!(read, Read::Packet)
                && let Some(error) = self.interruption()
            {
                return Err(error);
            }
            match read {
                Read::Packet if self.source.packet.stream() == self.source.facts.index => {
                    return Ok(true);
                }
                Read::Packet => errors = 0,
                Read::Later => thread::sleep(ASK_AGAIN),
                Read::End => return Ok(false),
                Read::Failed(_) if errors < MAX_READ_ERRORS => errors += 1,
                Read::Failed(_) if matches!(self.address, Address::File(_)) => return Ok(false),
                Read::Failed(error) => return Err(self.broken(error.to_string())),
            }
            // Sound without pictures is silence, too.
            if let Some(error) = self.interruption() {
                return Err(error);
            }
        }
    }

    /// After the last picture.
    fn begin_again(&mut self) -> Result<(), LiveError> {
        let address = self.label.clone();
        if !matches!(self.address, Address::File(_)) {
            return Err(LiveError::Ended { address });
        }
        if !self.fruitful {
            return Err(LiveError::NoPicture { address });
        }
        self.fruitful = false;
        // Opened anew and not rewound: not every container can seek, and a file that was replaced is seen.
        self.source = Source::open(&self.address, &self.label, &self.interrupt)?;
        if let Some(pace) = &mut self.pace {
            pace.begin_again(&self.source.facts);
        }
        Ok(())
    }

    fn interruption(&self) -> Option<LiveError> {
        interruption(&self.label, &self.interrupt)
    }

    fn broken(&self, reason: String) -> LiveError {
        LiveError::Broken {
            address: self.label.clone(),
            reason,
        }
    }
}

/// Whether a call was ended, or is to end, from outside.
fn interruption(label: &str, interrupt: &Interrupt) -> Option<LiveError> {
    if interrupt.is_stopped() {
        Some(LiveError::Stopped)
    } else if interrupt.is_expired() {
        Some(LiveError::Silent {
            address: label.to_owned(),
            patience: interrupt.patience(),
        })
    } else {
        None
    }
}

/// An open source and its decoder.
struct Source {
    input: Input,
    facts: StreamFacts,
    decoder: Decoder,
    packet: Packet,
    /// Whether the decoder knows that no packet will come.
    drained: bool,
}

impl Source {
    fn open(
        address: &Address,
        label: &str,
        interrupt: &Arc<Interrupt>,
    ) -> Result<Source, LiveError> {
        interrupt.begin();
        let mut input = open_input(address, label, interrupt)
            .map_err(|error| interruption(label, interrupt).unwrap_or(error))?;
        let undecodable = |error: AvError| LiveError::Undecodable {
            address: label.to_owned(),
            reason: error.to_string(),
        };
        let facts = input.video().ok_or_else(|| LiveError::NoVideo {
            address: label.to_owned(),
        })?;
        input.select(facts.index);
        let decoder = match address {
            Address::File(_) => Decoder::open(&input, facts.index, THREADS),
            _ => Decoder::open_prompt(&input, facts.index, THREADS),
        };
        Ok(Source {
            decoder: decoder.map_err(undecodable)?,
            packet: Packet::new().map_err(undecodable)?,
            input,
            facts,
            drained: false,
        })
    }

    /// The packet, if it can be passed on as it is: a JPEG that any viewer decodes, with the tables that it
    /// takes, which some cameras leave out.
    fn jpeg(&self) -> Option<Bytes> {
        let packet = &self.packet;
        if !self.facts.motion_jpeg || packet.is_hidden() {
            return None;
        }
        let fits = inspect_jpeg(packet.bytes()).is_ok_and(JpegShape::is_bearable);
        fits.then(|| Bytes::copy_from_slice(packet.bytes()))
    }
}

fn open_input(
    address: &Address,
    label: &str,
    interrupt: &Arc<Interrupt>,
) -> Result<Input, LiveError> {
    let opened = match address {
        Address::File(path) => {
            clip::regular_file(path)?;
            let opened = Input::open(path, Some(interrupt.clone()));
            return opened.map_err(|error| clip::unopened(path, error).into());
        }
        Address::Network(url) => Input::open_network(url, &protocols(), interrupt),
        Address::Device { format, name } => Input::open_device(format, name, interrupt)
            .ok_or_else(|| LiveError::DeviceFormat {
                address: label.to_owned(),
            })?,
    };
    opened.map_err(|error| LiveError::Unopened {
        address: label.to_owned(),
        reason: error.to_string(),
    })
}

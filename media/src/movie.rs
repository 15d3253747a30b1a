//! Recording: pictures that come as JPEGs, at whatever times, become a film in a file.
//!
//! The film has the pictures' own times, in milliseconds, and no fixed frame rate. A picture's duration is
//! known when the next one comes, so the last packet always waits.

use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::av::{AvError, Encoder, Layout, Output, PIXELS, Packet, Scaler};
use crate::clip::MAX_SIDE;
use crate::jpeg_decode::JpegDecoder;
use crate::jpeg_head::{JpegShape, NotJpeg, inspect_jpeg};

/// A film isn't longer.
pub const MAX_MOVIE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Encoders refuse smaller pictures.
const MIN_SIDE: u32 = 16;
/// A player that seeks begins at a key frame.
const KEY_EVERY_MS: i64 = 2000;

/// Why something couldn't be recorded.
#[derive(Debug, Error)]
pub enum MovieError {
    /// FFmpeg was built without one, or none takes pictures of this size.
    #[error("FFmpeg has no H.264 encoder that works for {width} × {height} pixels: {reason}")]
    NoEncoder {
        width: u32,
        height: u32,
        reason: String,
    },
    /// Wider or higher than [`MAX_SIDE`], or nothing.
    #[error("a movie of {width} × {height}; each side must be 1 to {MAX_SIDE} pixels")]
    Dimensions { width: u32, height: u32 },
    /// The file can't be made or written, because the disk is full for instance. What is in it so far is no
    /// movie.
    #[error("{}: can't be written: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// The encoder or the decoder failed for a reason that isn't the picture's.
    #[error("{}: encoding failed: {reason}", path.display())]
    Encoder { path: PathBuf, reason: String },
    /// This picture is left out; the movie is whole, and goes on.
    #[error("the picture for {at:?} is left out: {source}")]
    BadPicture {
        at: Duration,
        #[source]
        source: PictureError,
    },
}

/// What is wrong with a picture.
#[derive(Debug, Error)]
pub enum PictureError {
    /// Not a whole JPEG, or of a kind that nobody can decode.
    #[error(transparent)]
    NotJpeg(#[from] NotJpeg),
    /// Wider or higher than [`MAX_SIDE`].
    #[error("{width} × {height}; each side must be 1 to {MAX_SIDE} pixels")]
    Dimensions { width: u32, height: u32 },
    /// Later than [`MAX_MOVIE`].
    #[error("it comes later than {} hours", MAX_MOVIE.as_secs() / 3600)]
    Late,
    /// The decoder can't make a picture of it.
    #[error("can't be decoded: {0}")]
    Undecodable(String),
}

/// Writes H.264 in MP4. Blocking; belongs on a thread of its own.
///
/// One that is dropped unfinished leaves a file that is no movie, for the caller to remove.
pub struct MovieWriter {
    path: PathBuf,
    /// What the caller gave.
    given: JpegShape,
    /// Of the movie.
    size: JpegShape,
    decoder: JpegDecoder,
    scaler: Option<Scaler>,
    encoder: Encoder,
    output: Output,
    /// The last packet, if `holds_packet`; its duration isn't known yet.
    held: Packet,
    holds_packet: bool,
    next: Packet,
    /// Time of the last picture, and of the last one that was made a key frame.
    times: Option<Times>,
}

/// In milliseconds from the first picture.
#[derive(Clone, Copy)]
struct Times {
    last: i64,
    key: i64,
}

impl MovieWriter {
    /// A new file at `path` (any extension: the format is MP4) for pictures of `width` × `height` pixels.
    /// The movie's sides are even, a last odd row or column is left out, and at least 16. What was in the
    /// file is gone.
    ///
    /// # Errors
    /// A side is 0 or above [`MAX_SIDE`]; there is no encoder; the file can't be made.
    pub fn create(path: &Path, width: u32, height: u32) -> Result<MovieWriter, MovieError> {
        let given = JpegShape { width, height };
        if !given.is_bearable() {
            return Err(MovieError::Dimensions { width, height });
        }
        let size = JpegShape {
            width: even(width).max(MIN_SIDE),
            height: even(height).max(MIN_SIDE),
        };
        let encoder = Encoder::h264(size.width as i32, size.height as i32).map_err(|error| {
            MovieError::NoEncoder {
                width,
                height,
                reason: error.to_string(),
            }
        })?;
        let packet = || Packet::new().map_err(|error| failed(path, error));
        Ok(MovieWriter {
            decoder: JpegDecoder::default(),
            held: packet()?,
            next: packet()?,
            output: Output::create(path, &encoder).map_err(|error| unwritten(path, error))?,
            path: path.into(),
            given,
            size,
            scaler: None,
            encoder,
            holds_packet: false,
            times: None,
        })
    }

    /// Of the movie, in pixels.
    pub fn width(&self) -> u32 {
        self.size.width
    }

    /// Of the movie, in pixels.
    pub fn height(&self) -> u32 {
        self.size.height
    }

    /// A JPEG to be shown at `at`, counted from the first one, which is shown from the start. One that isn't
    /// later than the one before comes 1 ms after it. Another size than was given to
    /// [`create`](Self::create) is scaled to the movie's.
    ///
    /// # Errors
    /// `BadPicture` leaves the movie as it was, and the next picture is welcome. All others end it.
    pub fn write(&mut self, jpeg: &[u8], at: Duration) -> Result<(), MovieError> {
        let bad = |source| MovieError::BadPicture { at, source };
        let millis = self.place(at).ok_or_else(|| bad(PictureError::Late))?;
        let shape = inspect_jpeg(jpeg).map_err(|error| bad(error.into()))?;
        if !shape.is_bearable() {
            let JpegShape { width, height } = shape;
            return Err(bad(PictureError::Dimensions { width, height }));
        }
        let undecodable = |reason| bad(PictureError::Undecodable(reason));
        let (layout, frame) = self.decoder.decode(jpeg, shape).map_err(undecodable)?;
        let from = shown_part(layout, shape == self.given);
        let to = Layout {
            format: PIXELS as i32,
            width: self.size.width as i32,
            height: self.size.height as i32,
            full: false,
        };
        if self
            .scaler
            .as_ref()
            .is_none_or(|scaler| scaler.layouts() != (from, to))
        {
            self.scaler = Scaler::new(from, to);
        }
        let converted = self
            .scaler
            .as_mut()
            .and_then(|scaler| scaler.convert(frame));
        let converted = converted.ok_or_else(|| undecodable("can't be scaled".to_owned()))?;

        let times = match self.times {
            Some(times) => times.then(millis),
            None => Times { last: 0, key: 0 },
        };
        let is_key = times.key == times.last;
        let sent = self.encoder.send(converted, times.last, is_key);
        sent.map_err(|error| failed(&self.path, error))?;
        self.times = Some(times);
        self.write_packets()
    }

    /// Bytes written so far, about: without the index, which comes at the end.
    pub fn bytes(&self) -> u64 {
        self.output.position()
    }

    /// Completes the file: the last picture stays until `end`, counted as in [`write`](Self::write), and is
    /// shown in any case.
    ///
    /// # Errors
    /// The encoder or the disk fails; the file is no movie then.
    pub fn finish(mut self, end: Duration) -> Result<(), MovieError> {
        self.encoder
            .end()
            .map_err(|error| failed(&self.path, error))?;
        self.write_packets()?;
        if self.holds_packet {
            let last = self.times.map_or(0, |times| times.last);
            self.held
                .set_duration((whole_millis(end.min(MAX_MOVIE)) - last).max(1));
            let written = self.output.write(&mut self.held);
            written.map_err(|error| unwritten(&self.path, error))?;
        }
        let finished = self.output.finish();
        finished.map_err(|error| unwritten(&self.path, error))
    }

    /// When a picture for `at` is shown.
    fn place(&self, at: Duration) -> Option<i64> {
        let earliest = self.times.map_or(0, |times| times.last + 1);
        let millis = whole_millis(at).max(earliest);
        (millis <= whole_millis(MAX_MOVIE)).then_some(millis)
    }

    /// Writes what the encoder has, but for the last packet.
    fn write_packets(&mut self) -> Result<(), MovieError> {
        let path = &self.path;
        while self
            .encoder
            .receive(&mut self.next)
            .map_err(|error| failed(path, error))?
        {
            if self.holds_packet {
                let written = self.output.write(&mut self.held);
                written.map_err(|error| unwritten(path, error))?;
            }
            mem::swap(&mut self.held, &mut self.next);
            self.holds_packet = true;
        }
        Ok(())
    }
}

impl Times {
    /// Those of a picture at `millis`. It becomes a key frame if the next one, at the same distance, would
    /// come too late for that.
    fn then(self, millis: i64) -> Times {
        let next = millis + (millis - self.last);
        let is_due = next > self.key + KEY_EVERY_MS;
        Times {
            last: millis,
            key: if is_due { millis } else { self.key },
        }
    }
}

fn even(side: u32) -> u32 {
    side & !1
}

/// What of a picture goes into the movie: if its size is the usual one, all but a last odd row and column,
/// so that it needn't be scaled.
fn shown_part(layout: Layout, usual: bool) -> Layout {
    let side = |side: i32| {
        if usual && side >= MIN_SIDE as i32 {
            side & !1
        } else {
            side
        }
    };
    Layout {
        width: side(layout.width),
        height: side(layout.height),
        ..layout
    }
}

fn whole_millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn unwritten(path: &Path, error: AvError) -> MovieError {
    MovieError::File {
        path: path.into(),
        source: error.into_io(),
    }
}

fn failed(path: &Path, error: AvError) -> MovieError {
    MovieError::Encoder {
        path: path.into(),
        reason: error.to_string(),
    }
}

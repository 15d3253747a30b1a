//! The cameras of lan_video: how many there may be, their numbers, and the threads that look at their
//! frames.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use playhouse_media::{JpegEncoder, PickleError, read_pickled_frame};
use tokio::time::Instant;

use crate::crew::{Coming, Crew};
use crate::live_channel::LiveFrame;
use crate::settings::LanVideo;
use crate::slots::{Slot, Slots};

thread_local! {
    /// This thread's encoder, which keeps its buffers from one frame to the next.
    static ENCODER: std::cell::RefCell<Option<JpegEncoder>> = const { std::cell::RefCell::new(None) };
}

/// Why a frame is not shown.
#[derive(Debug, thiserror::Error)]
pub enum BadFrame {
    #[error(transparent)]
    Pickle(#[from] PickleError),
    #[error("internal error: {0}")]
    Internal(String),
}

/// What the cameras have in common; clones share it.
#[derive(Clone)]
pub struct Cameras {
    places: Slots,
    numbers: Arc<Mutex<BTreeSet<u32>>>,
    crew: Crew,
    jpeg_quality: u8,
    /// Bytes of a frame.
    pub max_frame: usize,
}

/// A camera's number, free again when it is dropped.
pub struct Number {
    number: u32,
    numbers: Arc<Mutex<BTreeSet<u32>>>,
}

impl Cameras {
    /// No cameras yet, and `crew` to look at their frames.
    pub fn new(settings: &LanVideo, jpeg_quality: u8, crew: Crew) -> Cameras {
        Cameras {
            places: Slots::new(settings.max_cameras),
            numbers: Arc::default(),
            crew,
            jpeg_quality,
            max_frame: settings.max_frame,
        }
    }

    /// A place for one more, if there is one.
    pub fn place(&self) -> Option<Slot> {
        self.places.take()
    }

    /// The smallest number that no camera has, from 1 on.
    pub fn number(&self) -> Number {
        let mut numbers = locked(&self.numbers);
        let free = |n: &u32| !numbers.contains(n);
        let number = (1..).find(free).unwrap_or_default();
        numbers.insert(number);
        Number {
            number,
            numbers: self.numbers.clone(),
        }
    }

    /// Reads a frame; makes a picture of it if `wanted`.
    pub fn look_at(
        &self,
        pickle: Vec<u8>,
        wanted: bool,
    ) -> Coming<Option<Result<Option<LiveFrame>, BadFrame>>> {
        let (quality, at) = (self.jpeg_quality, Instant::now());
        self.crew.run(move || {
            let frame = read_pickled_frame(&pickle)?;
            if !wanted {
                return Ok(None);
            }
            let jpeg = encoded(quality, |encoder| encoder.encode_frame(&frame))?;
            Ok(Some(LiveFrame {
                jpeg,
                width: frame.width,
                height: frame.height,
                at,
            }))
        })
    }
}

fn encoded(
    quality: u8,
    encode: impl FnOnce(&mut JpegEncoder) -> Result<Bytes, playhouse_media::JpegError>,
) -> Result<Bytes, BadFrame> {
    let internal = |error: playhouse_media::JpegError| BadFrame::Internal(error.to_string());
    ENCODER.with_borrow_mut(|encoder| {
        let encoder = match encoder {
            Some(encoder) => encoder,
            None => encoder.insert(JpegEncoder::new(quality).map_err(internal)?),
        };
        encode(encoder).map_err(internal)
    })
}

impl Number {
    /// The name of the camera's live channel.
    pub fn channel(&self) -> Arc<str> {
        format!("cam-{}", self.number).into()
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        locked(&self.numbers).remove(&self.number);
    }
}

fn locked(numbers: &Mutex<BTreeSet<u32>>) -> MutexGuard<'_, BTreeSet<u32>> {
    // Each change leaves the set whole whatever happens between.
    numbers.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The cameras of lan_video: how many there may be, their numbers, and the threads that look at their
//! frames.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use playhouse_media::{JpegEncoder, PickleError, read_pickled_frame};
use tokio::time::Instant;

use crate::crew::{Coming, Crew};
use crate::frame_pool::be_nice;
use crate::live_channel::LiveFrame;
use crate::locks::locked;
use crate::settings::Settings;
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
    numbers: Arc<Mutex<Numbers>>,
    crew: Crew,
    jpeg_quality: u8,
    /// Bytes of a frame.
    pub max_frame: usize,
}

/// Which numbers are taken.
struct Numbers {
    taken: BTreeMap<u32, Taken>,
    /// For so long the channel of a camera that has left goes on, and is nobody else's.
    linger: Duration,
}

struct Taken {
    address: IpAddr,
    /// When its camera left, if it has.
    left: Option<Instant>,
}

/// A camera's number, until it is dropped.
pub struct Number {
    number: u32,
    numbers: Arc<Mutex<Numbers>>,
}

impl Numbers {
    fn take(&mut self, address: IpAddr) -> u32 {
        let linger = self.linger;
        self.taken
            .retain(|_, taken| taken.left.is_none_or(|left| left.elapsed() < linger));
        let comes_back = |taken: &Taken| taken.left.is_some() && taken.address == address;
        let own = self.taken.iter().find(|(_, taken)| comes_back(taken));
        let free = (1..).find(|number| !self.taken.contains_key(number));
        let number = own.map(|(&number, _)| number).or(free);
        let number = number.unwrap_or_default();
        let left = None;
        self.taken.insert(number, Taken { address, left });
        number
    }

    fn give(&mut self, number: u32) {
        if let Some(taken) = self.taken.get_mut(&number) {
            taken.left = Some(Instant::now());
        }
    }
}

impl Cameras {
    /// No cameras yet, and threads to look at their frames, if there may be any.
    ///
    /// # Errors
    /// The system has no threads.
    pub fn start(settings: &Settings) -> io::Result<Cameras> {
        let numbers = Numbers {
            taken: BTreeMap::new(),
            linger: settings.live.linger,
        };
        let (threads, max_cameras, max_frame) = match &settings.lan_video {
            Some(video) => (settings.arbiters, video.max_cameras, video.max_frame),
            None => (0, 0, 0),
        };
        Ok(Cameras {
            places: Slots::new(max_cameras),
            numbers: Arc::new(Mutex::new(numbers)),
            crew: Crew::start("camera", threads, be_nice)?,
            jpeg_quality: settings.jpeg_quality,
            max_frame,
        })
    }

    /// A place for one more, if there is one.
    pub fn place(&self) -> Option<Slot> {
        self.places.take()
    }

    /// A number for a camera at `address`: the one that it had until a moment ago, or the smallest that is
    /// free, from 1 on.
    pub fn number(&self, address: IpAddr) -> Number {
        Number {
            number: locked(&self.numbers).take(address),
            numbers: self.numbers.clone(),
        }
    }

    /// Reads a frame; makes a picture of it if `wanted`. Its memory comes back with it.
    pub fn look_at(&self, pickle: Vec<u8>, wanted: bool) -> Coming<Option<(Vec<u8>, Looked)>> {
        let (quality, at) = (self.jpeg_quality, Instant::now());
        self.crew.run(move || {
            let looked = look_at(&pickle, wanted.then_some(quality), at);
            (pickle, looked)
        })
    }
}

/// What a frame was: `None` if no picture was made of it.
pub type Looked = Result<Option<LiveFrame>, BadFrame>;

fn look_at(pickle: &[u8], quality: Option<u8>, at: Instant) -> Looked {
    let frame = read_pickled_frame(pickle)?;
    let Some(quality) = quality else {
        return Ok(None);
    };
    let jpeg = encoded(quality, |encoder| encoder.encode_frame(&frame))?;
    Ok(Some(LiveFrame {
        jpeg,
        width: frame.width,
        height: frame.height,
        at,
    }))
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
        locked(&self.numbers).give(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_number_is_free_when_its_channel_is() {
        let mut numbers = Numbers {
            taken: BTreeMap::new(),
            linger: Duration::from_secs(3),
        };
        let [anna, ben]: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
        assert_eq!((numbers.take(anna), numbers.take(anna)), (1, 2));
        numbers.give(1);
        assert_eq!(numbers.take(ben), 3, "others don't go on in anna's channel");
        assert_eq!(numbers.take(anna), 1, "she does");
        numbers.give(1);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(numbers.take(ben), 1);
    }
}

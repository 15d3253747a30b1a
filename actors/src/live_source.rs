//! A live source of the configuration: whatever FFmpeg reads, read by a thread of its own, is a live
//! channel. When it breaks off it is opened again, after a pause that grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant as Clock};

use actix::prelude::*;
use actix_rt::{Arbiter, ArbiterHandle};
use playhouse_media::{JpegEncoder, LiveImage, LiveInput, inspect_jpeg};
use tokio::time::Instant;

use crate::frame_pool::be_nice;
use crate::live_channel::{LiveFrame, Publish};
use crate::messages::{Observation, Observe};
use crate::settings::Source;
use crate::studio::Studio;
use crate::watch::caught_now;

/// The pauses between two attempts double from this one …
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// … up to this one, …
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// … and begin anew after it has gone well for so long.
const RECOVERED: Duration = Duration::from_secs(60);
/// A source that sends nothing for so long has broken off.
const PATIENCE: Duration = Duration::from_secs(10);
/// While nobody looks, pictures are encoded this often: whoever comes begins with a recent one.
const UNWATCHED: Duration = Duration::from_millis(500);

/// The actor of one source; its thread ends with it.
pub struct LiveSource {
    source: Source,
    jpeg_quality: u8,
    studio: Arc<Studio>,
    stop: Arc<AtomicBool>,
    connected: Arc<AtomicBool>,
    thread: Option<Thread>,
}

impl LiveSource {
    /// A source whose pictures are encoded with `jpeg_quality`, unless they are JPEGs.
    pub fn new(source: Source, jpeg_quality: u8, studio: Arc<Studio>) -> LiveSource {
        LiveSource {
            source,
            jpeg_quality,
            studio,
            stop: Arc::default(),
            connected: Arc::default(),
            thread: None,
        }
    }
}

impl Actor for LiveSource {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        let reader = Reader {
            arbiter: Arbiter::current(),
            studio: self.studio.clone(),
            source: self.source.clone(),
            jpeg_quality: self.jpeg_quality,
            stop: self.stop.clone(),
            connected: self.connected.clone(),
        };
        let thread = thread::Builder::new().name("live-source".to_owned());
        match thread.spawn(move || reader.run()) {
            Ok(handle) => self.thread = Some(handle.thread().clone()),
            Err(error) => {
                tracing::error!(source = %self.source.name, %error, "no thread for a live source");
            }
        }
    }
}

impl Drop for LiveSource {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

impl Handler<Observe> for LiveSource {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::LiveSource {
            name: self.source.name.to_string(),
            connected: self.connected.load(Ordering::Relaxed),
        }
    }
}

/// What the thread works with.
struct Reader {
    source: Source,
    /// Where its channel lives.
    arbiter: ArbiterHandle,
    studio: Arc<Studio>,
    jpeg_quality: u8,
    stop: Arc<AtomicBool>,
    connected: Arc<AtomicBool>,
}

impl Reader {
    fn run(self) {
        be_nice();
        let name = &self.source.name;
        let mut pause = FIRST_PAUSE;
        while !self.is_stopped() {
            let since = Clock::now();
            let ended =
                caught_now(|| self.read()).unwrap_or_else(|panic| format!("panic: {panic}"));
            self.connected.store(false, Ordering::Relaxed);
            if self.is_stopped() {
                return;
            }
            if since.elapsed() > RECOVERED {
                pause = FIRST_PAUSE;
            }
            let again_in = pause.as_secs();
            tracing::warn!(source = %name, error = ended, again_in, "live source broke off");
            self.sleep_until(Clock::now() + pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn sleep_until(&self, due: Clock) {
        while !self.is_stopped() {
            let left = due.saturating_duration_since(Clock::now());
            if left.is_zero() {
                return;
            }
            thread::park_timeout(left);
        }
    }

    /// Reads until it breaks off; says why.
    fn read(&self) -> String {
        let opened = LiveInput::open(&self.source.url, self.stop.clone(), PATIENCE);
        let mut input = match opened {
            Ok(input) => input,
            Err(error) => return error.to_string(),
        };
        let mut encoder = match JpegEncoder::new(self.jpeg_quality) {
            Ok(encoder) => encoder,
            Err(error) => return error.to_string(),
        };
        self.connected.store(true, Ordering::Relaxed);
        let feed = self.studio.open(&self.source.name, &self.arbiter);
        let began = Clock::now();
        let mut encoded: Option<Clock> = None;
        while !self.is_stopped() {
            let picture = match input.next() {
                Ok(picture) => picture,
                Err(error) => return error.to_string(),
            };
            if input.is_file() {
                self.sleep_until(began + picture.due);
            }
            let watched = feed.watched.load(Ordering::Relaxed);
            if !watched && encoded.is_some_and(|last| last.elapsed() < UNWATCHED) {
                continue;
            }
            encoded = Some(Clock::now());
            let jpeg = match picture.image {
                LiveImage::Jpeg(jpeg) => jpeg,
                LiveImage::Decoded(picture) => match encoder.encode(&picture) {
                    Ok(jpeg) => jpeg,
                    Err(error) => return error.to_string(),
                },
            };
            let Ok(shape) = inspect_jpeg(&jpeg) else {
                continue;
            };
            let frame = LiveFrame {
                jpeg,
                width: shape.width,
                height: shape.height,
                at: Instant::now(),
            };
            // A channel that is too busy for it misses it.
            if let Err(SendError::Closed(_)) = feed.channel.try_send(Publish(frame)) {
                return "its live channel is gone".to_owned();
            }
        }
        String::new()
    }
}

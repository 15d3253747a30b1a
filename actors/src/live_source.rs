//! A live source of the configuration: whatever FFmpeg reads, read by a thread of its own, is a live
//! channel. When it breaks off it is opened again, after a pause that grows.

use std::sync::Arc;
use std::time::Instant as Clock;

use actix::prelude::*;
use actix_rt::{Arbiter, ArbiterHandle};
use playhouse_media::{JpegEncoder, LiveImage, LiveInput, inspect_jpeg};
use tokio::time::Instant;

use crate::live_channel::{LiveFrame, Publish};
use crate::messages::{Observation, Observe};
use crate::persistence::{Attempt, PATIENCE, Reading};
use crate::settings::Source;
use crate::studio::Studio;

/// The actor of one source; its thread ends with it.
pub struct LiveSource {
    source: Source,
    jpeg_quality: u8,
    studio: Arc<Studio>,
    reading: Option<Reading>,
}

impl LiveSource {
    /// A source whose pictures are encoded with `jpeg_quality`, unless they are JPEGs.
    pub fn new(source: Source, jpeg_quality: u8, studio: Arc<Studio>) -> LiveSource {
        LiveSource {
            source,
            jpeg_quality,
            studio,
            reading: None,
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
        };
        let read = move |attempt: &Attempt| reader.read(attempt);
        self.reading = Some(Reading::start(&self.source.name, read));
    }
}

impl Handler<Observe> for LiveSource {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::LiveSource {
            name: self.source.name.to_string(),
            connected: self.reading.as_ref().is_some_and(Reading::is_connected),
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
}

impl Reader {
    /// Reads until it breaks off; says why.
    fn read(&self, attempt: &Attempt) -> String {
        let opened = LiveInput::open(&self.source.url, attempt.stop_flag(), PATIENCE);
        let mut input = match opened {
            Ok(input) => input,
            Err(error) => return error.to_string(),
        };
        let mut encoder = match JpegEncoder::new(self.jpeg_quality) {
            Ok(encoder) => encoder,
            Err(error) => return error.to_string(),
        };
        attempt.connected();
        let feed = self.studio.open(&self.source.name, &self.arbiter);
        let began = Clock::now();
        let mut encoded: Option<Clock> = None;
        while !attempt.is_stopped() {
            let picture = match input.next() {
                Ok(picture) => picture,
                Err(error) => return error.to_string(),
            };
            if input.is_file() {
                attempt.sleep_until(began + picture.due);
            }
            if encoded.is_some_and(|last| !feed.wants_picture(last.elapsed())) {
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

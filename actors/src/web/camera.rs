//! The camera of a page: its pictures are a live channel.

use std::sync::Arc;
use std::time::Duration;

use actix_rt::Arbiter;
use bytes::Bytes;
use playhouse_media::inspect_jpeg;
use tokio::time::Instant;

use crate::live_channel::{LiveFrame, Publish};
use crate::messages::Person;
use crate::studio::{Feed, Studio};

/// The largest picture, in pixels.
const MAX_WIDTH: u32 = 1280;
const MAX_HEIGHT: u32 = 720;
/// Pictures that come faster than this are left out.
const SHORTEST: Duration = Duration::from_millis(20);
/// After so many bad pictures the camera is off.
const MAX_FAULTS: u32 = 20;

/// A camera that is on.
pub struct Camera {
    channel: Arc<str>,
    studio: Arc<Studio>,
    feed: Feed,
    last: Option<Instant>,
    faults: u32,
}

impl Camera {
    /// The channel of this person's camera, on this core.
    pub fn open(person: &Person, studio: &Arc<Studio>) -> Camera {
        let channel = channel_name(&person.name);
        Camera {
            feed: studio.open(&channel, &Arbiter::current()),
            studio: studio.clone(),
            channel,
            last: None,
            faults: 0,
        }
    }

    /// The name of its channel.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// Takes a picture.
    ///
    /// # Errors
    /// The rule that pictures break, when too many did.
    pub fn take(&mut self, jpeg: Bytes) -> Result<(), String> {
        let now = Instant::now();
        if self.last.is_some_and(|last| now - last < SHORTEST) {
            return Ok(());
        }
        self.last = Some(now);
        let rule = match inspect_jpeg(&jpeg) {
            Ok(shape) if shape.width <= MAX_WIDTH && shape.height <= MAX_HEIGHT => {
                if !self.feed.channel.connected() {
                    self.feed = self.studio.open(&self.channel, &Arbiter::current());
                }
                let frame = LiveFrame {
                    jpeg,
                    width: shape.width,
                    height: shape.height,
                    at: now,
                };
                // One that is too busy misses it.
                let _ = self.feed.channel.try_send(Publish(frame));
                return Ok(());
            }
            Ok(shape) => format!(
                "a picture has {MAX_WIDTH} × {MAX_HEIGHT} pixels at most, not {} × {}",
                shape.width, shape.height
            ),
            Err(error) => error.to_string(),
        };
        self.faults += 1;
        match self.faults {
            MAX_FAULTS.. => Err(rule),
            _ => Ok(()),
        }
    }
}

/// Nobody else's: names of people are unique, and what can't stand in an address is written as there.
fn channel_name(name: &str) -> Arc<str> {
    let name = name.replace('%', "%25");
    format!("web-{}", name.replace('/', "%2F").replace('\\', "%5C")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_named_after_people() {
        assert_eq!(&*channel_name("anna"), "web-anna");
        assert_eq!(&*channel_name("a/b"), "web-a%2Fb");
        assert_eq!(&*channel_name("a%2Fb"), "web-a%252Fb", "and nobody else's");
    }
}

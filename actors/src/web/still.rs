//! Single frames of videos, for whoever asks for just one.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use actix::prelude::*;
use actix_rt::Arbiter;
use actix_web::http::header::EntityTag;
use bytes::Bytes;
use playhouse_media::Video;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use super::error::ApiError;
use crate::channel::{Channel, Fetch, Fetched};
use crate::library::{Library, OpenChannels};
use crate::watch::{self, Post};

/// Frames that are made at once for those who ask for single ones: viewers come first.
const AT_ONCE: usize = 16;
/// Who does not get a frame in so long is told to come again.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the house has for single frames; clones share it.
#[derive(Clone)]
pub struct Stills {
    places: Arc<Semaphore>,
    jpeg_quality: u8,
}

impl Stills {
    /// With nobody asking; frames are made with this quality.
    pub fn new(jpeg_quality: u8) -> Stills {
        Stills {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            jpeg_quality,
        }
    }

    /// What changes when frame `n` of the timeline in this quality does. It means the same after a
    /// restart. `None` if the video has no such quality, or its file system knows no times.
    pub fn tag(&self, video: &Video, quality: usize, n: u32) -> Option<EntityTag> {
        let clip = video.clips.get(quality)?;
        let modified = clip.modified?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        let (bytes, frame) = (clip.bytes, video.source_frame(quality, n));
        let jpeg = self.jpeg_quality;
        let tag = format!("{bytes:x}-{modified:x}-{frame:x}-{jpeg:x}");
        Some(EntityTag::new_strong(tag))
    }

    /// Frame `n` of the timeline, as JPEG.
    ///
    /// # Errors
    /// It can't be decoded, or not soon enough.
    pub async fn make(
        &self,
        library: &Post<Library>,
        video: Arc<Video>,
        quality: usize,
        n: u32,
    ) -> Result<Bytes, ApiError> {
        let made = async {
            let place = self.places.clone().acquire_owned().await.ok()?;
            let library = library.addr()?;
            let frame = video.source_frame(quality, n);
            let channels = library.send(OpenChannels(video)).await.ok()?;
            let channel = channels.get(quality)?.clone();
            let (tell, told) = oneshot::channel();
            let still = Still {
                channel,
                frame,
                tell: Some(tell),
                _place: place,
            };
            watch::start_alone(&Arbiter::current(), "a still", |_| still);
            told.await.ok()
        };
        match timeout(PATIENCE, made).await {
            Ok(Some(Some(jpeg))) => Ok(jpeg),
            Ok(Some(None)) => Err(ApiError::broken("this frame can't be decoded")),
            Ok(None) => Err(ApiError::internal()),
            Err(_) => Err(ApiError::busy("too many frames are being made; try again")),
        }
    }
}

/// Waits for one frame. It keeps its place when nobody waits for it any more: the frame is made anyway.
struct Still {
    channel: Addr<Channel>,
    frame: u32,
    tell: Option<oneshot::Sender<Option<Bytes>>>,
    _place: OwnedSemaphorePermit,
}

impl Actor for Still {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.channel.do_send(Fetch {
            frames: vec![(0, self.frame)],
            viewer: ctx.address().recipient(),
        });
        ctx.run_later(PATIENCE, |_, ctx| ctx.stop());
    }
}

impl Handler<Fetched> for Still {
    type Result = ();

    fn handle(&mut self, fetched: Fetched, ctx: &mut Context<Self>) {
        let jpeg = fetched.frames.into_iter().find_map(|(_, jpeg)| jpeg);
        if let Some(tell) = self.tell.take() {
            // Who asked may be gone.
            let _ = tell.send(jpeg);
        }
        ctx.stop();
    }
}

//! One thing that a page watches: numbers its frames, and says when each is due. What shows it, a
//! [`Streamer`](crate::Streamer) or a [`Follower`](crate::Follower), knows nothing of pages.

use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_media::{Plan, Video};
use playhouse_protocols::web::{FramePlace, frame_head};
use tokio::time::Instant;

use super::connection::WebConnection;
use crate::streamer::Show;

/// What a page is shown.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Shown {
    /// Of the stream, drawn by its connection.
    pub viewing: u64,
    pub what: Picture,
}

/// A frame with its head, or the end.
pub enum Picture {
    Frame { head: Bytes, jpeg: Bytes },
    Finish,
    Failed,
}

/// What frames are of.
pub enum Reel {
    /// From this frame on.
    Video {
        video: Arc<Video>,
        plan: Plan,
        next: u32,
    },
    Live {
        since: Instant,
        next: u32,
    },
}

/// The actor of one stream of a page; it ends when nobody shows it anything any more.
pub struct Screen {
    /// The page's number.
    stream: u32,
    viewing: u64,
    reel: Reel,
    page: Addr<WebConnection>,
}

impl Screen {
    pub fn new(stream: u32, viewing: u64, reel: Reel, page: Addr<WebConnection>) -> Screen {
        Screen {
            stream,
            viewing,
            reel,
            page,
        }
    }

    /// Where the next frame belongs.
    fn place(&mut self) -> FramePlace {
        let (quality, frame, due) = match &mut self.reel {
            Reel::Video { video, plan, next } => {
                let frame = *next;
                *next += 1;
                let quality = plan.quality_of(frame).unwrap_or(0);
                (quality, frame, video.due(frame))
            }
            Reel::Live { since, next } => {
                let frame = *next;
                *next = next.wrapping_add(1);
                (0, frame, since.elapsed())
            }
        };
        FramePlace {
            stream: self.stream,
            quality: u8::try_from(quality).unwrap_or(u8::MAX),
            frame,
            due: u32::try_from(due.as_millis()).unwrap_or(u32::MAX),
        }
    }
}

impl Actor for Screen {
    type Context = Context<Self>;
}

impl Handler<Show> for Screen {
    type Result = ();

    fn handle(&mut self, show: Show, _: &mut Context<Self>) {
        let what = match show {
            Show::Frame(jpeg) => Picture::Frame {
                head: frame_head(self.place(), jpeg.len()),
                jpeg,
            },
            Show::Finish => Picture::Finish,
            Show::Failed => Picture::Failed,
        };
        self.page.do_send(Shown {
            viewing: self.viewing,
            what,
        });
    }
}

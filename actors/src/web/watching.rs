//! How a page comes to watch a video or a live channel, and its frames to the page.

use std::sync::Arc;

use actix::prelude::*;
use playhouse_media::{Plan, Video};
use playhouse_protocols::web::{Ending, Piece, ServerMessage};
use tokio::time::Instant;

use super::connection::WebConnection;
use super::screen::{Picture, Reel, Screen, Shown};
use crate::guest::Conversation;
use crate::library::Find;
use crate::outbound::Segment;
use crate::viewing::{INTERLEAVED, Showing, Title, Viewing, plan};

impl WebConnection {
    /// Shows the video or live channel of this name as `stream`.
    pub(super) fn watch(
        &mut self,
        stream: u32,
        name: String,
        quality: Option<String>,
        from: u32,
        ctx: &mut Context<Self>,
    ) {
        let Some(viewing) = self.begin(stream, ctx) else {
            return;
        };
        let library = self.guest.rooms.library.addr();
        // What the page asks next may be about this stream.
        self.guest.link.pause();
        async move { library?.send(Find(name)).await.ok().flatten() }
            .into_actor(self)
            .map(move |title, this, ctx| {
                if this.stage.is_current(stream, viewing) {
                    match title {
                        None => this.end(stream, Ending::Gone, None, ctx),
                        Some(title) => this.show(stream, viewing, title, quality, from, ctx),
                    }
                }
                this.guest.link.resume();
            })
            .spawn(ctx);
    }

    fn show(
        &mut self,
        stream: u32,
        viewing: u64,
        title: Title,
        quality: Option<String>,
        from: u32,
        ctx: &mut Context<Self>,
    ) {
        let Some(slot) = self.guest.rooms.streams.take() else {
            let message = "too many videos are playing: streaming.max_streams";
            return self.end(stream, Ending::Busy, Some(message), ctx);
        };
        let (showing, reel) = match title {
            Title::Video(video) => {
                let quality = quality.as_deref().unwrap_or(INTERLEAVED);
                let Some(plan) = plan(&video, quality) else {
                    let message = "there is no such quality";
                    return self.end(stream, Ending::Gone, Some(message), ctx);
                };
                self.tell_video(stream, &video, &plan, quality, ctx);
                let from = from.min(video.frame_count());
                let reel = Reel::Video {
                    video: video.clone(),
                    plan: plan.clone(),
                    next: from,
                };
                (Showing::Video(video, plan, from), reel)
            }
            Title::Live(broadcast) => {
                self.tell(
                    &ServerMessage::Stream {
                        stream,
                        name: &broadcast.name,
                        live: true,
                        frames: None,
                        fps: None,
                        quality: "live",
                        plan: Vec::new(),
                    },
                    ctx,
                );
                let since = Instant::now();
                (
                    Showing::Live(broadcast, None),
                    Reel::Live { since, next: 0 },
                )
            }
        };
        let name = showing.name().to_owned();
        let span = self.guest.link.span();
        span.in_scope(|| tracing::info!(video = name, from, "stream begins"));
        let screen = Screen::new(stream, viewing, reel, ctx.address()).start();
        let shown = Viewing::start(showing, slot, &self.guest.rooms, screen.recipient());
        self.stage.show(stream, viewing, shown);
    }

    fn tell_video(
        &mut self,
        stream: u32,
        video: &Arc<Video>,
        plan: &Plan,
        quality: &str,
        ctx: &mut Context<Self>,
    ) {
        let frames = video.frame_count();
        let segments = plan.segments().iter();
        let pieces = segments.filter_map(|segment| {
            Some(Piece {
                quality: &video.clips.get(segment.quality)?.quality,
                from: segment.frames.start,
                to: segment.frames.end,
            })
        });
        self.tell(
            &ServerMessage::Stream {
                stream,
                name: &video.name,
                live: false,
                frames: Some(frames),
                fps: video.clips.first().map(|lowest| lowest.frame_rate),
                quality,
                plan: pieces.collect(),
            },
            ctx,
        );
    }
}

impl Handler<Shown> for WebConnection {
    type Result = ();

    fn handle(&mut self, Shown { viewing, what }: Shown, ctx: &mut Context<Self>) {
        let Some(stream) = self.stage.stream_of(viewing) else {
            return;
        };
        match what {
            Picture::Frame { head, jpeg } => {
                if self.guest.link.is_open() {
                    self.stage.queued_frame(viewing);
                    self.push(Segment::frame_of(viewing, &head, jpeg), ctx);
                }
            }
            Picture::Finish => self.end(stream, Ending::Over, None, ctx),
            Picture::Failed => self.end(stream, Ending::Failed, None, ctx),
        }
    }
}

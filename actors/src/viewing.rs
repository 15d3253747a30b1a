//! What a person watches: a recorded video or a live channel, and the actor that shows it.

use std::sync::Arc;

use actix::prelude::*;
use actix_rt::Arbiter;
use playhouse_media::{Plan, Video};

use crate::follower::{Conclude, Follower};
use crate::house::Rooms;
use crate::slots::Slot;
use crate::streamer::{Cancel, Show, Streamer, Written};
use crate::studio::Broadcast;
use crate::watch;

/// What the library has under a name.
#[derive(Clone)]
pub enum Title {
    Video(Arc<Video>),
    Live(Broadcast),
}

/// The word for all qualities in turn.
pub const INTERLEAVED: &str = "interleaved";

/// Which frames of which quality, if there is one of that name; all in turn, as videochat has them.
pub fn plan(video: &Video, quality: &str) -> Option<Plan> {
    let frames = video.frame_count();
    match quality {
        INTERLEAVED => Some(Plan::remainder_last(frames, video.clips.len())),
        name => Some(Plan::single(frames, video.quality(name)?)),
    }
}

/// What is to be shown, and how.
pub enum Showing {
    /// From this frame on.
    Video(Arc<Video>, Plan, u32),
    /// So many frames; `None`: as many as come.
    Live(Broadcast, Option<u32>),
}

impl Showing {
    pub fn name(&self) -> &str {
        match self {
            Showing::Video(video, ..) => &video.name,
            Showing::Live(broadcast, _) => &broadcast.name,
        }
    }

    /// How many frames, if that is known.
    pub fn frames(&self) -> Option<u32> {
        match self {
            Showing::Video(_, plan, from) => Some(plan.len().saturating_sub(*from)),
            Showing::Live(_, frames) => *frames,
        }
    }
}

enum Source {
    Video(Addr<Streamer>),
    Live(Addr<Follower>),
}

/// Starts who shows something on this core, beside the viewer's connection, which is told of a panic.
pub fn start_beside<A>(name: &'static str, actor: A, viewer: Recipient<Show>) -> Addr<A>
where
    A: Actor<Context = Context<A>> + Send,
{
    watch::start(
        &Arbiter::current(),
        |_| Some(actor),
        move |panic| {
            if let Some(panic) = panic {
                tracing::error!(actor = name, panic, "a viewing panicked");
                viewer.do_send(Show::Failed);
            }
        },
    )
}

/// A viewing that goes on; it ends when this is dropped, also when its connection panics.
pub struct Viewing {
    source: Source,
    _slot: Slot,
}

impl Viewing {
    /// Starts it on this core.
    pub fn start(showing: Showing, slot: Slot, rooms: &Rooms, viewer: Recipient<Show>) -> Viewing {
        let source = match showing {
            Showing::Video(video, plan, from) => {
                Source::Video(Streamer::new(video, plan, from, rooms, viewer).start_here())
            }
            Showing::Live(broadcast, frames) => {
                let number = rooms.studio.next_id();
                Source::Live(Follower::new(number, broadcast, frames, viewer).start_here())
            }
        };
        Viewing {
            source,
            _slot: slot,
        }
    }

    /// Whether it is of a live channel.
    pub fn is_live(&self) -> bool {
        matches!(self.source, Source::Live(_))
    }

    /// The connection has written so many frames.
    pub fn written(&self, frames: u32) {
        match &self.source {
            Source::Video(streamer) => streamer.do_send(Written { frames }),
            Source::Live(follower) => follower.do_send(Written { frames }),
        }
    }

    /// Ends it if it is of a live channel, after the frames that were sent.
    pub fn conclude(&self) {
        if let Source::Live(follower) = &self.source {
            follower.do_send(Conclude);
        }
    }
}

impl Drop for Viewing {
    fn drop(&mut self) {
        match &self.source {
            Source::Video(streamer) => streamer.do_send(Cancel),
            Source::Live(follower) => follower.do_send(Cancel),
        }
    }
}

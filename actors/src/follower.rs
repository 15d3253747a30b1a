//! One viewing of a live channel: hands its connection each frame that the channel sends, and tells
//! the channel when the connection has written it. To the viewer it is what a
//! [`Streamer`](crate::Streamer) is, without an end of its own.

use actix::prelude::*;
use bytes::Bytes;

use crate::live_channel::{Following, Live};
use crate::messages::{Observation, Observe};
use crate::streamer::{Cancel, Show, Written};
use crate::studio::Broadcast;
use crate::viewing::start_beside;

/// Frames that make up the promised number wait in the connection, at most.
const FILLING: usize = 8;

/// The viewer has seen enough: what was sent is the end.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Conclude;

/// One viewing of a live channel.
pub struct Follower {
    /// Drawn from the studio.
    number: u64,
    broadcast: Broadcast,
    viewer: Recipient<Show>,
    /// So many frames were promised; `None`: as many as come.
    promised: Option<u32>,
    following: Option<Following>,
    shown: u32,
    /// Frames that the connection has not written yet.
    in_flight: usize,
    last: Option<Bytes>,
}

impl Follower {
    /// A viewing of `promised` frames, or of all that come.
    pub fn new(
        number: u64,
        broadcast: Broadcast,
        promised: Option<u32>,
        viewer: Recipient<Show>,
    ) -> Follower {
        Follower {
            number,
            viewer,
            promised,
            following: None,
            shown: 0,
            in_flight: 0,
            last: None,
            broadcast,
        }
    }

    /// Starts it on this core, beside its connection, which is told if it panics.
    pub fn start_here(self) -> Addr<Follower> {
        let viewer = self.viewer.clone();
        start_beside("follower", self, viewer)
    }

    fn show(&mut self, jpeg: Bytes) {
        self.last = Some(jpeg.clone());
        self.shown += 1;
        self.in_flight += 1;
        self.viewer.do_send(Show::Frame(jpeg));
        if self.promised == Some(self.shown) {
            self.following = None;
        }
    }

    /// Nothing more comes: what was promised is made up for with the last frame.
    fn fill(&mut self, ctx: &mut Context<Self>) {
        if self.following.is_some() {
            return;
        }
        while self.promised.is_some_and(|promised| self.shown < promised) {
            if self.in_flight >= FILLING {
                return;
            }
            let Some(last) = self.last.clone() else {
                // It broke before there was one.
                self.viewer.do_send(Show::Failed);
                return ctx.stop();
            };
            self.show(last);
        }
        if self.in_flight == 0 {
            self.viewer.do_send(Show::Finish);
            ctx.stop();
        }
    }
}

impl Actor for Follower {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if self.broadcast.channel.connected() {
            let (number, channel) = (self.number, self.broadcast.channel.clone());
            let following = Following::new(number, channel, ctx.address().recipient());
            self.following = Some(following);
        } else {
            self.fill(ctx);
        }
    }
}

impl Handler<Live> for Follower {
    type Result = ();

    fn handle(&mut self, live: Live, ctx: &mut Context<Self>) {
        match live {
            Live::Frame(frame) if self.following.is_some() => self.show(frame.jpeg),
            // On its way when all was shown already.
            Live::Frame(_) => {}
            Live::Ended => {
                self.following = None;
                self.fill(ctx);
            }
        }
    }
}

impl Handler<Written> for Follower {
    type Result = ();

    fn handle(&mut self, written: Written, ctx: &mut Context<Self>) {
        let frames = usize::try_from(written.frames).unwrap_or(usize::MAX);
        self.in_flight = self.in_flight.saturating_sub(frames);
        match &self.following {
            Some(following) => following.taken(written.frames),
            None => self.fill(ctx),
        }
    }
}

impl Handler<Conclude> for Follower {
    type Result = ();

    fn handle(&mut self, _: Conclude, ctx: &mut Context<Self>) {
        self.following = None;
        self.fill(ctx);
    }
}

impl Handler<Cancel> for Follower {
    type Result = ();

    fn handle(&mut self, _: Cancel, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

impl Handler<Observe> for Follower {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::Follower {
            channel: self.broadcast.name.to_string(),
            shown: self.shown,
        }
    }
}

//! One lan_video connection: a camera, whose frames are a live channel (docs/protocols.md, "lan").
//!
//! Nothing is read while a frame is looked at: a camera that is faster than the house is slowed down by
//! its own socket, and has at most one frame in memory.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_rt::Arbiter;
use playhouse_protocols::lan::{Frame, FrameDecoder};
use playhouse_protocols::wire::Step;
use tokio::time::Instant;

use crate::cameras::{BadFrame, Number};
use crate::guest::{Conversation, Guest};
use crate::house::Rooms;
use crate::link::{Link, Parting};
use crate::live_channel::{LiveFrame, Publish};

use crate::pump::Pump;
use crate::slots::Slot;
use crate::studio::Feed;

/// From its first byte on a camera has a place among few, and so long for its first good frame.
const FIRST_FRAME: Duration = Duration::from_secs(30);
/// The protocol has no word for an error; after so many bad frames in a row the camera is let go.
const MAX_FAULTS: u32 = 20;

/// The actor of one camera's connection.
pub struct LanVideoConnection {
    guest: Guest,
    place: Option<Slot>,
    decoder: FrameDecoder,
    channel: Option<Channel>,
    /// Frames that were looked at, good and bad.
    frames: u64,
}

/// From the first good frame on.
struct Channel {
    _number: Number,
    feed: Feed,
    /// When a picture was last made.
    shown: Instant,
}

impl LanVideoConnection {
    pub fn new(link: Link, rooms: Arc<Rooms>) -> LanVideoConnection {
        LanVideoConnection {
            place: None,
            decoder: FrameDecoder::new(rooms.cameras.max_frame),
            guest: Guest::new(link, rooms),
            channel: None,
            frames: 0,
        }
    }

    fn look_at(&mut self, Frame(pickle): Frame, ctx: &mut Context<Self>) {
        self.guest.link.pause();
        let wanted = self.channel.as_ref().is_none_or(Channel::wants_picture);
        self.guest
            .rooms
            .cameras
            .look_at(pickle, wanted)
            .into_actor(self)
            .map(|looked, this, ctx| {
                this.frames += 1;
                let broken = || Err(BadFrame::Internal("the log says why".to_owned()));
                let (memory, looked) = looked.unwrap_or_else(|| (Vec::new(), broken()));
                this.decoder.reuse(memory);
                match looked {
                    Ok(frame) => {
                        this.guest.faults = 0;
                        if let Some(frame) = frame {
                            this.show(frame, ctx);
                        }
                    }
                    Err(error) => this.refused(&error, ctx),
                }
                this.guest.link.resume();
            })
            .spawn(ctx);
    }

    fn show(&mut self, frame: LiveFrame, ctx: &mut Context<Self>) {
        if !self.guest.link.is_open() {
            return;
        }
        if self.channel.is_none() {
            self.go_on_air(ctx);
        }
        if let Some(channel) = &mut self.channel {
            channel.shown = Instant::now();
            // A channel that is too busy for it misses it; one that broke is opened anew.
            if let Err(SendError::Closed(_)) = channel.feed.channel.try_send(Publish(frame)) {
                self.channel = None;
            }
        }
    }

    fn go_on_air(&mut self, ctx: &mut Context<Self>) {
        self.introduced(ctx);
        let address = self.guest.link.peer().ip().to_canonical();
        let number = self.guest.rooms.cameras.number(address);
        let name = number.channel();
        self.guest.link.set_user(name.clone());
        let span = self.guest.link.span();
        span.in_scope(|| tracing::info!("camera on air"));
        self.channel = Some(Channel {
            feed: self.guest.rooms.studio.open(&name, &Arbiter::current()),
            _number: number,
            shown: Instant::now(),
        });
    }

    fn refused(&mut self, error: &BadFrame, ctx: &mut Context<Self>) {
        self.guest.faults += 1;
        let frame = self.frames;
        self.guest
            .link
            .span()
            .in_scope(|| tracing::warn!(frame, %error, "bad frame"));
        if self.guest.faults > MAX_FAULTS {
            let rule = format!("{error}; and {MAX_FAULTS} bad frames before");
            self.part(Parting::Fault(rule), ctx);
        }
    }

    fn take_place_among_cameras(&mut self, ctx: &mut Context<Self>) {
        self.place = self.guest.rooms.cameras.place();
        if self.place.is_none() {
            let rule = "lan_video.max_cameras are here already".to_owned();
            return self.part(Parting::Fault(rule), ctx);
        }
        ctx.run_later(FIRST_FRAME, |this, ctx| {
            if this.guest.link.user().is_none() {
                let rule = format!("no good frame within {} s", FIRST_FRAME.as_secs());
                this.part(Parting::Fault(rule), ctx);
            }
        });
    }

    /// Lets a camera go of which no frame comes.
    fn expect_frames(&mut self, ctx: &mut Context<Self>) {
        let (stall, before) = (self.guest.rooms.limits.stall, self.frames);
        ctx.run_later(stall, move |this, ctx| {
            if this.frames == before && this.guest.link.user().is_some() {
                let rule = format!("no frame for {} s", stall.as_secs());
                this.part(Parting::Fault(rule), ctx);
            } else if this.guest.link.is_open() {
                this.expect_frames(ctx);
            }
        });
    }
}

impl Channel {
    fn wants_picture(&self) -> bool {
        self.feed.wants_picture(self.shown.elapsed())
    }
}

impl Actor for LanVideoConnection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.spawn(Pump);
        self.expect_introduction(ctx);
        self.expect_frames(ctx);
    }
}

impl Conversation for LanVideoConnection {
    fn guest(&mut self) -> &mut Guest {
        &mut self.guest
    }

    fn introduction(&self) -> &'static str {
        "frame"
    }

    fn received(&mut self, input: &[u8], ctx: &mut Context<Self>) -> usize {
        // Who only connects takes no camera's place.
        if self.place.is_none() {
            self.take_place_among_cameras(ctx);
        }
        let mut at = 0;
        while self.guest.link.is_open() && !self.guest.link.is_waiting() {
            match self.decoder.decode(&input[at..]) {
                Ok(Step::Got { message, used }) => {
                    at += used;
                    self.look_at(message, ctx);
                }
                Ok(Step::More { used }) => {
                    at += used;
                    break;
                }
                Ok(Step::Refused { error, .. }) | Err(error) => {
                    self.part(Parting::Fault(error.to_string()), ctx);
                }
            }
        }
        at
    }

    fn parted(&mut self) {
        self.channel = None;
        self.place = None;
        self.decoder = FrameDecoder::new(0);
    }
}

crate::conversation!(LanVideoConnection: Dismiss, Observe);

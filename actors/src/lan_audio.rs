//! One lan_audio connection: somebody who hears the house's sound from the moment that it is
//! (docs/protocols.md, "lan").

use std::collections::VecDeque;
use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;

use crate::audio_source::{Hearing, Played};
use crate::guest::{Conversation, Guest};
use crate::house::Rooms;
use crate::link::Link;

use crate::outbound::Segment;
use crate::pump::Pump;
use crate::seldom::Seldom;

/// Bytes that may be on their way to the listener's system: what waits there is not the live moment.
const ON_THEIR_WAY: usize = 64 * 1024;

/// The actor of one lan_audio connection.
pub struct LanAudioConnection {
    guest: Guest,
    hearing: Option<Hearing>,
    /// Buffers that the listener was too slow for, oldest first.
    waiting: VecDeque<Bytes>,
    /// Whether one is being written.
    writing: bool,
    lost: Seldom,
}

impl LanAudioConnection {
    pub fn new(mut link: Link, rooms: Arc<Rooms>) -> LanAudioConnection {
        link.shows_live(Some(ON_THEIR_WAY));
        LanAudioConnection {
            guest: Guest::new(link, rooms),
            hearing: None,
            waiting: VecDeque::new(),
            writing: false,
            lost: Seldom::default(),
        }
    }

    /// Writes the next buffer if the one before has gone out.
    fn write(&mut self, ctx: &mut Context<Self>) {
        if !self.writing
            && let Some(buffer) = self.waiting.pop_front()
        {
            self.writing = true;
            self.push(Segment::whole_frame(buffer), ctx);
        }
    }
}

impl Actor for LanAudioConnection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let seat = ctx.address().recipient();
        self.hearing = Some(self.guest.rooms.hearers.hear(seat));
        self.guest
            .link
            .span()
            .in_scope(|| tracing::info!("listens"));
        ctx.spawn(Pump);
    }
}

impl Conversation for LanAudioConnection {
    fn guest(&mut self) -> &mut Guest {
        &mut self.guest
    }

    /// The protocol has no word for a listener to say.
    fn received(&mut self, input: &[u8], _: &mut Context<Self>) -> usize {
        input.len()
    }

    fn frames_written(&mut self, _: u32, ctx: &mut Context<Self>) {
        self.writing = false;
        self.write(ctx);
    }

    /// Who only listens may have closed the side that it does not use. One that is gone is found out when
    /// the next buffers are written.
    fn closed(&mut self, _: &mut Context<Self>) {
        self.guest.link.pause();
    }

    fn parted(&mut self) {
        self.hearing = None;
        self.waiting.clear();
    }
}

impl Handler<Played> for LanAudioConnection {
    type Result = ();

    fn handle(&mut self, Played(buffer): Played, ctx: &mut Context<Self>) {
        if !self.guest.link.is_open() {
            return;
        }
        if self.waiting.len() >= self.guest.rooms.sound_backlog {
            self.waiting.pop_front();
            if let Some(buffers) = self.lost.happens() {
                let span = self.guest.link.span();
                span.in_scope(|| {
                    tracing::warn!(buffers, "too slow for the sound: lost the oldest")
                });
            }
        }
        self.waiting.push_back(buffer);
        self.write(ctx);
    }
}

crate::conversation!(LanAudioConnection: Dismiss, Observe);

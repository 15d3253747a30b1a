//! One WebSocket of the console: a conversation like those of all other services (docs/protocols.md,
//! "web").

use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;

use super::guard::Access;
use crate::guest::{Conversation, Guest};
use crate::house::Rooms;
use crate::language::Language;
use crate::link::{Link, Parting};
use crate::messages::{Dismiss, Heard, Observation, Observe, Service};
use crate::outbound::{Rule, Segment};
use crate::pump::Pump;

/// How its people are told what happens.
pub const LANGUAGE: Language = Language::plain(Service::Web);

/// The actor of one WebSocket.
pub struct WebConnection {
    guest: Guest,
    access: Access,
    /// The answer that makes the connection a WebSocket.
    first: Option<Bytes>,
}

impl WebConnection {
    /// Goes on with `link`, on which `first` is still to be written, and of which `unread` came already.
    pub fn new(
        mut link: Link,
        rooms: Arc<Rooms>,
        access: Access,
        first: Bytes,
        unread: Vec<u8>,
    ) -> WebConnection {
        link.give_unread(unread);
        link.look_again();
        WebConnection {
            guest: Guest::new(link, rooms),
            access,
            first: Some(first),
        }
    }
}

impl Actor for WebConnection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.expect_introduction(ctx);
        if let Some(first) = self.first.take() {
            self.push(Segment::new(Rule::Stream, first), ctx);
        }
        ctx.spawn(Pump);
    }
}

impl Conversation for WebConnection {
    fn guest(&mut self) -> &mut Guest {
        &mut self.guest
    }

    fn received(&mut self, input: &[u8], _ctx: &mut Context<Self>) -> usize {
        let _ = self.access;
        input.len()
    }
}

impl Handler<Heard> for WebConnection {
    type Result = ();

    fn handle(&mut self, _: Heard, _: &mut Context<Self>) {}
}

impl Handler<Dismiss> for WebConnection {
    type Result = ();

    fn handle(&mut self, _: Dismiss, ctx: &mut Context<Self>) {
        self.part(Parting::HouseCloses, ctx);
    }
}

impl Handler<Observe> for WebConnection {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        self.guest.observe()
    }
}

//! One lan_chat connection: plain lines, which all others read with the sender's address before them
//! (docs/protocols.md, "lan").

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use bytes::{Bytes, BytesMut};
use playhouse_protocols::lan as wire;
use playhouse_protocols::wire::Step;

use crate::guest::{Conversation, Guest};
use crate::house::Rooms;
use crate::language::{Language, Spoken};
use crate::link::{Link, Parting};
use crate::lobby::{Plain, Say};
use crate::messages::{Heard, Person, Service};
use crate::outbound::{Rule, Segment};
use crate::pump::Pump;

/// Text without a line end is complete after so much silence: a line that crosses the network in two
/// pieces is still one, and who sends none does not wait.
const QUIET: Duration = Duration::from_millis(30);

/// The actor of one lan_chat connection.
pub struct LanChatConnection {
    guest: Guest,
    prefix: Bytes,
    welcomed: bool,
    /// Runs while a text may not be complete.
    quiet: Option<SpawnHandle>,
}

impl LanChatConnection {
    pub fn new(link: Link, rooms: Arc<Rooms>) -> LanChatConnection {
        LanChatConnection {
            prefix: wire::prefix(link.peer().ip().to_canonical()),
            guest: Guest::new(link, rooms),
            welcomed: false,
            quiet: None,
        }
    }

    /// Comes before all that others say.
    fn welcome(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.welcomed, true) {
            let welcome = Bytes::from_static(wire::WELCOME);
            self.push(Segment::new(Rule::Stream, welcome), ctx);
        }
    }

    /// `lines` are where the texts stand in `wire`.
    fn say(&mut self, wire: BytesMut, lines: &[Range<usize>]) {
        let wire = wire.freeze();
        let from = self.guest.person();
        let is_one_room = self.guest.rooms.bridge.is_some();
        let plain = from.filter(|_| is_one_room).map(|from| Plain {
            from,
            texts: lines.iter().map(|line| wire.slice(line.clone())).collect(),
        });
        self.guest.rooms.lobby.do_send(Say {
            service: Service::LanChat,
            but: from,
            wire,
            messages: lines.len() as u64,
            plain,
            receipt: self.guest.link.receipt(),
        });
    }

    fn expect_quiet(&mut self, ctx: &mut Context<Self>) {
        self.quiet = Some(ctx.run_later(QUIET, |this, ctx| {
            this.quiet = None;
            if this.guest.link.is_waiting() {
                // It is we who do not read.
                this.expect_quiet(ctx);
            } else {
                this.take_as_complete(ctx);
            }
        }));
    }

    fn disturbed(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.quiet.take() {
            ctx.cancel_future(timer);
        }
    }

    /// What is unread is a text without a line end, all but the beginning of a character perhaps.
    fn take_as_complete(&mut self, ctx: &mut Context<Self>) {
        let mut unread = self.guest.link.take_unread();
        let Some(text) = wire::quiet_text(&unread) else {
            return;
        };
        let (mut all, used) = (BytesMut::new(), text.0.len());
        let line = wire::encode_text(&mut all, &self.prefix, text);
        self.say(all, &[line]);
        unread.drain(..used);
        if !unread.is_empty() {
            self.guest.link.give_unread(unread);
            self.expect_quiet(ctx);
        }
    }
}

/// How its people are told what happens.
pub const LANGUAGE: Language = Language {
    words: Some(encode_words),
    ..Language::plain(Service::LanChat)
};

/// Lines, with the name of who speaks where an address stands otherwise.
fn encode_words(spoken: &Spoken<'_>) -> Bytes {
    // A name with brackets could look like two people.
    let name = spoken.from.name.replace('<', "(").replace('>', ")");
    let prefix = format!("<{name}> ");
    let mut all = BytesMut::new();
    for text in spoken.texts {
        all.extend_from_slice(prefix.as_bytes());
        all.extend_from_slice(text);
        all.extend_from_slice(b"\n");
    }
    all.freeze()
}

impl Actor for LanChatConnection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.guest.name = self.guest.link.peer().ip().to_canonical().to_string();
        self.join(String::new(), 0, ctx);
        ctx.spawn(Pump);
    }
}

impl Conversation for LanChatConnection {
    fn guest(&mut self) -> &mut Guest {
        &mut self.guest
    }

    fn joined(&mut self, _: &Arc<Person>, ctx: &mut Context<Self>) {
        self.welcome(ctx);
        self.guest.link.resume();
    }

    fn received(&mut self, input: &[u8], ctx: &mut Context<Self>) -> usize {
        self.disturbed(ctx);
        let (mut at, mut lines, mut all) = (0, Vec::new(), BytesMut::new());
        while let Step::Got { message, used } = wire::decode_text(&input[at..]) {
            lines.push(wire::encode_text(&mut all, &self.prefix, message));
            at += used;
        }
        if !lines.is_empty() {
            self.say(all, &lines);
        }
        if at < input.len() {
            self.expect_quiet(ctx);
        }
        at
    }

    fn closed(&mut self, ctx: &mut Context<Self>) {
        self.disturbed(ctx);
        self.take_as_complete(ctx);
        self.part(Parting::Dropped("the peer closed it".to_owned()), ctx);
    }
}

impl Handler<Heard> for LanChatConnection {
    type Result = ();

    fn handle(&mut self, heard: Heard, ctx: &mut Context<Self>) {
        match heard {
            Heard::Said(wire) => {
                self.welcome(ctx);
                self.push(Segment::new(Rule::Stream, wire), ctx);
            }
            // The protocol has no word for who is here; the lobby says words to those who understand them.
            Heard::Presence { .. } | Heard::Words(_) | Heard::Refused(_) => {}
            Heard::ShownOut(why) => self.part(Parting::ShownOut(why.to_string()), ctx),
        }
    }
}

crate::conversation!(LanChatConnection: Dismiss, Observe);

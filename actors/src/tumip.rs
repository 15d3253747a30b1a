//! One tumip connection: somebody who may send pictures to a UDP port of their own and ask a bot
//! (docs/protocols.md, "tumip").

use std::sync::Arc;

use actix::prelude::*;
use playhouse_protocols::tumip::{
    Answer, ClientMessage, Decoder, MAX_PIXELS, Request, ServerMessage,
};
use playhouse_protocols::wire::Step;

use crate::chat_bot::{Chat, NoAnswer};
use crate::guest::{Conversation, Guest};
use crate::house::Rooms;
use crate::language::Language;
use crate::link::{Link, Parting};
use crate::messages::{Heard, Person, Service};
use crate::outbound::{Rule, Segment};
use crate::picture_port::{OpenPort, PicturePort};
use crate::pump::Pump;

/// After so many requests that can't be met the peer is let go.
const MAX_FAULTS: u32 = 20;

/// A request, kept until whoever makes it has a name.
enum Wish {
    Register { pixels: u16 },
    Ask(Vec<u8>),
}

/// The actor of one tumip connection.
pub struct TumipConnection {
    guest: Guest,
    decoder: Decoder,
    chat: Chat,
    /// The user's number and first request, while the lobby finds a name.
    first: Option<(u32, Wish)>,
    port: Option<OpenPort>,
    /// Runs while a question may not be complete.
    quiet: Option<SpawnHandle>,
    /// The peer has closed its side and waits for an answer.
    last_answer: bool,
}

impl TumipConnection {
    pub fn new(mut link: Link, rooms: Arc<Rooms>) -> TumipConnection {
        link.take_turns();
        TumipConnection {
            chat: Chat::new(rooms.bots.clone()),
            guest: Guest::new(link, rooms),
            decoder: Decoder::default(),
            first: None,
            port: None,
            quiet: None,
            last_answer: false,
        }
    }

    fn answer(&mut self, user: u32, answer: Answer, ctx: &mut Context<Self>) {
        if let Some(form) = self.decoder.form() {
            let wire = ServerMessage { user, answer }.encode(form);
            self.push(Segment::new(Rule::Alone, wire), ctx);
        }
    }

    fn dispatch(&mut self, message: ClientMessage<'_>, ctx: &mut Context<Self>) {
        let user = message.user;
        let wish = match message.request {
            Request::Register { pixels } => Wish::Register { pixels },
            Request::Ask(said) => Wish::Ask(said.to_vec()),
            Request::Other(request) => return self.unknown(user, request, ctx),
        };
        if self.guest.link.user().is_some() {
            self.fulfil(user, wish, ctx);
        } else {
            self.first = Some((user, wish));
            self.guest.name = format!("tumip-{user}");
            self.join(String::new(), 0, ctx);
        }
    }

    fn unknown(&mut self, user: u32, request: u8, ctx: &mut Context<Self>) {
        self.answer(user, Answer::Unknown(request), ctx);
        let rule = format!("request {request}: there are 1 (register) and 3 (ask the bot)");
        self.refused(rule, ctx);
    }

    fn refused(&mut self, rule: String, ctx: &mut Context<Self>) {
        self.guest.faults += 1;
        let warn = || tracing::warn!(rule, "refused");
        self.guest.link.span().in_scope(warn);
        if self.guest.faults > MAX_FAULTS {
            let rule = format!("{rule}; and {MAX_FAULTS} refusals before");
            self.part(Parting::Fault(rule), ctx);
        }
    }

    fn fulfil(&mut self, user: u32, wish: Wish, ctx: &mut Context<Self>) {
        match wish {
            Wish::Register { pixels } => self.register(user, pixels, ctx),
            Wish::Ask(said) => self.ask(user, &said, ctx),
        }
    }

    fn register(&mut self, user: u32, pixels: u16, ctx: &mut Context<Self>) {
        match self.port_for(pixels) {
            Ok(port) => self.answer(user, Answer::Accepted { port }, ctx),
            Err(rule) => {
                self.answer(user, Answer::Rejected, ctx);
                self.refused(rule, ctx);
            }
        }
    }

    fn port_for(&mut self, pixels: u16) -> Result<u16, String> {
        if !(1..=MAX_PIXELS).contains(&pixels) {
            return Err(format!("frame size {pixels}: 1 to {MAX_PIXELS} pixels"));
        }
        if let Some(open) = self.port.as_ref().filter(|port| port.is_open()) {
            return Ok(open.port);
        }
        let (guest, rooms) = (&self.guest, &self.guest.rooms);
        let name = guest.link.user().cloned().unwrap_or_default();
        let peer = guest.link.peer().ip().to_canonical();
        let open = PicturePort::open(&rooms.picture_ports, &rooms.studio, peer, &name)?;
        let port = open.port;
        guest
            .link
            .span()
            .in_scope(|| tracing::info!(port, "takes pictures"));
        self.port = Some(open);
        Ok(port)
    }

    /// Asks the bot; nothing is read until it answers.
    fn ask(&mut self, user: u32, said: &[u8], ctx: &mut Context<Self>) {
        self.guest.link.pause();
        self.chat
            .ask(said)
            .into_actor(self)
            .map(move |answer, this, ctx| {
                let answer = match answer {
                    Ok(text) => Answer::Said(text.into_bytes()),
                    Err(error) => this.failed(&error),
                };
                this.answer(user, answer, ctx);
                this.guest.link.resume();
                if this.last_answer {
                    this.part(Parting::Goodbye, ctx);
                }
            })
            .spawn(ctx);
    }

    fn failed(&self, error: &NoAnswer) -> Answer {
        self.guest.link.span().in_scope(|| match error {
            NoAnswer::Broken(_) => tracing::error!(error = error.detail(), "the bot is broken"),
            _ => tracing::warn!(error = error.detail(), "the bot has no answer"),
        });
        Answer::Failed(error.to_string().into_bytes())
    }

    /// What has come of a question is all of it, when nothing more comes for a while.
    fn expect_quiet(&mut self, ctx: &mut Context<Self>) {
        self.disturbed(ctx);
        let wait = self.guest.rooms.quiet;
        self.quiet = Some(ctx.run_later(wait, |this, ctx| {
            this.quiet = None;
            this.take_as_complete(ctx);
        }));
    }

    fn disturbed(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.quiet.take() {
            ctx.cancel_future(timer);
        }
    }

    /// Takes what is unread for a whole question; says whether it is one.
    fn take_as_complete(&mut self, ctx: &mut Context<Self>) -> bool {
        let unread = self.guest.link.take_unread();
        match self.decoder.quiet(&unread) {
            Some(Step::Got { message, .. }) => {
                self.dispatch(message, ctx);
                true
            }
            _ => {
                self.guest.link.give_unread(unread);
                false
            }
        }
    }
}

/// How its people are told what happens.
pub const LANGUAGE: Language = Language {
    reads: false,
    ..Language::plain(Service::Tumip)
};

impl Actor for TumipConnection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.expect_introduction(ctx);
        ctx.spawn(Pump);
    }
}

impl Conversation for TumipConnection {
    fn guest(&mut self) -> &mut Guest {
        &mut self.guest
    }

    fn introduction(&self) -> &'static str {
        "request"
    }

    fn joined(&mut self, _: &Arc<Person>, ctx: &mut Context<Self>) {
        self.guest.link.resume();
        if let Some((user, wish)) = self.first.take() {
            self.fulfil(user, wish, ctx);
        }
    }

    fn received(&mut self, input: &[u8], ctx: &mut Context<Self>) -> usize {
        self.disturbed(ctx);
        let mut at = 0;
        while self.guest.link.is_open() && !self.guest.link.is_waiting() {
            match self.decoder.decode(&input[at..]) {
                Ok(Step::Got { message, used }) => {
                    at += used;
                    self.dispatch(message, ctx);
                }
                Ok(Step::More { .. }) => {
                    if at < input.len() {
                        self.expect_quiet(ctx);
                    }
                    break;
                }
                Ok(Step::Refused { error, .. }) | Err(error) => {
                    self.part(Parting::Fault(error.to_string()), ctx);
                }
            }
        }
        at
    }

    fn closed(&mut self, ctx: &mut Context<Self>) {
        self.disturbed(ctx);
        self.last_answer = true;
        if !self.take_as_complete(ctx) {
            // What is answered already still goes out.
            self.part(Parting::Goodbye, ctx);
        }
    }
}

impl Handler<Heard> for TumipConnection {
    type Result = ();

    // The protocol has no word for what others say.
    fn handle(&mut self, heard: Heard, ctx: &mut Context<Self>) {
        if let Heard::ShownOut(why) = heard {
            self.part(Parting::ShownOut(why.to_string()), ctx);
        }
    }
}

crate::conversation!(TumipConnection: Dismiss, Observe);

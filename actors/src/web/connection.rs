//! One WebSocket of the console: a conversation like those of all other services (docs/protocols.md,
//! "web"). What it watches is the [`Stage`]'s.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_media::SAMPLE_RATE;
use playhouse_protocols::packetchat::Kind;
use playhouse_protocols::web::{
    self as wire, ClientMessage, CloseCode, Decoder, Ending, Id, Incoming, MAX_SAY, Said,
    ServerMessage, Speaker,
};
use playhouse_protocols::wire::{Step, user_name};
use playhouse_storage::now_ms;

use super::camera::Camera;
use super::stage::{MAX_STREAMS, Stage};
use super::vitals::vitals;
use super::words;
use crate::audio_source::{Hearing, Played};
use crate::file_store::draw;
use crate::guest::{Conversation, Guest};
use crate::history::Recall;
use crate::house::Rooms;
use crate::inbox::{Delivery, Fate, Sender};
use crate::link::{LIVE_BYTES, Link, Parting};
use crate::lobby::{Everyone, To};
use crate::messages::{Dismiss, Heard, Observation, Observe, Person, Service};
use crate::outbound::{Rule, Segment};
use crate::pump::Pump;
use crate::sent::MessageId;
use crate::traffic;

/// Each mistake is answered with an `error`; after so many the peer is let go.
const MAX_FAULTS: u32 = 100;
/// Messages of the past that a newcomer is told.
const HISTORY: usize = 50;
/// What happens before the list of people is there, in messages.
const MAX_EARLY: usize = 4096;
/// Direct messages of which it is not known yet whether they arrived.
const UNDERWAY: usize = 64;
/// How often a page that wants to know is told how the house is.
const VITALS: Duration = Duration::from_secs(1);

/// The actor of one WebSocket.
pub struct WebConnection {
    pub(super) guest: Guest,
    decoder: Decoder,
    /// The answer that makes the connection a WebSocket.
    first: Option<Bytes>,
    pub(super) me: Option<Arc<Person>>,
    /// What was heard before the welcome; `None` after it.
    early: Option<Vec<Bytes>>,
    pub(super) stage: Stage,
    hearing: Option<Hearing>,
    /// Buffers of sound so far, those that were left out included.
    sounds: u32,
    camera: Option<Camera>,
    vitals: Option<SpawnHandle>,
    /// The server's number of each message, and its text; oldest first.
    underway: VecDeque<(u64, String)>,
}

impl WebConnection {
    /// Goes on with `link`, on which `first` is still to be written, and of which `unread` came already.
    pub fn new(mut link: Link, rooms: Arc<Rooms>, first: Bytes, unread: Vec<u8>) -> WebConnection {
        link.give_unread(unread);
        link.look_again();
        // Of what is shown not much may wait in the system's buffers: a page that seeks does not want it.
        link.shows_live(Some(LIVE_BYTES));
        WebConnection {
            guest: Guest::new(link, rooms),
            decoder: Decoder::default(),
            first: Some(first),
            me: None,
            early: Some(Vec::new()),
            stage: Stage::default(),
            hearing: None,
            sounds: 0,
            camera: None,
            vitals: None,
            underway: VecDeque::new(),
        }
    }

    pub(super) fn tell(&mut self, message: &ServerMessage<'_>, ctx: &mut Context<Self>) {
        self.push(Segment::new(Rule::Stream, wire::encode(message)), ctx);
    }

    pub(super) fn error(&mut self, message: &str, about: &str, ctx: &mut Context<Self>) {
        let about = Some(about);
        self.tell(&ServerMessage::Error { message, about }, ctx);
    }

    /// The last that a peer hears.
    fn close(&mut self, code: CloseCode, reason: &str, why: Parting, ctx: &mut Context<Self>) {
        let segment = Segment::new(Rule::Stream, wire::close(code, reason));
        self.push(segment, ctx);
        self.part(why, ctx);
    }

    fn refused(&mut self, rule: &str, about: &str, ctx: &mut Context<Self>) {
        self.guest.faults += 1;
        let warn = || tracing::warn!(rule, "bad input");
        self.guest.link.span().in_scope(warn);
        self.error(rule, about, ctx);
        if self.guest.faults > MAX_FAULTS {
            let rule = format!("{rule}; and {MAX_FAULTS} mistakes before");
            self.close(CloseCode::Policy, &rule, Parting::Fault(rule.clone()), ctx);
        }
    }

    fn dispatch(&mut self, message: Incoming, ctx: &mut Context<Self>) {
        match message {
            Incoming::Message(ClientMessage::Join { name }) => self.enter(&name, ctx),
            Incoming::Ping(payload) => {
                self.push(Segment::new(Rule::Stream, wire::pong(&payload)), ctx);
            }
            Incoming::Pong => {}
            Incoming::Close => self.close(CloseCode::Normal, "", Parting::Goodbye, ctx),
            _ if self.me.is_none() => {
                self.refused("the first message is a join", "join", ctx);
            }
            Incoming::Camera(jpeg) => self.picture(jpeg, ctx),
            Incoming::Message(message) => self.fulfil(message, ctx),
        }
    }

    fn fulfil(&mut self, message: ClientMessage, ctx: &mut Context<Self>) {
        match message {
            ClientMessage::Join { .. } => {}
            ClientMessage::Say { text, to } => self.say(text, to.as_deref(), ctx),
            ClientMessage::Watch {
                stream,
                video,
                live,
                quality,
                from,
            } => match video.or(live) {
                Some(name) => self.watch(stream, name, quality, from, ctx),
                None => self.refused("watch names a video or a live channel", "watch", ctx),
            },
            ClientMessage::Stop { stream } => self.stop(stream),
            ClientMessage::Listen { on } => self.listen(on, ctx),
            ClientMessage::Camera { on } => self.camera(on, ctx),
            ClientMessage::Vitals { on } => self.watch_vitals(on, ctx),
        }
    }

    fn enter(&mut self, name: &str, ctx: &mut Context<Self>) {
        if self.me.is_some() || self.guest.person().is_some() {
            return self.refused("somebody has joined here already", "join", ctx);
        }
        match user_name(name.as_bytes()) {
            Ok(name) => {
                self.guest.name = name.to_owned();
                self.join(String::new(), 0, ctx);
            }
            Err(error) => self.refused(&error.to_string(), "join", ctx),
        }
    }

    /// Tells a newcomer who is here and what was said.
    fn welcome(&mut self, me: Arc<Person>, ctx: &mut Context<Self>) {
        let (lobby, history) = (
            self.guest.rooms.lobby.addr(),
            self.guest.rooms.history.addr(),
        );
        let recall = Recall {
            before: None,
            limit: HISTORY,
            query: None,
        };
        async move {
            let everyone = match lobby {
                Some(lobby) => lobby.send(Everyone).await.ok(),
                None => None,
            };
            let said = match history {
                Some(history) => history.send(recall).await.unwrap_or_default(),
                None => Vec::new(),
            };
            (everyone, said)
        }
        .into_actor(self)
        .map(move |(everyone, said), this, ctx| {
            let Some(everyone) = everyone else {
                let what = "the lobby is away".to_owned();
                return this.close(
                    CloseCode::Internal,
                    "try again",
                    Parting::Internal(what),
                    ctx,
                );
            };
            let together = this.guest.rooms.bridge.is_some();
            let welcome = ServerMessage::Welcome {
                me: words::person(&me),
                people: everyone
                    .iter()
                    .filter(|other| together || other.service == Service::Web)
                    .map(|other| words::person(other))
                    .collect(),
                history: said.iter().map(words::remembered).collect(),
            };
            this.tell(&welcome, ctx);
            this.me = Some(me);
            for wire in this.early.take().unwrap_or_default() {
                this.push(Segment::new(Rule::Stream, wire), ctx);
            }
            this.decoder.trust();
            this.guest.link.resume();
        })
        .spawn(ctx);
    }

    fn say(&mut self, text: String, to: Option<&str>, ctx: &mut Context<Self>) {
        if text.trim().is_empty() {
            return;
        }
        if text.len() > MAX_SAY {
            let rule = format!("at most {MAX_SAY} bytes of text at once");
            return self.refused(&rule, "say", ctx);
        }
        let Some(me) = self.me.clone() else {
            return;
        };
        let direct = match to.map(str::parse::<u64>) {
            None => None,
            Some(Ok(person)) => Some(person),
            Some(Err(_)) => return self.refused("to is the number of a person", "say", ctx),
        };
        let to = direct.map(|person| self.send_direct(&me, person, &text, ctx));
        self.send_words(Arc::new([Bytes::from(text)]), to);
    }

    /// One's own words come back at once; that they did not arrive may follow.
    fn send_direct(&mut self, me: &Person, person: u64, text: &str, ctx: &mut Context<Self>) -> To {
        let number = draw(Kind::Message);
        // What one says to oneself comes anyway.
        if person != me.id {
            let said = Said {
                id: None,
                at: now_ms(),
                from: Speaker {
                    id: Id(me.id),
                    name: &me.name,
                    service: me.service.name(),
                },
                text: text.into(),
                to: Some(Id(person)),
            };
            self.tell(&ServerMessage::Said(said), ctx);
        }
        if self.underway.len() == UNDERWAY {
            self.underway.pop_front();
        }
        self.underway.push_back((number, text.to_owned()));
        let message = MessageId {
            to: Some(person),
            number,
        };
        let seat = ctx.address().recipient();
        To {
            person,
            number,
            sender: Some(Sender { seat, message }),
        }
    }

    fn listen(&mut self, on: bool, ctx: &mut Context<Self>) {
        let plays = self
            .guest
            .rooms
            .console
            .as_ref()
            .is_some_and(|console| console.plays);
        self.hearing = (on && plays).then(|| {
            let seat = ctx.address().recipient();
            self.guest.rooms.hearers.hear(seat)
        });
        let message = (on && !plays).then_some("the house plays no sound: lan_audio.enabled");
        let on = self.hearing.is_some();
        let rate = SAMPLE_RATE;
        self.tell(&ServerMessage::Sound { rate, on, message }, ctx);
    }

    fn camera(&mut self, on: bool, ctx: &mut Context<Self>) {
        self.camera = match &self.me {
            Some(me) if on => Some(Camera::open(me, &self.guest.rooms.studio)),
            _ => None,
        };
        self.tell_camera(None, ctx);
    }

    fn tell_camera(&mut self, message: Option<&str>, ctx: &mut Context<Self>) {
        let camera = self.camera.take();
        let channel = camera.as_ref().map(Camera::channel);
        let on = channel.is_some();
        let told = ServerMessage::Camera {
            on,
            channel,
            message,
        };
        self.tell(&told, ctx);
        self.camera = camera;
    }

    fn picture(&mut self, jpeg: Bytes, ctx: &mut Context<Self>) {
        // One may be on its way when the camera is switched off.
        if let Some(camera) = &mut self.camera
            && let Err(rule) = camera.take(jpeg)
        {
            self.camera = None;
            self.tell_camera(Some(&rule), ctx);
        }
    }

    fn watch_vitals(&mut self, on: bool, ctx: &mut Context<Self>) {
        if let Some(running) = self.vitals.take() {
            ctx.cancel_future(running);
        }
        if on {
            self.tell_vitals(ctx);
        }
    }

    fn tell_vitals(&mut self, ctx: &mut Context<Self>) {
        let rooms = self.guest.rooms.clone();
        let told = async move { vitals(&rooms).await }
            .into_actor(self)
            .map(|vitals, this, ctx| {
                // A page that is behind gets none on top.
                if this.guest.link.outbound().backlog() == 0 {
                    this.push(Segment::new(Rule::Stream, vitals.told()), ctx);
                    this.guest.link.look_again();
                }
                this.vitals = Some(ctx.run_later(VITALS, Self::tell_vitals));
            });
        self.vitals = Some(ctx.spawn(told));
    }

    /// What a page that is not welcomed yet hears waits for that.
    fn hear(&mut self, wire: Bytes, ctx: &mut Context<Self>) {
        match &mut self.early {
            Some(early) if early.len() < MAX_EARLY => early.push(wire),
            Some(_) => self.part(Parting::Slow("the list of people is late".to_owned()), ctx),
            None => self.push(Segment::new(Rule::Stream, wire), ctx),
        }
    }

    pub(super) fn end(
        &mut self,
        stream: u32,
        reason: Ending,
        message: Option<&str>,
        ctx: &mut Context<Self>,
    ) {
        // What was shown of it is still to be seen.
        self.stage.stop(stream);
        let end = ServerMessage::End {
            stream,
            reason,
            message,
        };
        self.tell(&end, ctx);
    }

    /// Nothing more is wanted of it, nor what waits to be written.
    fn stop(&mut self, stream: u32) {
        if let Some(viewing) = self.stage.stop(stream) {
            let frames = self.guest.link.outbound().discard(viewing);
            self.stage.discarded(viewing, frames);
        }
    }

    /// A number for what is to be watched, or the page is told why there is none.
    pub(super) fn begin(&mut self, stream: u32, ctx: &mut Context<Self>) -> Option<u64> {
        self.stop(stream);
        let viewing = self.stage.begin(stream);
        if viewing.is_none() {
            let message = format!("at most {MAX_STREAMS} at once");
            self.end(stream, Ending::Busy, Some(&message), ctx);
        }
        viewing
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

    fn introduction(&self) -> &'static str {
        "join"
    }

    fn timed_out(&mut self, rule: String, ctx: &mut Context<Self>) {
        self.close(CloseCode::Policy, &rule, Parting::Fault(rule.clone()), ctx);
    }

    fn joined(&mut self, person: &Arc<Person>, ctx: &mut Context<Self>) {
        self.welcome(person.clone(), ctx);
    }

    fn received(&mut self, input: &[u8], ctx: &mut Context<Self>) -> usize {
        let mut at = 0;
        while self.guest.link.is_open() && !self.guest.link.is_waiting() {
            match self.decoder.decode(&input[at..]) {
                Ok(Step::Got { message, used }) => {
                    at += used;
                    self.dispatch(message, ctx);
                }
                Ok(Step::Refused { error, used }) => {
                    at += used;
                    self.refused(&error.to_string(), error.field, ctx);
                }
                Ok(Step::More { used: 0 }) => break,
                Ok(Step::More { used }) => at += used,
                Err(broken) => {
                    let rule = broken.error.to_string();
                    self.close(broken.code, &rule, Parting::Fault(rule.clone()), ctx);
                }
            }
        }
        at
    }

    fn frames_written(&mut self, frames: u32, _: &mut Context<Self>) {
        traffic::frames_went(self.stage.written(frames));
    }

    fn parted(&mut self) {
        self.stage.clear();
        self.hearing = None;
        self.camera = None;
        self.early = None;
    }
}

impl Handler<Heard> for WebConnection {
    type Result = ();

    fn handle(&mut self, heard: Heard, ctx: &mut Context<Self>) {
        match heard {
            Heard::Said(wire) => self.hear(wire, ctx),
            Heard::Presence { wire, .. } => {
                for wire in wire.iter() {
                    self.hear(wire.clone(), ctx);
                }
            }
            // They come encoded.
            Heard::Words(_) => {}
            Heard::Refused(why) => self.error(&why, "say", ctx),
            Heard::ShownOut(why) => {
                let (text, shown_out) = (&*why, true);
                self.tell(&ServerMessage::Notice { text, shown_out }, ctx);
                let parting = Parting::ShownOut(why.to_string());
                self.close(CloseCode::Policy, &why, parting, ctx);
            }
        }
    }
}

impl Handler<Delivery> for WebConnection {
    type Result = ();

    fn handle(&mut self, Delivery { message, fate }: Delivery, ctx: &mut Context<Self>) {
        let mut underway = self.underway.iter();
        let at = underway.position(|(number, _)| *number == message.number);
        let (Some(to), Some((_, text))) = (message.to, at.and_then(|at| self.underway.remove(at)))
        else {
            return;
        };
        let reason = match fate {
            Fate::Arrived => return,
            Fate::GivenUp => "no receipt came; it may have arrived all the same",
            Fate::Nobody => "there is nobody of that number who can read it",
        };
        let told = ServerMessage::Undelivered {
            to: Id(to),
            text: &text,
            reason,
        };
        self.tell(&told, ctx);
    }
}

impl Handler<Played> for WebConnection {
    type Result = ();

    fn handle(&mut self, Played(buffer): Played, ctx: &mut Context<Self>) {
        if self.hearing.is_none() {
            return;
        }
        self.sounds = self.sounds.wrapping_add(1);
        // Whoever is too slow for it hears a gap, and goes on with the present.
        if self.stage.queues_sound() {
            let head = wire::sound_head(self.sounds, buffer.len());
            self.push(Segment::frame(&head, buffer), ctx);
        }
    }
}

impl Handler<Dismiss> for WebConnection {
    type Result = ();

    fn handle(&mut self, _: Dismiss, ctx: &mut Context<Self>) {
        let (text, shown_out) = ("the house closes", false);
        self.tell(&ServerMessage::Notice { text, shown_out }, ctx);
        self.close(CloseCode::Away, text, Parting::HouseCloses, ctx);
    }
}

impl Handler<Observe> for WebConnection {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::Connection {
            name: self.guest.link.user().map(|name| name.to_string()),
            backlog: self.guest.link.outbound().backlog(),
            streaming: !self.stage.is_empty(),
        }
    }
}

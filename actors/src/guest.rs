//! What the connections of all services with people have in common: a [`Link`], a place in the house
//! once they have said who they are, perhaps a video that plays. A service's connection actor owns a
//! [`Guest`] and implements [`Conversation`].

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_protocols::packetchat::Kind;
use playhouse_protocols::wire::MAX_NAME_CHARS;

use crate::file_store::draw;
use crate::house::Rooms;
use crate::link::{LINGER, LIVE_BYTES, Link, Parting};
use crate::lobby::{Join, Leave, Speak, To};
use crate::messages::{Heard, Observation, Person};
use crate::outbound::{Rule, Segment};
use crate::seat::Seated;
use crate::streamer::Show;
use crate::traffic;
use crate::viewing::{Showing, Viewing};

/// A connection's side of the house.
pub struct Guest {
    pub link: Link,
    pub rooms: Arc<Rooms>,
    /// The name that was asked for, until there is a place.
    pub name: String,
    /// Mistakes so far.
    pub faults: u32,
    seated: Option<Seated>,
    playing: Option<Viewing>,
    /// A video chosen while another one plays.
    pub next_choice: Option<String>,
    handshake: Option<SpawnHandle>,
}

impl Guest {
    /// A guest of whom nothing is known yet.
    pub fn new(link: Link, rooms: Arc<Rooms>) -> Guest {
        Guest {
            link,
            rooms,
            name: String::new(),
            faults: 0,
            seated: None,
            playing: None,
            next_choice: None,
            handshake: None,
        }
    }

    /// Its number among the people, if it has asked for a place.
    pub fn person(&self) -> Option<u64> {
        self.seated.as_ref().map(Seated::person)
    }

    /// Whether a video plays.
    pub fn is_watching(&self) -> bool {
        self.playing.is_some()
    }

    /// Whether it is one without an end.
    pub fn is_watching_live(&self) -> bool {
        self.playing.as_ref().is_some_and(Viewing::is_live)
    }

    /// Ends the viewing of a live channel; `Show::Finish` follows.
    pub fn conclude(&self) {
        if let Some(playing) = &self.playing {
            playing.conclude();
        }
    }

    /// The video is over.
    pub fn stops_watching(&mut self) {
        self.playing = None;
    }

    /// So many frames went out.
    pub fn frames_written(&self, frames: u32) {
        if let Some(playing) = &self.playing {
            traffic::frames_went(frames);
            playing.written(frames);
        }
    }

    /// As much as the socket takes went out.
    pub fn flushed(&mut self) {
        if let Some(seated) = &mut self.seated {
            seated.backlog_is(self.link.outbound().backlog());
        }
    }

    pub fn observe(&mut self) -> Observation {
        Observation::Connection {
            name: self.link.user().map(|name| name.to_string()),
            backlog: self.link.outbound().backlog(),
            streaming: self.is_watching(),
        }
    }

    fn leave(&mut self) {
        self.playing = None;
        self.seated = None;
    }
}

/// A service's words for what happens in the house.
pub trait Conversation: Actor<Context = Context<Self>> + Unpin {
    fn guest(&mut self) -> &mut Guest;

    /// Understands what is unread, `input`, as far as it goes; says how many bytes that took.
    fn received(&mut self, input: &[u8], ctx: &mut Context<Self>) -> usize;

    /// The peer did not say in time who it is.
    fn timed_out(&mut self, rule: String, ctx: &mut Context<Self>) {
        self.part(Parting::Fault(rule), ctx);
    }

    /// What a peer has to say first.
    fn introduction(&self) -> &'static str {
        "name and public key"
    }

    /// The lobby has given `person` its name and place. Reading is paused and goes on with
    /// [`Link::resume`].
    fn joined(&mut self, _: &Arc<Person>, _: &mut Context<Self>) {
        self.link().resume();
    }

    /// What happens in the house, in a service whose [`Language`](crate::Language) has encoders: it is
    /// queued as it is. For those that leave `Heard` to [`conversation`](crate::conversation).
    fn heard(&mut self, heard: Heard, ctx: &mut Context<Self>) {
        match heard {
            Heard::Said(wire) => self.push(Segment::new(Rule::Message, wire), ctx),
            Heard::Presence { wire, .. } => {
                for wire in wire.iter() {
                    self.push(Segment::new(Rule::Message, wire.clone()), ctx);
                }
            }
            Heard::ShownOut(why) => self.part(Parting::ShownOut(why.to_string()), ctx),
            Heard::Words(_) | Heard::Refused(_) => {}
        }
    }

    /// So many frames went out.
    fn frames_written(&mut self, frames: u32, _: &mut Context<Self>) {
        self.guest().frames_written(frames);
    }

    /// The conversation is over; nothing more is to be held for it.
    fn parted(&mut self) {}

    /// The peer has closed its side. What is unread will never be more.
    fn closed(&mut self, ctx: &mut Context<Self>) {
        self.part(Parting::Dropped("the peer closed it".to_owned()), ctx);
    }

    fn link(&mut self) -> &mut Link {
        &mut self.guest().link
    }

    /// Gives the peer so long to say who it is.
    fn expect_introduction(&mut self, ctx: &mut Context<Self>) {
        let limit = self.guest().rooms.limits.handshake;
        self.guest().handshake = Some(ctx.run_later(limit, move |this, ctx| {
            let rule = format!("no {} within {} s", this.introduction(), limit.as_secs());
            this.timed_out(rule, ctx);
        }));
    }

    /// The peer has said who it is.
    fn introduced(&mut self, ctx: &mut Context<Self>) {
        if let Some(handshake) = self.guest().handshake.take() {
            ctx.cancel_future(handshake);
        }
    }

    /// Asks the lobby for a place; nothing is read until it answers. `key` is shown to others, `block`
    /// is its modulus in bytes.
    fn join(&mut self, key: String, block: usize, ctx: &mut Context<Self>)
    where
        Self: Handler<Heard>,
    {
        let guest = self.guest();
        let service = guest.link.service();
        let Some(lobby) = guest.rooms.lobby.addr() else {
            return self.part(Parting::Internal("the lobby is away".to_owned()), ctx);
        };
        guest.link.pause();
        // Held before the answer comes: whoever goes while waiting leaves the lobby again.
        let seated = Seated::new(service, &guest.rooms);
        let join = Join {
            person: seated.person(),
            service,
            wanted: std::mem::take(&mut guest.name),
            key,
            block,
            floor: guest.rooms.floor_number,
            seat: ctx.address().recipient(),
        };
        guest.seated = Some(seated);
        lobby
            .send(join)
            .into_actor(self)
            .map(|person, this, ctx| match person {
                Ok(person) => this.take_place(&person, ctx),
                Err(e) => this.part(Parting::Internal(format!("the lobby: {e}")), ctx),
            })
            .spawn(ctx);
    }

    /// Asks the lobby for a place for somebody without a key, who would like to be called `name`; nothing is
    /// read until it answers. The name that it gives, which may be another one, comes with
    /// [`joined`](Conversation::joined).
    fn join_as(&mut self, name: &str, ctx: &mut Context<Self>)
    where
        Self: Handler<Heard>,
    {
        // Names stand in lines and lists of other services.
        let name = name.chars().map(|c| if c.is_control() { ' ' } else { c });
        self.guest().name = name.take(MAX_NAME_CHARS).collect();
        self.join(String::new(), 0, ctx);
    }

    /// Says something to everyone in the house, each text a message: UTF-8 without line ends. Nothing is
    /// read until everyone's queue has it. Who has not joined says nothing.
    fn speak(&mut self, texts: impl Into<Arc<[Bytes]>>) {
        self.send_words(texts.into(), None);
    }

    /// The same to one person alone, whose number is that of [`Person::id`]. Nobody is told if there is no
    /// such person, or no way to show words to it.
    fn speak_to(&mut self, person: u64, texts: impl Into<Arc<[Bytes]>>) {
        let to = To {
            person,
            number: draw(Kind::Message),
            sender: None,
        };
        self.send_words(texts.into(), Some(to));
    }

    #[doc(hidden)]
    fn send_words(&mut self, texts: Arc<[Bytes]>, to: Option<To>) {
        let guest = self.guest();
        if let Some(from) = guest.person() {
            let receipt = Some(guest.link.receipt());
            guest.rooms.lobby.do_send(Speak {
                from,
                texts,
                to,
                receipt,
            });
        }
    }

    fn take_place(&mut self, person: &Arc<Person>, ctx: &mut Context<Self>) {
        let guest = self.guest();
        if !guest.link.is_open() {
            // A full mailbox may have let the first one overtake what asked for the place.
            let person = person.id;
            return guest.rooms.lobby.do_send(Leave { person });
        }
        self.introduced(ctx);
        let guest = self.guest();
        guest.link.set_user(person.name.clone());
        guest.link.span().in_scope(|| tracing::info!("joined"));
        self.joined(person, ctx);
    }

    /// Queues `segment`; a reader who is too far behind is let go.
    fn push(&mut self, segment: Segment, ctx: &mut Context<Self>) {
        if self.link().is_open()
            && let Err(overflow) = self.link().push(segment)
        {
            self.part(Parting::Slow(overflow.to_string()), ctx);
        }
    }

    /// Ends the conversation for the reason given. What is queued still goes out, except to a reader
    /// who is too slow to take it.
    fn part(&mut self, why: Parting, _: &mut Context<Self>) {
        let guest = self.guest();
        if !guest.link.is_open() {
            return;
        }
        let patience = match why {
            Parting::Slow(_) | Parting::Dropped(_) => Duration::ZERO,
            _ => LINGER,
        };
        guest.link.close(patience);
        guest.link.span().in_scope(|| match why {
            Parting::Goodbye
            | Parting::Dropped(_)
            | Parting::ShownOut(_)
            | Parting::HouseCloses => {
                tracing::info!("left: {why}");
            }
            Parting::Internal(_) => tracing::error!("left: {why}"),
            _ => tracing::warn!("left: {why}"),
        });
        guest.leave();
        self.parted();
    }
}

/// A conversation with somebody who watches videos.
pub trait Audience: Conversation + Handler<Show> {
    /// Starts what is to be shown, if there is a place for one more viewer. `announce` tells the peer
    /// before the first frame.
    fn watch(
        &mut self,
        showing: Showing,
        ctx: &mut Context<Self>,
        announce: impl FnOnce(&mut Self, &mut Context<Self>),
    ) -> bool {
        let guest = self.guest();
        let Some(slot) = guest.rooms.streams.take() else {
            let warn = || tracing::warn!("refused a video: limit streaming.max_streams");
            guest.link.span().in_scope(warn);
            return false;
        };
        guest.link.span().in_scope(|| {
            tracing::info!(
                video = showing.name(),
                frames = showing.frames(),
                "stream begins"
            );
        });
        announce(self, ctx);
        let guest = self.guest();
        // One that is too slow even for that has left.
        if guest.link.is_open() {
            let viewing = Viewing::start(showing, slot, &guest.rooms, ctx.address().recipient());
            guest
                .link
                .shows_live(viewing.is_live().then_some(LIVE_BYTES));
            guest.playing = Some(viewing);
        }
        true
    }
}

impl<A: Conversation + Handler<Show>> Audience for A {}

/// The handlers that most [`Conversation`]s have alike: of `Heard` ([`Conversation::heard`]), `Dismiss`
/// (which ends the conversation) and `Observe`; or only those that are named.
///
/// ```ignore
/// conversation!(MyConnection);
/// conversation!(OtherConnection: Dismiss, Observe);
/// ```
#[macro_export]
macro_rules! conversation {
    ($connection:ty) => {
        $crate::conversation!($connection: Heard, Dismiss, Observe);
    };
    ($connection:ty: $($message:ident),+) => {
        $($crate::conversation!(@ $message $connection);)+
    };
    (@ Heard $connection:ty) => {
        impl $crate::actix::Handler<$crate::Heard> for $connection {
            type Result = ();

            fn handle(&mut self, heard: $crate::Heard, ctx: &mut $crate::actix::Context<Self>) {
                $crate::Conversation::heard(self, heard, ctx);
            }
        }
    };
    (@ Dismiss $connection:ty) => {
        impl $crate::actix::Handler<$crate::Dismiss> for $connection {
            type Result = ();

            fn handle(&mut self, _: $crate::Dismiss, ctx: &mut $crate::actix::Context<Self>) {
                $crate::Conversation::part(self, $crate::Parting::HouseCloses, ctx);
            }
        }
    };
    (@ Observe $connection:ty) => {
        impl $crate::actix::Handler<$crate::Observe> for $connection {
            type Result = $crate::Observation;

            fn handle(
                &mut self,
                _: $crate::Observe,
                _: &mut $crate::actix::Context<Self>,
            ) -> $crate::Observation {
                $crate::Conversation::guest(self).observe()
            }
        }
    };
}

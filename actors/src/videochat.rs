//! One videochat connection: prompts, then framed JSON and frames (docs/protocols.md, "videochat").

use std::sync::Arc;

use actix::prelude::*;
use bytes::{Bytes, BytesMut};
use playhouse_media::{Plan, Video};
use playhouse_protocols::videochat::{self as wire, ClientMessage, Presence};
use playhouse_protocols::wire::{Step, json_string};
use rsa::pkcs8::DecodePublicKey;
use rsa::traits::PublicKeyParts;

use crate::house::Rooms;
use crate::library::{FileNames, Find};
use crate::link::{Conversation, Link, Parting, Pump};
use crate::lobby::{Join, ListChange, Say};
use crate::messages::{Dismiss, Heard, Observation, Observe, Person, Service};
use crate::outbound::{Rule, Segment};
use crate::seat::Seated;
use crate::slots::Slot;
use crate::streamer::{Cancel, Show, Streamer, Written};

/// Each mistake is answered with an `Error`; after so many the peer is let go.
const MAX_FAULTS: u32 = 100;

/// Messages of one read, joined.
#[derive(Default)]
struct Said {
    wire: BytesMut,
    messages: u64,
}

struct Playing {
    streamer: Addr<Streamer>,
    _slot: Slot,
}

/// The actor of one videochat connection.
pub struct VideochatConnection {
    link: Link,
    rooms: Arc<Rooms>,
    decoder: wire::Decoder,
    name: String,
    seated: Option<Seated>,
    /// The name as a JSON string, for `from`.
    from: Vec<u8>,
    playing: Option<Playing>,
    faults: u32,
    handshake: Option<SpawnHandle>,
}

impl VideochatConnection {
    pub fn new(link: Link, rooms: Arc<Rooms>) -> VideochatConnection {
        VideochatConnection {
            link,
            rooms,
            decoder: wire::Decoder::default(),
            name: String::new(),
            seated: None,
            from: Vec::new(),
            playing: None,
            faults: 0,
            handshake: None,
        }
    }

    fn say(&mut self, wire: Bytes, ctx: &mut Context<Self>) {
        self.push(Segment::new(Rule::Message, wire), ctx);
    }

    fn error(&mut self, message: &str, ctx: &mut Context<Self>) {
        self.say(wire::error(message), ctx);
    }

    /// A peer whose bytes can't be followed any further hears why, in the words of its stage.
    fn fault(&mut self, rule: String, ctx: &mut Context<Self>) {
        if self.decoder.is_framed() {
            self.error(&rule, ctx);
        } else {
            let text = format!("Error: {rule}\n");
            self.push(Segment::new(Rule::Alone, text.into()), ctx);
        }
        self.part(Parting::Fault(rule), ctx);
    }

    fn refused(&mut self, rule: &str, ctx: &mut Context<Self>) {
        self.faults += 1;
        self.link
            .span()
            .in_scope(|| tracing::warn!(rule, "bad input"));
        if self.faults > MAX_FAULTS {
            self.fault(format!("{rule}; and {MAX_FAULTS} mistakes before"), ctx);
        } else {
            self.error(rule, ctx);
        }
    }

    fn dispatch(&mut self, message: ClientMessage<'_>, ctx: &mut Context<Self>) {
        match message {
            ClientMessage::Name(name) => {
                self.name = name.to_owned();
                let prompt = Bytes::from_static(wire::KEY_PROMPT);
                self.push(Segment::new(Rule::Alone, prompt), ctx);
            }
            ClientMessage::PublicKey(pem) => self.join(pem, ctx),
            ClientMessage::VideoList => self.list(ctx),
            ClientMessage::VideoChoice { choice } => self.choose(choice.into_owned(), ctx),
            ClientMessage::Quit => {
                self.say(wire::disconnection(), ctx);
                self.part(Parting::Goodbye, ctx);
            }
            // Gathered by `received`, for all that one read brought.
            ClientMessage::Communication { .. } => {}
        }
    }

    /// Gives the lobby what was said; nothing more is read until the house has it.
    fn pass_on(&mut self, said: &mut Said) {
        if said.messages > 0 {
            let Said { wire, messages } = std::mem::take(said);
            self.rooms.lobby.do_send(Say {
                service: Service::Videochat,
                wire: wire.freeze(),
                messages,
                receipt: self.link.receipt(),
            });
        }
    }

    fn join(&mut self, pem: &str, ctx: &mut Context<Self>) {
        let block = match rsa::RsaPublicKey::from_public_key_pem(pem) {
            Ok(key) => key.size(),
            Err(e) => return self.fault(format!("public key: no RSA key in PEM: {e}"), ctx),
        };
        let Some(lobby) = self.rooms.lobby.addr() else {
            return self.part(Parting::Internal("the lobby is away".to_owned()), ctx);
        };
        self.link.pause();
        // Held before the answer comes: whoever goes while waiting leaves the lobby again.
        let seated = Seated::new(Service::Videochat, &self.rooms);
        let join = Join {
            person: seated.person(),
            service: Service::Videochat,
            wanted: std::mem::take(&mut self.name),
            key: format!("{pem}\n"),
            block,
            floor: self.rooms.floor_number,
            seat: ctx.address().recipient(),
        };
        self.seated = Some(seated);
        lobby
            .send(join)
            .into_actor(self)
            .map(|person, this, ctx| match person {
                Ok(person) => this.joined(person, ctx),
                Err(e) => this.part(Parting::Internal(format!("the lobby: {e}")), ctx),
            })
            .spawn(ctx);
    }

    fn joined(&mut self, person: Arc<Person>, ctx: &mut Context<Self>) {
        if !self.link.is_open() {
            return;
        }
        if let Some(handshake) = self.handshake.take() {
            ctx.cancel_future(handshake);
        }
        self.from = json_string(&person.name);
        self.link.set_user(person.name.clone());
        self.link.span().in_scope(|| tracing::info!("joined"));
        self.link.resume();
    }

    fn list(&mut self, ctx: &mut Context<Self>) {
        let Some(library) = self.rooms.library.addr() else {
            return self.error("the library is just being put in order", ctx);
        };
        library
            .send(FileNames)
            .into_actor(self)
            .map(|files, this, ctx| match files {
                Ok(files) => this.say(wire::video_list(&files), ctx),
                Err(_) => this.error("the library is just being put in order", ctx),
            })
            .spawn(ctx);
    }

    fn choose(&mut self, choice: String, ctx: &mut Context<Self>) {
        if self.playing.is_some() {
            return self.error("choice: a video is playing; wait for its end", ctx);
        }
        let Some(library) = self.rooms.library.addr() else {
            return self.error("the library is just being put in order", ctx);
        };
        // What the client sends next is about a stream that has begun.
        self.link.pause();
        library
            .send(Find(choice.clone()))
            .into_actor(self)
            .map(move |video, this, ctx| {
                this.link.resume();
                match video {
                    Ok(Some(video)) => this.play(video, ctx),
                    Ok(None) => this.refused(&format!("choice: there is no video {choice:?}"), ctx),
                    Err(_) => this.error("the library is just being put in order", ctx),
                }
            })
            .spawn(ctx);
    }

    fn play(&mut self, video: Arc<Video>, ctx: &mut Context<Self>) {
        if !self.link.is_open() {
            return;
        }
        let Some(slot) = self.rooms.streams.take() else {
            return self.error("too many videos are playing; try again later", ctx);
        };
        self.link.span().in_scope(|| {
            tracing::info!(video = %video.name, frames = video.frame_count(), "stream begins");
        });
        self.say(wire::video_frame(), ctx);
        let plan = Plan::remainder_last(video.frame_count(), video.clips.len());
        let viewer = ctx.address().recipient();
        let streamer = Streamer::new(video, plan, &self.rooms, viewer).start_here();
        self.playing = Some(Playing {
            streamer,
            _slot: slot,
        });
    }
}

/// `broadcast_message` and `AFK`, as the lobby's list changes.
pub fn encode_list(change: &ListChange<'_>) -> Vec<Bytes> {
    [
        (Presence::Left, change.left),
        (Presence::Joined, change.joined),
    ]
    .into_iter()
    .flat_map(|(kind, names)| {
        let names = match change.one_by_one {
            true => names.iter().map(|name| name.to_string()).collect(),
            false if names.is_empty() => Vec::new(),
            false => vec![names.join(", ")],
        };
        names
            .into_iter()
            .map(move |name| wire::presence(kind, change.people, &name))
    })
    .collect()
}

impl Actor for VideochatConnection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let limit = self.rooms.limits.handshake;
        self.handshake = Some(ctx.run_later(limit, move |this, ctx| {
            let rule = format!("no name and public key within {} s", limit.as_secs());
            this.fault(rule, ctx);
        }));
        let prompt = Bytes::from_static(wire::NAME_PROMPT);
        self.push(Segment::new(Rule::Alone, prompt), ctx);
        ctx.spawn(Pump);
    }
}

impl Conversation for VideochatConnection {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn received(&mut self, input: &[u8], ctx: &mut Context<Self>) -> usize {
        let mut at = 0;
        let mut said = Said::default();
        while self.link.is_open() && !self.link.is_waiting() {
            match self.decoder.decode(&input[at..]) {
                Ok(Step::Got { message, used }) => {
                    at += used;
                    if let ClientMessage::Communication { encrypt_message } = &message {
                        wire::put_communication(&mut said.wire, encrypt_message, &self.from);
                        said.messages += 1;
                    } else {
                        // What was said before, a goodbye for instance, is heard before.
                        self.pass_on(&mut said);
                        self.dispatch(message, ctx);
                    }
                }
                Ok(Step::Refused { error, used }) => {
                    at += used;
                    self.refused(&error.to_string(), ctx);
                }
                Ok(Step::More { used }) => {
                    at += used;
                    break;
                }
                Err(error) => self.fault(error.to_string(), ctx),
            }
        }
        self.pass_on(&mut said);
        at
    }

    fn frames_written(&mut self, frames: u32, _: &mut Context<Self>) {
        if let Some(playing) = &self.playing {
            playing.streamer.do_send(Written { frames });
        }
    }

    fn flushed(&mut self) {
        if let Some(seated) = &mut self.seated {
            seated.backlog_is(self.link.outbound().backlog());
        }
    }

    fn parted(&mut self, _: &Parting, _: &mut Context<Self>) {
        if let Some(playing) = self.playing.take() {
            playing.streamer.do_send(Cancel);
        }
        self.seated = None;
    }
}

impl Handler<Heard> for VideochatConnection {
    type Result = ();

    fn handle(&mut self, heard: Heard, ctx: &mut Context<Self>) {
        match heard {
            Heard::Said(wire) => self.say(wire, ctx),
            Heard::Presence { wire, .. } => {
                for message in wire.iter() {
                    self.say(message.clone(), ctx);
                }
            }
        }
    }
}

impl Handler<Show> for VideochatConnection {
    type Result = ();

    fn handle(&mut self, show: Show, ctx: &mut Context<Self>) {
        match show {
            Show::Frame(jpeg) => {
                let head = wire::frame_head(jpeg.len());
                self.push(Segment::frame(&head, jpeg), ctx);
            }
            Show::Finish => {
                self.playing = None;
                self.say(wire::video_finish(), ctx);
            }
            Show::Failed => {
                self.playing = None;
                self.error("internal error: the video could not be read", ctx);
                self.say(wire::video_finish(), ctx);
            }
        }
    }
}

impl Handler<Dismiss> for VideochatConnection {
    type Result = ();

    fn handle(&mut self, _: Dismiss, ctx: &mut Context<Self>) {
        if self.decoder.is_framed() {
            self.say(wire::disconnection(), ctx);
        }
        self.part(Parting::HouseCloses, ctx);
    }
}

impl Handler<Observe> for VideochatConnection {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::Connection {
            name: self.link.user().map(|name| name.to_string()),
            backlog: self.link.outbound().backlog(),
            streaming: self.playing.is_some(),
        }
    }
}

//! One chatroom connection: bare words, each alone, and streams (docs/protocols.md, "chatroom").

use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_media::{Plan, Video};
use playhouse_protocols::chatroom::{self as wire, ClientMessage};
use playhouse_protocols::wire::Step;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::traits::PublicKeyParts;

use crate::house::Rooms;
use crate::library::{Find, VideoNames};
use crate::link::{Conversation, Link, Parting, Pump};
use crate::lobby::{Join, ListChange, Say};
use crate::messages::{Dismiss, Heard, Observation, Observe, Person, Service};
use crate::outbound::{Rule, Segment};
use crate::seat::Seated;
use crate::slots::Slot;
use crate::streamer::{Cancel, Show, Streamer, Written};

/// The protocol has no word for an error; after so many it is let go.
const MAX_FAULTS: u32 = 20;

struct Playing {
    streamer: Addr<Streamer>,
    _slot: Slot,
}

/// The actor of one chatroom connection.
pub struct ChatroomConnection {
    link: Link,
    rooms: Arc<Rooms>,
    decoder: wire::Decoder,
    name: String,
    seated: Option<Seated>,
    playing: Option<Playing>,
    /// A video chosen while another one plays.
    next_video: Option<String>,
    faults: u32,
    handshake: Option<SpawnHandle>,
}

impl ChatroomConnection {
    pub fn new(link: Link, rooms: Arc<Rooms>) -> ChatroomConnection {
        ChatroomConnection {
            link,
            rooms,
            decoder: wire::Decoder::new(),
            name: String::new(),
            seated: None,
            playing: None,
            next_video: None,
            faults: 0,
            handshake: None,
        }
    }

    fn alone(&mut self, wire: Bytes, ctx: &mut Context<Self>) {
        self.push(Segment::new(Rule::Alone, wire), ctx);
    }

    fn refused(&mut self, rule: String, ctx: &mut Context<Self>) {
        self.faults += 1;
        self.link
            .span()
            .in_scope(|| tracing::warn!(rule, "bad input"));
        if self.faults > MAX_FAULTS {
            self.part(
                Parting::Fault(format!("{rule}; and {MAX_FAULTS} mistakes before")),
                ctx,
            );
        }
    }

    fn dispatch(&mut self, message: ClientMessage<'_>, ctx: &mut Context<Self>) {
        match message {
            ClientMessage::Name(name) => {
                self.name = name.to_owned();
                self.alone(Bytes::from_static(wire::OK), ctx);
            }
            ClientMessage::PublicKey(pem) => self.join(pem, ctx),
            ClientMessage::Chat(message) => {
                self.rooms.lobby.do_send(Say {
                    service: Service::Chatroom,
                    wire: Bytes::copy_from_slice(message),
                    messages: 1,
                    receipt: self.link.receipt(),
                });
            }
            ClientMessage::ListVideos => self.list(ctx),
            ClientMessage::VideoName(name) if self.playing.is_some() => {
                self.next_video = Some(name.to_owned());
                self.link.pause();
            }
            ClientMessage::VideoName(name) => self.choose(name.to_owned(), ctx),
            ClientMessage::Disconnect => self.part(Parting::Goodbye, ctx),
            // Where a client stands matters to the decoder alone: everyone hears everything.
            ClientMessage::EnterChat | ClientMessage::LeaveChat => {}
        }
    }

    fn join(&mut self, pem: &str, ctx: &mut Context<Self>) {
        let block = match rsa::RsaPublicKey::from_pkcs1_pem(pem) {
            Ok(key) => key.size(),
            Err(e) => {
                let rule = format!("public key: no RSA key in PKCS#1 PEM: {e}");
                return self.part(Parting::Fault(rule), ctx);
            }
        };
        let Some(lobby) = self.rooms.lobby.addr() else {
            return self.part(Parting::Internal("the lobby is away".to_owned()), ctx);
        };
        self.link.pause();
        // Held before the answer comes: whoever goes while waiting leaves the lobby again.
        let seated = Seated::new(Service::Chatroom, &self.rooms);
        let join = Join {
            person: seated.person(),
            service: Service::Chatroom,
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
                Ok(person) => this.joined(&person, ctx),
                Err(e) => this.part(Parting::Internal(format!("the lobby: {e}")), ctx),
            })
            .spawn(ctx);
    }

    fn joined(&mut self, person: &Person, ctx: &mut Context<Self>) {
        if !self.link.is_open() {
            return;
        }
        if let Some(handshake) = self.handshake.take() {
            ctx.cancel_future(handshake);
        }
        self.link.set_user(person.name.clone());
        self.link.span().in_scope(|| tracing::info!("joined"));
        self.link.resume();
    }

    fn list(&mut self, ctx: &mut Context<Self>) {
        self.link.pause();
        let library = self.rooms.library.addr();
        async move {
            match library {
                Some(library) => library.send(VideoNames).await.unwrap_or_default(),
                None => Vec::new(),
            }
        }
        .into_actor(self)
        .map(|names, this, ctx| {
            this.link.resume();
            for part in wire::video_list(&names) {
                this.alone(part, ctx);
            }
        })
        .spawn(ctx);
    }

    fn choose(&mut self, name: String, ctx: &mut Context<Self>) {
        self.link.pause();
        let library = self.rooms.library.addr();
        async move {
            match library {
                Some(library) => library.send(Find(name.clone())).await.ok().flatten(),
                None => None,
            }
            .ok_or(name)
        }
        .into_actor(self)
        .map(|video, this, ctx| {
            this.link.resume();
            match video {
                Ok(video) => this.play(video, ctx),
                Err(name) => {
                    this.link
                        .span()
                        .in_scope(|| tracing::warn!(name, "no such video"));
                    this.alone(wire::stream(0), ctx);
                }
            }
        })
        .spawn(ctx);
    }

    fn play(&mut self, video: Arc<Video>, ctx: &mut Context<Self>) {
        if !self.link.is_open() {
            return;
        }
        let Some(slot) = self.rooms.streams.take() else {
            self.link
                .span()
                .in_scope(|| tracing::warn!("limits.max_streams are playing"));
            return self.alone(wire::stream(0), ctx);
        };
        self.link.span().in_scope(|| {
            tracing::info!(video = %video.name, frames = video.frame_count(), "stream begins");
        });
        self.alone(wire::stream(video.frame_count()), ctx);
        self.link.outbound().hold();
        let plan = Plan::remainder_first(video.frame_count(), video.clips.len());
        let viewer = ctx.address().recipient();
        let streamer = Streamer::new(video, plan, &self.rooms, viewer).start_here();
        self.playing = Some(Playing {
            streamer,
            _slot: slot,
        });
    }
}

/// `URIF`, as the lobby's list changes; it has no place for the names of who came and went.
pub fn encode_list(change: &ListChange<'_>) -> Vec<Bytes> {
    vec![wire::people(change.people)]
}

impl Actor for ChatroomConnection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let limit = self.rooms.limits.handshake;
        self.handshake = Some(ctx.run_later(limit, move |this, ctx| {
            let rule = format!("no name and public key within {} s", limit.as_secs());
            this.part(Parting::Fault(rule), ctx);
        }));
        self.alone(self.rooms.chatroom_key.clone(), ctx);
        ctx.spawn(Pump);
    }
}

impl Conversation for ChatroomConnection {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn received(&mut self, input: &[u8], ctx: &mut Context<Self>) -> usize {
        let mut at = 0;
        while self.link.is_open() && !self.link.is_waiting() {
            match self.decoder.decode(&input[at..]) {
                Ok(Step::Got { message, used }) => {
                    at += used;
                    self.dispatch(message, ctx);
                }
                Ok(Step::Refused { error, used }) => {
                    at += used;
                    self.refused(error.to_string(), ctx);
                }
                Ok(Step::More { used }) => {
                    at += used;
                    break;
                }
                Err(error) => self.part(Parting::Fault(error.to_string()), ctx),
            }
        }
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

impl Handler<Heard> for ChatroomConnection {
    type Result = ();

    fn handle(&mut self, heard: Heard, ctx: &mut Context<Self>) {
        match heard {
            Heard::Said(wire) => self.alone(wire, ctx),
            Heard::Presence { wire, blocks } => {
                self.decoder.set_blocks(blocks);
                for list in wire.iter() {
                    self.push(Segment::new(Rule::AloneNewest, list.clone()), ctx);
                }
            }
        }
    }
}

impl Handler<Show> for ChatroomConnection {
    type Result = ();

    fn handle(&mut self, show: Show, ctx: &mut Context<Self>) {
        match show {
            Show::Frame(jpeg) => {
                let head = wire::frame_head(jpeg.len());
                self.push(Segment::frame(&head, jpeg), ctx);
            }
            Show::Finish => {
                self.playing = None;
                self.link.release();
                if let Some(name) = self.next_video.take() {
                    self.choose(name, ctx);
                }
            }
            // So many frames were promised, and the protocol has no word for it.
            Show::Failed => {
                let what = "the video could not be read".to_owned();
                self.part(Parting::Internal(what), ctx);
            }
        }
    }
}

impl Handler<Dismiss> for ChatroomConnection {
    type Result = ();

    fn handle(&mut self, _: Dismiss, ctx: &mut Context<Self>) {
        self.part(Parting::HouseCloses, ctx);
    }
}

impl Handler<Observe> for ChatroomConnection {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::Connection {
            name: self.link.user().map(|name| name.to_string()),
            backlog: self.link.outbound().backlog(),
            streaming: self.playing.is_some(),
        }
    }
}

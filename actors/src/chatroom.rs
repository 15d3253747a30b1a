//! One chatroom connection: bare words, each alone, and streams (docs/protocols.md, "chatroom").

use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_media::Plan;
use playhouse_protocols::chatroom::{self as wire, ClientMessage};
use playhouse_protocols::wire::Step;
use rsa::pkcs1::{DecodeRsaPublicKey, EncodeRsaPublicKey};
use rsa::pkcs8::LineEnding;
use rsa::traits::PublicKeyParts;

use crate::bridge::TRIES_OF_ONE;
use crate::guest::{Audience, Conversation, Guest};
use crate::house::Rooms;
use crate::interpreter::Decipher;
use crate::language::{Language, ListChange, Padding, Secrecy};
use crate::library::{Find, VideoNames};
use crate::link::{Link, Parting};
use crate::lobby::Say;
use crate::messages::{Heard, Person, Service};
use crate::outbound::{Rule, Segment};
use crate::pump::Pump;
use crate::slots::Slots;
use crate::streamer::Show;
use crate::viewing::{Showing, Title};

/// The smallest RSA modulus that is taken, in bytes: with a smaller one, others could not encrypt a
/// message of any use (PKCS#1 v1.5 takes 11 bytes of it).
const MIN_KEY_BYTES: usize = 64;
/// The protocol has no word for an error; after so many it is let go.
const MAX_FAULTS: u32 = 20;

/// The longest list that people of other services are in, in bytes: what old clients read with one `recv`.
const MAX_LIST: usize = 1024;

/// The actor of one chatroom connection.
pub struct ChatroomConnection {
    guest: Guest,
    decoder: wire::Decoder,
    /// Whether the list of people has come, which is the first thing that a newcomer gets.
    listed: bool,
    /// Places for what the house tries to read.
    tries: Slots,
}

impl ChatroomConnection {
    pub fn new(link: Link, rooms: Arc<Rooms>) -> ChatroomConnection {
        ChatroomConnection {
            guest: Guest::new(link, rooms),
            decoder: wire::Decoder::new(),
            listed: false,
            tries: Slots::new(TRIES_OF_ONE),
        }
    }

    fn alone(&mut self, wire: Bytes, ctx: &mut Context<Self>) {
        self.push(Segment::new(Rule::Alone, wire), ctx);
    }

    fn refused(&mut self, rule: String, ctx: &mut Context<Self>) {
        self.guest.faults += 1;
        self.guest
            .link
            .span()
            .in_scope(|| tracing::warn!(rule, "bad input"));
        if self.guest.faults > MAX_FAULTS {
            self.part(
                Parting::Fault(format!("{rule}; and {MAX_FAULTS} mistakes before")),
                ctx,
            );
        }
    }

    fn dispatch(&mut self, message: ClientMessage<'_>, ctx: &mut Context<Self>) {
        match message {
            ClientMessage::Name(name) => {
                self.guest.name = name.to_owned();
                self.alone(Bytes::from_static(wire::OK), ctx);
            }
            ClientMessage::PublicKey(pem) => self.introduce(pem, ctx),
            ClientMessage::Chat(message) => {
                self.guest.rooms.lobby.do_send(Say {
                    service: Service::Chatroom,
                    but: None,
                    wire: Bytes::copy_from_slice(message),
                    messages: 1,
                    plain: None,
                    receipt: self.guest.link.receipt(),
                });
                self.overheard(message);
            }
            ClientMessage::ListVideos => self.list(ctx),
            ClientMessage::VideoName(name) if self.guest.is_watching() => {
                self.guest.next_choice = Some(name.to_owned());
                self.guest.link.pause();
            }
            ClientMessage::VideoName(name) => self.choose(name.to_owned(), ctx),
            ClientMessage::Disconnect => self.part(Parting::Goodbye, ctx),
            // Where a client stands matters to the decoder alone: everyone hears everything.
            ClientMessage::EnterChat | ClientMessage::LeaveChat => {}
        }
    }

    /// Has tried whether the house can read it, for somebody of another service.
    fn overheard(&mut self, message: &[u8]) {
        let (Some(bridge), Some(from)) = (&self.guest.rooms.bridge, self.guest.person()) else {
            return;
        };
        let Some((office, modulus)) = bridge.office(Service::Chatroom) else {
            return;
        };
        let block = wire::block(message);
        if block.len() != modulus.block() {
            return;
        }
        let decipher = Decipher {
            from,
            name: self.guest.link.user().cloned().unwrap_or_default(),
            floor: self.guest.rooms.floor.clone(),
            block: block.to_vec(),
            hint: None,
            places: None,
        };
        // The protocol has no word for it if there are too many; they are counted.
        let _ = office.decipher(&self.tries, decipher);
    }

    fn introduce(&mut self, pem: &str, ctx: &mut Context<Self>) {
        match rsa::RsaPublicKey::from_pkcs1_pem(pem) {
            Ok(key) if key.size() < MIN_KEY_BYTES => {
                let rule = format!("public key: at least {} bits are needed", MIN_KEY_BYTES * 8);
                self.part(Parting::Fault(rule), ctx);
            }
            Ok(key) => self.join(format!("{pem}\n"), key.size(), ctx),
            Err(e) => {
                let rule = format!("public key: no RSA key in PKCS#1 PEM: {e}");
                self.part(Parting::Fault(rule), ctx);
            }
        }
    }

    fn list(&mut self, ctx: &mut Context<Self>) {
        self.guest.link.pause();
        let library = self.guest.rooms.library.addr();
        async move {
            match library {
                Some(library) => library.send(VideoNames).await.unwrap_or_default(),
                None => Vec::new(),
            }
        }
        .into_actor(self)
        .map(|names, this, ctx| {
            this.guest.link.resume();
            for part in wire::video_list(&names) {
                this.alone(part, ctx);
            }
        })
        .spawn(ctx);
    }

    fn choose(&mut self, name: String, ctx: &mut Context<Self>) {
        self.guest.link.pause();
        let library = self.guest.rooms.library.addr();
        async move {
            match library {
                Some(library) => library.send(Find(name.clone())).await.ok().flatten(),
                None => None,
            }
            .ok_or(name)
        }
        .into_actor(self)
        .map(|title, this, ctx| {
            this.guest.link.resume();
            match title {
                Ok(title) => this.play(title, ctx),
                Err(name) => {
                    this.guest
                        .link
                        .span()
                        .in_scope(|| tracing::warn!(name, "no such video"));
                    this.alone(wire::stream(0), ctx);
                }
            }
        })
        .spawn(ctx);
    }

    fn play(&mut self, title: Title, ctx: &mut Context<Self>) {
        if !self.guest.link.is_open() {
            return;
        }
        let (showing, frames) = match title {
            Title::Video(video) => {
                let frames = video.frame_count();
                let plan = Plan::remainder_first(frames, video.clips.len());
                (Showing::Video(video, plan, 0), frames)
            }
            Title::Live(broadcast) => {
                let frames = self.guest.rooms.studio.chatroom_frames;
                (Showing::Live(broadcast, Some(frames)), frames)
            }
        };
        let announce = |this: &mut Self, ctx: &mut _| {
            this.alone(wire::stream(frames), ctx);
            this.link().outbound().hold();
        };
        if !self.watch(showing, ctx, announce) {
            self.alone(wire::stream(0), ctx);
        }
    }
}

/// How its people are told what happens.
pub const LANGUAGE: Language = Language {
    service: Service::Chatroom,
    people: Some(encode_list),
    secrecy: Some(&SECRECY),
    ..Language::plain(Service::Chatroom)
};

/// How its people's keys are used.
static SECRECY: Secrecy = Secrecy {
    padding: Padding::Pkcs1,
    // As long as the keys that people have, or old clients would lose their place in what they read.
    bits: 1024,
    file: "chatroom_stand_ins.pem",
    pem: |key| key.to_pkcs1_pem(LineEnding::LF).ok(),
    parse: |pem| rsa::RsaPublicKey::from_pkcs1_pem(pem.trim_end()).ok(),
    // A name with a colon could look like words of somebody else.
    opening: |from| format!("{}: ", from.replace(':', ";")),
    wire: |_, block| wire::chat(block),
    list_bytes: |_| MAX_LIST - wire::people(b"").len(),
    has_bare_lists: true,
};

/// `URIF`, as the lobby's list changes; it has no place for the names of who came and went.
fn encode_list(change: &ListChange<'_>) -> Vec<Bytes> {
    vec![wire::people(change.people)]
}

impl Actor for ChatroomConnection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.expect_introduction(ctx);
        self.alone(self.guest.rooms.chatroom_key.clone(), ctx);
        ctx.spawn(Pump);
    }
}

impl Conversation for ChatroomConnection {
    fn guest(&mut self) -> &mut Guest {
        &mut self.guest
    }

    // Its commands wait for the list of people, which comes by way of the floor.
    fn joined(&mut self, _: &Arc<Person>, _: &mut Context<Self>) {}

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
                    self.refused(error.to_string(), ctx);
                }
                Ok(Step::More { used: 0 }) => break,
                Ok(Step::More { used }) => at += used,
                Err(error) => self.part(Parting::Fault(error.to_string()), ctx),
            }
        }
        at
    }
}

impl Handler<Heard> for ChatroomConnection {
    type Result = ();

    fn handle(&mut self, heard: Heard, ctx: &mut Context<Self>) {
        match heard {
            Heard::Said(wire) => self.alone(wire, ctx),
            // The lobby says them to those who understand them.
            Heard::Words(_) => {}
            // The protocol has no word for it.
            Heard::Refused(_) => {}
            Heard::ShownOut(why) => self.part(Parting::ShownOut(why.to_string()), ctx),
            Heard::Presence { wire, blocks } => {
                self.decoder.set_blocks(blocks);
                for list in wire.iter() {
                    self.push(Segment::new(Rule::AloneNewest, list.clone()), ctx);
                }
                if std::mem::replace(&mut self.listed, true) {
                    // What waits for more bytes may be whole with the new lengths.
                    self.guest.link.look_again();
                } else {
                    self.guest.link.resume();
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
                self.guest.stops_watching();
                self.guest.link.release();
                if let Some(name) = self.guest.next_choice.take() {
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

crate::conversation!(ChatroomConnection: Dismiss, Observe);

//! One videochat connection: prompts, then framed JSON and frames (docs/protocols.md, "videochat").

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use bytes::{Bytes, BytesMut};
use playhouse_media::Plan;
use playhouse_protocols::videochat::{self as wire, ClientMessage, Presence};
use playhouse_protocols::wire::{Step, json_string};
use rsa::pkcs8::{DecodePublicKey, EncodePublicKey, LineEnding};
use rsa::traits::PublicKeyParts;

use crate::bridge::TRIES_OF_ONE;
use crate::guest::{Audience, Conversation, Guest};
use crate::house::Rooms;
use crate::interpreter::Decipher;
use crate::language::{Language, ListChange, Padding, Secrecy};
use crate::library::{FileNames, Find};
use crate::link::{Link, Parting};
use crate::lobby::Say;
use crate::messages::{Dismiss, Heard, Person, Service};
use crate::outbound::{Rule, Segment};
use crate::pump::Pump;
use crate::slots::Slots;
use crate::streamer::Show;
use crate::viewing::{Showing, Title};

/// The smallest RSA modulus that is taken, in bytes: with a smaller one, others could not encrypt a
/// message (OAEP with SHA-256 takes 66 bytes of it).
const MIN_KEY_BYTES: usize = 128;
/// Each mistake is answered with an `Error`; after so many the peer is let go.
const MAX_FAULTS: u32 = 100;

/// The time between two complaints that too much waits.
const BETWEEN_COMPLAINTS: Duration = Duration::from_secs(1);
/// The longest body of a list that people of other services are in, in bytes. Old clients read it with one
/// `recv`. Over loopback that brings up to about 65,400, but only as long as nothing else fills the 64 KiB
/// that a connection takes at first: so there is room for two.
const MAX_LIST_BODY: usize = 30_000;
/// Bytes of such a body beside people and names, and the quotes of the names.
const LIST_HEAD: usize = 64;

/// Messages of one read, joined.
#[derive(Default)]
struct Said {
    wire: BytesMut,
    messages: u64,
}

/// The actor of one videochat connection.
pub struct VideochatConnection {
    guest: Guest,
    decoder: wire::Decoder,
    /// The name as a JSON string, for `from`.
    from: Vec<u8>,
    /// Places for what the house tries to read.
    tries: Slots,
    /// When this one heard last that there are too few.
    complained: Option<Instant>,
}

impl VideochatConnection {
    pub fn new(link: Link, rooms: Arc<Rooms>) -> VideochatConnection {
        VideochatConnection {
            guest: Guest::new(link, rooms),
            decoder: wire::Decoder::default(),
            from: Vec::new(),
            tries: Slots::new(TRIES_OF_ONE),
            complained: None,
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
        self.guest.faults += 1;
        self.guest
            .link
            .span()
            .in_scope(|| tracing::warn!(rule, "bad input"));
        if self.guest.faults > MAX_FAULTS {
            self.fault(format!("{rule}; and {MAX_FAULTS} mistakes before"), ctx);
        } else {
            self.error(rule, ctx);
        }
    }

    fn dispatch(&mut self, message: ClientMessage<'_>, ctx: &mut Context<Self>) {
        match message {
            ClientMessage::Name(name) => {
                self.guest.name = name.to_owned();
                let prompt = Bytes::from_static(wire::KEY_PROMPT);
                self.push(Segment::new(Rule::Alone, prompt), ctx);
            }
            ClientMessage::PublicKey(pem) => self.introduce(pem, ctx),
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
            self.guest.rooms.lobby.do_send(Say {
                service: Service::Videochat,
                but: None,
                wire: wire.freeze(),
                messages,
                plain: None,
                receipt: self.guest.link.receipt(),
            });
        }
    }

    /// Has tried whether the house can read it, for somebody of another service.
    fn overheard(&mut self, encrypt_message: &str, to: Option<&str>, ctx: &mut Context<Self>) {
        let (Some(bridge), Some(from)) = (&self.guest.rooms.bridge, self.guest.person()) else {
            return;
        };
        let Some((office, modulus)) = bridge.office(Service::Videochat) else {
            return;
        };
        let Some(block) = wire::cipher_block(encrypt_message, modulus.block()) else {
            return;
        };
        let decipher = Decipher {
            from,
            name: self.guest.link.user().cloned().unwrap_or_default(),
            floor: self.guest.rooms.floor.clone(),
            block,
            hint: to.map(str::to_owned),
            places: None,
        };
        let is_busy = office.decipher(&self.tries, decipher).is_err();
        let may_complain = self
            .complained
            .is_none_or(|last| last.elapsed() > BETWEEN_COMPLAINTS);
        if is_busy && may_complain {
            self.complained = Some(Instant::now());
            self.error(
                "too many messages for people of other services at once",
                ctx,
            );
        }
    }

    fn introduce(&mut self, pem: &str, ctx: &mut Context<Self>) {
        match rsa::RsaPublicKey::from_public_key_pem(pem) {
            Ok(key) if key.size() < MIN_KEY_BYTES => {
                let bits = MIN_KEY_BYTES * 8;
                self.fault(format!("public key: at least {bits} bits are needed"), ctx);
            }
            Ok(key) => self.join(format!("{pem}\n"), key.size(), ctx),
            Err(e) => self.fault(format!("public key: no RSA key in PEM: {e}"), ctx),
        }
    }

    fn list(&mut self, ctx: &mut Context<Self>) {
        let Some(library) = self.guest.rooms.library.addr() else {
            return self.error("the library is just being put in order", ctx);
        };
        // One question at a time: a flood of them waits in the socket.
        self.guest.link.pause();
        library
            .send(FileNames)
            .into_actor(self)
            .map(|files, this, ctx| {
                this.guest.link.resume();
                match files {
                    Ok(files) => this.say(wire::video_list(&files), ctx),
                    Err(_) => this.error("the library is just being put in order", ctx),
                }
            })
            .spawn(ctx);
    }

    fn choose(&mut self, choice: String, ctx: &mut Context<Self>) {
        if self.guest.is_watching_live() {
            // Which would go on for as long as its source likes: this is how it is left.
            self.guest.next_choice = Some(choice);
            self.guest.link.pause();
            return self.guest.conclude();
        }
        if self.guest.is_watching() {
            return self.error("choice: a video is playing; wait for its end", ctx);
        }
        let Some(library) = self.guest.rooms.library.addr() else {
            return self.error("the library is just being put in order", ctx);
        };
        // What the client sends next is about a stream that has begun.
        self.guest.link.pause();
        library
            .send(Find(choice.clone()))
            .into_actor(self)
            .map(move |title, this, ctx| {
                this.guest.link.resume();
                match title {
                    Ok(Some(title)) => this.play(title, ctx),
                    Ok(None) => {
                        let choice: String = choice.escape_debug().take(64).collect();
                        this.refused(&format!("choice: there is no video \"{choice}\""), ctx);
                    }
                    Err(_) => this.error("the library is just being put in order", ctx),
                }
            })
            .spawn(ctx);
    }

    fn play(&mut self, title: Title, ctx: &mut Context<Self>) {
        if !self.guest.link.is_open() {
            return;
        }
        let showing = match title {
            Title::Video(video) => {
                let plan = Plan::remainder_last(video.frame_count(), video.clips.len());
                Showing::Video(video, plan, 0)
            }
            Title::Live(broadcast) => Showing::Live(broadcast, None),
        };
        let announce = |this: &mut Self, ctx: &mut _| this.say(wire::video_frame(), ctx);
        if !self.watch(showing, ctx, announce) {
            self.error("too many videos are playing; try again later", ctx);
        }
    }

    fn finish(&mut self, ctx: &mut Context<Self>) {
        self.guest.stops_watching();
        self.say(wire::video_finish(), ctx);
        if let Some(choice) = self.guest.next_choice.take() {
            self.guest.link.resume();
            self.choose(choice, ctx);
        }
    }
}

/// How its people are told what happens.
pub const LANGUAGE: Language = Language {
    service: Service::Videochat,
    people: Some(encode_list),
    secrecy: Some(&SECRECY),
    ..Language::plain(Service::Videochat)
};

/// How its people's keys are used.
static SECRECY: Secrecy = Secrecy {
    padding: Padding::Oaep,
    // People have 2,048 bits: by its length alone a block is known to be for none of them, and so is one
    // that is not for the house. Longer, so that texts that fit elsewhere fit here.
    bits: 2112,
    file: "videochat_stand_ins.pem",
    pem: |key| key.to_public_key_pem(LineEnding::LF).ok(),
    parse: |pem| rsa::RsaPublicKey::from_public_key_pem(pem.trim_end()).ok(),
    opening: |_| String::new(),
    wire: |from, block| {
        let mut wire = BytesMut::new();
        let message = wire::cipher_text(block);
        wire::put_communication(&mut wire, &message, &json_string(from));
        wire.freeze()
    },
    list_bytes: |names| MAX_LIST_BODY.saturating_sub(LIST_HEAD + names),
    has_bare_lists: false,
};

/// `broadcast_message` and `AFK`, as the lobby's list changes.
fn encode_list(change: &ListChange<'_>) -> Vec<Bytes> {
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
        self.expect_introduction(ctx);
        let prompt = Bytes::from_static(wire::NAME_PROMPT);
        self.push(Segment::new(Rule::Alone, prompt), ctx);
        ctx.spawn(Pump);
    }
}

impl Conversation for VideochatConnection {
    fn guest(&mut self) -> &mut Guest {
        &mut self.guest
    }

    fn timed_out(&mut self, rule: String, ctx: &mut Context<Self>) {
        self.fault(rule, ctx);
    }

    fn joined(&mut self, person: &Arc<Person>, _: &mut Context<Self>) {
        self.from = json_string(&person.name);
        self.guest.link.resume();
    }

    fn received(&mut self, input: &[u8], ctx: &mut Context<Self>) -> usize {
        let mut at = 0;
        let mut said = Said::default();
        while self.guest.link.is_open() && !self.guest.link.is_waiting() {
            match self.decoder.decode(&input[at..]) {
                Ok(Step::Got { message, used }) => {
                    at += used;
                    if let ClientMessage::Communication {
                        encrypt_message,
                        to,
                    } = &message
                    {
                        wire::put_communication(&mut said.wire, encrypt_message, &self.from);
                        said.messages += 1;
                        self.overheard(encrypt_message, to.as_deref(), ctx);
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
                Ok(Step::More { used: 0 }) => break,
                Ok(Step::More { used }) => at += used,
                Err(error) => self.fault(error.to_string(), ctx),
            }
        }
        self.pass_on(&mut said);
        at
    }
}

impl Handler<Heard> for VideochatConnection {
    type Result = ();

    fn handle(&mut self, heard: Heard, ctx: &mut Context<Self>) {
        match heard {
            Heard::Said(wire) => self.say(wire, ctx),
            // The lobby says them to those who understand them.
            Heard::Words(_) => {}
            Heard::Refused(why) => self.error(&why, ctx),
            Heard::ShownOut(why) => {
                self.error(&why, ctx);
                self.say(wire::disconnection(), ctx);
                self.part(Parting::ShownOut(why.to_string()), ctx);
            }
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
            Show::Finish => self.finish(ctx),
            Show::Failed => {
                self.error("internal error: the video could not be read", ctx);
                self.finish(ctx);
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

crate::conversation!(VideochatConnection: Observe);

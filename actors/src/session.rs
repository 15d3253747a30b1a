//! One packetchat session: a user who is reached by datagrams (docs/protocols.md, "packetchat").
//! The endpoint finds it, times it out and sends for it; what a packet asks is done here.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_protocols::packetchat::{Kind, Numbering, Request, Response, decode_request};
use playhouse_storage::{Durability, Index, SessionRow};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::datagrams::Letters;
use crate::desk::{Desk, Listed};
use crate::endpoint::{Adopt, Deliver, Refuse, Unexpect};
use crate::file_store::{Begin, FindFile, ListFiles, Open, draw};
use crate::inbox::{Delivery, Fate, Inbox, Incoming, Sender};
use crate::ledger::LedgerError;
use crate::lobby::{Join, NameOf, Speak, To, Who};
use crate::messages::{Dismiss, Heard, Observation, Observe, Receipt, Service};
use crate::refusals::Refusal;
use crate::roster::Transfer;
use crate::seat::Seated;
use crate::sent::{MessageId, Sent, Way};
use crate::slots::Slot;

/// What a session asks the house that is not answered yet, at once; more is not looked at.
const ASKING: usize = 32;
/// Bytes of messages that go to whoever has only asked for a session, room for two of the longest: the
/// sender of a packet is easily forged, and then somebody else gets them.
const UNCONFIRMED: usize = 128 * 1024;
/// The time between two new addresses that are written down.
const BETWEEN_MOVES: Duration = Duration::from_secs(1);
/// Broadcasts of one user that the house still works on; more is not looked at.
const BROADCASTS: usize = 64;

/// A packet of this session's.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Packet {
    pub from: SocketAddr,
    /// A request that can be decoded.
    pub packet: Bytes,
    /// The place of the transfer that it asks for, if it asks for one.
    pub slot: Option<Slot>,
}

/// The actor of one session.
pub struct Session {
    row: SessionRow,
    /// Whether the database has the row already.
    restored: bool,
    /// Whether the cookie may go out.
    is_here: bool,
    /// Its new address is about to be written down.
    is_moving: bool,
    /// Bytes of messages that may still go to an address of which nothing is known but that a packet
    /// seemed to come from there; `None` when more is known.
    unconfirmed: Option<usize>,
    desk: Arc<Desk>,
    seated: Seated,
    inbox: Inbox,
    timer: Option<(Instant, SpawnHandle)>,
    sent: Sent,
    broadcasts: VecDeque<oneshot::Receiver<()>>,
    asking: usize,
    /// Files that are about to be opened or begun: their repeats wait for that.
    opening: Vec<Opening>,
}

/// The user's name, and whether the session is written down; or why there is none.
type Joined = Result<(String, Result<(), LedgerError>), &'static str>;

/// The request for the session was repeated, from where it came the first time.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Welcome {
    pub from: SocketAddr,
}

#[derive(PartialEq, Eq, Clone)]
enum Opening {
    Download(u64),
    Upload(u32, Bytes),
}

impl Session {
    /// A session of the user that `row` says; `restored` if it was here before a restart.
    pub fn new(row: SessionRow, restored: bool, desk: Arc<Desk>) -> Session {
        Session {
            seated: Seated::of(row.user, Service::Packetchat, &desk.rooms),
            row,
            restored,
            is_here: false,
            is_moving: false,
            unconfirmed: (!restored).then_some(UNCONFIRMED),
            inbox: Inbox::new(desk.budget.clone()),
            desk,
            timer: None,
            sent: Sent::default(),
            broadcasts: VecDeque::new(),
            asking: 0,
            opening: Vec::new(),
        }
    }

    fn answer(&self, to: SocketAddr, numbering: Numbering, response: &Response<'_>) {
        let letters = Letters::one(to, response.packet(numbering));
        self.desk.endpoint.do_send(letters);
    }

    /// Answers and messages go to where it was heard of last; also after a restart, if that is not too
    /// new.
    fn heard_from(&mut self, from: SocketAddr, ctx: &mut Context<Self>) {
        if self.row.address == from {
            return;
        }
        self.row.address = from;
        if !self.is_moving {
            self.is_moving = true;
            ctx.run_later(BETWEEN_MOVES, |this, ctx| this.write_down_address(ctx));
        }
    }

    fn write_down_address(&mut self, ctx: &mut Context<Self>) {
        self.is_moving = false;
        let (session, address) = (self.row.session, self.row.address);
        let moved = self.desk.ledger.write(Durability::Process, move |index| {
            index.move_session(session, address)
        });
        moved
            .into_actor(self)
            .map(|moved, _, _| {
                if let Err(error) = moved {
                    tracing::error!(%error, "a session that has moved");
                }
            })
            .spawn(ctx);
    }

    /// Whoever sends a packet with the session's number has got the cookie, and is where it says.
    fn confirm(&mut self, ctx: &mut Context<Self>) {
        if self.unconfirmed.take().is_some() {
            self.inbox.hurry(Instant::now());
            self.deliver(ctx);
        }
    }

    fn list(&self, to: SocketAddr, listed: Listed, numbering: Numbering, list: Arc<[u64]>) {
        let packet = self.desk.lists.packet(listed, numbering, list);
        self.desk.endpoint.do_send(Letters::one(to, packet));
    }

    fn refuse(&self, refusal: Refusal) {
        self.desk.endpoint.do_send(Refuse {
            refusal,
            peer: self.row.address,
        });
    }

    fn cookie(&self, to: SocketAddr) {
        let cookie = Response::Cookie {
            user: self.row.user,
            session: self.row.session,
        };
        self.answer(to, Numbering::Client, &cookie);
    }

    /// Takes its place in the lobby, then in the database; then its user hears of it.
    fn join(&mut self, ctx: &mut Context<Self>) {
        let join = Join {
            person: self.row.user,
            service: Service::Packetchat,
            wanted: match self.restored {
                true => self.row.name.clone(),
                false => self.row.wanted.clone(),
            },
            key: String::new(),
            block: 0,
            floor: self.desk.rooms.floor_number,
            seat: ctx.address().recipient(),
        };
        let (lobby, ledger) = (self.desk.rooms.lobby.addr(), self.desk.ledger.clone());
        let (mut row, restored) = (self.row.clone(), self.restored);
        async move {
            let person = lobby.ok_or("no lobby")?.send(join).await;
            row.name = person.map_err(|_| "the lobby is gone")?.name.to_string();
            // Without the database it is a session all the same, but for a restart.
            let written = match restored {
                true => Ok(()),
                false => {
                    let insert = row.clone();
                    let insert = move |index: &Index| index.insert_session(&insert);
                    ledger.write(Durability::Process, insert).await
                }
            };
            Ok((row.name, written))
        }
        .into_actor(self)
        .map(|joined: Joined, this, ctx| match joined {
            Ok((name, written)) => {
                this.row.name = name;
                if let Err(error) = written {
                    this.refuse(Refusal::Internal(format!("a session is not written down: {error}")));
                }
                this.is_here = true;
                if this.restored {
                    tracing::info!(service = "packetchat", peer = %this.row.address, user = this.row.name, "is back");
                } else {
                    tracing::info!(service = "packetchat", peer = %this.row.address, user = this.row.name, "joined");
                    this.cookie(this.row.address);
                }
            }
            Err(reason) => {
                this.refuse(Refusal::Internal(reason.to_owned()));
                ctx.stop();
            }
        })
        .spawn(ctx);
    }

    /// Asks somebody in the house and answers with what comes, unless too much is asked already.
    fn ask<F>(
        &mut self,
        ctx: &mut Context<Self>,
        asked: F,
        answer: impl FnOnce(&mut Self, F::Output) + 'static,
    ) where
        F: Future + 'static,
    {
        if self.asking == ASKING {
            return self.refuse(Refusal::Busy);
        }
        self.asking += 1;
        asked
            .into_actor(self)
            .map(|output, this, _| {
                this.asking -= 1;
                answer(this, output);
            })
            .spawn(ctx);
    }

    fn dispatch(
        &mut self,
        from: SocketAddr,
        packet: &Bytes,
        request: Request<'_>,
        slot: Option<Slot>,
        ctx: &mut Context<Self>,
    ) {
        match request {
            Request::Preserve { .. } => self.cookie(from),
            Request::Users { .. } => self.users(from, ctx),
            Request::UserData { user, .. } => self.user_data(from, user, ctx),
            Request::Message {
                to, message, text, ..
            } => self.message(from, to, message, packet.slice_ref(text), ctx),
            Request::Broadcast { message, text, .. } => {
                self.broadcast(from, message, packet.slice_ref(text));
            }
            Request::Received { message } => {
                if let Some(sender) = self.inbox.received(message) {
                    sender.tell(Fate::Arrived);
                }
                self.deliver(ctx);
            }
            Request::Files { numbering, .. } => self.files(from, numbering, ctx),
            Request::FileData {
                file, numbering, ..
            } => self.file_data(from, file, numbering, ctx),
            Request::Download {
                file, numbering, ..
            } => self.download(from, file, numbering, slot, ctx),
            Request::Upload {
                size,
                name,
                numbering,
                ..
            } => self.upload(from, size, packet.slice_ref(name), numbering, slot, ctx),
            // These are the endpoint's and the movers'.
            Request::Session { .. }
            | Request::DownloadChunk { .. }
            | Request::UploadChunk { .. } => {}
        }
    }

    fn users(&mut self, from: SocketAddr, ctx: &mut Context<Self>) {
        let lobby = self.desk.rooms.lobby.addr();
        let who = async move { lobby?.send(Who(Service::Packetchat)).await.ok() };
        self.ask(ctx, who, move |this, who| {
            if let Some(users) = who {
                this.list(from, Listed::Users, Numbering::Client, users);
            }
        });
    }

    fn user_data(&mut self, from: SocketAddr, user: u64, ctx: &mut Context<Self>) {
        let lobby = self.desk.rooms.lobby.addr();
        let name = async move {
            lobby?
                .send(NameOf(Service::Packetchat, user))
                .await
                .ok()
                .flatten()
        };
        self.ask(ctx, name, move |this, name| match name {
            Some(name) => {
                let name = name.as_bytes();
                this.answer(from, Numbering::Client, &Response::UserData { user, name });
            }
            None => this.refuse(Refusal::UnknownUser),
        });
    }

    fn message(
        &mut self,
        from: SocketAddr,
        to: u64,
        message: u64,
        text: Bytes,
        ctx: &mut Context<Self>,
    ) {
        let id = MessageId {
            to: Some(to),
            number: message,
        };
        let now = Instant::now();
        let number = match self.sent.way(id, now) {
            Some(Way::Arrived) => {
                return self.answer(from, Numbering::Client, &Response::Message { message });
            }
            Some(Way::Underway(_)) => return,
            Some(Way::GivenUp(number)) => number,
            None => draw(Kind::Message),
        };
        if !self.sent.remember(id, Way::Underway(number), now) {
            return self.refuse(Refusal::Busy);
        }
        let sender = Sender {
            seat: ctx.address().recipient(),
            message: id,
        };
        self.desk.rooms.lobby.do_send(Speak {
            from: self.row.user,
            texts: Arc::new([text]),
            to: Some(To {
                person: to,
                number,
                sender: Some(sender),
            }),
            receipt: None,
        });
    }

    fn broadcast(&mut self, from: SocketAddr, message: u64, text: Bytes) {
        let id = MessageId {
            to: None,
            number: message,
        };
        let now = Instant::now();
        if self.sent.way(id, now).is_none() {
            self.forget_heard();
            if self.broadcasts.len() == BROADCASTS || !self.sent.remember(id, Way::Arrived, now) {
                return self.refuse(Refusal::Busy);
            }
            let (receipt, done) = Receipt::new();
            self.broadcasts.push_back(done);
            self.desk.rooms.lobby.do_send(Speak {
                from: self.row.user,
                texts: Arc::new([text]),
                to: None,
                receipt: Some(receipt),
            });
        }
        self.answer(from, Numbering::Client, &Response::Broadcast { message });
    }

    /// Forgets the broadcasts that the house has handed on to everyone.
    fn forget_heard(&mut self) {
        let underway = |receipt: &mut oneshot::Receiver<()>| {
            receipt.try_recv() == Err(oneshot::error::TryRecvError::Empty)
        };
        while let Some(receipt) = self.broadcasts.front_mut()
            && !underway(receipt)
        {
            self.broadcasts.pop_front();
        }
    }

    /// Sends what has its turn, and comes again for what may have to be repeated.
    fn deliver(&mut self, ctx: &mut Context<Self>) {
        for outgoing in self.inbox.due(Instant::now()) {
            if let Some(left) = &mut self.unconfirmed {
                let bytes = outgoing.head.len() + outgoing.text.len();
                if bytes > *left {
                    // As if it had been lost on the way.
                    continue;
                }
                *left -= bytes;
            }
            self.desk.endpoint.do_send(Deliver {
                session: self.row.session,
                message: outgoing.number,
                letters: Letters::parts(self.row.address, outgoing.head, outgoing.text),
            });
        }
        let forgotten = self.inbox.forgotten();
        if !forgotten.is_empty() {
            self.desk.endpoint.do_send(Unexpect(forgotten));
        }
        self.seated.backlog_is(self.inbox.bytes());
        let due = self.inbox.next_due();
        match (&self.timer, due) {
            (Some((at, _)), Some(due)) if *at <= due => {}
            (None, None) => {}
            _ => {
                if let Some((_, timer)) = self.timer.take() {
                    ctx.cancel_future(timer);
                }
                self.timer = due.map(|due| {
                    let pause = due.saturating_duration_since(Instant::now());
                    let timer = ctx.run_later(pause, |this, ctx| {
                        this.timer = None;
                        this.deliver(ctx);
                    });
                    (due, timer)
                });
            }
        }
    }

    fn files(&mut self, from: SocketAddr, numbering: Numbering, ctx: &mut Context<Self>) {
        let files = self.desk.files.addr();
        let list = async move { files?.send(ListFiles).await.ok() };
        self.ask(ctx, list, move |this, list| {
            if let Some(files) = list {
                this.list(from, Listed::Files, numbering, files);
            }
        });
    }

    fn file_data(
        &mut self,
        from: SocketAddr,
        file: u64,
        numbering: Numbering,
        ctx: &mut Context<Self>,
    ) {
        let files = self.desk.files.addr();
        let found = async move { files?.send(FindFile(file)).await.ok() };
        self.ask(ctx, found, move |this, found| match found {
            Some(Ok(found)) => {
                let response = Response::FileData {
                    file,
                    // Longer ones are not taken, neither here nor from the operator.
                    size: u32::try_from(found.size).unwrap_or(u32::MAX),
                    name: &found.name,
                };
                this.answer(from, numbering, &response);
            }
            Some(Err(refusal)) => this.refuse(refusal),
            None => this.refuse(rebuilding()),
        });
    }

    fn download(
        &mut self,
        from: SocketAddr,
        file: u64,
        numbering: Numbering,
        slot: Option<Slot>,
        ctx: &mut Context<Self>,
    ) {
        let open = Open {
            session: self.row.session,
            address: from.ip().to_canonical(),
            file,
        };
        let files = self.desk.files.addr();
        let opened = async move { files?.send(open).await.ok() };
        self.open(Opening::Download(file), ctx, opened, move |this, row| {
            let transaction = row.transaction;
            this.desk
                .endpoint
                .do_send(Adopt(Transfer::Download(row), slot));
            this.answer(from, numbering, &Response::Download { file, transaction });
        });
    }

    fn upload(
        &mut self,
        from: SocketAddr,
        size: u32,
        name: Bytes,
        numbering: Numbering,
        slot: Option<Slot>,
        ctx: &mut Context<Self>,
    ) {
        let begin = Begin {
            session: self.row.session,
            address: from.ip().to_canonical(),
            size: size.into(),
            name: name.clone(),
        };
        let files = self.desk.files.addr();
        let begun = async move { files?.send(begin).await.ok() };
        self.open(Opening::Upload(size, name), ctx, begun, move |this, row| {
            let (file, transaction) = (row.file, row.transaction);
            this.desk
                .endpoint
                .do_send(Adopt(Transfer::Upload(row), slot));
            this.answer(from, numbering, &Response::Upload { file, transaction });
        });
    }

    /// Begins a transfer; the repeats of its request wait for what comes of the first.
    fn open<T: 'static>(
        &mut self,
        opening: Opening,
        ctx: &mut Context<Self>,
        opened: impl Future<Output = Option<Result<T, Refusal>>> + 'static,
        answer: impl FnOnce(&mut Self, T) + 'static,
    ) {
        if self.opening.contains(&opening) {
            return;
        }
        if self.asking == ASKING {
            return self.refuse(Refusal::Busy);
        }
        self.opening.push(opening.clone());
        self.ask(ctx, opened, move |this, opened| {
            this.opening.retain(|other| *other != opening);
            match opened.unwrap_or_else(|| Err(rebuilding())) {
                Ok(row) => answer(this, row),
                Err(refusal) => this.refuse(refusal),
            }
        });
    }
}

fn rebuilding() -> Refusal {
    Refusal::Internal("the list of files is being rebuilt".to_owned())
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.join(ctx);
    }
}

impl Handler<Packet> for Session {
    type Result = ();

    fn handle(&mut self, packet: Packet, ctx: &mut Context<Self>) {
        let Packet { from, packet, slot } = packet;
        self.heard_from(from, ctx);
        // Before that, only a repeat of the first request can know us; the cookie is on its way.
        if self.is_here
            && let Ok(request) = decode_request(&packet)
        {
            self.confirm(ctx);
            self.dispatch(from, &packet, request, slot, ctx);
        }
    }
}

impl Handler<Welcome> for Session {
    type Result = ();

    fn handle(&mut self, Welcome { from }: Welcome, _: &mut Context<Self>) {
        // Before that, the cookie is on its way.
        if self.is_here {
            self.cookie(from);
        }
    }
}

impl Handler<Heard> for Session {
    type Result = ();

    fn handle(&mut self, heard: Heard, ctx: &mut Context<Self>) {
        let words = match heard {
            Heard::Words(words) => words,
            Heard::ShownOut(why) => {
                tracing::info!(service = "packetchat", peer = %self.row.address, user = self.row.name, "left: shown out: {why}");
                return ctx.stop();
            }
            // Lists are asked for here, and what is encrypted is for others.
            Heard::Presence { .. } | Heard::Said(_) | Heard::Refused(_) => return,
        };
        let is_direct = words.to.is_some();
        let (number, sender) = match words.to {
            Some(to) => to,
            None if words.from == self.row.user => return,
            None => (draw(Kind::Message), None),
        };
        let incoming = Incoming {
            number,
            from: words.from,
            text: words.text,
            is_direct,
            sender,
        };
        let limit = self.desk.rooms.limits.backlog_bytes;
        if let Err(refusal) = self.inbox.push(incoming, limit) {
            return self.refuse(refusal);
        }
        self.deliver(ctx);
    }
}

impl Handler<Delivery> for Session {
    type Result = ();

    fn handle(&mut self, Delivery { message, fate }: Delivery, _: &mut Context<Self>) {
        let now = Instant::now();
        let way = match (fate, self.sent.way(message, now)) {
            (Fate::Arrived, Some(_)) => Way::Arrived,
            (Fate::GivenUp, Some(Way::Underway(number))) => Way::GivenUp(number),
            (Fate::Nobody, Some(Way::Underway(number))) => {
                self.refuse(Refusal::UnknownUser);
                Way::GivenUp(number)
            }
            _ => return,
        };
        self.sent.remember(message, way, now);
        if way == Way::Arrived {
            let message = message.number;
            let arrived = Response::Message { message };
            self.answer(self.row.address, Numbering::Client, &arrived);
        }
    }
}

impl Handler<Dismiss> for Session {
    type Result = ();

    fn handle(&mut self, _: Dismiss, ctx: &mut Context<Self>) {
        tracing::info!(service = "packetchat", peer = %self.row.address, user = self.row.name, "left: timed out");
        ctx.stop();
    }
}

impl Handler<Observe> for Session {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::Session {
            name: self.row.name.clone(),
            backlog: self.inbox.bytes(),
            remembered: self.sent.len(),
        }
    }
}

//! One for each UDP service's port: takes datagrams in batches, finds the session or transfer that each
//! is for, sends what those answer, and lets go who is not heard of any more. What is wrong gets no
//! answer.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::prelude::*;
use actix_rt::ArbiterHandle;
use bytes::{Bytes, BytesMut};
use ipnet::IpNet;
use playhouse_protocols::packetchat::{Kind, Numbering, Request, Response, decode_request};
use playhouse_protocols::wire;
use playhouse_storage::{Durability, SessionRow};
use tokio::io::Interest;
use tokio::time::Instant;

use crate::datagrams::{Inbox, Letters, Outbox};
use crate::download::{Download, Wanted};
use crate::file_store::{Forget, Shelves, draw};
use crate::listener::CloseDoor;
use crate::messages::{Dismiss, Observation, Observe, Service};
use crate::refusals::{Refusal, Refusals};
use crate::roster::{Mover, Place, Roster, Seat, Transfer};
use crate::session::{Asked, Desk, Packet, Session};
use crate::settings::Packetchat;
use crate::storeroom::Left;
use crate::supervisor::{DoorClosed, Supervisor};
use crate::upload::{Chunks, Upload};
use crate::watch;

/// The longest time between two looks at who is not heard of any more.
const SWEEP: Duration = Duration::from_millis(250);
/// Who moves a file sleeps after so long without work.
const SLEEP: Duration = Duration::from_secs(10);
/// For so long the last chunks of a finished upload are acknowledged again, and a download without its
/// session is kept.
const AFTERWARDS: Duration = Duration::from_secs(60);
/// Addresses whose packets are counted at once. Beyond it strangers get no answer in this second.
const COUNTED: usize = 65_536;

/// What an endpoint works with; kept by its factory, so that a rebuilt one goes on with it.
#[derive(Clone)]
pub struct Gate {
    pub socket: Arc<UdpSocket>,
    pub allow: Arc<[IpNet]>,
    pub settings: Packetchat,
    pub shelves: Shelves,
    pub desk: Arc<Desk>,
    pub roster: Arc<Mutex<Roster>>,
    pub arbiter: ArbiterHandle,
    pub supervisor: Addr<Supervisor>,
    pub closing: Arc<AtomicBool>,
}

/// A datagram gets no answer.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Refuse {
    pub refusal: Refusal,
    pub peer: SocketAddr,
}

/// A transfer has begun.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Adopt(pub Transfer);

/// All of an upload is stored.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Finished {
    pub transaction: u64,
}

/// What came of an upload is lost.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Spoiled {
    pub transaction: u64,
}

/// A message for a session's user, whose receipt is for the session.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Deliver {
    pub session: u64,
    /// The server's number of the message.
    pub message: u64,
    pub letters: Letters,
}

/// Nobody waits for the receipts of these messages any more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Unexpect(pub Vec<u64>);

/// A session's actor is gone.
#[derive(Message)]
#[rtype(result = "()")]
struct SessionEnded(u64);

/// The actor of one UDP port.
pub struct Endpoint {
    pub(crate) gate: Gate,
    outbox: Outbox,
    refusals: Refusals,
    rates: Rates,
    received: u64,
}

/// Packets of each address in this second.
struct Rates {
    since: Instant,
    counts: HashMap<IpAddr, u32>,
}

/// Chunks of one batch of datagrams, for those who move them.
#[derive(Default)]
struct Batches {
    /// The bytes of all chunks, one after the other.
    bytes: BytesMut,
    uploads: Vec<(u64, Chunks)>,
    downloads: Vec<(u64, Wanted)>,
}

impl Gate {
    pub(crate) fn roster(&self) -> MutexGuard<'_, Roster> {
        // Each change leaves it whole.
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on with what was here before a restart.
    pub fn restore(&self, sessions: Vec<SessionRow>, transfers: Vec<Left>) {
        let mut roster = self.roster();
        for row in sessions {
            self.admit(&mut roster, row, true);
        }
        for left in transfers {
            roster.adopt(left.transfer, left.idle, left.fresh);
        }
    }

    /// Starts the session that `row` says; `restored` if it was here before a restart.
    pub fn admit(&self, roster: &mut Roster, row: SessionRow, restored: bool) {
        let (number, address, wanted) = (row.session, row.address, row.wanted.clone());
        let (desk, endpoint) = (self.desk.clone(), self.desk.endpoint.clone());
        let actor = watch::start(
            &self.arbiter,
            move |_| Some(Session::new(row, restored, desk)),
            move |panic| {
                if let Some(panic) = panic {
                    tracing::error!(service = "packetchat", peer = %address, panic, "a session panicked");
                }
                endpoint.do_send(SessionEnded(number));
            },
        );
        let seat = Seat {
            actor,
            ip: address.ip().to_canonical(),
            heard: Instant::now(),
            request: (address, wanted.into()),
        };
        roster.admit(number, seat);
    }
}

impl Endpoint {
    pub fn new(gate: Gate) -> Endpoint {
        Endpoint {
            gate,
            outbox: Outbox::new(),
            refusals: Refusals::default(),
            rates: Rates {
                since: Instant::now(),
                counts: HashMap::new(),
            },
            received: 0,
        }
    }

    /// Looks at what came, and hands it on.
    fn take(&mut self, came: &Inbox) {
        let gate = self.gate.clone();
        let mut roster = gate.roster();
        let mut batches = Batches::default();
        for (packet, from) in came.iter() {
            self.received += 1;
            let ip = from.ip().to_canonical();
            if let Err(refusal) = self.let_in(ip) {
                self.refusals.count(refusal, from, &"");
                continue;
            }
            match decode_request(packet) {
                Ok(request) => {
                    if let Err(refusal) = self.route(&mut roster, &mut batches, request, from, ip) {
                        self.refusals.count(refusal, from, &"");
                    }
                }
                Err(error) => self.refusals.count(Refusal::Malformed, from, &error),
            }
        }
        let bytes = batches.bytes.freeze();
        for (transaction, mut chunks) in batches.uploads {
            chunks.bytes = bytes.clone();
            if let Some(place) = roster.transfers.get_mut(&transaction)
                && let Mover::Upload(upload) = self.awake(place)
            {
                upload.do_send(chunks);
            }
        }
        for (transaction, wanted) in batches.downloads {
            if let Some(place) = roster.transfers.get_mut(&transaction)
                && let Mover::Download(download) = self.awake(place)
            {
                download.do_send(wanted);
            }
        }
    }

    /// Whether packets from `ip` are looked at.
    fn let_in(&mut self, ip: IpAddr) -> Result<(), Refusal> {
        let now = Instant::now();
        if now - self.rates.since >= Duration::from_secs(1) {
            self.rates.since = now;
            self.rates.counts.clear();
        }
        if let Some(count) = self.rates.counts.get_mut(&ip) {
            *count = count.saturating_add(1);
            return match *count <= self.gate.settings.packets_per_s {
                true => Ok(()),
                false => Err(Refusal::TooManyPackets),
            };
        }
        // Those who were counted in this second are allowed.
        if !self.gate.allow.iter().any(|net| net.contains(&ip)) {
            return Err(Refusal::NotAllowed);
        }
        if self.rates.counts.len() >= COUNTED {
            return Err(Refusal::TooManyPackets);
        }
        self.rates.counts.insert(ip, 1);
        Ok(())
    }

    fn route(
        &mut self,
        roster: &mut Roster,
        batches: &mut Batches,
        request: Request<'_>,
        from: SocketAddr,
        ip: IpAddr,
    ) -> Result<(), Refusal> {
        let pinned = self.gate.settings.pin_address;
        let (session, asked) = match request {
            Request::Session { name } => return self.begin(roster, name, from, ip),
            Request::DownloadChunk {
                transaction,
                chunk,
                numbering,
            } => {
                let place = roster.transfer(transaction, ip, pinned)?;
                if !matches!(place.transfer, Transfer::Download(_)) {
                    return Err(Refusal::UnknownSession);
                }
                batches.want(transaction, from, numbering, chunk);
                return Ok(());
            }
            Request::UploadChunk {
                transaction,
                chunk,
                bytes,
                numbering,
            } => {
                let place = roster.transfer(transaction, ip, pinned)?;
                if !matches!(place.transfer, Transfer::Upload(_)) {
                    return Err(Refusal::UnknownSession);
                }
                batches.came(transaction, from, numbering, chunk, bytes);
                return Ok(());
            }
            Request::Received { message } => {
                // Receipts are repeated, too.
                let Some(&session) = roster.receipts.get(&message) else {
                    return Ok(());
                };
                roster.session(session, ip, pinned)?;
                roster.receipts.remove(&message);
                (session, Asked::Received { message })
            }
            Request::Preserve { session } => (session, Asked::Preserve),
            Request::Users { session } => (session, Asked::Users),
            Request::UserData { session, user } => (session, Asked::UserData { user }),
            Request::Message {
                session,
                to,
                message,
                text,
            } => {
                let text = Bytes::copy_from_slice(text);
                (session, Asked::Message { to, message, text })
            }
            Request::Broadcast {
                session,
                message,
                text,
            } => {
                let text = Bytes::copy_from_slice(text);
                (session, Asked::Broadcast { message, text })
            }
            Request::Files { session, numbering } => (session, Asked::Files(numbering)),
            Request::FileData {
                session,
                file,
                numbering,
            } => (session, Asked::FileData { file, numbering }),
            Request::Download {
                session,
                file,
                numbering,
            } => {
                roster.session(session, ip, pinned)?;
                let same = |place: &Place| matches!(&place.transfer, Transfer::Download(row) if row.file == file);
                if let Some(begun) = roster.begun(session, ip, same) {
                    let transaction = begun.number();
                    self.answer(from, numbering, &Response::Download { file, transaction });
                    return Ok(());
                }
                self.make_room(roster, ip)?;
                (session, Asked::Download { file, numbering })
            }
            Request::Upload {
                session,
                size,
                name,
                numbering,
            } => {
                roster.session(session, ip, pinned)?;
                let same = |place: &Place| {
                    matches!(&place.transfer, Transfer::Upload(row)
                        if place.fresh && row.size == u64::from(size) && row.name == name)
                };
                if let Some(Transfer::Upload(row)) = roster.begun(session, ip, same) {
                    let (file, transaction) = (row.file, row.transaction);
                    self.answer(from, numbering, &Response::Upload { file, transaction });
                    return Ok(());
                }
                self.make_room(roster, ip)?;
                let name = Bytes::copy_from_slice(name);
                (
                    session,
                    Asked::Upload {
                        size,
                        name,
                        numbering,
                    },
                )
            }
        };
        let seat = roster.session(session, ip, pinned)?;
        seat.actor.do_send(Packet { from, asked });
        Ok(())
    }

    /// A session is asked for.
    fn begin(
        &mut self,
        roster: &mut Roster,
        name: &[u8],
        from: SocketAddr,
        ip: IpAddr,
    ) -> Result<(), Refusal> {
        let wanted = wire::user_name(name).map_err(|_| Refusal::BadName)?;
        if let Some(session) = roster.known(from, wanted) {
            let seat = roster.session(session, ip, false)?;
            seat.actor.do_send(Packet {
                from,
                asked: Asked::Preserve,
            });
            return Ok(());
        }
        if roster.sessions.len() >= self.gate.settings.max_sessions {
            return Err(Refusal::TooManySessions);
        }
        if roster.sessions_of(ip) >= self.gate.settings.sessions_per_address {
            return Err(Refusal::TooManySessionsHere);
        }
        let row = SessionRow {
            session: draw(Kind::Session),
            user: draw(Kind::User),
            wanted: wanted.to_owned(),
            name: wanted.to_owned(),
            address: from,
        };
        self.gate.admit(roster, row, false);
        Ok(())
    }

    /// Makes sure that this address may begin one more transfer.
    fn make_room(&self, roster: &mut Roster, ip: IpAddr) -> Result<(), Refusal> {
        let limit = self.gate.shelves.limits.transfers_per_address;
        if let Some(place) = roster.make_room(ip, limit)? {
            self.forget(place);
        }
        Ok(())
    }

    fn answer(&mut self, to: SocketAddr, numbering: Numbering, response: &Response<'_>) {
        self.outbox
            .push(Letters::one(to, response.packet(numbering)));
    }

    /// Who moves this file; woken up if it sleeps, or was lost.
    fn awake(&self, place: &mut Place) -> Mover {
        let lives = match &place.mover {
            Mover::Asleep => false,
            Mover::Upload(upload) => upload.connected(),
            Mover::Download(download) => download.connected(),
        };
        if !lives {
            place.mover = self.wake(&place.transfer);
        }
        place.mover.clone()
    }

    fn wake(&self, transfer: &Transfer) -> Mover {
        let (shelves, desk) = (self.gate.shelves.clone(), self.gate.desk.clone());
        let ended = |panic: Option<String>| {
            if let Some(panic) = panic {
                tracing::error!(service = "packetchat", panic, "a transfer panicked");
            }
        };
        match transfer.clone() {
            Transfer::Upload(row) => {
                let make = move |_: &mut Context<Upload>| {
                    let (files, endpoint) = (desk.files.clone(), desk.endpoint.clone());
                    Some(Upload::new(row, shelves, files, endpoint))
                };
                Mover::Upload(watch::start(&self.gate.arbiter, make, ended))
            }
            Transfer::Download(row) => {
                let make = move |_: &mut Context<Download>| {
                    let (files, endpoint) = (desk.files.clone(), desk.endpoint.clone());
                    Some(Download::new(row, shelves, files, endpoint))
                };
                Mover::Download(watch::start(&self.gate.arbiter, make, ended))
            }
        }
    }

    /// A transfer is over, also for the database.
    fn forget(&self, place: Place) {
        dismiss(&place.mover);
        self.gate.desk.files.do_send(match place.transfer {
            Transfer::Upload(row) => Forget::Upload(row),
            Transfer::Download(row) => Forget::Download(row.transaction),
        });
    }

    fn end_session(&self, roster: &mut Roster, session: u64) {
        let Some(seat) = roster.remove(session) else {
            return;
        };
        seat.actor.do_send(Dismiss);
        let deleted = self
            .gate
            .desk
            .ledger
            .write(Durability::Process, move |index| {
                index.delete_session(session)
            });
        actix_rt::spawn(async move {
            if let Err(error) = deleted.await {
                tracing::error!(%error, "a session that is over");
            }
        });
    }

    /// Lets go who was not heard of for too long.
    fn sweep(&mut self) {
        let gate = self.gate.clone();
        let (mut roster, now) = (gate.roster(), Instant::now());
        let roster = &mut *roster;
        let timeout = gate.settings.session_timeout;
        let is_silent = |seat: &Seat| now - seat.heard >= timeout;
        let silent = roster.sessions.iter().filter(|(_, seat)| is_silent(seat));
        let silent: Vec<u64> = silent.map(|(number, _)| *number).collect();
        for session in &silent {
            self.end_session(roster, *session);
        }
        if !silent.is_empty() {
            let sessions = &roster.sessions;
            roster
                .receipts
                .retain(|_, session| sessions.contains_key(session));
        }
        let expiry = gate.shelves.limits.upload_expiry;
        let mut over = Vec::new();
        for (number, place) in &mut roster.transfers {
            let idle = now - place.heard;
            let patience = match &place.transfer {
                Transfer::Upload(row) if row.finished => AFTERWARDS,
                Transfer::Download(row) if !roster.sessions.contains_key(&row.session) => {
                    AFTERWARDS
                }
                _ => expiry,
            };
            if idle >= patience {
                over.push(*number);
            } else if idle >= SLEEP {
                dismiss(&std::mem::replace(&mut place.mover, Mover::Asleep));
            }
        }
        for place in over.into_iter().filter_map(|number| roster.end(number)) {
            if let Transfer::Upload(row) = &place.transfer
                && !row.finished
            {
                let rule = "files.upload_expiry_s";
                tracing::info!(service = "packetchat", peer = %row.address, rule, "an upload was given up");
            }
            self.forget(place);
        }
    }
}

fn dismiss(mover: &Mover) {
    match mover {
        Mover::Asleep => {}
        Mover::Upload(upload) => upload.do_send(Dismiss),
        Mover::Download(download) => download.do_send(Dismiss),
    }
}

impl Batches {
    fn want(&mut self, transaction: u64, from: SocketAddr, numbering: Numbering, chunk: u32) {
        let same = |(other, wanted): &&mut (u64, Wanted)| {
            *other == transaction && wanted.from == from && wanted.numbering == numbering
        };
        match self.downloads.iter_mut().rev().find(same) {
            Some((_, wanted)) => wanted.chunks.push(chunk),
            None => self.downloads.push((
                transaction,
                Wanted {
                    from,
                    numbering,
                    chunks: vec![chunk],
                },
            )),
        }
    }

    fn came(
        &mut self,
        transaction: u64,
        from: SocketAddr,
        numbering: Numbering,
        chunk: u32,
        bytes: &[u8],
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let piece = (chunk, start..self.bytes.len());
        let same = |(other, chunks): &&mut (u64, Chunks)| {
            *other == transaction && chunks.from == from && chunks.numbering == numbering
        };
        match self.uploads.iter_mut().rev().find(same) {
            Some((_, chunks)) => chunks.chunks.push(piece),
            None => self.uploads.push((
                transaction,
                Chunks {
                    from,
                    numbering,
                    chunks: vec![piece],
                    bytes: Bytes::new(),
                },
            )),
        }
    }
}

/// Moves datagrams between the socket and the endpoint as long as it lives. It is polled after the
/// mailbox, so that what one batch brings goes out together.
struct Courier {
    socket: tokio::net::UdpSocket,
    inbox: Inbox,
}

impl Courier {
    /// Sends what waits; comes again when the socket takes more.
    fn send(&self, act: &mut Endpoint, cx: &mut TaskContext<'_>) {
        while !act.outbox.is_empty() {
            match self.socket.poll_send_ready(cx) {
                Poll::Pending => return,
                Poll::Ready(Err(error)) => {
                    tracing::error!(service = "packetchat", %error, "the socket");
                    return;
                }
                Poll::Ready(Ok(())) => {
                    let send = || act.outbox.send(&act.gate.socket);
                    // Only ever that it takes no more now: then it is asked again.
                    let _ = self.socket.try_io(Interest::WRITABLE, send);
                }
            }
        }
    }

    /// Takes one batch. True if there may be more.
    fn receive(&mut self, act: &mut Endpoint, cx: &mut TaskContext<'_>) -> bool {
        loop {
            match self.socket.poll_recv_ready(cx) {
                Poll::Pending => return false,
                Poll::Ready(Err(error)) => {
                    tracing::error!(service = "packetchat", %error, "the socket");
                    return false;
                }
                Poll::Ready(Ok(())) => {}
            }
            let inbox = &mut self.inbox;
            let receive = || inbox.receive(&act.gate.socket);
            match self.socket.try_io(Interest::READABLE, receive) {
                Ok(()) => {
                    act.take(&self.inbox);
                    return true;
                }
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                // That a peer of before can't be reached, for instance: nothing to do with what comes.
                Err(_) => return true,
            }
        }
    }
}

impl ActorFuture<Endpoint> for Courier {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        act: &mut Endpoint,
        _: &mut Context<Endpoint>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        self.send(act, cx);
        if act.gate.closing.load(Ordering::Acquire) {
            act.gate.supervisor.do_send(DoorClosed(Service::Packetchat));
            return Poll::Ready(());
        }
        if self.receive(act, cx) {
            self.send(act, cx);
            // Those who work on the batch have their turn first.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Actor for Endpoint {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let socket = self.gate.socket.try_clone();
        match socket.and_then(tokio::net::UdpSocket::from_std) {
            Ok(socket) => drop(ctx.spawn(Courier {
                socket,
                inbox: Inbox::new(),
            })),
            Err(error) => {
                tracing::error!(service = "packetchat", %error, "the port can't be listened on");
            }
        }
        let often = SWEEP.min(self.gate.settings.session_timeout / 4);
        ctx.run_interval(often, |this, _| this.sweep());
    }
}

impl Handler<Letters> for Endpoint {
    type Result = ();

    fn handle(&mut self, letters: Letters, _: &mut Context<Self>) {
        self.outbox.push(letters);
    }
}

impl Handler<Deliver> for Endpoint {
    type Result = ();

    fn handle(&mut self, deliver: Deliver, _: &mut Context<Self>) {
        let mut roster = self.gate.roster();
        if roster.sessions.contains_key(&deliver.session) {
            roster.receipts.insert(deliver.message, deliver.session);
        }
        drop(roster);
        self.outbox.push(deliver.letters);
    }
}

impl Handler<Unexpect> for Endpoint {
    type Result = ();

    fn handle(&mut self, Unexpect(messages): Unexpect, _: &mut Context<Self>) {
        let mut roster = self.gate.roster();
        for message in messages {
            roster.receipts.remove(&message);
        }
    }
}

impl Handler<Adopt> for Endpoint {
    type Result = ();

    fn handle(&mut self, Adopt(transfer): Adopt, _: &mut Context<Self>) {
        self.gate.roster().adopt(transfer, Duration::ZERO, true);
    }
}

impl Handler<Finished> for Endpoint {
    type Result = ();

    fn handle(&mut self, Finished { transaction }: Finished, _: &mut Context<Self>) {
        if let Some(place) = self.gate.roster().transfers.get_mut(&transaction)
            && let Transfer::Upload(row) = &mut place.transfer
        {
            row.finished = true;
        }
    }
}

impl Handler<Spoiled> for Endpoint {
    type Result = ();

    fn handle(&mut self, Spoiled { transaction }: Spoiled, _: &mut Context<Self>) {
        let ended = self.gate.roster().end(transaction);
        if let Some(place) = ended {
            self.forget(place);
        }
    }
}

impl Handler<Refuse> for Endpoint {
    type Result = ();

    fn handle(&mut self, Refuse { refusal, peer }: Refuse, _: &mut Context<Self>) {
        self.refusals.count(refusal, peer, &"");
    }
}

impl Handler<SessionEnded> for Endpoint {
    type Result = ();

    fn handle(&mut self, SessionEnded(session): SessionEnded, _: &mut Context<Self>) {
        let gate = self.gate.clone();
        self.end_session(&mut gate.roster(), session);
    }
}

impl Handler<CloseDoor> for Endpoint {
    type Result = ();

    // The protocol has no goodbye, and everyone here outlives a restart.
    fn handle(&mut self, _: CloseDoor, _: &mut Context<Self>) {
        self.gate.closing.store(true, Ordering::Release);
    }
}

impl Handler<Observe> for Endpoint {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        let roster = self.gate.roster();
        let (uploads, downloads) = roster.counts();
        Observation::Endpoint {
            sessions: roster.sessions.len(),
            uploads,
            downloads,
            received: self.received,
            sent: self.outbox.sent,
            refused: self.refusals.total(),
            dropped: self.outbox.dropped,
        }
    }
}

//! One for each UDP service's port: takes datagrams in batches, finds the session or transfer that each
//! is for, sends what those answer, and lets go who is not heard of any more. What is wrong gets no
//! answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_protocols::packetchat::{Kind, Numbering, Request, Response, decode_request};
use playhouse_protocols::wire;
use playhouse_storage::{Durability, SessionRow};
use tokio::time::Instant;

use crate::courier::{Batches, Courier};
use crate::datagrams::{Inbox, Letters, Outbox};
use crate::download::Download;
use crate::file_store::{Forget, draw};
use crate::gate::Gate;
use crate::listener::CloseDoor;
use crate::messages::{Dismiss, Observation, Observe};
use crate::rates::Rates;
use crate::refusals::{Refusal, Refusals};
use crate::roster::{Mover, Place, Roster, Seat, Transfer};
use crate::session::{Packet, Welcome};
use crate::slots::Slot;
use crate::upload::Upload;
use crate::watch;

/// The longest time between two looks at who is not heard of any more.
const SWEEP: Duration = Duration::from_millis(250);
/// The pause before the next try to listen, for lack of file descriptors for instance.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
/// Who moves a file sleeps after so long without work.
const SLEEP: Duration = Duration::from_secs(10);
/// The same while others wait for a place.
const SLEEP_IN_A_CROWD: Duration = Duration::from_millis(500);
/// Looks that are so far apart mean that the program did not run.
const STOPPED: Duration = Duration::from_secs(2);
/// For so long the last chunks of a finished upload are acknowledged again, and a download without its
/// session is kept.
const AFTERWARDS: Duration = Duration::from_secs(60);

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
pub struct Adopt(pub Transfer, pub Option<Slot>);

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
pub struct SessionEnded(pub u64);

/// The actor of one UDP port.
pub struct Endpoint {
    pub(crate) gate: Gate,
    pub(crate) outbox: Outbox,
    refusals: Refusals,
    rates: Rates,
    /// Sessions that were begun.
    begun: u64,
    received: u64,
    /// Somebody found no place to move a file since the last look.
    is_crowded: bool,
    /// The last look at who is not heard of any more.
    swept: Instant,
}

impl Endpoint {
    pub fn new(gate: Gate) -> Endpoint {
        Endpoint {
            outbox: Outbox::new(),
            refusals: Refusals::default(),
            rates: Rates::new(gate.allow.clone(), gate.settings.packets_per_s),
            begun: 0,
            received: 0,
            is_crowded: false,
            swept: Instant::now(),
            gate,
        }
    }

    fn listen(&mut self, ctx: &mut Context<Self>) {
        let socket = self.gate.socket.try_clone();
        match socket.and_then(tokio::net::UdpSocket::from_std) {
            Ok(socket) => drop(ctx.spawn(Courier::new(socket))),
            Err(error) => {
                tracing::error!(service = "packetchat", %error, "the port can't be listened on");
                ctx.run_later(LISTEN_AGAIN, Self::listen);
            }
        }
    }

    /// Looks at what came, and hands it on.
    pub fn take(&mut self, came: &Inbox) {
        let gate = self.gate.clone();
        let mut roster = gate.roster();
        let mut batches = Batches::default();
        let now = Instant::now();
        for (packet, from) in came.iter() {
            self.received += 1;
            let ip = from.ip().to_canonical();
            // Nobody can be answered there.
            if from.port() == 0 {
                self.refusals.count(Refusal::NoPort, from);
                continue;
            }
            let let_in = self.rates.let_in(ip, now);
            let routed = let_in.and_then(|()| self.route(&mut roster, &mut batches, packet, from));
            if let Err(refusal) = routed {
                self.refusals.count(refusal, from);
            }
        }
        let bytes = batches.bytes.freeze();
        for (transaction, mut chunks) in batches.uploads {
            chunks.bytes = bytes.clone();
            let place = roster.transfers.get_mut(&transaction);
            match place.map(|place| self.awake(place)) {
                Some(Mover::Upload(upload)) => upload.do_send(chunks),
                _ => self.refusals.count(Refusal::Busy, chunks.from),
            }
        }
        for (transaction, wanted) in batches.downloads {
            let place = roster.transfers.get_mut(&transaction);
            match place.map(|place| self.awake(place)) {
                Some(Mover::Download(download)) => download.do_send(wanted),
                _ => self.refusals.count(Refusal::Busy, wanted.from),
            }
        }
    }

    fn route(
        &mut self,
        roster: &mut Roster,
        batches: &mut Batches,
        packet: &[u8],
        from: SocketAddr,
    ) -> Result<(), Refusal> {
        let ip = from.ip().to_canonical();
        let request = decode_request(packet).map_err(Refusal::Malformed)?;
        let pinned = self.gate.settings.pin_address;
        let mut slot = None;
        let session = match request {
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
            Request::Received { message } => match roster.receipts.get(&message) {
                Some(&session) => {
                    roster.session(session, ip, pinned)?;
                    roster.receipts.remove(&message);
                    Some(session)
                }
                // Receipts are repeated, too.
                None => return Ok(()),
            },
            Request::Download {
                session,
                file,
                numbering,
            } => {
                roster.session(session, ip, pinned)?;
                if let Some(transaction) = roster.download_of(session, ip, file) {
                    self.answer(from, numbering, &Response::Download { file, transaction });
                    return Ok(());
                }
                slot = Some(self.make_room(roster, ip)?);
                Some(session)
            }
            Request::Upload {
                session,
                size,
                name,
                numbering,
            } => {
                roster.session(session, ip, pinned)?;
                if let Some((file, transaction)) = roster.upload_of(session, ip, size, name) {
                    self.answer(from, numbering, &Response::Upload { file, transaction });
                    return Ok(());
                }
                slot = Some(self.make_room(roster, ip)?);
                Some(session)
            }
            _ => request.session(),
        };
        let session = session.ok_or(Refusal::UnknownSession)?;
        let seat = roster.session(session, ip, pinned)?;
        let packet = Bytes::copy_from_slice(packet);
        seat.actor.do_send(Packet { from, packet, slot });
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
            seat.actor.do_send(Welcome { from });
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
        self.begun += 1;
        Ok(())
    }

    /// A place for one more transfer of this address.
    fn make_room(&self, roster: &mut Roster, ip: IpAddr) -> Result<Slot, Refusal> {
        let (slot, ended) = roster.make_room(ip)?;
        if let Some(transfer) = ended {
            self.forget(transfer);
        }
        Ok(slot)
    }

    fn answer(&mut self, to: SocketAddr, numbering: Numbering, response: &Response<'_>) {
        self.outbox
            .push(Letters::one(to, response.packet(numbering)));
    }

    /// Who moves this file; woken up if it sleeps, or was lost, and there is a place for one more.
    fn awake(&mut self, place: &mut Place) -> Mover {
        if !place.mover.is_awake() {
            let slot = self.gate.moving.take();
            self.is_crowded |= slot.is_none();
            place.mover = slot.map_or(Mover::Asleep, |slot| self.wake(&place.transfer, slot));
        }
        place.mover.clone()
    }

    fn wake(&self, transfer: &Transfer, slot: Slot) -> Mover {
        let (shelves, desk) = (self.gate.shelves.clone(), self.gate.desk.clone());
        let ended = move |panic: Option<String>| {
            drop(slot);
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
    fn forget(&self, transfer: Transfer) {
        self.gate.desk.files.do_send(match transfer {
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
        // Whoever was stopped for a while (suspended, say) has not heard what waits in the socket.
        let asleep = now - std::mem::replace(&mut self.swept, now);
        if asleep > STOPPED {
            roster.excuse(asleep);
        }
        let sleep = match std::mem::take(&mut self.is_crowded) {
            true => SLEEP_IN_A_CROWD,
            false => SLEEP,
        };
        let timeout = gate.settings.session_timeout;
        // An actor's end may have been told to an endpoint that was just being rebuilt.
        let is_silent = |seat: &Seat| now - seat.heard >= timeout || !seat.actor.connected();
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
            } else if !place.mover.is_awake() {
                place.mover = Mover::Asleep;
            } else if idle >= sleep {
                place.mover.dismiss();
            }
        }
        for transfer in over.into_iter().filter_map(|number| roster.end(number)) {
            if let Transfer::Upload(row) = &transfer
                && !row.finished
            {
                let rule = "files.upload_expiry_s";
                tracing::info!(service = "packetchat", peer = %row.address, rule, "an upload was given up");
            }
            self.forget(transfer);
        }
    }
}

impl Actor for Endpoint {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.listen(ctx);
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

    fn handle(&mut self, Adopt(transfer, slot): Adopt, _: &mut Context<Self>) {
        let mut roster = self.gate.roster();
        roster.adopt(transfer, slot, Duration::ZERO, true);
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
        if let Some(transfer) = ended {
            self.forget(transfer);
        }
    }
}

impl Handler<Refuse> for Endpoint {
    type Result = ();

    fn handle(&mut self, Refuse { refusal, peer }: Refuse, _: &mut Context<Self>) {
        self.refusals.count(refusal, peer);
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
            begun: self.begun,
            uploads,
            downloads,
            received: self.received,
            sent: self.outbox.sent,
            refused: self.refusals.total(),
            dropped: self.outbox.dropped,
        }
    }
}

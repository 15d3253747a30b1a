//! Who the endpoint knows: sessions and transfers by their numbers, and what each address has of them.
//! It outlives an endpoint that panics; each change leaves it whole.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use actix::prelude::*;
use playhouse_storage::{DownloadRow, UploadRow};
use tokio::time::Instant;

use crate::download::Download;
use crate::messages::Dismiss;
use crate::refusals::Refusal;
use crate::session::Session;
use crate::slots::{Slot, Slots};
use crate::upload::Upload;

/// A download that was not asked for a chunk for so long gives its place to a new transfer of its
/// address, if that has no other.
const IDLE: Duration = Duration::from_secs(10);

/// The same of an upload, of which chunks would be lost.
const ABANDONED: Duration = Duration::from_secs(60);

/// A session, as the endpoint sees it.
pub struct Seat {
    pub actor: Addr<Session>,
    /// Without the mapping of IPv4 to IPv6.
    pub ip: IpAddr,
    pub heard: Instant,
    /// Where the first request came from, and the name it asked for.
    pub request: (SocketAddr, Box<str>),
}

/// A transfer as the database has it.
#[derive(Debug, Clone)]
pub enum Transfer {
    Upload(UploadRow),
    Download(DownloadRow),
}

impl Transfer {
    pub fn number(&self) -> u64 {
        match self {
            Transfer::Upload(row) => row.transaction,
            Transfer::Download(row) => row.transaction,
        }
    }

    pub fn session(&self) -> u64 {
        match self {
            Transfer::Upload(row) => row.session,
            Transfer::Download(row) => row.session,
        }
    }

    fn ip(&self) -> IpAddr {
        match self {
            Transfer::Upload(row) => row.address,
            Transfer::Download(row) => row.address,
        }
    }
}

/// The actor that moves a file, while it is moved.
#[derive(Clone)]
pub enum Mover {
    Asleep,
    Upload(Addr<Upload>),
    Download(Addr<Download>),
}

impl Mover {
    /// Whether it runs.
    pub fn is_awake(&self) -> bool {
        match self {
            Mover::Asleep => false,
            Mover::Upload(upload) => upload.connected(),
            Mover::Download(download) => download.connected(),
        }
    }

    /// Lets it go, when it has done what it is at.
    pub fn dismiss(&self) {
        match self {
            Mover::Asleep => {}
            Mover::Upload(upload) => upload.do_send(Dismiss),
            Mover::Download(download) => download.do_send(Dismiss),
        }
    }
}

/// A transfer, as the endpoint sees it.
pub struct Place {
    pub transfer: Transfer,
    pub mover: Mover,
    pub heard: Instant,
    /// No chunk has come or gone since it began here.
    pub fresh: bool,
    /// `None` if it was here before a restart, and its address has more than there are places.
    _slot: Option<Slot>,
}

impl Place {
    /// Whether it may give way to another one: all of it is there, or nobody seems to be at it.
    fn gives_way(&self, now: Instant) -> bool {
        match &self.transfer {
            Transfer::Upload(row) => row.finished || now - self.heard >= ABANDONED,
            Transfer::Download(_) => now - self.heard >= IDLE,
        }
    }
}

struct Address {
    sessions: usize,
    transfers: Vec<u64>,
    /// Those that are about to begin have theirs, too.
    places: Slots,
}

/// The endpoint's book.
pub struct Roster {
    transfers_per_address: usize,
    max_transfers: usize,
    pub sessions: HashMap<u64, Seat>,
    pub transfers: HashMap<u64, Place>,
    /// Sessions by their first request, to know its repeats.
    requests: HashMap<(SocketAddr, Box<str>), u64>,
    addresses: HashMap<IpAddr, Address>,
    /// The sessions whose receipts are waited for, by the server's numbers of the messages.
    pub receipts: HashMap<u64, u64>,
}

impl Roster {
    /// An empty one; each address may have so many transfers, and all together so many.
    pub fn new(transfers_per_address: usize, max_transfers: usize) -> Roster {
        Roster {
            transfers_per_address,
            max_transfers,
            sessions: HashMap::new(),
            transfers: HashMap::new(),
            requests: HashMap::new(),
            addresses: HashMap::new(),
            receipts: HashMap::new(),
        }
    }

    fn address(&mut self, ip: IpAddr) -> &mut Address {
        let limit = self.transfers_per_address;
        self.addresses.entry(ip).or_insert_with(|| Address {
            sessions: 0,
            transfers: Vec::new(),
            places: Slots::new(limit),
        })
    }

    /// The session that a request is the repeat of, if it is one.
    pub fn known(&self, from: SocketAddr, wanted: &str) -> Option<u64> {
        self.requests.get(&(from, wanted.into())).copied()
    }

    /// How many sessions this address has.
    pub fn sessions_of(&self, ip: IpAddr) -> usize {
        self.addresses
            .get(&ip)
            .map_or(0, |address| address.sessions)
    }

    pub fn admit(&mut self, session: u64, seat: Seat) {
        self.requests.insert(seat.request.clone(), session);
        self.address(seat.ip).sessions += 1;
        self.sessions.insert(session, seat);
    }

    /// A session is over. Its transfers stay: they have times of their own.
    pub fn remove(&mut self, session: u64) -> Option<Seat> {
        let seat = self.sessions.remove(&session)?;
        // Two that have moved may have asked from the same place.
        if self.requests.get(&seat.request) == Some(&session) {
            self.requests.remove(&seat.request);
        }
        if let Some(address) = self.addresses.get_mut(&seat.ip) {
            address.sessions -= 1;
        }
        self.drop_if_unused(seat.ip);
        Some(seat)
    }

    fn drop_if_unused(&mut self, ip: IpAddr) {
        if let Some(address) = self.addresses.get(&ip)
            && address.sessions == 0
            && address.transfers.is_empty()
        {
            self.addresses.remove(&ip);
        }
    }

    /// The session of this number, which is heard of from `ip`; `pinned` if it must be its own.
    ///
    /// # Errors
    /// There is none, or it is another address's.
    pub fn session(&mut self, session: u64, ip: IpAddr, pinned: bool) -> Result<&Seat, Refusal> {
        let seat = self.sessions.get_mut(&session);
        let seat = seat.ok_or(Refusal::UnknownSession)?;
        if pinned && seat.ip != ip {
            return Err(Refusal::OtherAddress);
        }
        seat.heard = Instant::now();
        Ok(seat)
    }

    /// The transfer of this number, a chunk of which comes from `ip` or is asked for from there. Its
    /// session is heard of with it.
    ///
    /// # Errors
    /// There is none, or it is another address's.
    pub fn transfer(
        &mut self,
        number: u64,
        ip: IpAddr,
        pinned: bool,
    ) -> Result<&mut Place, Refusal> {
        let place = self.transfers.get_mut(&number);
        let place = place.ok_or(Refusal::UnknownSession)?;
        if pinned && place.transfer.ip() != ip {
            return Err(Refusal::OtherAddress);
        }
        let now = Instant::now();
        (place.heard, place.fresh) = (now, false);
        if let Some(seat) = self.sessions.get_mut(&place.transfer.session()) {
            seat.heard = now;
        }
        Ok(place)
    }

    /// A place for one more transfer of `ip`, and the transfer that gave way to it, if one had to.
    ///
    /// # Errors
    /// All of its transfers are under way.
    pub fn make_room(&mut self, ip: IpAddr) -> Result<(Slot, Option<Transfer>), Refusal> {
        if self.transfers.len() >= self.max_transfers {
            return Err(Refusal::TooManyTransfersInAll);
        }
        let places = self.address(ip).places.clone();
        if let Some(slot) = places.take() {
            return Ok((slot, None));
        }
        let now = Instant::now();
        let longest_idle = self
            .places(ip)
            .filter(|place| place.gives_way(now))
            .min_by_key(|place| place.heard)
            .map(|place| place.transfer.number());
        let ended = longest_idle.and_then(|number| self.end(number));
        let slot = places.take().ok_or(Refusal::TooManyTransfers)?;
        Ok((slot, ended))
    }

    /// The transaction in which `session` downloads this file already: a request for it was repeated.
    pub fn download_of(&self, session: u64, ip: IpAddr, file: u64) -> Option<u64> {
        self.begun(session, ip).find_map(|place| {
            let Transfer::Download(row) = &place.transfer else {
                return None;
            };
            (row.file == file).then_some(row.transaction)
        })
    }

    /// The file and transaction of an upload of this name and size that `session` has begun, unless
    /// chunks of it are here: then this is another one.
    pub fn upload_of(
        &self,
        session: u64,
        ip: IpAddr,
        size: u32,
        name: &[u8],
    ) -> Option<(u64, u64)> {
        self.begun(session, ip).find_map(|place| {
            let Transfer::Upload(row) = &place.transfer else {
                return None;
            };
            let same = place.fresh && row.size == u64::from(size) && row.name == name;
            same.then_some((row.file, row.transaction))
        })
    }

    fn begun(&self, session: u64, ip: IpAddr) -> impl Iterator<Item = &Place> {
        self.places(ip)
            .filter(move |place| place.transfer.session() == session)
    }

    /// The transfers of an address.
    fn places(&self, ip: IpAddr) -> impl Iterator<Item = &Place> {
        let address = self.addresses.get(&ip);
        let numbers = address.map_or(&[][..], |address| &address.transfers);
        numbers
            .iter()
            .filter_map(|number| self.transfers.get(number))
    }

    /// A transfer has begun, and nothing was heard of it for `idle`. `fresh` if no chunk of it is here.
    pub fn adopt(&mut self, transfer: Transfer, slot: Option<Slot>, idle: Duration, fresh: bool) {
        let address = self.address(transfer.ip());
        let slot = slot.or_else(|| address.places.take());
        address.transfers.push(transfer.number());
        let now = Instant::now();
        let place = Place {
            mover: Mover::Asleep,
            heard: now.checked_sub(idle).unwrap_or(now),
            fresh,
            transfer,
            _slot: slot,
        };
        self.transfers.insert(place.transfer.number(), place);
    }

    /// Nobody could be heard of for so long.
    pub fn excuse(&mut self, long: Duration) {
        for seat in self.sessions.values_mut() {
            seat.heard += long;
        }
        for place in self.transfers.values_mut() {
            place.heard += long;
        }
    }

    /// A transfer is over; who moved it stops.
    pub fn end(&mut self, number: u64) -> Option<Transfer> {
        let place = self.transfers.remove(&number)?;
        place.mover.dismiss();
        let ip = place.transfer.ip();
        if let Some(address) = self.addresses.get_mut(&ip) {
            address.transfers.retain(|other| *other != number);
        }
        self.drop_if_unused(ip);
        Some(place.transfer)
    }

    /// How many uploads and how many downloads there are.
    pub fn counts(&self) -> (usize, usize) {
        let is_upload = |place: &&Place| matches!(place.transfer, Transfer::Upload(_));
        let uploads = self.transfers.values().filter(is_upload).count();
        (uploads, self.transfers.len() - uploads)
    }
}

//! One for the house: the uploads that come over HTTP. It gives each to one request at a time, and gives
//! up those of which nothing comes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_storage::{Partial, UploadRow};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};

use super::lease::{Back, Lease};
use crate::file_store::{Begin, FileStore, Forget, Shelves};
use crate::locks::locked;
use crate::messages::{Observation, Observe};
use crate::refusals::Refusal;
use crate::roster::Transfer;
use crate::slots::{Slot, Slots};
use crate::storeroom::Left;
use crate::watch::Post;

/// The session that such uploads have in the database: of no user of packetchat, and of no kind.
pub const SESSION: u64 = 0;

/// How often it is looked at which uploads are over.
const SWEEP: Duration = Duration::from_secs(5);
/// One that is complete is known for so long, to whoever did not hear so.
const AFTERWARDS: Duration = Duration::from_secs(600);
/// What nobody sends to has its files closed after so long.
const REST: Duration = Duration::from_secs(30);
/// Whoever has an upload, and is wanted to leave it to another request, has so long.
const HANDOVER: Duration = Duration::from_secs(10);
/// One that nothing came of for so long gives its place to a new one of its address, if that has no other.
const ABANDONED: Duration = Duration::from_secs(60);

/// A file of so many bytes is to come.
#[derive(Message)]
#[rtype(result = "Result<Lease, Refusal>")]
pub struct Start {
    pub address: IpAddr,
    pub size: u64,
    pub name: Bytes,
}

/// Whoever has this upload leaves it to whoever asks.
#[derive(Message)]
#[rtype(result = "Result<Lease, Refusal>")]
pub struct Enter(pub u64);

struct Place {
    row: Arc<UploadRow>,
    heard: Instant,
    /// Open since the last request, with the place that it has for that.
    open: Option<(Partial, Slot)>,
    /// Known to the request that has it; gone with that.
    taken: Weak<Notify>,
    /// The request that has it next.
    next: Option<oneshot::Sender<Result<Lease, Refusal>>>,
}

impl Place {
    fn new(row: UploadRow, idle: Duration) -> Place {
        let now = Instant::now();
        Place {
            row: Arc::new(row),
            heard: now.checked_sub(idle).unwrap_or(now),
            open: None,
            taken: Weak::new(),
            next: None,
        }
    }

    fn is_taken(&self) -> bool {
        self.taken.strong_count() > 0
    }

    fn idle(&self) -> Duration {
        self.heard.elapsed()
    }
}

/// The uploads by their numbers. It outlives an actor that panics; each change leaves it whole.
#[derive(Clone, Default)]
pub struct Book(Arc<Mutex<HashMap<u64, Place>>>);

impl Book {
    /// With what was here before a restart.
    pub fn new(left: Vec<Left>) -> Book {
        let places = left.into_iter().filter_map(|left| match left.transfer {
            Transfer::Upload(row) => Some((row.transaction, Place::new(row, left.idle))),
            Transfer::Download(_) => None,
        });
        Book(Arc::new(Mutex::new(places.collect())))
    }

    fn places(&self) -> MutexGuard<'_, HashMap<u64, Place>> {
        locked(&self.0)
    }
}

/// The one actor of them.
pub struct Uploads {
    book: Book,
    shelves: Shelves,
    files: Post<FileStore>,
    /// Places for transfers that have files open, shared with packetchat's.
    moving: Slots,
    me: Post<Uploads>,
    /// Those that are about to begin, by address.
    beginning: HashMap<IpAddr, usize>,
}

impl Uploads {
    pub fn new(
        book: Book,
        shelves: Shelves,
        files: Post<FileStore>,
        moving: Slots,
        me: Post<Uploads>,
    ) -> Uploads {
        Uploads {
            book,
            shelves,
            files,
            moving,
            me,
            beginning: HashMap::new(),
        }
    }

    /// Whether there is room for one more upload of this address; one that nobody seems to be at gives way.
    fn make_room(&self, address: IpAddr) -> Result<(), Refusal> {
        let limits = &self.shelves.limits;
        let mut places = self.book.places();
        let beginning: usize = self.beginning.values().sum();
        if places.len() + beginning >= limits.max_transfers {
            let done = |place: &Place| place.row.finished && !place.is_taken();
            let gone = longest_idle(&places, done).and_then(|number| places.remove(&number));
            let gone = gone.ok_or(Refusal::TooManyTransfersInAll)?;
            self.files.do_send(Forget::Upload((*gone.row).clone()));
        }
        let own = |place: &Place| place.row.address == address && !place.row.finished;
        let beginning = self.beginning.get(&address).copied().unwrap_or(0);
        if places.values().filter(|place| own(place)).count() + beginning
            < limits.transfers_per_address
        {
            return Ok(());
        }
        let abandoned =
            |place: &Place| own(place) && !place.is_taken() && place.idle() >= ABANDONED;
        let gone = longest_idle(&places, abandoned).and_then(|number| places.remove(&number));
        let gone = gone.ok_or(Refusal::TooManyTransfers)?;
        self.give_up(&gone, "files.transfers_per_address");
        Ok(())
    }

    fn give_up(&self, place: &Place, rule: &'static str) {
        let row = &place.row;
        if !row.finished {
            tracing::info!(service = "web", peer = %row.address, upload = row.transaction, rule, "an upload was given up");
        }
        self.files.do_send(Forget::Upload((**row).clone()));
    }

    /// A place for files that are open, if need be that of an upload that nobody sends to.
    fn slot(&self, places: &mut HashMap<u64, Place>) -> Option<Slot> {
        if let Some(slot) = self.moving.take() {
            return Some(slot);
        }
        let longest = places.values_mut().filter(|place| place.open.is_some());
        longest.max_by_key(|place| place.idle())?.open = None;
        self.moving.take()
    }

    /// Gives an upload that nobody has to whoever asked.
    fn lease(&self, number: u64, places: &mut HashMap<u64, Place>) -> Result<Lease, Refusal> {
        let place = places.get_mut(&number).ok_or(Refusal::UnknownSession)?;
        let (partial, slot) = match place.open.take() {
            Some((partial, slot)) => (Some(partial), Some(slot)),
            None if place.row.finished => (None, None),
            None => (None, Some(self.slot(places).ok_or(Refusal::Busy)?)),
        };
        let place = places.get_mut(&number).ok_or(Refusal::UnknownSession)?;
        let lease = Lease::new(place.row.clone(), partial, slot, self.me.clone());
        place.taken = lease.handle();
        place.heard = Instant::now();
        Ok(lease)
    }

    fn sweep(&mut self) {
        let mut over = Vec::new();
        let mut places = self.book.places();
        for (number, place) in places.iter_mut().filter(|(_, place)| !place.is_taken()) {
            let patience = match place.row.finished {
                true => AFTERWARDS,
                false => self.shelves.limits.upload_expiry,
            };
            if place.idle() >= patience {
                over.push(*number);
            } else if place.idle() >= REST {
                place.open = None;
            }
        }
        for place in over.into_iter().filter_map(|number| places.remove(&number)) {
            self.give_up(&place, "files.upload_expiry_s");
        }
    }
}

/// The one of these that nothing came of for longest.
fn longest_idle(places: &HashMap<u64, Place>, of: impl Fn(&Place) -> bool) -> Option<u64> {
    let longest = places.values().filter(|place| of(place));
    let longest = longest.max_by_key(|place| place.idle())?;
    Some(longest.row.transaction)
}

impl Actor for Uploads {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let often = SWEEP.min(self.shelves.limits.upload_expiry / 4);
        ctx.run_interval(often, |this, _| this.sweep());
    }
}

impl Handler<Start> for Uploads {
    type Result = ResponseActFuture<Self, Result<Lease, Refusal>>;

    fn handle(&mut self, start: Start, _: &mut Context<Self>) -> Self::Result {
        let address = start.address;
        if let Err(refusal) = self.make_room(address) {
            return Box::pin(fut::ready(Err(refusal)));
        }
        *self.beginning.entry(address).or_default() += 1;
        let begin = Begin {
            session: SESSION,
            address,
            size: start.size,
            name: start.name,
        };
        let files = self.files.addr();
        let begun = async move {
            match files {
                Some(files) => files.send(begin).await.map_err(|e| e.to_string()),
                None => Err("the list of files is being rebuilt".to_owned()),
            }
        };
        Box::pin(begun.into_actor(self).map(move |begun, this, _| {
            if let Some(beginning) = this.beginning.get_mut(&address) {
                *beginning -= 1;
                if *beginning == 0 {
                    this.beginning.remove(&address);
                }
            }
            let row = begun.map_err(Refusal::Internal)??;
            let name = row.name.escape_ascii();
            tracing::info!(service = "web", peer = %address, upload = row.transaction, file = %name, bytes = row.size, "an upload begins");
            let number = row.transaction;
            let mut places = this.book.places();
            places.insert(number, Place::new(row, Duration::ZERO));
            let lease = this.lease(number, &mut places);
            if lease.is_err()
                && let Some(place) = places.remove(&number)
            {
                // Nobody was told of it.
                this.files.do_send(Forget::Upload((*place.row).clone()));
            }
            lease
        }))
    }
}

impl Handler<Enter> for Uploads {
    type Result = ResponseFuture<Result<Lease, Refusal>>;

    fn handle(&mut self, Enter(number): Enter, _: &mut Context<Self>) -> Self::Result {
        let mut places = self.book.places();
        let holder = places.get(&number).and_then(|place| place.taken.upgrade());
        let Some(holder) = holder else {
            let lease = self.lease(number, &mut places);
            return Box::pin(async { lease });
        };
        holder.notify_one();
        let (give, given) = oneshot::channel();
        if let Some(place) = places.get_mut(&number) {
            // One that waited already has to ask again.
            place.next = Some(give);
        }
        Box::pin(async move {
            let given = timeout(HANDOVER, given).await;
            given
                .map_err(|_| Refusal::Busy)?
                .unwrap_or(Err(Refusal::Busy))
        })
    }
}

impl Handler<Back> for Uploads {
    type Result = ();

    fn handle(&mut self, back: Back, _: &mut Context<Self>) {
        let mut places = self.book.places();
        let number = back.row.transaction;
        if back.over {
            places.remove(&number);
            return self.files.do_send(Forget::Upload((*back.row).clone()));
        }
        let Some(place) = places.get_mut(&number) else {
            return;
        };
        place.heard = Instant::now();
        drop(back.held);
        // The lease may still hold its part of it for a moment.
        place.taken = Weak::new();
        place.row = back.row;
        place.open = back.open;
        if let Some(next) = place.next.take() {
            // It may have stopped waiting; the lease comes back then.
            let _ = next.send(self.lease(number, &mut places));
        }
    }
}

impl Handler<Observe> for Uploads {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        let places = self.book.places();
        let under_way = places.values().filter(|place| !place.row.finished);
        Observation::Uploads {
            under_way: under_way.count(),
            at_work: places.values().filter(|place| place.is_taken()).count(),
        }
    }
}

//! The durable list of files, one for the house: what is listed here any service may serve. Files come
//! in by [`Begin`] and [`Finish`], content first: a file is listed when all of it is on the disk.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_protocols::packetchat::{Kind, MAX_LIST};
use playhouse_storage::{
    DownloadRow, Durability, FILE_OVERHEAD, Folder, Partial, StoredFile, UploadRow, now_ms,
};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::crew::Crew;
use crate::ledger::{Ledger, LedgerError};
use crate::messages::{Observation, Observe};
use crate::refusals::Refusal;
use crate::settings::FileLimits;

/// The most files that a list names.
const MOST_LISTED: u32 = MAX_LIST as u32;
/// For so long a list is as good as a new one: other programs may add files, too.
const FRESH: Duration = Duration::from_millis(100);

/// The numbers of the files, oldest first: the newest, as many as one packet takes.
#[derive(Clone, Copy, Message)]
#[rtype(result = "Arc<[u64]>")]
pub struct ListFiles;

/// One file.
#[derive(Clone, Copy, Message)]
#[rtype(result = "Result<StoredFile, Refusal>")]
pub struct FindFile(pub u64);

/// A file of so many bytes is to come. One of none is complete with this.
#[derive(Message)]
#[rtype(result = "Result<UploadRow, Refusal>")]
pub struct Begin {
    pub session: u64,
    pub address: IpAddr,
    pub size: u64,
    pub name: Bytes,
}

/// All of an upload is on the disk, with this hash: it becomes a file.
#[derive(Message)]
#[rtype(result = "Result<StoredFile, LedgerError>")]
pub struct Finish {
    pub transaction: u64,
    pub sha256: [u8; 32],
}

/// A file is to be read.
#[derive(Message)]
#[rtype(result = "Result<DownloadRow, Refusal>")]
pub struct Open {
    pub session: u64,
    pub address: IpAddr,
    pub file: u64,
}

/// A file is to be removed. Whoever reads it reads on. False if there is no such file.
#[derive(Clone, Copy, Message)]
#[rtype(result = "Result<bool, LedgerError>")]
pub struct Remove(pub u64);

/// A transfer is over, or will never be.
#[derive(Message)]
#[rtype(result = "()")]
pub enum Forget {
    Upload(UploadRow),
    Download(u64),
}

/// What is taken up by files, and by what has come of unfinished ones.
pub struct Room {
    quota: u64,
    stored: AtomicU64,
    unfinished: AtomicU64,
}

impl Room {
    /// With so many bytes of files there already, and of unfinished uploads.
    pub fn new(quota: u64, stored: u64, unfinished: u64) -> Room {
        Room {
            quota,
            stored: AtomicU64::new(stored),
            unfinished: AtomicU64::new(unfinished),
        }
    }

    /// Takes place for so many bytes of an upload, if there is any.
    pub fn take(&self, bytes: u64) -> bool {
        let stored = self.stored.load(Ordering::Relaxed);
        let fits = |unfinished: u64| {
            let all = stored.saturating_add(unfinished).saturating_add(bytes);
            (all <= self.quota).then_some(unfinished + bytes)
        };
        self.unfinished
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_ok()
    }

    /// Gives place back that an upload had taken.
    pub fn give(&self, bytes: u64) {
        let less = |unfinished: u64| Some(unfinished.saturating_sub(bytes));
        let _ = self
            .unfinished
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    fn fits(&self, stored: u64, bytes: u64) -> bool {
        self.stored.store(stored, Ordering::Relaxed);
        let unfinished = self.unfinished.load(Ordering::Relaxed);
        stored.saturating_add(unfinished).saturating_add(bytes) <= self.quota
    }
}

/// What the house keeps its files with; all who move them share it.
#[derive(Clone)]
pub struct Shelves {
    pub ledger: Ledger,
    pub disk: Crew,
    pub folder: Folder,
    pub limits: FileLimits,
    pub room: Arc<Room>,
}

/// The one list of files.
pub struct FileStore {
    shelves: Shelves,
    list: Option<(Instant, Arc<[u64]>)>,
    /// Those who wait for a list that is being made.
    waiting: Vec<oneshot::Sender<Arc<[u64]>>>,
    /// How often the list changed; what changes while a list is being made is not on it.
    changes: u64,
}

/// A new number of this kind.
pub fn draw(kind: Kind) -> u64 {
    kind.number(rand::random())
}

/// A new number for a file.
pub fn draw_file_number() -> u64 {
    draw(Kind::File)
}

impl FileStore {
    pub fn new(shelves: Shelves) -> FileStore {
        FileStore {
            shelves,
            list: None,
            waiting: Vec::new(),
            changes: 0,
        }
    }

    fn make_list(&mut self, ctx: &mut Context<Self>) {
        let changes = self.changes;
        let numbers = self.shelves.ledger.read(|index| index.numbers(MOST_LISTED));
        numbers
            .into_actor(self)
            .map(move |numbers, this, ctx| {
                if this.changes != changes {
                    // A file came or went meanwhile, and who asked after that must see it.
                    return this.make_list(ctx);
                }
                let list: Arc<[u64]> = numbers
                    .inspect_err(|error| tracing::error!(%error, "the list of files"))
                    .unwrap_or_default()
                    .into();
                this.list = Some((Instant::now(), list.clone()));
                for tell in this.waiting.drain(..) {
                    // Who asked may be gone.
                    let _ = tell.send(list.clone());
                }
            })
            .spawn(ctx);
    }

    /// The list has one more, or one less.
    fn changed(&mut self) {
        self.changes += 1;
        self.list = None;
    }
}

impl Actor for FileStore {
    type Context = Context<Self>;
}

impl Handler<ListFiles> for FileStore {
    type Result = ResponseFuture<Arc<[u64]>>;

    fn handle(&mut self, _: ListFiles, ctx: &mut Context<Self>) -> Self::Result {
        if let Some((since, list)) = &self.list
            && since.elapsed() < FRESH
        {
            let list = list.clone();
            return Box::pin(async { list });
        }
        // Whoever asks while a list is made waits for that one.
        let (tell, told) = oneshot::channel();
        self.waiting.push(tell);
        if self.waiting.len() == 1 {
            self.make_list(ctx);
        }
        Box::pin(async { told.await.unwrap_or_default() })
    }
}

impl Handler<FindFile> for FileStore {
    type Result = ResponseFuture<Result<StoredFile, Refusal>>;

    fn handle(&mut self, FindFile(number): FindFile, _: &mut Context<Self>) -> Self::Result {
        let file = self.shelves.ledger.read(move |index| index.file(number));
        Box::pin(async move { found(file.await) })
    }
}

fn found(file: Result<Option<StoredFile>, LedgerError>) -> Result<StoredFile, Refusal> {
    file.map_err(internal)?.ok_or(Refusal::UnknownFile)
}

fn internal(error: LedgerError) -> Refusal {
    Refusal::Internal(error.to_string())
}

impl Handler<Begin> for FileStore {
    type Result = ResponseActFuture<Self, Result<UploadRow, Refusal>>;

    fn handle(&mut self, begin: Begin, _: &mut Context<Self>) -> Self::Result {
        let size = begin.size;
        if size > self.shelves.limits.max_file {
            return Box::pin(fut::ready(Err(Refusal::FileTooLarge)));
        }
        let mut row = UploadRow {
            transaction: draw(Kind::Upload),
            session: begin.session,
            address: begin.address,
            file: draw_file_number(),
            size,
            name: begin.name.to_vec(),
            begun_ms: now_ms(),
            finished: false,
        };
        let (folder, room) = (self.shelves.folder.clone(), self.shelves.room.clone());
        let min_free = self.shelves.limits.min_free;
        let durability = match size {
            0 => Durability::Power,
            _ => Durability::Process,
        };
        let begun = self.shelves.ledger.write(durability, move |index| {
            if !room.fits(index.taken_bytes()?, size + FILE_OVERHEAD) {
                return Ok(Err(Refusal::Quota));
            }
            if folder.free_bytes()? < min_free.saturating_add(size) {
                return Ok(Err(Refusal::DiskFull));
            }
            index.insert_upload(&row)?;
            if size == 0 {
                let sha256 = Partial::open(&folder, &row)?.seal()?;
                index.finish_upload(row.transaction, sha256)?;
                row.finished = true;
            }
            Ok(Ok(row))
        });
        Box::pin(begun.into_actor(self).map(|begun, this, _| {
            let begun = begun.map_err(internal)?;
            if let Ok(row) = &begun
                && row.finished
            {
                this.changed();
                tracing::info!(file = %row.name.escape_ascii(), bytes = 0, "stored");
            }
            begun
        }))
    }
}

impl Handler<Finish> for FileStore {
    type Result = ResponseActFuture<Self, Result<StoredFile, LedgerError>>;

    fn handle(&mut self, finish: Finish, _: &mut Context<Self>) -> Self::Result {
        let room = self.shelves.room.clone();
        let finished = self.shelves.ledger.write(Durability::Power, move |index| {
            let file = index.finish_upload(finish.transaction, finish.sha256)?;
            room.stored.store(index.taken_bytes()?, Ordering::Relaxed);
            Ok(file)
        });
        Box::pin(finished.into_actor(self).map(|file, this, _| {
            this.changed();
            if let Ok(file) = &file {
                this.shelves.room.give(file.size);
                tracing::info!(file = file.label(), bytes = file.size, "stored");
            }
            file
        }))
    }
}

impl Handler<Remove> for FileStore {
    type Result = ResponseActFuture<Self, Result<bool, LedgerError>>;

    fn handle(&mut self, Remove(number): Remove, _: &mut Context<Self>) -> Self::Result {
        let Shelves {
            ledger,
            disk,
            folder,
            room,
            ..
        } = self.shelves.clone();
        let removed = ledger.write(Durability::Power, move |index| {
            let was_there = index.delete_file(number)?;
            room.stored.store(index.taken_bytes()?, Ordering::Relaxed);
            Ok(was_there)
        });
        let removed = async move {
            let was_there = removed.await?;
            if was_there {
                let removed = disk.run(move || folder.remove(number)).await;
                if let Some(Err(error)) = removed {
                    tracing::error!(%error, "the content of a file that was removed");
                }
            }
            Ok(was_there)
        };
        Box::pin(removed.into_actor(self).map(|was_there, this, _| {
            this.changed();
            was_there
        }))
    }
}

impl Handler<Open> for FileStore {
    type Result = ResponseFuture<Result<DownloadRow, Refusal>>;

    fn handle(&mut self, open: Open, _: &mut Context<Self>) -> Self::Result {
        let row = DownloadRow {
            transaction: draw(Kind::Download),
            session: open.session,
            address: open.address,
            file: open.file,
            begun_ms: now_ms(),
        };
        let opened = self
            .shelves
            .ledger
            .write(Durability::Process, move |index| {
                let file = index.file(row.file)?;
                if file.is_some() {
                    index.insert_download(&row)?;
                }
                Ok(file.map(|_| row))
            });
        Box::pin(async move { opened.await.map_err(internal)?.ok_or(Refusal::UnknownFile) })
    }
}

impl Handler<Forget> for FileStore {
    type Result = ();

    fn handle(&mut self, forget: Forget, ctx: &mut Context<Self>) {
        let Shelves {
            ledger,
            disk,
            folder,
            room,
            ..
        } = self.shelves.clone();
        let (transaction, unfinished) = match forget {
            Forget::Download(transaction) => (transaction, None),
            Forget::Upload(row) => (row.transaction, (!row.finished).then_some(row)),
        };
        let is_upload = Kind::of(transaction) == Some(Kind::Upload);
        let gone = ledger.write(Durability::Process, move |index| match is_upload {
            true => index.delete_upload(transaction),
            false => index.delete_download(transaction),
        });
        async move {
            if let Err(error) = gone.await {
                tracing::error!(%error, "a transfer that is over");
            } else if let Some(row) = unfinished {
                disk.run(move || discard(&folder, &room, &row)).await;
            }
        }
        .into_actor(self)
        .spawn(ctx);
    }
}

/// Removes what came of an upload.
fn discard(folder: &Folder, room: &Room, row: &UploadRow) {
    let came = Partial::open(folder, row).map_or(0, |partial| partial.received().bytes());
    match folder.discard(row.transaction) {
        Ok(()) => room.give(came),
        Err(error) => tracing::error!(%error, "an upload that is over"),
    }
}

impl Handler<Observe> for FileStore {
    type Result = ResponseFuture<Observation>;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Self::Result {
        let stored = self
            .shelves
            .ledger
            .read(|index| Ok((index.count()?, index.stored_bytes()?)));
        Box::pin(async move {
            let (files, bytes) = stored.await.unwrap_or_default();
            Observation::FileStore { files, bytes }
        })
    }
}

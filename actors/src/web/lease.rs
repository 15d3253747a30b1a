//! An upload in the hands of the one request that writes to it.

use std::sync::{Arc, Weak};

use actix::prelude::*;
use bytes::Bytes;
use playhouse_storage::{CHUNK, Partial, UploadRow};
use tokio::sync::Notify;

use super::uploads::Uploads;
use crate::file_store::{FileStore, Finish, Shelves};
use crate::refusals::Refusal;
use crate::slots::Slot;
use crate::upload::{Outcome, write_all};
use crate::watch::Post;

/// An upload that nobody else writes to. It goes along with what is written to the disk's thread and comes
/// back with it, so that nobody else has it as long as that writes; it is given back when it is dropped.
pub struct Lease {
    row: Arc<UploadRow>,
    partial: Option<Partial>,
    slot: Option<Slot>,
    wanted: Arc<Notify>,
    uploads: Post<Uploads>,
    over: bool,
}

/// A lease is given back.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Back {
    pub row: Arc<UploadRow>,
    /// Taken as long as this is on its way.
    pub held: Arc<Notify>,
    pub open: Option<(Partial, Slot)>,
    /// Nobody goes on with it.
    pub over: bool,
}

impl Lease {
    pub fn new(
        row: Arc<UploadRow>,
        partial: Option<Partial>,
        slot: Option<Slot>,
        uploads: Post<Uploads>,
    ) -> Lease {
        Lease {
            row,
            partial,
            slot,
            wanted: Arc::default(),
            uploads,
            over: false,
        }
    }

    /// By which it is known that this is not given back, and through which another request asks for it.
    pub fn handle(&self) -> Weak<Notify> {
        Arc::downgrade(&self.wanted)
    }

    /// When another request asks for it.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    pub fn row(&self) -> &UploadRow {
        &self.row
    }

    /// What is there without a gap: all that a restart would find.
    pub fn offset(&self) -> u64 {
        match &self.partial {
            _ if self.row.finished => self.row.size,
            Some(partial) => partial.received().prefix_bytes(),
            None => 0,
        }
    }

    /// Nobody goes on with it: what came of it is thrown away.
    pub fn end(mut self) {
        self.over = true;
    }

    /// As long as nobody knows where it could go on, it ends however it is dropped.
    pub fn is_known(&mut self, known: bool) {
        self.over = !known;
    }

    /// Finds out what is there. What is complete, and was not listed as yet, is now.
    ///
    /// # Errors
    /// The disk's.
    pub async fn look(self, shelves: &Shelves, files: &Post<FileStore>) -> Result<Lease, Refusal> {
        if self.row.finished || self.partial.is_some() {
            return Ok(self);
        }
        self.write(shelves, files, Bytes::new()).await
    }

    /// Writes what comes next: whole chunks, and the last one of the file as long as it is. The file is
    /// listed when all of it is there. Goes on when nobody waits for it.
    ///
    /// # Errors
    /// There is no room, or the disk refuses.
    pub async fn write(
        self,
        shelves: &Shelves,
        files: &Post<FileStore>,
        bytes: Bytes,
    ) -> Result<Lease, Refusal> {
        let writing = write(self, shelves.clone(), files.clone(), bytes);
        let written = actix_rt::spawn(writing).await;
        written.map_err(|error| Refusal::Internal(error.to_string()))?
    }
}

async fn write(
    lease: Lease,
    shelves: Shelves,
    files: Post<FileStore>,
    bytes: Bytes,
) -> Result<Lease, Refusal> {
    let disk = shelves.disk.clone();
    let written = disk.run(move || {
        let mut lease = lease;
        let first = lease.offset() / u64::from(CHUNK);
        let chunks = bytes.chunks(CHUNK as usize);
        let chunks: Vec<(u32, &[u8])> = (first..)
            .filter_map(|chunk| u32::try_from(chunk).ok())
            .zip(chunks)
            .collect();
        let outcome = write_all(&shelves, &lease.row, &mut lease.partial, &chunks);
        if outcome.is_err() {
            // What is in doubt is read again from the disk.
            lease.partial = None;
        }
        (lease, outcome)
    });
    let written = written.await;
    let panicked = || Refusal::Internal("the disk's thread panicked".to_owned());
    let (mut lease, outcome) = written.ok_or_else(panicked)?;
    let sha256 = match outcome? {
        Outcome::Incomplete => return Ok(lease),
        Outcome::Complete(sha256) => sha256,
        Outcome::Spoiled => {
            lease.end();
            let what = "the disk did not take it for good; it has to be sent again";
            return Err(Refusal::Internal(what.to_owned()));
        }
    };
    // If it is not listed now, whoever asks for it next has the disk looked at again, and then it is.
    lease.partial = None;
    let finish = Finish {
        transaction: lease.row.transaction,
        sha256,
    };
    let rebuilt = || Refusal::Internal("the list of files is being rebuilt".to_owned());
    let finished = files.addr().ok_or_else(rebuilt)?.send(finish).await;
    let finished = finished.map_err(|error| Refusal::Internal(error.to_string()))?;
    finished.map_err(|error| Refusal::Internal(error.to_string()))?;
    // What was open is the file now.
    lease.slot = None;
    Arc::make_mut(&mut lease.row).finished = true;
    Ok(lease)
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.uploads.do_send(Back {
            row: self.row.clone(),
            held: self.wanted.clone(),
            open: self.partial.take().zip(self.slot.take()),
            over: self.over,
        });
    }
}

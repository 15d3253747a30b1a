//! What outlives a restart, read when the house opens: files, and packetchat's sessions and transfers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use playhouse_storage::{Folder, Index, Lock, Partial, SessionRow, StorageError, now_ms};

use crate::crew::Crew;
use crate::file_store::{Room, Shelves};
use crate::history::{Chronicle, Memory};
use crate::ledger::Ledger;
use crate::roster::Transfer;
use crate::settings::Settings;

/// Some may wait for the disk to sync while others write.
const DISK_THREADS: usize = 4;

/// Above all numbers of the history.
const NO_NUMBER: u64 = i64::MAX as u64;

/// Why the storeroom can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreroomError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("no more threads: {0}")]
    Threads(#[from] io::Error),
}

/// The storeroom as it was left.
pub struct Storeroom {
    /// No other house opens it while this is held.
    pub lock: Lock,
    pub shelves: Shelves,
    pub sessions: Vec<SessionRow>,
    pub transfers: Vec<Left>,
    pub chronicle: Chronicle,
}

/// A transfer that was under way.
pub struct Left {
    pub transfer: Transfer,
    /// How long nothing was heard of it, as far as that is known.
    pub idle: Duration,
    /// No chunk of it is here.
    pub fresh: bool,
}

/// Opens the storeroom and cleans up what a crash left.
///
/// # Errors
/// The data folder can't be read, written or locked; the system has no threads.
pub fn open(settings: &Settings) -> Result<Storeroom, StoreroomError> {
    let folder = Folder::open(&settings.data_dir)?;
    let lock = folder.lock()?;
    let index = Index::open(&folder)?;
    let tidied = index.tidy()?;
    if tidied != Default::default() {
        tracing::warn!(
            ?tidied,
            "removed from server.data_dir what belongs to nothing"
        );
    }
    let mut transfers = Vec::new();
    let mut unfinished = 0;
    for row in index.uploads()? {
        let came = match row.finished {
            true => 0,
            false => Partial::open(&folder, &row)?.received().bytes(),
        };
        unfinished += came;
        let age = u64::try_from(now_ms() - row.begun_ms).unwrap_or(0);
        transfers.push(Left {
            // One of which something is here was at work, for all we know.
            idle: match came {
                0 if !row.finished => Duration::from_millis(age),
                _ => Duration::ZERO,
            },
            // What has come is not begun again by the same request; an empty file is all there.
            fresh: match row.finished {
                true => row.size == 0,
                false => came == 0,
            },
            transfer: Transfer::Upload(row),
        });
    }
    for row in index.downloads()? {
        transfers.push(Left {
            idle: Duration::ZERO,
            fresh: false,
            transfer: Transfer::Download(row),
        });
    }
    let sessions = index.sessions()?;
    if settings.history == 0 {
        // What an earlier house remembered is forgotten, too.
        index.add_history(&[], NO_NUMBER)?;
    }
    let memory = Memory::new(settings.history, index.history(settings.history)?);
    let room = Room::new(settings.files.quota, index.taken_bytes()?, unfinished);
    let shelves = Shelves {
        ledger: Ledger::start(index)?,
        disk: Crew::start("disk", DISK_THREADS, || {})?,
        folder,
        limits: settings.files.clone(),
        room: Arc::new(room),
    };
    Ok(Storeroom {
        chronicle: Chronicle::new(memory, shelves.ledger.clone()),
        lock,
        shelves,
        sessions,
        transfers,
    })
}

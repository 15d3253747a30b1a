//! The thread that the house's database lives on. What comes while it works is done together, in one
//! transaction, so that a thousand sessions at once cost one commit and not a thousand.

use std::io;
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};
use playhouse_storage::{Durability, Index, StorageError};
use tokio::sync::oneshot;

use crate::crew::Coming;
use crate::watch::caught_now;

/// Pieces of work that are done in one transaction at most.
const TOGETHER: usize = 256;

/// Why the database did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct LedgerError(String);

impl From<StorageError> for LedgerError {
    fn from(error: StorageError) -> LedgerError {
        LedgerError(error.to_string())
    }
}

type Outcome<'a> = Result<(), &'a LedgerError>;
/// Tells whoever asked, once it is known whether the transaction is committed.
type Answer = Box<dyn FnOnce(Outcome<'_>)>;

struct Job {
    /// `None`: nothing is changed.
    durability: Option<Durability>,
    work: Box<dyn FnOnce(&Index) -> Answer + Send>,
}

/// The way to the database; clones share its thread, which ends with the last one.
#[derive(Clone)]
pub struct Ledger {
    jobs: Sender<Job>,
}

impl Ledger {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no threads.
    pub fn start(index: Index) -> io::Result<Ledger> {
        // Unbounded: each session and transfer has at most a few jobs in it.
        let (jobs, queue) = unbounded();
        thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || keep(&index, &queue))?;
        Ok(Ledger { jobs })
    }

    /// Reads.
    ///
    /// # Errors
    /// The database's.
    pub fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Index) -> Result<T, StorageError> + Send + 'static,
    ) -> Coming<Result<T, LedgerError>> {
        self.run(None, work)
    }

    /// Changes something; what comes is committed.
    ///
    /// # Errors
    /// The database's; nothing is changed then.
    pub fn write<T: Send + 'static>(
        &self,
        durability: Durability,
        work: impl FnOnce(&Index) -> Result<T, StorageError> + Send + 'static,
    ) -> Coming<Result<T, LedgerError>> {
        self.run(Some(durability), work)
    }

    fn run<T: Send + 'static>(
        &self,
        durability: Option<Durability>,
        work: impl FnOnce(&Index) -> Result<T, StorageError> + Send + 'static,
    ) -> Coming<Result<T, LedgerError>> {
        let (tell, told) = oneshot::channel();
        let work = Box::new(move |index: &Index| -> Answer {
            let result = match durability {
                Some(_) => index.savepoint(work),
                None => work(index),
            };
            Box::new(move |committed: Outcome<'_>| {
                let result = result.map_err(LedgerError::from);
                // Who asked may be gone.
                let _ = tell.send(match committed {
                    Ok(()) => result,
                    Err(error) => Err(error.clone()),
                });
            })
        });
        // The thread lives as long as this does.
        let _ = self.jobs.send(Job { durability, work });
        let lost = || LedgerError("it was not done; the log says why".to_owned());
        Box::pin(async move { told.await.unwrap_or_else(|_| Err(lost())) })
    }
}

fn keep(index: &Index, queue: &Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let mut jobs = vec![first];
        jobs.extend(queue.try_iter().take(TOGETHER - 1));
        let durability = jobs
            .iter()
            .filter_map(|job| job.durability)
            .reduce(stronger);
        let begun = durability.map_or(Ok(()), |durability| index.begin(durability));
        if let Err(error) = begun {
            // Those who asked see that nothing comes.
            tracing::error!(%error, "the database");
            continue;
        }
        let mut answers = Vec::new();
        for job in jobs {
            // What was read in a transaction that changes something may be undone with it; elsewhere
            // there is nothing to wait for.
            match (guarded(|| (job.work)(index)), durability) {
                (Some(answer), Some(_)) => answers.push(answer),
                (Some(answer), None) => answer(Ok(())),
                (None, _) => {}
            }
        }
        let committed = match durability {
            Some(_) => index.commit().map_err(|error| {
                tracing::error!(%error, "the database");
                LedgerError::from(error)
            }),
            None => Ok(()),
        };
        for answer in answers {
            answer(committed.as_ref().map(|&()| ()));
        }
    }
}

fn stronger(one: Durability, other: Durability) -> Durability {
    match (one, other) {
        (Durability::Process, Durability::Process) => Durability::Process,
        _ => Durability::Power,
    }
}

/// Does `work`; a panic is logged and nothing comes of it.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    caught_now(work)
        .map_err(|panic| tracing::error!(panic, "work on the database panicked"))
        .ok()
}

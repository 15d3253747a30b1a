//! Which file lan_file gives to whoever connects, one for the house. Looked up for each client anew: the
//! operator may say something else at any time, a file may be replaced, a newer one may come.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use actix::prelude::*;
use playhouse_storage::{Offer, Offered};
use tokio::sync::oneshot;

use crate::file_store::Shelves;
use crate::messages::{Observation, Observe};

/// So long after the last write to it a file counts as complete.
const SETTLED: Duration = Duration::from_secs(1);

/// The file on offer as it is now.
#[derive(Clone, Copy, Message)]
#[rtype(result = "Result<Arc<Version>, NoOffer>")]
pub struct TakeOffer;

/// Why there is no file to give.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NoOffer {
    #[error("there are no files in the house, and {path}, the sample, can't be read: {error}")]
    Nothing { path: String, error: String },
    #[error("{origin}: {path}: {error}")]
    File {
        /// Who has said it.
        origin: &'static str,
        path: String,
        error: String,
    },
    #[error("server.data_dir: {0}")]
    Storage(String),
    #[error("whoever looks for it is away")]
    Away,
}

impl NoOffer {
    /// Whether there may be something to offer, and we can't find out.
    pub fn is_ours(&self) -> bool {
        matches!(self, NoOffer::Storage(_) | NoOffer::Away)
    }
}

/// A file as it was when it was opened. Replacing the file does not touch it.
#[derive(Debug)]
pub struct Version {
    pub file: File,
    /// Bytes.
    pub size: u64,
    /// For the log.
    pub name: String,
    /// Whether others may be writing to it: a file of the house is complete, and never changes.
    shared: bool,
    stamp: Stamp,
}

/// What changes when a file is written to. (The time of its last change of any kind is not in it: that
/// changes when another file takes its name.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// None where the system has no such time.
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: metadata.modified().ok(),
        }
    }
}

impl Version {
    /// The file at `path`: `current`, if it is still that.
    fn open(
        path: &Path,
        name: String,
        shared: bool,
        current: Option<Arc<Version>>,
    ) -> io::Result<Arc<Version>> {
        let not_regular = || io::Error::other("not a regular file");
        // Before it is opened: with a device, that may be enough to do something.
        if !path.metadata()?.is_file() {
            return Err(not_regular());
        }
        let file = File::options()
            .read(true)
            // What has become a pipe in between does not make us wait.
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(not_regular());
        }
        let stamp = Stamp::of(&metadata);
        Ok(match current {
            Some(current) if current.stamp == stamp && current.name == name => current,
            _ => Arc::new(Version {
                file,
                size: stamp.size,
                name,
                shared,
                stamp,
            }),
        })
    }

    /// How long until it is certain that nobody is about to write more of it, as far as anything is: while a
    /// file is copied, a moment without a write is no end.
    pub fn settles_in(&self) -> Duration {
        if !self.shared {
            return Duration::ZERO;
        }
        // One from the future, or of a system without times, is as good as it gets.
        let age = self.stamp.modified.and_then(|time| time.elapsed().ok());
        SETTLED.saturating_sub(age.unwrap_or(SETTLED))
    }

    /// Whether nobody has written to it since.
    pub fn is_unchanged(&self) -> bool {
        let metadata = self.file.metadata();
        metadata.is_ok_and(|metadata| Stamp::of(&metadata) == self.stamp)
    }
}

type Answer = oneshot::Sender<Result<Arc<Version>, NoOffer>>;

/// The one who knows.
pub struct FileOffer {
    shelves: Shelves,
    configured: Offer,
    sample: PathBuf,
    /// All clients who get the same file share one descriptor.
    current: Weak<Version>,
    waiting: Vec<Answer>,
    looking: bool,
}

impl FileOffer {
    /// Offers what `playhouse offer` says, else `configured`; `sample` while the house has no files.
    pub fn new(shelves: Shelves, configured: Offer, sample: PathBuf) -> FileOffer {
        FileOffer {
            shelves,
            configured,
            sample,
            current: Weak::new(),
            waiting: Vec::new(),
            looking: false,
        }
    }

    /// Looks for all who wait. Who comes meanwhile waits for the next look: it must see what was said
    /// before it came.
    fn look(&mut self, ctx: &mut Context<Self>) {
        self.looking = true;
        let answers = std::mem::take(&mut self.waiting);
        let (shelves, configured) = (self.shelves.clone(), self.configured.clone());
        let (sample, current) = (self.sample.clone(), self.current.upgrade());
        async move { find(&shelves, configured, sample, current).await }
            .into_actor(self)
            .map(|found, this, ctx| {
                this.looking = false;
                if let Ok(version) = &found {
                    this.current = Arc::downgrade(version);
                }
                for answer in answers {
                    // Who asked may be gone.
                    let _ = answer.send(found.clone());
                }
                if !this.waiting.is_empty() {
                    this.look(ctx);
                }
            })
            .spawn(ctx);
    }
}

async fn find(
    shelves: &Shelves,
    configured: Offer,
    sample: PathBuf,
    current: Option<Arc<Version>>,
) -> Result<Arc<Version>, NoOffer> {
    let storage = |error: &dyn ToString| NoOffer::Storage(error.to_string());
    let folder = shelves.folder.clone();
    let said = shelves.disk.run(move || folder.offer()).await;
    let said = said.ok_or(NoOffer::Away)?.map_err(|e| storage(&e))?;
    let (offer, origin) = match said {
        Some(offer) => (offer, "playhouse offer"),
        None => (configured, "lan_file.offer"),
    };
    let offered = shelves.ledger.read(move |index| index.offered(&offer));
    let offered = offered.await.map_err(|e| storage(&e))?;
    let nothing = offered.is_none();
    let shared = !matches!(offered, Some(Offered::Stored(_)));
    let (path, name) = match offered {
        Some(Offered::Stored(file)) => (shelves.folder.content(file.number), file.label()),
        Some(Offered::Path(path)) => (path.clone(), path.display().to_string()),
        None => (sample.clone(), sample.display().to_string()),
    };
    let shown = name.clone();
    let opened = shelves
        .disk
        .run(move || Version::open(&path, name, shared, current));
    opened.await.ok_or(NoOffer::Away)?.map_err(|e| {
        let (path, error) = (shown, e.to_string());
        match nothing {
            true => NoOffer::Nothing { path, error },
            false => NoOffer::File {
                origin,
                path,
                error,
            },
        }
    })
}

impl Actor for FileOffer {
    type Context = Context<Self>;
}

impl Handler<TakeOffer> for FileOffer {
    type Result = ResponseFuture<Result<Arc<Version>, NoOffer>>;

    fn handle(&mut self, _: TakeOffer, ctx: &mut Context<Self>) -> Self::Result {
        let (answer, answered) = oneshot::channel();
        self.waiting.push(answer);
        if !self.looking {
            self.look(ctx);
        }
        Box::pin(async { answered.await.unwrap_or(Err(NoOffer::Away)) })
    }
}

impl Handler<Observe> for FileOffer {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::FileOffer {
            waiting: self.waiting.len(),
        }
    }
}

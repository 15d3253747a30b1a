//! Removing what a crash left.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{At, StorageError};
use crate::folder::remove_if_there;
use crate::index::{Durability, Index};

/// What [`Index::tidy`] dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Unfinished uploads that were begun before the machine was last started.
    pub uploads: u64,
    /// Contents that no row knew.
    pub contents: u64,
    /// Parts of uploads that no row knew, and what an interrupted [`add`](crate::add) left.
    pub parts: u64,
}

impl Index {
    /// Removes what a crash left: for a server that opens, under its [lock](crate::Folder::lock).
    ///
    /// Unfinished uploads that were begun before the machine was last started are dropped, since what a
    /// client was told to be there may not be. Where the system doesn't tell one run of the machine from
    /// another (`/proc/sys/kernel/random/boot_id`), they are kept. Contents and parts that no row knows
    /// are removed; not those that an [`add`](crate::add) is busy with.
    ///
    /// # Errors
    /// SQLite's; something can't be read or removed.
    pub fn tidy(&self) -> Result<Tidied, StorageError> {
        let dropped = self.write(Durability::Power, |index| {
            index.execute(
                "DELETE FROM uploads WHERE NOT finished AND boot <> ?",
                [&self.boot],
            )
        })?;
        let mut tidied = Tidied {
            uploads: dropped as u64,
            ..Tidied::default()
        };
        // In a transaction, since `add` moves a content to its place and lists it in one.
        self.write(Durability::Process, |index| index.sweep(&mut tidied))?;
        Ok(tidied)
    }

    fn sweep(&self, tidied: &mut Tidied) -> Result<(), StorageError> {
        let folder = self.folder();
        let mut known: HashSet<PathBuf> = HashSet::new();
        for upload in self.uploads()?.iter().filter(|upload| !upload.finished) {
            known.insert(folder.part(upload.transaction));
            known.insert(folder.log(upload.transaction));
            // There if the crash came between moving it and listing it.
            known.insert(folder.content(upload.file));
        }
        for file in self.files()? {
            known.insert(folder.content(file.number));
        }
        for path in unknown(&folder.files(), &known)? {
            if is_number(path.file_name()) {
                remove_if_there(&path)?;
                tidied.contents += 1;
            }
        }
        for path in unknown(&folder.uploads(), &known)? {
            let kind = path.extension().and_then(|kind| kind.to_str());
            match kind.filter(|_| is_number(path.file_stem())) {
                Some("log") => remove_if_there(&path)?,
                Some("part") => {
                    remove_if_there(&path)?;
                    tidied.parts += 1;
                }
                Some("add") if !is_held(&path)? => {
                    remove_if_there(&path)?;
                    tidied.parts += 1;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What is in a folder and not known.
fn unknown(dir: &Path, known: &HashSet<PathBuf>) -> Result<Vec<PathBuf>, StorageError> {
    fs::read_dir(dir)
        .and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.path()))
                .filter(|path| !matches!(path, Ok(path) if known.contains(path)))
                .collect()
        })
        .at(dir, "read")
}

/// Whether the name is one of ours; what somebody else put there stays.
fn is_number(name: Option<&std::ffi::OsStr>) -> bool {
    let name = name.and_then(|name| name.to_str()).unwrap_or_default();
    name.len() == 16 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether a living process has it locked.
fn is_held(path: &Path) -> Result<bool, StorageError> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        result => result.at(path, "open")?,
    };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(source)) => Err(source).at(path, "lock"),
    }
}

//! Where things are.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{At, StorageError};

const DATABASE: &str = "house.db";
/// The mode of what is made here: the folder may have been there before, and be open to others.
pub(crate) const PRIVATE: u32 = 0o600;

/// Where things are under `server.data_dir`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Folder {
    root: Arc<Path>,
}

/// Keeps other servers away until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// How many bytes this program may still write to the file system of `path`.
///
/// # Errors
/// The system's.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut stat = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends with a zero, and `stat` has room for the answer.
    let stat = match unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } {
        // SAFETY: it succeeded, so it has filled in the answer.
        0 => unsafe { stat.assume_init() },
        _ => return Err(io::Error::last_os_error()),
    };
    // Some systems have narrower fields.
    #[allow(clippy::useless_conversion)]
    let (blocks, block_bytes) = (u64::from(stat.f_bavail), u64::from(stat.f_frsize));
    Ok(blocks.saturating_mul(block_bytes))
}

impl Folder {
    /// Makes what is missing of the folder, for its owner alone: files are private, and only the program
    /// decides who gets them.
    ///
    /// # Errors
    /// A folder that can't be made.
    pub fn open(data_dir: &Path) -> Result<Folder, StorageError> {
        let folder = Folder {
            root: data_dir.into(),
        };
        for dir in [data_dir, &folder.files(), &folder.uploads()] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)
                .at(dir, "make the folder")?;
        }
        Ok(folder)
    }

    /// Keeps other servers away. The system gives the lock back when the program ends, however it does.
    ///
    /// # Errors
    /// [`StorageError::Locked`] if another server has it.
    pub fn lock(&self) -> Result<Lock, StorageError> {
        let path = self.root.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(PRIVATE)
            .open(&path)
            .at(&path, "open")?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StorageError::Locked { path }),
            Err(TryLockError::Error(source)) => Err(source).at(&path, "lock"),
        }
    }

    /// Where the content of a file is.
    pub fn content(&self, file: u64) -> PathBuf {
        self.files().join(format!("{file:016x}"))
    }

    /// Whether there is any content.
    pub(crate) fn has_contents(&self) -> Result<bool, StorageError> {
        let files = self.files();
        let mut entries = fs::read_dir(&files).at(&files, "read")?;
        Ok(entries.next().is_some())
    }

    /// Whether anything was ever kept here.
    pub fn is_used(data_dir: &Path) -> bool {
        data_dir.join(DATABASE).exists()
    }

    /// How much this program may still write, in bytes.
    ///
    /// # Errors
    /// The system's.
    pub fn free_bytes(&self) -> Result<u64, StorageError> {
        let files = self.files();
        free_bytes(&files).at(&files, "look at")
    }

    /// Removes what an unfinished upload has written. Fine if there is nothing.
    ///
    /// # Errors
    /// Something that is there can't be removed.
    pub fn discard(&self, transaction: u64) -> Result<(), StorageError> {
        remove_if_there(&self.part(transaction))?;
        remove_if_there(&self.log(transaction))
    }

    /// Removes the content of a file that is listed no more. Fine if it isn't there.
    ///
    /// # Errors
    /// It can't be removed; the next [`Index::tidy`](crate::Index::tidy) does.
    pub fn remove(&self, file: u64) -> Result<(), StorageError> {
        remove_if_there(&self.content(file))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join(DATABASE)
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    pub(crate) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    pub(crate) fn part(&self, transaction: u64) -> PathBuf {
        self.uploads().join(format!("{transaction:016x}.part"))
    }

    pub(crate) fn log(&self, transaction: u64) -> PathBuf {
        self.uploads().join(format!("{transaction:016x}.log"))
    }
}

/// Removes a file; fine if it isn't there.
pub(crate) fn remove_if_there(path: &Path) -> Result<(), StorageError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.at(path, "remove"),
    }
}

/// How many bytes a file has; None if it isn't there.
pub(crate) fn length_if_there(path: &Path) -> Result<Option<u64>, StorageError> {
    match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        result => Ok(Some(result.at(path, "look at")?.len())),
    }
}

/// Makes the names in a folder outlive a power failure.
pub(crate) fn sync_folder(path: &Path) -> Result<(), StorageError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .at(path, "sync")
}

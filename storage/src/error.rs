//! What can go wrong, with the path it went wrong at.

use std::io;
use std::path::{Path, PathBuf};

use crate::hash::Hex;

/// Why something can't be stored, found or given out.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The system refused.
    #[error("{path}: can't {action}: {source}")]
    Io {
        path: PathBuf,
        action: &'static str,
        source: io::Error,
    },
    /// SQLite refused, or a row holds what this program doesn't write.
    #[error("{path}: {source}")]
    Database {
        path: PathBuf,
        source: rusqlite::Error,
    },
    /// The database was made by a later version of the program.
    #[error(
        "{path}: made by a newer playhouse: its schema is {found}, this playhouse knows up to {known}"
    )]
    NewerSchema {
        path: PathBuf,
        found: i64,
        known: i64,
    },
    /// SQLite has undone the whole transaction (disk full, I/O error) before it was committed.
    #[error("{path}: the transaction was rolled back")]
    RolledBack { path: PathBuf },
    /// There are contents, and nothing that knows what they are.
    #[error(
        "{path} is missing, though there are files: bring it back, or move the folder away to begin anew"
    )]
    NoDatabase { path: PathBuf },
    /// Another server has the folder.
    #[error("{path}: locked: another server is open on this folder")]
    Locked { path: PathBuf },
    /// A content is not what was listed.
    #[error("{path}: damaged: SHA-256 is {}, the list has {}", Hex(.found), Hex(.listed))]
    Damaged {
        path: PathBuf,
        listed: [u8; 32],
        found: [u8; 32],
    },
    /// A content or a part is shorter or longer than its row says; bytes.
    #[error("{path}: damaged: {found} bytes, the list has {listed}")]
    WrongSize {
        path: PathBuf,
        listed: u64,
        found: u64,
    },
    /// A chunk that isn't as long as it must be, or past the end (then nothing is expected); bytes.
    #[error("chunk {chunk} has {found} bytes, must have {expected}")]
    WrongLength {
        chunk: u32,
        expected: u64,
        found: u64,
    },
    /// Chunks are missing; bytes.
    #[error("{path}: incomplete: {received} of {size} bytes")]
    Incomplete {
        path: PathBuf,
        received: u64,
        size: u64,
    },
    /// More than chunk numbers reach; bytes.
    #[error("an upload of {size} bytes, the most is {most}")]
    TooLarge { size: u64, most: u64 },
    /// No upload has this transaction number.
    #[error("there is no upload {0:016x}")]
    UnknownUpload(u64),
    /// No file has this number (any more).
    #[error("there is no file {0:016x}")]
    UnknownFile(u64),
    /// The file number of a new upload belongs to a file that is there.
    #[error("the file number {0:016x} is taken")]
    NumberTaken(u64),
    /// Something is where a file was to be written, and it isn't to be replaced.
    #[error("{path}: exists already")]
    Exists { path: PathBuf },
}

impl StorageError {
    /// Whether room on the disk (or of a quota) is what is missing.
    pub fn is_disk_full(&self) -> bool {
        match self {
            StorageError::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ),
            StorageError::Database { source, .. } => {
                source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
            }
            _ => false,
        }
    }
}

/// Names the path and what was attempted.
pub(crate) trait At<T> {
    /// `action` continues "can't".
    fn at(self, path: &Path, action: &'static str) -> Result<T, StorageError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path, action: &'static str) -> Result<T, StorageError> {
        self.map_err(|source| StorageError::Io {
            path: path.to_owned(),
            action,
            source,
        })
    }
}

//! The rows, one kind after the other. Everything here works inside and outside of a transaction.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use rusqlite::types::Type;
use rusqlite::{Row, params};

use crate::error::StorageError;
use crate::index::Index;

/// What a file takes beside its content, in bytes: a block of the disk, its row and its name.
pub const FILE_OVERHEAD: u64 = 4096;

/// A file that is complete and listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// What it is known by.
    pub number: u64,
    /// As the client gave it: a label, never part of a path.
    pub name: Vec<u8>,
    /// Bytes.
    pub size: u64,
    /// Of the content.
    pub sha256: [u8; 32],
    /// Milliseconds since 1970, UTC.
    pub added_ms: i64,
}

/// A user's session, which outlives a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// What it is known by.
    pub session: u64,
    /// The user's number.
    pub user: u64,
    /// The name that the user asked for.
    pub wanted: String,
    /// The name that the user got.
    pub name: String,
    /// Where the user was last heard of, as far as it was written down.
    pub address: SocketAddr,
}

/// An upload, under way or finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRow {
    /// What it is known by.
    pub transaction: u64,
    /// Whose it is.
    pub session: u64,
    /// Where it comes from.
    pub address: IpAddr,
    /// The number that the file will have.
    pub file: u64,
    /// Bytes of the whole.
    pub size: u64,
    /// As the client gave it: a label, never part of a path.
    pub name: Vec<u8>,
    /// Milliseconds since 1970, UTC.
    pub begun_ms: i64,
    /// Whether the file is listed.
    pub finished: bool,
}

/// A download that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadRow {
    /// What it is known by.
    pub transaction: u64,
    /// Whose it is.
    pub session: u64,
    /// Where it goes to.
    pub address: IpAddr,
    /// The file's number.
    pub file: u64,
    /// Milliseconds since 1970, UTC.
    pub begun_ms: i64,
}

impl Index {
    /// Every session.
    ///
    /// # Errors
    /// SQLite's; an address that is none.
    pub fn sessions(&self) -> Result<Vec<SessionRow>, StorageError> {
        self.rows(
            "SELECT session, user, wanted, name, address FROM sessions",
            [],
            |row| {
                Ok(SessionRow {
                    session: number(row, 0)?,
                    user: number(row, 1)?,
                    wanted: row.get(2)?,
                    name: row.get(3)?,
                    address: parsed(row, 4)?,
                })
            },
        )
    }

    /// Notes a session.
    ///
    /// # Errors
    /// SQLite's; the session is there already.
    pub fn insert_session(&self, row: &SessionRow) -> Result<(), StorageError> {
        self.execute(
            "INSERT INTO sessions (session, user, wanted, name, address) VALUES (?, ?, ?, ?, ?)",
            params![
                row.session.cast_signed(),
                row.user.cast_signed(),
                row.wanted,
                row.name,
                row.address.to_string(),
            ],
        )?;
        Ok(())
    }

    /// A session's user is heard of from another address. Fine if it isn't there any more.
    ///
    /// # Errors
    /// SQLite's.
    pub fn move_session(&self, session: u64, address: SocketAddr) -> Result<(), StorageError> {
        self.execute(
            "UPDATE sessions SET address = ? WHERE session = ?",
            params![address.to_string(), session.cast_signed()],
        )?;
        Ok(())
    }

    /// Forgets a session. Its transfers stay. Fine if it isn't there.
    ///
    /// # Errors
    /// SQLite's.
    pub fn delete_session(&self, session: u64) -> Result<(), StorageError> {
        self.execute(
            "DELETE FROM sessions WHERE session = ?",
            [session.cast_signed()],
        )?;
        Ok(())
    }

    /// Every file, in the order in which they were added.
    ///
    /// # Errors
    /// SQLite's.
    pub fn files(&self) -> Result<Vec<StoredFile>, StorageError> {
        self.rows(
            "SELECT number, name, size, sha256, added_ms FROM files ORDER BY position",
            [],
            stored_file,
        )
    }

    /// The newest files, newest first, `most` at most.
    ///
    /// # Errors
    /// SQLite's.
    pub fn newest_files(&self, most: u32) -> Result<Vec<StoredFile>, StorageError> {
        self.rows(
            "SELECT number, name, size, sha256, added_ms FROM files ORDER BY position DESC LIMIT ?",
            [most],
            stored_file,
        )
    }

    /// The file of this number.
    ///
    /// # Errors
    /// SQLite's.
    pub fn file(&self, number: u64) -> Result<Option<StoredFile>, StorageError> {
        self.row(
            "SELECT number, name, size, sha256, added_ms FROM files WHERE number = ?",
            [number.cast_signed()],
            stored_file,
        )
    }

    /// The newest file, or the newest one of this name.
    ///
    /// # Errors
    /// SQLite's.
    pub fn newest(&self, name: Option<&[u8]>) -> Result<Option<StoredFile>, StorageError> {
        self.row(
            "SELECT number, name, size, sha256, added_ms FROM files WHERE ?1 IS NULL OR name = ?1
            ORDER BY position DESC LIMIT 1",
            [name],
            stored_file,
        )
    }

    /// How many bytes the contents of all files have.
    ///
    /// # Errors
    /// SQLite's.
    pub fn stored_bytes(&self) -> Result<u64, StorageError> {
        let sum = self.row("SELECT coalesce(sum(size), 0) FROM files", [], |row| {
            number(row, 0)
        })?;
        Ok(sum.unwrap_or(0))
    }

    /// How many bytes all files take up, with [`FILE_OVERHEAD`] for each: what a quota is held against,
    /// so that it bounds their number, too.
    ///
    /// # Errors
    /// SQLite's.
    pub fn taken_bytes(&self) -> Result<u64, StorageError> {
        let overhead = self.count()?.saturating_mul(FILE_OVERHEAD);
        Ok(self.stored_bytes()?.saturating_add(overhead))
    }

    /// The numbers of the files, in the order in which they were added: the newest, `most` at most.
    ///
    /// # Errors
    /// SQLite's.
    pub fn numbers(&self, most: u32) -> Result<Vec<u64>, StorageError> {
        self.rows(
            "SELECT number FROM (SELECT number, position FROM files ORDER BY position DESC LIMIT ?)
            ORDER BY position",
            [most],
            |row| number(row, 0),
        )
    }

    /// How many files there are.
    ///
    /// # Errors
    /// SQLite's.
    pub fn count(&self) -> Result<u64, StorageError> {
        let count = self.row("SELECT count(*) FROM files", [], |row| number(row, 0))?;
        Ok(count.unwrap_or(0))
    }

    /// Lists a file.
    pub(crate) fn insert_file(&self, file: &StoredFile) -> Result<(), StorageError> {
        self.execute(
            "INSERT INTO files (number, name, size, sha256, added_ms) VALUES (?, ?, ?, ?, ?)",
            params![
                file.number.cast_signed(),
                file.name,
                file.size.cast_signed(),
                file.sha256,
                file.added_ms,
            ],
        )?;
        Ok(())
    }

    /// Takes a file off the list, and the downloads of it; false if it isn't there. Its content is to be
    /// removed when that is committed: [`Folder::remove`](crate::Folder::remove).
    ///
    /// # Errors
    /// SQLite's.
    pub fn delete_file(&self, number: u64) -> Result<bool, StorageError> {
        let changed = self.execute("DELETE FROM files WHERE number = ?", [number.cast_signed()])?;
        Ok(changed > 0)
    }

    /// Every upload, under way and finished, in the order in which they were begun.
    ///
    /// # Errors
    /// SQLite's; an address that is none.
    pub fn uploads(&self) -> Result<Vec<UploadRow>, StorageError> {
        self.rows(
            "SELECT number, session, address, file, size, name, begun_ms, finished FROM uploads
                ORDER BY begun_ms, number",
            [],
            upload,
        )
    }

    /// The upload of this transaction.
    pub(crate) fn upload(&self, transaction: u64) -> Result<Option<UploadRow>, StorageError> {
        self.row(
            "SELECT number, session, address, file, size, name, begun_ms, finished FROM uploads
                WHERE number = ?",
            [transaction.cast_signed()],
            upload,
        )
    }

    /// Notes an upload that begins.
    ///
    /// # Errors
    /// [`StorageError::NumberTaken`] if a file has its file number, or another upload; SQLite's; the
    /// transaction is there already.
    pub fn insert_upload(&self, row: &UploadRow) -> Result<(), StorageError> {
        if self.has_number(row.file)? {
            return Err(StorageError::NumberTaken(row.file));
        }
        self.execute(
            "INSERT INTO uploads
                (number, session, address, file, size, name, begun_ms, finished, boot)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                row.transaction.cast_signed(),
                row.session.cast_signed(),
                row.address.to_string(),
                row.file.cast_signed(),
                row.size.cast_signed(),
                row.name,
                row.begun_ms,
                row.finished,
                self.boot,
            ],
        )?;
        Ok(())
    }

    /// Notes that an upload's file is listed.
    pub(crate) fn set_finished(&self, transaction: u64) -> Result<(), StorageError> {
        self.execute(
            "UPDATE uploads SET finished = 1 WHERE number = ?",
            [transaction.cast_signed()],
        )?;
        Ok(())
    }

    /// Forgets an upload. What it has written stays: see
    /// [`Folder::discard`](crate::Folder::discard). Fine if it isn't there.
    ///
    /// # Errors
    /// SQLite's.
    pub fn delete_upload(&self, transaction: u64) -> Result<(), StorageError> {
        self.execute(
            "DELETE FROM uploads WHERE number = ?",
            [transaction.cast_signed()],
        )?;
        Ok(())
    }

    /// Whether a file has this number, or will have it.
    pub(crate) fn has_number(&self, file: u64) -> Result<bool, StorageError> {
        let found = self.row(
            "SELECT 1 FROM files WHERE number = ?1 UNION ALL SELECT 1 FROM uploads WHERE file = ?1",
            [file.cast_signed()],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// Every download, in the order in which they were begun.
    ///
    /// # Errors
    /// SQLite's; an address that is none.
    pub fn downloads(&self) -> Result<Vec<DownloadRow>, StorageError> {
        self.rows(
            "SELECT number, session, address, file, begun_ms FROM downloads
                ORDER BY begun_ms, number",
            [],
            |row| {
                Ok(DownloadRow {
                    transaction: number(row, 0)?,
                    session: number(row, 1)?,
                    address: parsed(row, 2)?,
                    file: number(row, 3)?,
                    begun_ms: row.get(4)?,
                })
            },
        )
    }

    /// Notes a download that begins. It is forgotten with its file.
    ///
    /// # Errors
    /// SQLite's; there is no such file, or the transaction is there already.
    pub fn insert_download(&self, row: &DownloadRow) -> Result<(), StorageError> {
        self.execute(
            "INSERT INTO downloads (number, session, address, file, begun_ms)
                VALUES (?, ?, ?, ?, ?)",
            params![
                row.transaction.cast_signed(),
                row.session.cast_signed(),
                row.address.to_string(),
                row.file.cast_signed(),
                row.begun_ms,
            ],
        )?;
        Ok(())
    }

    /// Forgets a download. Fine if it isn't there.
    ///
    /// # Errors
    /// SQLite's.
    pub fn delete_download(&self, transaction: u64) -> Result<(), StorageError> {
        self.execute(
            "DELETE FROM downloads WHERE number = ?",
            [transaction.cast_signed()],
        )?;
        Ok(())
    }
}

fn stored_file(row: &Row<'_>) -> rusqlite::Result<StoredFile> {
    Ok(StoredFile {
        number: number(row, 0)?,
        name: row.get(1)?,
        size: number(row, 2)?,
        sha256: row.get(3)?,
        added_ms: row.get(4)?,
    })
}

fn upload(row: &Row<'_>) -> rusqlite::Result<UploadRow> {
    Ok(UploadRow {
        transaction: number(row, 0)?,
        session: number(row, 1)?,
        address: parsed(row, 2)?,
        file: number(row, 3)?,
        size: number(row, 4)?,
        name: row.get(5)?,
        begun_ms: row.get(6)?,
        finished: row.get(7)?,
    })
}

pub(crate) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.cast_unsigned())
}

/// What stands there as text.
fn parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    row.get_ref(column)?.as_str()?.parse().map_err(|e: T::Err| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(e))
    })
}

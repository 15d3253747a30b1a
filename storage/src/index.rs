//! The database: opening it, and transactions.

use std::cell::Cell;
use std::fs::{self, File, Permissions};
use std::mem;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Params, Row};

use crate::error::{At, StorageError};
use crate::folder::{Folder, sync_folder};

/// How long one writer waits for another process's.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than there are statements.
const STATEMENTS: usize = 64;

/// The database's `user_version`.
const SCHEMA: i64 = 2;
/// Numbers are unsigned and stored by their bit pattern, in SQLite's signed integers. A session's row may
/// go before its transfers' do, so they don't refer to it.
const TABLES: &str = "
    CREATE TABLE sessions (
        session INTEGER PRIMARY KEY,
        user INTEGER NOT NULL,
        wanted TEXT NOT NULL,
        name TEXT NOT NULL,
        address TEXT NOT NULL
    ) STRICT;
    CREATE TABLE files (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        number INTEGER NOT NULL UNIQUE,
        name BLOB NOT NULL,
        size INTEGER NOT NULL,
        sha256 BLOB NOT NULL,
        added_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE uploads (
        number INTEGER PRIMARY KEY,
        session INTEGER NOT NULL,
        address TEXT NOT NULL,
        file INTEGER NOT NULL UNIQUE,
        size INTEGER NOT NULL,
        name BLOB NOT NULL,
        begun_ms INTEGER NOT NULL,
        finished INTEGER NOT NULL,
        boot TEXT NOT NULL
    ) STRICT;
    CREATE TABLE downloads (
        number INTEGER PRIMARY KEY,
        session INTEGER NOT NULL,
        address TEXT NOT NULL,
        file INTEGER NOT NULL REFERENCES files (number) ON DELETE CASCADE,
        begun_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX downloads_of_a_file ON downloads (file);
";
/// What version 2 has beside that.
const TABLES_2: &str = "
    CREATE TABLE history (
        number INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        sender INTEGER NOT NULL,
        name TEXT NOT NULL,
        service TEXT NOT NULL,
        text TEXT NOT NULL
    ) STRICT;
";

/// What a commit outlives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The program's death, not the machine's: the commit doesn't wait for the disk.
    Process,
    /// The machine's death too: the commit returns when the disk has it, and all commits before it.
    Power,
}

/// A connection to the database of a folder. Any number of processes may have one; those that write take
/// turns, and wait up to 5 s for their turn.
#[derive(Debug)]
pub struct Index {
    connection: Connection,
    folder: Folder,
    /// What the connection is set to.
    durability: Cell<Option<Durability>>,
    /// Between `begin` and `commit`, also if SQLite has rolled back in between.
    begun: Cell<bool>,
    /// Which run of the machine this is.
    pub(crate) boot: String,
}

impl Index {
    /// Opens the database, which is made if it is missing.
    ///
    /// # Errors
    /// A database that can't be opened, or that was made by a newer version of the program.
    pub fn open(folder: &Folder) -> Result<Index, StorageError> {
        // SQLite doesn't wait for its turn when two change a database to WAL at once.
        let root = folder.root();
        let turn = File::open(root).at(root, "open")?;
        turn.lock().at(root, "lock")?;

        let path = folder.database();
        let is_new = !path.exists();
        if is_new && folder.has_contents()? {
            return Err(StorageError::NoDatabase { path });
        }
        let database = |source| StorageError::Database {
            path: path.clone(),
            source,
        };
        let connection = Connection::open(&path).map_err(database)?;
        let index = Index {
            connection,
            folder: folder.clone(),
            durability: Cell::new(None),
            begun: Cell::new(false),
            boot: boot(),
        };
        if is_new {
            fs::set_permissions(&path, Permissions::from_mode(0o600))
                .at(&path, "set the permissions of")?;
        }
        let version = index.set_up().map_err(database)?;
        match version {
            SCHEMA => {}
            0 | 1 => {
                index.write(Durability::Power, |index| {
                    let made = match version {
                        0 => index.connection.execute_batch(TABLES),
                        _ => Ok(()),
                    };
                    made.and_then(|()| index.connection.execute_batch(TABLES_2))
                        .and_then(|()| index.connection.pragma_update(None, "user_version", SCHEMA))
                        .map_err(database)
                })?;
                sync_folder(root)?;
            }
            found => {
                return Err(StorageError::NewerSchema {
                    path,
                    found,
                    known: SCHEMA,
                });
            }
        }
        Ok(index)
    }

    /// Sets the connection up, and gives the schema's version.
    fn set_up(&self) -> rusqlite::Result<i64> {
        self.connection.busy_timeout(PATIENCE)?;
        self.connection
            .set_prepared_statement_cache_capacity(STATEMENTS);
        let version = self
            .connection
            .pragma_query_value(None, "user_version", |row| row.get(0))?;
        // A newer version's database is left as it is.
        if version <= SCHEMA {
            self.connection.pragma_update(None, "journal_mode", "WAL")?;
            self.connection.pragma_update(None, "foreign_keys", true)?;
        }
        Ok(version)
    }

    /// The folder this is the index of.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Begins a transaction for any number of savepoints. Waits until no other process writes.
    ///
    /// # Errors
    /// SQLite's; another process writes for longer than 5 s.
    pub fn begin(&self, durability: Durability) -> Result<(), StorageError> {
        if self.durability.get() != Some(durability) {
            let level = match durability {
                Durability::Process => "NORMAL",
                Durability::Power => "FULL",
            };
            self.connection
                .pragma_update(None, "synchronous", level)
                .map_err(|source| self.error(source))?;
            self.durability.set(Some(durability));
        }
        if self.connection.is_autocommit() {
            self.begun.set(false);
        }
        self.execute("BEGIN IMMEDIATE", [])?;
        self.begun.set(true);
        Ok(())
    }

    /// Does `work` whole or not at all: if it fails or panics, its own changes are undone and no others.
    /// Savepoints may be nested. Outside of a transaction it is one of its own, with
    /// [`Durability::Process`].
    ///
    /// # Errors
    /// That of `work`; SQLite's.
    pub fn savepoint<T>(
        &self,
        work: impl FnOnce(&Index) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        if !self.begun.get() {
            return self.write(Durability::Process, work);
        }
        self.execute("SAVEPOINT work", [])?;
        let undo = Undo(self, Index::undo_savepoint);
        let value = work(self)?;
        self.execute("RELEASE work", [])?;
        mem::forget(undo);
        Ok(value)
    }

    /// Ends the transaction.
    ///
    /// # Errors
    /// SQLite's; then everything since `begin` is undone. So it is if SQLite had to roll back earlier.
    pub fn commit(&self) -> Result<(), StorageError> {
        let committed = self.execute("COMMIT", []);
        // After a commit there is nothing to undo.
        self.rollback();
        committed.map(drop)
    }

    /// Undoes everything since `begin`. Fine if there is nothing to undo.
    pub fn rollback(&self) {
        self.undo_all();
        self.begun.set(false);
    }

    /// A whole transaction: commits what `work` does; if it fails or panics, undoes it.
    ///
    /// # Errors
    /// That of `work`; SQLite's.
    pub fn write<T>(
        &self,
        durability: Durability,
        work: impl FnOnce(&Index) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        self.begin(durability)?;
        let undo = Undo(self, Index::rollback);
        let value = work(self)?;
        mem::forget(undo);
        self.commit()?;
        Ok(value)
    }

    fn undo_savepoint(&self) {
        if self
            .connection
            .execute_batch("ROLLBACK TO work; RELEASE work")
            .is_err()
        {
            // Not a part of it may be committed. `begun` stays, so that the rest of the group fails.
            self.undo_all();
        }
    }

    fn undo_all(&self) {
        if !self.connection.is_autocommit() {
            // Whatever it says: SQLite gives up the transaction in any case.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    /// Whether what is done now outlives a power failure when it is committed.
    pub(crate) fn is_in_power(&self) -> bool {
        self.begun.get() && self.durability.get() == Some(Durability::Power)
    }

    /// Runs a statement; gives the number of rows it changed.
    pub(crate) fn execute(&self, sql: &str, params: impl Params) -> Result<usize, StorageError> {
        self.is_whole()?;
        let run = || self.connection.prepare_cached(sql)?.execute(params);
        run().map_err(|source| self.error(source))
    }

    /// Every row of a query.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StorageError> {
        self.is_whole()?;
        let run = || {
            self.connection
                .prepare_cached(sql)?
                .query_map(params, read)?
                .collect::<rusqlite::Result<_>>()
        };
        run().map_err(|source| self.error(source))
    }

    /// The first row of a query.
    pub(crate) fn row<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StorageError> {
        self.is_whole()?;
        let run = || {
            self.connection
                .prepare_cached(sql)?
                .query_row(params, read)
                .optional()
        };
        run().map_err(|source| self.error(source))
    }

    /// Some errors make SQLite roll back the whole transaction by itself. What would come after that is
    /// no part of one, and would be committed at once.
    fn is_whole(&self) -> Result<(), StorageError> {
        match self.begun.get() && self.connection.is_autocommit() {
            true => Err(StorageError::RolledBack {
                path: self.folder.database(),
            }),
            false => Ok(()),
        }
    }

    fn error(&self, source: rusqlite::Error) -> StorageError {
        StorageError::Database {
            path: self.folder.database(),
            source,
        }
    }
}

/// Undoes when it is dropped; forgotten when there is nothing to undo.
struct Undo<'a>(&'a Index, fn(&Index));

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        (self.1)(self.0);
    }
}

/// Which run of the machine this is; empty where the system doesn't tell.
fn boot() -> String {
    let path = PathBuf::from("/proc/sys/kernel/random/boot_id");
    let id = fs::read_to_string(path).unwrap_or_default();
    id.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::SessionRow;

    fn session(session: u64, name: &str) -> SessionRow {
        SessionRow {
            session,
            user: 1,
            wanted: name.to_owned(),
            name: name.to_owned(),
            address: ([127, 0, 0, 1], 1).into(),
        }
    }

    #[test]
    fn nothing_is_committed_after_sqlite_has_rolled_back_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(&Folder::open(dir.path()).unwrap()).unwrap();
        let insert = |index: &Index| index.insert_session(&session(2, "b"));
        index.begin(Durability::Process).unwrap();
        index
            .savepoint(|index| index.insert_session(&session(1, "a")))
            .unwrap();
        let _ = index.savepoint(|index| {
            index.connection.execute_batch("ROLLBACK").unwrap();
            Err::<(), _>(StorageError::UnknownFile(0))
        });
        let outcomes = [index.savepoint(insert), insert(&index), index.commit()];
        for outcome in outcomes {
            assert!(matches!(outcome, Err(StorageError::RolledBack { .. })));
        }
        assert_eq!(index.sessions().unwrap(), []);
        index.write(Durability::Process, insert).unwrap();
        assert_eq!(index.sessions().unwrap().len(), 1);
    }

    #[test]
    fn a_database_of_the_first_version_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let old = Connection::open(folder.database()).unwrap();
        old.execute_batch(TABLES).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        drop(old);
        let index = Index::open(&folder).unwrap();
        index.insert_session(&session(1, "a")).unwrap();
        assert_eq!(index.history(1).unwrap(), []);
        drop(index);
        assert_eq!(Index::open(&folder).unwrap().sessions().unwrap().len(), 1);
    }

    #[test]
    fn a_full_disk_is_known_as_one() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(&Folder::open(dir.path()).unwrap()).unwrap();
        index
            .connection
            .pragma_update(None, "max_page_count", 1)
            .unwrap();
        let large = session(1, &"x".repeat(100_000));
        let error = index
            .write(Durability::Process, |index| index.insert_session(&large))
            .unwrap_err();
        assert!(error.is_disk_full(), "{error}");
        assert!(error.to_string().contains("house.db"), "{error}");
        assert!(!StorageError::UnknownFile(0).is_disk_full());
    }
}

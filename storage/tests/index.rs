//! Rows, transactions, and two processes at once.

mod support;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::thread;

use playhouse_storage::{
    DownloadRow, Durability, Folder, Index, SessionRow, StorageError, UploadRow,
};
use support::{HERE, Place, upload};

fn session(session: u64, address: &str) -> SessionRow {
    SessionRow {
        session,
        user: u64::MAX - session,
        wanted: "ann".to_owned(),
        name: "ann ☃".to_owned(),
        address: address.parse().unwrap(),
    }
}

#[test]
fn rows_come_back_as_they_went_in() {
    let Place { dir, folder, index } = Place::new();
    assert_eq!(index.folder().content(255), folder.content(255));
    assert!(folder.content(255).ends_with("files/00000000000000ff"));

    let sessions = [
        session(1, "10.0.0.1:5"),
        session(u64::MAX, "[2001:db8::1]:65535"),
    ];
    for row in &sessions {
        index.insert_session(row).unwrap();
        let (elsewhere, home) = ("[::1]:9".parse().unwrap(), row.address);
        for address in [elsewhere, home] {
            index.move_session(row.session, address).unwrap();
            let rows = index.sessions().unwrap();
            let moved = rows.iter().find(|other| other.session == row.session);
            assert_eq!(moved.unwrap().address, address);
        }
    }
    let uploads = [
        UploadRow {
            transaction: u64::MAX,
            session: u64::MAX,
            address: "2001:db8::1".parse().unwrap(),
            file: u64::MAX - 1,
            size: u64::from(u32::MAX),
            name: b"\0\x1b[2J\xff/..".to_vec(),
            begun_ms: -5,
            finished: false,
        },
        upload(2, 0),
    ];
    for row in &uploads {
        index.insert_upload(row).unwrap();
    }

    // As after a restart.
    drop(index);
    let index = Index::open(&folder).unwrap();
    let mut found = index.sessions().unwrap();
    found.sort_by_key(|row| row.session);
    assert_eq!(found, sessions);
    assert_eq!(index.uploads().unwrap(), uploads);
    assert_eq!(index.files().unwrap(), []);
    assert_eq!(index.stored_bytes().unwrap(), 0);

    index.delete_session(1).unwrap();
    index.delete_session(1).unwrap();
    assert_eq!(index.sessions().unwrap(), sessions[1..]);
    index.delete_upload(u64::MAX).unwrap();
    index.delete_upload(u64::MAX).unwrap();
    assert_eq!(index.uploads().unwrap(), uploads[1..]);
    drop(dir);
}

#[test]
fn files_come_in_the_order_in_which_they_were_added() {
    let place = Place::new();
    let files = [
        place.added(u64::MAX, b"same", b"12"),
        place.added(1, b"same", b"345"),
        place.added(1 << 63, b"other", b""),
    ];
    let index = &place.index;
    assert_eq!(index.files().unwrap(), files);
    assert_eq!(index.file(1).unwrap().as_ref(), Some(&files[1]));
    assert_eq!(index.file(2).unwrap(), None);
    assert_eq!(index.stored_bytes().unwrap(), 5);

    let download = DownloadRow {
        transaction: u64::MAX,
        session: 5,
        address: HERE,
        file: u64::MAX,
        begun_ms: 9,
    };
    index.insert_download(&download).unwrap();
    assert_eq!(index.downloads().unwrap(), std::slice::from_ref(&download));
    index.delete_download(u64::MAX).unwrap();
    index.delete_download(u64::MAX).unwrap();
    assert_eq!(index.downloads().unwrap(), []);

    // A download of a file that isn't there makes no sense, and goes with the file.
    let nowhere = DownloadRow {
        file: 3,
        ..download.clone()
    };
    assert!(index.insert_download(&nowhere).is_err());
    index.insert_download(&download).unwrap();
    assert!(playhouse_storage::remove(index, u64::MAX).unwrap());
    assert_eq!(index.downloads().unwrap(), []);

    // A number that a file has, or will have, is not given twice.
    index.insert_upload(&upload(500, 3)).unwrap();
    for taken in [1, 1500] {
        let row = UploadRow {
            file: taken,
            ..upload(501, 3)
        };
        let result = index.insert_upload(&row);
        assert!(matches!(result, Err(StorageError::NumberTaken(n)) if n == taken));
    }
}

#[test]
fn a_savepoint_that_fails_takes_nobody_with_it() {
    let Place {
        dir: _dir,
        folder,
        index,
    } = Place::new();
    let other = Index::open(&folder).unwrap();
    let numbers = |index: &Index| {
        let mut numbers: Vec<_> = index
            .sessions()
            .unwrap()
            .iter()
            .map(|s| s.session)
            .collect();
        numbers.sort_unstable();
        numbers
    };
    let insert = |number| move |index: &Index| index.insert_session(&session(number, "[::1]:1"));

    index.begin(Durability::Process).unwrap();
    index.savepoint(insert(1)).unwrap();
    let result = index.savepoint(|index| {
        index.insert_session(&session(2, "[::1]:1"))?;
        // Nested, and well; still undone with what is around it.
        index.savepoint(insert(3))?;
        index.insert_session(&session(1, "[::1]:1"))
    });
    assert!(
        matches!(result, Err(StorageError::Database { .. })),
        "{result:?}"
    );
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        index.savepoint(|index| -> Result<(), _> {
            index.insert_session(&session(4, "[::1]:1"))?;
            panic!("of no importance")
        })
    }));
    assert!(panicked.is_err());
    index.savepoint(insert(5)).unwrap();
    assert_eq!(numbers(&other), [], "nothing is committed yet");
    index.commit().unwrap();
    assert_eq!(numbers(&index), [1, 5]);
    assert_eq!(numbers(&other), [1, 5]);

    // Whole transactions.
    other.write(Durability::Power, insert(6)).unwrap();
    let failed = index.write(Durability::Power, |index| {
        index.insert_session(&session(7, "[::1]:1"))?;
        Err::<(), _>(StorageError::UnknownFile(0))
    });
    assert!(matches!(failed, Err(StorageError::UnknownFile(0))));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        index.write(Durability::Process, |index| -> Result<(), _> {
            index.insert_session(&session(8, "[::1]:1"))?;
            panic!("of no importance")
        })
    }));
    assert!(panicked.is_err());
    index.begin(Durability::Process).unwrap();
    index.insert_session(&session(9, "[::1]:1")).unwrap();
    index.rollback();
    // Alone, a savepoint is a transaction.
    index.savepoint(insert(10)).unwrap();
    assert_eq!(numbers(&other), [1, 5, 6, 10]);
    assert!(index.commit().is_err(), "there is none");
}

#[test]
fn many_may_open_a_new_folder_at_once_and_write_in_turn() {
    let dir = tempfile::tempdir().unwrap();
    let barrier = Barrier::new(4);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (dir, barrier) = (dir.path(), &barrier);
            scope.spawn(move || {
                barrier.wait();
                let index = Index::open(&Folder::open(dir).unwrap()).unwrap();
                for i in 0..20 {
                    let row = session(thread * 100 + i, "[::1]:1");
                    let write = |index: &Index| index.insert_session(&row);
                    index.write(Durability::Process, write).unwrap();
                }
            });
        }
    });
    let index = Index::open(&Folder::open(dir.path()).unwrap()).unwrap();
    assert_eq!(index.sessions().unwrap().len(), 80);
}

#[test]
fn a_newer_database_is_left_alone() {
    let Place {
        dir: _dir,
        folder,
        index,
    } = Place::new();
    drop(index);
    let path = folder
        .content(0)
        .parent()
        .unwrap()
        .with_file_name("house.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.pragma_update(None, "user_version", 3).unwrap();
    drop(database);
    let error = Index::open(&folder).unwrap_err();
    assert!(matches!(
        error,
        StorageError::NewerSchema {
            found: 3,
            known: 2,
            ..
        }
    ));
    assert!(
        error
            .to_string()
            .contains("house.db: made by a newer playhouse")
    );

    fs::write(
        &path,
        "no database at all, but long enough to be looked at by SQLite",
    )
    .unwrap();
    let error = Index::open(&folder).unwrap_err();
    assert!(error.to_string().contains("house.db: "), "{error}");
}

#[test]
fn one_server_at_a_time_has_the_folder() {
    let Place {
        dir: _dir,
        folder,
        index,
    } = Place::new();
    let lock = folder.lock().unwrap();
    let error = folder.clone().lock().unwrap_err();
    assert!(matches!(error, StorageError::Locked { .. }));
    assert!(error.to_string().contains("data/lock: "), "{error}");
    // A command does its work beside the server.
    index.insert_session(&session(1, "[::1]:1")).unwrap();
    drop(lock);
    folder.lock().unwrap();
}

#[test]
fn the_folder_is_made_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    for (path, mode) in [("files", 0o700), ("uploads", 0o700), ("house.db", 0o600)] {
        let permissions = fs::metadata(place.path(path)).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, mode, "{path}");
    }
    assert!(place.folder.free_bytes().unwrap() > 0);

    let file = place.path("file");
    fs::write(&file, "").unwrap();
    let error = Folder::open(&file).unwrap_err();
    assert!(
        error.to_string().contains("can't make the folder"),
        "{error}"
    );
}

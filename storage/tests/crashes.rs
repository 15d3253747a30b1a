//! The end of an upload, interrupted at any point, and what is tidied up.

mod support;

use std::fs;

use playhouse_storage::{Durability, Index, Partial, StorageError, StoredFile, Tidied};
use support::{Place, content, names, sha256, upload};

fn finish(index: &Index, transaction: u64, hash: [u8; 32]) -> Result<StoredFile, StorageError> {
    index.write(Durability::Power, |index| {
        index.finish_upload(transaction, hash)
    })
}

/// As if the machine had been started again since: SQLite, not this crate, so that nothing has to be
/// there for tests.
fn restart_machine(place: &Place) {
    let database = rusqlite::Connection::open(place.path("house.db")).unwrap();
    database
        .execute("UPDATE uploads SET boot = 'before'", [])
        .unwrap();
}

#[test]
fn an_upload_becomes_a_file_once() {
    let place = Place::new();
    let bytes = content(1000);
    let (row, mut partial) = place.received(1, &bytes);
    let hash = partial.seal().unwrap();
    let file = finish(&place.index, 1, hash).unwrap();
    assert_eq!(file.number, row.file);
    assert_eq!(
        (&file.name, file.size, file.sha256),
        (&row.name, 1000, sha256(&bytes))
    );
    assert!(file.added_ms > 1_700_000_000_000);
    assert_eq!(place.names(), ["00000000000003e9"]);
    assert_eq!(fs::read(place.folder.content(row.file)).unwrap(), bytes);
    assert_eq!(place.index.files().unwrap(), std::slice::from_ref(&file));
    assert!(place.index.uploads().unwrap()[0].finished);

    assert_eq!(finish(&place.index, 1, hash).unwrap(), file, "again");
    let mut partial = Partial::open(&place.folder, &row).unwrap();
    assert_eq!(partial.seal().unwrap(), hash);
    assert!(matches!(
        finish(&place.index, 2, hash),
        Err(StorageError::UnknownUpload(2))
    ));
    playhouse_storage::remove(&place.index, row.file).unwrap();
    assert!(matches!(
        finish(&place.index, 1, hash),
        Err(StorageError::UnknownFile(1001))
    ));
}

#[test]
fn a_crash_between_moving_and_listing_is_made_good() {
    for size in [0, 1000] {
        let place = Place::new();
        let bytes = content(size);
        let (row, mut partial) = place.received(1, &bytes);
        let hash = partial.seal().unwrap();
        // Moved, but not committed.
        place.index.begin(Durability::Power).unwrap();
        place.index.finish_upload(1, hash).unwrap();
        place.index.rollback();
        assert_eq!(place.names(), ["00000000000003e9"]);
        assert!(!place.index.uploads().unwrap()[0].finished);
        assert_eq!(place.index.files().unwrap(), []);

        assert_eq!(
            place.index.tidy().unwrap(),
            Tidied::default(),
            "it is known"
        );
        let mut partial = Partial::open(&place.folder, &row).unwrap();
        assert!(partial.received().is_complete());
        assert_eq!(partial.seal().unwrap(), hash);
        finish(&place.index, 1, hash).unwrap();
        assert_eq!(fs::read(place.folder.content(row.file)).unwrap(), bytes);
    }
}

#[test]
fn a_crash_before_the_log_was_removed_is_made_good() {
    let place = Place::new();
    let bytes = content(1000);
    let (row, mut partial) = place.received(1, &bytes);
    let hash = partial.seal().unwrap();
    fs::rename(
        place.path("uploads/0000000000000001.part"),
        place.folder.content(row.file),
    )
    .unwrap();
    let mut partial = Partial::open(&place.folder, &row).unwrap();
    assert_eq!(partial.seal().unwrap(), hash);
    finish(&place.index, 1, hash).unwrap();
    assert_eq!(place.names(), ["00000000000003e9"]);
}

#[test]
fn a_part_that_is_not_there_or_not_whole_is_not_listed() {
    let place = Place::new();
    let bytes = content(1000);
    let (_, mut partial) = place.received(1, &bytes);
    let hash = partial.seal().unwrap();
    let part = place.path("uploads/0000000000000001.part");
    fs::write(&part, &bytes[1..]).unwrap();
    let error = finish(&place.index, 1, hash).unwrap_err();
    assert!(
        matches!(
            error,
            StorageError::WrongSize {
                listed: 1000,
                found: 999,
                ..
            }
        ),
        "{error}"
    );
    fs::remove_file(&part).unwrap();
    let error = finish(&place.index, 1, hash).unwrap_err();
    assert!(error.to_string().contains(".part: can't find"), "{error}");
    assert_eq!(place.index.files().unwrap(), []);
    assert!(!place.index.uploads().unwrap()[0].finished);
}

#[test]
fn what_no_row_knows_is_removed() {
    let place = Place::new();
    let file = place.added(5, b"file", b"content");
    let (_, mut partial) = place.received(1, b"finished");
    finish(&place.index, 1, partial.seal().unwrap()).unwrap();
    let (known, _) = place.received(2, b"on its way");
    let before = place.names();
    for orphan in [
        "files/00000000000000aa",
        "uploads/00000000000000aa.part",
        "uploads/00000000000000aa.log",
        "uploads/0000000000000001.log",
        "uploads/00000000000000aa.add",
    ] {
        fs::write(place.path(orphan), "").unwrap();
    }
    // Not ours.
    fs::write(place.path("files/notes.txt"), "").unwrap();
    fs::write(place.path("uploads/notes.txt"), "").unwrap();

    let tidied = place.index.tidy().unwrap();
    assert_eq!(
        tidied,
        Tidied {
            uploads: 0,
            contents: 1,
            parts: 2
        }
    );
    for notes in ["files/notes.txt", "uploads/notes.txt"] {
        fs::remove_file(place.path(notes)).unwrap();
    }
    assert_eq!(place.names(), before);
    assert_eq!(place.index.tidy().unwrap(), Tidied::default());
    assert_eq!(place.index.file(5).unwrap(), Some(file));
    let partial = Partial::open(&place.folder, &known).unwrap();
    assert!(partial.received().is_complete());
}

#[test]
fn unfinished_uploads_do_not_outlive_the_machine() {
    let place = Place::new();
    place.received(1, b"on its way");
    let (_, mut partial) = place.received(2, b"finished");
    let hash = partial.seal().unwrap();
    finish(&place.index, 2, hash).unwrap();
    restart_machine(&place);
    // After the machine's start.
    place.received(3, b"new");

    let tidied = place.index.tidy().unwrap();
    assert_eq!(
        tidied,
        Tidied {
            uploads: 1,
            contents: 0,
            parts: 1
        }
    );
    let left: Vec<u64> = place
        .index
        .uploads()
        .unwrap()
        .iter()
        .map(|row| row.transaction)
        .collect();
    assert_eq!(left, [2, 3]);
    assert_eq!(finish(&place.index, 2, hash).unwrap().number, 1002);
    let mut uploads = names(&place.path("uploads"));
    uploads.sort();
    assert_eq!(uploads, ["0000000000000003.log", "0000000000000003.part"]);
}

#[test]
fn an_upload_of_nothing_is_complete_at_once() {
    let place = Place::new();
    let row = upload(1, 0);
    place.index.insert_upload(&row).unwrap();
    let file = place
        .index
        .write(Durability::Power, |index| {
            let hash = Partial::open(&place.folder, &row)?.seal()?;
            index.finish_upload(1, hash)
        })
        .unwrap();
    assert_eq!(file.sha256, sha256(b""));
    assert_eq!(fs::read(place.folder.content(file.number)).unwrap(), b"");
}

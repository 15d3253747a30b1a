//! Chunks in any order, restarts between any two writes, and the hash of the whole.

mod support;

use std::fs::{self, OpenOptions};
use std::io::Write;

use playhouse_storage::{Durability, Partial, StorageError};
use proptest::prelude::*;
use support::{Place, chunks, content, mode, sha256, upload};

const SIZES: [usize; 7] = [0, 1, 255, 256, 257, 512, (1 << 20) + 3];

#[test]
fn the_sealed_hash_is_that_of_the_content() {
    let place = Place::new();
    for (transaction, size) in (0..).zip(SIZES) {
        let bytes = content(size);
        let row = upload(transaction, size as u64);
        let mut partial = Partial::open(&place.folder, &row).unwrap();
        assert_eq!(
            place.names(),
            [""; 0],
            "nothing is made before a byte comes"
        );
        assert_eq!(partial.received().is_complete(), size == 0);
        if size > 0 {
            let error = partial.seal().unwrap_err();
            assert!(matches!(error, StorageError::Incomplete { .. }));
            assert_eq!(place.names(), [""; 0]);
        }
        for batch in chunks(&bytes).chunks(64) {
            let sum: usize = batch.iter().map(|(_, bytes)| bytes.len()).sum();
            assert_eq!(partial.write(batch).unwrap(), sum as u64);
        }
        assert!(partial.received().is_complete());
        assert_eq!(partial.seal().unwrap(), sha256(&bytes));
        assert_eq!(partial.seal().unwrap(), sha256(&bytes), "again");
        for name in place.names() {
            assert_eq!(mode(&place.path("uploads").join(name)), 0o600);
        }
        assert_eq!(
            fs::read(place.path(&format!("uploads/{transaction:016x}.part"))).unwrap(),
            bytes
        );
        // Also after a restart.
        let mut partial = Partial::open(&place.folder, &row).unwrap();
        assert_eq!(partial.seal().unwrap(), sha256(&bytes));

        place.folder.discard(transaction).unwrap();
        place.folder.discard(transaction).unwrap();
        assert_eq!(place.names(), [""; 0]);
    }
}

#[test]
fn the_hash_keeps_up_and_catches_up() {
    // Over several of its steps, and over the first write-back.
    let bytes = content((9 << 20) + 77);
    let place = Place::new();
    let row = upload(1, bytes.len() as u64);
    let mut partial = Partial::open(&place.folder, &row).unwrap();
    let all = chunks(&bytes);
    let (first, rest) = all.split_at(all.len() / 2);
    for batch in first.chunks(64) {
        partial.write(batch).unwrap();
    }
    let mut partial = Partial::open(&place.folder, &row).unwrap();
    for batch in rest.chunks(64) {
        partial.write(batch).unwrap();
    }
    assert_eq!(partial.seal().unwrap(), sha256(&bytes));
}

#[test]
fn a_chunk_of_the_wrong_length_is_refused_with_its_batch() {
    let place = Place::new();
    let row = upload(1, 600);
    let mut partial = Partial::open(&place.folder, &row).unwrap();
    let bytes = [1; 300];
    for (chunk, length, must) in [
        (0, 255, 256),
        (0, 257, 256),
        (2, 256, 88),
        (2, 0, 88),
        (3, 256, 0),
        (3, 0, 0),
    ] {
        let batch: [(u32, &[u8]); 2] = [(1, &bytes[..256]), (chunk, &bytes[..length])];
        match partial.write(&batch) {
            Err(StorageError::WrongLength {
                chunk: at,
                expected,
                found,
            }) => {
                assert_eq!((at, expected, found), (chunk, must, length as u64));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(place.names(), [""; 0], "found before anything is written");
    assert_eq!(partial.received().bytes(), 0);
    assert_eq!(partial.write(&[]).unwrap(), 0);

    let huge = upload(1, u64::MAX);
    assert!(matches!(
        Partial::open(&place.folder, &huge),
        Err(StorageError::TooLarge { .. })
    ));
    let large = upload(2, u64::from(u32::MAX));
    let mut partial = Partial::open(&place.folder, &large).unwrap();
    assert_eq!(
        partial.write(&[((1 << 24) - 1, &bytes[..255])]).unwrap(),
        255
    );
}

#[test]
fn a_torn_end_of_the_log_is_no_loss() {
    let bytes = content(2000);
    let all = chunks(&bytes);
    for torn in 1..8 {
        let place = Place::new();
        let row = upload(1, 2000);
        let mut partial = Partial::open(&place.folder, &row).unwrap();
        partial.write(&all[2..5]).unwrap();
        let log = place.path("uploads/0000000000000001.log");
        let record = [1u8, 0, 0, 0, 1, 0, 0, 0];
        let mut file = OpenOptions::new().append(true).open(&log).unwrap();
        file.write_all(&record[..torn]).unwrap();

        let mut partial = Partial::open(&place.folder, &row).unwrap();
        assert_eq!(partial.received().bytes(), 768);
        partial.write(&all[..2]).unwrap();
        let mut partial = Partial::open(&place.folder, &row).unwrap();
        assert_eq!(
            partial.received().bytes(),
            1280,
            "what came after it counts"
        );
        partial.write(&all).unwrap();
        assert_eq!(partial.seal().unwrap(), sha256(&bytes));
    }
}

#[test]
fn a_log_counts_for_no_more_than_the_part_has() {
    let bytes = content(1000);
    let place = Place::new();
    let (row, _) = place.received(1, &bytes);
    let part = place.path("uploads/0000000000000001.part");
    let file = OpenOptions::new().write(true).open(&part).unwrap();
    file.set_len(600).unwrap();
    let partial = Partial::open(&place.folder, &row).unwrap();
    assert_eq!(partial.received().bytes(), 512);

    // A log that says anything at all.
    let log = place.path("uploads/0000000000000001.log");
    fs::write(&log, [0xff; 40]).unwrap();
    let mut partial = Partial::open(&place.folder, &row).unwrap();
    assert_eq!(partial.received().bytes(), 0);
    partial.write(&chunks(&bytes)).unwrap();
    assert_eq!(partial.seal().unwrap(), sha256(&bytes));

    // And one whose part is gone.
    fs::remove_file(&part).unwrap();
    let mut partial = Partial::open(&place.folder, &row).unwrap();
    assert_eq!(partial.received().bytes(), 0);
    partial.write(&chunks(&bytes)[..1]).unwrap();
    let partial = Partial::open(&place.folder, &row).unwrap();
    assert_eq!(partial.received().bytes(), 256);
}

#[test]
fn the_hot_path_appends_one_run() {
    let place = Place::new();
    let bytes = content(64 * 256);
    place.received(1, &bytes);
    let log = fs::read(place.path("uploads/0000000000000001.log")).unwrap();
    assert_eq!(log, [0, 0, 0, 0, 64, 0, 0, 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_order_any_repeats_any_restarts(
        size in 1usize..20_000,
        batches in prop::collection::vec(
            (prop::collection::vec(0u32..80, 0..20), any::<bool>()), 0..20),
    ) {
        let place = Place::new();
        let bytes = content(size);
        let all = chunks(&bytes);
        let row = upload(3, size as u64);
        place.index.insert_upload(&row).unwrap();
        let mut partial = Partial::open(&place.folder, &row).unwrap();
        let mut sum = 0;
        for (batch, restart) in batches {
            let batch: Vec<_> = batch.iter().filter_map(|&c| all.get(c as usize).copied()).collect();
            sum += partial.write(&batch).unwrap();
            if restart {
                partial = Partial::open(&place.folder, &row).unwrap();
            }
            prop_assert_eq!(partial.received().bytes(), sum);
            for (chunk, _) in batch {
                prop_assert!(partial.received().contains(chunk));
            }
        }
        sum += partial.write(&all).unwrap();
        prop_assert_eq!(sum, size as u64);
        let hash = partial.seal().unwrap();
        prop_assert_eq!(hash, sha256(&bytes));
        let finish = |index: &playhouse_storage::Index| index.finish_upload(3, hash);
        let file = place.index.write(Durability::Power, finish).unwrap();
        prop_assert_eq!(fs::read(place.folder.content(file.number)).unwrap(), bytes);
        prop_assert_eq!(place.names().len(), 1);
    }
}

//! Adding, extracting and removing, as an operator does.

mod support;

use std::fs::{self, File};
use std::io::Read;

use playhouse_storage::{StorageError, StoredFile, add, extract, remove};
use support::{Place, content, mode, names, sha256, upload};

fn quietly(_: u64, _: u64) {}

fn taken_out(place: &Place, file: &StoredFile, replace: bool) -> Result<Vec<u8>, StorageError> {
    let to = place.dir.path().join("out").join("x");
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    extract(&place.index, file, &to, replace, &mut quietly)?;
    Ok(fs::read(&to).unwrap())
}

#[test]
fn what_is_added_comes_out_again() {
    let place = Place::new();
    for (number, size) in (1..).zip([0, 1, (1 << 20) + 3]) {
        let bytes = content(size);
        let source = place.dir.path().join("source");
        fs::write(&source, &bytes).unwrap();
        let mut seen = Vec::new();
        let file = add(
            &place.index,
            &source,
            b"../../x",
            &mut || number,
            &mut |done, of| seen.push((done, of)),
        )
        .unwrap();
        assert_eq!(file.number, number);
        assert_eq!(file.name, b"../../x");
        assert_eq!(mode(&place.folder.content(number)), 0o600);
        assert_eq!((file.size, file.sha256), (size as u64, sha256(&bytes)));
        assert_eq!(place.index.file(number).unwrap().as_ref(), Some(&file));
        let size = size as u64;
        assert_eq!(seen.first(), Some(&(0, size)));
        assert_eq!(seen.last(), Some(&(size, size)));

        assert_eq!(taken_out(&place, &file, true).unwrap(), bytes);
        assert_eq!(
            mode(&place.dir.path().join("out/x")),
            mode(&source),
            "as open to others as any new file"
        );
        assert_eq!(
            names(&place.dir.path().join("out")),
            ["x"],
            "nothing beside it"
        );
    }
    // The name is a label: nothing was written anywhere else.
    assert_eq!(
        place.names(),
        ["0000000000000001", "0000000000000002", "0000000000000003"]
    );
    let mut around = names(place.dir.path());
    around.sort();
    assert_eq!(around, ["data", "out", "source"]);
}

#[test]
fn numbers_are_drawn_until_one_is_free() {
    let place = Place::new();
    place.added(1, b"a", b"listed");
    place.index.insert_upload(&upload(1002, 5)).unwrap();
    fs::write(place.folder.content(3), "an orphan").unwrap();
    let mut numbers = [9, 1, 2002, 3, 4].into_iter();
    let source = place.dir.path().join("source");
    let file = add(
        &place.index,
        &source,
        b"b",
        &mut || numbers.next().unwrap(),
        &mut quietly,
    );
    // 9 is for the copy, 2002 belongs to the upload.
    assert_eq!(file.unwrap().number, 4);
}

#[test]
fn what_is_being_added_is_no_orphan() {
    let place = Place::new();
    let bytes = content(3 << 20);
    let source = place.dir.path().join("source");
    fs::write(&source, &bytes).unwrap();
    let server = playhouse_storage::Index::open(&place.folder).unwrap();
    let file = add(&place.index, &source, b"x", &mut || 1, &mut |_, _| {
        // A server that opens right now.
        assert_eq!(server.tidy().unwrap().parts, 0);
        assert_eq!(server.files().unwrap(), []);
    });
    assert_eq!(file.unwrap().sha256, sha256(&bytes));
    assert_eq!(server.tidy().unwrap().contents, 0);
}

#[test]
fn a_source_that_can_not_be_read_leaves_nothing() {
    let place = Place::new();
    for (source, what) in [("missing", "can't open"), ("", "can't read")] {
        let source = place.dir.path().join(source);
        let result = add(&place.index, &source, b"x", &mut || 1, &mut quietly);
        let error = result.unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    assert_eq!(place.names(), [""; 0]);
    assert_eq!(place.index.files().unwrap(), []);
}

#[test]
fn nothing_is_overwritten_unless_it_shall_be() {
    let place = Place::new();
    let file = place.added(1, b"x", b"new");
    let out = place.dir.path().join("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("x"), "old").unwrap();
    let error = taken_out(&place, &file, false).unwrap_err();
    assert!(matches!(error, StorageError::Exists { .. }), "{error}");
    assert_eq!(fs::read(out.join("x")).unwrap(), b"old");

    // It comes while the content is being copied.
    fs::remove_file(out.join("x")).unwrap();
    let result = extract(&place.index, &file, &out.join("x"), false, &mut |_, _| {
        fs::write(out.join("x"), "somebody else's").unwrap();
    });
    assert!(matches!(result, Err(StorageError::Exists { .. })));
    assert_eq!(fs::read(out.join("x")).unwrap(), b"somebody else's");
    assert_eq!(names(&out), ["x"]);

    assert_eq!(taken_out(&place, &file, true).unwrap(), b"new");
    assert_eq!(names(&out), ["x"]);
}

#[test]
fn a_folder_that_is_missing_is_named() {
    let place = Place::new();
    let file = place.added(1, b"x", b"content");
    let folder = place.dir.path().join("missing");
    let result = extract(&place.index, &file, &folder.join("x"), false, &mut quietly);
    let error = result.unwrap_err().to_string();
    let said = format!("{}: can't make a file in it: ", folder.display());
    assert!(error.starts_with(&said), "{error}");
}

#[test]
fn a_damaged_content_is_named_and_leaves_nothing() {
    let place = Place::new();
    let file = place.added(1, b"x", b"content");
    let path = place.folder.content(1);
    for damaged in [&b"Content"[..], b"conten", b"content and more"] {
        fs::write(&path, damaged).unwrap();
        let error = taken_out(&place, &file, false).unwrap_err();
        assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
        let hex = |hash: [u8; 32]| hash.map(|byte| format!("{byte:02x}")).concat();
        for part in [
            path.display().to_string(),
            hex(sha256(damaged)),
            hex(file.sha256),
        ] {
            assert!(error.to_string().contains(&part), "{error}");
        }
        assert_eq!(names(&place.dir.path().join("out")), [""; 0]);
    }
    fs::remove_file(&path).unwrap();
    let error = taken_out(&place, &file, false).unwrap_err().to_string();
    assert!(
        error.contains("files/0000000000000001: can't open"),
        "{error}"
    );
}

#[test]
fn who_has_a_removed_content_open_reads_on() {
    let place = Place::new();
    place.added(1, b"x", b"content");
    let mut open = File::open(place.folder.content(1)).unwrap();
    assert!(remove(&place.index, 1).unwrap());
    assert!(!remove(&place.index, 1).unwrap());
    assert_eq!(place.index.files().unwrap(), []);
    assert_eq!(place.names(), [""; 0]);
    let mut text = String::new();
    open.read_to_string(&mut text).unwrap();
    assert_eq!(text, "content");
}

//! packetchat's files over real UDP sockets: each rule of uploads and downloads.

use std::fs;
use std::time::Duration;

use crate::packetchat_support::{
    Client, NUMBERINGS, Random, chunks, content, listed, paths, run_files, sha256,
};
use crate::support::{House, wait_for};
use playhouse_protocols::packetchat::{Kind, MAX_FILE_NAME, Numbering};

#[test]
fn files_are_served_in_both_numberings_side_by_side() {
    let house = House::open_empty(&[]);
    let mut first = Client::join(&house, "first");
    let mut second = Client::join(&house, "second");
    for (uploading, downloading) in [
        (Numbering::Document, Numbering::Client),
        (Numbering::Client, Numbering::Document),
    ] {
        first.numbering = uploading;
        second.numbering = downloading;
        let content = content(1, 1000);
        let file = first.upload(b"ab", &content);
        for client in [&mut first, &mut second] {
            assert_eq!(client.files().last(), Some(&file));
            assert_eq!(client.file_data(file), (1000, b"ab".to_vec()));
        }
        let transactions = [first.begin_download(file), second.begin_download(file)];
        for chunk in 0..5 {
            let start = (chunk as usize * 256).min(1000);
            let expected = &content[start..(start + 256).min(1000)];
            assert_eq!(first.get(transactions[0], chunk), expected);
            assert_eq!(second.get(transactions[1], chunk), expected);
        }
    }
    // One session may use both.
    let files = first.files();
    for numbering in NUMBERINGS {
        first.numbering = numbering;
        assert_eq!(first.files(), files);
        assert_eq!(first.download(files[0]), content(1, 1000));
    }
    house.stop();
}

#[test]
fn files_of_every_length_arrive_in_every_order() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let mut random = Random(5);
    let mut uploaded = Vec::new();
    for length in [0, 1, 255, 256, 257, 511, 512, 513, 5000] {
        for order in 0..3 {
            let content = content(order + 1, length);
            let mut numbers: Vec<u32> = (0..chunks(length)).collect();
            match order {
                0 => {}
                1 => numbers.reverse(),
                _ => {
                    // And each twice.
                    numbers.extend_from_within(..);
                    random.shuffle(&mut numbers);
                }
            }
            let name = format!("{length}-{order}");
            let (file, upload) = anna.begin_upload(length, name.as_bytes());
            assert_eq!(Kind::of(file), Some(Kind::File));
            assert_eq!(Kind::of(upload), Some(Kind::Upload));
            assert_eq!(anna.files().contains(&file), length == 0, "{name}");
            anna.put_all(upload, &content, numbers.into_iter());
            assert!(anna.files().contains(&file), "{name}");
            assert_eq!(anna.file_data(file), (length as u32, name.into_bytes()));
            assert!(anna.download(file) == content, "{length} {order}");
            uploaded.push(file);
        }
    }
    // The oldest first.
    assert_eq!(anna.files(), uploaded);
    let census = house.packet_census();
    assert_eq!(census.files, uploaded.len() as u64);
    let bytes = [1u64, 255, 256, 257, 511, 512, 513, 5000];
    assert_eq!(census.bytes, 3 * bytes.iter().sum::<u64>());
    house.stop();
}

#[test]
fn a_file_is_there_when_all_of_it_is() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let mut ben = Client::join(&house, "ben");
    let content = content(1, 700);
    let (file, upload) = anna.begin_upload(content.len(), b"late");
    for chunk in [2, 0] {
        anna.put_all(upload, &content, [chunk].into_iter());
        assert!(ben.files().is_empty());
        ben.ask_in_vain(&house, &ben.file_data_request(file));
        ben.ask_in_vain(&house, &ben.download_request(file));
    }
    assert_eq!(house.packet_census().uploads, 1);
    anna.put_all(upload, &content, [1].into_iter());
    assert_eq!(ben.files(), [file]);
    assert!(ben.download(file) == content);
    assert_eq!(listed(&house.data()).len(), 1);
}

#[test]
fn a_repeated_upload_request_gets_the_same_transaction_until_a_chunk_comes() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let first = anna.begin_upload(600, b"name");
    assert_eq!(anna.begin_upload(600, b"name"), first);
    assert_eq!(house.packet_census().uploads, 1);
    // Another size, another name, another session: another file.
    let mut ben = Client::join(&house, "ben");
    let others = [
        anna.begin_upload(601, b"name"),
        anna.begin_upload(600, b"nam"),
        ben.begin_upload(600, b"name"),
    ];
    for other in others {
        assert_ne!(other.0, first.0);
        assert_ne!(other.1, first.1);
    }
    assert_eq!(anna.begin_upload(600, b"name"), first);
    anna.put_all(first.1, &content(1, 600), [1].into_iter());
    let second = anna.begin_upload(600, b"name");
    assert_ne!(second.0, first.0);
    assert_ne!(second.1, first.1);
    // The same name twice is two files.
    anna.put_all(second.1, &content(2, 600), 0..3);
    anna.put_all(first.1, &content(1, 600), 0..3);
    assert_eq!(anna.files(), [second.0, first.0]);
    for (file, seed) in [(first.0, 1), (second.0, 2)] {
        assert_eq!(anna.file_data(file), (600, b"name".to_vec()));
        assert!(anna.download(file) == content(seed, 600));
    }
    house.stop();
}

#[test]
fn chunks_of_a_wrong_length_get_no_answer() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    for length in [512, 600] {
        let content = content(1, length);
        let (file, upload) = anna.begin_upload(length, b"name");
        let last = chunks(length) - 1;
        let rest = length - last as usize * 256;
        let wrong = [
            (0, 0),
            (0, 1),
            (0, 255),
            (last, 0),
            (last, rest - 1),
            (last, (rest + 1) % 257),
            (last + 1, 1),
            (last + 1, 256),
            (u32::MAX, 1),
            (u32::MAX, 256),
        ];
        for (chunk, bytes) in wrong {
            anna.ask_in_vain(
                &house,
                &anna.upload_chunk(upload, chunk, &[9; 256][..bytes]),
            );
        }
        // None past the end is fine.
        for chunk in [last + 1, last + 2, 1 << 24, u32::MAX] {
            anna.ask(&anna.upload_chunk(upload, chunk, &[]));
        }
        assert!(!anna.files().contains(&file));
        anna.put_all(upload, &content, 0..=last);
        assert!(anna.download(file) == content);
        // Repeated ones are acknowledged again, also when the file is complete.
        anna.put_all(upload, &content, 0..=last + 1);
        assert!(anna.download(file) == content);
    }
    assert_eq!(anna.files().len(), 2);
    house.stop();
}

#[test]
fn a_repeated_download_request_gets_the_same_transaction() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let mut ben = Client::join(&house, "ben");
    let file = anna.upload(b"file", &content(1, 512));
    let download = anna.begin_download(file);
    assert_eq!(Kind::of(download), Some(Kind::Download));
    assert_eq!(anna.begin_download(file), download);
    anna.get(download, 0);
    assert_eq!(anna.begin_download(file), download);
    assert_ne!(ben.begin_download(file), download);
    assert_eq!(house.packet_census().downloads, 2);
    // Past the end there is nothing.
    for chunk in [2, 3, 1 << 24, u32::MAX] {
        assert_eq!(anna.get(download, chunk), b"");
    }
    let empty = anna.upload(b"empty", b"");
    let download = anna.begin_download(empty);
    for chunk in [0, 1] {
        assert_eq!(anna.get(download, chunk), b"");
    }
    house.stop();
}

#[test]
fn a_file_s_name_is_data_and_never_a_path() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    // Nobody else's.
    let own = house.folder().file_name().unwrap().to_string_lossy();
    let evil = format!("evil{own}");
    let names: Vec<Vec<u8>> = [
        format!("../{evil}"),
        format!("../../{evil}"),
        format!(
            "../../../../../../../..{}/{evil}",
            std::env::temp_dir().display()
        ),
        format!("{}/{evil}", std::env::temp_dir().display()),
        format!("{}/{evil}", house.folder().display()),
        format!("{evil}/../../x"),
        format!("{evil}\0.txt"),
        format!("..\\{evil}"),
        format!("{evil}\r\n\x1b[2J"),
        format!("'; DROP TABLE files; -- {evil}"),
        "../../etc/passwd".into(),
        "..".into(),
        ".".into(),
        "/".into(),
        "house.db".into(),
    ]
    .into_iter()
    .map(String::into_bytes)
    .chain([b"\xff\xfe\x80 \0".to_vec(), vec![b'x'; MAX_FILE_NAME]])
    .collect();
    let mut files = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let content = content(n as u64, 300);
        let (file, upload) = anna.begin_upload(300, name);
        anna.put_all(upload, &content, 0..2);
        for numbering in NUMBERINGS {
            anna.numbering = numbering;
            assert_eq!(anna.file_data(file), (300, name.clone()));
        }
        assert!(anna.download(file) == content);
        files.push(file);
    }
    anna.send_in_vain(
        &house,
        &anna.upload_request(1, &[b'x'; MAX_FILE_NAME + 1]).packet(),
    );
    assert_eq!(anna.files(), files);
    assert_eq!(listed(&house.data()).len(), files.len());

    let inside = paths(house.folder());
    assert!(
        !inside.iter().any(|path| path.contains(&evil)),
        "{inside:?}"
    );
    assert!(!inside.iter().any(|path| path.ends_with("passwd")));
    let mut top: Vec<_> = fs::read_dir(house.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    top.sort();
    assert_eq!(top, ["data", "ready", "videos"]);
    assert!(!std::env::temp_dir().join(&evil).exists());
    // Contents are called by their numbers.
    let mut contents: Vec<_> = fs::read_dir(house.data().join("files"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    contents.sort();
    let mut expected: Vec<_> = files.iter().map(|file| format!("{file:016x}")).collect();
    expected.sort();
    assert_eq!(contents, expected);
    house.stop();
}

/// Transfers as the old client for the document does them: one chunk at a time, each waited for the same
/// time before it is asked for again, and one chunk more than there is of a file that fills its last one.
#[test]
fn the_document_s_old_client_goes_up_and_down() {
    let house = House::open_empty(&[]);
    let mut old = Client::join(&house, "old");
    old.numbering = Numbering::Document;
    old.repeat = Duration::from_secs(1);
    for size in [0, 1, 256, 700, 1024] {
        let content = content(3, size);
        let count = u32::try_from(size / 256 + 1).unwrap();
        let name = format!("{size}.bin");
        let (file, upload) = old.begin_upload(size, name.as_bytes());
        for chunk in 0..count {
            let request = old.chunk_of(upload, chunk, &content);
            old.ask(&request);
        }
        let (size_told, name_told) = old.file_data(file);
        assert_eq!((size_told as usize, name_told), (size, name.into_bytes()));
        let download = old.begin_download(file);
        let mut came = Vec::new();
        for chunk in 0..size_told / 256 + 1 {
            came.extend(old.get(download, chunk));
        }
        assert!(came == content, "{size}");
    }
    house.stop();
}

#[test]
fn the_operator_sees_and_adds_files_while_the_house_is_open() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    assert_eq!(listed(&house.data()).len(), 0);
    let content_of_first = content(1, 1000);
    let first = anna.upload(b"a b.txt", &content_of_first);
    let list = listed(&house.data());
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].number(), first);
    assert_eq!(list[0].name, "a b.txt");
    assert_eq!(list[0].size, 1000);
    assert_eq!(list[0].sha256, sha256(&content_of_first));

    let outside = tempfile::tempdir().unwrap();
    let path = outside.path().join("added.bin");
    let content_of_second = content(2, 3000);
    fs::write(&path, &content_of_second).unwrap();
    run_files(&house.data(), &["add", path.to_str().unwrap()]);
    let second = wait_for("the added file", || {
        anna.files().into_iter().find(|file| *file != first)
    });
    assert_eq!(anna.files(), [first, second]);
    assert_eq!(anna.file_data(second), (3000, b"added.bin".to_vec()));
    assert!(anna.download(second) == content_of_second);
    let list = listed(&house.data());
    assert_eq!(list.len(), 2);
    assert_eq!(list[1].number(), second);
    assert_eq!(list[1].sha256, sha256(&content_of_second));

    run_files(&house.data(), &["remove", &format!("{first:016x}")]);
    wait_for("the removed file's end", || {
        (anna.files() == [second]).then_some(())
    });
    house.stop();
}

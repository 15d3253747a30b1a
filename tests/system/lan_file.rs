//! lan_file: whole files, byte for byte, beside clients that stop, leave or send; and what is no whole file
//! never looks like one.

use std::fs::{self, File};
use std::io::Write;
use std::net::Shutdown;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::lan_support::contents::{Comparison, Content};
use crate::lan_support::fetchers::{End, Fetcher, fetch, fetch_large, open_with_offer};
use crate::lan_support::{lines_of, open_files, untaken_by, wait_connections, wait_line};
use crate::live_support::ports::rss_kib;
use crate::support::wait_for;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
/// More than what sockets hold of it.
const LONG: Content = Content {
    size: 64 * MIB + 1,
    version: 1,
};

/// A folder for a file, and the path of that.
fn shelf() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.bin");
    (folder, path)
}

// Byte for byte

#[test]
fn files_of_any_size_arrive_whole() {
    let (_folder, path) = shelf();
    Content::new(0).write(&path);
    let house = open_with_offer(&path, &[]);
    for size in [0, 1, 1023, 1024, 65_537, MIB, 1_234_567] {
        let content = Content::new(size);
        content.replace(&path);
        assert!(fetch(&house) == content.bytes(), "{size} bytes");
    }
    wait_connections(&house, 0);
    house.assert_left_empty();
}

#[test]
fn a_gibibyte_arrives_whole_at_one_and_at_eight() {
    let (_folder, path) = shelf();
    let content = Content::new(1 << 30);
    content.write(&path);
    let house = open_with_offer(&path, &[]);
    let before = rss_kib(house.pid());
    fetch_large(&house, content);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| fetch_large(&house, content));
        }
    });
    let growth = rss_kib(house.pid()).saturating_sub(before);
    assert!(growth < 64 * 1024, "{growth} KiB more");
    house.assert_left_empty();
}

/// A file system in memory does not tell what it has there, so that everything is read by other threads.
#[test]
fn a_file_that_has_to_be_read_first_arrives_whole() {
    let folder = match tempfile::tempdir_in("/dev/shm") {
        Ok(folder) => folder,
        Err(_) => tempfile::tempdir().unwrap(),
    };
    let path = folder.path().join("film.bin");
    LONG.write(&path);
    let house = open_with_offer(&path, &[("LIMITS__STALL_S", "5")]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| fetch_large(&house, LONG));
        }
    });
    house.assert_left_empty();
}

#[test]
fn whoever_stops_or_leaves_is_alone_with_it() {
    let (_folder, path) = shelf();
    LONG.write(&path);
    let house = open_with_offer(&path, &[]);
    let stopped = Fetcher::connect_narrow(&house);
    let mut comparison = Comparison::new(LONG);
    stopped.begin(&mut comparison);
    let leaving = Fetcher::connect_narrow(&house);
    leaving.begin(&mut Comparison::new(LONG));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| fetch_large(&house, LONG));
        }
        let peer = leaving.address();
        drop(leaving);
        wait_line(&house, peer, &["left"]);
    });
    assert!(lines_of(&house, stopped.address(), &["left"]).is_empty());
    stopped.finish(comparison, LONG);
    drop(stopped);
    house.assert_left_empty();
}

#[test]
fn a_client_that_is_to_send_nothing_gets_the_file_whatever_it_sends() {
    let (_folder, path) = shelf();
    let content = Content::new(16 * MIB + 7);
    content.write(&path);
    let house = open_with_offer(&path, &[]);

    // It closes its side at once.
    let client = Fetcher::connect(&house);
    client.stream.shutdown(Shutdown::Write).unwrap();
    client.finish(Comparison::new(content), content);

    // It says something, and reads only then.
    let client = Fetcher::connect(&house);
    (&client.stream)
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .unwrap();
    client.finish(Comparison::new(content), content);

    // It doesn't stop talking.
    let client = Fetcher::connect(&house);
    let done = AtomicBool::new(false);
    let mut stream = client.stream.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let garbage = [0xA5; 8192];
            while !done.load(Ordering::Relaxed) {
                // An error means that the server has closed, and is seen by who reads.
                if stream.write_all(&garbage).is_err() {
                    break;
                }
            }
        });
        client.finish(Comparison::new(content), content);
        done.store(true, Ordering::Relaxed);
    });
    drop((client, stream));
    house.assert_left_empty();
}

// Files that change

#[test]
fn a_file_that_is_replaced_is_sent_as_it_was() {
    let (_folder, path) = shelf();
    LONG.write(&path);
    let house = open_with_offer(&path, &[]);
    let early = Fetcher::connect_narrow(&house);
    let mut comparison = Comparison::new(LONG);
    early.begin(&mut comparison);
    let newer = Content {
        size: 3 * MIB + 5,
        version: 2,
    };
    newer.replace(&path);
    fetch_large(&house, newer);
    early.finish(comparison, LONG);
    // And one that is removed.
    let early = Fetcher::connect_narrow(&house);
    let mut comparison = Comparison::new(newer);
    early.begin(&mut comparison);
    fs::remove_file(&path).unwrap();
    early.finish(comparison, newer);
    assert_eq!(fetch(&house), b"", "nothing is there any more");
    drop(early);
    house.assert_left_empty();
}

#[test]
fn a_file_that_changes_while_it_is_sent_does_not_end_well() {
    let (_folder, path) = shelf();
    LONG.write(&path);
    let house = open_with_offer(&path, &[]);
    let changes: [(&str, &dyn Fn()); 4] = [
        ("overwritten", &|| {
            Content { version: 2, ..LONG }.overwrite(&path);
        }),
        ("cut", &|| {
            let file = File::options().write(true).open(&path).unwrap();
            file.set_len(LONG.size - 1).unwrap();
        }),
        ("emptied", &|| drop(File::create(&path).unwrap())),
        ("longer", &|| {
            let mut file = File::options().append(true).open(&path).unwrap();
            file.write_all(b"one more line\n").unwrap();
        }),
    ];
    for (what, change) in changes {
        LONG.write(&path);
        let client = Fetcher::connect_narrow(&house);
        client.begin(&mut Comparison::new(LONG));
        change();
        client.assert_broken_off();
        let words = ["WARN", "broken off", "written to"];
        let line = wait_line(&house, client.address(), &words);
        assert!(line["bytes"].as_u64() < Some(LONG.size), "{what}: {line}");
    }
    // The next one gets what is there now.
    let content = Content::new(MIB);
    content.write(&path);
    fetch_large(&house, content);
    house.assert_left_empty();
}

/// As `cp` over it does: who comes between two writes sees a file that looks as good as any.
#[test]
fn a_file_that_is_still_being_written_is_not_taken_for_whole() {
    let (_folder, path) = shelf();
    Content::new(MIB).write(&path);
    let house = open_with_offer(&path, &[]);
    let whole = vec![b'w'; 4 * MIB as usize];
    let mut file = File::create(&path).unwrap();
    let clients: Vec<Fetcher> = whole
        .chunks(whole.len() / 8)
        .map(|piece| {
            file.write_all(piece).unwrap();
            let client = Fetcher::connect(&house);
            // So that it is given what there is.
            client.stream.peek(&mut [0]).unwrap();
            client
        })
        .collect();
    let ends: Vec<_> = clients.iter().map(Fetcher::rest).collect();
    for (bytes, end) in ends {
        assert!(end == End::Reset || bytes == whole, "{} bytes", bytes.len());
    }
    assert!(fetch(&house) == whole);
}

#[test]
fn a_change_of_what_is_on_its_way_is_never_taken_for_the_file() {
    let (_folder, path) = shelf();
    let content = Content::new(MIB / 4);
    content.write(&path);
    let house = open_with_offer(&path, &[]);
    for _ in 0..5 {
        content.replace(&path);
        let client = Fetcher::connect_narrow(&house);
        // All of it is with the system, and hardly any of it has been taken.
        wait_for("the end of the file", || {
            (untaken_by(&client.stream) > content.size / 2).then_some(())
        });
        Content {
            version: 2,
            ..content
        }
        .overwrite(&path);
        let (bytes, end) = client.rest();
        assert!(
            end == End::Reset || bytes == content.bytes(),
            "another file, and a clean end"
        );
    }
    house.stop();
}

// Servers that end

#[test]
fn a_server_that_ends_leaves_no_part_that_looks_like_a_file() {
    let (_folder, path) = shelf();
    LONG.write(&path);
    for kill in [false, true] {
        let mut house = open_with_offer(&path, &[]);
        let clients: Vec<Fetcher> = (0..3).map(|_| Fetcher::connect_narrow(&house)).collect();
        for client in &clients {
            client.begin(&mut Comparison::new(LONG));
        }
        if kill {
            house.kill();
        } else {
            house.terminate();
        }
        for client in &clients {
            client.assert_broken_off();
        }
    }
}

#[test]
fn whoever_is_refused_does_not_see_an_empty_file() {
    let (_folder, path) = shelf();
    LONG.write(&path);
    let house = open_with_offer(&path, &[("SERVER__MAX_CONNECTIONS", "1")]);
    let client = Fetcher::connect_narrow(&house);
    client.begin(&mut Comparison::new(LONG));
    Fetcher::connect(&house).assert_broken_off();
    drop(client);
    wait_connections(&house, 0);
    fetch_large(&house, LONG);
}

#[test]
fn whoever_takes_nothing_for_too_long_is_let_go() {
    let (_folder, path) = shelf();
    LONG.write(&path);
    let house = open_with_offer(&path, &[("LIMITS__STALL_S", "1")]);
    let client = Fetcher::connect_narrow(&house);
    client.begin(&mut Comparison::new(LONG));
    wait_line(
        &house,
        client.address(),
        &["WARN", "nothing was read for 1 s"],
    );
    client.assert_broken_off();
    house.assert_left_empty();
}

// What it takes

#[test]
fn clients_that_stop_take_little_and_leave_nothing() {
    const STOPPED: usize = 200;
    let (_folder, path) = shelf();
    LONG.write(&path);
    let house = open_with_offer(&path, &[]);
    // So that all that is made once is there.
    fetch_large(&house, LONG);
    wait_connections(&house, 0);
    let (memory, files) = (rss_kib(house.pid()), open_files(house.pid()));
    let stopped: Vec<Fetcher> = (0..STOPPED)
        .map(|_| Fetcher::connect_narrow(&house))
        .collect();
    for client in &stopped {
        client.begin(&mut Comparison::new(LONG));
    }
    fetch_large(&house, LONG);
    wait_connections(&house, STOPPED as u64);
    let growth = rss_kib(house.pid()).saturating_sub(memory);
    assert!(growth < 24 * 1024, "{growth} KiB for {STOPPED} clients");
    drop(stopped);
    wait_connections(&house, 0);
    wait_for("files to be closed", || {
        (open_files(house.pid()) <= files).then_some(())
    });
    house.assert_left_empty();
}

//! packetchat's limits, and what outlives the server.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::packetchat_support::{
    Client, ELSEWHERE, HOME, SHORT_SESSIONS, assert_logged_once, chunks, content, paths, sorted,
};
use crate::support::{House, PacketCensus, playhouse, wait_for};
use playhouse_protocols::packetchat::{Request, Response};

#[test]
fn whoever_has_only_asked_for_a_session_gets_a_little_and_the_rest_later() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    // The cookie shows that ben is there; no packet of ben's carries it.
    let mut ben = Client::join(&house, "ben");
    let long = [b'x'; 60_000];
    for number in 0..10 {
        anna.ask(&anna.broadcast(number, &long));
    }
    // Repeats count, too.
    let mut came = vec![ben.hear(), ben.hear()];
    ben.hear_nothing();
    ben.preserve();
    let mut numbers = std::collections::BTreeSet::new();
    while numbers.len() < 10 {
        for message in came.drain(..) {
            ben.received(&message);
            numbers.insert(message.message);
        }
        if numbers.len() < 10 {
            came.push(ben.hear());
        }
    }
    house.stop();
}

#[test]
fn even_empty_files_take_place() {
    let house = House::open_empty(&[("FILES__QUOTA_MB", "1")]);
    let mut anna = Client::join(&house, "anna");
    let name = |n: u32| n.to_string().into_bytes();
    for n in 0..256 {
        anna.begin_upload(0, &name(n));
    }
    let request = anna.upload_request(0, b"one more");
    anna.ask_in_vain(&house, &request);
    assert_logged_once(&house, "files.quota_mb");
    assert_eq!(anna.files().len(), 256);
    house.stop();
}

#[test]
fn all_users_together_have_so_many_bytes_of_messages_waiting() {
    let house = House::open_empty(&[("PACKETCHAT__BACKLOG_MB", "1")]);
    let mut anna = Client::join(&house, "anna");
    let mut ben = Client::join(&house, "ben");
    ben.preserve();
    let text = vec![b'x'; 60_000];
    for number in 0..40 {
        anna.send(&anna.message(ben.user, number, &text));
    }
    wait_for("the limit", || {
        (house.packet_census().refused > 0).then_some(())
    });
    assert_logged_once(&house, "packetchat.backlog_mb");
    // What has arrived makes room again.
    let short = anna.message(ben.user, 99, b"short");
    loop {
        anna.send(&short);
        let message = ben.hear();
        ben.received(&message);
        if message.text == b"short" {
            break;
        }
    }
    anna.expect(&short);
    house.stop();
}

#[test]
fn one_address_has_so_many_sessions() {
    let house = House::open_empty(&[SHORT_SESSIONS, ("PACKETCHAT__SESSIONS_PER_ADDRESS", "2")]);
    let mut anna = Client::join(&house, "anna");
    let _ben = Client::join(&house, "ben");
    let mut third = Client::at(HOME, house.packetchat());
    let request = Request::Session { name: b"cleo" };
    let begun = Instant::now();
    for _ in 0..2 {
        third.ask_in_vain(&house, &request);
    }
    assert_logged_once(&house, "packetchat.sessions_per_address");
    let _elsewhere = Client::join_from(ELSEWHERE, house.packetchat(), "dora");
    // Whoever has a cookie gets it again, full house or not.
    assert_eq!(anna.cookie("anna"), (anna.user, anna.session));
    assert_eq!(house.packet_census().sessions, 3);
    // The places of those who are silent are free again.
    third.ask(&request);
    assert!(
        begun.elapsed() > Duration::from_millis(500),
        "it took a while"
    );
    house.stop();
}

#[test]
fn the_house_has_so_many_sessions() {
    let house = House::open_empty(&[("PACKETCHAT__MAX_SESSIONS", "2")]);
    let mut anna = Client::join(&house, "anna");
    let _ben = Client::join_from(ELSEWHERE, house.packetchat(), "ben");
    for ip in [HOME, ELSEWHERE] {
        let mut third = Client::at(ip, house.packetchat());
        third.ask_in_vain(&house, &Request::Session { name: b"cleo" });
    }
    assert_logged_once(&house, "packetchat.max_sessions");
    assert_eq!(house.packet_census().sessions, 2);
    anna.preserve();
    house.stop();
}

#[test]
fn one_address_sends_so_many_packets() {
    const PACKETS: u64 = 200;
    let house = House::open_empty(&[("PACKETCHAT__PACKETS_PER_S", "20")]);
    let mut anna = Client::join(&house, "anna");
    let before = house.packet_census();
    let preserve = anna.preserve_request();
    for _ in 0..PACKETS {
        anna.send(&preserve);
    }
    // The others don't notice.
    let mut ben = Client::join_from(ELSEWHERE, house.packetchat(), "ben");
    ben.preserve();
    let after = wait_for("the limit", || {
        let census = house.packet_census();
        (census.refused - before.refused >= PACKETS / 2).then_some(census)
    });
    // Each packet is answered or refused.
    let sent = after.sent - before.sent;
    assert!(sent <= PACKETS / 2 + 10, "{after:?}");
    assert_logged_once(&house, "packetchat.packets_per_s");
    // And soon she is served again, at a quiet pace.
    anna.ask(&preserve);
    house.stop();
}

#[test]
fn a_file_has_so_many_bytes() {
    let house = House::open_empty(&[("FILES__MAX_FILE_MB", "1")]);
    let mut anna = Client::join(&house, "anna");
    for size in [(1 << 20) + 1, u32::MAX] {
        anna.ask_in_vain(&house, &anna.upload_request(size, b"large"));
    }
    assert_logged_once(&house, "files.max_file_mb");
    anna.begin_upload(1 << 20, b"just right");
    assert_eq!(house.packet_census().uploads, 1);
    house.stop();
}

#[test]
fn all_files_have_so_many_bytes() {
    let house = House::open_empty(&[("FILES__QUOTA_MB", "1")]);
    let mut anna = Client::join(&house, "anna");
    let first = anna.upload(b"first", &content(1, 600_000));
    for _ in 0..2 {
        anna.ask_in_vain(&house, &anna.upload_request(600_000, b"second"));
    }
    assert_logged_once(&house, "files.quota_mb");
    let second = anna.upload(b"small", &content(2, 300_000));
    assert_eq!(anna.files(), [first, second]);
    let census = house.packet_census();
    assert_eq!((census.files, census.bytes), (2, 900_000));
    house.stop();
}

#[test]
fn the_disk_keeps_so_many_free_bytes() {
    // More than any disk has.
    let house = House::open_empty(&[("FILES__MIN_FREE_MB", "1000000000000")]);
    let mut anna = Client::join(&house, "anna");
    for _ in 0..2 {
        anna.ask_in_vain(&house, &anna.upload_request(1, b"one byte"));
    }
    assert_logged_once(&house, "files.min_free_mb");
    house.stop();
}

#[test]
fn one_address_has_so_many_transfers() {
    let house = House::open_empty(&[("FILES__TRANSFERS_PER_ADDRESS", "2")]);
    let mut anna = Client::join(&house, "anna");
    let file = anna.upload(b"file", &content(1, 10));
    let download = anna.begin_download(file);
    let (_, upload) = anna.begin_upload(10, b"other");
    let other = anna.upload_request(11, b"third");
    let mut ben = Client::join(&house, "ben");
    for _ in 0..2 {
        anna.ask_in_vain(&house, &other);
        ben.ask_in_vain(&house, &ben.download_request(file));
    }
    assert_logged_once(&house, "files.transfers_per_address");
    let census = house.packet_census();
    assert_eq!((census.uploads, census.downloads), (1, 1));
    // Those that are under way go on, also when they are asked for again.
    assert_eq!(anna.begin_download(file), download);
    assert_eq!(anna.get(download, 0), content(1, 10));
    let mut elsewhere = Client::join_from(ELSEWHERE, house.packetchat(), "cleo");
    assert_eq!(elsewhere.download(file), content(1, 10));
    // A complete upload gives its place back.
    anna.put_all(upload, &content(2, 10), 0..1);
    anna.ask(&other);
    house.stop();
}

/// What the disk holds for all that is in `folder`, in bytes.
fn disk_usage(folder: &Path) -> u64 {
    let used = |path: &String| fs::metadata(path).unwrap().blocks() * 512;
    paths(folder).iter().map(used).sum()
}

#[test]
fn a_claimed_size_takes_no_room() {
    let house = House::open_empty(&[("FILES__MAX_FILE_MB", "4096")]);
    let mut anna = Client::join(&house, "anna");
    let size = u32::MAX as usize;
    let (_, upload) = anna.begin_upload(size, b"giant");
    anna.ask(&anna.upload_chunk(upload, chunks(size) - 1, &[7; 255]));
    anna.ask(&anna.upload_chunk(upload, 0, &[7; 256]));
    let used = disk_usage(&house.data());
    assert!(used < 1 << 20, "{used}");
    assert_eq!(house.packet_census().uploads, 1);
    house.stop();
}

#[test]
fn an_upload_that_nobody_goes_on_with_is_forgotten() {
    let house = House::open_empty(&[("FILES__UPLOAD_EXPIRY_S", "1")]);
    let mut anna = Client::join(&house, "anna");
    let content = content(1, 700);
    let (file, upload) = anna.begin_upload(content.len(), b"half");
    anna.put_all(upload, &content, 0..2);
    let latest = Instant::now();
    wait_for("the upload's end", || {
        anna.preserve();
        (house.packet_census().uploads == 0).then_some(())
    });
    assert!(latest.elapsed() > Duration::from_secs(1));
    anna.ask_in_vain(&house, &anna.chunk_of(upload, 2, &content));
    wait_for("the removal of what had come", || {
        let left = fs::read_dir(house.data().join("uploads")).unwrap().count();
        (left == 0).then_some(())
    });
    assert!(!anna.files().contains(&file));
    house.stop();
}

// Restarts

#[test]
fn everything_goes_on_after_a_restart() {
    for kill in [true, false] {
        let mut house = House::open_empty(&[]);
        let mut anna = Client::join(&house, "anna");
        let mut second = Client::join(&house, "anna");
        let (old, new) = (content(1, 20_000), content(2, 20_000));
        let file = anna.upload(b"old", &old);
        let download = anna.begin_download(file);
        let mut came = anna.get_all(download, 0..40);
        let upload = anna.begin_upload(new.len(), b"new");
        let untouched = second.begin_upload(new.len(), b"untouched");
        anna.put_all(upload.1, &new, 20..60);
        let before = house.packet_census();
        match kill {
            true => house.kill(),
            false => house.terminate(),
        }
        house.reopen();

        // Sessions, users, names.
        anna.preserve();
        second.preserve();
        assert_eq!(anna.users(), sorted([anna.user, second.user, anna.bot()]));
        assert_eq!(second.name_of(anna.user), "anna");
        assert_eq!(anna.name_of(second.user), "anna-2");
        let mut third = Client::join(&house, "anna");
        assert_eq!(third.name_of(third.user), "anna-3");
        assert_eq!(anna.cookie("anna"), (anna.user, anna.session));
        let after = house.packet_census();
        assert_eq!(after.sessions, before.sessions + 1);
        let transfers = |census: &PacketCensus| (census.uploads, census.downloads);
        assert_eq!(transfers(&after), transfers(&before));
        assert_eq!((after.files, after.bytes), (1, 20_000));
        // Messages.
        let request = anna.message(second.user, 1, b"still here?");
        anna.send(&request);
        let message = second.hear();
        assert_eq!(message.text, b"still here?");
        second.received(&message);
        anna.expect(&request);
        // Files: what was acknowledged is not sent again.
        assert_eq!(anna.files(), [file]);
        assert_eq!(anna.begin_download(file), download);
        came.extend(anna.get_all(download, 40..chunks(old.len())));
        assert!(came == old);
        anna.put_all(upload.1, &new, (0..20).chain(60..chunks(new.len())));
        assert_eq!(second.begin_upload(new.len(), b"untouched"), untouched);
        second.put_all(untouched.1, &new, 0..chunks(new.len()));
        assert_eq!(anna.files(), [file, upload.0, untouched.0]);
        for file in [upload.0, untouched.0] {
            assert!(third.download(file) == new);
        }
        house.stop();
    }
}

#[test]
fn a_file_that_is_there_is_not_taken_for_its_namesake_after_a_restart() {
    let mut house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let first = anna.upload(b"note", b"first");
    house.kill();
    house.reopen();
    let second = anna.upload(b"note", b"other");
    assert_ne!(first, second);
    assert_eq!(anna.files(), [first, second]);
    assert_eq!(anna.download(first), b"first");
    assert_eq!(anna.download(second), b"other");
    house.stop();
}

#[test]
fn files_without_the_database_that_knows_them_are_left_alone() {
    let mut house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let file = anna.upload(b"kept", b"kept");
    house.terminate();
    let moved = house.folder().join("house.db");
    fs::rename(house.data().join("house.db"), &moved).unwrap();
    let output = second_server(&house).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.lines().last().unwrap().contains("house.db is missing"),
        "{said}"
    );
    fs::rename(moved, house.data().join("house.db")).unwrap();
    house.reopen();
    assert_eq!(anna.download(file), b"kept");
    house.stop();
}

#[test]
fn sessions_end_in_time_after_a_restart_too() {
    let mut house = House::open_empty(&[SHORT_SESSIONS]);
    let _anna = Client::join(&house, "anna");
    house.kill();
    house.reopen();
    let mut ben = Client::join(&house, "ben");
    let left = sorted([ben.user, ben.bot()]);
    wait_for("anna's end", || (ben.users() == left).then_some(()));
    assert_eq!(house.packet_census().sessions, 1);
    house.stop();
}

#[test]
fn a_second_server_on_the_same_data_does_not_start() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let output = second_server(&house).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.contains("server.data_dir"), "{said}");
    anna.preserve();
    anna.upload(b"still", b"works");
    house.stop();
}

fn second_server(house: &House) -> Command {
    let mut command = playhouse();
    command
        .args(["serve", "--bind", "127.0.0.1", "--videos"])
        .arg(house.folder().join("videos"))
        .arg("--data")
        .arg(house.data())
        .envs(
            [
                "VIDEOCHAT",
                "CHATROOM",
                "PACKETCHAT",
                "TUMIP",
                "LAN_FILE",
                "LAN_CHAT",
                "LAN_AUDIO",
                "LAN_VIDEO",
            ]
            .map(|service| (format!("PLAYHOUSE__{service}__PORT"), "0")),
        )
        .stdout(Stdio::null());
    command
}

#[test]
fn a_house_closes_though_sessions_and_transfers_are_open() {
    let mut house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let ben = Client::join(&house, "ben");
    anna.begin_upload(600, b"open");
    // On its way, and not acknowledged.
    anna.send(&anna.message(ben.user, 1, b"hello"));
    let cookie = Response::Cookie {
        user: anna.user,
        session: anna.session,
    };
    assert_eq!(anna.ask(&anna.preserve_request()).read(), cookie);
    let asked = Instant::now();
    house.terminate();
    assert!(asked.elapsed() < Duration::from_secs(5));
}

//! packetchat over real UDP sockets: each rule of the protocol, of the limits, and of what outlives the
//! server.

mod packetchat_support;
mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use packetchat_support::{
    Client, ELSEWHERE, HOME, Incoming, Random, SILENCE, chunks, content, listed, run_files, sha256,
};
use playhouse_protocols::packetchat::{
    Kind, MAX_FILE_NAME, MAX_TEXT, Numbering, Request, Response,
};
use serde_json::Value;
use support::{House, OldVideochat, PATIENCE, PacketCensus, key, playhouse, wait_for};

const NUMBERINGS: [Numbering; 2] = [Numbering::Document, Numbering::Client];
/// A session ends when it is silent for a second.
const SHORT_SESSIONS: (&str, &str) = ("PACKETCHAT__SESSION_TIMEOUT_S", "1");
/// How often somebody says something who is to stay in a house with short sessions.
const SIGN_OF_LIFE: Duration = Duration::from_millis(100);

/// The log's lines about packets without an answer that name this rule.
fn refusals(house: &House, rule: &str) -> Vec<Value> {
    let log = house.log();
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["message"] == "no answer")
        .filter(|line| line["rule"].as_str().unwrap().contains(rule))
        .collect()
}

/// However often this limit was reached, the log has one warning that names its key.
fn assert_logged_once(house: &House, key: &str) {
    let lines = refusals(house, key);
    assert_eq!(lines.len(), 1, "{key}: {lines:?}");
    assert_eq!(lines[0]["level"], "WARN");
}

fn sorted<const N: usize>(mut numbers: [u64; N]) -> [u64; N] {
    numbers.sort_unstable();
    numbers
}

// Sessions and users

#[test]
fn a_repeated_request_gets_the_same_cookie() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let cookie = (anna.user, anna.session);
    assert_eq!(anna.cookie("anna"), cookie);
    assert_eq!(Kind::of(anna.user), Some(Kind::User));
    assert_eq!(Kind::of(anna.session), Some(Kind::Session));
    anna.preserve();
    assert_eq!(house.packet_census().sessions, 1);
    // Another name is another user's, and so is another port.
    let other_name = anna.cookie("ben");
    let other_port = Client::join(&house, "anna");
    assert_ne!(other_name.0, cookie.0);
    assert_ne!(other_name.1, cookie.1);
    assert_ne!((other_port.user, other_port.session), cookie);
    assert_eq!(house.packet_census().sessions, 3);
    assert_eq!(anna.name_of(other_port.user), "anna-2");
    house.stop();
}

#[test]
fn a_name_is_unique_in_the_house() {
    let house = House::open_empty(&[]);
    let first = OldVideochat::join(&house, "anna", key(2048, 0));
    assert_eq!(first.name, "anna");
    let mut second = Client::join(&house, "anna");
    assert_eq!(second.name_of(second.user), "anna-2");
    let mut third = Client::join(&house, "anna");
    assert_eq!(third.name_of(third.user), "anna-3");
    let mut ben = Client::join(&house, "ben");
    assert_eq!(ben.name_of(ben.user), "ben");
    let other_ben = OldVideochat::join(&house, "ben", key(2048, 1));
    assert_eq!(other_ben.name, "ben-2");
    // A list has the users of one service.
    assert_eq!(ben.users(), sorted([second.user, third.user, ben.user]));
}

#[test]
fn names_follow_the_rules() {
    let house = House::open_empty(&[]);
    let mut client = Client::at(HOME, house.packetchat());
    let long = "🎭".repeat(65);
    for name in [
        b"".as_slice(),
        b" \r\n",
        b"an\x1bna",
        b"an\0na",
        b"an\xffna",
        long.as_bytes(),
        &[b'x'; 65],
        &[b'x'; 60_000],
    ] {
        client.ask_in_vain(&house, &Request::Session { name });
    }
    assert_eq!(house.packet_census().sessions, 0);
    for (given, name) in [
        (&long[4..], &long[4..]),
        (" Zoë \r\n", "Zoë"),
        ("a b", "a b"),
    ] {
        (client.user, client.session) = client.cookie(given);
        assert_eq!(client.name_of(client.user), name);
    }
}

#[test]
fn everyone_sees_everyone_and_oneself() {
    let house = House::open_empty(&[]);
    let names = ["anna", "ben", "cleo"];
    let mut clients = names.map(|name| Client::join(&house, name));
    let users = [0, 1, 2].map(|n| clients[n].user);
    for client in &mut clients {
        assert_eq!(client.users(), sorted(users));
        for (user, name) in users.into_iter().zip(names) {
            assert_eq!(client.name_of(user), name);
        }
    }
}

#[test]
fn whoever_is_silent_is_gone_and_whoever_preserves_stays() {
    let house = House::open_empty(&[SHORT_SESSIONS]);
    let mut ben = Client::join(&house, "ben");
    let mut cleo = Client::join(&house, "cleo");
    let mut anna = Client::join(&house, "anna");
    let latest = Instant::now();
    let until = latest + Duration::from_millis(2500);
    let mut gone = None;
    while gone.is_none() || Instant::now() < until {
        ben.preserve();
        let users = cleo.users();
        assert!(users.contains(&ben.user) && users.contains(&cleo.user));
        if !users.contains(&anna.user) {
            gone.get_or_insert_with(|| latest.elapsed());
        }
        assert!(latest.elapsed() < PATIENCE, "anna stays");
        thread::sleep(SIGN_OF_LIFE);
    }
    assert!(gone > Some(Duration::from_secs(1)), "{gone:?}");
    let user = anna.user;
    anna.ask_in_vain(&house, &anna.preserve_request());
    let session = cleo.session;
    cleo.ask_in_vain(&house, &Request::UserData { session, user });
    assert_eq!(house.packet_census().sessions, 2);
    // And her name is free.
    let mut other = Client::join(&house, "anna");
    assert_eq!(other.name_of(other.user), "anna");
    house.stop();
}

#[test]
fn chunks_alone_keep_a_session() {
    let house = House::open_empty(&[SHORT_SESSIONS]);
    let mut anna = Client::join(&house, "anna");
    let file = anna.upload(b"file", &content(1, 600));
    let mut ben = Client::join(&house, "ben");
    let download = anna.begin_download(file);
    let (_, upload) = ben.begin_upload(600, b"other");
    let until = Instant::now() + Duration::from_millis(2500);
    while Instant::now() < until {
        assert_eq!(anna.get(download, 1).len(), 256);
        ben.put_all(upload, &content(1, 600), [1].into_iter());
        thread::sleep(SIGN_OF_LIFE);
    }
    anna.preserve();
    ben.preserve();
    assert_eq!(anna.users(), sorted([anna.user, ben.user]));
}

#[test]
fn unknown_numbers_get_no_answer() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let file = anna.upload(b"file", b"content");
    let (_, upload) = anna.begin_upload(300, b"other");
    let download = anna.begin_download(file);
    let own = anna.session;
    let known = [own, anna.user, file, upload, download];
    let unknown = [0, 1, u64::MAX, own ^ 1, file ^ 1, upload ^ 1, download ^ 1];
    for number in unknown.into_iter().chain(known) {
        let mut requests = Vec::new();
        if number != own {
            anna.session = number;
            requests.extend([
                Request::Preserve { session: number },
                Request::Users { session: number },
                Request::UserData {
                    session: number,
                    user: anna.user,
                },
                anna.message(anna.user, 1, b"hi"),
                anna.broadcast(1, b"hi"),
                anna.files_request(),
                anna.file_data_request(file),
                anna.download_request(file),
                anna.upload_request(7, b"name"),
            ]);
            anna.session = own;
        }
        if number != anna.user {
            requests.extend([
                Request::UserData {
                    session: own,
                    user: number,
                },
                anna.message(number, 2, b"hi"),
            ]);
        }
        if number != file {
            requests.extend([
                anna.file_data_request(number),
                anna.download_request(number),
            ]);
        }
        if number != download {
            requests.push(anna.download_chunk(number, 0));
        }
        if number != upload {
            requests.push(anna.upload_chunk(number, 1, &[0; 44]));
        }
        for request in requests {
            anna.ask_in_vain(&house, &request);
        }
    }
    anna.hear_nothing();
    // Each rule is in the log once, and no more often.
    let mut rules: Vec<String> = refusals(&house, "")
        .iter()
        .map(|line| line["rule"].to_string())
        .collect();
    let all = rules.len();
    rules.sort();
    rules.dedup();
    assert!(all >= 1 && rules.len() == all, "{rules:?}");
    anna.preserve();
    house.stop();
}

#[test]
fn noise_gets_no_answer_and_harms_nobody() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let noise = Client::at(HOME, house.packetchat());
    let mut random = Random(1);
    // Half of them begin as packets do.
    let mut packets: Vec<Vec<u8>> = (0..500)
        .map(|n| {
            let length = usize::try_from(random.below(60)).unwrap();
            let mut packet = content(n, length);
            if random.chance(50) && length > 1 {
                packet[..2].copy_from_slice(&(random.below(30) as u16).to_be_bytes());
            }
            packet
        })
        .collect();
    packets.push(Vec::new());
    packets.push(vec![0; 65_507]);
    // No number that anybody has, or no packet at all; but never one that is answered: a session.
    packets.retain(|packet| !packet.starts_with(&[0, 1]));
    let before = house.packet_census().refused;
    for part in packets.chunks(50) {
        for packet in part {
            noise.send_bytes(packet);
        }
        // No more at once than a socket's buffer takes.
        anna.preserve();
    }
    let sent = packets.len() as u64;
    let census = wait_for("so many refusals", || {
        let census = house.packet_census();
        // Received messages are never answered, be they there or not.
        (census.refused - before > sent * 9 / 10).then_some(census)
    });
    assert_eq!(census.sessions, 1);
    anna.preserve();
    assert_eq!(anna.users(), [anna.user]);
    house.stop();
}

#[test]
fn a_session_belongs_to_its_address() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let file = anna.upload(b"file", &content(1, 600));
    let download = anna.begin_download(file);
    let (_, upload) = anna.begin_upload(600, b"other");
    let home = anna.move_to(ELSEWHERE);
    for request in [
        anna.preserve_request(),
        anna.message(anna.user, 1, b"hi"),
        anna.files_request(),
        anna.upload_request(600, b"other"),
        anna.download_chunk(download, 0),
        anna.upload_chunk(upload, 0, &[0; 256]),
    ] {
        anna.ask_in_vain(&house, &request);
    }
    assert_logged_once(&house, "packetchat.pin_address");
    let elsewhere = anna.replace_socket(home);
    anna.preserve();
    anna.hear_nothing();
    // Nothing was written, and nothing was sent to the other address.
    anna.put_all(upload, &content(2, 600), 0..3);
    let file = *anna.files().last().unwrap();
    assert_eq!(anna.download(file), content(2, 600));
    elsewhere.set_nonblocking(true).unwrap();
    assert!(elsewhere.recv(&mut [0; 10]).is_err());
}

#[test]
fn a_session_may_move_where_the_operator_lets_it() {
    let house = House::open_empty(&[("PACKETCHAT__PIN_ADDRESS", "false")]);
    let mut anna = Client::join(&house, "anna");
    let mut ben = Client::join(&house, "ben");
    let (file, upload) = anna.begin_upload(600, b"other");
    let _home = anna.move_to(ELSEWHERE);
    anna.preserve();
    anna.put_all(upload, &content(2, 600), 0..3);
    assert_eq!(anna.download(file), content(2, 600));
    let request = ben.message(anna.user, 1, b"hi");
    ben.send(&request);
    let message = anna.hear();
    anna.received(&message);
    ben.expect(&request);
}

#[test]
fn answers_go_where_the_packet_came_from_and_messages_follow() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let mut ben = Client::join(&house, "ben");
    let (file, upload) = anna.begin_upload(600, b"other");
    let request = ben.message(anna.user, 1, b"hi");
    ben.send(&request);
    let message = anna.hear();
    // While the message is on its way.
    let before = anna.move_to(HOME);
    anna.preserve();
    let again = anna.hear();
    assert_eq!(again.message, message.message);
    anna.received(&again);
    ben.expect(&request);
    anna.put_all(upload, &content(2, 600), 0..3);
    assert_eq!(anna.download(file), content(2, 600));
    // Back again.
    let _after = anna.replace_socket(before);
    anna.preserve();
    let request = ben.message(anna.user, 2, b"hi again");
    ben.send(&request);
    let message = loop {
        let message = anna.hear();
        if message.message != again.message {
            break message;
        }
    };
    assert_eq!(message.text, b"hi again");
}

#[test]
fn only_allowed_networks_are_served() {
    let house = House::open_empty(&[("SERVER__ALLOW", "127.0.0.1/32")]);
    let mut anna = Client::join(&house, "anna");
    let mut stranger = Client::at(ELSEWHERE, house.packetchat());
    for _ in 0..2 {
        stranger.ask_in_vain(&house, &Request::Session { name: b"ben" });
    }
    assert_logged_once(&house, "server.allow");
    assert_eq!(anna.users(), [anna.user]);
}

// Messages

#[test]
fn a_message_is_acknowledged_when_its_recipient_has_it_and_not_before() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let mut ben = Client::join(&house, "ben");
    let text = "Grüße, ben 🎭";
    let request = anna.message(ben.user, 7, text.as_bytes());
    anna.send(&request);
    let message = ben.hear();
    assert_eq!(message.sender, anna.user);
    assert_eq!(message.text, text.as_bytes());
    assert_eq!(Kind::of(message.message), Some(Kind::Message));
    anna.expect_silence(&request);
    ben.received(&message);
    anna.expect(&request);
    // What came again before it was acknowledged is the same message.
    while let Some(again) = ben.hear_by(Instant::now() + SILENCE) {
        assert_eq!(again.message, message.message);
    }
    // After that it does not come again: not on its own, and not if the sender repeats it.
    for _ in 0..3 {
        anna.ask(&request);
    }
    ben.received(&message);
    ben.hear_nothing();
    anna.expect_silence(&request);
    // Of another user the same number is another message.
    let mut cleo = Client::join(&house, "cleo");
    let request = cleo.message(ben.user, 7, b"from cleo");
    cleo.send(&request);
    let other = ben.hear();
    ben.received(&other);
    cleo.expect(&request);
    assert_eq!(
        (other.sender, &other.text[..]),
        (cleo.user, &b"from cleo"[..])
    );
    assert_ne!(other.message, message.message);
    // And so it is to another user, or to all.
    for request in [
        anna.message(cleo.user, 7, b"for cleo"),
        anna.broadcast(7, b"for all"),
    ] {
        anna.send(&request);
        let message = cleo.hear();
        cleo.received(&message);
        anna.expect(&request);
    }
    house.stop();
}

/// What comes of a message that nobody acknowledges: first, and five times more.
fn hear_unacknowledged(client: &mut Client, text: &[u8]) -> Vec<Incoming> {
    let mut heard: Vec<Incoming> = Vec::new();
    let mut others = Vec::new();
    while heard.len() < 6 {
        let message = client.hear();
        match message.text == text {
            true => heard.push(message),
            false => others.push(message),
        }
    }
    assert!(others.len() <= 6, "{others:?}");
    heard
}

#[test]
fn a_message_is_repeated_given_up_and_tried_again_under_its_number() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let mut ben = Client::join(&house, "ben");
    let request = anna.message(ben.user, 1, b"hello");
    // While it is on its way nothing happens if it is sent again.
    for _ in 0..5 {
        anna.send(&request);
    }
    let heard = hear_unacknowledged(&mut ben, b"hello");
    let number = heard[0].message;
    for message in &heard {
        assert_eq!((message.message, message.sender), (number, anna.user));
    }
    let gaps: Vec<Duration> = heard.windows(2).map(|two| two[1].at - two[0].at).collect();
    for (gap, due) in gaps.iter().zip([125, 250, 500, 1000, 2000]) {
        // Half of it: the one before may have been read late.
        let least = Duration::from_millis(due / 2);
        assert!(*gap > least, "{gap:?} instead of {due} ms: {gaps:?}");
    }
    anna.expect_silence(&request);
    // Once it is given up, its sender's next try brings it again.
    let again = wait_for("another try", || {
        anna.send(&request);
        ben.hear_by(Instant::now() + SILENCE)
    });
    assert_eq!((again.message, &again.text[..]), (number, &b"hello"[..]));
    ben.received(&again);
    anna.ask(&request);
    while let Some(late) = ben.hear_by(Instant::now() + SILENCE) {
        assert_eq!(late.message, number);
    }
    house.stop();
}

#[test]
fn a_late_acknowledgement_counts() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let mut ben = Client::join(&house, "ben");
    let request = anna.message(ben.user, 1, b"hello");
    anna.send(&request);
    let heard = hear_unacknowledged(&mut ben, b"hello");
    // The last time that it came.
    ben.received(&heard[5]);
    anna.ask(&request);
    ben.hear_nothing();
}

#[test]
fn one_can_write_to_oneself_and_to_nobody() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let request = anna.message(anna.user, 1, b"note");
    anna.send(&request);
    let message = anna.hear();
    assert_eq!(
        (message.sender, &message.text[..]),
        (anna.user, &b"note"[..])
    );
    anna.expect_silence(&request);
    anna.received(&message);
    anna.expect(&request);
    // It may have come again meanwhile.
    while let Some(again) = anna.hear_by(Instant::now() + SILENCE) {
        assert_eq!(again.message, message.message);
    }

    let nobody = Kind::User.number(anna.user ^ 1);
    anna.ask_in_vain(&house, &anna.message(nobody, 2, b"anybody?"));
    anna.hear_nothing();
    anna.preserve();
}

#[test]
fn a_broadcast_reaches_everyone_else_once() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let mut others = ["ben", "cleo", "dora"].map(|name| Client::join(&house, name));
    let request = anna.broadcast(9, b"all of you");
    // At once, though nobody has acknowledged it.
    anna.ask(&request);
    let mut numbers = Vec::new();
    for other in &mut others {
        let message = other.hear();
        assert_eq!(message.sender, anna.user);
        assert_eq!(message.text, b"all of you");
        other.received(&message);
        numbers.push(message.message);
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 3, "each has a number of its own");
    for other in &mut others {
        while let Some(again) = other.hear_by(Instant::now() + SILENCE) {
            assert!(numbers.contains(&again.message));
        }
    }
    for _ in 0..3 {
        anna.ask(&request);
    }
    for other in &mut others {
        other.hear_nothing();
    }
    anna.hear_nothing();
    // Alone it is acknowledged, too.
    let empty = House::open_empty(&[]);
    let mut alone = Client::join(&empty, "alone");
    alone.ask(&alone.broadcast(1, b"echo"));
    alone.hear_nothing();
}

#[test]
fn the_shortest_and_the_longest_text_arrive() {
    let house = House::open_empty(&[]);
    let mut anna = Client::join(&house, "anna");
    let mut ben = Client::join(&house, "ben");
    ben.acknowledges = true;
    for (number, text) in [(1, Vec::new()), (3, vec![b'x'; MAX_TEXT])] {
        for request in [
            anna.message(ben.user, number, &text),
            anna.broadcast(number + 1, &text),
        ] {
            anna.send(&request);
            // It may come again until its acknowledgement is there.
            let message = ben.hear();
            assert_eq!(message.text.len(), text.len());
            assert!(message.text == text);
            anna.expect(&request);
            while ben.hear_by(Instant::now() + SILENCE).is_some() {}
        }
    }
}

// Files

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

/// Every path in `folder`, and below.
fn paths(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            let below = match path.is_dir() {
                true => paths(&path),
                false => Vec::new(),
            };
            [vec![path.to_string_lossy().into_owned()], below].concat()
        })
        .collect()
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

// Limits

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
        assert_eq!(anna.users(), sorted([anna.user, second.user]));
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
fn sessions_end_in_time_after_a_restart_too() {
    let mut house = House::open_empty(&[SHORT_SESSIONS]);
    let _anna = Client::join(&house, "anna");
    house.kill();
    house.reopen();
    let mut ben = Client::join(&house, "ben");
    wait_for("anna's end", || (ben.users() == [ben.user]).then_some(()));
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
            ["VIDEOCHAT", "CHATROOM", "PACKETCHAT"]
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

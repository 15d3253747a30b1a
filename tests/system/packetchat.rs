//! packetchat over real UDP sockets: sessions, users and messages.

use std::thread;
use std::time::{Duration, Instant};

use crate::packetchat_support::{
    Client, ELSEWHERE, HOME, Incoming, Random, SHORT_SESSIONS, SIGN_OF_LIFE, SILENCE,
    assert_logged_once, content, refusals, sorted,
};
use crate::support::{House, OldVideochat, PATIENCE, key, wait_for};
use playhouse_protocols::packetchat::{Kind, MAX_TEXT, Request};

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
    // A list has everyone in the house, the bot included.
    let users = ben.users();
    let mut names: Vec<String> = users.into_iter().map(|user| ben.name_of(user)).collect();
    names.sort();
    assert_eq!(names, ["anna", "anna-2", "anna-3", "ben", "ben-2", "bot"]);
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
        let [anna, ben, cleo] = users;
        assert_eq!(client.users(), sorted([anna, ben, cleo, client.bot()]));
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
    assert_eq!(anna.users(), sorted([anna.user, ben.user, anna.bot()]));
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
    assert_eq!(anna.users(), sorted([anna.user, anna.bot()]));
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
    assert_eq!(anna.users(), sorted([anna.user, anna.bot()]));
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

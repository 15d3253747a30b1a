//! What tumip's users can't do to the house: take all of its ports, or bring it out of step with nonsense.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::live_support::pictures::plain;
use crate::live_support::ports::{free_ports, udp_ports};
use crate::live_support::{
    ASK, Answer, Camera, ECHO, FAILED, FINE, Form, LONG_LINGER, REGISTER, SHORT_LINGER, TUMIP_RECV,
    Tumip, wait_frames,
};
use crate::support::{House, assert_closed, assert_silent, connect, recv, wait_for};
use serde_json::Value;

/// After so many requests that there are not, the next one is the last.
const MAX_FAULTS: usize = 20;
const HASTY: (&str, &str) = ("CHATROOM__LEGACY_GAP_MS", "0");

/// Waits until so many ports are open. Asking for one again and again would end the connection.
fn wait_ports(house: &House, ports: u64) {
    wait_for("ports to close", || {
        (house.census().picture_ports == ports).then_some(())
    });
}

/// The rule by which this user is refused a port.
fn wait_refused(house: &House, user: &str) -> String {
    let line = house.wait_log("who was refused", |line| {
        line["message"] == "refused" && line["span"]["user"] == user
    });
    line["rule"].as_str().unwrap().to_owned()
}

/// Waits until the connection from this one is let go; how.
fn wait_left(house: &House, client: &TcpStream) -> Value {
    let peer = client.local_addr().unwrap().to_string();
    house.wait_log("the end of a connection", |line| {
        let message = line["message"].as_str().unwrap_or_default();
        line["span"]["peer"] == peer && message.starts_with("left: ")
    })
}

// Places and ports

#[test]
fn no_port_is_left_of_a_thousand_users() {
    const WAVE: u32 = 50;
    /// So many ports may wait for late pictures: fewer than the house has open files for.
    const WAITING: u64 = 300;
    let house = House::open_empty(&[HASTY, SHORT_LINGER]);
    let before = udp_ports(house.pid());
    for wave in 0..1000 / WAVE {
        wait_for("old ports to close", || {
            (house.census().picture_ports <= WAITING).then_some(())
        });
        let clients: Vec<Tumip> = (0..WAVE)
            .map(|n| Tumip::connect(&house, wave * WAVE + n))
            .collect();
        for client in &clients {
            client.request(REGISTER, 100, b"");
        }
        let mut ports = BTreeSet::new();
        for client in &clients {
            let answer = client.answer();
            assert_eq!((answer.request, answer.flag), (REGISTER, FINE));
            assert!(ports.insert(answer.field), "each has a port of its own");
        }
        assert!(ports.is_subset(&udp_ports(house.pid())));
    }
    wait_for("the end of all ports", || {
        (udp_ports(house.pid()) == before).then_some(())
    });
    house.assert_left_empty();
}

#[test]
fn a_port_outlives_its_connection_for_a_moment() {
    let house = House::open_empty(&[LONG_LINGER]);
    let before = udp_ports(house.pid());
    let camera = Camera::open(&house, 32);
    let after = udp_ports(house.pid());
    let own: Vec<u16> = after.difference(&before).copied().collect();
    assert_eq!(own, [camera.port.port()]);
    let left = Instant::now();
    camera.client.stream.shutdown(Shutdown::Both).unwrap();
    camera.show(&plain(0, 8, 8));
    wait_frames(&house, "tumip-32", 1);
    wait_for("the end of the port", || {
        (udp_ports(house.pid()) == before).then_some(())
    });
    assert!(left.elapsed() >= Duration::from_secs(1));
    house.stop();
}

#[test]
fn there_are_as_many_ports_as_the_range_has() {
    const PORTS: u16 = 3;
    let first = free_ports(PORTS);
    let range = first..first + PORTS;
    let (low, high) = (first.to_string(), (first + PORTS - 1).to_string());
    let house = House::open_empty(&[
        HASTY,
        SHORT_LINGER,
        ("TUMIP__UDP_FIRST", &low),
        ("TUMIP__UDP_LAST", &high),
    ]);
    let mut users: Vec<Tumip> = (1..).map(|n| Tumip::connect(&house, n)).take(3).collect();
    let ports: Vec<u16> = users.iter().map(Tumip::register).collect();
    assert_eq!(ports, range.collect::<Vec<_>>());
    let late = Tumip::connect(&house, 4);
    assert_eq!(late.try_register(100), None);
    let rule = wait_refused(&house, "tumip-4");
    assert!(rule.contains("tumip.udp_first"), "{rule}");
    // The others keep theirs.
    assert_eq!(users[0].register(), ports[0]);

    drop(users.remove(1));
    wait_ports(&house, 2);
    assert_eq!(late.register(), ports[1]);
    drop((users, late));
    wait_ports(&house, 0);
    // The one who comes next does not get the pictures that are late for the last one.
    let next = Tumip::connect(&house, 5);
    assert_ne!(next.register(), ports[1]);
    drop(next);
    house.assert_left_empty();
}

#[test]
fn so_many_users_send_pictures_at_once() {
    let house = House::open_empty(&[HASTY, SHORT_LINGER, ("TUMIP__MAX_USERS", "2")]);
    let camera = Camera::open(&house, 1);
    let second = Tumip::connect(&house, 2);
    second.register();
    let third = Tumip::connect(&house, 3);
    assert_eq!(third.try_register(100), None);
    let rule = wait_refused(&house, "tumip-3");
    assert!(rule.contains("tumip.max_users"), "{rule}");
    // That is about pictures alone, …
    assert!(!third.ask("who is here?").is_empty());
    // … and the others send theirs.
    camera.show(&plain(0, 8, 8));
    wait_frames(&house, "tumip-1", 1);
    drop(second);
    wait_ports(&house, 1);
    third.register();
    drop((camera, third));
    house.assert_left_empty();
}

// Nonsense

/// Asks and is answered while others talk nonsense.
struct Neighbour {
    client: Tumip,
    asked: u32,
}

impl Neighbour {
    fn join(house: &House) -> Neighbour {
        let client = Tumip::connect(house, 7);
        Neighbour { client, asked: 0 }
    }

    fn is_served(&mut self) {
        self.asked += 1;
        let question = format!("question {}", self.asked);
        assert_eq!(self.client.ask(&question), question);
    }
}

#[test]
fn nonsense_is_answered_as_unknown_requests() {
    let house = House::open_empty(&[ECHO, HASTY]);
    let mut neighbour = Neighbour::join(&house);
    let mut stream = connect(house.tumip());
    // Two headers, and two bytes of a third.
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answers = [0; 16];
    stream.read_exact(&mut answers).unwrap();
    assert_eq!(&answers, b"GET /\x10\0\0TP/1.\x10\0\0");
    assert_silent(&stream);
    neighbour.is_served();
    stream.write_all(b"\0\0\x03\0\0\x02ok").unwrap();
    let answer = Answer::read(Form::Bare, &recv(&stream, TUMIP_RECV));
    assert_eq!((answer.user, answer.text()), (0x0d0a_0000, "ok"));
    drop((stream, neighbour));
    house.assert_left_empty();
}

#[test]
fn who_asks_for_nothing_but_what_there_is_not_is_let_go() {
    let house = House::open_empty(&[ECHO, HASTY]);
    let mut neighbour = Neighbour::join(&house);
    let mut stream = connect(house.tumip());
    let flood = [0xa5; 8 * 1000];
    stream.write_all(&flood).unwrap();
    let mut answers = Vec::new();
    // What is sent in vain may reset the connection in the end.
    let _ = stream.read_to_end(&mut answers);
    let one = [0xa5, 0xa5, 0xa5, 0xa5, 0xa5, FAILED, 0, 0];
    assert_eq!(answers, one.repeat(MAX_FAULTS + 1));
    let left = wait_left(&house, &stream);
    let why = left["message"].as_str().unwrap();
    assert!(why.contains("there are 1 (register)"), "{why}");
    assert_eq!(left["level"], "WARN");
    // Others make some mistakes and go on.
    for _ in 0..MAX_FAULTS {
        neighbour.client.request(9, 0, b"");
        assert_eq!(neighbour.client.answer().flag, FAILED);
        neighbour.is_served();
    }
    drop((stream, neighbour));
    house.assert_left_empty();
}

#[test]
fn who_does_not_say_what_it_wants_is_let_go() {
    let house = House::open_empty(&[ECHO, HASTY, ("LIMITS__HANDSHAKE_S", "1")]);
    let mut neighbour = Neighbour::join(&house);
    neighbour.is_served();
    // Nothing; half a header; half a marked one; what there is not; half a question.
    let beginnings: [&[u8]; 5] = [
        b"",
        b"\0\0\0\x20\x01",
        b"\x01\0\0\0\x20\x01\0\x40",
        b"\0\0\0\x20\x09\0\0\0",
        b"\0\0\0\x20\x03\0\x40",
    ];
    let mut streams: Vec<TcpStream> = beginnings.map(|_| connect(house.tumip())).into();
    for (stream, beginning) in streams.iter_mut().zip(beginnings) {
        stream.write_all(beginning).unwrap();
    }
    assert_eq!(
        recv(&streams[3], TUMIP_RECV),
        b"\0\0\0\x20\x09\x10\0\0",
        "answered all the same"
    );
    neighbour.is_served();
    for stream in &streams {
        assert_closed(stream);
        let left = wait_left(&house, stream);
        assert!(left["message"].as_str().unwrap().contains("within 1 s"));
    }
    neighbour.is_served();
    drop((streams, neighbour));
    house.assert_left_empty();
}

#[test]
fn whoever_goes_in_the_middle_of_a_header_is_gone() {
    let house = House::open_empty(&[ECHO, HASTY]);
    let mut neighbour = Neighbour::join(&house);
    for (marker, request) in [(&b""[..], 1), (b"\x01", 3)] {
        let whole = [marker, &[0, 0, 0, 0x20, request, 0, 0x40, 0]].concat();
        for end in 0..whole.len() {
            let stream = connect(house.tumip());
            (&stream).write_all(&whole[..end]).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            assert_closed(&stream);
        }
    }
    neighbour.is_served();
    drop(neighbour);
    house.assert_left_empty();
}

#[test]
fn a_header_that_lost_its_marker_is_the_end() {
    let house = House::open_empty(&[ECHO, HASTY]);
    let mut neighbour = Neighbour::join(&house);
    let mut client = Tumip::connect(&house, 32);
    client.form = Form::Marked;
    assert_eq!(client.ask("first"), "first");
    client.send(&Form::Bare.request(32, ASK, 2, b"hi"));
    assert_closed(&client.stream);
    let left = wait_left(&house, &client.stream);
    assert!(left["message"].as_str().unwrap().contains("marker"));
    neighbour.is_served();
    drop((client, neighbour));
    house.assert_left_empty();
}

#[test]
fn noise_harms_nobody() {
    let house = House::open_empty(&[ECHO, HASTY, ("TUMIP__QUIET_MS", "1")]);
    let mut neighbour = Neighbour::join(&house);
    let mut state = 1_u64;
    for length in [1, 7, 8, 9, 100, 1_000, 50_000].repeat(5) {
        let noise: Vec<u8> = (0..length)
            .map(|_| {
                // Xorshift.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_be_bytes()[0]
            })
            .collect();
        let mut stream = connect(house.tumip());
        // It may be let go before all of it is taken.
        let _ = stream.write_all(&noise);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answers = Vec::new();
        let _ = stream.read_to_end(&mut answers);
        neighbour.is_served();
    }
    drop(neighbour);
    house.assert_left_empty();
}

#[test]
fn who_is_rejected_again_and_again_is_let_go() {
    let house = House::open_empty(&[ECHO, HASTY]);
    let client = Tumip::connect(&house, 32);
    for _ in 0..=MAX_FAULTS {
        assert_eq!(client.try_register(0), None);
    }
    assert_closed(&client.stream);
    let left = wait_left(&house, &client.stream);
    let why = left["message"].as_str().unwrap();
    assert!(why.contains("frame size 0"), "{why}");
    drop(client);
    house.assert_left_empty();
}

#[test]
fn whoever_asks_and_never_reads_is_slowed_and_then_let_go() {
    let house = House::open_empty(&[ECHO, HASTY, ("LIMITS__STALL_S", "1")]);
    let mut neighbour = Neighbour::join(&house);
    let client = Tumip::connect(&house, 32);
    let question = "x".repeat(8_000);
    let request = client.form.request(32, ASK, 8_000, question.as_bytes());
    // Nothing is read while an answer waits: the client's own writing stops, until it is let go.
    let mut sent = 0;
    while (&client.stream).write_all(&request).is_ok() {
        sent += 1;
        assert!(sent < 20_000, "nobody lets it go");
    }
    let left = wait_left(&house, &client.stream);
    let why = left["message"].as_str().unwrap();
    assert!(why.contains("nothing was read for 1 s"), "{why}");
    neighbour.is_served();
    drop((client, neighbour));
    house.assert_left_empty();
}

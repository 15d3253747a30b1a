//! tumip over real sockets: requests and answers byte by byte, and pictures, with clients that read as
//! the old one does.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::live_support::pictures::{claiming, noise, number_of, numbered, plain};
use crate::live_support::ports::udp_ports;
use crate::live_support::{
    ASK, Answer, Camera, ECHO, FINE, FORMS, Form, LONG_LINGER, REGISTER, TUMIP_RECV, Tumip,
    dropped, next_frame, tune_in, wait_frames,
};
use crate::support::{
    GAP, House, OldVideochat, PictureCensus, assert_closed, assert_silent, connect, key, recv,
    wait_for,
};

/// More than any picture has.
const TOO_MANY_PIXELS: u16 = 52_901;
/// What the old client gives as the length of whatever it asks.
const OLD_FIELD: u16 = 16_384;

// Requests and answers

#[test]
fn both_headers_are_answered_in_kind() {
    let house = House::open_empty(&[ECHO]);
    for form in FORMS {
        let mut stream = connect(house.tumip());
        let mut exchange = |request: &[u8]| {
            let marked = [form.marker(), request].concat();
            stream.write_all(&marked).unwrap();
            let answer = recv(&stream, TUMIP_RECV);
            assert_silent(&stream);
            let answer = answer.strip_prefix(form.marker());
            answer.expect("the form that asked").to_vec()
        };
        let accepted = exchange(b"\x00\x00\x00\x20\x01\x00\x40\x00");
        let [0, 0, 0, 0x20, 1, 0, high, low] = accepted[..] else {
            panic!("{accepted:?}");
        };
        let port = u16::from_be_bytes([high, low]);
        assert!(udp_ports(house.pid()).contains(&port), "{port}");
        let golden: [(&[u8], &[u8]); 9] = [
            // No pixels, and one too many.
            (b"\0\0\0\x20\x01\0\0\0", b"\0\0\0\x20\x01\x10\0\0"),
            (b"\0\0\0\x20\x01\0\xce\xa5", b"\0\0\0\x20\x01\x10\0\0"),
            // The bot.
            (b"\0\0\0\x20\x03\0\0\x02hi", b"\0\0\0\x20\x03\0\0\x02hi"),
            (b"\0\0\0\x20\x03\0\0\0", b"\0\0\0\x20\x03\0\0\0"),
            (
                b"\0\0\0\x20\x03\0\0\x03n\xc3\xa9",
                b"\0\0\0\x20\x03\0\0\x03n\xc3\xa9",
            ),
            // What there is not, and any user.
            (b"\0\0\0\x20\x09\0\0\x07", b"\0\0\0\x20\x09\x10\0\0"),
            (b"\0\0\0\0\xff\x10\0\0", b"\0\0\0\0\xff\x10\0\0"),
            (
                b"\xff\xff\xff\xff\x02\0\0\0",
                b"\xff\xff\xff\xff\x02\x10\0\0",
            ),
            (b"\x01\x02\x03\x04\0\0\0\0", b"\x01\x02\x03\x04\0\x10\0\0"),
        ];
        for (request, answer) in golden {
            assert_eq!(exchange(request), answer, "{form:?} {request:?}");
        }
        // Again, with the most that is taken, as somebody else: the same port.
        let [high, low] = port.to_be_bytes();
        assert_eq!(
            exchange(b"\x89\xab\xcd\xef\x01\x00\xce\xa4"),
            [0x89, 0xab, 0xcd, 0xef, 1, 0, high, low]
        );
    }
    house.assert_left_empty();
}

#[test]
fn a_connection_may_begin_with_any_request() {
    let house = House::open_empty(&[ECHO]);
    for form in FORMS {
        for first in [REGISTER, ASK, 9] {
            let mut client = Tumip::connect(&house, 7);
            client.form = form;
            client.request(first, 1, if first == ASK { b"x" } else { b"" });
            let answer = client.answer();
            assert_eq!((answer.request, answer.flag == FINE), (first, first != 9));
            client.register();
            assert_eq!(client.ask("still here?"), "still here?");
        }
        // A registration that is rejected is no end either.
        let mut client = Tumip::connect(&house, 7);
        client.form = form;
        for pixels in [0, TOO_MANY_PIXELS, u16::MAX] {
            assert_eq!(client.try_register(pixels), None);
        }
        client.register();
    }
    house.assert_left_empty();
}

#[test]
fn a_bare_user_whose_number_begins_like_the_marker_is_understood() {
    let house = House::open_empty(&[ECHO]);
    let client = Tumip::connect(&house, 0x0100_0020);
    client.register();
    assert_eq!(client.ask("hi"), "hi");
    drop(client);
    house.assert_left_empty();
}

#[test]
fn each_answer_comes_alone() {
    let house = House::open_empty(&[ECHO]);
    for form in FORMS {
        let mut client = Tumip::connect(&house, 32);
        client.form = form;
        let ask = |text: &str| {
            let length = u16::try_from(text.len()).unwrap();
            form.request(32, ASK, length, text.as_bytes())
        };
        let asked = Instant::now();
        client.send(&[ask("first"), ask("second"), form.request(32, 9, 0, b"")].concat());
        // Each `answer` is one recv, which must not find more.
        assert_eq!(client.answer().text(), "first");
        assert_eq!(client.answer().text(), "second");
        assert_eq!(client.answer().request, 9);
        // However late this reader is, there is a gap before the second and before the third.
        let took = asked.elapsed();
        assert!(took >= 2 * GAP, "{took:?}");
    }
    house.assert_left_empty();
}

#[test]
fn an_answer_is_as_long_as_one_recv_takes_and_ends_at_a_character() {
    let house = House::open_empty(&[ECHO]);
    let text = "é".repeat(8_000);
    for form in FORMS {
        let mut client = Tumip::connect(&house, 32);
        client.form = form;
        let answer = client.ask(&text);
        let room = TUMIP_RECV - 8 - form.marker().len();
        assert_eq!(answer, "é".repeat(room / 2));
        assert_eq!(client.ask("and on"), "and on");
    }
    house.assert_left_empty();
}

// Questions whose header is wrong

#[test]
fn a_question_that_is_shorter_than_its_field_ends_with_silence() {
    let house = House::open_empty(&[ECHO]);
    for form in FORMS {
        let mut client = Tumip::connect(&house, 32);
        client.form = form;
        for text in ["hello wordl i am R Ansh Joseph", "and again", ""] {
            let asked = Instant::now();
            client.request(ASK, OLD_FIELD, text.as_bytes());
            assert_eq!(client.answer().text(), text);
            let took = asked.elapsed();
            assert!(took >= Duration::from_millis(150), "{took:?}");
        }
        // What follows is understood.
        client.register();
    }
    house.assert_left_empty();
}

#[test]
fn a_question_that_goes_on_arriving_is_read_to_its_end() {
    let house = House::open_empty(&[ECHO, ("TUMIP__QUIET_MS", "2000")]);
    let client = Tumip::connect(&house, 32);
    let text = "0123456789".repeat(30);
    let length = u16::try_from(text.len()).unwrap();
    let bytes = client.form.request(32, ASK, length, text.as_bytes());
    // Some of the header, some of the text.
    for piece in bytes.chunks(bytes.len().div_ceil(5)) {
        assert_silent(&client.stream);
        client.send(piece);
    }
    assert_eq!(client.answer().text(), text);
    for byte in client.form.request(32, ASK, 5, b"bytes") {
        client.send(&[byte]);
    }
    assert_eq!(client.answer().text(), "bytes");
    client.register();
    drop(client);
    house.assert_left_empty();
}

#[test]
fn whoever_sends_no_more_gets_the_answers_that_are_due() {
    const QUIET: Duration = Duration::from_secs(5);
    let house = House::open_empty(&[ECHO, ("TUMIP__QUIET_MS", "5000")]);
    let ask = |field: u16, text: &[u8]| Form::Bare.request(32, ASK, field, text);
    let short = ask(OLD_FIELD, b"short");
    let pipelined = [
        Form::Bare.request(32, REGISTER, 100, b""),
        ask(5, b"first"),
        ask(6, b"second"),
    ]
    .concat();
    let cases: [(Vec<u8>, &[&str]); 4] = [
        (ask(5, b"whole"), &["whole"]),
        (short.clone(), &["short"]),
        (pipelined.clone(), &["", "first", "second"]),
        (
            [pipelined, short].concat(),
            &["", "first", "second", "short"],
        ),
    ];
    for (requests, answers) in cases {
        let client = Tumip::connect(&house, 32);
        let begun = Instant::now();
        client.send(&requests);
        client.finish_sending();
        for answer in answers {
            assert_eq!(client.answer().text(), *answer, "of {answers:?}");
        }
        assert_closed(&client.stream);
        // The end of what is sent ends the question, not silence.
        assert!(begun.elapsed() < QUIET);
    }
    house.assert_left_empty();
}

// Pictures

/// The old client: a port, ten pictures in ten datagrams from ten sockets, the end.
fn old_client_shows(house: &House, pictures: &[Vec<u8>]) {
    let mut stream = connect(house.tumip());
    stream
        .write_all(b"\x01\x00\x00\x00\x20\x01\x00\x40\x00")
        .unwrap();
    let answer = recv(&stream, 8024);
    let [.., high, low] = answer[..] else {
        panic!("{answer:?}");
    };
    let port = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::from_be_bytes([high, low])));
    for picture in pictures {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        socket.send_to(picture, port).unwrap();
    }
    drop(stream);
}

/// The old client: a question, which it says is 16,384 bytes long.
fn old_client_asks(house: &House) {
    let mut stream = connect(house.tumip());
    let question = [
        &b"\x01\x00\x00\x00\x20\x03\x00\x40\x00"[..],
        b"hello wordl i am R Ansh Joseph",
    ];
    stream.write_all(&question.concat()).unwrap();
    let answer = Answer::read(Form::Marked, &recv(&stream, 8024));
    assert_eq!(answer.text(), "hello wordl i am R Ansh Joseph");
    assert_eq!((answer.user, answer.flag), (32, FINE));
}

#[test]
fn all_pictures_of_the_old_client_count() {
    let house = House::open_empty(&[ECHO, LONG_LINGER]);
    let pictures: Vec<Vec<u8>> = (0..10).map(noise).collect();
    old_client_shows(&house, &pictures);
    wait_for("ten pictures", || {
        (house.picture_census().frames == 10).then_some(())
    });
    old_client_asks(&house);
    let clean = PictureCensus {
        frames: 10,
        ..PictureCensus::default()
    };
    assert_eq!(house.picture_census(), clean);
    house.stop();
}

#[test]
fn a_viewer_sees_all_pictures_of_the_old_client() {
    let house = House::open_empty(&[LONG_LINGER]);
    let mut viewer = OldVideochat::join(&house, "viewer", key(2048, 0));
    // The channel of an earlier connection.
    let earlier = noise(100);
    old_client_shows(&house, std::slice::from_ref(&earlier));
    wait_frames(&house, "tumip-32", 1);
    wait_for("the end of the earlier connection", || {
        (house.census().people == 1).then_some(())
    });
    assert!(tune_in(&mut viewer, "tumip-32") == earlier);
    let pictures: Vec<Vec<u8>> = (0..10).map(noise).collect();
    old_client_shows(&house, &pictures);
    for picture in &pictures {
        let seen = next_frame(&mut viewer);
        assert!(seen == *picture, "{} arrives", number_of(picture));
    }
    assert_eq!(house.picture_census().frames, 11);
    house.stop();
}

/// Datagrams that are dropped: what the log says of them, what to send, from where.
fn bad_datagrams() -> Vec<(&'static str, Vec<u8>, Ipv4Addr)> {
    const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
    let good = plain(3, 64, 48);
    vec![
        ("begin with FF D8", Vec::new(), HERE),
        ("begin with FF D8", b"no JPEG".to_vec(), HERE),
        ("end with FF D9", good[..good.len() / 2].to_vec(), HERE),
        ("end with FF D9", good[..good.len() - 1].to_vec(), HERE),
        ("only zero bytes", [&good[..], b"garbage"].concat(), HERE),
        ("52900 pixels", plain(3, 231, 230), HERE),
        ("52900 pixels", claiming(&good, 65_500, 65_500), HERE),
        ("above 0", claiming(&good, 0, 48), HERE),
        (
            "the user's address, 127.0.0.1",
            good,
            Ipv4Addr::new(127, 0, 0, 2),
        ),
    ]
}

#[test]
fn bad_datagrams_are_dropped_counted_and_logged_once() {
    let house = House::open_empty(&[ECHO, LONG_LINGER]);
    let mut expected = PictureCensus::default();
    for (user, (rule, datagram, from)) in (1..).zip(bad_datagrams()) {
        let name = format!("tumip-{user}");
        let camera = Camera::open(&house, user);
        camera.show(&plain(1, 64, 48));
        for _ in 0..3 {
            camera.show_from(from, &datagram);
        }
        // A picture with nothing but zero bytes behind it is one.
        camera.show(&[plain(2, 64, 48), vec![0; 7]].concat());
        wait_frames(&house, &name, 2);
        expected.frames += 2;
        match rule {
            "52900 pixels" => expected.too_large += 3,
            "the user's address, 127.0.0.1" => expected.foreign += 3,
            _ => expected.no_jpeg += 3,
        }
        assert_eq!(house.picture_census(), expected, "{rule}");
        let lines = dropped(&house, &name);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0]["rule"].as_str().unwrap().contains(rule),
            "{lines:?}"
        );
        assert_eq!(lines[0]["from"], from.to_string());
        assert_eq!(camera.client.ask("still here?"), "still here?");
    }
    house.stop();
}

#[test]
fn viewers_see_nothing_of_bad_datagrams() {
    let house = House::open_empty(&[LONG_LINGER]);
    let mut viewer = OldVideochat::join(&house, "viewer", key(2048, 0));
    let camera = Camera::open(&house, 32);
    let mut picture = plain(0, 64, 48);
    camera.show(&picture);
    wait_frames(&house, "tumip-32", 1);
    assert_eq!(tune_in(&mut viewer, "tumip-32"), picture);
    for (number, (rule, datagram, from)) in (1..).zip(bad_datagrams()) {
        camera.show_from(from, &datagram);
        picture = numbered(&picture, number);
        camera.show(&picture);
        assert_eq!(next_frame(&mut viewer), picture, "after {rule:?}");
    }
    // It may be read later than the pictures.
    let lines = wait_for("a line in the log", || {
        Some(dropped(&house, "tumip-32")).filter(|lines| !lines.is_empty())
    });
    assert_eq!(lines.len(), 1, "one line for all: {lines:?}");
    house.stop();
}

#[test]
fn the_largest_picture_and_the_smallest_arrive() {
    let house = House::open_empty(&[LONG_LINGER]);
    let mut viewer = OldVideochat::join(&house, "viewer", key(2048, 0));
    let camera = Camera::open(&house, 32);
    // Exactly what a datagram carries.
    let mut full = noise(0);
    full.resize(65_507, 0);
    camera.show(&full);
    wait_frames(&house, "tumip-32", 1);
    assert!(tune_in(&mut viewer, "tumip-32") == full);
    // 52,900 pixels need not be a square.
    for (number, (width, height)) in (1..).zip([(1, 1), (529, 100), (52_900, 1)]) {
        let picture = plain(number, width, height);
        camera.show(&picture);
        assert_eq!(next_frame(&mut viewer), picture, "{width} × {height}");
    }
    house.stop();
}

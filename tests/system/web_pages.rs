//! The console's WebSocket over real sockets: people, words, videos, live channels, sound, a camera, and
//! peers that mean no good.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::live_support::pictures::{SIDE, plain};
use crate::live_support::{Camera, ECHO, Tumip};
use crate::page_support::{Frame, Page, Told, connect};
use crate::support::{House, PATIENCE, sample_videos, wait_for};
use serde_json::json;
use tungstenite::{Bytes, Message};

/// A video of the samples.
const VIDEO: &str = "cells";

/// With the sample videos.
fn with_videos(settings: &[(&str, &str)]) -> House {
    House::open_with(&sample_videos(), settings)
}

/// All frames until the end.
fn all_frames(page: &mut Page) -> Vec<Frame> {
    std::iter::from_fn(|| page.frame()).collect()
}

#[test]
fn people_come_talk_and_go() {
    let house = House::open_empty(&[ECHO]);
    let mut anna = Page::enter(&house, " anna ");
    let mut other = Page::enter(&house, "anna");
    assert_eq!((anna.name(), other.name()), ("anna", "anna-2"));
    assert!(other.people.contains_key("bot"));
    anna.sees("anna-2");
    // Each line is a message, as it is for everyone.
    other.say_to_all("né\n🎭");
    let said = anna.hears();
    assert_eq!(
        (&said["text"], &said["from"]["name"]),
        (&json!("né"), &json!("anna-2"))
    );
    assert!(said["id"].is_string() && said["to"].is_null());
    let second = anna.hears();
    assert_eq!(second["text"], "🎭");
    // One's own words come back.
    assert_eq!(other.told("said")["id"], said["id"]);
    // Who comes later is told.
    let late = Page::enter(&house, "late");
    assert_eq!(late.history.last().unwrap()["id"], second["id"]);
    drop(late);
    other.say("anna", "for you alone");
    let direct = anna.hears();
    assert_eq!(
        (&direct["text"], &direct["to"]),
        (&json!("for you alone"), &anna.me["id"])
    );
    // The speaker sees it, too, after what was said before.
    while other.told("said")["to"] != anna.me["id"] {}
    anna.say("bot", "are you there?");
    assert_eq!(anna.hears()["text"], "are you there?");
    drop(other);
    while anna.people.contains_key("anna-2") {
        anna.told("people");
    }
    assert_eq!(house.census().restarts, 0);
}

#[test]
fn empty_words_harm_nobody() {
    let house = House::open_empty(&[ECHO]);
    let mut anna = Page::enter(&house, "anna");
    let mut bob = Page::enter(&house, "bob");
    // Not to be shown as anything; the bot, which says it back, has nothing to say either.
    anna.say("bob", "\u{7}\n\u{7}");
    anna.say_to_all("@bot");
    anna.say("anna", "to myself");
    assert_eq!(anna.told("said")["to"], bob.me["id"]);
    anna.say("bob", "and now");
    while bob.hears()["text"] != "and now" {}
    assert_eq!(house.census().restarts, 0);
}

#[test]
fn frames_that_nobody_wants_any_more_do_not_wait() {
    let house = House::open();
    let mut anna = Page::enter(&house, "anna");
    // Nothing is read meanwhile; each would be megabytes.
    for stream in 0..200 {
        anna.send(
            json!({"type": "watch", "stream": stream % 4, "video": VIDEO, "quality": "1440p"}),
        );
    }
    for stream in 0..4 {
        anna.send(json!({"type": "stop", "stream": stream}));
    }
    anna.send(
        json!({"type": "watch", "stream": 9, "video": VIDEO, "quality": "240p", "from": 144}),
    );
    let mut bytes = 0;
    loop {
        match anna.next() {
            Told::Frame(frame) if frame.stream == 9 => break,
            Told::Frame(frame) => bytes += frame.jpeg.len(),
            Told::Closed(code) => panic!("closed with {code}"),
            _ => {}
        }
    }
    // What the system had taken already, some of each perhaps, and not all that was asked for.
    assert!(bytes < 100 << 20, "{bytes}");
    assert_eq!(house.census().restarts, 0);
}

#[test]
fn words_for_nobody_come_back() {
    let house = House::open_empty(&[]);
    let tumip = Tumip::connect(&house, 7);
    tumip.ask("hello");
    let mut anna = Page::enter(&house, "anna");
    anna.say("tumip-7", "can you read this?");
    assert_eq!(anna.told("undelivered")["text"], "can you read this?");
    anna.send(json!({"type": "say", "text": "hello?", "to": "12345"}));
    assert_eq!(anna.told("undelivered")["to"], "12345");
    anna.send(json!({"type": "say", "text": "hello?", "to": "anna"}));
    assert_eq!(anna.told("error")["about"], "say");
    anna.send(json!({"type": "say", "text": "x".repeat(16_385)}));
    assert_eq!(anna.told("error")["about"], "say");
}

#[test]
fn a_video_comes_interleaved_in_one_quality_and_from_anywhere() {
    let house = House::open();
    let mut anna = Page::enter(&house, "anna");
    anna.send(json!({"type": "watch", "stream": 5, "video": VIDEO}));
    let stream = anna.told("stream");
    assert_eq!(
        (&stream["frames"], &stream["live"]),
        (&json!(145), &json!(false))
    );
    assert_eq!(stream["plan"].as_array().unwrap().len(), 3);
    let frames = all_frames(&mut anna);
    assert!(frames.iter().map(|frame| frame.frame).eq(0..145));
    let of_quality = |quality| frames.iter().filter(|f| f.quality == quality).count();
    assert_eq!([0, 1, 2].map(of_quality), [48, 48, 49]);
    assert!(frames.iter().all(|frame| frame.stream == 5));
    assert!(
        frames
            .iter()
            .all(|frame| image::load_from_memory(&frame.jpeg).is_ok())
    );

    anna.send(
        json!({"type": "watch", "stream": 6, "video": VIDEO, "quality": "240p", "from": 100}),
    );
    let stream = anna.told("stream");
    assert_eq!(stream["quality"], "240p");
    let frames = all_frames(&mut anna);
    assert!(frames.iter().map(|frame| frame.frame).eq(100..145));
    assert!(frames.iter().all(|frame| frame.quality == 0));
    // When it is due counts from the video's start.
    assert!((4100..4250).contains(&frames[0].due), "{}", frames[0].due);
    let picture = image::load_from_memory(&frames[0].jpeg).unwrap();
    assert_eq!((picture.width(), picture.height()), (426, 240));

    for (wrong, reason) in [
        (
            json!({"type": "watch", "stream": 7, "video": "nothing"}),
            "gone",
        ),
        (
            json!({"type": "watch", "stream": 7, "video": VIDEO, "quality": "9p"}),
            "gone",
        ),
    ] {
        anna.send(wrong);
        assert_eq!(anna.told("end")["reason"], reason);
    }
    // Past the end there is nothing, and it is over.
    anna.send(json!({"type": "watch", "stream": 8, "video": VIDEO, "from": 4_000_000_000_u32}));
    assert_eq!(all_frames(&mut anna), []);
}

#[test]
fn a_stream_that_is_watched_anew_is_another_one() {
    let house = with_videos(&[]);
    let mut anna = Page::enter(&house, "anna");
    anna.send(json!({"type": "watch", "stream": 1, "video": VIDEO, "quality": "240p"}));
    anna.frame().unwrap();
    anna.send(
        json!({"type": "watch", "stream": 1, "video": VIDEO, "quality": "720p", "from": 140}),
    );
    while anna.told("stream")["quality"] != "720p" {}
    let frames = all_frames(&mut anna);
    assert!(
        frames
            .iter()
            .map(|frame| (frame.quality, frame.frame))
            .eq((140..145).map(|n| (1, n)))
    );
    // What is stopped has no end; the next that comes is about something else.
    anna.send(json!({"type": "watch", "stream": 2, "video": VIDEO}));
    anna.frame().unwrap();
    anna.send(json!({"type": "stop", "stream": 2}));
    anna.send(json!({"type": "watch", "stream": 3, "video": "nothing"}));
    assert_eq!(anna.told("end")["stream"], 3);
}

#[test]
fn too_many_streams_are_refused() {
    let house = with_videos(&[("STREAMING__MAX_STREAMS", "2")]);
    let mut anna = Page::enter(&house, "anna");
    for stream in 0..3 {
        anna.send(json!({"type": "watch", "stream": stream, "video": VIDEO}));
    }
    let end = anna.told("end");
    assert_eq!(
        (&end["stream"], &end["reason"]),
        (&json!(2), &json!("busy"))
    );
    for stream in 3..17 {
        anna.send(json!({"type": "watch", "stream": stream, "video": "nothing"}));
        assert_eq!(anna.told("end")["reason"], "gone");
    }
}

#[test]
fn live_pictures_come_untouched() {
    let house = House::open_empty(&[]);
    let camera = Camera::open(&house, 7);
    let pictures: Vec<_> = (0..3).map(|n| plain(n, SIDE, SIDE)).collect();
    camera.show(&pictures[0]);
    let mut anna = Page::enter(&house, "anna");
    wait_for("the channel", || {
        anna.send(json!({"type": "watch", "stream": 1, "live": "tumip-7"}));
        loop {
            match anna.next() {
                Told::Json(json) if json["type"] == "stream" => {
                    assert_eq!(json["live"], true);
                    return Some(());
                }
                Told::Json(json) if json["type"] == "end" => return None,
                _ => {}
            }
        }
    });
    for picture in &pictures[1..] {
        camera.show(picture);
    }
    // From the newest on, without a gap.
    let mut expected = pictures.iter();
    let first = anna.frame().unwrap();
    expected
        .find(|picture| **picture == first.jpeg)
        .expect("one of ours");
    for picture in expected {
        assert_eq!(&anna.frame().unwrap().jpeg, picture);
    }
    drop(camera);
    assert_eq!(anna.told("end")["reason"], "over");
}

#[test]
fn a_pages_camera_is_a_channel() {
    let house = House::open_empty(&[]);
    let mut anna = Page::enter(&house, "anna");
    let mut bob = Page::enter(&house, "bob");
    anna.send(json!({"type": "camera", "on": true}));
    let camera = anna.told("camera");
    assert_eq!(
        (&camera["on"], &camera["channel"]),
        (&json!(true), &json!("web-anna"))
    );
    let picture = plain(1, 320, 240);
    let frame = |jpeg: &[u8]| Message::binary(Bytes::from([&[3], jpeg].concat()));
    let seen = wait_for("the channel", || {
        anna.send_raw(frame(&picture));
        bob.send(json!({"type": "watch", "stream": 1, "live": "web-anna"}));
        bob.frame()
    });
    assert_eq!(seen.jpeg, picture);
    // What is no picture is not passed on, and ends it after a while.
    for _ in 0..25 {
        // Pictures that come faster are not looked at.
        std::thread::sleep(Duration::from_millis(25));
        anna.send_raw(frame(b"no picture"));
    }
    let off = anna.told("camera");
    assert_eq!(off["on"], false);
    assert!(off["message"].is_string());
}

#[test]
fn the_sound_of_the_house_is_heard() {
    let house = House::open_empty(&[("LAN_AUDIO__SOURCE", "tone")]);
    let mut anna = Page::enter(&house, "anna");
    anna.send(json!({"type": "listen", "on": true}));
    let sound = anna.told("sound");
    assert_eq!(
        (&sound["on"], &sound["rate"]),
        (&json!(true), &json!(44_100))
    );
    let mut numbers = Vec::new();
    while numbers.len() < 5 {
        if let Told::Sound(number, samples) = anna.next() {
            assert_eq!(samples.len(), 8192);
            numbers.push(number);
        }
    }
    assert!(
        numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{numbers:?}"
    );
    anna.send(json!({"type": "listen", "on": false}));
    assert_eq!(anna.told("sound")["on"], false);

    let house = House::open_empty(&[("LAN_AUDIO__ENABLED", "false")]);
    let mut anna = Page::enter(&house, "anna");
    anna.send(json!({"type": "listen", "on": true}));
    assert_eq!(anna.told("sound")["on"], false);
}

#[test]
fn vital_signs_are_told_each_second() {
    let house = House::open_empty(&[]);
    let mut anna = Page::enter(&house, "anna");
    anna.send(json!({"type": "vitals", "on": true}));
    let (first, second) = (anna.told("vitals"), anna.told("vitals"));
    assert_eq!(first["connections"]["web"]["open"], 1);
    assert!(second["at"].as_i64() > first["at"].as_i64());
    assert!(first["actors"].as_array().unwrap().len() > 5);
}

#[test]
fn what_breaks_the_protocol_is_told_and_ended() {
    let house = House::open_empty(&[]);
    // Before anything else a page joins.
    let mut stranger = Page::enter(&house, "anna");
    stranger.send(json!({"type": "join", "name": "again"}));
    assert_eq!(stranger.told("error")["about"], "join");
    stranger.send_raw(Message::text("no JSON"));
    stranger.told("error");
    stranger.send(json!({"type": "dance"}));
    stranger.told("error");
    for name in ["", "a\u{7}b", &"x".repeat(65)] {
        let mut page = connect(&house, &[]).unwrap();
        let join = json!({"type": "join", "name": name}).to_string();
        page.send(Message::text(join)).unwrap();
        let answer = page.read().unwrap().into_text().unwrap();
        assert!(answer.contains("\"error\""), "{answer}");
    }
    let code = |message: &[u8]| -> u16 {
        let mut raw = raw(&house);
        raw.write_all(message).unwrap();
        let mut head = [0; 4];
        raw.read_exact(&mut head).unwrap();
        assert_eq!(head[0], 0x88, "a close");
        u16::from_be_bytes([head[2], head[3]])
    };
    assert_eq!(code(b"\x81\x02hi"), 1002, "not masked");
    assert_eq!(code(b"\xf1\x80\0\0\0\0"), 1002, "reserved bits");
    assert_eq!(code(b"\x81\x81\0\0\0\0\xff"), 1007, "no UTF-8");
    assert_eq!(
        code(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"),
        1009,
        "too large"
    );
    // A hundred mistakes are enough.
    for _ in 0..110 {
        stranger.send_raw(Message::text("{}"));
    }
    assert_eq!(stranger.closed(), 1008);
    assert_eq!(house.census().restarts, 0);
}

#[test]
fn a_page_that_reads_nothing_holds_up_nobody() {
    let house = House::open_empty(&[("LIMITS__BACKLOG_KB", "64")]);
    let mut deaf = raw(&house);
    deaf.write_all(&masked(br#"{"type":"join","name":"deaf"}"#))
        .unwrap();
    let (mut anna, mut bob) = (Page::enter(&house, "anna"), Page::enter(&house, "bob"));
    anna.sees("deaf");
    let text = "x".repeat(16_000);
    let mut sent = 0;
    // Until what waits for it is too much, and it is let go.
    while anna.people.contains_key("deaf") {
        anna.say_to_all(&text);
        assert_eq!(bob.hears()["text"], text);
        sent += 1;
        assert!(sent < 10_000);
        while anna.told("said")["text"] != text {}
    }
    assert_eq!(house.census().restarts, 0);
}

#[test]
fn the_house_says_goodbye() {
    let mut house = House::open_empty(&[]);
    let mut anna = Page::enter(&house, "anna");
    house.terminate();
    assert_eq!(anna.told("notice")["text"], "the house closes");
    assert_eq!(anna.closed(), 1001);
}

/// A WebSocket without a client.
fn raw(house: &House) -> TcpStream {
    let mut stream = TcpStream::connect(house.web()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host = house.web();
    write!(
        stream,
        "GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    stream
}

/// A short text, under a mask of zeros.
fn masked(text: &[u8]) -> Vec<u8> {
    let length = 0x80 | u8::try_from(text.len()).unwrap();
    [&[0x81, length, 0, 0, 0, 0][..], text].concat()
}

//! Both services at once, and many clients.

use std::io::Write;
use std::net::TcpStream;
use std::thread;

use crate::support::{
    Heard, House, OldChatroom, OldVideochat, Told, connect, key, recv_alone, runs,
};

/// How many messages each chatting client sends.
const MESSAGES: usize = 5;

fn texts(from: &str) -> Vec<String> {
    (0..MESSAGES).map(|n| format!("{n} from {from}")).collect()
}

/// Watches and chats with `other` at the same time; all comes on the one connection.
fn watch_and_chat(me: &mut OldVideochat, other: &str, video: &str) {
    me.choose(video);
    for text in texts(&me.name) {
        me.say(other, &text);
    }
    let (mut frames, mut read, mut own, mut finished) = (Vec::new(), Vec::new(), 0, false);
    while !finished || read.len() < MESSAGES || own < MESSAGES {
        match me.next() {
            Told::Frame(jpeg) => frames.push(jpeg),
            Told::Json(json) => match json["identifier"].as_str().unwrap() {
                "Communication" if json["from"] == other => {
                    read.push(me.decrypt(&json).expect("it is for this client"));
                }
                "Communication" => own += 1,
                "Video Frame" => {}
                "Video Finish" => finished = true,
                _ => panic!("{} hears {json}", me.name),
            },
            Told::Closed => panic!("{} is let go", me.name),
        }
    }
    let cells = [(48, 426, 240), (48, 1280, 720), (49, 2560, 1440)];
    assert_eq!(runs(&frames), cells);
    assert_eq!(read, texts(other));
}

/// Hears so many chats and frames, each frame after the word that a stream begins.
fn hear_all(me: &mut OldChatroom, chats: usize, frames: usize) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut heard, mut shown, mut begun) = (Vec::new(), Vec::new(), false);
    while heard.len() < chats || shown.len() < frames {
        match me.next() {
            Heard::Chat(message) => heard.push(message),
            Heard::Stream(count) if !begun => {
                assert_eq!(count as usize, frames);
                begun = true;
            }
            Heard::Frame(jpeg) if begun => shown.push(jpeg),
            other => panic!("{} hears {other:?}", me.name),
        }
    }
    (heard, shown)
}

#[test]
fn five_old_clients_chat_and_stream_at_once() {
    let house = House::open_with(&crate::support::sample_videos(), &[]);
    let mut alice = OldVideochat::join(&house, "alice", key(2048, 0));
    let mut bob = OldVideochat::join(&house, "bob", key(2048, 1));
    alice.hear_presence("broadcast_message", "bob");
    let mut anna = OldChatroom::join(&house, "anna", key(1024, 0));
    let mut ben = OldChatroom::join(&house, "ben", key(1024, 1));
    anna.hear_people();
    let mut cleo = OldChatroom::join(&house, "cleo", key(1024, 2));
    anna.hear_people();
    ben.hear_people();
    for name in ["anna@chatroom", "ben@chatroom", "cleo@chatroom"] {
        alice.hear_presence("broadcast_message", name);
        bob.hear_presence("broadcast_message", name);
    }

    let by_anna: Vec<Vec<u8>> = texts("anna")
        .iter()
        .map(|t| anna.message("ben", t))
        .collect();
    let by_ben: Vec<Vec<u8>> = texts("ben")
        .iter()
        .map(|t| ben.message("anna", t))
        .collect();
    cleo.videos();
    let heard: Vec<Vec<Vec<u8>>> = thread::scope(|scope| {
        let (alice, bob) = (&mut alice, &mut bob);
        scope.spawn(move || watch_and_chat(alice, "bob", "cells_240p.mp4"));
        scope.spawn(move || watch_and_chat(bob, "alice", "cells_720p.mp4"));
        let chatting = [(&mut anna, &by_anna), (&mut ben, &by_ben)].map(|(me, messages)| {
            scope.spawn(move || {
                me.send(b"[CHAT]");
                for message in messages {
                    me.send(message);
                }
                hear_all(me, 2 * MESSAGES, 0).0
            })
        });
        let watching = scope.spawn(|| {
            cleo.send(b"cells");
            let (heard, shown) = hear_all(&mut cleo, 2 * MESSAGES, 145);
            let cells = [(49, 426, 240), (48, 1280, 720), (48, 2560, 1440)];
            assert_eq!(runs(&shown), cells);
            heard
        });
        let all = chatting.into_iter().chain([watching]);
        all.map(|thread| thread.join().unwrap()).collect()
    });

    assert_eq!(heard[0], heard[1], "one order for all");
    assert_eq!(heard[0], heard[2], "one order for all, after a stream too");
    let (of_anna, of_ben): (Vec<_>, Vec<_>) = heard[0]
        .iter()
        .cloned()
        .partition(|message| by_anna.contains(message));
    assert_eq!((&of_anna, &of_ben), (&by_anna, &by_ben));
    let read = |me: &OldChatroom, messages: &[Vec<u8>]| -> Vec<String> {
        messages.iter().map(|m| me.decrypt(m).unwrap()).collect()
    };
    assert_eq!(read(&ben, &of_anna), texts("anna"));
    assert_eq!(read(&anna, &of_ben), texts("ben"));
    for client in [&mut anna, &mut ben, &mut cleo] {
        client.assert_silent();
    }
    for (client, name) in [anna, ben, cleo].into_iter().zip(["anna", "ben", "cleo"]) {
        drop(client);
        for of_videochat in [&mut alice, &mut bob] {
            of_videochat.hear_presence("AFK", &format!("{name}@chatroom"));
        }
    }
    alice.assert_silent();
    bob.quit();
    alice.hear_presence("AFK", "bob");
    alice.quit();
    house.assert_left_empty();
}

/// Who came or left, as `client` is told until all of `expected` are named, and in how many lists.
fn names_told(client: &mut OldVideochat, identifier: &str, expected: &[String]) -> usize {
    let (mut told, mut lists) = (Vec::new(), 0);
    while told.len() < expected.len() {
        let names = client.hear(identifier)["name"].as_str().unwrap().to_owned();
        told.extend(names.split(", ").map(str::to_owned));
        lists += 1;
    }
    told.sort();
    assert_eq!(told, expected, "each name once");
    lists
}

#[test]
fn a_storm_of_joins_and_leaves_is_told_in_few_lists_that_lack_nobody() {
    const CROWD: usize = 40;
    const FEW: usize = CROWD / 2;
    let house = House::open_with(
        &crate::support::sample_videos(),
        &[("LOBBY__MERGE_MS", "50")],
    );
    let mut early = OldVideochat::join(&house, "early", key(2048, 0));
    let mut beside = OldChatroom::join(&house, "beside", key(1024, 0));
    early.hear_presence("broadcast_message", "beside@chatroom");
    let expected: Vec<String> = (10..10 + CROWD).map(|n| format!("guest-{n}")).collect();

    // All are at the door with their keys in hand, …
    let crowd_key = key(2048, 1);
    let streams: Vec<TcpStream> = expected
        .iter()
        .map(|_| connect(house.videochat()))
        .collect();
    for (mut stream, name) in streams.iter().zip(&expected) {
        assert_eq!(recv_alone(stream), "Enter your name: ");
        stream.write_all(name.as_bytes()).unwrap();
    }
    for stream in &streams {
        assert_eq!(recv_alone(stream), "Enter the public key: ");
    }
    // … and come in at once.
    for mut stream in &streams {
        stream.write_all(crowd_key.spki.as_bytes()).unwrap();
    }
    let crowd: Vec<OldVideochat> = streams
        .into_iter()
        .zip(&expected)
        .map(|(stream, name)| OldVideochat {
            stream,
            name: name.clone(),
            key: crowd_key,
            people: Default::default(),
        })
        .collect();

    let message = beside.message("beside", "what a crowd");
    beside.send(&[b"[CHAT]", &message[..]].concat());
    // The storm is in its lists, too, as far as they have room; they do not hold up what is said.
    assert_eq!(beside.next(), Heard::Chat(message));

    let lists = names_told(&mut early, "broadcast_message", &expected);
    assert!(lists <= FEW, "{lists} lists");
    let others = ["beside@chatroom", "bot", "early"].map(str::to_owned);
    let mut everyone = [&others, &expected[..]].concat();
    everyone.sort();
    let mut crowd = crowd;
    for client in &mut crowd {
        while client.people.len() < everyone.len() {
            client.hear("broadcast_message");
        }
        assert!(
            client.people.keys().eq(&everyone),
            "{} knows all",
            client.name
        );
    }
    assert!(early.people.keys().eq(&everyone));
    // One who came in the storm is heard by all.
    crowd[7].say("early", "here I am");
    assert_eq!(early.hear_chat().1.unwrap(), "here I am");

    let gone = crowd
        .drain(..FEW)
        .map(|client| client.name)
        .collect::<Vec<_>>();
    let lists = names_told(&mut early, "AFK", &gone);
    assert!(lists <= FEW / 2, "{lists} lists");
    drop(crowd);
    names_told(&mut early, "AFK", &expected[FEW..]);
    assert!(early.people.keys().eq(["beside@chatroom", "bot", "early"]));
    while !beside
        .people
        .keys()
        .eq(["beside", "bot", "early@videochat"])
    {
        beside.any();
    }
    beside.assert_silent();
    drop((early, beside));
    house.assert_left_empty();
}

#[test]
fn a_house_that_closes_lets_everyone_go() {
    let house = House::open();
    let mut alice = OldVideochat::join(&house, "alice", key(2048, 0));
    let mut viewer = OldVideochat::join(&house, "viewer", key(2048, 1));
    alice.hear_presence("broadcast_message", "viewer");
    let mut anna = OldChatroom::join(&house, "anna", key(1024, 0));
    let newcomer = connect(house.videochat());
    assert_eq!(recv_alone(&newcomer), "Enter your name: ");
    // One takes no more of its video than this: it is not waited for.
    viewer.choose("cells_240p.mp4");
    viewer.hear("Video Frame");
    let address = house.videochat();

    house.stop();
    assert!(TcpStream::connect(address).is_err());
    alice.hear_presence("broadcast_message", "anna@chatroom");
    // Those who are let go on another core may leave earlier.
    let mut told = alice.next();
    while told.identifier() == "AFK" {
        told = alice.next();
    }
    assert_eq!(told.identifier(), "Disconnection");
    assert_eq!(alice.next(), Told::Closed);
    anna.hear_closed();
    crate::support::assert_closed(&newcomer);
}

//! videochat over real sockets, with clients that read as the old ones do.

use std::fs;
use std::io::Write;
use std::time::Instant;

use crate::support::{
    GAP, House, OldVideochat, Told, assert_closed, assert_due, assert_silent, connect, dimensions,
    framed, key, recv_alone, runs, sample_videos, wait_for,
};
use serde_json::{Value, json};

const CELLS: [(usize, u32, u32); 3] = [(48, 426, 240), (48, 1280, 720), (49, 2560, 1440)];

fn names(client: &OldVideochat) -> Vec<&str> {
    client.people.keys().map(String::as_str).collect()
}

// Coming in

#[test]
fn each_prompt_is_alone_and_exact() {
    let house = House::open();
    let mut stream = connect(house.videochat());
    assert_eq!(recv_alone(&stream), "Enter your name: ");
    assert_silent(&stream);
    stream.write_all(b"alice").unwrap();
    assert_eq!(recv_alone(&stream), "Enter the public key: ");
    assert_silent(&stream);
    drop(stream);
    house.assert_left_empty();
}

#[test]
fn name_and_key_in_one_write_get_prompts_of_their_own() {
    let house = House::open();
    let asked = Instant::now();
    let mut stream = connect(house.videochat());
    let hurried = format!("alice{}", key(2048, 0).spki);
    stream.write_all(hurried.as_bytes()).unwrap();
    assert_eq!(recv_alone(&stream), "Enter your name: ");
    assert_eq!(recv_alone(&stream), "Enter the public key: ");
    let mut alice = OldVideochat {
        stream,
        name: "alice".to_owned(),
        key: key(2048, 0),
        people: Default::default(),
    };
    alice.hear_presence("broadcast_message", "alice");
    // However late this reader is: two prompts and the first list are two gaps.
    let took = asked.elapsed();
    assert!(took >= 2 * GAP, "{took:?}");
    drop(alice);
    house.assert_left_empty();
}

#[test]
fn a_key_ends_with_its_end_line_wherever_reads_split_it() {
    let house = House::open();
    let pem = key(2048, 0).spki.trim_end();
    // The server says nothing until the end line is whole, nor when a line end comes late.
    for (n, cuts) in [&[1, 200, pem.len() - 3][..], &[]].into_iter().enumerate() {
        let mut stream = connect(house.videochat());
        recv_alone(&stream);
        stream.write_all(format!("alice{n}").as_bytes()).unwrap();
        recv_alone(&stream);
        let mut at = 0;
        for &cut in cuts {
            stream.write_all(&pem.as_bytes()[at..cut]).unwrap();
            assert_silent(&stream);
            at = cut;
        }
        stream.write_all(&pem.as_bytes()[at..]).unwrap();
        let mut alice = OldVideochat {
            stream,
            name: format!("alice{n}"),
            key: key(2048, 0),
            people: Default::default(),
        };
        let name = alice.name.clone();
        alice.hear_presence("broadcast_message", &name);
        assert_eq!(alice.people[&name].trim_end(), pem);
        alice.stream.write_all(b"\r\n").unwrap();
        alice.assert_silent();
        assert_eq!(alice.videos().len(), 9);
        alice.quit();
    }
    house.assert_left_empty();
}

#[test]
fn a_name_may_end_in_a_line_end() {
    let house = House::open();
    let bob = OldVideochat::join(&house, "Zoë 🎭\r\n", key(2048, 0));
    assert_eq!(bob.name, "Zoë 🎭");
    bob.quit();
    house.assert_left_empty();
}

// Who is here

#[test]
fn a_join_is_told_to_all_with_everyones_key() {
    let house = House::open();
    let mut alice = OldVideochat::join(&house, "alice", key(2048, 0));
    assert_eq!(names(&alice), ["alice", "bot"]);
    let bob = OldVideochat::join(&house, "bob", key(2048, 1));
    let told = alice.hear("broadcast_message");
    assert_eq!(told["name"], "bob");
    let members: Vec<&String> = told.as_object().unwrap().keys().collect();
    assert_eq!(members, ["data", "identifier", "name"]);
    for client in [&alice, &bob] {
        assert_eq!(names(client), ["alice", "bob", "bot"]);
        for (name, n) in [("alice", 0), ("bob", 1)] {
            assert_eq!(client.people[name].trim_end(), key(2048, n).spki.trim_end());
        }
    }
    drop((alice, bob));
    house.assert_left_empty();
}

#[test]
fn a_leave_is_told_to_the_others_goodbye_or_not() {
    let house = House::open();
    let mut alice = OldVideochat::join(&house, "alice", key(2048, 0));
    for goodbye in [true, false] {
        let bob = OldVideochat::join(&house, "bob", key(2048, 1));
        alice.hear_presence("broadcast_message", "bob");
        if goodbye {
            bob.quit();
        } else {
            drop(bob);
        }
        let told = alice.hear("AFK");
        assert_eq!(told["name"], "bob");
        assert_eq!(names(&alice), ["alice", "bot"]);
    }
    drop(alice);
    house.assert_left_empty();
}

#[test]
fn who_quits_hears_nothing_but_the_disconnection() {
    let house = House::open();
    let mut alice = OldVideochat::join(&house, "alice", key(2048, 0));
    alice.send(&json!({"identifier": "QUIT"}));
    let told = alice.hear("Disconnection");
    assert_eq!(told, json!({"identifier": "Disconnection"}));
    assert_eq!(alice.next(), Told::Closed);
    drop(alice);
    house.assert_left_empty();
}

#[test]
fn names_are_unique_in_the_house() {
    let house = House::open();
    let mut alice = OldVideochat::join(&house, "alice", key(2048, 0));
    let mut second = OldVideochat::join(&house, "alice", key(2048, 1));
    assert_eq!(second.name, "alice-2");
    alice.hear_presence("broadcast_message", "alice-2");
    assert_eq!(names(&alice), ["alice", "alice-2", "bot"]);

    let mut bob = crate::support::OldChatroom::join(&house, "bob", key(1024, 0));
    for client in [&mut alice, &mut second] {
        client.hear_presence("broadcast_message", "bob@chatroom");
    }
    let other_bob = OldVideochat::join(&house, "bob", key(2048, 2));
    assert_eq!(other_bob.name, "bob-2");
    alice.hear_presence("broadcast_message", "bob-2");
    second.hear_presence("broadcast_message", "bob-2");
    bob.hear_names(&["bob", "bob-2@videochat"]);
    // Who is of another service is shown with its name.
    assert_eq!(
        names(&alice),
        ["alice", "alice-2", "bob-2", "bob@chatroom", "bot"]
    );
    let third = crate::support::OldChatroom::join(&house, "alice", key(1024, 1));
    assert_eq!(third.name, "alice-3");
    bob.hear_names(&["alice-3", "bob", "bob-2@videochat"]);
    for client in [&mut alice, &mut second] {
        client.hear_presence("broadcast_message", "alice-3@chatroom");
    }

    // A name is free again when its owner is gone.
    second.quit();
    alice.hear_presence("AFK", "alice-2");
    let fourth = OldVideochat::join(&house, "alice", key(2048, 1));
    assert_eq!(fourth.name, "alice-2");
    drop((alice, other_bob, fourth, bob, third));
    house.assert_left_empty();
}

// Chat

#[test]
fn a_message_reaches_all_and_only_its_addressee_reads_it() {
    let house = House::open();
    let mut clients: Vec<OldVideochat> = Vec::new();
    for (n, name) in ["alice", "bob", "carol"].into_iter().enumerate() {
        let newcomer = OldVideochat::join(&house, name, key(2048, n));
        for client in &mut clients {
            client.hear_presence("broadcast_message", name);
        }
        clients.push(newcomer);
    }
    let sent = clients[0].communication("bob", "hello bob");
    clients[0].send(&sent);
    for client in &mut clients {
        let heard = client.hear("Communication");
        assert_eq!(heard, sent, "{} hears it as it was sent", client.name);
        let text = client.decrypt(&heard);
        let expected = (client.name == "bob").then(|| "hello bob".to_owned());
        assert_eq!(text, expected, "{}", client.name);
    }
    drop(clients);
    house.assert_left_empty();
}

#[test]
fn from_is_the_registered_name_whatever_the_client_writes() {
    let house = House::open();
    let mut alice = OldVideochat::join(&house, "alice", key(2048, 0));
    let mut mallory = OldVideochat::join(&house, "mallory", key(2048, 1));
    alice.hear_presence("broadcast_message", "mallory");
    for from in [
        json!("alice"),
        json!(""),
        json!(7),
        json!({"a": ["b"]}),
        Value::Null,
    ] {
        let mut message = mallory.communication("alice", "it is me, alice");
        message["from"] = from;
        mallory.send(&message);
        let expected = ("mallory".to_owned(), Some("it is me, alice".to_owned()));
        assert_eq!(alice.hear_chat(), expected);
        assert_eq!(mallory.hear_chat(), ("mallory".to_owned(), None));
    }
    drop((alice, mallory));
    house.assert_left_empty();
}

#[test]
fn everyone_hears_all_messages_in_one_order_which_keeps_each_senders() {
    const MESSAGES: usize = 40;
    let house = House::open();
    let mut alice = OldVideochat::join(&house, "alice", key(2048, 0));
    let mut bob = OldVideochat::join(&house, "bob", key(2048, 1));
    alice.hear_presence("broadcast_message", "bob");
    for n in 0..MESSAGES {
        alice.say("bob", &format!("{n}"));
        bob.say("bob", &format!("{n}"));
    }
    let all = |client: &mut OldVideochat| -> Vec<Value> {
        (0..2 * MESSAGES)
            .map(|_| client.hear("Communication"))
            .collect()
    };
    let (by_alice, by_bob) = (all(&mut alice), all(&mut bob));
    assert_eq!(by_alice, by_bob);
    for name in ["alice", "bob"] {
        let of_one = by_bob.iter().filter(|message| message["from"] == name);
        let texts: Vec<String> = of_one.map(|m| bob.decrypt(m).unwrap()).collect();
        let expected: Vec<String> = (0..MESSAGES).map(|n| n.to_string()).collect();
        assert_eq!(texts, expected, "{name}");
    }
    drop((alice, bob));
    house.assert_left_empty();
}

#[test]
fn messages_are_found_by_their_length_however_they_are_written() {
    let house = House::open();
    let mut alice = OldVideochat::join(&house, "alice", key(2048, 0));
    // Byte by byte.
    let message = alice.communication("alice", "one byte at a time");
    for byte in framed(&message) {
        alice.stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(alice.hear("Communication"), message);
    // Several in one write, and the last one in two.
    let last = alice.communication("alice", "last");
    let mut joined = framed(&message);
    joined.extend(framed(&json!({"identifier": "Video List"})));
    joined.extend(framed(&last));
    let (most, rest) = joined.split_at(joined.len() - 10);
    alice.stream.write_all(most).unwrap();
    let mut said = [alice.next(), alice.next()];
    said.sort_by_key(|told| told.identifier().to_owned());
    assert_eq!(said[0], Told::Json(message));
    assert_eq!(said[1].identifier(), "Video List");
    alice.assert_silent();
    alice.stream.write_all(rest).unwrap();
    assert_eq!(alice.hear("Communication"), last);
    drop(alice);
    house.assert_left_empty();
}

// Errors

#[test]
fn a_mistake_is_answered_and_the_conversation_goes_on() {
    let house = House::open();
    let mut alice = OldVideochat::join(&house, "alice", key(2048, 0));
    let mut bob = OldVideochat::join(&house, "bob", key(2048, 1));
    alice.hear_presence("broadcast_message", "bob");
    let mistakes = [
        framed(&json!({"identifier": "Karaoke"})),
        framed(&json!({"choice": "cells_240p.mp4"})),
        framed(&json!({"identifier": "Communication", "from": "alice"})),
        framed(&json!({"identifier": "Communication", "encrypt_message": "no base64!"})),
        framed(&json!({"identifier": "Video Choice"})),
        framed(&json!({"identifier": "Video Choice", "choice": "nothing_240p.mp4"})),
        framed(&json!({"identifier": "Video Choice", "choice": "../videos/cells_240p.mp4"})),
        framed(&json!(["identifier"])),
        [&[1, 0, 0, 0, 3][..], b"{{{"].concat(),
        vec![1, 0, 0, 0, 0],
        // A frame from a client.
        [&[2, 0, 0, 0, 17][..], b"1               x"].concat(),
    ];
    for mistake in mistakes {
        alice.stream.write_all(&mistake).unwrap();
        let error = alice.hear("Error");
        let shown = String::from_utf8_lossy(&mistake);
        let message = error["message"].as_str().unwrap();
        assert!(!message.is_empty(), "{shown}");
        alice.say("bob", "still here");
        assert_eq!(alice.hear_chat().0, "alice", "{shown}");
        let expected = ("alice".to_owned(), Some("still here".to_owned()));
        assert_eq!(bob.hear_chat(), expected, "only the one at fault is told");
    }
    drop((alice, bob));
    house.assert_left_empty();
}

// Videos

#[test]
fn the_list_has_every_file() {
    let house = House::open();
    let mut alice = OldVideochat::join(&house, "alice", key(2048, 0));
    let mut expected: Vec<String> = fs::read_dir(sample_videos())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".mp4"))
        .collect();
    expected.sort();
    let mut listed = alice.videos();
    listed.sort();
    assert_eq!(listed, expected);
    assert!(listed.contains(&"cells_1440p.mp4".to_owned()));
    drop(alice);
    house.assert_left_empty();
}

#[test]
fn a_choice_plays_an_equal_share_of_each_quality_the_rest_in_the_highest() {
    let house = House::open();
    let mut alice = OldVideochat::join(&house, "alice", key(2048, 0));
    // Any file of the video will do.
    for choice in ["cells_240p.mp4", "cells_1440p.mp4"] {
        assert_eq!(runs(&alice.frames_of(choice)), CELLS, "{choice}");
    }
    // The name before the last underscore.
    let mandelbrot = [(66, 256, 144), (66, 640, 360), (68, 1280, 720)];
    assert_eq!(runs(&alice.frames_of("mandelbrot_360p.mp4")), mandelbrot);
    let test_card = [(66, 160, 120), (66, 320, 240), (68, 640, 480)];
    assert_eq!(runs(&alice.frames_of("test_card_120p.mp4")), test_card);
    alice.assert_silent();
    drop(alice);
    house.assert_left_empty();
}

#[test]
fn files_that_differ_show_the_same_moment() {
    // The lowest quality once more, as a video of its own, shows what belongs to each frame.
    let folder = tempfile::tempdir().unwrap();
    for rows in ["240p", "720p", "1440p"] {
        let file = format!("cells_{rows}.mp4");
        fs::copy(sample_videos().join(&file), folder.path().join(&file)).unwrap();
    }
    let reference = folder.path().join("reference_240p.mp4");
    fs::copy(sample_videos().join("cells_240p.mp4"), reference).unwrap();
    let house = House::open_with(folder.path(), &[("STREAMING__PACE", "fast")]);
    let mut alice = OldVideochat::join(&house, "alice", key(2048, 0));
    let frames = alice.frames_of("cells_240p.mp4");
    let moments: Vec<Vec<u8>> = alice
        .frames_of("reference_240p.mp4")
        .iter()
        .map(|jpeg| small_and_grey(jpeg))
        .collect();
    assert_eq!(frames.len(), moments.len());

    let mut offsets = Vec::new();
    for i in (48..frames.len()).step_by(4) {
        let shown = small_and_grey(&frames[i]);
        let window = i.saturating_sub(9)..(i + 10).min(moments.len());
        let nearest = window
            .min_by_key(|&j| difference(&shown, &moments[j]))
            .unwrap();
        offsets.push(nearest as i64 - i as i64);
    }
    // A frame of another rate may have come up to one frame earlier.
    assert!(
        offsets.iter().all(|offset| (-2..=1).contains(offset)),
        "frames from the moment that is due: {offsets:?}"
    );
    drop(alice);
    house.assert_left_empty();
}

fn small_and_grey(jpeg: &[u8]) -> Vec<u8> {
    let picture = image::load_from_memory_with_format(jpeg, image::ImageFormat::Jpeg).unwrap();
    let small = picture.thumbnail_exact(128, 72).into_luma8();
    small.into_raw()
}

fn difference(a: &[u8], b: &[u8]) -> u64 {
    let pairs = a.iter().zip(b);
    pairs.map(|(&a, &b)| u64::from(a.abs_diff(b))).sum()
}

#[test]
fn chat_and_presence_go_on_between_frames_in_real_time() {
    let house = House::open_with(&sample_videos(), &[]);
    let mut alice = OldVideochat::join(&house, "alice", key(2048, 0));
    let chosen = Instant::now();
    alice.choose("cells_720p.mp4");
    alice.hear("Video Frame");
    let (mut arrivals, mut told) = (Vec::new(), Vec::new());
    let mut bob = None;
    loop {
        match alice.next() {
            Told::Frame(_) => arrivals.push(Instant::now()),
            Told::Json(json) if json["identifier"] == "Video Finish" => break,
            Told::Json(json) => told.push((arrivals.len(), json)),
            Told::Closed => panic!("closed after {} frames", arrivals.len()),
        }
        match arrivals.len() {
            40 if bob.is_none() => {
                bob = Some(OldVideochat::join(&house, "bob", key(2048, 1)));
                alice.choose("mandelbrot_144p.mp4");
            }
            70 if told.len() == 2 => {
                let bob = bob.as_mut().unwrap();
                bob.say("alice", "enjoy it");
                bob.hear_chat();
            }
            _ => {}
        }
    }
    assert_eq!(arrivals.len(), 145);

    // Who is in a hurry finds all of it after the last frame.
    let said: Vec<(bool, &str)> = told
        .iter()
        .map(|(frames, json)| (*frames < 145, json["identifier"].as_str().unwrap()))
        .collect();
    let mut identifiers: Vec<&str> = said.iter().map(|(_, identifier)| *identifier).collect();
    assert!(
        said.iter().all(|(between, _)| *between),
        "between frames: {said:?}"
    );
    identifiers[..2].sort();
    assert_eq!(identifiers, ["Error", "broadcast_message", "Communication"]);
    assert_eq!(alice.decrypt(&told[2].1).unwrap(), "enjoy it");

    for (i, arrival) in (0..).zip(&arrivals) {
        assert_due(i, *arrival - chosen);
    }
    alice.assert_silent();
    drop((alice, bob));
    house.assert_left_empty();
}

#[test]
fn a_second_choice_during_a_stream_is_an_error_and_harms_nothing() {
    let house = House::open();
    let mut alice = OldVideochat::join(&house, "alice", key(2048, 0));
    // Nothing is read yet, so the stream, of many megabytes, can't be over.
    alice.choose("cells_240p.mp4");
    alice.choose("mandelbrot_144p.mp4");
    let (frames, besides) = alice.watch();
    assert_eq!(runs(&frames), CELLS);
    let identifiers: Vec<&Value> = besides.iter().map(|json| &json["identifier"]).collect();
    assert_eq!(identifiers, ["Error"]);
    // Afterwards it is none.
    assert_eq!(alice.frames_of("mandelbrot_144p.mp4").len(), 200);
    drop(alice);
    house.assert_left_empty();
}

#[test]
fn who_leaves_during_a_stream_leaves_nothing_behind() {
    let house = House::open();
    for goodbye in [true, false] {
        let mut alice = OldVideochat::join(&house, "alice", key(2048, 0));
        alice.choose("cells_240p.mp4");
        alice.hear("Video Frame");
        assert_eq!(alice.next().identifier(), "frame");
        if goodbye {
            alice.send(&json!({"identifier": "QUIT"}));
            while alice.next().identifier() != "Disconnection" {}
            assert_closed(&alice.stream);
        }
    }
    house.assert_left_empty();
}

#[test]
fn videos_come_and_go_while_one_plays() {
    let folder = tempfile::tempdir().unwrap();
    let place = |file: &str, name: &str| {
        let beside = folder.path().join(format!(".{name}.new"));
        fs::copy(sample_videos().join(file), &beside).unwrap();
        fs::rename(beside, folder.path().join(name)).unwrap();
    };
    let cells = ["cells_240p.mp4", "cells_720p.mp4", "cells_1440p.mp4"];
    for file in cells {
        place(file, file);
    }
    let house = House::open_with(folder.path(), &[("STREAMING__PACE", "fast")]);
    let mut viewer = OldVideochat::join(&house, "viewer", key(2048, 0));
    let mut keeper = OldVideochat::join(&house, "keeper", key(2048, 1));
    viewer.hear_presence("broadcast_message", "keeper");
    assert_eq!(keeper.videos(), cells);

    // The viewer reads only the first frame for now, so that the stream waits for it.
    viewer.choose("cells_240p.mp4");
    viewer.hear("Video Frame");
    let Told::Frame(first) = viewer.next() else {
        panic!("a frame is expected");
    };
    place("test_card_120p.mp4", "new_120p.mp4");
    wait_for("the new video", || {
        keeper
            .videos()
            .contains(&"new_120p.mp4".to_owned())
            .then_some(())
    });
    assert_eq!(keeper.frames_of("new_120p.mp4").len(), 200);
    for file in cells.iter().chain(&["new_120p.mp4"]) {
        fs::remove_file(folder.path().join(file)).unwrap();
    }
    wait_for("an empty list", || keeper.videos().is_empty().then_some(()));
    keeper.choose("cells_240p.mp4");
    keeper.hear("Error");

    // A stream that has begun keeps the files that it began with.
    let mut shown = vec![dimensions(&first)];
    loop {
        match viewer.next() {
            Told::Frame(jpeg) => shown.push(dimensions(&jpeg)),
            told => break assert_eq!(told.identifier(), "Video Finish"),
        }
    }
    let expected: Vec<(u32, u32)> = CELLS
        .into_iter()
        .flat_map(|(frames, width, height)| std::iter::repeat_n((width, height), frames))
        .collect();
    assert_eq!(shown, expected);
    drop((viewer, keeper));
    house.assert_left_empty();
}

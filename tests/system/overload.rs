//! Overload: viewers and readers that stop, floods, crowds that come and go, full houses. Whoever is
//! slow is alone with it, memory stays bounded, and all places are given back.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::overload_support::{
    Chatroom, House, KEY_PROMPT, Message, NAME_PROMPT, Raw, VIDEOCHAT_BITS, Videochat, Word,
    communication, greeted, is_presence, spki_pem, text,
};
use crate::support::wait_for;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const FAST: (&str, &str) = ("PLAYHOUSE__STREAMING__PACE", "fast");
/// 200 frames, in bytes far more than sockets hold.
const LONG: &str = "mandelbrot_720p.mp4";
const FRAMES: usize = 200;
/// In KiB.
const MIB: u64 = 1024;

/// Chooses `LONG` and stops reading, in one of the two services.
enum Stalled {
    Videochat(Videochat),
    Chatroom(Chatroom),
}

impl Stalled {
    fn videochat(house: &House, name: &str) -> Stalled {
        let raw = Raw::connect_narrow(house.videochat());
        let mut viewer = Videochat::join_with(raw, name);
        viewer.choose(LONG);
        viewer.json_until(|json| json["identifier"] == "Video Frame");
        Stalled::Videochat(viewer)
    }

    fn chatroom(house: &House, name: &str) -> Stalled {
        let raw = Raw::connect_narrow(house.chatroom());
        let mut viewer = Chatroom::join_with(raw, name);
        viewer.videos();
        assert_eq!(viewer.choose("mandelbrot") as usize, FRAMES);
        Stalled::Chatroom(viewer)
    }

    /// Reads on after all.
    fn frames(&mut self) -> Vec<Vec<u8>> {
        match self {
            Stalled::Videochat(viewer) => viewer.frames(),
            Stalled::Chatroom(viewer) => (0..FRAMES).map(|_| viewer.frame()).collect(),
        }
    }
}

#[test]
fn viewers_that_stop_reading_cost_the_others_nothing() {
    let house = House::open(&[FAST, ("PLAYHOUSE__STREAMING__CACHE_MB", "16")]);
    let mut viewer = Videochat::join(&house, "viewer");
    let start = Instant::now();
    let alone = viewer.play(LONG);
    let time_alone = start.elapsed();
    assert_eq!(alone.len(), FRAMES);
    let mut neighbour = Chatroom::join(&house, "neighbour");
    let in_chatroom = neighbour.play("mandelbrot");

    let mut stalled: Vec<Stalled> = ["one", "two", "three"]
        .map(|name| Stalled::videochat(&house, name))
        .into();
    stalled.push(Stalled::chatroom(&house, "four"));
    let start = Instant::now();
    assert!(viewer.play(LONG) == alone, "every frame, the same bytes");
    let time_beside = start.elapsed();
    assert!(neighbour.play("mandelbrot") == in_chatroom);

    assert!(
        time_beside < 2 * time_alone + Duration::from_secs(1),
        "{time_beside:?} instead of {time_alone:?}"
    );
    let census = house.census();
    assert!(census.channels > 0, "those who stopped are still watching");
    assert_eq!(census.people, 6);

    // And whoever reads on has lost nothing.
    assert!(stalled[0].frames() == alone);
    assert!(stalled[3].frames() == in_chatroom);
    drop(stalled);
    house.wait_census("the channels' end", |census| {
        census.channels == 0 && census.people == 2
    });
    house.stop();
}

#[test]
fn viewers_that_stop_reading_hold_little_memory() {
    const LARGE: &str = "cells_1440p.mp4";
    // Hardly any cache: what a viewer holds it holds alone.
    let house = House::open(&[FAST, ("PLAYHOUSE__STREAMING__CACHE_MB", "1")]);
    let mut viewer = Videochat::join(&house, "viewer");
    viewer.play(LARGE);
    let rss_before = house.rss_kib();
    let mut stalled = Vec::new();
    for n in 0..4 {
        let raw = Raw::connect_narrow(house.videochat());
        let mut viewing = Videochat::join_with(raw, &format!("stalled {n}"));
        viewing.choose(LARGE);
        viewing.json_until(|json| json["identifier"] == "Video Frame");
        stalled.push(viewing);
        // The other has as much time as one viewer needs to see it all.
        viewer.play(LARGE);
    }
    // The video has 30 MB; of four times that the house keeps what waits for each, and its decoders.
    let growth = house.rss_kib().saturating_sub(rss_before);
    assert!(growth < 60 * MIB, "{growth} KiB more");
    assert!(house.census().channels > 0, "they are still watching");
    drop(stalled);
    house.stop();
}

#[test]
fn a_video_in_real_time_stays_on_time_beside_a_viewer_that_stops() {
    // So far ahead that two of the video's eight seconds are left to be waited for.
    let house = House::open(&[
        ("PLAYHOUSE__STREAMING__HEAD_START_MS", "6000"),
        ("PLAYHOUSE__STREAMING__CACHE_MB", "64"),
    ]);
    let mut viewer = Videochat::join(&house, "viewer");
    let first = viewer.play(LONG);
    let _stalled = Stalled::videochat(&house, "stalled");
    viewer.choose(LONG);
    viewer.json_until(|json| json["identifier"] == "Video Frame");
    let start = Instant::now();
    assert!(viewer.frames() == first);
    let took = start.elapsed();
    // The last of 200 frames is due 7.96 s after the first.
    assert!(
        took >= Duration::from_millis(1900),
        "{took:?}: not in real time"
    );
    assert!(took < Duration::from_millis(4500), "{took:?}: late");
    assert!(
        house.census().channels > 0,
        "the other one is still watching"
    );
    drop(_stalled);
    house.stop();
}

#[test]
fn a_viewer_that_takes_nothing_for_too_long_is_let_go() {
    let house = House::open(&[FAST, ("PLAYHOUSE__LIMITS__STALL_S", "1")]);
    let stalled = Stalled::videochat(&house, "stalled");
    let Stalled::Videochat(viewer) = &stalled else {
        unreachable!()
    };
    let why = house.wait_left(viewer.address());
    assert_eq!(why, "left: let go for being slow: nothing was read for 1 s");
    house.wait_census("an empty house", |census| {
        (census.connections, census.people, census.channels) == (0, 0, 0)
    });
    house.stop();
}

/// A block that carries a number, as long as any that is relayed.
fn numbered(n: u32) -> Vec<u8> {
    let mut block = n.to_be_bytes().to_vec();
    block.resize(512, 7);
    block
}

/// Reads numbered messages, in order and without a gap, until number `last`.
fn hears_all(reader: &mut Videochat, last: impl Fn(u32) -> bool) -> u32 {
    let mut expected = 0;
    loop {
        match reader.next() {
            Some(Message::Json(json)) if is_presence(&json) => {}
            Some(Message::Json(json)) => {
                let message = communication(&numbered(expected));
                let sent: serde_json::Value = serde_json::from_slice(&message[5..]).unwrap();
                assert_eq!(
                    json["encrypt_message"], sent["encrypt_message"],
                    "at {expected}"
                );
                expected += 1;
                if last(expected) {
                    return expected;
                }
            }
            other => panic!("{} heard {expected}, then {other:?}", reader.name),
        }
    }
}

#[test]
fn a_reader_that_stops_is_let_go_and_the_others_hear_everything() {
    let house = House::open(&[("PLAYHOUSE__LIMITS__BACKLOG_KB", "1024")]);
    let stopped = Videochat::join_with(Raw::connect_narrow(house.videochat()), "stopped");
    let mut readers = [
        Videochat::join(&house, "reader 1"),
        Videochat::join(&house, "reader 2"),
    ];
    let mut sender = Videochat::join(&house, "sender");
    let rss_before = house.rss_kib();
    let peer = stopped.address();

    // Far more than sockets and the backlog hold, and still a number that is reached in no time.
    const MOST: u32 = 40_000;
    let mut sent = 0;
    let (gone, total) = (AtomicBool::new(false), OnceLock::new());
    let (gone, total) = (&gone, &total);
    thread::scope(|scope| {
        let house = &house;
        scope.spawn(move || {
            house.wait_left(peer);
            gone.store(true, Ordering::Release);
        });
        // Everyone reads while the flood lasts, the sender its own words too.
        let own = sender.raw.stream.try_clone().unwrap();
        let mut echo = Videochat {
            raw: Raw {
                stream: own,
                unread: std::mem::take(&mut sender.raw.unread),
            },
            name: "sender".to_owned(),
        };
        // The end of the flood is a message too: it is known before it is sent.
        let end = |heard: u32| total.get().is_some_and(|total| heard == *total);
        let readers: Vec<_> = readers
            .iter_mut()
            .map(|reader| scope.spawn(move || hears_all(reader, end)))
            .chain([scope.spawn(move || hears_all(&mut echo, end))])
            .collect();
        while !gone.load(Ordering::Acquire) && sent < MOST {
            sender.say(&numbered(sent));
            sent += 1;
        }
        total.set(sent + 1).unwrap();
        sender.say(&numbered(sent));
        for reader in readers {
            assert_eq!(reader.join().unwrap(), sent + 1);
        }
        assert!(
            gone.load(Ordering::Acquire),
            "nobody was let go in {sent} messages"
        );
    });

    let why = house.wait_left(peer);
    assert!(
        why.contains("slow") && why.contains("limits.backlog_kb"),
        "{why}"
    );
    let log = house.wait_log("who was let go", |line| {
        text(&line["message"]).starts_with("left: ") && line["span"]["user"] == "stopped"
    });
    assert_eq!(log["level"], "WARN");
    let growth = house.rss_kib().saturating_sub(rss_before);
    assert!(growth < 40 * MIB, "{growth} KiB more");
    house.wait_census("three people", |census| census.people == 3);
    drop(stopped);
    house.stop();
}

#[test]
fn a_flood_that_everyone_reads_reaches_everyone_in_order() {
    let house = House::open(&[]);
    let mut readers: Vec<Videochat> = (0..20)
        .map(|n| Videochat::join(&house, &format!("reader {n}")))
        .collect();
    let mut sender = Videochat::join(&house, "sender");
    const MESSAGES: u32 = 3000;
    thread::scope(|scope| {
        let own = sender.raw.stream.try_clone().unwrap();
        let mut echo = Videochat {
            raw: Raw {
                stream: own,
                unread: Vec::new(),
            },
            name: "sender".to_owned(),
        };
        for reader in readers.iter_mut() {
            scope.spawn(|| hears_all(reader, |heard| heard == MESSAGES));
        }
        scope.spawn(move || hears_all(&mut echo, |heard| heard == MESSAGES));
        let flood: Vec<u8> = (0..MESSAGES)
            .flat_map(|n| communication(&numbered(n)))
            .collect();
        sender.raw.send(&flood);
    });
    let census = house.census();
    assert_eq!((census.people, census.restarts), (21, 0));
    house.stop();
}

#[test]
fn a_flood_in_chatroom_reaches_everyone_in_order() {
    let house = House::open(&[("PLAYHOUSE__CHATROOM__LEGACY_GAP_MS", "0")]);
    let mut people: Vec<Chatroom> = (0..10)
        .map(|n| Chatroom::join(&house, &format!("reader {n}")))
        .collect();
    const MESSAGES: u32 = 500;
    let mut sender = people[0].raw.stream.try_clone().unwrap();
    thread::scope(|scope| {
        for reader in people.iter_mut() {
            scope.spawn(|| {
                for n in 0..MESSAGES {
                    let expected = Chatroom::message(&format!("number {n}"));
                    let word = loop {
                        match reader.next() {
                            Some(Word::People(_)) => {}
                            other => break other,
                        }
                    };
                    assert_eq!(word, Some(Word::Chat(expected[4..].to_vec())), "number {n}");
                }
            });
        }
        let mut flood = b"[CHAT]".to_vec();
        flood.extend((0..MESSAGES).flat_map(|n| Chatroom::message(&format!("number {n}"))));
        sender.write_all(&flood).unwrap();
    });
    assert_eq!(house.census().people, 10);
    house.stop();
}

/// Comes and goes, in one of several ways.
fn visit(house: &House, n: usize) {
    let videochat = || Raw::connect(house.videochat());
    let half = |mut raw: Raw| {
        raw.expect(NAME_PROMPT);
        raw.send(b"hasty");
        raw.expect(KEY_PROMPT);
        raw
    };
    match n % 8 {
        0 => drop(videochat()),
        1 => videochat().reset(),
        2 => half(videochat()).reset(),
        3 => drop(half(videochat())),
        // Names of their own: the last one of the same name may still be on its way out.
        4 => drop(Videochat::join(house, &format!("hasty {n}"))),
        5 => Videochat::join(house, &format!("hasty {n}")).raw.reset(),
        6 => {
            let mut raw = Raw::connect(house.chatroom());
            greeted(&mut raw);
            raw.reset();
        }
        _ => {
            let mut raw = half(videochat());
            raw.send(spki_pem(VIDEOCHAT_BITS).as_bytes());
            raw.reset();
        }
    }
}

#[test]
fn a_crowd_that_comes_and_goes_leaves_nothing_behind() {
    // No gap: the crowd is not to wait for prompts.
    let house = House::open(&[("PLAYHOUSE__CHATROOM__LEGACY_GAP_MS", "0")]);
    let come_and_go = |visits: usize| {
        thread::scope(|scope| {
            for part in 0..4 {
                let house = &house;
                scope.spawn(move || (part..visits).step_by(4).for_each(|n| visit(house, n)));
            }
        });
        house.wait_census("an empty house", |census| {
            (census.connections, census.people, census.seats) == (0, 0, 0)
        })
    };
    come_and_go(50);
    let (files, rss) = (house.open_files(), house.rss_kib());
    let census = come_and_go(500);
    assert_eq!(census.accepted, 551);
    assert_eq!((census.restarts, census.refused), (0, 0));
    wait_for("the files' closing", || {
        (house.open_files() <= files).then_some(())
    });
    let growth = house.rss_kib().saturating_sub(rss);
    assert!(growth < 20 * MIB, "{growth} KiB more");
    house.stop();
}

/// Whether the server closes without a word.
fn is_turned_away(address: SocketAddr) -> bool {
    Raw::connect(address).rest().is_empty()
}

#[test]
fn a_full_house_lets_nobody_in_until_somebody_leaves() {
    let house = House::open(&[("PLAYHOUSE__SERVER__MAX_CONNECTIONS", "5")]);
    let mut guests: Vec<Videochat> = (0..3)
        .map(|n| Videochat::join(&house, &format!("guest {n}")))
        .collect();
    // All services together, those who have not said who they are included.
    let _in_chatroom = Chatroom::join(&house, "guest 3");
    let mut nameless = Raw::connect(house.videochat());
    nameless.expect(NAME_PROMPT);
    assert!(is_turned_away(house.videochat()));
    assert!(is_turned_away(house.chatroom()));
    house.wait_log("who was refused", |line| {
        line["message"] == "refused"
            && text(&line["rule"]).contains("server.max_connections")
            && text(&line["peer"]).starts_with("127.0.0.1:")
    });
    drop(guests.pop());
    house.wait_census("a free place", |census| census.connections == 4);
    let mut late = Videochat::join(&house, "late");
    assert!(late.is_served() && guests[0].is_served());
    assert_eq!(house.census().refused, 2);
    house.stop();
}

#[test]
fn networks_that_are_not_listed_are_turned_away() {
    let house = House::open(&[("PLAYHOUSE__SERVER__ALLOW", "10.0.0.0/8,fe80::/10")]);
    assert!(is_turned_away(house.videochat()));
    assert!(is_turned_away(house.chatroom()));
    house.wait_log("who was refused", |line| {
        line["message"] == "refused"
            && line["level"] == "WARN"
            && text(&line["rule"]).contains("server.allow")
            && text(&line["peer"]).starts_with("127.0.0.1:")
    });
    assert_eq!(house.census().accepted, 0);
    house.stop();
}

#[test]
fn so_many_videos_may_play_and_no_more() {
    let house = House::open(&[FAST, ("PLAYHOUSE__STREAMING__MAX_STREAMS", "1")]);
    let stalled = Stalled::videochat(&house, "first");
    let mut second = Videochat::join(&house, "second");
    second.choose(LONG);
    assert!(second.error().contains("too many videos"));
    assert!(second.is_served());
    let mut third = Chatroom::join(&house, "third");
    third.videos();
    assert_eq!(third.choose("mandelbrot"), 0);
    drop(stalled);
    house.wait_census("the stream's end", |census| census.channels == 0);
    assert_eq!(third.play("test_card").len(), FRAMES);
    assert_eq!(second.play("test_card_120p.mp4").len(), FRAMES);
    house.stop();
}

#[test]
fn viewers_who_go_in_the_middle_give_their_places_back() {
    let house = House::open(&[FAST, ("PLAYHOUSE__STREAMING__MAX_STREAMS", "1")]);
    let empty = || {
        house.wait_census("an empty house", |census| {
            (census.connections, census.people, census.channels) == (0, 0, 0)
        });
    };
    for reset in [false, true] {
        let mut viewer = Videochat::join(&house, "viewer");
        viewer.choose(LONG);
        let mut frames = 0;
        while frames < 10 {
            frames += usize::from(matches!(viewer.next(), Some(Message::Frame(_))));
        }
        if reset {
            viewer.raw.reset();
        } else {
            drop(viewer);
        }
        empty();
        let mut viewer = Chatroom::join(&house, "viewer");
        viewer.videos();
        assert_eq!(
            viewer.choose("mandelbrot") as usize,
            FRAMES,
            "the place is free"
        );
        for _ in 0..10 {
            viewer.frame();
        }
        if reset {
            viewer.raw.reset();
        } else {
            drop(viewer);
        }
        empty();
    }
    let mut last = Videochat::join(&house, "last");
    assert_eq!(last.play("test_card_120p.mp4").len(), FRAMES);
    house.stop();
}

/// Joins videochat and takes whatever comes, until the server closes.
async fn idle(address: SocketAddr, n: u64, key: String) -> io::Result<()> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let mut buffer = vec![0; 64 * 1024];
    let length = stream.read(&mut buffer).await?;
    assert_eq!(&buffer[..length], NAME_PROMPT);
    stream.write_all(format!("idle {n}").as_bytes()).await?;
    let length = stream.read(&mut buffer).await?;
    assert_eq!(&buffer[..length], KEY_PROMPT);
    stream.write_all(key.as_bytes()).await?;
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

#[test]
fn an_idle_connection_costs_little() {
    const PEOPLE: u64 = 500;
    let house = House::open(&[("PLAYHOUSE__CHATROOM__LEGACY_GAP_MS", "0")]);
    let address = house.videochat();
    let rss_before = house.rss_kib();
    let crowd = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let key = spki_pem(VIDEOCHAT_BITS);
            let people = tokio::task::LocalSet::new();
            for n in 0..PEOPLE {
                let key = key.clone();
                people.spawn_local(async move { idle(address, n, key).await.unwrap() });
            }
            people.await;
        });
    });
    house.wait_census("the crowd", |census| census.people == PEOPLE);
    wait_for("less than 16 KiB for each connection", || {
        let each = house.rss_kib().saturating_sub(rss_before) / PEOPLE;
        (each < 16).then_some(())
    });
    assert_eq!(house.census().people, PEOPLE, "everyone is still there");
    house.stop();
    crowd.join().unwrap();
}

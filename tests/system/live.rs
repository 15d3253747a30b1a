//! Live channels: what tumip's users show is watched in videochat and in chatroom, by viewers who keep up
//! and viewers who don't.

use crate::live_support::pictures::{difference, noise, number_of, numbered, plain};
use crate::live_support::ports::rss_kib;
use crate::live_support::{
    Camera, LONG_LINGER, SHORT_LINGER, hear_begin, hear_frame, next_frame, tune_in, wait_channel,
    wait_frames, watcher,
};
use crate::support::{House, OldChatroom, OldVideochat, Told, dimensions, key, wait_for};

// From its first picture to its last

#[test]
fn two_services_watch_a_user_at_the_same_time() {
    let house = House::open_empty(&[("LIVE__CHATROOM_FRAMES", "12")]);
    let mut anna = watcher(&house);
    let mut ben = OldChatroom::join(&house, "ben", key(1024, 0));
    let picture = |number| plain(number, 120, 90);
    let camera = Camera::open(&house, 32);
    // A user who has not sent anything is no channel.
    assert!(anna.videos().is_empty() && ben.videos().is_empty());
    camera.show(&picture(0));
    wait_frames(&house, "tumip-32", 1);
    assert_eq!(anna.videos(), ["tumip-32"]);
    assert_eq!(ben.videos(), ["tumip-32"]);

    assert_eq!(tune_in(&mut anna, "tumip-32"), picture(0));
    ben.send(b"tumip-32");
    assert_eq!(hear_begin(&mut ben), 12);
    assert_eq!(hear_frame(&mut ben), picture(0));
    for number in 1..20 {
        camera.show(&picture(number));
        let seen = next_frame(&mut anna);
        assert_eq!(seen, picture(number), "byte for byte");
        assert_eq!(dimensions(&seen), (120, 90));
        assert!(difference(&seen, number) < 10, "it is a picture");
        if number < 12 {
            assert_eq!(hear_frame(&mut ben), picture(number));
        }
    }
    // Twelve were promised, and no more come.
    ben.assert_silent();
    assert_eq!(ben.videos(), ["tumip-32"]);

    drop(camera);
    anna.hear("Video Finish");
    assert!(anna.videos().is_empty() && ben.videos().is_empty());
    anna.choose("tumip-32");
    anna.hear("Error");

    // The same user comes back.
    let camera = Camera::open(&house, 32);
    camera.show(&picture(50));
    wait_frames(&house, "tumip-32", 1);
    assert_eq!(tune_in(&mut anna, "tumip-32"), picture(50));
    ben.videos();
    ben.send(b"tumip-32");
    assert_eq!(hear_begin(&mut ben), 12);
    assert_eq!(hear_frame(&mut ben), picture(50));
    for number in 51..54 {
        camera.show(&picture(number));
        assert_eq!(next_frame(&mut anna), picture(number));
        assert_eq!(hear_frame(&mut ben), picture(number));
    }
    // It leaves in the middle: what was promised comes.
    drop(camera);
    anna.hear("Video Finish");
    for _ in 4..12 {
        assert_eq!(hear_frame(&mut ben), picture(53), "the last one again");
    }
    ben.assert_silent();
    drop((anna, ben));
    house.assert_left_empty();
}

#[test]
fn viewers_go_on_when_a_source_comes_back_in_time() {
    let house = House::open_empty(&[LONG_LINGER, ("LIVE__CHATROOM_FRAMES", "4")]);
    let mut anna = watcher(&house);
    let mut ben = OldChatroom::join(&house, "ben", key(1024, 0));
    let picture = |number| plain(number, 16, 16);
    let camera = Camera::open(&house, 32);
    camera.show(&picture(0));
    wait_frames(&house, "tumip-32", 1);
    assert_eq!(tune_in(&mut anna, "tumip-32"), picture(0));
    ben.videos();
    ben.send(b"tumip-32");
    assert_eq!(hear_begin(&mut ben), 4);
    assert_eq!(hear_frame(&mut ben), picture(0));
    drop(camera);
    wait_for("the end of the connection and its port", || {
        let census = house.census();
        (census.people == 2 && census.picture_ports == 0).then_some(())
    });
    assert_eq!(anna.videos(), ["tumip-32"], "on air for a while");
    let camera = Camera::open(&house, 32);
    for number in 1..4 {
        camera.show(&picture(number));
        assert_eq!(next_frame(&mut anna), picture(number));
        assert_eq!(hear_frame(&mut ben), picture(number));
    }
    assert_eq!(house.live_census()["tumip-32"].frames, 4, "one channel");
    house.stop();
}

#[test]
fn chatroom_hears_what_was_said_after_a_live_stream() {
    let house = House::open_empty(&[LONG_LINGER, ("LIVE__CHATROOM_FRAMES", "3")]);
    let mut ben = OldChatroom::join(&house, "ben", key(1024, 0));
    let camera = Camera::open(&house, 32);
    ben.hear_names(&["ben", "tumip-32@tumip"]);
    camera.show(&plain(0, 16, 16));
    wait_frames(&house, "tumip-32", 1);
    ben.videos();
    ben.send(b"tumip-32");
    assert_eq!(hear_begin(&mut ben), 3);
    hear_frame(&mut ben);
    let cleo = OldChatroom::join(&house, "cleo", key(1024, 1));
    camera.show(&plain(1, 16, 16));
    hear_frame(&mut ben);
    camera.show(&plain(2, 16, 16));
    hear_frame(&mut ben);
    // To those of tumip no text can be shown: they come last, and have no room any more.
    ben.hear_names(&["ben", "cleo"]);
    drop((ben, cleo));
    house.stop();
}

#[test]
fn videochat_goes_on_beside_a_live_channel() {
    let house = House::open_empty(&[LONG_LINGER]);
    let mut anna = watcher(&house);
    let mut bob = OldVideochat::join(&house, "bob", key(2048, 1));
    anna.hear_presence("broadcast_message", "bob");
    let camera = Camera::open(&house, 32);
    camera.show(&plain(0, 16, 16));
    wait_frames(&house, "tumip-32", 1);
    tune_in(&mut anna, "tumip-32");
    for number in 1..4 {
        bob.say("viewer", "do you see it?");
        bob.hear_chat();
        assert_eq!(anna.hear_chat().1.unwrap(), "do you see it?");
        camera.show(&plain(number, 16, 16));
        assert_eq!(next_frame(&mut anna), plain(number, 16, 16));
        anna.say("bob", "yes");
        assert_eq!(bob.hear_chat().1.unwrap(), "yes");
        anna.hear_chat();
    }
    anna.quit();
    bob.hear_presence("AFK", "viewer");
    wait_channel(&house, "tumip-32", |channel| {
        channel.is_some_and(|channel| channel.viewers == 0)
    });
    bob.quit();
    house.stop();
}

#[test]
fn a_house_that_closes_lets_live_viewers_and_sources_go() {
    let house = House::open_empty(&[LONG_LINGER]);
    let mut anna = watcher(&house);
    let mut ben = OldChatroom::join(&house, "ben", key(1024, 0));
    let camera = Camera::open(&house, 32);
    camera.show(&plain(0, 16, 16));
    wait_frames(&house, "tumip-32", 1);
    tune_in(&mut anna, "tumip-32");
    ben.videos();
    ben.send(b"tumip-32");
    hear_begin(&mut ben);
    hear_frame(&mut ben);
    house.stop();
    anna.hear("Disconnection");
    assert_eq!(anna.next(), Told::Closed);
    ben.hear_closed();
    crate::support::assert_closed(&camera.client.stream);
}

// Viewers fast and slow

#[test]
fn whoever_comes_begins_with_the_newest_frame() {
    let house = House::open_empty(&[LONG_LINGER]);
    let mut anna = watcher(&house);
    let camera = Camera::open(&house, 32);
    for number in 0..10 {
        camera.show(&plain(number, 16, 16));
    }
    wait_frames(&house, "tumip-32", 10);
    assert_eq!(tune_in(&mut anna, "tumip-32"), plain(9, 16, 16));
    anna.assert_silent();
    camera.show(&plain(10, 16, 16));
    assert_eq!(next_frame(&mut anna), plain(10, 16, 16));
    let mut bob = OldVideochat::join(&house, "bob", key(2048, 1));
    anna.hear_presence("broadcast_message", "bob");
    assert_eq!(tune_in(&mut bob, "tumip-32"), plain(10, 16, 16));
    anna.assert_silent();
    house.stop();
}

#[test]
fn a_viewer_that_stops_reading_skips_and_nobody_else_does() {
    /// 400 frames are 26 MB: more than what buffers hold of them.
    const FRAMES: u32 = 400;
    const SLOW: usize = 4;
    let house = House::open_empty(&[LONG_LINGER]);
    let base = noise(0);
    let picture = |number| numbered(&base, number);
    let camera = Camera::open(&house, 32);
    camera.show(&picture(0));
    wait_frames(&house, "tumip-32", 1);
    let mut quick = watcher(&house);
    let mut slow: Vec<OldVideochat> = (0..SLOW)
        .map(|n| OldVideochat::join(&house, &format!("slow {n}"), key(2048, 1)))
        .collect();
    for (n, viewer) in slow.iter_mut().enumerate() {
        for late in n + 1..SLOW {
            viewer.hear_presence("broadcast_message", &format!("slow {late}"));
        }
        quick.hear_presence("broadcast_message", &format!("slow {n}"));
        assert!(tune_in(viewer, "tumip-32") == picture(0));
    }
    assert!(tune_in(&mut quick, "tumip-32") == picture(0));
    // So much that all buffers are there.
    for number in 1..20 {
        camera.show(&picture(number));
        assert!(next_frame(&mut quick) == picture(number));
    }
    let before = rss_kib(house.pid());
    for number in 20..FRAMES {
        camera.show(&picture(number));
        assert!(next_frame(&mut quick) == picture(number), "every frame");
    }
    let growth = rss_kib(house.pid()).saturating_sub(before);
    // Unsent frames of all slow viewers would be 100 MB.
    assert!(growth < 16 * 1024, "{growth} KiB more");
    let missed = house.live_census()["tumip-32"].missed;
    assert!(missed > u64::from(FRAMES), "{missed}");

    for viewer in &mut slow {
        let mut seen = vec![0];
        while seen.last() != Some(&(FRAMES - 1)) {
            let frame = next_frame(viewer);
            let number = number_of(&frame);
            assert!(frame == picture(number), "whole");
            seen.push(number);
        }
        assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
        // What is old is only what was on its way.
        assert!(seen.len() < 60, "{} frames", seen.len());
        // Whoever reads again gets every frame again.
        viewer.assert_silent();
    }
    for number in FRAMES..FRAMES + 5 {
        camera.show(&picture(number));
        for viewer in slow.iter_mut().chain([&mut quick]) {
            assert!(next_frame(viewer) == picture(number));
        }
    }
    house.stop();
}

#[test]
fn a_chatroom_viewer_that_stops_reading_skips_too() {
    const FRAMES: u32 = 400;
    let promised = 150;
    let house = House::open_empty(&[LONG_LINGER, ("LIVE__CHATROOM_FRAMES", "150")]);
    let base = noise(0);
    let picture = |number| numbered(&base, number);
    let mut quick = watcher(&house);
    let mut slow = OldChatroom::join(&house, "slow", key(1024, 0));
    let camera = Camera::open(&house, 32);
    camera.show(&picture(0));
    wait_frames(&house, "tumip-32", 1);
    slow.videos();
    slow.send(b"tumip-32");
    assert_eq!(hear_begin(&mut slow), promised);
    assert!(hear_frame(&mut slow) == picture(0));
    slow.read_nothing();
    assert!(tune_in(&mut quick, "tumip-32") == picture(0));
    for number in 1..FRAMES {
        camera.show(&picture(number));
        assert!(next_frame(&mut quick) == picture(number));
    }
    slow.read_on();
    let mut seen = vec![0];
    while seen.last() != Some(&(FRAMES - 1)) {
        seen.push(number_of(&hear_frame(&mut slow)));
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
    // As many as promised come, whatever it missed.
    for number in (FRAMES..).take(promised as usize - seen.len()) {
        camera.show(&picture(number));
        assert!(hear_frame(&mut slow) == picture(number));
        assert!(next_frame(&mut quick) == picture(number));
    }
    slow.assert_silent();
    assert_eq!(slow.videos(), ["tumip-32"]);
    house.stop();
}

#[test]
fn a_viewer_that_goes_in_the_middle_leaves_nothing() {
    let house = House::open_empty(&[SHORT_LINGER]);
    let base = noise(0);
    let mut anna = watcher(&house);
    let camera = Camera::open(&house, 32);
    camera.show(&base);
    wait_frames(&house, "tumip-32", 1);
    for _ in 0..3 {
        let mut bob = OldVideochat::join(&house, "bob", key(2048, 1));
        anna.hear_presence("broadcast_message", "bob");
        tune_in(&mut bob, "tumip-32");
        for number in 0..30 {
            camera.show(&numbered(&base, number));
        }
        drop(bob);
        anna.hear_presence("AFK", "bob");
    }
    wait_channel(&house, "tumip-32", |channel| {
        channel.is_some_and(|channel| channel.viewers == 0)
    });
    drop((anna, camera));
    house.assert_left_empty();
}

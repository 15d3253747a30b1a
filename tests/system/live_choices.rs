//! Choosing live channels: one after the other, beside recorded videos, and two of one user's number.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::live_support::pictures::{noise, numbered, plain};
use crate::live_support::{
    Camera, ECHO, LONG_LINGER, hear_begin, hear_frame, next_frame, tune_in, wait_frames,
    wait_off_air, watcher,
};
use crate::support::{House, OldChatroom, OldVideochat, Told, framed, key, runs, sample_videos};
use serde_json::{Value, json};

const FAST: (&str, &str) = ("STREAMING__PACE", "fast");
/// Frames in cells_240p.mp4's video.
const CELLS: usize = 145;

#[test]
fn another_choice_ends_a_live_channel() {
    let house = House::open_with(&sample_videos(), &[LONG_LINGER, FAST]);
    let mut anna = watcher(&house);
    let camera = Camera::open(&house, 32);
    let picture = |number| plain(number, 16, 16);
    camera.show(&picture(0));
    wait_frames(&house, "tumip-32", 1);
    let videos = anna.videos();
    assert_eq!(videos.len(), 10);
    assert_eq!(videos.last().unwrap(), "tumip-32", "behind the videos");
    // Clients add a quality to whatever they choose.
    for choice in ["tumip-32", "tumip-32_240p.mp4"] {
        assert_eq!(tune_in(&mut anna, choice), picture(0));
        anna.choose("cells_240p.mp4");
        anna.hear("Video Finish");
        let (frames, besides) = anna.watch();
        assert_eq!(besides, [] as [Value; 0]);
        assert_eq!(frames.len(), CELLS);
        assert_eq!(runs(&frames)[0], (48, 426, 240));
    }
    // From one channel to another, and to the same one.
    let other = Camera::open(&house, 33);
    other.show(&picture(7));
    wait_frames(&house, "tumip-33", 1);
    assert_eq!(tune_in(&mut anna, "tumip-32"), picture(0));
    for (choice, number) in [("tumip-33", 7), ("tumip-33", 7), ("tumip-32", 0)] {
        anna.choose(choice);
        anna.hear("Video Finish");
        anna.hear("Video Frame");
        assert_eq!(next_frame(&mut anna), picture(number));
    }
    // What there is not ends it as well, and says so.
    anna.choose("nothing");
    anna.hear("Video Finish");
    assert!(
        anna.hear("Error")["message"]
            .as_str()
            .unwrap()
            .contains("nothing")
    );
    camera.show(&picture(1));
    wait_frames(&house, "tumip-32", 2);
    anna.assert_silent();
    house.stop();
}

#[test]
fn many_choices_at_once_are_taken_one_after_the_other() {
    let house = House::open_with(&sample_videos(), &[LONG_LINGER, FAST]);
    let mut anna = watcher(&house);
    let camera = Camera::open(&house, 32);
    camera.show(&plain(0, 16, 16));
    wait_frames(&house, "tumip-32", 1);
    let choice = |choice: &str| {
        let name = anna.name.clone();
        framed(&json!({"identifier": "Video Choice", "choice": choice, "from": name}))
    };
    let burst = [
        choice("tumip-32"),
        choice("tumip-32"),
        choice("cells_240p.mp4"),
    ]
    .concat();
    (&anna.stream).write_all(&burst).unwrap();
    for _ in 0..2 {
        anna.hear("Video Frame");
        // Whether there was time for a frame is not said.
        loop {
            match anna.next() {
                Told::Frame(frame) => assert_eq!(frame, plain(0, 16, 16)),
                Told::Json(json) if json["identifier"] == "Video Finish" => break,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(anna.watch().0.len(), CELLS);
    house.stop();
}

#[test]
fn chatroom_takes_a_choice_after_the_frames_that_were_promised() {
    let house = House::open_with(
        &sample_videos(),
        &[LONG_LINGER, FAST, ("LIVE__CHATROOM_FRAMES", "3")],
    );
    let mut ben = OldChatroom::join(&house, "ben", key(1024, 0));
    let camera = Camera::open(&house, 32);
    camera.show(&plain(0, 16, 16));
    wait_frames(&house, "tumip-32", 1);
    let videos = ben.videos();
    assert_eq!(videos, ["cells", "mandelbrot", "test_card", "tumip-32"]);
    ben.send(b"tumip-32");
    assert_eq!(hear_begin(&mut ben), 3);
    hear_frame(&mut ben);
    for (word, number) in [("[STREAM]", 1), ("cells", 2)] {
        ben.send(word.as_bytes());
        camera.show(&plain(number, 16, 16));
        assert_eq!(hear_frame(&mut ben), plain(number, 16, 16));
    }
    assert_eq!(ben.hear_videos(), videos);
    assert_eq!(ben.hear_stream().len(), CELLS);
    house.stop();
}

#[test]
fn users_of_the_same_number_have_channels_of_their_own() {
    let house = House::open_empty(&[ECHO]);
    let mut anna = watcher(&house);
    let mut bob = OldVideochat::join(&house, "bob", key(2048, 1));
    anna.hear_presence("broadcast_message", "bob");
    let cameras = [1, 2].map(|_| Camera::open(&house, 32));
    let names = ["tumip-32", "tumip-32-2"];
    // The number of a picture says whose it is.
    let picture = |camera: u32, number: u32| plain(camera * 100 + number, 16, 16);
    for ((camera, name), number) in cameras.iter().zip(names).zip(0..) {
        camera.show(&picture(number, 0));
        wait_frames(&house, name, 1);
    }
    assert_eq!(anna.videos(), names);
    assert_eq!(tune_in(&mut anna, names[0]), picture(0, 0));
    assert_eq!(tune_in(&mut bob, names[1]), picture(1, 0));
    for number in 1..10 {
        for (camera, owner) in cameras.iter().zip(0..) {
            camera.show(&picture(owner, number));
        }
        assert_eq!(next_frame(&mut anna), picture(0, number));
        assert_eq!(next_frame(&mut bob), picture(1, number));
    }
    // Both are called by the number that they gave.
    for camera in &cameras {
        assert_eq!(camera.client.ask("hi"), "hi");
    }
    let [first, second] = cameras;
    drop(first);
    let mut number = 10;
    while house
        .live_census()
        .get(names[0])
        .is_some_and(|first| first.on_air)
    {
        second.show(&picture(1, number));
        assert_eq!(
            next_frame(&mut bob),
            picture(1, number),
            "the other one goes on"
        );
        number += 1;
    }
    anna.hear("Video Finish");
    drop(second);
    bob.hear("Video Finish");
    drop((anna, bob));
    house.assert_left_empty();
}

#[test]
fn a_recorded_video_and_a_live_channel_play_side_by_side() {
    let house = House::open_with(&sample_videos(), &[LONG_LINGER, FAST]);
    let mut anna = watcher(&house);
    let mut bob = OldVideochat::join(&house, "bob", key(2048, 1));
    anna.hear_presence("broadcast_message", "bob");
    let alone = anna.frames_of("cells_240p.mp4");
    let base = noise(0);
    let camera = Camera::open(&house, 32);
    camera.show(&base);
    wait_frames(&house, "tumip-32", 1);
    assert!(tune_in(&mut bob, "tumip-32") == base);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(anna.frames_of("cells_240p.mp4") == alone);
            over.store(true, Ordering::Release);
        });
        let mut number = 1;
        while number < 50 || !over.load(Ordering::Acquire) {
            camera.show(&numbered(&base, number));
            assert!(next_frame(&mut bob) == numbered(&base, number));
            number += 1;
        }
    });
    house.stop();
}

#[test]
fn live_viewers_count_as_viewers() {
    let house = House::open_empty(&[("STREAMING__MAX_STREAMS", "1")]);
    let mut anna = watcher(&house);
    let mut bob = OldVideochat::join(&house, "bob", key(2048, 1));
    anna.hear_presence("broadcast_message", "bob");
    let camera = Camera::open(&house, 32);
    camera.show(&plain(0, 16, 16));
    wait_frames(&house, "tumip-32", 1);
    tune_in(&mut anna, "tumip-32");
    bob.choose("tumip-32");
    assert!(
        bob.hear("Error")["message"]
            .as_str()
            .unwrap()
            .contains("too many")
    );
    camera.show(&plain(1, 16, 16));
    assert_eq!(next_frame(&mut anna), plain(1, 16, 16));
    drop(camera);
    anna.hear("Video Finish");
    wait_off_air(&house, "tumip-32");
    assert!(bob.videos().is_empty());
    let camera = Camera::open(&house, 32);
    camera.show(&plain(2, 16, 16));
    wait_frames(&house, "tumip-32", 1);
    assert_eq!(tune_in(&mut bob, "tumip-32"), plain(2, 16, 16));
    drop((anna, bob, camera));
    house.assert_left_empty();
}

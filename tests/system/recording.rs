//! Recordings of live channels: complete whatever ends them, and videos like any other.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::live_support::movie::{Movie, files, is_recording, make_clip, name, probe};
use crate::live_support::pictures::{difference, moving, noise, numbered, plain};
use crate::live_support::{
    Camera, LONG_LINGER, SHORT_LINGER, next_frame, tune_in, wait_channel, wait_frames, wait_off_air,
};
use crate::support::{House, OldVideochat, Setup, dimensions, key, sample_videos, wait_for};
use serde_json::Value;

const RECORD: (&str, &str) = ("LIVE__RECORD", "true");
const FAST: (&str, &str) = ("STREAMING__PACE", "fast");
/// More than any disk has, in megabytes.
const HUGE: &str = "1000000000000";

/// The one file in the folder of the videos, once it is a recording of `channel`.
fn wait_recording(house: &House, channel: &str, height: u32) -> PathBuf {
    wait_for("the recording", || {
        let [path] = &files(house.videos())[..] else {
            return None;
        };
        is_recording(path, channel, height).then(|| path.clone())
    })
}

/// Shows so many pictures in real time; how long it took from the first to the last.
fn show_at(camera: &Camera, rate: u32, pictures: impl Iterator<Item = Vec<u8>>) -> Duration {
    let mut begun = None;
    let mut last = Duration::ZERO;
    for (number, picture) in (0..).zip(pictures) {
        let begun = *begun.get_or_insert_with(Instant::now);
        let due = Duration::from_secs(1) * number / rate;
        thread::sleep(due.saturating_sub(begun.elapsed()));
        last = begun.elapsed();
        camera.show(&picture);
    }
    last
}

fn assert_movie(path: &Path, side: u64, frames: u64, duration: Duration) {
    let movie = probe(path).expect("a movie");
    let expected = Movie {
        codec: "h264".to_owned(),
        width: side,
        height: side,
        frames,
        ..movie
    };
    assert_eq!(movie, expected);
    let off = (movie.duration - duration.as_secs_f64()).abs();
    assert!(off < 0.5, "{movie:?} instead of {duration:?}");
}

/// What the log says why `channel` is not recorded any more.
fn wait_end(house: &House, channel: &str) -> Value {
    house.wait_log("the end of the recording", |line| {
        line["message"] == "not recorded any more" && line["channel"] == channel
    })
}

// Complete

#[test]
fn a_channel_that_goes_off_air_is_a_video() {
    const RATE: u32 = 25;
    const FRAMES: u32 = 75;
    let house = House::open_empty(&[RECORD, FAST]);
    let mut anna = OldVideochat::join(&house, "anna", key(2048, 0));
    let camera = Camera::open(&house, 32);
    let pictures = (0..FRAMES).map(|number| plain(number, 230, 230));
    let took = show_at(&camera, RATE, pictures);
    // What is being recorded is in no list.
    assert_eq!(anna.videos(), ["tumip-32"]);
    drop(camera);
    let path = wait_recording(&house, "tumip-32", 230);
    // The last picture is shown as long as the others.
    assert_movie(&path, 230, u64::from(FRAMES), took * FRAMES / (FRAMES - 1));
    let file = name(&path).to_owned();
    wait_for("the video in the list", || {
        (anna.videos() == [&*file]).then_some(())
    });
    let frames = anna.frames_of(&file);
    assert_eq!(frames.len(), FRAMES as usize);
    for (frame, number) in frames.iter().zip(0..) {
        assert_eq!(dimensions(frame), (230, 230));
        let off = difference(frame, number);
        assert!(off < 40, "frame {number} is off by {off}");
    }
    let line = house.wait_log("the recording", |line| line["message"] == "recorded");
    assert!(line["file"].as_str().unwrap().ends_with(&file), "{line}");
    assert_eq!(files(house.videos()), [path], "nothing hidden is left");
    house.stop();
}

#[test]
fn nothing_is_left_of_a_channel_that_was_recorded() {
    let house = House::open_empty(&[RECORD, SHORT_LINGER]);
    let camera = Camera::open(&house, 32);
    camera.show(&plain(0, 64, 48));
    wait_frames(&house, "tumip-32", 1);
    drop(camera);
    house.assert_left_empty();
}

#[test]
fn twenty_seconds_are_twenty_seconds() {
    const RATE: u32 = 12;
    const FRAMES: u32 = 20 * RATE;
    let house = House::open_empty(&[RECORD, FAST]);
    let camera = Camera::open(&house, 32);
    // What a camera sees, and now and then something that can't be predicted.
    let other = noise(0);
    let pictures = (0..FRAMES).map(|number| match number % 20 {
        19 => numbered(&other, number),
        _ => moving(number, 230, 230),
    });
    let took = show_at(&camera, RATE, pictures);
    drop(camera);
    let path = wait_recording(&house, "tumip-32", 230);
    assert!(took >= Duration::from_millis(19_900));
    assert_movie(&path, 230, u64::from(FRAMES), took * FRAMES / (FRAMES - 1));
    house.stop();
}

#[test]
fn each_time_on_air_is_a_recording() {
    let house = House::open_empty(&[RECORD, SHORT_LINGER]);
    for times in 1..=2 {
        let camera = Camera::open(&house, 32);
        show_at(&camera, 5, (0..13).map(|number| plain(number, 64, 48)));
        drop(camera);
        wait_for("the recording", || {
            let files = files(house.videos());
            let all = files.iter().all(|file| is_recording(file, "tumip-32", 48));
            (all && files.len() == times).then_some(())
        });
    }
    house.stop();
}

#[test]
fn pictures_of_other_sizes_are_fitted_in_and_damaged_ones_harm_nothing() {
    let house = House::open_empty(&[RECORD, FAST]);
    let mut anna = OldVideochat::join(&house, "anna", key(2048, 0));
    let camera = Camera::open(&house, 32);
    let mut damaged = noise(0);
    // From one marker to the next all is there, and the picture is not.
    let middle = damaged.len() / 2;
    for byte in &mut damaged[middle..middle + 2000] {
        *byte = if *byte < 128 { 1 } else { 127 };
    }
    let sizes = [(120, 90), (90, 120), (7, 230), (1, 1), (120, 90)];
    let pictures = sizes.iter().map(|&(width, height)| plain(0, width, height));
    show_at(&camera, 3, pictures.chain([damaged, plain(1, 120, 90)]));
    wait_frames(&house, "tumip-32", 7);
    drop(camera);
    let path = wait_recording(&house, "tumip-32", 90);
    let movie = probe(&path).expect("a movie");
    assert_eq!((movie.width, movie.height), (120, 90));
    assert!((6..=7).contains(&movie.frames), "{movie:?}");
    let file = name(&path).to_owned();
    wait_for("the video in the list", || {
        (anna.videos() == [&*file]).then_some(())
    });
    let frames = anna.frames_of(&file);
    assert_eq!(frames.len() as u64, movie.frames);
    assert!(difference(&frames[0], 0) < 40);
    assert!(difference(&frames[frames.len() - 1], 1) < 40);
    house.stop();
}

#[test]
fn pictures_of_odd_sizes_become_videos_too() {
    const FRAMES: u32 = 13;
    // What a channel shows, and what its recording is: H.264 has even sides, and 16 pixels at least.
    let sizes = [
        ((101, 77), (100, 76)),
        ((1, 1), (16, 16)),
        ((7, 2000), (16, 2000)),
    ];
    let house = House::open_empty(&[RECORD, FAST]);
    let mut anna = OldVideochat::join(&house, "anna", key(2048, 0));
    thread::scope(|scope| {
        for (user, ((width, height), _)) in (1..).zip(sizes) {
            let camera = Camera::open(&house, user);
            let pictures = (0..FRAMES).map(move |number| plain(number, width, height));
            scope.spawn(move || show_at(&camera, 5, pictures));
        }
        // What is so wide is not recorded; what comes after it is.
        let camera = Camera::open(&house, 4);
        let pictures = [plain(0, 52_900, 1)].into_iter();
        let pictures = pictures.chain((1..=FRAMES).map(|number| plain(number, 64, 48)));
        show_at(&camera, 5, pictures);
    });
    let videos = wait_for("four videos, and no channels", || {
        let videos = anna.videos();
        let all = videos.len() == 4 && videos.iter().all(|name| name.ends_with(".mp4"));
        all.then_some(videos)
    });
    let sizes = sizes.map(|(_, size)| size);
    for (file, (width, height)) in videos.iter().zip([&sizes[..], &[(64, 48)]].concat()) {
        let path = house.videos().join(file);
        let movie = probe(&path).expect("a movie");
        assert_eq!((movie.width, movie.height), (width, height));
        assert_eq!(movie.frames, u64::from(FRAMES));
        assert!(file.ends_with(&format!("_{height}p.mp4")), "{file}");
        assert_eq!(anna.frames_of(file).len(), FRAMES as usize);
    }
    assert_eq!(files(house.videos()).len(), 4, "nothing hidden is left");
    house.stop();
}

#[test]
fn a_moment_is_no_recording() {
    let house = House::open_empty(&[RECORD]);
    for frames in [1, 2, 10] {
        let camera = Camera::open(&house, 32);
        show_at(&camera, 25, (0..frames).map(|number| plain(number, 64, 48)));
        wait_frames(&house, "tumip-32", frames.into());
        wait_for("what is being recorded", || {
            (files(house.videos()).len() == 1).then_some(())
        });
        drop(camera);
        wait_off_air(&house, "tumip-32");
        wait_for("the file's end", || {
            files(house.videos()).is_empty().then_some(())
        });
    }
    house.stop();
}

#[test]
fn a_source_of_the_configuration_is_recorded_until_the_house_closes() {
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("clip.mp4");
    make_clip(&clip, 25);
    let config = format!(
        "[live]\nrecord = true\n[[live.source]]\nname = 'front door'\nurl = '{}'\n",
        clip.display()
    );
    let mut house = House::set_up_empty(Setup {
        config: &config,
        ..Setup::default()
    });
    // Nobody else looks.
    wait_channel(&house, "front door", |channel| {
        channel.is_some_and(|channel| channel.frames >= 60)
    });
    house.terminate();
    let path = wait_recording(&house, "front door", 120);
    let movie = probe(&path).expect("a movie");
    assert_eq!((movie.width, movie.height), (160, 120));
    assert!(movie.frames >= 60 && movie.duration > 2.0, "{movie:?}");
}

// When the server ends

#[test]
fn a_recording_is_complete_though_the_house_closes() {
    let mut house = House::open_empty(&[RECORD, LONG_LINGER]);
    let camera = Camera::open(&house, 32);
    let took = show_at(&camera, 25, (0..75).map(|number| moving(number, 230, 230)));
    wait_frames(&house, "tumip-32", 75);
    house.terminate();
    let path = wait_recording(&house, "tumip-32", 230);
    assert_movie(&path, 230, 75, took * 75 / 74);
}

#[test]
fn nothing_is_left_of_a_recording_when_the_server_was_killed() {
    let mut house = House::open_empty(&[RECORD, LONG_LINGER]);
    let camera = Camera::open(&house, 32);
    show_at(&camera, 25, (0..50).map(|number| moving(number, 230, 230)));
    wait_frames(&house, "tumip-32", 50);
    house.kill();
    drop(camera);
    let left = files(house.videos());
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(name(&left[0]).starts_with('.'), "{left:?}");
    house.reopen();
    assert_eq!(files(house.videos()), [] as [PathBuf; 0]);
    house.wait_log("what was left", |line| {
        let message = line["message"].as_str().unwrap_or_default();
        message.starts_with("unfinished recordings") && line["files"] == 1
    });
    let mut anna = OldVideochat::join(&house, "anna", key(2048, 0));
    assert!(anna.videos().is_empty());
    // And the next one is recorded.
    let camera = Camera::open(&house, 32);
    show_at(&camera, 5, (0..13).map(|number| plain(number, 230, 230)));
    wait_frames(&house, "tumip-32", 13);
    assert_eq!(tune_in(&mut anna, "tumip-32"), plain(12, 230, 230));
    house.terminate();
    let path = wait_recording(&house, "tumip-32", 230);
    assert_eq!(probe(&path).expect("a movie").frames, 13);
}

#[test]
fn other_files_outlive_what_is_removed_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let videos = folder.path();
    std::fs::copy(
        sample_videos().join("test_card_120p.mp4"),
        videos.join("card_120p.mp4"),
    )
    .unwrap();
    for own in [".hidden", ".recording-notes.txt", "a.mp4.part"] {
        std::fs::write(videos.join(own), "mine").unwrap();
    }
    let before = files(videos);
    std::fs::write(videos.join(".recording-x1y2z3.mp4.part"), "half a movie").unwrap();
    let house = House::open_with(videos, &[]);
    assert_eq!(files(videos), before);
    house.stop();
}

// Limits

/// Goes on air and is watched, and nothing is recorded.
fn assert_watched_alone(house: &House) {
    let mut anna = OldVideochat::join(house, "anna", key(2048, 0));
    let camera = Camera::open(house, 32);
    camera.show(&plain(0, 64, 48));
    wait_frames(house, "tumip-32", 1);
    assert_eq!(tune_in(&mut anna, "tumip-32"), plain(0, 64, 48));
    for number in 1..20 {
        camera.show(&plain(number, 64, 48));
        assert_eq!(next_frame(&mut anna), plain(number, 64, 48));
    }
    drop(camera);
    anna.hear("Video Finish");
    wait_off_air(house, "tumip-32");
    assert_eq!(files(house.videos()), [] as [PathBuf; 0]);
}

#[test]
fn nothing_is_recorded_unless_it_is_asked_for() {
    let house = House::open_empty(&[SHORT_LINGER]);
    assert_watched_alone(&house);
    house.stop();
}

#[test]
fn without_room_nothing_is_recorded_and_all_is_watched() {
    for (setting, value, key) in [
        ("LIVE__RECORD_QUOTA_MB", "0", "live.record_quota_mb"),
        ("LIVE__RECORD_MIN_FREE_MB", HUGE, "live.record_min_free_mb"),
    ] {
        let house = House::open_empty(&[RECORD, SHORT_LINGER, (setting, value)]);
        assert_watched_alone(&house);
        let line = wait_end(&house, "tumip-32");
        assert!(line["error"].as_str().unwrap().contains(key), "{line}");
        assert_eq!(line["level"], "WARN");
        house.stop();
    }
}

#[test]
fn a_recording_that_meets_the_quota_is_complete() {
    let house = House::open_empty(&[RECORD, LONG_LINGER, ("LIVE__RECORD_QUOTA_MB", "1")]);
    let camera = Camera::open(&house, 32);
    let pictures: Vec<Vec<u8>> = (0..20).map(noise).collect();
    wait_for("the quota", || {
        show_at(&camera, 25, pictures.iter().cloned());
        let met = house.logged(|line| line["message"] == "not recorded any more");
        (!met.is_empty()).then_some(())
    });
    let line = wait_end(&house, "tumip-32");
    let error = line["error"].as_str().unwrap();
    assert!(error.contains("live.record_quota_mb"), "{line}");
    let path = wait_recording(&house, "tumip-32", 230);
    let movie = probe(&path).expect("a movie");
    assert!(movie.frames >= 20, "{movie:?}");
    // The channel goes on.
    let mut anna = OldVideochat::join(&house, "anna", key(2048, 0));
    tune_in(&mut anna, "tumip-32");
    camera.show(&plain(0, 8, 8));
    assert_eq!(next_frame(&mut anna), plain(0, 8, 8));
    house.stop();
}

#[test]
fn so_many_channels_are_recorded_at_once() {
    let house = House::open_empty(&[RECORD, ("LIVE__MAX_RECORDINGS", "1")]);
    let [first, second] = [1, 2].map(|user| Camera::open(&house, user));
    first.show(&plain(0, 64, 48));
    wait_frames(&house, "tumip-1", 1);
    second.show(&plain(0, 64, 48));
    house.wait_log("who is not recorded", |line| {
        let message = line["message"].as_str().unwrap_or_default();
        message.contains("live.max_recordings") && line["channel"] == "tumip-2"
    });
    for camera in [&first, &second] {
        show_at(camera, 5, (1..13).map(|number| plain(number, 64, 48)));
    }
    drop((first, second));
    wait_off_air(&house, "tumip-2");
    let path = wait_recording(&house, "tumip-1", 48);
    // There is a place again.
    let third = Camera::open(&house, 3);
    show_at(&third, 5, (0..13).map(|number| plain(number, 64, 48)));
    drop(third);
    wait_for("the next recording", || {
        let files = files(house.videos());
        let [one, other] = &files[..] else {
            return None;
        };
        (*one == path && is_recording(other, "tumip-3", 48)).then_some(())
    });
    house.stop();
}

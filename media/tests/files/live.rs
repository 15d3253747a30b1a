//! Live sources on this machine: files and devices.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use playhouse_media::{ClipError, LiveError, LiveImage, LiveInput, LivePicture, inspect_jpeg};

use crate::common::*;

pub const LONG: Duration = Duration::from_secs(3600);

pub fn open(url: &str) -> Result<LiveInput, LiveError> {
    playhouse_media::init();
    LiveInput::open(url, Arc::default(), LONG)
}

pub fn refusal(url: &str) -> LiveError {
    open(url).err().unwrap()
}

fn open_file(path: &Path) -> LiveInput {
    open(path.to_str().unwrap()).unwrap()
}

pub fn take(input: &mut LiveInput, count: usize) -> Vec<LivePicture> {
    (0..count).map(|_| input.next().unwrap()).collect()
}

/// Milliseconds, rounded.
pub fn dues(pictures: &[LivePicture]) -> Vec<u128> {
    let dues = pictures
        .iter()
        .map(|picture| (picture.due.as_micros() + 500) / 1000);
    dues.collect()
}

/// Which frame of [`ramp`] each picture is.
pub fn identities(pictures: &[LivePicture]) -> Vec<u32> {
    let pictures = pictures.iter().map(|picture| match &picture.image {
        LiveImage::Decoded(picture) => identity(picture),
        LiveImage::Jpeg(_) => panic!("a JPEG"),
    });
    pictures.collect()
}

pub fn jpegs(pictures: &[LivePicture]) -> Vec<u8> {
    let pictures = pictures.iter().flat_map(|picture| match &picture.image {
        LiveImage::Jpeg(jpeg) => jpeg.clone(),
        LiveImage::Decoded(_) => panic!("not a JPEG"),
    });
    pictures.collect()
}

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../videos/test_card_120p.mp4")
}

#[test]
fn a_file_begins_again_and_its_times_go_on() {
    let (_dir, clip) = clip(ramp_30());
    let mut input = open_file(&clip.path);
    assert!(input.is_file());
    let pictures = take(&mut input, 150);
    assert_eq!(
        identities(&pictures),
        (0..150).map(|i| i % 60).collect::<Vec<_>>()
    );
    let expected: Vec<u128> = (0..150).map(|i| (i * 1000 + 15) / 30).collect();
    assert_eq!(dues(&pictures), expected);
}

#[test]
fn a_sample_video_is_played_past_its_end() {
    let mut input = open_file(&sample());
    let clip = playhouse_media::Clip::probe(&sample()).unwrap();
    let count = clip.frame_count() as usize;
    let pictures = take(&mut input, count * 2 + 5);
    assert!(pictures.windows(2).all(|two| two[0].due < two[1].due));
    let step = Duration::from_secs_f64(clip.frame_rate.recip());
    let expected = clip.frame_time(u32::MAX) + step;
    let begin = pictures[count].due;
    assert!(
        begin.abs_diff(expected) < Duration::from_millis(2),
        "{begin:?}, {expected:?}"
    );
}

#[test]
fn every_container_is_played_in_a_loop() {
    for container in ["matroska", "avi", "mpegts", "flv"] {
        let (_dir, clip) = clip(&video(&ramp(10), &[&X264[..], &["-f", container]].concat()));
        let pictures = take(&mut open_file(&clip.path), 50);
        let expected: Vec<_> = (0..50).map(|i| i % 20 * 3).collect();
        assert_eq!(identities(&pictures), expected, "{container}");
        let expected: Vec<_> = (0..50).map(|i| i * 100).collect();
        assert_eq!(dues(&pictures), expected, "{container}");
    }
}

#[test]
fn jpegs_go_through_as_they_are() {
    for container in ["avi", "mov", "matroska"] {
        let file = video(
            "testsrc=s=162x121:r=5:d=2",
            &["-c:v", "mjpeg", "-f", container],
        );
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), "clip.avi", &file);
        let packets = video_from(
            &["-i", path.to_str().unwrap()],
            &["-c", "copy", "-f", "mjpeg"],
        );
        let pictures = take(&mut open_file(&path), 20);
        assert_eq!(
            jpegs(&pictures),
            [&packets[..], &packets].concat(),
            "{container}"
        );
        let expected: Vec<_> = (0..20).map(|i| i * 200).collect();
        assert_eq!(dues(&pictures), expected, "{container}");
    }
}

#[test]
fn a_file_of_one_picture_shows_it_again_and_again() {
    let one = video(&ramp(4), &["-frames:v", "1", "-c:v", "mpeg4"]);
    let (_dir, clip) = clip(&one);
    let pictures = take(&mut open_file(&clip.path), 9);
    assert_eq!(identities(&pictures), [0; 9]);
    assert_eq!(
        dues(&pictures),
        [0, 250, 500, 750, 1000, 1250, 1500, 1750, 2000]
    );
}

#[test]
fn damage_costs_pictures_but_not_the_source() {
    let bytes = ramp_30();
    let start = bytes.windows(4).position(|w| w == b"mdat").unwrap() + 4;
    let mut damaged = bytes.to_vec();
    for byte in damaged[start + 3000..].iter_mut().step_by(997) {
        *byte ^= 0x5a;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "clip.mp4", &damaged);
    let pictures = take(&mut open_file(&path), 130);
    assert!(pictures.windows(2).all(|two| two[0].due < two[1].due));
}

#[test]
fn a_file_without_a_picture_is_an_error_and_no_endless_loop() {
    let mut bytes = ramp_30().to_vec();
    let start = bytes.windows(4).position(|w| w == b"mdat").unwrap() + 4;
    bytes[start..].fill(0);
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "clip.mp4", &bytes);
    let error = open_file(&path).next().err().unwrap();
    assert!(matches!(error, LiveError::NoPicture { .. }), "{error}");
    assert!(error.to_string().contains("clip.mp4"), "{error}");
}

#[test]
fn pictures_beyond_the_limit_are_not_decoded() {
    let file = video(
        "color=gray:s=16000x4200:r=1:d=1",
        &["-c:v", "mjpeg", "-f", "avi"],
    );
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "clip.avi", &file);
    let error = open_file(&path).next().err().unwrap();
    assert!(matches!(error, LiveError::NoPicture { .. }), "{error}");
}

#[test]
fn what_is_no_video_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let sound = video("sine=d=1", &["-c:a", "aac"]);
    fs::write(at("garbage.mp4"), [0x5a; 5000]).unwrap();
    fs::write(at("empty.mp4"), b"").unwrap();
    fs::write(at("sound.mp4"), sound).unwrap();
    fs::write(at("clip.mp4"), ramp_30()).unwrap();
    fs::write(
        at("list.mp4"),
        format!("ffconcat version 1.0\nfile {}\n", at("clip.mp4")),
    )
    .unwrap();
    for (name, expected) in [
        ("missing.mp4", 0),
        (".", 1),
        ("empty.mp4", 2),
        ("garbage.mp4", 3),
        ("list.mp4", 3),
    ] {
        let error = refusal(&at(name));
        let matches = match &error {
            LiveError::File(ClipError::Unreadable { .. }) => expected == 0,
            LiveError::File(ClipError::NotAFile { .. }) => expected == 1,
            LiveError::File(ClipError::Empty { .. }) => expected == 2,
            LiveError::File(ClipError::NotVideo { .. }) => expected == 3,
            _ => false,
        };
        assert!(
            matches && error.to_string().contains(name),
            "{name}: {error}"
        );
    }
    let error = refusal(&at("sound.mp4"));
    assert!(matches!(error, LiveError::NoVideo { .. }), "{error}");
    assert!(open("no\0path").is_err());
}

#[test]
fn relative_paths_and_odd_names_work() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "rtsp:a@b ö?c.mp4", ramp_30());
    assert_eq!(identities(&take(&mut open_file(&path), 2)), [0, 1]);
    let up = std::env::current_dir().unwrap().components().count() - 1;
    let relative = format!(
        "{}{}",
        "../".repeat(up),
        path.strip_prefix("/").unwrap().display()
    );
    assert_eq!(identities(&take(&mut open(&relative).unwrap(), 2)), [0, 1]);
}

#[test]
fn a_file_that_vanishes_ends_at_its_end() {
    let (dir, clip) = clip(ramp_30());
    let mut input = open_file(&clip.path);
    take(&mut input, 1);
    drop(dir);
    take(&mut input, 59);
    let error = input.next().err().unwrap();
    assert!(
        matches!(error, LiveError::File(ClipError::Unreadable { .. })),
        "{error}"
    );
}

#[test]
fn a_file_that_was_replaced_is_shown_from_its_next_beginning() {
    let (_dir, clip) = clip(ramp_30());
    let mut input = open_file(&clip.path);
    take(&mut input, 1);
    let other = video("testsrc=s=64x48:r=10:d=1", &["-c:v", "mjpeg", "-f", "avi"]);
    let new = clip.path.with_extension("new");
    fs::write(&new, other).unwrap();
    fs::rename(new, &clip.path).unwrap();
    let before = take(&mut input, 59);
    let pictures = take(&mut input, 3);
    let first = inspect_jpeg(&jpegs(&pictures[..1])).unwrap();
    assert_eq!((first.width, first.height), (64, 48));
    // One step of the old file, then those of the new one.
    assert_eq!(dues(&before)[58], 1967);
    assert_eq!(dues(&pictures), [2000, 2100, 2200]);
}

#[test]
fn stop_ends_a_file_too() {
    let (_dir, clip) = clip(ramp_30());
    let stop = Arc::new(AtomicBool::new(false));
    let path = clip.path.to_str().unwrap();
    let mut input = LiveInput::open(path, stop.clone(), LONG).unwrap();
    input.next().unwrap();
    stop.store(true, Ordering::Release);
    assert!(matches!(input.next(), Err(LiveError::Stopped)));
    assert!(matches!(
        LiveInput::open(path, stop, LONG),
        Err(LiveError::Stopped)
    ));
}

#[test]
fn a_caller_may_take_longer_than_its_patience() {
    let (_dir, clip) = clip(ramp_30());
    let path = clip.path.to_str().unwrap();
    let mut input = LiveInput::open(path, Arc::default(), Duration::from_millis(500)).unwrap();
    input.next().unwrap();
    // As between two pictures that are shown for long.
    std::thread::sleep(Duration::from_millis(600));
    take(&mut input, 70);
}

#[test]
fn a_generator_gives_its_pictures_as_fast_as_they_are_asked_for() {
    let mut input = open("device:lavfi:testsrc=size=320x240:rate=25").unwrap();
    assert!(input.is_file());
    let pictures = take(&mut input, 30);
    assert_eq!(dues(&pictures), (0..30).map(|i| i * 40).collect::<Vec<_>>());
    for picture in pictures {
        let LiveImage::Decoded(picture) = picture.image else {
            panic!("a JPEG");
        };
        assert_eq!((picture.width(), picture.height()), (320, 240));
        assert_eq!(decoded(&picture).dimensions(), (320, 240));
    }
}

#[test]
fn a_device_that_ends_is_an_error() {
    let mut input = open("device:lavfi:testsrc=size=32x24:rate=25:duration=0.2").unwrap();
    take(&mut input, 5);
    let error = input.next().err().unwrap();
    assert!(matches!(error, LiveError::Ended { .. }), "{error}");
}

#[test]
fn only_capture_devices_are_devices() {
    for url in [
        "device:nosuch:x",
        "device:mp4:x",
        "device:concat:/etc/passwd",
        "device:alsa:hw",
    ] {
        let error = refusal(url);
        assert!(matches!(error, LiveError::DeviceFormat { .. }), "{error}");
        assert!(error.to_string().contains(url), "{error}");
    }
    for url in [
        "device:v4l2:/dev/nosuch",
        "device:lavfi:nosuch",
        "device:lavfi:testsrc=rate=0",
    ] {
        let error = refusal(url);
        assert!(matches!(error, LiveError::Unopened { .. }), "{error}");
    }
    let error = refusal("device:lavfi:sine");
    assert!(matches!(error, LiveError::NoVideo { .. }), "{error}");
}

#[test]
fn a_source_moves_between_threads() {
    fn check<T: Send>() {}
    check::<LiveInput>();
    check::<LivePicture>();
    check::<LiveError>();
}

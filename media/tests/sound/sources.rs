//! Devices, stopping, and what else isn't about samples.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use playhouse_media::{AudioInput, ClipError, LiveError, Tone};

use crate::common::*;

#[test]
fn a_generator_gives_its_sound_as_fast_as_it_is_asked_for() {
    let mut input = open("device:lavfi:sine=frequency=440:sample_rate=48000").unwrap();
    assert!(input.runs_ahead());
    assert_hertz(&take(&mut input, 5 * 44_100), 440.0);
}

#[test]
fn what_ends_gives_all_it_has_first() {
    for (rate, source) in [(44_100, "sine"), (48_000, "sine"), (8000, "anoisesrc")] {
        let mut input = open(&format!("device:lavfi:{source}=r={rate}:d=2")).unwrap();
        let (samples, error) = take_all(&mut input);
        assert!(samples.len().abs_diff(2 * 44_100) <= 3, "{}", samples.len());
        assert!(matches!(error, LiveError::Ended { .. }), "{error}");
        let again = input.read(&mut Vec::new()).err().unwrap();
        assert!(matches!(again, LiveError::Ended { .. }), "{again}");
    }
}

#[test]
fn devices_that_cannot_be_are_named() {
    playhouse_media::init();
    for url in ["device:nosuch:x", "device:wav:x", "device:v4l2:/dev/video0"] {
        let error = refusal(url);
        assert!(matches!(error, LiveError::DeviceFormat { .. }), "{error}");
        assert!(error.to_string().contains(url), "{error}");
    }
    for url in ["device:lavfi:nosuch", "device:lavfi:sine=sample_rate=0"] {
        let error = refusal(url);
        assert!(matches!(error, LiveError::Unopened { .. }), "{error}");
    }
    let error = refusal("device:lavfi");
    assert!(matches!(error, LiveError::DeviceName { .. }), "{error}");
    let error = refusal("device:lavfi:testsrc");
    assert!(matches!(error, LiveError::NoSound { .. }), "{error}");
    let error = refusal("gopher://x");
    assert!(matches!(error, LiveError::Scheme { .. }), "{error}");
}

#[test]
fn stop_ends_a_file_too() {
    let (_dir, path) = file(&wav_16(1, 44_100, &noise(1000)));
    let path = path.to_str().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let mut input = AudioInput::open(path, stop.clone(), LONG).unwrap();
    input.read(&mut Vec::new()).unwrap();
    stop.store(true, Ordering::Release);
    let error = input.read(&mut Vec::new()).err().unwrap();
    assert!(matches!(error, LiveError::Stopped), "{error}");
    let error = AudioInput::open(path, stop, LONG).err().unwrap();
    assert!(matches!(error, LiveError::Stopped), "{error}");
}

#[test]
fn a_caller_may_take_longer_than_its_patience() {
    let (_dir, path) = file(&wav_16(1, 44_100, &noise(1000)));
    let patience = Duration::from_millis(200);
    let mut input = AudioInput::open(path.to_str().unwrap(), Arc::default(), patience).unwrap();
    take(&mut input, 1);
    std::thread::sleep(2 * patience);
    take(&mut input, 5000);
}

#[test]
fn a_file_that_vanishes_ends_at_its_end() {
    let (dir, path) = file(&wav_16(1, 44_100, &noise(10_000)));
    let mut input = open_file(&path);
    drop(dir);
    let (samples, error) = take_all(&mut input);
    assert_eq!(samples, noise(10_000));
    let gone = matches!(error, LiveError::File(ClipError::Unreadable { .. }));
    assert!(gone, "{error}");
}

#[test]
fn odd_names_work() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rtsp:a@b ö?c.mp4");
    std::fs::write(&path, wav_16(1, 44_100, &noise(1000))).unwrap();
    assert_eq!(take(&mut open_file(&path), 1000), noise(1000));
}

#[test]
fn sound_moves_between_threads() {
    fn check<T: Send>() {}
    check::<AudioInput>();
    check::<Tone>();
}

//! Sound from the network, sent by small servers in here.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use playhouse_media::{AudioInput, LiveError};

use crate::common::*;

const SHORT: Duration = Duration::from_millis(300);
/// For a source that does send something.
const SECOND: Duration = Duration::from_secs(1);
const TONE: &str = "sine=frequency=440:duration=3:sample_rate=48000";

fn transport_stream() -> Vec<u8> {
    made(TONE, &["-c:a", "aac", "-f", "mpegts"])
}

#[test]
fn who_says_nothing_is_given_up() {
    for scheme in ["tcp", "http", "rtsp"] {
        let url = format!("{scheme}://anna:secret@{}/x", serve(wait_for_end));
        let error = AudioInput::open(&url, Arc::default(), SHORT).err().unwrap();
        assert!(matches!(error, LiveError::Silent { .. }), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn stop_ends_waiting() {
    for scheme in ["tcp", "http", "rtsp"] {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let place = serve(move |stream| {
            stopped.store(true, Ordering::Release);
            wait_for_end(stream);
        });
        let url = format!("{scheme}://{place}/x");
        let error = AudioInput::open(&url, stop, LONG).err().unwrap();
        assert!(matches!(error, LiveError::Stopped), "{scheme}: {error}");
    }
}

#[test]
fn stop_and_patience_end_waiting_for_the_next_samples() {
    for patience in [LONG, SECOND] {
        let place = serve_bytes(transport_stream(), false);
        let stop = Arc::new(AtomicBool::new(false));
        let mut input =
            AudioInput::open(&format!("tcp://{place}"), stop.clone(), patience).unwrap();
        assert!(!input.runs_ahead());
        assert_hertz(&take(&mut input, 2 * 44_100), 440.0);
        let waiting = thread::spawn(move || take_all(&mut input).1);
        if patience == LONG {
            stop.store(true, Ordering::Release);
        }
        let error = waiting.join().unwrap();
        let matches = match error {
            LiveError::Stopped => patience == LONG,
            LiveError::Silent { .. } => patience == SECOND,
            _ => false,
        };
        assert!(matches, "{error}");
    }
}

#[test]
fn a_stream_comes_from_its_first_sample_to_its_last() {
    for arguments in [
        &["-c:a", "aac", "-f", "mpegts"][..],
        &["-c:a", "aac", "-f", "adts"],
        &["-c:a", "libmp3lame", "-write_xing", "0", "-f", "mp3"],
        &["-c:a", "libvorbis", "-f", "ogg"],
    ] {
        let place = serve_bytes(made(TONE, arguments), true);
        let mut input = open(&format!("tcp://{place}")).unwrap();
        let (samples, error) = take_all(&mut input);
        assert!(matches!(error, LiveError::Ended { .. }), "{error}");
        // And what the encoder added in front and behind.
        let length = samples.len();
        assert!(
            (131_500..138_000).contains(&length),
            "{arguments:?}: {length}"
        );
        assert_hertz(&samples, 440.0);
    }
}

#[test]
fn sound_beside_pictures_is_heard_alone() {
    let pictures = "testsrc=s=64x48:r=10:d=3";
    let input = ["-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", TONE];
    let both = made_from(
        &input,
        &["-c:v", "mpeg2video", "-c:a", "mp2", "-f", "mpegts"],
    );
    let mut input = open(&format!("tcp://{}", serve_bytes(both, true))).unwrap();
    assert_hertz(&take(&mut input, 2 * 44_100), 440.0);
}

#[test]
fn a_radio_is_heard_as_it_comes() {
    let sound = made(
        TONE,
        &["-c:a", "libmp3lame", "-write_xing", "0", "-f", "mp3"],
    );
    let place = serve_http("Content-Type: audio/mpeg\r\nicy-name: x", &sound, true);
    let mut input = open(&format!("http://{place}/radio")).unwrap();
    assert!(!input.runs_ahead());
    assert_hertz(&take(&mut input, 2 * 44_100), 440.0);
}

#[test]
fn a_recording_on_the_network_is_for_the_caller_to_pace() {
    let samples = noise(60_000);
    let sound = wav_16(1, 44_100, &samples);
    let head = format!("Content-Type: audio/wav\r\nContent-Length: {}", sound.len());
    let place = serve_http(&head, &sound, true);
    let mut input = open(&format!("http://{place}/sound.wav")).unwrap();
    assert!(input.runs_ahead());
    let (heard, error) = take_all(&mut input);
    assert_eq!(heard, samples);
    assert!(matches!(error, LiveError::Ended { .. }), "{error}");
}

#[test]
fn who_isnt_there_or_sends_nonsense_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap().to_string();
    drop(listener);
    for (scheme, place) in [
        ("tcp", nobody),
        ("tcp", serve(drop)),
        ("tcp", serve_bytes(vec![0x5a; 6_000_000], true)),
        ("http", serve_bytes(vec![0x5a; 100_000], true)),
    ] {
        let error = refusal(&format!("{scheme}://{place}"));
        assert!(matches!(error, LiveError::Unopened { .. }), "{error}");
    }
    let pictures = made(
        "testsrc=s=64x48:d=1",
        &["-c:v", "mpeg2video", "-f", "mpegts"],
    );
    let error = refusal(&format!("tcp://{}", serve_bytes(pictures, true)));
    assert!(matches!(error, LiveError::NoSound { .. }), "{error}");
}

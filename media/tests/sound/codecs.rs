//! What encoders make of sound, and that each round is as long as the container says.

use std::path::Path;

use playhouse_media::LiveError;

use crate::common::*;

const TONE: &str = "sine=frequency=440:duration=2.345:sample_rate=44100";
/// Of [`TONE`].
const COUNT: usize = 103_415;

/// Checks three rounds of `count` samples each.
fn assert_rounds(file: &[u8], count: usize) -> Vec<i16> {
    let all = heard(file, 3 * count);
    let rounds: Vec<&[i16]> = all.chunks(count).collect();
    assert!(rounds[0] == rounds[1] && rounds[1] == rounds[2]);
    rounds[0].to_vec()
}

#[test]
fn what_loses_nothing_gives_the_same_samples() {
    let samples = noise(20_004);
    let (_dir, path) = file(&wav_16(1, 44_100, &samples));
    let input = ["-i", path.to_str().unwrap()];
    for arguments in [
        &["-f", "flac"][..],
        &["-c:a", "flac", "-f", "ogg"],
        &["-c:a", "flac", "-f", "matroska"],
        &["-c:a", "flac", "-strict", "-2", "-f", "mp4"],
        &["-c:a", "alac", "-f", "mp4"],
        &["-f", "aiff"],
        &["-f", "au"],
        &["-f", "caf"],
        &["-f", "w64"],
        &["-f", "wv"],
    ] {
        let file = made_from(&input, arguments);
        assert!(
            assert_rounds(&file, samples.len()) == samples,
            "{arguments:?}"
        );
    }
}

#[test]
fn what_encoders_add_is_cut() {
    for arguments in [
        &["-c:a", "aac", "-b:a", "192k", "-f", "mp4"][..],
        &["-c:a", "libmp3lame", "-b:a", "192k", "-f", "mp3"],
        &["-c:a", "libvorbis", "-b:a", "192k", "-f", "ogg"],
    ] {
        let round = assert_rounds(&made(TONE, arguments), COUNT);
        assert_hertz(&round, 440.0);
        // The tone begins where it began.
        let expected = heard(&made(TONE, &["-f", "wav"]), COUNT);
        let error = difference(&round[2000..100_000], &expected[2000..100_000]);
        assert!(error < 200, "{arguments:?}: {error}");
    }
}

#[test]
fn opus_is_as_long_as_it_says() {
    let tone = "sine=frequency=441:duration=2:sample_rate=48000";
    let samples = heard(&made(tone, &["-c:a", "libopus", "-f", "ogg"]), 8 * 44_100);
    // The encoder is lossy at each seam; in the middle of each round the phase is the same.
    for round in 1..4 {
        let (first, now) = (
            &samples[44_100..60_000],
            &samples[round * 88_200 + 44_100..],
        );
        let error = difference(first, &now[..first.len()]);
        assert!(error < 200, "{round}: {error}");
    }
}

#[test]
fn containers_that_say_less_are_played_too() {
    for arguments in [
        &["-c:a", "aac", "-f", "adts"][..],
        &["-c:a", "aac", "-f", "matroska"],
        &["-c:a", "aac", "-f", "mpegts"],
        &["-c:a", "aac", "-f", "flv"],
        &["-c:a", "mp2", "-f", "mpegts"],
        &["-c:a", "libmp3lame", "-write_xing", "0", "-f", "mp3"],
        &["-c:a", "ac3", "-f", "ac3"],
        &[
            "-c:a",
            "aac",
            "-movflags",
            "frag_keyframe+empty_moov",
            "-f",
            "mp4",
        ],
    ] {
        let samples = heard(&made(TONE, arguments), 4 * COUNT);
        assert_hertz(&samples, 440.0);
    }
}

#[test]
fn sound_is_found_beside_pictures() {
    let pictures = "testsrc=s=64x48:r=10:d=2.345";
    let input = ["-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", TONE];
    for container in ["mp4", "matroska", "mpegts", "avi"] {
        let file = made_from(&input, &["-c:v", "mpeg4", "-c:a", "aac", "-f", container]);
        assert_hertz(&heard(&file, 2 * COUNT), 440.0);
    }
    // A picture of the cover is none of the sound.
    let mapped = ["-map", "1", "-map", "0", "-frames:v", "1", "-c:v", "mjpeg"];
    let file = made_from(&input, &[&mapped[..], &["-f", "mp3"]].concat());
    assert_hertz(&assert_rounds(&file, COUNT), 440.0);
}

#[test]
fn pictures_alone_are_no_sound() {
    let files = [
        made("testsrc=s=64x48:d=1", &["-c:v", "mpeg4", "-f", "mp4"]),
        made("testsrc=s=64x48:d=1", &["-c:v", "mpeg4", "-f", "matroska"]),
    ];
    for bytes in files {
        let (_dir, path) = file(&bytes);
        let error = refusal(path.to_str().unwrap());
        assert!(matches!(error, LiveError::NoSound { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("has no audio stream"), "{text}");
    }
}

#[test]
fn a_sample_video_sounds() {
    let video = Path::new(env!("CARGO_MANIFEST_DIR")).join("../videos/mandelbrot_144p.mp4");
    let mut input = open_file(&video);
    assert!(input.runs_ahead());
    let samples = take(&mut input, 20 * 44_100);
    assert!(samples.iter().any(|s| s.unsigned_abs() > 1000));
}

//! Files that are no sound, or not any more.

use std::fs;

use playhouse_media::{ClipError, LiveError};

use crate::common::*;

const TONE: &str = "sine=frequency=440:duration=1:sample_rate=44100";

#[test]
fn what_is_no_sound_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("garbage.wav"), [0x5a; 5000]).unwrap();
    fs::write(at("text.mp3"), "no sound at all\n".repeat(100)).unwrap();
    fs::write(at("empty.wav"), b"").unwrap();
    fs::write(at("sound.wav"), wav_16(1, 44_100, &noise(1000))).unwrap();
    let list = format!("ffconcat version 1.0\nfile {}\n", at("sound.wav"));
    fs::write(at("list.wav"), list).unwrap();
    let list = format!("#EXTM3U\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n", at("sound.wav"));
    fs::write(at("list.m3u8"), list).unwrap();
    for (name, expected) in [
        ("missing.wav", 0),
        (".", 1),
        ("empty.wav", 2),
        ("garbage.wav", 3),
        ("text.mp3", 3),
        ("list.wav", 3),
        ("list.m3u8", 3),
    ] {
        let error = refusal(&at(name));
        let matches = match &error {
            LiveError::File(ClipError::Unreadable { .. }) => expected == 0,
            LiveError::File(ClipError::NotAFile { .. }) => expected == 1,
            LiveError::File(ClipError::Empty { .. }) => expected == 2,
            LiveError::NotSound { .. } => expected == 3,
            _ => false,
        };
        let text = error.to_string();
        assert!(matches && text.contains(name), "{name}: {text}");
    }
    assert!(open("no\0path").is_err());
}

#[test]
fn a_file_without_samples_is_an_error_and_no_endless_loop() {
    let (_dir, path) = file(&wav_16(1, 44_100, &[]));
    assert!(open(path.to_str().unwrap()).is_err() || is_too_short(&path));
    let mut muted = made(
        TONE,
        &["-c:a", "aac", "-f", "mp4", "-movflags", "+faststart"],
    );
    let start = muted.windows(4).position(|w| w == b"mdat").unwrap() + 4;
    muted[start..].fill(0xff);
    let (_dir, path) = file(&muted);
    assert!(is_too_short(&path));
}

fn is_too_short(path: &std::path::Path) -> bool {
    let (samples, error) = take_all(&mut open_file(path));
    samples.is_empty() && matches!(error, LiveError::TooShort { .. })
}

#[test]
fn a_file_that_was_cut_is_played_as_far_as_it_goes() {
    let samples = noise(20_000);
    let whole = wav_16(1, 44_100, &samples);
    for cut in [44 + 2000, 44 + 20_001, whole.len() - 1] {
        let there = (cut - 44) / 2;
        let expected = samples[..there].repeat(2);
        assert!(heard(&whole[..cut], 2 * there) == expected, "{cut}");
    }
}

#[test]
fn what_is_broken_is_silence_and_the_rest_stays_in_its_place() {
    let flac = ["-c:a", "flac", "-strict", "-2", "-f", "mp4"];
    let arguments = [&flac[..], &["-movflags", "+faststart"]].concat();
    let whole = made("anoisesrc=d=3:r=44100:a=0.3:seed=1", &arguments);
    let expected = heard(&whole, 3 * 44_100);
    let start = whole.windows(4).position(|w| w == b"mdat").unwrap() + 4;
    let middle = start + (whole.len() - start) / 2;
    let mut damaged = whole.clone();
    damaged[middle..middle + 20_000].fill(0);
    let heard = heard(&damaged, 6 * 44_100);
    let (first, second) = heard.split_at(3 * 44_100);
    assert!(first == second);
    assert!(first[..44_100] == expected[..44_100]);
    assert!(first[2 * 44_100..] == expected[2 * 44_100..]);
    assert!(first.split(|&s| s != 0).any(|silence| silence.len() > 1000));
}

#[test]
fn absurd_rates_and_channels_are_refused() {
    for (channels, rate) in [(1, 1), (1, 0), (1, 0x7fff_ffff), (0, 44_100), (200, 44_100)] {
        let mut bytes = wav_16(1, 44_100, &noise(50_000));
        bytes[22..24].copy_from_slice(&u16::to_le_bytes(channels));
        bytes[24..28].copy_from_slice(&u32::to_le_bytes(rate));
        bytes[32..34].copy_from_slice(&(channels * 2).to_le_bytes());
        let (_dir, path) = file(&bytes);
        let Ok(mut input) = open(path.to_str().unwrap()) else {
            continue;
        };
        let (samples, error) = take_all(&mut input);
        assert!(samples.is_empty(), "{channels}, {rate}");
        assert!(matches!(error, LiveError::TooShort { .. }), "{error}");
    }
}

/// Reads until an error, or past the end of a file of a second.
fn survive(bytes: &[u8]) {
    let (_dir, path) = file(bytes);
    let Ok(mut input) = open(path.to_str().unwrap()) else {
        return;
    };
    let mut samples = Vec::new();
    while samples.len() < 50_000 && input.read(&mut samples).is_ok() {}
}

#[test]
fn damage_anywhere_is_survived() {
    for arguments in [
        &["-f", "wav"][..],
        &["-c:a", "aac", "-f", "mp4"],
        &["-c:a", "aac", "-f", "mp4", "-movflags", "+faststart"],
        &["-c:a", "libmp3lame", "-f", "mp3"],
        &["-c:a", "flac", "-f", "flac"],
        &["-c:a", "libvorbis", "-f", "ogg"],
        &["-c:a", "aac", "-f", "matroska"],
    ] {
        let whole = made(TONE, arguments);
        // The head is where the rules are.
        let head = (0..400).step_by(13);
        let body = (400..whole.len()).step_by(whole.len() / 20);
        for at in head.chain(body) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            survive(&damaged);
            survive(&whole[..at]);
        }
        let mut damaged = whole.clone();
        for byte in damaged.iter_mut().skip(300).step_by(97) {
            *byte ^= 0x5a;
        }
        survive(&damaged);
    }
}

use std::f64::consts::TAU;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use playhouse_media::{AudioInput, LiveError};
use tempfile::TempDir;

pub use crate::support::*;

pub const LONG: Duration = Duration::from_secs(3600);
/// More is a step, and no longer "some thousands".
const MOST_AT_ONCE: usize = 8192;

pub fn open(url: &str) -> Result<AudioInput, LiveError> {
    playhouse_media::init();
    AudioInput::open(url, Arc::default(), LONG)
}

pub fn refusal(url: &str) -> LiveError {
    open(url).err().unwrap()
}

pub fn open_file(path: &Path) -> AudioInput {
    open(path.to_str().unwrap()).unwrap()
}

/// A file with these bytes, which lives as long as the folder.
pub fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sound");
    fs::write(&path, bytes).unwrap();
    (dir, path)
}

/// The first `count` samples of a file with these bytes, played in a loop.
pub fn heard(bytes: &[u8], count: usize) -> Vec<i16> {
    let (_dir, path) = file(bytes);
    take(&mut open_file(&path), count)
}

pub fn take(input: &mut AudioInput, count: usize) -> Vec<i16> {
    let mut samples = Vec::new();
    while samples.len() < count {
        let length = samples.len();
        input.read(&mut samples).unwrap();
        let more = samples.len() - length;
        assert!((1..=MOST_AT_ONCE).contains(&more), "{more}");
    }
    samples.truncate(count);
    samples
}

/// Everything up to the error.
pub fn take_all(input: &mut AudioInput) -> (Vec<i16>, LiveError) {
    let mut samples = Vec::new();
    loop {
        let length = samples.len();
        if let Err(error) = input.read(&mut samples) {
            assert_eq!(samples.len(), length);
            return (samples, error);
        }
    }
}

/// What an `ffmpeg` command line makes, as the bytes of a file.
pub fn made(source: &str, arguments: &[&str]) -> Vec<u8> {
    made_from(&["-f", "lavfi", "-i", source], arguments)
}

/// The format tags of WAV.
pub const PCM: u16 = 1;
pub const FLOAT: u16 = 3;

/// A WAV file. Of data that is longer than the file, only its length is there.
pub fn wav(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    let frame = channels * (bits / 8);
    let length = u32::try_from(data.len()).unwrap();
    [
        &b"RIFF"[..],
        &(length + 36).to_le_bytes(),
        b"WAVEfmt ",
        &16u32.to_le_bytes(),
        &tag.to_le_bytes(),
        &channels.to_le_bytes(),
        &rate.to_le_bytes(),
        &(rate * u32::from(frame)).to_le_bytes(),
        &frame.to_le_bytes(),
        &bits.to_le_bytes(),
        b"data",
        &length.to_le_bytes(),
        data,
    ]
    .concat()
}

/// A WAV file with samples of 16 bit, those of all channels in turn.
pub fn wav_16(channels: u16, rate: u32, samples: &[i16]) -> Vec<u8> {
    wav(PCM, channels, rate, 16, &bytes(samples))
}

pub fn bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|s| s.to_le_bytes()).collect()
}

/// Samples that are the same each time, and unlike each other.
pub fn noise(count: usize) -> Vec<i16> {
    let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let states = std::iter::successors(Some(1), next);
    states.take(count).map(|s| (s >> 16) as i16).collect()
}

/// Sample `n` of a sine.
pub fn sine(hertz: f64, rate: u32, amplitude: f64, n: usize) -> f64 {
    amplitude * (TAU * hertz * n as f64 / f64::from(rate)).sin()
}

pub fn sine_16(hertz: f64, rate: u32, count: usize) -> Vec<i16> {
    let samples = (0..count).map(|n| sine(hertz, rate, 10_000.0, n).round() as i16);
    samples.collect()
}

/// By how much two rows of samples differ, at most.
pub fn difference(one: &[i16], other: &[i16]) -> u16 {
    assert_eq!(one.len(), other.len());
    let differences = one.iter().zip(other).map(|(a, b)| a.abs_diff(*b));
    differences.max().unwrap()
}

/// Checks that it is a tone, nearly all of the time.
pub fn assert_hertz(samples: &[i16], expected: f64) {
    // What is hardly heard, as before and behind a tone, crosses zero as it likes.
    let clear = samples
        .iter()
        .enumerate()
        .filter(|(_, s)| s.unsigned_abs() > 500);
    let clear: Vec<(usize, bool)> = clear.map(|(n, &s)| (n, s > 0)).collect();
    let upwards = clear
        .windows(2)
        .filter(|w| !w[0].1 && w[1].1)
        .map(|w| w[1].0);
    let upwards: Vec<usize> = upwards.collect();
    let mut periods: Vec<usize> = upwards.windows(2).map(|w| w[1] - w[0]).collect();
    periods.sort_unstable();
    let usual = &periods[periods.len() / 10..periods.len() * 9 / 10];
    let mean = usual.iter().sum::<usize>() as f64 / usual.len() as f64;
    let heard = 44_100.0 / mean;
    assert!((heard - expected).abs() < expected / 100.0, "{heard}");
    let share = periods.len() as f64 * mean / samples.len() as f64;
    assert!((0.95..1.01).contains(&share), "{share}");
}

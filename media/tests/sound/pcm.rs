//! Samples as they are in the file: rates, formats, channels, the seam where it begins again.

use std::fs;

use crate::common::*;

/// `count` samples of a sine that stands at `rate`, at 44,100 Hz.
fn ideal(hertz: f64, count: usize) -> Vec<i16> {
    sine_16(hertz, 44_100, count)
}

#[test]
fn samples_of_the_same_kind_are_the_same_and_begin_again_at_once() {
    for count in [441, 1000, 4096, 50_007] {
        let samples = noise(count);
        let file = wav_16(1, 44_100, &samples);
        assert_eq!(heard(&file, 3 * count), samples.repeat(3), "{count}");
    }
}

#[test]
fn samples_are_appended() {
    let (_dir, path) = file(&wav_16(1, 44_100, &noise(1000)));
    let mut samples = vec![7; 3];
    open_file(&path).read(&mut samples).unwrap();
    assert_eq!(samples[..3], [7; 3]);
    assert_eq!(samples[3..], noise(samples.len() - 3));
}

#[test]
fn both_sides_of_stereo_are_heard_equally() {
    let both = noise(20_000);
    let pairs: Vec<(i32, i32)> = both
        .chunks(2)
        .map(|pair| (pair[0].into(), pair[1].into()))
        .collect();
    let mean: Vec<i16> = pairs.iter().map(|(l, r)| ((l + r) / 2) as i16).collect();
    let heard = heard(&wav_16(2, 44_100, &both), 10_000);
    assert!(difference(&heard, &mean) <= 1);
    // Not above full scale, and not far below it.
    for full in [i16::MIN, i16::MAX] {
        let file = wav_16(2, 44_100, &[full; 2000]);
        let heard = crate::common::heard(&file, 1000);
        assert!(difference(&heard, &[full; 1000]) <= 1);
    }
}

#[test]
fn other_rates_become_44100_and_nothing_is_lost_at_the_seam() {
    for (rate, channels) in [(8000, 1), (22_050, 1), (48_000, 2), (96_000, 1)] {
        // A second is a whole number of periods.
        let mono = sine_16(500.0, rate, rate as usize);
        let samples: Vec<i16> = mono
            .iter()
            .flat_map(|&s| vec![s; usize::from(channels)])
            .collect();
        let heard = heard(&wav_16(channels, rate, &samples), 5 * 44_100);
        let ideal = ideal(500.0, 5 * 44_100);
        // At its very beginning, a filter has nothing to look back on.
        let difference = difference(&heard[200..], &ideal[200..]);
        assert!(difference < 40, "{rate}: {difference}");
    }
}

#[test]
fn rates_that_are_no_fraction_keep_the_time() {
    let rate = 44_101;
    let samples = sine_16(500.0, rate, rate as usize);
    let heard = heard(&wav_16(1, rate, &samples), 10 * 44_100);
    let ideal = ideal(500.0, 10 * 44_100);
    assert!(difference(&heard[200..], &ideal[200..]) < 40);
}

#[test]
fn eight_bits_are_the_upper_ones() {
    let data: Vec<u8> = (0..=255).cycle().take(1024).collect();
    let expected: Vec<i16> = data
        .iter()
        .map(|&byte| (i16::from(byte) - 128) * 256)
        .collect();
    assert_eq!(heard(&wav(PCM, 1, 44_100, 8, &data), 1024), expected);
}

#[test]
fn more_bits_are_rounded_or_cut() {
    let samples = noise(5000);
    let wide: Vec<u8> = samples
        .iter()
        .flat_map(|&s| (i32::from(s) * 65_536).to_le_bytes())
        .collect();
    assert_eq!(heard(&wav(PCM, 1, 44_100, 32, &wide), 5000), samples);
    let packed: Vec<u8> = samples
        .iter()
        .flat_map(|s| [0, s.to_le_bytes()[0], s.to_le_bytes()[1]])
        .collect();
    assert_eq!(heard(&wav(PCM, 1, 44_100, 24, &packed), 5000), samples);
    let float: Vec<u8> = samples
        .iter()
        .flat_map(|&s| (f32::from(s) / 32_768.0).to_le_bytes())
        .collect();
    assert_eq!(heard(&wav(FLOAT, 1, 44_100, 32, &float), 5000), samples);
}

#[test]
fn surround_sound_is_mixed_without_clipping() {
    let surround = |sample: &dyn Fn(usize, usize) -> f32| {
        let samples = (0..4410).flat_map(|n| (0..6).map(move |channel| (n, channel)));
        let data: Vec<u8> = samples
            .flat_map(|(n, channel)| sample(n, channel).to_le_bytes())
            .collect();
        heard(&wav(FLOAT, 6, 44_100, 32, &data), 4410)
    };
    let tone = |n: usize| sine(441.0, 44_100, 1.0, n) as f32;
    let all = surround(&|n, _| tone(n));
    let loudest = *all.iter().max().unwrap();
    assert!(loudest > 30_000, "{loudest}");
    // As smooth as the tone: nothing has wrapped around.
    assert!(all.windows(2).all(|w| w[0].abs_diff(w[1]) < 3000));
    // The centre is heard more than each of the others, those in front at both sides equally.
    let alone = |wanted: usize| {
        let heard = surround(&|n, channel| if channel == wanted { tone(n) } else { 0.0 });
        *heard.iter().max().unwrap()
    };
    let (left, right, centre) = (alone(0), alone(1), alone(2));
    assert_eq!(left, right);
    assert!(centre > left && left > 3000, "{centre}, {left}");
}

#[test]
fn channels_that_nobody_knows_are_mixed_in_equal_parts() {
    for channels in [9, 10, 20] {
        let samples: Vec<i16> = noise(usize::from(channels) * 2000)
            .iter()
            .map(|s| s / 2)
            .collect();
        let mean: Vec<i16> = samples
            .chunks(usize::from(channels))
            .map(|c| {
                let sum: i32 = c.iter().map(|&s| i32::from(s)).sum();
                (f64::from(sum) / f64::from(channels)).round() as i16
            })
            .collect();
        let heard = heard(&wav_16(channels, 44_100, &samples), 2000);
        let difference = difference(&heard, &mean);
        assert!(difference <= 2, "{channels}: {difference}");
    }
}

#[test]
fn a_file_that_was_replaced_is_heard_from_its_next_beginning() {
    let before = noise(30_000);
    let (_dir, path) = file(&wav_16(1, 44_100, &before));
    let mut input = open_file(&path);
    let mut samples = Vec::new();
    input.read(&mut samples).unwrap();
    let new = path.with_extension("new");
    fs::write(&new, wav_16(2, 8000, &sine_16(250.0, 16_000, 16_000))).unwrap();
    fs::rename(&new, &path).unwrap();
    samples.extend(take(&mut input, 70_000));
    assert!(samples[..30_000] == before);
    assert_hertz(&samples[30_100..70_000], 250.0);
}

#[test]
fn a_file_too_short_to_be_played_in_a_loop_is_an_error() {
    for count in [1, 440] {
        let (_dir, path) = file(&wav_16(1, 44_100, &noise(count)));
        let (samples, error) = take_all(&mut open_file(&path));
        assert_eq!(samples, noise(count));
        let text = error.to_string();
        assert!(text.contains("less than 10ms of sound"), "{text}");
        assert!(text.contains(path.to_str().unwrap()), "{text}");
    }
}

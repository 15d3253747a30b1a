//! Tones that are computed.

use std::f64::consts::TAU;

use playhouse_media::{SAMPLE_RATE, Tone};

use crate::common::assert_hertz;

#[test]
fn each_sample_is_that_of_the_formula() {
    for hertz in [1, 440, 1000, 22_049] {
        let tone = Tone::new(hertz);
        for n in 0..2 * u64::from(SAMPLE_RATE) {
            // Without the whole turns, which a float would not tell from rounding.
            let steps = n * u64::from(hertz) % u64::from(SAMPLE_RATE);
            let angle = TAU * steps as f64 / f64::from(SAMPLE_RATE);
            let expected = (f64::from(Tone::AMPLITUDE) * angle.sin()).round() as i16;
            assert_eq!(tone.sample(n), expected, "{hertz}: {n}");
        }
    }
}

#[test]
fn it_is_a_sine_of_so_many_hertz_and_so_loud() {
    let mut samples = Vec::new();
    Tone::new(440).read(44_100, &mut samples);
    assert_hertz(&samples, 440.0);
    assert_eq!(samples[0], 0);
    assert_eq!(*samples.iter().max().unwrap(), Tone::AMPLITUDE);
    assert_eq!(*samples.iter().min().unwrap(), -Tone::AMPLITUDE);
}

#[test]
fn chunks_make_no_difference() {
    let mut whole = vec![7];
    Tone::new(440).read(100_000, &mut whole);
    assert_eq!(whole.len(), 100_001);
    let (mut tone, mut parts) = (Tone::new(440), vec![7]);
    for count in [0, 1, 4096, 44_100, 3, 51_800] {
        tone.read(count, &mut parts);
    }
    assert_eq!(parts, whole);
    let single: Vec<i16> = (0..100_000).map(|n| tone.sample(n)).collect();
    assert_eq!(single, whole[1..]);
}

#[test]
fn years_change_nothing() {
    let second = u64::from(SAMPLE_RATE);
    for hertz in [0, 440, u32::MAX] {
        let tone = Tone::new(hertz);
        let late = u64::MAX - u64::MAX % second - second;
        for n in 0..second {
            assert_eq!(tone.sample(late + n), tone.sample(n));
        }
    }
    assert!((0..44_100).all(|n| Tone::new(0).sample(n) == 0));
}

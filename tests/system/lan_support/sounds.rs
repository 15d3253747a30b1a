//! Sounds that are known by their position, and a look at what is heard.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::contents::mix;

/// Samples a second.
pub const RATE: u32 = 44_100;
/// Samples that tell a position apart from all others.
const KEY: usize = 4;

/// A sound of so many samples, no four of which in a row are there twice.
pub struct Sound {
    samples: Vec<i16>,
    positions: HashMap<[i16; KEY], usize>,
}

impl Sound {
    pub fn new(samples: usize) -> Sound {
        let number = |n: usize| {
            let [low, high, ..] = mix(n as u64).to_le_bytes();
            i16::from_le_bytes([low, high])
        };
        let samples: Vec<i16> = (0..samples).map(number).collect();
        let positions = (0..samples.len()).map(|at| {
            let key = std::array::from_fn(|n| samples[(at + n) % samples.len()]);
            (key, at)
        });
        let positions: HashMap<_, _> = positions.collect();
        assert_eq!(positions.len(), samples.len(), "each once");
        Sound { samples, positions }
    }

    /// How many samples it has.
    pub fn length(&self) -> usize {
        self.samples.len()
    }

    /// As a WAV file.
    pub fn write(&self, path: &Path) {
        let bytes: Vec<u8> = self.samples.iter().flat_map(|s| s.to_le_bytes()).collect();
        let size = u32::try_from(bytes.len()).unwrap();
        let (channels, bits) = (1_u16, 16_u16);
        let wav = [
            b"RIFF",
            &(36 + size).to_le_bytes()[..],
            b"WAVEfmt ",
            &16_u32.to_le_bytes(),
            // PCM.
            &1_u16.to_le_bytes(),
            &channels.to_le_bytes(),
            &RATE.to_le_bytes(),
            &(2 * RATE).to_le_bytes(),
            &2_u16.to_le_bytes(),
            &bits.to_le_bytes(),
            b"data",
            &size.to_le_bytes(),
            &bytes,
        ];
        // Nobody finds half of it.
        let beside = path.with_extension("part");
        fs::write(&beside, wav.concat()).unwrap();
        fs::rename(beside, path).unwrap();
    }

    /// Where in the sound this is, every sample of it, played in a loop.
    pub fn position(&self, heard: &[i16]) -> usize {
        let key: &[i16; KEY] = heard.first_chunk().unwrap();
        let at = self.positions.get(key);
        let at = *at.unwrap_or_else(|| panic!("{key:?} is not in the sound"));
        let expected = (at..).map(|n| self.samples[n % self.samples.len()]);
        let same = heard.iter().copied().zip(expected).all(|(a, b)| a == b);
        assert!(same, "not the sound, from {at} on");
        at
    }
}

/// How often a second a sound rises through zero.
pub fn frequency(samples: &[i16]) -> f64 {
    let rises: Vec<usize> = (1..samples.len())
        .filter(|&n| samples[n - 1] < 0 && samples[n] >= 0)
        .collect();
    let (Some(first), Some(last)) = (rises.first(), rises.last()) else {
        return 0.0;
    };
    (rises.len() - 1) as f64 / (last - first).max(1) as f64 * f64::from(RATE)
}

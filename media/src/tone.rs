//! A pure tone, for when there is nothing better to hear.

use std::f64::consts::TAU;

use crate::audio_input::SAMPLE_RATE;

/// A quarter of full scale: clear, and no fright in headphones.
const AMPLITUDE: f64 = 8192.0;

/// A sine of a whole number of hertz at [`SAMPLE_RATE`], 16 bit.
///
/// Sample `n` is round([`Tone::AMPLITUDE`] · sin(2π · hertz · n / 44,100)). It depends on `n` alone, and each
/// second is the same as the first one, so that nothing drifts however long it sounds. Tones above half the
/// rate fold back below it.
#[derive(Debug, Clone)]
pub struct Tone {
    hertz: u64,
    /// Of the next sample.
    position: u64,
}

impl Tone {
    /// The largest sample.
    pub const AMPLITUDE: i16 = AMPLITUDE as i16;

    /// 0 hertz is silence.
    pub fn new(hertz: u32) -> Tone {
        Tone {
            hertz: hertz.into(),
            position: 0,
        }
    }

    /// Sample `n`, wherever [`read`](Self::read) stands.
    pub fn sample(&self, n: u64) -> i16 {
        let second = u64::from(SAMPLE_RATE);
        // Both below 2³²: the product fits. The remainder is below 44,100.
        let steps = n % second * self.hertz % second;
        let turn = steps as f64 / f64::from(SAMPLE_RATE);
        // At most the amplitude.
        (AMPLITUDE * (TAU * turn).sin()).round() as i16
    }

    /// Appends the next `count` samples, beginning with sample 0.
    pub fn read(&mut self, count: usize, to: &mut Vec<i16>) {
        to.reserve(count);
        for _ in 0..count {
            to.push(self.sample(self.position));
            // Each second is the same.
            self.position = (self.position + 1) % u64::from(SAMPLE_RATE);
        }
    }
}

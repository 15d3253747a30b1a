//! When the pictures of a file that is played in a loop are due, whatever its time stamps say.

use std::time::Duration;

use crate::av::StreamFacts;
use crate::timeline::known_rate;

/// A picture isn't shown for longer: time stamps that jump further are wrong.
const MAX_STEP: Duration = Duration::from_secs(60);

/// Adds up the steps from picture to picture. A step that is none, or back, or too large is replaced by the
/// usual one, so time always goes on.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Seconds for each unit of a stamp, as a fraction.
    time_base: (i64, i64),
    usual: Duration,
    last: Option<i64>,
    /// Of the next picture, if it comes after the usual step.
    next: Duration,
    /// Of the last picture.
    due: Duration,
}

impl Pace {
    pub fn new(facts: &StreamFacts) -> Pace {
        Pace {
            time_base: facts.time_base,
            usual: Duration::from_secs_f64(known_rate(facts.frame_rate).recip()),
            last: None,
            next: Duration::ZERO,
            due: Duration::ZERO,
        }
    }

    /// The stream begins anew: its next picture comes one step after the last one, whatever its stamp.
    pub fn begin_again(&mut self, facts: &StreamFacts) {
        let new = Pace::new(facts);
        self.time_base = new.time_base;
        self.usual = new.usual;
        self.last = None;
    }

    /// When the picture with this time stamp is due, from the first one on.
    pub fn due(&mut self, stamp: Option<i64>) -> Duration {
        let step = stamp
            .zip(self.last)
            .and_then(|(stamp, last)| self.step(stamp, last));
        self.due = step.map_or(self.next, |step| self.due.saturating_add(step));
        self.next = self.due.saturating_add(self.usual);
        self.last = stamp;
        self.due
    }

    fn step(&self, stamp: i64, last: i64) -> Option<Duration> {
        let (numerator, denominator) = self.time_base;
        let units = i128::from(stamp) - i128::from(last);
        let nanos = units * i128::from(numerator) * 1_000_000_000 / i128::from(denominator.max(1));
        let step = Duration::from_nanos(u64::try_from(nanos).ok()?);
        (!step.is_zero() && step <= MAX_STEP).then_some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        Pace::new(&facts((1, 1000), 25.0))
    }

    fn facts(time_base: (i64, i64), frame_rate: f64) -> StreamFacts {
        StreamFacts {
            index: 0,
            width: 0,
            height: 0,
            time_base,
            frame_rate,
            promised: 0,
            rotation: 0,
            motion_jpeg: false,
        }
    }

    fn dues(pace: &mut Pace, stamps: &[Option<i64>]) -> Vec<u128> {
        let dues = stamps.iter().map(|&stamp| pace.due(stamp).as_millis());
        dues.collect()
    }

    #[test]
    fn stamps_are_counted_from_the_first() {
        let stamps = [-50, 0, 10, 2000].map(Some);
        assert_eq!(dues(&mut pace(), &stamps), [0, 50, 60, 2050]);
    }

    #[test]
    fn what_isnt_a_step_forward_becomes_the_usual_one() {
        let stamps = [
            Some(7),
            Some(7),
            Some(3),
            None,
            Some(9),
            Some(19),
            Some(60_020),
        ];
        let expected = [0, 40, 80, 120, 160, 170, 210];
        assert_eq!(dues(&mut pace(), &stamps), expected);
        let stamps = [i64::MIN, i64::MAX, i64::MIN].map(Some);
        assert_eq!(dues(&mut pace(), &stamps), [0, 40, 80]);
    }

    #[test]
    fn a_new_beginning_is_one_step_later() {
        let mut pace = pace();
        assert_eq!(dues(&mut pace, &[Some(5), Some(15)]), [0, 10]);
        pace.begin_again(&facts((1, 100), 10.0));
        assert_eq!(dues(&mut pace, &[Some(5), Some(15)]), [50, 150]);
        pace.begin_again(&facts((1, 100), 10.0));
        assert_eq!(dues(&mut pace, &[Some(15)]), [250]);
    }

    #[test]
    fn a_frame_rate_that_is_none_is_replaced() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 90_000.0] {
            let mut pace = Pace::new(&facts((1, 1000), rate));
            assert_eq!(dues(&mut pace, &[None, None]), [0, 40], "{rate}");
        }
    }
}

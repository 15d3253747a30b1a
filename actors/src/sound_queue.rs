//! Samples on their way from whoever reads them to the timeline that plays them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use playhouse_media::SAMPLE_RATE;

use crate::locks::locked;

/// Samples read ahead, at most.
const AHEAD: usize = SAMPLE_RATE as usize;
/// Samples of a live source that are kept so that it may come unevenly.
const CUSHION: usize = SAMPLE_RATE as usize / 5;
/// How often whoever waits for room looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// A row of samples.
#[derive(Default)]
pub struct SoundQueue {
    inner: Mutex<Inner>,
    room: Condvar,
}

#[derive(Default)]
struct Inner {
    samples: VecDeque<i16>,
    /// Whether the source comes at a pace of its own, which is never quite ours.
    live: bool,
    /// A live source that ran dry fills its cushion first.
    filling: bool,
}

impl SoundQueue {
    /// Takes `samples` of a source that is read as fast as there is room; waits for it, or until `stopped`.
    pub fn put(&self, samples: &[i16], stopped: impl Fn() -> bool) {
        let mut inner = locked(&self.inner);
        inner.live = false;
        while inner.samples.len() >= AHEAD && !stopped() {
            let waited = self.room.wait_timeout(inner, LOOK);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        inner.samples.extend(samples);
    }

    /// Takes `samples` of a live source. One that is ahead of our clock loses the oldest.
    pub fn put_live(&self, samples: &[i16]) {
        let mut inner = locked(&self.inner);
        inner.live = true;
        inner.samples.extend(samples);
        if inner.samples.len() > AHEAD {
            let surplus = inner.samples.len() - CUSHION;
            inner.samples.drain(..surplus);
        }
    }

    /// The next `count` samples, or `None` if they are not there yet.
    pub fn take(&self, count: usize) -> Option<Vec<i16>> {
        let mut inner = locked(&self.inner);
        let wanted = match inner.filling {
            true => count + CUSHION,
            false => count,
        };
        if inner.samples.len() < wanted {
            inner.filling = inner.live;
            return None;
        }
        inner.filling = false;
        let taken = inner.samples.drain(..count).collect();
        self.room.notify_one();
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    fn row(from: i32, count: usize) -> Vec<i16> {
        (from..).take(count).map(|n| n as i16).collect()
    }

    #[test]
    fn what_is_read_ahead_comes_out_in_order_and_nothing_is_lost() {
        let queue = Arc::new(SoundQueue::default());
        assert_eq!(queue.take(1), None);
        let reader = {
            let queue = queue.clone();
            thread::spawn(move || {
                for n in 0..300 {
                    queue.put(&row(n * 1000, 1000), || false);
                }
            })
        };
        let mut all = Vec::new();
        while all.len() < 300_000 {
            match queue.take(4000) {
                Some(samples) => all.extend(samples),
                None => thread::yield_now(),
            }
            assert!(locked(&queue.inner).samples.len() < AHEAD + 1000);
        }
        reader.join().unwrap();
        assert_eq!(all, row(0, 300_000));
    }

    #[test]
    fn who_waits_for_room_can_be_stopped() {
        let queue = Arc::new(SoundQueue::default());
        let stop = Arc::new(AtomicBool::new(false));
        queue.put(&row(0, AHEAD), || false);
        let reader = {
            let (queue, stop) = (queue.clone(), stop.clone());
            thread::spawn(move || queue.put(&[1], || stop.load(Ordering::Relaxed)))
        };
        stop.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    }

    #[test]
    fn a_live_source_that_is_too_fast_loses_the_oldest() {
        let queue = SoundQueue::default();
        queue.put_live(&row(0, AHEAD));
        queue.put_live(&row(AHEAD as i32, 1));
        let kept = queue.take(CUSHION).unwrap();
        assert_eq!(kept, row((AHEAD + 1 - CUSHION) as i32, CUSHION));
        assert_eq!(queue.take(1), None);
    }

    #[test]
    fn a_live_source_that_ran_dry_fills_its_cushion_first() {
        let queue = SoundQueue::default();
        queue.put_live(&row(0, 100));
        assert_eq!(queue.take(100), Some(row(0, 100)));
        assert_eq!(queue.take(100), None);
        queue.put_live(&row(100, CUSHION + 99));
        assert_eq!(queue.take(100), None);
        queue.put_live(&row((CUSHION + 199) as i32, 1));
        assert_eq!(queue.take(100), Some(row(100, 100)));
        assert_eq!(queue.take(CUSHION), Some(row(200, CUSHION)));
    }
}

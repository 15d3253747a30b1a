//! What went through all sockets of this program. Each thread counts by itself, so that counting costs
//! nothing; whoever wants to know adds up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::locks::locked;

#[derive(Default)]
struct Counters {
    came: AtomicU64,
    went: AtomicU64,
    frames: AtomicU64,
}

/// Those of threads that have ended stay: what was counted was counted.
static ALL: Mutex<Vec<Arc<Counters>>> = Mutex::new(Vec::new());

thread_local! {
    static HERE: Arc<Counters> = {
        let here = Arc::<Counters>::default();
        locked(&ALL).push(here.clone());
        here
    };
}

/// Since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes.
    pub came: u64,
    /// Bytes.
    pub went: u64,
    /// Pictures that went out.
    pub frames: u64,
}

/// So many bytes came.
pub fn came(bytes: usize) {
    add(|here| &here.came, bytes as u64);
}

/// So many bytes went out.
pub fn went(bytes: usize) {
    add(|here| &here.went, bytes as u64);
}

/// So many pictures of videos and live channels went out.
pub fn frames_went(frames: u32) {
    add(|here| &here.frames, frames.into());
}

fn add(counter: impl Fn(&Counters) -> &AtomicU64, more: u64) {
    // A thread that is just ending counts no more.
    let _ = HERE.try_with(|here| counter(here).fetch_add(more, Ordering::Relaxed));
}

/// What all threads have counted.
pub fn total() -> Traffic {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut total = Traffic::default();
    for counters in locked(&ALL).iter() {
        total.came += read(&counters.came);
        total.went += read(&counters.went);
        total.frames += read(&counters.frames);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_that_are_gone_have_counted_counts() {
        let before = total();
        let counting = || {
            came(3);
            went(5);
            frames_went(1);
        };
        std::thread::spawn(counting).join().unwrap();
        counting();
        let after = total();
        // Other tests count meanwhile.
        assert!(after.came >= before.came + 6 && after.went >= before.went + 10);
        assert!(after.frames >= before.frames + 2);
    }
}

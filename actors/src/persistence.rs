//! Reading what may break off, on a thread of its own: it is tried again after a pause that grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::frame_pool::be_nice;
use crate::watch::caught_now;

/// The pauses between two attempts double from this one …
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// … up to this one, …
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// … and begin anew after it has gone well for so long.
const RECOVERED: Duration = Duration::from_secs(60);
/// A source that sends nothing for so long has broken off.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A thread that reads; told to stop when this is dropped.
pub struct Reading {
    attempt: Attempt,
    thread: Option<Thread>,
}

/// What a thread that reads and its owner tell each other.
#[derive(Clone, Default)]
pub struct Attempt {
    stop: Arc<AtomicBool>,
    connected: Arc<AtomicBool>,
}

impl Reading {
    /// Calls `read` on a new thread, again and again. It comes back when it is told to stop, or with the
    /// reason why it broke off, which is logged of `source`.
    pub fn start(source: &str, read: impl Fn(&Attempt) -> String + Send + 'static) -> Reading {
        let attempt = Attempt::default();
        let (own, name) = (attempt.clone(), source.to_owned());
        let thread = thread::Builder::new().name("source".to_owned());
        let thread = thread.spawn(move || keep_reading(&name, &own, read));
        if let Err(error) = &thread {
            tracing::error!(source, %error, "no thread for a source");
        }
        Reading {
            attempt,
            thread: thread.ok().map(|handle| handle.thread().clone()),
        }
    }

    /// Whether something comes, or may come.
    pub fn is_connected(&self) -> bool {
        self.attempt.connected.load(Ordering::Relaxed)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.attempt.stop.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

impl Attempt {
    /// Whether it is time to come back.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The same, for what takes a flag.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// The source is open.
    pub fn connected(&self) {
        self.connected.store(true, Ordering::Relaxed);
    }

    /// Sleeps until `due`, or until it is time to come back.
    pub fn sleep_until(&self, due: Instant) {
        while !self.is_stopped() {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::park_timeout(left);
        }
    }
}

fn keep_reading(source: &str, attempt: &Attempt, read: impl Fn(&Attempt) -> String) {
    be_nice();
    let mut pause = FIRST_PAUSE;
    while !attempt.is_stopped() {
        let since = Instant::now();
        let ended = caught_now(|| read(attempt)).unwrap_or_else(|panic| format!("panic: {panic}"));
        attempt.connected.store(false, Ordering::Relaxed);
        if attempt.is_stopped() {
            return;
        }
        if since.elapsed() > RECOVERED {
            pause = FIRST_PAUSE;
        }
        let again_in = pause.as_secs();
        tracing::warn!(source, error = ended, again_in, "live source broke off");
        attempt.sleep_until(Instant::now() + pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

//! What ends a call of FFmpeg that waits for bytes.

use std::ffi::{c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ffmpeg_next::ffi;

/// Asked by FFmpeg again and again while it waits.
pub(crate) struct Interrupt {
    stop: Arc<AtomicBool>,
    patience: Duration,
    epoch: Instant,
    /// Milliseconds since `epoch`.
    deadline: AtomicU64,
    /// Whether a call has been ended; what it left behind can't be read on.
    fired: AtomicBool,
}

impl Interrupt {
    /// Ends calls when `stop` is set, and when `patience` has passed since [`begin`](Self::begin).
    pub fn new(stop: Arc<AtomicBool>, patience: Duration) -> Arc<Interrupt> {
        let interrupt = Interrupt {
            stop,
            patience,
            epoch: Instant::now(),
            deadline: AtomicU64::new(0),
            fired: AtomicBool::new(false),
        };
        interrupt.begin();
        Arc::new(interrupt)
    }

    /// Patience begins anew, if it hasn't ended a call.
    pub fn begin(&self) {
        let deadline = self.epoch.elapsed().saturating_add(self.patience);
        self.deadline.store(millis(deadline), Ordering::Relaxed);
    }

    pub fn patience(&self) -> Duration {
        self.patience
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub fn is_expired(&self) -> bool {
        self.fired.load(Ordering::Relaxed)
            || millis(self.epoch.elapsed()) > self.deadline.load(Ordering::Relaxed)
    }

    /// For FFmpeg, which keeps the pointer: `self` must outlive the context it is given to.
    pub(super) fn callback(self: &Arc<Self>) -> ffi::AVIOInterruptCB {
        ffi::AVIOInterruptCB {
            callback: Some(asked),
            opaque: Arc::as_ptr(self).cast_mut().cast(),
        }
    }
}

/// Not 0: the call must end.
unsafe extern "C" fn asked(opaque: *mut c_void) -> c_int {
    // SAFETY: `callback` made the pointer from an `Interrupt` that outlives the context. It may be read from
    // all threads.
    let interrupt = unsafe { &*opaque.cast_const().cast::<Interrupt>() };
    let fires = interrupt.is_stopped() || interrupt.is_expired();
    if fires {
        interrupt.fired.store(true, Ordering::Relaxed);
    }
    fires.into()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

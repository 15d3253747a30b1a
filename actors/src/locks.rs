//! Locks around what several actors share.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What `mutex` holds, also after somebody panicked with it: only for what is whole after each step of a
/// change.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Whether a pickle is refused for the reason that is expected, at once and in little memory.

use playhouse_media::read_pickled_frame;

use crate::allocations::peak_of;

/// How much memory refusing may take.
pub const LITTLE: usize = 64 * 1024;

/// Refuses `before` and `rest` for what is at the start of `rest`.
#[track_caller]
pub fn refuse(before: &[u8], rest: &[u8], reason: &str) {
    refuse_at(&[before, rest].concat(), before.len(), reason);
}

#[track_caller]
pub fn refuse_at(pickle: &[u8], position: usize, reason: &str) {
    let (peak, result) = peak_of(|| read_pickled_frame(pickle).map(drop));
    let said = result.unwrap_err().to_string();
    assert_eq!(said, format!("byte {position}: {reason}"));
    assert!(peak <= LITTLE, "{reason}: {peak}");
}

//! What may happen all the time is logged once in a while, with its number.

use std::time::Duration;

use tokio::time::Instant;

/// The time between two lines about the same.
const SELDOM: Duration = Duration::from_secs(60);

/// Something that may happen all the time and is logged once in a while.
#[derive(Default)]
pub struct Seldom {
    unlogged: u64,
    last: Option<Instant>,
}

impl Seldom {
    /// It happens; how often it has since the last log, if it is time for the next one.
    pub fn happens(&mut self) -> Option<u64> {
        self.unlogged += 1;
        let now = Instant::now();
        if self.last.is_some_and(|last| now - last < SELDOM) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }
}

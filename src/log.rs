//! What happens is logged to standard error, for people or for programs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::callsite::Identifier;
use tracing::{Event, Metadata};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{Log, LogFormat};
use crate::error::Error;

/// Lines of one kind that may come at once, …
const BURST: f64 = 1000.0;
/// … and a second. A peer that connects thousands of times a second must not fill the disk.
const LINES_A_SECOND: f64 = 20.0;

/// Lines that were left out since they were last counted.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// Starts logging, unless the program does so itself; a panic is logged too, in one line.
///
/// # Errors
/// The filter is wrong.
pub fn start(log: &Log) -> Result<(), Error> {
    if tracing::dispatcher::has_been_set() {
        return Ok(());
    }
    let filter = log.filter().map_err(|rule| {
        // Checked with the other keys.
        Error::Config(vec![format!("log.level: {rule}")])
    })?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = match log.format {
        LogFormat::Text => lines.with_target(false).with_ansi(ansi).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines.with_filter(Bounds::default()))
        .try_init()
        .map_err(Error::other)?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(
            place,
            "panic: {}",
            playhouse_actors::panic_message(panic.payload())
        );
    }));
    Ok(())
}

/// How many lines were left out since the last call.
pub fn left_out() -> u64 {
    LEFT_OUT.swap(0, Ordering::Relaxed)
}

/// Leaves out lines of a kind of which there are too many. A kind is a place in the program.
#[derive(Default)]
struct Bounds(Mutex<HashMap<Identifier, Budget>>);

struct Budget {
    lines: f64,
    since: Instant,
}

impl Budget {
    /// Takes a line out of it, if there is one.
    fn take(&mut self, now: Instant) -> bool {
        let earned = now.duration_since(self.since).as_secs_f64() * LINES_A_SECOND;
        self.lines = (self.lines + earned).min(BURST);
        self.since = now;
        let enough = self.lines >= 1.0;
        if enough {
            self.lines -= 1.0;
        }
        enough
    }
}

impl<S> Filter<S> for Bounds {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let target = event.metadata().target();
        if target == "playhouse" || target.starts_with("playhouse::") {
            // What the operator asks for.
            return true;
        }
        let now = Instant::now();
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let budget = budgets
            .entry(event.metadata().callsite())
            .or_insert(Budget {
                lines: BURST,
                since: now,
            });
        let enough = budget.take(now);
        if !enough {
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_is_left_out_and_lines_come_again_after_it() {
        let start = Instant::now();
        let mut budget = Budget {
            lines: BURST,
            since: start,
        };
        let flood = (0..5000).filter(|_| budget.take(start)).count();
        assert_eq!(flood, 1000);
        let second = start + Duration::from_secs(1);
        assert_eq!((0..5000).filter(|_| budget.take(second)).count(), 20);
        let hour = start + Duration::from_secs(3600);
        assert_eq!((0..5000).filter(|_| budget.take(hour)).count(), 1000);
    }
}

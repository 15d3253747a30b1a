//! What happens is logged to standard error, for people or for programs.

use tracing_subscriber::fmt;

use crate::config::{Log, LogFormat};

/// Starts logging; a panic is logged too, in one line.
///
/// # Errors
/// The filter is wrong, or logging has been started before.
pub fn start(log: &Log) -> Result<(), Box<dyn std::error::Error>> {
    let filter = log.filter()?;
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let started = match log.format {
        LogFormat::Text => builder.with_target(false).with_ansi(ansi).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| e.to_string())?;
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

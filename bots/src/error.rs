//! Why a bot has no answer.

use std::time::Duration;

/// Why a bot has no answer. `Display` is a short reason without addresses, keys or foreign text, which may
/// be shown to whoever asked; [`detail`](Self::detail) is for the operator's log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BotError {
    /// No connection to the service: no such host, nobody listens, no trust in its certificate.
    #[error("the bot's service can't be reached")]
    Connect { detail: String },
    /// The connection broke before the answer was there.
    #[error("the bot's service broke off")]
    Interrupted { detail: String },
    /// Not done within the settings' time limit, waiting for a turn included.
    #[error("the bot took too long")]
    TimedOut {
        limit: Duration,
        doing: &'static str,
    },
    /// Another status than 2xx; `message` is the service's own.
    #[error("the bot's service refused (HTTP status {status})")]
    Status { status: u16, message: String },
    /// An answer that is none: not HTTP, not JSON, no choices, no text.
    #[error("the bot's service sent no answer")]
    Garbage { detail: String },
    /// An answer of more than `limit` bytes.
    #[error("the bot's service sent too much")]
    TooLarge { limit: usize },
}

impl BotError {
    /// The reason with what is known of it: one line, some hundred bytes at most, which may name the service
    /// and quote it. The key is not in it.
    pub fn detail(&self) -> String {
        match self {
            BotError::Connect { detail }
            | BotError::Interrupted { detail }
            | BotError::Garbage { detail } => format!("{self}: {detail}"),
            BotError::TimedOut { limit, doing } => {
                format!("{self}: over {limit:?} while {doing}")
            }
            BotError::Status { message, .. } if message.is_empty() => self.to_string(),
            BotError::Status { message, .. } => format!("{self}: {message}"),
            BotError::TooLarge { limit } => format!("{self}: over {limit} bytes"),
        }
    }
}

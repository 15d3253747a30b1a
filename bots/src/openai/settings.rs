//! Where the model is, and what it may cost.

use std::fmt;
use std::time::Duration;

/// An endpoint, the model behind it, and limits.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenAiSettings {
    /// Base of the API, such as `https://api.openai.com/v1`. `/chat/completions` is added unless the path ends
    /// so already; a query stays. Printed in logs: no secrets.
    pub url: String,
    /// As the endpoint knows it.
    pub model: String,
    /// Sent as a bearer token; white space around it is dropped, and an empty one is none. `Debug` doesn't
    /// print it.
    pub key: Option<String>,
    /// What the model is told before each conversation; nothing when empty.
    pub system: String,
    /// Messages of a conversation that are sent along with a question at most, questions and answers
    /// counted alike; pairs stay pairs. They are bounded in bytes besides.
    pub history: usize,
    /// From the question to the whole answer, waiting for a turn included.
    pub time_limit: Duration,
    /// Questions on their way at once, of all conversations together. The others wait in order.
    pub max_parallel: usize,
}

impl fmt::Debug for OpenAiSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiSettings")
            .field("url", &self.url)
            .field("model", &self.model)
            .field("key", &self.key.as_ref().map(|_| "…"))
            .field("system", &self.system)
            .field("history", &self.history)
            .field("time_limit", &self.time_limit)
            .field("max_parallel", &self.max_parallel)
            .finish()
    }
}

/// Which setting can't be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("url: {reason}")]
    Url { reason: String },
    #[error("model: must not be empty")]
    Model,
    #[error("key: has characters that can't be sent: only visible ASCII can")]
    Key,
    #[error("time_limit: must be more than nothing")]
    TimeLimit,
    #[error("max_parallel: {found}, must be 1 to {most}")]
    MaxParallel { found: usize, most: usize },
    /// The system's certificates can't be used.
    #[error("TLS: {reason}")]
    Tls { reason: String },
}

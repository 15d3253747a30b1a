//! Conversations with a model that is not there.

use std::time::Duration;

use playhouse_bots::{Bot, BotError, OpenAi, OpenAiService, OpenAiSettings};

use crate::support::http::{Server, Then};

/// Longer than any test, but for those that let time pass.
pub const LIMIT: Duration = Duration::from_secs(300);
pub const KEY: &str = "sk-very-secret";

pub fn settings(url: String) -> OpenAiSettings {
    OpenAiSettings {
        url,
        model: "small-1".to_owned(),
        key: Some(KEY.to_owned()),
        system: String::new(),
        history: 10,
        time_limit: LIMIT,
        max_parallel: 4,
    }
}

pub fn bot(settings: OpenAiSettings) -> OpenAi {
    OpenAi::new(OpenAiService::new(settings).unwrap())
}

/// What becomes of one question.
pub async fn ask_once(then: Then) -> Result<String, BotError> {
    let server = Server::start([then]).await;
    bot(settings(server.url())).answer("Hi").await
}

//! A language model behind an OpenAI-compatible endpoint.
//!
//! Each question is one `POST …/chat/completions` without streaming, on a connection of its own: beside what
//! a model takes to think, a handshake is nothing, and a connection that is kept would belong to the thread
//! that opened it. Redirects are not followed, and proxies of the environment not used: the question and
//! the key go to the configured address or nowhere.

mod exchange;
mod history;
mod service;
mod settings;

use std::cell::Cell;

pub use service::OpenAiService;
pub use settings::{OpenAiSettings, SettingsError};

use crate::text::cut;
use crate::{Bot, BotError, Reply};
use history::History;

/// Bytes of a question; what is beyond is not asked.
const QUESTION_BYTES: usize = 16 << 10;

/// One conversation with a language model, which remembers the last questions that were answered.
#[derive(Debug)]
pub struct OpenAi {
    service: OpenAiService,
    history: History,
}

impl OpenAi {
    /// A conversation without a past. Needs a tokio runtime with time and I/O when it is asked.
    pub fn new(service: OpenAiService) -> OpenAi {
        let history = History::new(service.settings().history);
        OpenAi { service, history }
    }

    async fn ask(&mut self, said: &str) -> Result<String, BotError> {
        let question = cut(said, QUESTION_BYTES);
        let limit = self.service.settings().time_limit;
        let doing = Cell::new("waiting for a turn");
        let exchange = async {
            let _turn = self.service.turn().await;
            doing.set("waiting for the answer");
            exchange::ask(&self.service, &self.history, question).await
        };
        let answer = tokio::time::timeout(limit, exchange)
            .await
            .unwrap_or_else(|_| {
                Err(BotError::TimedOut {
                    limit,
                    doing: doing.get(),
                })
            })?;
        // Only here, so that what failed or was dropped leaves no trace.
        self.history.push(question, &answer);
        Ok(answer)
    }
}

impl Bot for OpenAi {
    fn answer<'a>(&'a mut self, said: &'a str) -> Reply<'a> {
        Box::pin(self.ask(said))
    }
}

//! The bot that the configuration names, ready to be asked.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use playhouse_actors::BotMaker;
use playhouse_bots::{Echo, HouseBot, OpenAi, OpenAiService, OpenAiSettings, Rules, SettingsError};
use serde::Deserialize;

const RULES: &str = include_str!("../config/house_bot.toml");

/// The words for the bots that come with the house.
pub const KINDS: [&str; 3] = ["house", "echo", "openai"];

/// The keys of `[bot]`.
#[derive(Debug, Deserialize)]
pub struct BotKeys {
    kind: String,
    pub time_limit_s: u64,
    rules: PathBuf,
    pub openai: OpenAiKeys,
}

/// The keys of `[bot.openai]`.
#[derive(Debug, Deserialize)]
pub struct OpenAiKeys {
    url: String,
    model: String,
    key_variable: String,
    system: String,
    pub history: usize,
    pub max_parallel: usize,
}

impl BotKeys {
    #[cfg(test)]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// What makes the bot of each conversation: one of the house's or of `own`.
    ///
    /// # Errors
    /// The key that is wrong, and the rule.
    pub fn maker(
        &self,
        own: &[(&'static str, BotMaker)],
    ) -> Result<BotMaker, (&'static str, String)> {
        Ok(match self.kind.as_str() {
            "echo" => BotMaker::new(|_| Box::new(Echo)),
            "house" => {
                let rules = Arc::new(self.rules().map_err(|rule| ("bot.rules", rule))?);
                BotMaker::new(move |facts| {
                    Box::new(HouseBot::new(rules.clone(), Rc::new(facts.clone())))
                })
            }
            "openai" => {
                let service = OpenAiService::new(self.openai())
                    .map_err(|error| (key_of(&error), error.to_string()))?;
                BotMaker::new(move |_| Box::new(OpenAi::new(service.clone())))
            }
            kind => match own.iter().find(|(name, _)| *name == kind) {
                Some((_, maker)) => maker.clone(),
                None => return Err(("bot.kind", format!("{kind:?}: {}", words(own)))),
            },
        })
    }

    fn rules(&self) -> Result<Rules, String> {
        if self.rules == Path::new("") {
            return Rules::parse(RULES).map_err(|e| e.to_string());
        }
        let at = |error: String| format!("{}: {error}", self.rules.display());
        let text = std::fs::read_to_string(&self.rules).map_err(|e| at(e.to_string()))?;
        Rules::parse(&text).map_err(|e| at(e.to_string()))
    }

    fn openai(&self) -> OpenAiSettings {
        let keys = &self.openai;
        OpenAiSettings {
            url: keys.url.clone(),
            model: keys.model.clone(),
            key: std::env::var(&keys.key_variable).ok(),
            system: keys.system.clone(),
            history: keys.history,
            time_limit: Duration::from_secs(self.time_limit_s),
            max_parallel: keys.max_parallel,
        }
    }
}

/// The words that `bot.kind` may have.
fn words(own: &[(&'static str, BotMaker)]) -> String {
    let mut words = KINDS.to_vec();
    words.extend(own.iter().map(|(name, _)| *name));
    let last = words.pop().unwrap_or_default();
    format!("{} or {last}", words.join(", "))
}

/// The key that sets what `error` is about.
fn key_of(error: &SettingsError) -> &'static str {
    match error {
        SettingsError::Url { .. } | SettingsError::Tls { .. } => "bot.openai.url",
        SettingsError::Model => "bot.openai.model",
        SettingsError::Key => "bot.openai.key_variable",
        SettingsError::TimeLimit => "bot.time_limit_s",
        SettingsError::MaxParallel { .. } => "bot.openai.max_parallel",
    }
}

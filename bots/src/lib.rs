//! Chatbots: what is asked goes in, what is answered comes out.
//!
//! | bot | answers |
//! |---|---|
//! | [`Echo`] | what was said |
//! | [`HouseBot`] | what is on, who is here and the like; beside that it chats after [`Rules`] |
//! | [`OpenAi`] | what a language model behind an OpenAI-compatible endpoint says |
//!
//! A [`Bot`] is one conversation's side, lives on one thread, and is asked one thing at a time. Whoever
//! asks sets a time limit by dropping the future. What a bot may know of the house comes through
//! [`Facts`]. What conversations share ([`Rules`], [`OpenAiService`]) is made once and may cross threads.
//!
//! No actors and no configuration files live here, and no sockets but those of [`OpenAi`].

mod echo;
mod error;
mod house_bot;
mod openai;
mod text;

use std::future::Future;
use std::pin::Pin;

pub use echo::Echo;
pub use error::BotError;
pub use house_bot::{HouseBot, Problem, Rules, RulesError};
pub use openai::{OpenAi, OpenAiService, OpenAiSettings, SettingsError};

/// One conversation's side of a bot.
pub trait Bot {
    /// Answers what its person said. Doesn't block the thread. The future may be dropped at any await; the
    /// bot is then asked the next question all the same.
    fn answer<'a>(&'a mut self, said: &'a str) -> Reply<'a>;
}

/// An answer on its way: UTF-8 text that isn't empty unless the bot is [`Echo`], or why there is none.
pub type Reply<'a> = Pin<Box<dyn Future<Output = Result<String, BotError>> + 'a>>;

/// What a bot may know of the house.
pub trait Facts {
    /// What there is of `topic` now. The future may be dropped.
    fn look<'a>(&'a self, topic: Topic) -> Pin<Box<dyn Future<Output = Listing> + 'a>>;
}

/// What there are lists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Videos that can be watched at any time.
    Videos,
    /// What is live now.
    Live,
    /// Who is here.
    People,
    /// Files that can be fetched.
    Files,
}

/// A list of names, or its beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The first ones.
    pub names: Vec<String>,
    /// How many there are, those in `names` included.
    pub total: usize,
}

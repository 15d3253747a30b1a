//! A bot of your own: text in, text out, one thing at a time, on a thread that all bots share.
//!
//! A [`Bot`] is one conversation's side. It must not block, and its future may be dropped at any await, since
//! `bot.time_limit_s` says how long an answer may take; a panic costs one answer. What it is given when it
//! is made tells what there is in the house:
//!
//! ```
//! use playhouse::Playhouse;
//! use playhouse::bot::{Bot, Facts, HouseFacts, Reply, Topic};
//!
//! /// Knows who is here, and nothing else.
//! struct Porter(HouseFacts);
//!
//! impl Bot for Porter {
//!     fn answer<'a>(&'a mut self, _: &'a str) -> Reply<'a> {
//!         Box::pin(async { Ok(format!("{} are here", self.0.look(Topic::People).await.total)) })
//!     }
//! }
//!
//! Playhouse::builder().bot("porter", |facts| Box::new(Porter(facts.clone())));
//! ```

pub use playhouse_actors::HouseFacts;
pub use playhouse_bots::{Bot, BotError, Facts, Listing, Reply, Topic};

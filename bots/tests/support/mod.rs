//! What several test files need.

// Not every file needs everything.
#![allow(dead_code)]

pub mod http;
pub mod model;

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use playhouse_bots::{Bot, Facts, HouseBot, Listing, Rules, Topic};

pub const DEFAULT_RULES: &str = include_str!("../../../config/house_bot.toml");

/// A house with as many of everything.
pub struct House(pub usize);

impl Facts for House {
    fn look<'a>(&'a self, topic: Topic) -> Pin<Box<dyn Future<Output = Listing> + 'a>> {
        let kind = match topic {
            Topic::Videos => "video",
            Topic::Live => "stream",
            Topic::People => "guest",
            Topic::Files => "file",
        };
        let names = (1..=self.0.min(500))
            .map(|i| format!("{kind}{i}"))
            .collect();
        let listing = Listing {
            names,
            total: self.0,
        };
        Box::pin(async {
            // As where an actor has to be asked.
            tokio::task::yield_now().await;
            listing
        })
    }
}

/// The default bot in a house with so many of everything.
pub fn house_bot(count: usize) -> HouseBot {
    bot_with(DEFAULT_RULES, count)
}

pub fn bot_with(rules: &str, count: usize) -> HouseBot {
    let rules = Rules::parse(rules).unwrap();
    HouseBot::new(Arc::new(rules), Rc::new(House(count)))
}

/// What a bot that can't fail answers.
pub async fn answer(bot: &mut dyn Bot, said: &str) -> String {
    bot.answer(said).await.unwrap()
}

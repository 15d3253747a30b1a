//! The bot of the house: answers questions about it with facts, and chats about everything else.
//!
//! What is said becomes clauses of words. If one of them, without what is ignored and what questions begin
//! with, looks like a phrase of a topic, the topic's sentence is the answer, with what [`Facts`] tell now.
//! Otherwise it is a conversation in the manner of ELIZA: the keyword that is highest in rank has cases,
//! each with a pattern; the first that fits gives the next of its sentences, with what stands in the
//! pattern's holes turned round ("my" is "your"). Some cases leave a sentence in the memory, for a time when
//! no keyword comes.

mod compile;
mod file;
mod listing;
mod local_time;
mod pattern;
mod problem;
#[cfg(test)]
mod reach;
mod reflect;
mod rules;
mod template;
mod words;

use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Zoned;
pub use problem::{Problem, RulesError};
pub use rules::Rules;

use crate::text::shorten;
use crate::{Bot, Facts, Reply};
use rules::{About, TopicRule};
use template::Turns;
use words::Word;

/// Sentences that wait to be said.
const MEMORIES: usize = 8;
/// Bytes of an answer. Sentences and quotes are much shorter; this is for all of them together.
const ANSWER_BYTES: usize = 6000;

/// One conversation with the house.
pub struct HouseBot {
    rules: Arc<Rules>,
    facts: Rc<dyn Facts>,
    turns: Turns,
    /// The oldest first.
    memories: VecDeque<String>,
}

impl HouseBot {
    /// A conversation that begins.
    pub fn new(rules: Arc<Rules>, facts: Rc<dyn Facts>) -> HouseBot {
        HouseBot {
            rules,
            facts,
            turns: Turns::default(),
            memories: VecDeque::new(),
        }
    }

    async fn respond(&mut self, said: &str) -> String {
        let rules = Arc::clone(&self.rules);
        let clauses = rules.clauses(said);
        let topics = rules.topics_in(&clauses);
        let answer = if topics.is_empty() {
            self.chat(&rules, &clauses)
        } else {
            let mut sentences = Vec::new();
            for topic in topics {
                sentences.push(self.tell(&rules, topic).await);
            }
            sentences.join(" ")
        };
        shorten(&answer, ANSWER_BYTES).into_owned()
    }

    async fn tell(&mut self, rules: &Rules, topic: &TopicRule) -> String {
        match &topic.about {
            About::Help(answers) => self.turns.next(answers, &[]),
            About::Time(answers) => (self.turns).next(answers, &local_time::values(&Zoned::now())),
            About::List {
                topic,
                none,
                one,
                some,
            } => {
                let listing = self.facts.look(*topic).await;
                let answers = match (listing::total(&listing), one) {
                    (0, _) => none,
                    (1, Some(one)) => one,
                    _ => some,
                };
                (self.turns).next(answers, &listing::values(&listing, &rules.more))
            }
        }
    }

    fn chat(&mut self, rules: &Rules, clauses: &[Vec<Word>]) -> String {
        if clauses.is_empty() {
            return self.turns.next(&rules.silence, &[]);
        }
        let Some(choice) = rules.choose(clauses) else {
            return (self.memories.pop_front())
                .unwrap_or_else(|| self.turns.next(&rules.default, &[]));
        };
        if let Some(remember) = &choice.chosen.remember {
            let memory = self.turns.next(remember, &choice.quotes);
            self.memories.push_back(memory);
            if self.memories.len() > MEMORIES {
                self.memories.pop_front();
            }
        }
        self.turns.next(&choice.chosen.answers, &choice.quotes)
    }
}

impl fmt::Debug for HouseBot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HouseBot")
            .field("memories", &self.memories)
            .finish_non_exhaustive()
    }
}

impl Bot for HouseBot {
    fn answer<'a>(&'a mut self, said: &'a str) -> Reply<'a> {
        Box::pin(async { Ok(self.respond(said).await) })
    }
}

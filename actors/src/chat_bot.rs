//! One conversation with a bot. The bots have a core's thread to themselves, so that none of them can
//! hold up anything else; one that takes too long or panics fails this conversation's question, and the
//! next question is answered again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_rt::ArbiterHandle;
use playhouse_bots::{Bot, BotError, Echo};

use crate::house_facts::HouseFacts;
use crate::messages::{Observation, Observe};
use crate::watch::{self, caught, caught_now};

/// Questions longer than this are cut: no bot has use for more.
pub const MAX_QUESTION: usize = 16 * 1024;
/// A bot that holds up its thread is not waited for much longer than one that only takes long.
const GRACE: Duration = Duration::from_secs(1);

/// Makes the bot of a new conversation, which may ask about the house.
#[derive(Clone)]
pub struct BotMaker(Arc<MakeBot>);

type MakeBot = dyn Fn(&HouseFacts) -> Box<dyn Bot> + Send + Sync;

impl BotMaker {
    pub fn new(make: impl Fn(&HouseFacts) -> Box<dyn Bot> + Send + Sync + 'static) -> BotMaker {
        BotMaker(Arc::new(make))
    }
}

impl Default for BotMaker {
    /// Makes bots that say what was said to them.
    fn default() -> BotMaker {
        BotMaker::new(|_| Box::new(Echo))
    }
}

impl fmt::Debug for BotMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BotMaker")
    }
}

/// Why there is no answer. What it displays may be told to a stranger.
#[derive(Debug)]
pub enum NoAnswer {
    Bot(BotError),
    TimeLimit(Duration),
    /// The bot panicked, or its thread is away.
    Broken(String),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoAnswer::Bot(error) => write!(f, "{error}"),
            NoAnswer::TimeLimit(limit) => write!(f, "no answer within {} s", limit.as_secs()),
            NoAnswer::Broken(_) => f.write_str("internal error"),
        }
    }
}

impl NoAnswer {
    /// All that is known of it, for the log.
    pub fn detail(&self) -> String {
        match self {
            NoAnswer::Bot(error) => error.detail(),
            NoAnswer::TimeLimit(_) => self.to_string(),
            NoAnswer::Broken(how) => format!("{self}: {how}"),
        }
    }
}

/// A question, or whatever else is said.
#[derive(Message)]
#[rtype(result = "Result<String, NoAnswer>")]
struct Ask(String);

/// The bots of the house: where they run, and how they are made.
#[derive(Clone)]
pub struct Bots {
    pub arbiter: ArbiterHandle,
    pub maker: BotMaker,
    pub facts: HouseFacts,
    pub time_limit: Duration,
}

/// A conversation's way to its bot, which is made for the first question.
pub struct Chat {
    bots: Bots,
    bot: Option<Addr<ChatBot>>,
}

impl Chat {
    pub fn new(bots: Bots) -> Chat {
        Chat { bots, bot: None }
    }

    /// The answer to `said`.
    pub fn ask(&mut self, said: &[u8]) -> impl Future<Output = Result<String, NoAnswer>> + use<> {
        let bot = match &self.bot {
            Some(bot) if bot.connected() => bot.clone(),
            _ => self.bot.insert(ChatBot::start_for(&self.bots)).clone(),
        };
        let said = said.get(..MAX_QUESTION).unwrap_or(said);
        let question = Ask(String::from_utf8_lossy(said).into_owned());
        let limit = self.bots.time_limit;
        async move {
            match bot.send(question).timeout(limit + GRACE).await {
                Ok(answer) => answer,
                Err(MailboxError::Timeout) => Err(NoAnswer::TimeLimit(limit)),
                Err(e) => Err(NoAnswer::Broken(e.to_string())),
            }
        }
    }
}

/// One conversation.
pub struct ChatBot {
    bots: Bots,
    /// `None` before the first question and after a panic.
    bot: Option<Box<dyn Bot>>,
    asked: u64,
}

impl ChatBot {
    fn start_for(bots: &Bots) -> Addr<ChatBot> {
        let own = bots.clone();
        let make = move |_: &mut _| ChatBot {
            bots: own,
            bot: None,
            asked: 0,
        };
        watch::start_alone(&bots.arbiter, "a chat bot", make)
    }
}

impl Actor for ChatBot {
    type Context = Context<Self>;
}

impl Handler<Ask> for ChatBot {
    type Result = AtomicResponse<Self, Result<String, NoAnswer>>;

    fn handle(&mut self, Ask(said): Ask, _: &mut Context<Self>) -> Self::Result {
        self.asked += 1;
        let (bot, bots) = (self.bot.take(), self.bots.clone());
        let limit = bots.time_limit;
        let answering = async move {
            let mut bot = match bot {
                Some(bot) => bot,
                None => match caught_now(|| (bots.maker.0)(&bots.facts)) {
                    Ok(bot) => bot,
                    Err(panic) => return (None, Err(NoAnswer::Broken(panic))),
                },
            };
            let answer = tokio::time::timeout(limit, caught(async { bot.answer(&said).await }));
            match answer.await {
                Ok(Ok(answer)) => (Some(bot), answer.map_err(NoAnswer::Bot)),
                Ok(Err(panic)) => (None, Err(NoAnswer::Broken(panic))),
                Err(_) => (Some(bot), Err(NoAnswer::TimeLimit(limit))),
            }
        };
        let answering = answering.into_actor(self).map(|(bot, answer), this, _| {
            this.bot = bot;
            answer
        });
        AtomicResponse::new(Box::pin(answering))
    }
}

impl Handler<Observe> for ChatBot {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::ChatBot { asked: self.asked }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use actix_rt::Arbiter;
    use playhouse_bots::Reply;

    use super::*;
    use crate::studio::Studio;
    use crate::watch::Post;

    /// Counts what it is asked, and does what it is told.
    #[derive(Default)]
    struct Moody(u32);

    impl Bot for Moody {
        fn answer<'a>(&'a mut self, said: &'a str) -> Reply<'a> {
            self.0 += 1;
            Box::pin(async move {
                match said {
                    "hang" => pending().await,
                    "panic" => panic!("told to"),
                    "fail" => Err(BotError::TooLarge { limit: 1 }),
                    _ => Ok(self.0.to_string()),
                }
            })
        }
    }

    fn chat(arbiter: ArbiterHandle, maker: BotMaker) -> Chat {
        Chat::new(Bots {
            arbiter,
            maker,
            facts: HouseFacts {
                lobby: Post::default(),
                library: Post::default(),
                files: Post::default(),
                studio: Arc::new(Studio::new(Duration::ZERO, 1, None)),
            },
            time_limit: Duration::from_millis(50),
        })
    }

    #[actix::test]
    async fn a_bot_that_hangs_or_fails_costs_one_answer() {
        let moody = BotMaker::new(|_| Box::new(Moody::default()));
        let mut chat = chat(Arbiter::current(), moody);
        assert_eq!(chat.ask(b"one").await.unwrap(), "1");
        let error = chat.ask(b"hang").await.unwrap_err();
        assert!(matches!(error, NoAnswer::TimeLimit(_)), "{error:?}");
        assert_eq!(chat.ask(b"three").await.unwrap(), "3", "it is the same bot");
        let error = chat.ask(b"fail").await.unwrap_err();
        assert!(matches!(error, NoAnswer::Bot(_)), "{error:?}");
        let error = chat.ask(b"panic").await.unwrap_err();
        assert_eq!(error.to_string(), "internal error");
        assert!(error.detail().contains("told to"));
        assert_eq!(chat.ask(b"anew").await.unwrap(), "1", "a new bot");
    }

    #[actix::test]
    async fn a_bot_that_can_not_be_made_costs_the_answer() {
        let mut chat = chat(Arbiter::current(), BotMaker::new(|_| panic!("no bot")));
        for _ in 0..2 {
            let error = chat.ask(b"hello").await.unwrap_err();
            assert!(error.detail().contains("no bot"), "{error:?}");
        }
    }

    #[actix::test]
    async fn a_bot_that_holds_up_its_thread_is_not_waited_for() {
        /// Blocks, against the rules, until the test is over.
        struct Blocker(crossbeam_channel::Receiver<()>);
        impl Bot for Blocker {
            fn answer<'a>(&'a mut self, _: &'a str) -> Reply<'a> {
                let _ = self.0.recv();
                Box::pin(async { Ok(String::new()) })
            }
        }
        let (release, gate) = crossbeam_channel::bounded(0);
        let bots = Arbiter::new();
        let maker = BotMaker::new(move |_| Box::new(Blocker(gate.clone())));
        let error = chat(bots.handle(), maker).ask(b"hello").await.unwrap_err();
        assert!(matches!(error, NoAnswer::TimeLimit(_)), "{error:?}");
        drop(release);
    }

    #[actix::test]
    async fn long_questions_are_cut_and_odd_ones_mended() {
        let mut chat = chat(Arbiter::current(), BotMaker::default());
        let long = vec![b'a'; MAX_QUESTION + 1];
        assert_eq!(chat.ask(&long).await.unwrap().len(), MAX_QUESTION);
        assert_eq!(chat.ask(b"a\xffb").await.unwrap(), "a\u{fffd}b");
    }
}

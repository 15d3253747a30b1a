//! The bot as a person in the room: whoever addresses it has a conversation of their own with it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_protocols::packetchat::Kind;

use crate::chat_bot::{Bots, Chat, NoAnswer};
use crate::file_store::draw;
use crate::inbox::{Fate, Sender};
use crate::lobby::{Lobby, Speak, To};
use crate::messages::{Observation, Observe, Person, Service};
use crate::stand_in::StandIns;
use crate::watch::Post;
use crate::words::{BOT, lines};

/// Conversations that go on; of more, the one that rests longest is forgotten.
const CONVERSATIONS: usize = 256;
/// Questions of one person that wait while another one is answered, …
const WAITING_OF_ONE: usize = 8;
/// … and of all.
const WAITING: usize = 256;

/// The bot is asked something.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Asked {
    pub by: Arc<Person>,
    pub question: String,
    /// Whether all hear the answer.
    pub is_public: bool,
    /// Who wants to know whether it is heard.
    pub sender: Option<Sender>,
}

struct Conversation {
    chat: Chat,
    waiting: VecDeque<Asked>,
    is_thinking: bool,
    last: u64,
}

/// Who answers for the bot.
pub struct HouseBot {
    bots: Bots,
    lobby: Post<Lobby>,
    bot: u64,
    conversations: HashMap<u64, Conversation>,
    clock: u64,
    waiting: usize,
    asked: u64,
    turned_away: u64,
}

/// The bot, as lists show it.
pub fn person(stand_ins: &StandIns) -> Arc<Person> {
    let exponent = stand_ins.exponent();
    Arc::new(Person {
        id: draw(Kind::User),
        name: BOT.into(),
        service: Service::House,
        entry: Box::default(),
        block: 0,
        reads: true,
        private: false,
        shown: BOT.into(),
        exponent,
        stand_ins: stand_ins.entries(Service::House, BOT, exponent),
    })
}

impl HouseBot {
    /// Answers for the person of number `bot`.
    pub fn new(bots: Bots, lobby: Post<Lobby>, bot: u64) -> HouseBot {
        HouseBot {
            bots,
            lobby,
            bot,
            conversations: HashMap::new(),
            clock: 0,
            waiting: 0,
            asked: 0,
            turned_away: 0,
        }
    }

    /// Makes room for one more conversation, if one of them rests.
    fn make_room(&mut self) -> bool {
        if self.conversations.len() < CONVERSATIONS {
            return true;
        }
        let rests = self
            .conversations
            .iter()
            .filter(|(_, one)| !one.is_thinking);
        let longest = rests.min_by_key(|(_, one)| one.last).map(|(id, _)| *id);
        longest.is_some_and(|id| self.conversations.remove(&id).is_some())
    }

    /// Takes a question, unless too many wait. Who wants to know hears which.
    fn take(&mut self, asked: Asked) -> Option<u64> {
        let by = asked.by.id;
        if self.waiting >= WAITING || !(self.conversations.contains_key(&by) || self.make_room()) {
            return None;
        }
        let bots = &self.bots;
        let conversation = self
            .conversations
            .entry(by)
            .or_insert_with(|| Conversation {
                chat: Chat::new(bots.clone()),
                waiting: VecDeque::new(),
                is_thinking: false,
                last: 0,
            });
        if conversation.waiting.len() >= WAITING_OF_ONE {
            return None;
        }
        if let Some(sender) = &asked.sender {
            sender.tell(Fate::Arrived);
        }
        self.clock += 1;
        conversation.last = self.clock;
        conversation.waiting.push_back(asked);
        self.waiting += 1;
        Some(by)
    }

    fn think(&mut self, about: u64, ctx: &mut Context<Self>) {
        let Some(conversation) = self.conversations.get_mut(&about) else {
            return;
        };
        if conversation.is_thinking {
            return;
        }
        let Some(asked) = conversation.waiting.pop_front() else {
            return;
        };
        self.waiting -= 1;
        self.asked += 1;
        conversation.is_thinking = true;
        conversation
            .chat
            .ask(asked.question.as_bytes())
            .into_actor(self)
            .map(move |answer, this, ctx| {
                if let Some(conversation) = this.conversations.get_mut(&about) {
                    conversation.is_thinking = false;
                }
                this.answer(&asked, answer);
                this.think(about, ctx);
            })
            .spawn(ctx);
    }

    fn answer(&self, asked: &Asked, answer: Result<String, NoAnswer>) {
        let user = &asked.by.name;
        let text = answer.unwrap_or_else(|error| {
            match error {
                NoAnswer::Broken(_) => {
                    tracing::error!(%user, error = error.detail(), "the bot is broken");
                }
                _ => tracing::warn!(%user, error = error.detail(), "the bot has no answer"),
            }
            format!("I have no answer: {error}")
        });
        let to = To {
            person: asked.by.id,
            number: draw(Kind::Message),
            sender: None,
        };
        self.lobby.do_send(Speak {
            from: self.bot,
            texts: lines(&Bytes::from(text)).into(),
            to: (!asked.is_public).then_some(to),
            receipt: None,
        });
    }
}

impl Actor for HouseBot {
    type Context = Context<Self>;
}

impl Handler<Asked> for HouseBot {
    type Result = ();

    fn handle(&mut self, asked: Asked, ctx: &mut Context<Self>) {
        let sender = asked.sender.clone();
        match self.take(asked) {
            Some(by) => self.think(by, ctx),
            None => {
                self.turned_away += 1;
                if let Some(sender) = sender {
                    sender.tell(Fate::GivenUp);
                }
            }
        }
    }
}

impl Handler<Observe> for HouseBot {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::HouseBot {
            conversations: self.conversations.len(),
            waiting: self.waiting,
            asked: self.asked,
            turned_away: self.turned_away,
        }
    }
}

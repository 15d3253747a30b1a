//! One for each service whose people have keys, on a thread of its own, because RSA takes its time: makes
//! plain words of other services into blocks for its people, and reads what they encrypt for stand-ins.
//!
//! A block does not say whom it is for, so keys are tried: first those that are likely, at once; all
//! others when nothing else waits, a few at a time. What one sender says stays in order.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_protocols::packetchat::Kind;
use playhouse_protocols::wire::entry_key;
use rsa::{RsaPrivateKey, RsaPublicKey};

use crate::bridge::Bridge;
use crate::file_store::draw;
use crate::floor::{Floor, Hand, Handed};
use crate::inbox::{Fate, Sender};
use crate::lobby::{Lobby, Speak, To};
use crate::messages::{Heard, Person, Receipt, Service};
use crate::slots::Slot;
use crate::stand_in::Modulus;
use crate::watch::Post;

/// Keys that are tried at once: a few milliseconds each.
const AT_ONCE: usize = 6;
/// People whom one sender wrote to last, who are tried first.
const RECENT: usize = 4;
/// Keys and senders that are remembered; then they are found anew.
const REMEMBERED: usize = 4096;

/// Somebody who is to get words.
#[derive(Clone)]
pub struct Reader {
    pub person: Arc<Person>,
    /// Number of the core.
    pub floor: usize,
}

/// Plain words for people who have keys.
pub struct Job {
    pub from: Arc<Person>,
    pub texts: Arc<[Bytes]>,
    pub to: Arc<[Reader]>,
    /// They are for the one reader alone, and this one wants to know what becomes of them.
    pub sender: Option<Sender>,
    pub receipt: Option<Receipt>,
}

/// Make blocks of these.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Encipher {
    pub job: Job,
    pub(crate) _place: Slot,
}

/// A block that may be for somebody of another service.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Decipher {
    /// Number of the person who sent it, …
    pub from: u64,
    /// … its name, …
    pub name: Arc<str>,
    /// … and where that one sits.
    pub floor: Post<Floor>,
    pub block: Vec<u8>,
    /// The name of whom it is for, if the sender says so.
    pub hint: Option<String>,
    pub places: Option<(Slot, Slot)>,
}

/// A block for which all keys are tried.
struct Riddle {
    decipher: Decipher,
    /// Those that did not fit.
    tried: Vec<u64>,
}

/// The actor of one service.
pub struct Interpreter {
    service: Service,
    bridge: Arc<Bridge>,
    lobby: Post<Lobby>,
    floors: Vec<Post<Floor>>,
    public: HashMap<u64, Option<RsaPublicKey>>,
    private: HashMap<u64, Option<RsaPrivateKey>>,
    /// Whom each sender wrote to last, newest first.
    recent: HashMap<u64, Vec<u64>>,
    riddles: VecDeque<Riddle>,
    is_at_riddles: bool,
}

impl Interpreter {
    pub fn new(
        service: Service,
        bridge: Arc<Bridge>,
        lobby: Post<Lobby>,
        floors: Vec<Post<Floor>>,
    ) -> Interpreter {
        Interpreter {
            service,
            bridge,
            lobby,
            floors,
            public: HashMap::new(),
            private: HashMap::new(),
            recent: HashMap::new(),
            riddles: VecDeque::new(),
            is_at_riddles: false,
        }
    }

    fn encipher(&mut self, job: Job) {
        let bridge = self.bridge.clone();
        let Some((office, modulus)) = bridge.office(self.service) else {
            return;
        };
        let texts: Vec<_> = job
            .texts
            .iter()
            .map(|text| String::from_utf8_lossy(text))
            .collect();
        for reader in job.to.iter() {
            let heard = self.for_one(&reader.person, &job.from, &texts, modulus);
            let floor = self.floors.get(reader.floor);
            match (heard, floor) {
                (Some(heard), Some(floor)) => {
                    count(&office.encrypted, heard.len());
                    floor.do_send(Hand {
                        service: self.service,
                        person: reader.person.id,
                        heard,
                        sender: job.sender.clone(),
                        receipt: job.receipt.clone(),
                    });
                }
                _ => {
                    if let Some(sender) = &job.sender {
                        sender.tell(Fate::Nobody);
                    }
                }
            }
        }
        if let Some(receipt) = job.receipt {
            for floor in &self.floors {
                floor.do_send(Handed {
                    service: self.service,
                    receipt: receipt.clone(),
                });
            }
        }
    }

    /// `texts` for one person's key; `None` if it can't be used.
    fn for_one(
        &mut self,
        person: &Person,
        from: &Person,
        texts: &[Cow<'_, str>],
        modulus: &Modulus,
    ) -> Option<Vec<Heard>> {
        if self.public.len() >= REMEMBERED {
            self.public.clear();
        }
        let parse = || (modulus.secrecy.parse)(&entry_key(&person.entry)?);
        let key = self
            .public
            .entry(person.id)
            .or_insert_with(parse)
            .as_ref()?;
        let opening = (modulus.secrecy.opening)(&from.shown);
        let mut heard = Vec::new();
        for text in texts {
            let blocks = modulus.secrecy.padding.blocks(key, &opening, text)?;
            let wire = |block: &Vec<u8>| Heard::Said((modulus.secrecy.wire)(&from.shown, block));
            heard.extend(blocks.iter().map(wire));
        }
        Some(heard)
    }

    /// Tries keys of people who are not in `tried`, likely ones first, `most` at most. Whether it is done with
    /// the block, because it was read or because no key is left.
    fn tries(&mut self, decipher: &Decipher, tried: &mut Vec<u64>, most: usize) -> bool {
        let bridge = self.bridge.clone();
        let Some((office, modulus)) = bridge.office(self.service) else {
            return true;
        };
        let mut people = modulus.candidates();
        people.retain(|person| !tried.contains(&person.id));
        let recent = self.recent.get(&decipher.from);
        let rank = |person: &Arc<Person>| {
            if decipher.hint.as_deref() == Some(&*person.shown) {
                return 0;
            }
            let at = recent.and_then(|recent| recent.iter().position(|id| *id == person.id));
            at.map_or(RECENT + 1, |at| at + 1)
        };
        people.sort_by_key(rank);
        let is_last = people.len() <= most;
        for person in people.into_iter().take(most) {
            if let Some(text) = self.read(&person, &decipher.block, modulus) {
                count(&office.read, 1);
                // Clients say whose words they are where the protocol does not; the house says so itself.
                let opening = (modulus.secrecy.opening)(&decipher.name);
                let text = text.strip_prefix(&*opening).unwrap_or(&text).to_owned();
                self.deliver(&person, text, decipher);
                return true;
            }
            tried.push(person.id);
        }
        if is_last {
            count(&office.unread, 1);
        }
        is_last
    }

    fn read(&mut self, person: &Person, block: &[u8], modulus: &Modulus) -> Option<String> {
        if self.private.len() >= REMEMBERED {
            self.private.clear();
        }
        let key = || modulus.private(person.exponent);
        let key = self.private.entry(person.id).or_insert_with(key).as_ref()?;
        modulus.secrecy.padding.decrypt(key, block)
    }

    fn deliver(&mut self, person: &Person, text: String, decipher: &Decipher) {
        if self.recent.len() >= REMEMBERED {
            self.recent.clear();
        }
        let recent = self.recent.entry(decipher.from).or_default();
        recent.retain(|id| *id != person.id);
        recent.insert(0, person.id);
        recent.truncate(RECENT);
        if person.reads {
            return self.lobby.do_send(Speak {
                from: decipher.from,
                texts: Arc::new([text.into()]),
                to: Some(To {
                    person: person.id,
                    number: draw(Kind::Message),
                    sender: None,
                }),
                receipt: None,
            });
        }
        let why = format!("{} has no way to show text", person.shown);
        decipher.floor.do_send(Hand {
            service: self.service,
            person: decipher.from,
            heard: vec![Heard::Refused(why.into())],
            sender: None,
            receipt: None,
        });
    }

    /// Tries a few more keys; comes again while there are others, after what has come meanwhile.
    fn puzzle(&mut self, ctx: &mut Context<Self>) {
        if let Some(mut riddle) = self.riddles.pop_front()
            && !self.tries(&riddle.decipher, &mut riddle.tried, AT_ONCE)
        {
            // Those of the same sender stay behind it.
            self.riddles.push_front(riddle);
        }
        self.is_at_riddles = !self.riddles.is_empty();
        if self.is_at_riddles {
            ctx.run_later(Duration::ZERO, |this, ctx| this.puzzle(ctx));
        }
    }
}

fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

impl Actor for Interpreter {
    type Context = Context<Self>;
}

impl Handler<Encipher> for Interpreter {
    type Result = ();

    fn handle(&mut self, Encipher { job, .. }: Encipher, _: &mut Context<Self>) {
        self.encipher(job);
    }
}

impl Handler<Decipher> for Interpreter {
    type Result = ();

    fn handle(&mut self, decipher: Decipher, ctx: &mut Context<Self>) {
        let waits = |riddle: &Riddle| riddle.decipher.from == decipher.from;
        let mut tried = Vec::new();
        if !self.riddles.iter().any(waits) && self.tries(&decipher, &mut tried, AT_ONCE) {
            return;
        }
        self.riddles.push_back(Riddle { decipher, tried });
        if !self.is_at_riddles {
            self.is_at_riddles = true;
            ctx.run_later(Duration::ZERO, |this, ctx| this.puzzle(ctx));
        }
    }
}

//! One service's people, as the lobby has them, and the lists that show them.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_protocols::wire;
use tokio::time::Instant;

use crate::interpreter::Reader;
use crate::language::{Language, ListChange, Secrecy};
use crate::messages::{Heard, Person};
use crate::stand_in::Modulus;
use crate::strangers::Strangers;

/// Up to so many people, lists are short enough for everyone who comes or goes to have their own.
const SMALL_PARTY: usize = 8;
/// Messages to people who left may come for so long.
const UNDERWAY: Duration = Duration::from_secs(5);
/// People in a row who do not fit into a list: then it is full.
const MISFITS: usize = 8;

/// Somebody, and where to reach them.
pub struct Present {
    pub person: Arc<Person>,
    pub floor: usize,
    pub seat: Recipient<Heard>,
}

/// Who came and who went since the last list.
#[derive(Default)]
pub struct News {
    /// Names, as this service shows them.
    pub joined: Vec<Arc<str>>,
    pub left: Vec<Arc<str>>,
    pub came: Vec<Arc<Person>>,
    pub went: Vec<Arc<Person>>,
}

/// People of other services, as far as lists of this one show them.
pub struct Neighbours<'a> {
    pub bot: &'a Arc<Person>,
    /// What their keys share.
    pub modulus: &'a Modulus,
}

/// One service's people.
pub struct Room {
    pub language: Language,
    pub people: BTreeMap<u64, Present>,
    pub news: News,
    /// Some of this came from people of this service.
    pub is_own_news: bool,
    /// Those who have no list yet.
    pub newcomers: Vec<u64>,
    /// No list goes out before.
    pub next: Instant,
    /// The time that the last list takes out of the budget.
    pub cost: Duration,
    pub scheduled: bool,
    /// People of other services, in the order in which lists have room for them.
    pub strangers: Strangers,
    /// Those of them whom the last list has.
    shown: HashSet<u64>,
    /// Not even one of them fits.
    is_full: bool,
    last: Arc<[Bytes]>,
    /// The people, as long as they are the same.
    readers: Option<Arc<[Reader]>>,
    /// Lengths of the blocks of people who left: a message to them may be on its way.
    departed: VecDeque<(Instant, usize)>,
}

impl Room {
    pub fn new(language: Language) -> Room {
        Room {
            language,
            people: BTreeMap::new(),
            news: News::default(),
            is_own_news: false,
            newcomers: Vec::new(),
            next: Instant::now(),
            cost: Duration::ZERO,
            scheduled: false,
            strangers: Strangers::default(),
            shown: HashSet::new(),
            is_full: false,
            last: Arc::default(),
            readers: None,
            departed: VecDeque::new(),
        }
    }

    pub fn insert(&mut self, present: Present) {
        self.readers = None;
        self.people.insert(present.person.id, present);
    }

    pub fn remove(&mut self, person: u64) -> Option<Present> {
        let gone = self.people.remove(&person)?;
        self.readers = None;
        if self.language.people.is_some() {
            self.departed.push_back((Instant::now(), gone.person.block));
        }
        Some(gone)
    }

    /// Everyone, for an interpreter.
    pub fn readers(&mut self) -> Arc<[Reader]> {
        let people = &self.people;
        let readers = || people.values().map(Present::reader).collect();
        self.readers.get_or_insert_with(readers).clone()
    }

    /// `person` of another service speaks to these people. Whether they need another list, to be able to
    /// answer.
    pub fn hears_of(&mut self, person: &Arc<Person>, is_bot: bool) -> bool {
        if !is_bot {
            self.strangers.touch(person);
        }
        if self.is_full || self.shown.contains(&person.id) {
            return false;
        }
        // Who is not in the list is as good as somebody who comes.
        let is_bare = |secrecy: &Secrecy| secrecy.has_bare_lists;
        if !self.language.secrecy.is_some_and(is_bare) && !self.news.joined.contains(&person.shown)
        {
            self.news.joined.push(person.shown.clone());
        }
        true
    }

    /// Whether each name gets a list of its own.
    fn is_small(&self) -> bool {
        self.people.len() + self.strangers.len() <= SMALL_PARTY
    }

    /// The list that is due, if it says anything new.
    pub fn due(&mut self, neighbours: Option<Neighbours<'_>>) -> Option<Heard> {
        let news = std::mem::take(&mut self.news);
        let is_own = std::mem::take(&mut self.is_own_news);
        // This list greets them.
        self.newcomers.clear();
        let (heard, wire) = self.list(&news, self.is_small(), neighbours);
        let is_new = is_own || wire != self.last;
        self.last = wire;
        is_new.then_some(heard)
    }

    /// A list for those alone who have waited for one, and who they are.
    pub fn greeting(&mut self, neighbours: Option<Neighbours<'_>>) -> Option<(Vec<u64>, Heard)> {
        let mut newcomers = std::mem::take(&mut self.newcomers);
        newcomers.retain(|id| self.people.contains_key(id));
        let here = newcomers.iter().filter_map(|id| self.people.get(id));
        let came: Vec<_> = here.map(|present| present.person.clone()).collect();
        if came.is_empty() {
            return None;
        }
        let news = News {
            joined: came.iter().map(|person| person.name.clone()).collect(),
            came,
            ..News::default()
        };
        Some((newcomers, self.list(&news, false, neighbours).0))
    }

    /// The list of people as it is now, in this service's words.
    fn list(
        &mut self,
        news: &News,
        one_by_one: bool,
        neighbours: Option<Neighbours<'_>>,
    ) -> (Heard, Arc<[Bytes]>) {
        self.departed
            .retain(|(since, _)| since.elapsed() < UNDERWAY);
        let own = self.people.values().map(|present| &*present.person.entry);
        let mut object = wire::people_object(own);
        let departed = self.departed.iter().map(|(_, block)| *block);
        let people = self.people.values().map(|present| present.person.block);
        let mut blocks: Vec<usize> = people.chain(departed).collect();
        if let (Some(neighbours), Some(secrecy)) = (neighbours, self.language.secrecy) {
            blocks.push(neighbours.modulus.block());
            self.add_strangers(&mut object, news, secrecy, &neighbours);
        }
        blocks.sort_unstable();
        blocks.dedup();
        let change = ListChange {
            people: &object,
            joined: &news.joined,
            left: &news.left,
            one_by_one,
            came: &news.came,
            went: &news.went,
        };
        let wire: Arc<[Bytes]> = match self.language.people {
            Some(encode) => encode(&change).into(),
            None => Arc::default(),
        };
        let heard = Heard::Presence {
            wire: wire.clone(),
            blocks: blocks.into(),
        };
        (heard, wire)
    }

    /// Adds people of other services while they fit, and notes who they are.
    fn add_strangers(
        &mut self,
        object: &mut Vec<u8>,
        news: &News,
        secrecy: &Secrecy,
        Neighbours { bot, modulus }: &Neighbours<'_>,
    ) {
        let length = |names: &[Arc<str>]| names.iter().map(|name| name.len() + 2).sum::<usize>();
        // The longer of the two stands in one message with all the people.
        let names = length(&news.joined).max(length(&news.left));
        let most = (secrecy.list_bytes)(names);
        let (mut shown, mut misfits) = (Vec::new(), 0);
        object.pop();
        for person in self.strangers.in_order(Some(bot)) {
            let Some(entry) = person.stand_in(modulus.service) else {
                continue;
            };
            // With the comma before it and the brace behind it.
            if object.len() + entry.len() + 2 > most {
                misfits += 1;
                if misfits == MISFITS {
                    break;
                }
                continue;
            }
            misfits = 0;
            if object.len() > 1 {
                object.push(b',');
            }
            object.extend_from_slice(entry);
            shown.push(person.clone());
        }
        object.push(b'}');
        self.is_full = shown.is_empty();
        self.shown = shown.iter().map(|person| person.id).collect();
        modulus.show(shown);
    }
}

impl Present {
    pub fn reader(&self) -> Reader {
        Reader {
            person: self.person.clone(),
            floor: self.floor,
        }
    }
}

//! Who is in the house, and who hears what. One for the house: names are unique across services, and
//! all that is said passes here, so that everyone hears it in the same order.
//!
//! Lists of people are long when many are here, and each coming and going changes them. The first
//! change goes out at once; what follows within `lobby.merge_ms`, or within the time that the last
//! list takes at `lobby.presence_mb_s`, goes out as one. A list shows the house as it is; the names
//! of all who came and went since the last one stand beside it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_protocols::wire;
use tokio::time::Instant;

use crate::bridge::Bridge;
use crate::floor::{Announce, Floor, Seat, Tell, Vacate};
use crate::free_name::free_name;
use crate::history::Annals;
use crate::house_bot::HouseBot;
use crate::language::Language;
pub use crate::lobby_messages::*;
use crate::messages::{Heard, Observation, Observe, Person, Receipt, Service};
use crate::room::{Neighbours, Present, Room};
use crate::watch::Post;
use crate::words::is_bots;

/// Newcomers who would wait longer for the merged list get one of their own, all together, after this
/// time or …
const LONG_WAIT: Duration = Duration::from_millis(50);
/// … in so many groups while the merged list waits, if that is longer: each list costs memory until its
/// slowest reader has it.
const GREETINGS: u32 = 8;

/// How the lobby merges lists.
#[derive(Debug, Clone, Copy)]
pub struct Merging {
    pub window: Duration,
    /// Bytes of lists a second, to all together.
    pub budget: u64,
}

/// What makes one room of all services.
#[derive(Clone)]
pub struct Across {
    pub bridge: Arc<Bridge>,
    /// The bot as a person, …
    pub bot: Arc<Person>,
    /// … and who answers for it.
    pub answers: Post<HouseBot>,
}

/// The one lobby.
pub struct Lobby {
    pub(crate) floors: Vec<Post<Floor>>,
    pub(crate) rooms: HashMap<Service, Room>,
    names: HashMap<Arc<str>, u64>,
    pub(crate) services: HashMap<u64, Service>,
    /// `None`: each service is by itself.
    pub(crate) across: Option<Across>,
    pub(crate) annals: Option<Annals>,
    /// Everyone by name, as long as they are the same, …
    everyone: Option<Arc<[Arc<Person>]>>,
    /// … and their numbers, by who may know of them.
    numbers: HashMap<Service, Arc<[u64]>>,
    merging: Merging,
    pub(crate) messages: u64,
    lists: u64,
}

impl Lobby {
    /// A lobby for the services given.
    pub fn new(
        floors: Vec<Post<Floor>>,
        languages: &[Language],
        merging: Merging,
        across: Option<Across>,
        annals: Option<Annals>,
    ) -> Lobby {
        let room = |language: &Language| (language.service, Room::new(*language));
        Lobby {
            floors,
            rooms: languages.iter().map(room).collect(),
            names: HashMap::new(),
            services: HashMap::new(),
            across,
            annals,
            everyone: None,
            numbers: HashMap::new(),
            merging,
            messages: 0,
            lists: 0,
        }
    }

    pub(crate) fn present(&self, person: u64) -> Option<&Present> {
        let room = self.rooms.get(self.services.get(&person)?)?;
        room.people.get(&person)
    }

    /// Somebody who is here, or the bot.
    pub(crate) fn person(&self, person: u64) -> Option<&Arc<Person>> {
        match &self.across {
            Some(across) if across.bot.id == person => Some(&across.bot),
            _ => Some(&self.present(person)?.person),
        }
    }

    fn admit(&mut self, present: Present) {
        let person = &present.person;
        self.names.insert(person.name.clone(), person.id);
        self.services.insert(person.id, person.service);
        self.forget_lists();
        if self.across.is_some() {
            let others = self.rooms.iter_mut();
            for (_, room) in others.filter(|(service, _)| **service != person.service) {
                room.strangers.touch(person);
            }
        }
        if let Some(room) = self.rooms.get_mut(&person.service) {
            room.insert(present);
        }
    }

    fn forget_lists(&mut self) {
        self.everyone = None;
        self.numbers.clear();
    }

    fn seat(&self, present: &Present) {
        if let Some(floor) = self.floors.get(present.floor) {
            floor.do_send(Seat {
                person: present.person.clone(),
                seat: present.seat.clone(),
            });
        }
    }

    /// `person` has come or gone; those who can be told are told.
    fn tell_of(&mut self, person: &Arc<Person>, came: bool, ctx: &mut Context<Self>) {
        let own = person.service;
        let concerned = |(service, room): (&Service, &Room)| {
            let hears = room.language.people.is_some();
            let knows = *service == own || (self.across.is_some() && !room.people.is_empty());
            (hears && knows).then_some(*service)
        };
        let concerned: Vec<Service> = self.rooms.iter().filter_map(concerned).collect();
        for service in concerned {
            let Some(room) = self.rooms.get_mut(&service) else {
                continue;
            };
            let name = match service == own {
                true => &person.name,
                false => &person.shown,
            };
            room.is_own_news |= service == own;
            match came {
                true => {
                    room.news.joined.push(name.clone());
                    room.news.came.push(person.clone());
                }
                false => {
                    room.news.left.push(name.clone());
                    room.news.went.push(person.clone());
                }
            }
            let newcomer = (came && service == own).then_some(person.id);
            self.changed(service, newcomer, ctx);
        }
    }

    /// Sees to it that the changed list of `service` goes out, now or with what follows. `newcomer`
    /// does not have to wait long for it.
    pub(crate) fn changed(
        &mut self,
        service: Service,
        newcomer: Option<u64>,
        ctx: &mut Context<Self>,
    ) {
        let Some(room) = self.rooms.get_mut(&service) else {
            return;
        };
        let wait = room.next.saturating_duration_since(Instant::now());
        if wait.is_zero() && !room.scheduled {
            return self.publish(service);
        }
        if !room.scheduled {
            room.scheduled = true;
            ctx.notify_later(Publish(service), wait);
        }
        if wait > LONG_WAIT
            && let Some(newcomer) = newcomer
        {
            if room.newcomers.is_empty() {
                ctx.notify_later(Greet(service), LONG_WAIT.max(room.cost / GREETINGS));
            }
            room.newcomers.push(newcomer);
        }
    }

    /// Those who came while a merged list waits for its time get one of their own, all the same.
    fn greet(&mut self, service: Service) {
        let Some(room) = self.rooms.get_mut(&service) else {
            return;
        };
        let Some((newcomers, heard)) = room.greeting(neighbours(self.across.as_ref(), service))
        else {
            return;
        };
        let here = newcomers.iter().filter_map(|id| room.people.get(id));
        for present in here {
            if let Some(floor) = self.floors.get(present.floor) {
                floor.do_send(Tell {
                    service,
                    person: present.person.id,
                    heard: heard.clone(),
                });
            }
        }
    }

    fn publish(&mut self, service: Service) {
        let Some(room) = self.rooms.get_mut(&service) else {
            return;
        };
        room.scheduled = false;
        let Some(heard) = room.due(neighbours(self.across.as_ref(), service)) else {
            return;
        };
        let bytes = match &heard {
            Heard::Presence { wire, .. } => wire.iter().map(Bytes::len).sum::<usize>(),
            _ => 0,
        } as u64
            * room.people.len() as u64;
        room.cost = Duration::from_millis(bytes.saturating_mul(1000) / self.merging.budget.max(1));
        room.next = Instant::now() + self.merging.window.max(room.cost);
        self.lists += 1;
        self.announce(service, None, heard, None);
    }

    pub(crate) fn announce(
        &self,
        service: Service,
        but: Option<u64>,
        heard: Heard,
        receipt: Option<Receipt>,
    ) {
        for floor in &self.floors {
            floor.do_send(Announce {
                service,
                but,
                heard: heard.clone(),
                receipt: receipt.clone(),
            });
        }
    }

    /// The name that somebody gets.
    fn free_name(&self, wanted: &str, person: u64) -> Arc<str> {
        let is_service = |ending: &str| {
            let known = self.rooms.keys().chain(&Service::ALL);
            let mut known = known.chain(&[Service::House]);
            self.across.is_some() && known.any(|one| one.name().eq_ignore_ascii_case(ending))
        };
        let is_taken = |name: &str| {
            let taken = self.names.get(name).is_some_and(|other| *other != person);
            taken || (self.across.is_some() && is_bots(name))
        };
        free_name(wanted, is_service, is_taken).into()
    }
}

/// Who else lists of `service` show.
fn neighbours(across: Option<&Across>, service: Service) -> Option<Neighbours<'_>> {
    let Across { bridge, bot, .. } = across?;
    let modulus = bridge.stand_ins.of(service)?;
    Some(Neighbours { bot, modulus })
}

impl Actor for Lobby {
    type Context = Context<Self>;
}

impl Handler<Join> for Lobby {
    type Result = Arc<Person>;

    fn handle(&mut self, join: Join, ctx: &mut Context<Self>) -> Arc<Person> {
        let service = join.service;
        let name = self.free_name(&join.wanted, join.person);
        let shown: Arc<str> = format!("{name}@{service}").into();
        let room = self.rooms.get(&service);
        let stand_ins = self.across.as_ref().map(|across| &across.bridge.stand_ins);
        let exponent = stand_ins.map_or(0, |stand_ins| stand_ins.exponent());
        let person = Arc::new(Person {
            id: join.person,
            entry: match join.key.as_str() {
                "" => Box::default(),
                key => wire::person_entry(&name, key).into(),
            },
            name,
            service,
            block: join.block,
            reads: room.is_some_and(|room| room.language.reads),
            private: join.block > 0,
            stand_ins: stand_ins.map_or_else(Box::default, |stand_ins| {
                stand_ins.entries(service, &shown, exponent)
            }),
            exponent,
            shown,
        });
        let present = Present {
            person: person.clone(),
            floor: join.floor,
            seat: join.seat,
        };
        self.seat(&present);
        self.admit(present);
        self.tell_of(&person, true, ctx);
        person
    }
}

impl Handler<Leave> for Lobby {
    type Result = ();

    fn handle(&mut self, Leave { person }: Leave, ctx: &mut Context<Self>) {
        let Some(service) = self.services.remove(&person) else {
            return;
        };
        let Some(room) = self.rooms.get_mut(&service) else {
            return;
        };
        if let Some(gone) = room.remove(person) {
            self.names.remove(&gone.person.name);
            self.forget_lists();
            if let Some(across) = &self.across {
                across.bridge.stand_ins.forget(person);
                for room in self.rooms.values_mut() {
                    room.strangers.remove(person);
                }
            }
            if let Some(floor) = self.floors.get(gone.floor) {
                floor.do_send(Vacate { service, person });
            }
            self.tell_of(&gone.person, false, ctx);
        }
    }
}

impl Handler<Everyone> for Lobby {
    type Result = MessageResult<Everyone>;

    fn handle(&mut self, _: Everyone, _: &mut Context<Self>) -> Self::Result {
        let people = self.rooms.values().flat_map(|room| room.people.values());
        let people = people.map(|present| &present.person);
        let bot = self.across.iter().map(|across| &across.bot);
        let everyone = || {
            let mut everyone: Vec<_> = people.chain(bot).cloned().collect();
            everyone.sort_by(|one, other| one.name.cmp(&other.name));
            everyone.into()
        };
        MessageResult(self.everyone.get_or_insert_with(everyone).clone())
    }
}

impl Handler<ShowOut> for Lobby {
    type Result = bool;

    fn handle(&mut self, ShowOut { person, reason }: ShowOut, _: &mut Context<Self>) -> bool {
        let Some(present) = self.present(person) else {
            return false;
        };
        present.seat.do_send(Heard::ShownOut(reason.into()));
        true
    }
}

impl Handler<Who> for Lobby {
    type Result = MessageResult<Who>;

    fn handle(&mut self, Who(service): Who, _: &mut Context<Self>) -> Self::Result {
        let Some(room) = self.rooms.get(&service) else {
            return MessageResult(Arc::default());
        };
        let across = self.across.as_ref();
        let numbers = || {
            let own = room.people.keys().copied();
            let others = across.into_iter().flat_map(|across| {
                let others = room.strangers.in_order(Some(&across.bot));
                others.map(|person| person.id)
            });
            own.chain(others).collect()
        };
        MessageResult(self.numbers.entry(service).or_insert_with(numbers).clone())
    }
}

impl Handler<Names> for Lobby {
    type Result = MessageResult<Names>;

    fn handle(&mut self, Names(most): Names, _: &mut Context<Self>) -> Self::Result {
        let people = self.rooms.values().flat_map(|room| room.people.values());
        let mut names: Vec<String> = people
            .take(most)
            .map(|present| format!("{} ({})", present.person.name, present.person.service))
            .collect();
        names.sort();
        MessageResult((names, self.services.len()))
    }
}

impl Handler<NameOf> for Lobby {
    type Result = Option<Arc<str>>;

    fn handle(
        &mut self,
        NameOf(service, person): NameOf,
        _: &mut Context<Self>,
    ) -> Option<Arc<str>> {
        let person = self.person(person)?;
        let knows = person.service == service || self.across.is_some();
        knows.then(|| person.name.clone())
    }
}

impl Handler<Reserve> for Lobby {
    type Result = ();

    fn handle(&mut self, Reserve(names): Reserve, _: &mut Context<Self>) {
        self.names.extend(names);
    }
}

impl Handler<Publish> for Lobby {
    type Result = ();

    fn handle(&mut self, Publish(service): Publish, _: &mut Context<Self>) {
        self.publish(service);
    }
}

impl Handler<Greet> for Lobby {
    type Result = ();

    fn handle(&mut self, Greet(service): Greet, _: &mut Context<Self>) {
        self.greet(service);
    }
}

impl Handler<Restore> for Lobby {
    type Result = ();

    fn handle(&mut self, restore: Restore, _: &mut Context<Self>) {
        self.admit(Present {
            person: restore.person,
            floor: restore.floor,
            seat: restore.seat,
        });
    }
}

impl Handler<Reseat> for Lobby {
    type Result = ();

    fn handle(&mut self, Reseat { floor }: Reseat, _: &mut Context<Self>) {
        let people = self.rooms.values().flat_map(|room| room.people.values());
        for present in people.filter(|present| present.floor == floor) {
            self.seat(present);
        }
    }
}

impl Handler<Observe> for Lobby {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::Lobby {
            people: self.services.len(),
            messages: self.messages,
            lists: self.lists,
        }
    }
}

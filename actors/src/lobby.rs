//! Who is in the house, and who hears what. One for the house: names are unique across services, and
//! all that is said passes here, so that everyone hears it in the same order.
//!
//! Lists of people are long when many are here, and each coming and going changes them. The first
//! change goes out at once; what follows within `lobby.merge_ms`, or within the time that the last
//! list takes at `lobby.presence_mb_s`, goes out as one. A list shows the house as it is; the names
//! of all who came and went since the last one stand beside it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_protocols::wire;
use tokio::time::Instant;

use crate::floor::{Announce, Floor, Seat, Tell, Vacate};
use crate::free_name::free_name;
use crate::inbox::{Fate, Sender};
use crate::language::{Language, ListChange, ListEncoder};
use crate::messages::{Heard, Observation, Observe, Person, Receipt, Service, Words};
use crate::watch::Post;

/// Up to so many people, lists are short enough for everyone who comes or goes to have their own.
const SMALL_PARTY: usize = 8;
/// Messages to people who left may come for so long.
const UNDERWAY: Duration = Duration::from_secs(5);
/// Newcomers who would wait longer for the merged list get one of their own, all together, after this
/// time or …
const LONG_WAIT: Duration = Duration::from_millis(50);
/// … in so many groups while the merged list waits, if that is longer: each list costs memory until its
/// slowest reader has it.
const GREETINGS: u32 = 8;

/// A newcomer with a name it would like, a public key, and where to tell it what it hears.
#[derive(Message)]
#[rtype(result = "Arc<Person>")]
pub struct Join {
    /// Number of the person, drawn by the connection and never used before.
    pub person: u64,
    pub service: Service,
    pub wanted: String,
    /// PEM, as it is shown to others; empty where people have no keys.
    pub key: String,
    /// Bytes of the key's modulus, 0 without a key.
    pub block: usize,
    /// Number of the core that the connection lives on.
    pub floor: usize,
    pub seat: Recipient<Heard>,
}

/// Somebody is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Leave {
    pub person: u64,
}

/// Somebody says something to all of their service: whole messages in its wire format.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Say {
    pub service: Service,
    /// Number of a person who does not hear it: the one who says it, perhaps.
    pub but: Option<u64>,
    pub wire: Bytes,
    pub messages: u64,
    pub receipt: Receipt,
}

/// Somebody says something that the house can read, to one or to all others.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Speak {
    /// Number of the person who speaks.
    pub from: u64,
    /// UTF-8 without line ends, each a message; what is not is made so for those who would be harmed.
    pub texts: Arc<[Bytes]>,
    /// `None`: all others.
    pub to: Option<To>,
    pub receipt: Option<Receipt>,
}

/// The one person that words are for.
#[derive(Debug, Clone)]
pub struct To {
    pub person: u64,
    /// The server's number of the message.
    pub number: u64,
    /// Who wants to know what becomes of it.
    pub sender: Option<Sender>,
}

/// Everyone who is here, by name.
#[derive(Message)]
#[rtype(result = "Arc<[Arc<Person>]>")]
pub struct Everyone;

/// Somebody is shown out, if there is such a person.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct ShowOut {
    pub person: u64,
    /// Told to the person, and logged.
    pub reason: String,
}

/// The numbers of all people of a service.
#[derive(Message)]
#[rtype(result = "Arc<[u64]>")]
pub struct Who(pub Service);

/// The names of so many people of all services, each with its service, and how many people there are.
#[derive(Message)]
#[rtype(result = "(Vec<String>, usize)")]
pub struct Names(pub usize);

/// The name of a person who understands plain words.
#[derive(Message)]
#[rtype(result = "Option<Arc<str>>")]
pub struct NameOf(pub u64);

/// These names belong to people who were here before a restart and are about to come back.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reserve(pub Vec<(Arc<str>, u64)>);

/// A floor tells a rebuilt lobby who is here.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Restore {
    pub person: Arc<Person>,
    pub floor: usize,
    pub seat: Recipient<Heard>,
}

/// A floor was rebuilt: seat its people again.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reseat {
    pub floor: usize,
}

/// Merged updates go out.
#[derive(Message)]
#[rtype(result = "()")]
struct Publish(Service);

/// Newcomers who have waited long enough get a list.
#[derive(Message)]
#[rtype(result = "()")]
struct Greet(Service);

struct Present {
    person: Arc<Person>,
    floor: usize,
    seat: Recipient<Heard>,
}

struct Room {
    encode: ListEncoder,
    reads: bool,
    people: BTreeMap<u64, Present>,
    /// The numbers of the people, as long as they are the same.
    numbers: Option<Arc<[u64]>>,
    joined: Vec<Arc<str>>,
    left: Vec<Arc<str>>,
    /// Lengths of the blocks of people who left: a message to them may be on its way.
    departed: VecDeque<(Instant, usize)>,
    /// Those who have no list yet.
    newcomers: Vec<u64>,
    /// No list goes out before.
    next: Instant,
    /// The time that the last list takes out of the budget.
    cost: Duration,
    scheduled: bool,
}

/// How the lobby merges lists.
#[derive(Debug, Clone, Copy)]
pub struct Merging {
    pub window: Duration,
    /// Bytes of lists a second, to all together.
    pub budget: u64,
}

/// The one lobby.
pub struct Lobby {
    floors: Vec<Post<Floor>>,
    rooms: HashMap<Service, Room>,
    names: HashMap<Arc<str>, u64>,
    services: HashMap<u64, Service>,
    /// Everyone by name, as long as they are the same.
    everyone: Option<Arc<[Arc<Person>]>>,
    merging: Merging,
    messages: u64,
    lists: u64,
}

impl Lobby {
    /// A lobby for the services given.
    pub fn new(floors: Vec<Post<Floor>>, languages: &[Language], merging: Merging) -> Lobby {
        let rooms = languages
            .iter()
            .map(|language| {
                let room = Room {
                    encode: language.people,
                    reads: language.reads,
                    people: BTreeMap::new(),
                    numbers: None,
                    joined: Vec::new(),
                    left: Vec::new(),
                    departed: VecDeque::new(),
                    newcomers: Vec::new(),
                    next: Instant::now(),
                    cost: Duration::ZERO,
                    scheduled: false,
                };
                (language.service, room)
            })
            .collect();
        Lobby {
            floors,
            rooms,
            names: HashMap::new(),
            services: HashMap::new(),
            everyone: None,
            merging,
            messages: 0,
            lists: 0,
        }
    }

    fn admit(&mut self, present: Present) {
        let person = &present.person;
        self.names.insert(person.name.clone(), person.id);
        self.services.insert(person.id, person.service);
        self.everyone = None;
        if let Some(room) = self.rooms.get_mut(&person.service) {
            room.people.insert(person.id, present);
            room.numbers = None;
        }
    }

    fn seat(&self, present: &Present) {
        if let Some(floor) = self.floors.get(present.floor) {
            floor.do_send(Seat {
                person: present.person.clone(),
                seat: present.seat.clone(),
            });
        }
    }

    /// Sees to it that the changed list of `service` goes out, now or with what follows. `newcomer`
    /// does not have to wait long for it.
    fn changed(&mut self, service: Service, newcomer: Option<u64>, ctx: &mut Context<Self>) {
        let Some(room) = self.rooms.get_mut(&service) else {
            return;
        };
        if room.encode.is_none() {
            return;
        }
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
        let mut newcomers = std::mem::take(&mut room.newcomers);
        newcomers.retain(|id| room.people.contains_key(id));
        let here = newcomers.iter().filter_map(|id| room.people.get(id));
        let names: Vec<_> = here.map(|present| present.person.name.clone()).collect();
        if names.is_empty() {
            return;
        }
        let heard = list(room, &names, &[], false);
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
        let (joined, left) = (
            std::mem::take(&mut room.joined),
            std::mem::take(&mut room.left),
        );
        let heard = list(room, &joined, &left, room.people.len() <= SMALL_PARTY);
        let bytes = match &heard {
            Heard::Presence { wire, .. } => wire.iter().map(Bytes::len).sum::<usize>(),
            _ => 0,
        } as u64
            * room.people.len() as u64;
        room.cost = Duration::from_millis(bytes.saturating_mul(1000) / self.merging.budget.max(1));
        room.next = Instant::now() + self.merging.window.max(room.cost);
        // This list greets them.
        room.newcomers.clear();
        self.lists += 1;
        self.announce(service, None, heard, None);
    }

    fn announce(&self, service: Service, but: Option<u64>, heard: Heard, receipt: Option<Receipt>) {
        for floor in &self.floors {
            floor.do_send(Announce {
                service,
                but,
                heard: heard.clone(),
                receipt: receipt.clone(),
            });
        }
    }
}

/// The list of a room's people as it is now, in its service's words.
fn list(room: &mut Room, joined: &[Arc<str>], left: &[Arc<str>], one_by_one: bool) -> Heard {
    room.departed
        .retain(|(since, _)| since.elapsed() < UNDERWAY);
    let people = room.people.values();
    let object = wire::people_object(people.clone().map(|present| &*present.person.entry));
    let departed = room.departed.iter().map(|(_, block)| *block);
    let mut blocks: Vec<usize> = people
        .map(|present| present.person.block)
        .chain(departed)
        .collect();
    blocks.sort_unstable();
    blocks.dedup();
    let change = ListChange {
        people: &object,
        joined,
        left,
        one_by_one,
        came: &[],
        went: &[],
    };
    let wire = room.encode.map_or_else(Vec::new, |encode| encode(&change));
    Heard::Presence {
        wire: wire.into(),
        blocks: blocks.into(),
    }
}

impl Actor for Lobby {
    type Context = Context<Self>;
}

impl Handler<Join> for Lobby {
    type Result = Arc<Person>;

    fn handle(&mut self, join: Join, ctx: &mut Context<Self>) -> Arc<Person> {
        let is_taken = |name: &str| {
            self.names
                .get(name)
                .is_some_and(|&person| person != join.person)
        };
        let name: Arc<str> = free_name(&join.wanted, is_taken).into();
        let person = Arc::new(Person {
            id: join.person,
            entry: match join.key.as_str() {
                "" => Box::default(),
                key => wire::person_entry(&name, key).into(),
            },
            name,
            service: join.service,
            block: join.block,
            reads: self.rooms.get(&join.service).is_some_and(|room| room.reads),
            private: join.block > 0,
        });
        let present = Present {
            person: person.clone(),
            floor: join.floor,
            seat: join.seat,
        };
        self.seat(&present);
        self.admit(present);
        if let Some(room) = self.rooms.get_mut(&join.service)
            && room.encode.is_some()
        {
            room.joined.push(person.name.clone());
        }
        self.changed(join.service, Some(person.id), ctx);
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
        if let Some(gone) = room.people.remove(&person) {
            self.everyone = None;
            self.names.remove(&gone.person.name);
            room.numbers = None;
            if room.encode.is_some() {
                room.left.push(gone.person.name.clone());
                room.departed.push_back((Instant::now(), gone.person.block));
            }
            if let Some(floor) = self.floors.get(gone.floor) {
                floor.do_send(Vacate { service, person });
            }
            self.changed(service, None, ctx);
        }
    }
}

impl Handler<Say> for Lobby {
    type Result = ();

    fn handle(&mut self, say: Say, _: &mut Context<Self>) {
        self.messages += say.messages;
        let heard = Heard::Said(say.wire);
        self.announce(say.service, say.but, heard, Some(say.receipt));
    }
}

impl Handler<Speak> for Lobby {
    type Result = ();

    fn handle(&mut self, speak: Speak, _: &mut Context<Self>) {
        let Speak { from, texts, .. } = speak;
        let service = Service::Packetchat;
        self.messages += texts.len() as u64;
        let Some(To {
            person,
            number,
            sender,
        }) = speak.to
        else {
            for text in texts.iter() {
                let words = Words {
                    from,
                    text: text.clone(),
                    to: None,
                };
                self.announce(service, None, Heard::Words(words), speak.receipt.clone());
            }
            return;
        };
        let room = self.rooms.get(&service);
        let Some(present) = room.and_then(|room| room.people.get(&person)) else {
            if let Some(sender) = sender {
                sender.tell(Fate::Nobody);
            }
            return;
        };
        for text in texts.iter() {
            let words = Words {
                from,
                text: text.clone(),
                to: Some((number, sender.clone())),
            };
            if let Some(floor) = self.floors.get(present.floor) {
                floor.do_send(Tell {
                    service,
                    person,
                    heard: Heard::Words(words),
                });
            }
        }
    }
}

impl Handler<Everyone> for Lobby {
    type Result = MessageResult<Everyone>;

    fn handle(&mut self, _: Everyone, _: &mut Context<Self>) -> Self::Result {
        let people = self.rooms.values().flat_map(|room| room.people.values());
        let everyone = || {
            let mut everyone: Vec<_> = people.map(|present| present.person.clone()).collect();
            everyone.sort_by(|one, other| one.name.cmp(&other.name));
            everyone.into()
        };
        MessageResult(self.everyone.get_or_insert_with(everyone).clone())
    }
}

impl Handler<ShowOut> for Lobby {
    type Result = bool;

    fn handle(&mut self, ShowOut { person, reason }: ShowOut, _: &mut Context<Self>) -> bool {
        let service = self.services.get(&person);
        let room = service.and_then(|service| self.rooms.get(service));
        let Some(present) = room.and_then(|room| room.people.get(&person)) else {
            return false;
        };
        present.seat.do_send(Heard::ShownOut(reason.into()));
        true
    }
}

impl Handler<Who> for Lobby {
    type Result = MessageResult<Who>;

    fn handle(&mut self, Who(service): Who, _: &mut Context<Self>) -> Self::Result {
        let Some(room) = self.rooms.get_mut(&service) else {
            return MessageResult(Arc::default());
        };
        let people = &room.people;
        let numbers = || people.keys().copied().collect();
        MessageResult(room.numbers.get_or_insert_with(numbers).clone())
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

    fn handle(&mut self, NameOf(person): NameOf, _: &mut Context<Self>) -> Option<Arc<str>> {
        let room = self.rooms.get(&Service::Packetchat)?;
        Some(room.people.get(&person)?.person.name.clone())
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

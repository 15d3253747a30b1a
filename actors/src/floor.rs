//! One a core: who sits on this core, and the last yards of what everyone is to hear. What the
//! lobby says crosses to each core once; from here it goes to each connection by reference.
//!
//! A floor also slows down who talks faster than the crowd listens: it keeps the receipt of a
//! message while more than half of its listeners are behind, for a quarter of a second at most. One
//! slow reader slows nobody.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::Instant;

use crate::inbox::{Fate, Sender};
use crate::lobby::{Leave, Lobby, Restore};
use crate::messages::{Heard, Observation, Observe, Person, Receipt, Service};
use crate::watch::Post;

/// How long a receipt is kept for a crowd that is behind.
const PATIENCE: Duration = Duration::from_millis(250);

/// `person` sits on this core; what it is to hear goes to `seat`.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Seat {
    pub person: Arc<Person>,
    pub seat: Recipient<Heard>,
}

/// `person` is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Vacate {
    pub service: Service,
    pub person: u64,
}

/// Everyone of `service` on this core hears this.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct Announce {
    pub service: Service,
    /// Number of a person who does not hear it.
    pub but: Option<u64>,
    pub heard: Heard,
    pub receipt: Option<Receipt>,
}

/// One person hears this.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Tell {
    pub service: Service,
    pub person: u64,
    pub heard: Heard,
}

/// Words of another service for one person, unless that one is behind: they are what can be missed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Hand {
    pub service: Service,
    pub person: u64,
    pub heard: Vec<Heard>,
    /// Who wants to know what becomes of it.
    pub sender: Option<Sender>,
    /// Dropped when it is handed over.
    pub receipt: Option<Receipt>,
}

/// All of `service` on this core were handed words: their sender goes on when the crowd has caught up.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct Handed {
    pub service: Service,
    pub receipt: Receipt,
}

/// `person` has fallen behind with reading, or has caught up.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Backlog {
    pub service: Service,
    pub person: u64,
    pub behind: bool,
}

/// The lobby was rebuilt: tell it who is here.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Muster;

struct Seated {
    person: Arc<Person>,
    seat: Recipient<Heard>,
}

#[derive(Default)]
struct Room {
    seats: Vec<Seated>,
    index: HashMap<u64, usize>,
    behind: HashSet<u64>,
    /// Receipts that are kept while the crowd is behind, in the order of their times.
    held: VecDeque<Held>,
}

struct Held {
    until: Instant,
    /// Who does not belong to the crowd.
    but: Option<u64>,
    _receipt: Receipt,
}

impl Room {
    /// Whether more than half of those who listen are, which somebody who does not hear it is not.
    fn crowd_is_behind(&self, but: Option<u64>) -> bool {
        let is_here = but.is_some_and(|but| self.index.contains_key(&but));
        let is_behind = but.is_some_and(|but| self.behind.contains(&but));
        let behind = self.behind.len() - usize::from(is_behind);
        behind * 2 > self.seats.len() - usize::from(is_here)
    }

    /// Lets senders go on if the crowd has caught up.
    fn release(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        held.retain(|held| self.crowd_is_behind(held.but));
        self.held = held;
    }

    /// Whether the person was here.
    fn remove(&mut self, person: u64) -> bool {
        self.behind.remove(&person);
        let Some(at) = self.index.remove(&person) else {
            return false;
        };
        self.seats.swap_remove(at);
        if let Some(moved) = self.seats.get(at) {
            self.index.insert(moved.person.id, at);
        }
        true
    }
}

/// The people of one core.
pub struct Floor {
    number: usize,
    lobby: Post<Lobby>,
    rooms: HashMap<Service, Room>,
    /// Words of other services that somebody who was behind did not get.
    passed_over: u64,
}

impl Floor {
    /// The floor of core `number`.
    pub fn new(number: usize, lobby: Post<Lobby>) -> Floor {
        Floor {
            number,
            lobby,
            rooms: HashMap::new(),
            passed_over: 0,
        }
    }

    /// Keeps a receipt while more than half of the people of `service` are behind.
    fn hold(
        &mut self,
        service: Service,
        but: Option<u64>,
        receipt: Receipt,
        ctx: &mut Context<Self>,
    ) {
        let Some(room) = self.rooms.get_mut(&service) else {
            return;
        };
        if room.crowd_is_behind(but) {
            if room.held.is_empty() {
                ctx.run_later(PATIENCE, move |this, ctx| this.release_old(service, ctx));
            }
            room.held.push_back(Held {
                until: Instant::now() + PATIENCE,
                but,
                _receipt: receipt,
            });
        }
    }

    /// Lets go of the receipts of `service` whose time is over; comes again while there are others.
    fn release_old(&mut self, service: Service, ctx: &mut Context<Self>) {
        let Some(room) = self.rooms.get_mut(&service) else {
            return;
        };
        let now = Instant::now();
        while room.held.front().is_some_and(|held| held.until <= now) {
            room.held.pop_front();
        }
        if let Some(held) = room.held.front() {
            ctx.run_later(held.until - now, move |this, ctx| {
                this.release_old(service, ctx)
            });
        }
    }
}

impl Actor for Floor {
    type Context = Context<Self>;
}

impl Handler<Seat> for Floor {
    type Result = ();

    fn handle(&mut self, Seat { person, seat }: Seat, _: &mut Context<Self>) {
        let room = self.rooms.entry(person.service).or_default();
        room.remove(person.id);
        room.index.insert(person.id, room.seats.len());
        room.seats.push(Seated { person, seat });
    }
}

impl Handler<Vacate> for Floor {
    type Result = ();

    fn handle(&mut self, gone: Vacate, _: &mut Context<Self>) {
        if let Some(room) = self.rooms.get_mut(&gone.service) {
            if room.remove(gone.person) {
                // A lobby that was just rebuilt may have heard from us that this person is here.
                self.lobby.do_send(Leave {
                    person: gone.person,
                });
            }
            room.release();
        }
    }
}

impl Handler<Announce> for Floor {
    type Result = ();

    fn handle(&mut self, announce: Announce, ctx: &mut Context<Self>) {
        let service = announce.service;
        let Some(room) = self.rooms.get_mut(&service) else {
            return;
        };
        for seated in &room.seats {
            if Some(seated.person.id) != announce.but {
                seated.seat.do_send(announce.heard.clone());
            }
        }
        if let Some(receipt) = announce.receipt {
            self.hold(service, announce.but, receipt, ctx);
        }
    }
}

impl Handler<Hand> for Floor {
    type Result = ();

    fn handle(&mut self, hand: Hand, _: &mut Context<Self>) {
        let room = self.rooms.get(&hand.service);
        let seat =
            room.and_then(|room| Some((room, room.seats.get(*room.index.get(&hand.person)?)?)));
        let fate = match seat {
            None => Fate::Nobody,
            Some((room, _)) if room.behind.contains(&hand.person) => {
                self.passed_over += hand.heard.len() as u64;
                Fate::GivenUp
            }
            Some((_, seated)) => {
                for heard in hand.heard {
                    seated.seat.do_send(heard);
                }
                Fate::Arrived
            }
        };
        if let Some(sender) = hand.sender {
            sender.tell(fate);
        }
    }
}

impl Handler<Handed> for Floor {
    type Result = ();

    fn handle(&mut self, Handed { service, receipt }: Handed, ctx: &mut Context<Self>) {
        self.hold(service, None, receipt, ctx);
    }
}

impl Handler<Tell> for Floor {
    type Result = ();

    fn handle(&mut self, tell: Tell, _: &mut Context<Self>) {
        if let Some(room) = self.rooms.get(&tell.service)
            && let Some(seated) = room
                .index
                .get(&tell.person)
                .and_then(|&at| room.seats.get(at))
        {
            seated.seat.do_send(tell.heard);
        }
    }
}

impl Handler<Backlog> for Floor {
    type Result = ();

    fn handle(&mut self, backlog: Backlog, _: &mut Context<Self>) {
        let Some(room) = self.rooms.get_mut(&backlog.service) else {
            return;
        };
        if backlog.behind && room.index.contains_key(&backlog.person) {
            room.behind.insert(backlog.person);
        } else {
            room.behind.remove(&backlog.person);
            room.release();
        }
    }
}

impl Handler<Muster> for Floor {
    type Result = ();

    fn handle(&mut self, _: Muster, _: &mut Context<Self>) {
        for seated in self.rooms.values().flat_map(|room| &room.seats) {
            self.lobby.do_send(Restore {
                person: seated.person.clone(),
                floor: self.number,
                seat: seated.seat.clone(),
            });
        }
    }
}

impl Handler<Observe> for Floor {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::Floor {
            seats: self.rooms.values().map(|room| room.seats.len()).sum(),
            behind: self.rooms.values().map(|room| room.behind.len()).sum(),
            held: self.rooms.values().map(|room| room.held.len()).sum(),
            passed_over: self.passed_over,
        }
    }
}

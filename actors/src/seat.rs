//! A connection's place among the people: leaving is dropping it, also when the connection panics.

use playhouse_protocols::packetchat::Kind;

use crate::file_store::draw;
use crate::floor::{Backlog, Floor, Vacate};
use crate::house::Rooms;
use crate::lobby::{Leave, Lobby};
use crate::messages::Service;
use crate::watch::Post;

/// A reader with more bytes waiting is behind, …
const BEHIND: usize = 256 * 1024;
/// … until no more than so many wait.
const CAUGHT_UP: usize = 64 * 1024;

/// The place of one person.
pub struct Seated {
    person: u64,
    service: Service,
    lobby: Post<Lobby>,
    floor: Post<Floor>,
    behind: bool,
}

impl Seated {
    /// A place with a new number, for whoever is about to join.
    pub fn new(service: Service, rooms: &Rooms) -> Seated {
        // packetchat's people know everyone by number, so all numbers are of its kind.
        Seated::of(draw(Kind::User), service, rooms)
    }

    /// The place of the person with this number.
    pub fn of(person: u64, service: Service, rooms: &Rooms) -> Seated {
        Seated {
            person,
            service,
            lobby: rooms.lobby.clone(),
            floor: rooms.floor.clone(),
            behind: false,
        }
    }

    pub fn person(&self) -> u64 {
        self.person
    }

    /// Tells the floor when the reader falls behind and when it has caught up.
    pub fn backlog_is(&mut self, bytes: usize) {
        let behind = bytes > if self.behind { CAUGHT_UP } else { BEHIND };
        if behind != self.behind {
            self.behind = behind;
            self.floor.do_send(Backlog {
                service: self.service,
                person: self.person,
                behind,
            });
        }
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.lobby.do_send(Leave {
            person: self.person,
        });
        // Also directly: a lobby that is just being rebuilt asks the floors who is here.
        self.floor.do_send(Vacate {
            service: self.service,
            person: self.person,
        });
    }
}

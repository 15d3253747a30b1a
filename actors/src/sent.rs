//! What one user has sent, remembered for a while, so that a repeat is known as one.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// Messages that are remembered.
const REMEMBERED: usize = 1024;
/// A message of which nothing is known after this was lost in the house. Longer than any but a very full
/// inbox keeps one waiting; and what comes there twice is not delivered twice.
const LOST: Duration = Duration::from_secs(60);

/// A message as its sender knows it. Clients may give a message to one the number of another to
/// somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageId {
    /// Number of the user it is for; `None`: all others.
    pub to: Option<u64>,
    /// The number that the sender gave it.
    pub number: u64,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It goes about under this number of the server's.
    Underway(u64),
    Arrived,
    /// It was given up under this number, and is sent under it again.
    GivenUp(u64),
}

/// The messages of one user.
#[derive(Default)]
pub struct Sent {
    ways: HashMap<MessageId, (Way, Instant)>,
    /// Oldest first.
    order: VecDeque<MessageId>,
}

impl Sent {
    pub fn len(&self) -> usize {
        self.ways.len()
    }

    /// What became of a message, as far as it is known at `now`; `None` if it is a new one.
    pub fn way(&self, message: MessageId, now: Instant) -> Option<Way> {
        match *self.ways.get(&message)? {
            (Way::Underway(number), since) if now - since > LOST => Some(Way::GivenUp(number)),
            (way, _) => Some(way),
        }
    }

    /// Remembers what became of a message. False if there is no place for a new one, because all that
    /// is remembered is still on its way.
    pub fn remember(&mut self, message: MessageId, way: Way, now: Instant) -> bool {
        if let Some(known) = self.ways.get_mut(&message) {
            *known = (way, now);
            return true;
        }
        if self.order.len() >= REMEMBERED {
            let underway =
                |message: &MessageId| matches!(self.way(*message, now), Some(Way::Underway(_)));
            let at = self.order.iter().position(|message| !underway(message));
            let Some(old) = at.and_then(|at| self.order.remove(at)) else {
                return false;
            };
            self.ways.remove(&old);
        }
        self.ways.insert(message, (way, now));
        self.order.push_back(message);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u64) -> MessageId {
        MessageId {
            to: Some(1),
            number,
        }
    }

    #[test]
    fn the_oldest_is_forgotten_first_but_nothing_that_is_underway() {
        let (mut sent, now) = (Sent::default(), Instant::now());
        assert!(sent.remember(message(0), Way::Underway(7), now));
        for number in 1..=REMEMBERED as u64 {
            assert!(sent.remember(message(number), Way::Arrived, now));
        }
        assert_eq!(sent.len(), REMEMBERED);
        assert_eq!(sent.way(message(0), now), Some(Way::Underway(7)));
        assert_eq!(sent.way(message(1), now), None);
        assert_eq!(sent.way(message(2), now), Some(Way::Arrived));
    }

    #[test]
    fn with_all_underway_there_is_no_place_until_they_are_lost() {
        let (mut sent, now) = (Sent::default(), Instant::now());
        for number in 0..REMEMBERED as u64 {
            assert!(sent.remember(message(number), Way::Underway(number), now));
        }
        assert!(!sent.remember(message(9999), Way::Arrived, now));
        let later = now + LOST + Duration::from_millis(1);
        assert_eq!(sent.way(message(5), later), Some(Way::GivenUp(5)));
        assert!(sent.remember(message(9999), Way::Arrived, later));
    }

    #[test]
    fn the_same_number_for_another_is_another_message() {
        let (mut sent, now) = (Sent::default(), Instant::now());
        sent.remember(message(1), Way::Arrived, now);
        for to in [None, Some(2)] {
            assert_eq!(sent.way(MessageId { to, number: 1 }, now), None);
        }
    }
}

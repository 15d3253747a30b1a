//! What is on its way to one user over a path that loses datagrams: each message is repeated until its
//! receipt comes or the last pause is over. Decides only; sockets and timers are its owner's.

use std::collections::VecDeque;
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_protocols::packetchat::incoming_head;
use tokio::time::Instant;

use crate::sent::MessageId;

/// The pause before the first repeat; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(125);
/// How often a message is repeated.
const REPEATS: u32 = 5;
/// Messages whose receipts are waited for at once; the others wait for their turn.
const WINDOW: usize = 64;
/// What a message takes beside its text, in bytes, about: empty ones are no less work.
const OVERHEAD: usize = 256;
/// Messages that were given up whose receipt may still come.
const GIVEN_UP: usize = 64;

/// What became of a message, told to its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct Delivery {
    pub message: MessageId,
    pub fate: Fate,
}

/// How a message's way ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Arrived,
    /// No receipt came. It may have arrived all the same.
    GivenUp,
    /// There is nobody of that number.
    Nobody,
}

/// Who wants to know what becomes of a message.
#[derive(Debug, Clone)]
pub struct Sender {
    pub seat: Recipient<Delivery>,
    pub message: MessageId,
}

impl Sender {
    pub fn tell(&self, fate: Fate) {
        self.seat.do_send(Delivery {
            message: self.message,
            fate,
        });
    }
}

/// A message for the user.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The server's number of it.
    pub number: u64,
    /// Number of the user whose words they are.
    pub from: u64,
    pub text: Bytes,
    /// `None`: nobody waits for the receipt.
    pub sender: Option<Sender>,
}

impl Incoming {
    /// What it takes of what may wait.
    fn cost(&self) -> usize {
        self.text.len() + OVERHEAD
    }

    fn packet(&self) -> Outgoing {
        let head = incoming_head(self.from, self.number, self.text.len());
        Outgoing {
            number: self.number,
            head: Bytes::copy_from_slice(&head),
            text: self.text.clone(),
        }
    }
}

struct Flight {
    incoming: Incoming,
    due: Instant,
    pause: Duration,
    repeats: u32,
}

/// The messages for one user.
#[derive(Default)]
pub struct Inbox {
    waiting: VecDeque<Incoming>,
    flying: Vec<Flight>,
    given_up: VecDeque<(u64, Option<Sender>)>,
    forgotten: Vec<u64>,
    bytes: usize,
}

/// A packet to send now.
pub struct Outgoing {
    /// The server's number of the message.
    pub number: u64,
    pub head: Bytes,
    /// Shared with all who get the same words.
    pub text: Bytes,
}

impl Inbox {
    /// Bytes that wait or are on their way.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a message, if no more than `limit` bytes are here then.
    ///
    /// # Errors
    /// The message, if there is no room for it.
    pub fn push(&mut self, incoming: Incoming, limit: usize) -> Result<(), Incoming> {
        if self.bytes + incoming.cost() > limit {
            return Err(incoming);
        }
        self.bytes += incoming.cost();
        self.waiting.push_back(incoming);
        Ok(())
    }

    /// The receipt of a message came. Its sender, if it was on its way and has one.
    pub fn received(&mut self, number: u64) -> Option<Sender> {
        let flying = self
            .flying
            .iter()
            .position(|flight| flight.incoming.number == number);
        if let Some(at) = flying {
            let incoming = self.flying.swap_remove(at).incoming;
            self.bytes -= incoming.cost();
            return incoming.sender;
        }
        let at = self.given_up.iter().position(|(late, _)| *late == number)?;
        self.given_up.remove(at)?.1
    }

    /// What goes out now: what is due again, and what has its turn. Senders of what is given up are
    /// told.
    pub fn due(&mut self, now: Instant) -> Vec<Outgoing> {
        let mut out = Vec::new();
        let mut at = 0;
        while let Some(flight) = self.flying.get_mut(at) {
            if flight.due > now {
                at += 1;
            } else if flight.repeats < REPEATS {
                flight.repeats += 1;
                flight.pause *= 2;
                flight.due = now + flight.pause;
                out.push(flight.incoming.packet());
                at += 1;
            } else {
                let incoming = self.flying.swap_remove(at).incoming;
                self.give_up(incoming);
            }
        }
        while self.flying.len() < WINDOW
            && let Some(incoming) = self.waiting.pop_front()
        {
            out.push(incoming.packet());
            self.flying.push(Flight {
                incoming,
                due: now + FIRST_PAUSE,
                pause: FIRST_PAUSE,
                repeats: 0,
            });
        }
        out
    }

    fn give_up(&mut self, incoming: Incoming) {
        self.bytes -= incoming.cost();
        if let Some(sender) = &incoming.sender {
            sender.tell(Fate::GivenUp);
        }
        if self.given_up.len() == GIVEN_UP {
            let oldest = self.given_up.pop_front();
            self.forgotten.extend(oldest.map(|(number, _)| number));
        }
        self.given_up.push_back((incoming.number, incoming.sender));
    }

    /// The messages whose receipts are not waited for any more since the last call.
    pub fn forgotten(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.forgotten)
    }

    /// When something is due next.
    pub fn next_due(&self) -> Option<Instant> {
        self.flying.iter().map(|flight| flight.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u64) -> Incoming {
        Incoming {
            number,
            from: 1,
            text: Bytes::from_static(b"hello"),
            sender: None,
        }
    }

    fn numbers(out: &[Outgoing]) -> Vec<u64> {
        out.iter().map(|outgoing| outgoing.number).collect()
    }

    #[test]
    fn a_message_is_repeated_five_times_with_growing_pauses() {
        let (mut inbox, start) = (Inbox::default(), Instant::now());
        inbox.push(message(7), 1000).unwrap();
        let mut at = Vec::new();
        let mut now = start;
        assert_eq!(numbers(&inbox.due(now)), [7]);
        while let Some(due) = inbox.next_due() {
            assert!(inbox.due(due - Duration::from_millis(1)).is_empty());
            now = due;
            at.extend(inbox.due(now).iter().map(|_| (now - start).as_millis()));
        }
        assert_eq!(at, [125, 375, 875, 1875, 3875]);
        assert_eq!(
            (now - start).as_millis(),
            7875,
            "the last pause counts, too"
        );
        assert_eq!(inbox.bytes(), 0);
    }

    #[test]
    fn a_receipt_ends_the_repeats_and_makes_room_for_the_next() {
        let (mut inbox, now) = (Inbox::default(), Instant::now());
        for number in 0..100 {
            inbox.push(message(number), 100_000).unwrap();
        }
        let first = numbers(&inbox.due(now));
        assert_eq!(first, (0..64).collect::<Vec<_>>());
        for number in 0..10 {
            inbox.received(number);
        }
        assert_eq!(numbers(&inbox.due(now)), (64..74).collect::<Vec<_>>());
        inbox.received(3);
        assert_eq!(inbox.bytes(), 90 * message(0).cost());
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut inbox = Inbox::default();
        let limit = message(1).cost() * 2 - 1;
        assert!(inbox.push(message(1), limit).is_ok());
        assert_eq!(inbox.push(message(2), limit).unwrap_err().number, 2);
    }
}

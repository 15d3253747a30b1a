//! What is on its way to one user over a path that loses datagrams: each message is repeated until its
//! receipt comes or the last pause is over. Decides only; sockets and timers are its owner's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_protocols::packetchat::incoming_head;
use tokio::time::Instant;

use crate::refusals::Refusal;
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

/// Bytes that the messages to all users together may take; clones share them.
#[derive(Debug, Clone)]
pub struct Budget {
    taken: Arc<AtomicUsize>,
    limit: usize,
}

impl Budget {
    pub fn new(limit: usize) -> Budget {
        Budget {
            taken: Arc::default(),
            limit,
        }
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |taken: usize| Some(taken + bytes).filter(|all| *all <= self.limit);
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    fn give(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
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
    /// For this user alone.
    pub is_direct: bool,
    /// `None`: nobody waits for the receipt.
    pub sender: Option<Sender>,
}

impl Incoming {
    /// What it takes of what may wait.
    fn cost(&self) -> usize {
        self.text.len() + OVERHEAD
    }

    /// What it takes of the memory that all users share. The words for all are there once.
    fn charge(&self) -> usize {
        match self.is_direct {
            true => self.cost(),
            false => OVERHEAD,
        }
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
pub struct Inbox {
    budget: Budget,
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

impl Drop for Inbox {
    fn drop(&mut self) {
        let flying = self.flying.iter().map(|flight| &flight.incoming);
        let here = flying.chain(&self.waiting);
        self.budget.give(here.map(Incoming::charge).sum());
    }
}

impl Inbox {
    /// An empty one. What is in it is charged to `budget`.
    pub fn new(budget: Budget) -> Inbox {
        Inbox {
            budget,
            waiting: VecDeque::new(),
            flying: Vec::new(),
            given_up: VecDeque::new(),
            forgotten: Vec::new(),
            bytes: 0,
        }
    }

    /// Bytes that wait or are on their way.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a message, if no more than `limit` bytes are here then. Else its sender is told.
    ///
    /// # Errors
    /// There is no room for it, here or among all.
    pub fn push(&mut self, incoming: Incoming, limit: usize) -> Result<(), Refusal> {
        let number = incoming.number;
        let flying = self.flying.iter().map(|flight| &flight.incoming);
        if incoming.is_direct
            && flying
                .chain(&self.waiting)
                .any(|here| here.number == number)
        {
            return Ok(());
        }
        let refusal = if self.bytes + incoming.cost() > limit {
            Some(Refusal::Backlog)
        } else if !self.budget.take(incoming.charge()) {
            Some(Refusal::BacklogOfAll)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            if let Some(sender) = incoming.sender {
                sender.tell(Fate::GivenUp);
            }
            return Err(refusal);
        }
        // It flies again: its receipt is waited for as that of any other.
        self.given_up.retain(|(late, _)| *late != number);
        self.bytes += incoming.cost();
        self.waiting.push_back(incoming);
        Ok(())
    }

    /// It is not on its way any more.
    fn release(&mut self, incoming: &Incoming) {
        self.bytes -= incoming.cost();
        self.budget.give(incoming.charge());
    }

    /// All that waits for a receipt is due at once.
    pub fn hurry(&mut self, now: Instant) {
        for flight in &mut self.flying {
            flight.due = flight.due.min(now);
        }
    }

    /// The receipt of a message came. Its sender, if it was on its way and has one.
    pub fn received(&mut self, number: u64) -> Option<Sender> {
        let flying = self
            .flying
            .iter()
            .position(|flight| flight.incoming.number == number);
        if let Some(at) = flying {
            let incoming = self.flying.swap_remove(at).incoming;
            self.release(&incoming);
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
        self.release(&incoming);
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
            is_direct: false,
            sender: None,
        }
    }

    fn inbox() -> Inbox {
        Inbox::new(Budget::new(1 << 20))
    }

    fn numbers(out: &[Outgoing]) -> Vec<u64> {
        out.iter().map(|outgoing| outgoing.number).collect()
    }

    #[test]
    fn a_message_is_repeated_five_times_with_growing_pauses() {
        let (mut inbox, start) = (inbox(), Instant::now());
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
        let (mut inbox, now) = (inbox(), Instant::now());
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
        let mut inbox = inbox();
        let limit = message(1).cost() * 2 - 1;
        assert!(inbox.push(message(1), limit).is_ok());
        assert_eq!(inbox.push(message(2), limit), Err(Refusal::Backlog));
    }

    #[actix::test]
    async fn what_is_on_its_way_does_not_come_twice() {
        struct Somebody;
        impl Actor for Somebody {
            type Context = Context<Self>;
        }
        impl Handler<Delivery> for Somebody {
            type Result = ();
            fn handle(&mut self, _: Delivery, _: &mut Context<Self>) {}
        }
        let direct = Incoming {
            is_direct: true,
            sender: Some(Sender {
                seat: Somebody.start().recipient(),
                message: MessageId {
                    to: Some(1),
                    number: 9,
                },
            }),
            ..message(7)
        };
        let (mut inbox, now) = (inbox(), Instant::now());
        inbox.push(direct.clone(), 10_000).unwrap();
        inbox.push(direct.clone(), 10_000).unwrap();
        assert_eq!(numbers(&inbox.due(now)), [7]);
        inbox.push(direct.clone(), 10_000).unwrap();
        assert!(inbox.due(now).is_empty());
        // Given up and sent again, it is waited for as if it were new.
        while let Some(due) = inbox.next_due() {
            inbox.due(due);
        }
        inbox.push(direct, 10_000).unwrap();
        assert_eq!(numbers(&inbox.due(now)), [7]);
        assert!(inbox.given_up.is_empty());
        assert!(inbox.received(7).is_some());
    }

    #[test]
    fn all_inboxes_share_a_budget_and_give_it_back() {
        let budget = Budget::new(message(0).charge() * 2);
        let (mut one, mut other) = (Inbox::new(budget.clone()), Inbox::new(budget.clone()));
        assert!(one.push(message(1), 10_000).is_ok());
        assert!(other.push(message(2), 10_000).is_ok());
        assert!(other.push(message(3), 10_000).is_err());
        one.due(Instant::now());
        one.received(1);
        assert!(other.push(message(3), 10_000).is_ok());
        drop(other);
        assert_eq!(budget.taken.load(Ordering::Relaxed), 0);
    }
}

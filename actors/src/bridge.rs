//! What the lobby, the interpreters and the connections of services with keys share to reach people of
//! other services.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::interpreter::{Decipher, Encipher, Interpreter, Job};
use crate::messages::{Observation, Service};
use crate::slots::Slots;
use crate::stand_in::{Modulus, StandIns};
use crate::watch::Post;

/// Blocks that wait to be tried, of one sender …
pub const TRIES_OF_ONE: usize = 16;
/// … and of all of a service.
const TRIES: usize = 256;
/// Blocks that wait to be made for one service: some 20 s of work.
const BLOCKS: usize = 100_000;

/// One service's interpreter, and what it has done.
pub struct Office {
    pub interpreter: Post<Interpreter>,
    tries: Slots,
    blocks: Slots,
    pub encrypted: AtomicU64,
    pub read: AtomicU64,
    pub unread: AtomicU64,
    untried: AtomicU64,
    lost: AtomicU64,
}

/// The bridge of a house.
pub struct Bridge {
    pub stand_ins: StandIns,
    offices: Vec<Office>,
}

/// Why a block is not tried: too many wait already.
pub struct Busy;

impl Bridge {
    pub fn new(stand_ins: StandIns) -> Bridge {
        let office = |_: &Modulus| Office {
            interpreter: Post::default(),
            tries: Slots::new(TRIES),
            blocks: Slots::new(BLOCKS),
            encrypted: AtomicU64::default(),
            read: AtomicU64::default(),
            unread: AtomicU64::default(),
            untried: AtomicU64::default(),
            lost: AtomicU64::default(),
        };
        Bridge {
            offices: stand_ins.moduli.iter().map(office).collect(),
            stand_ins,
        }
    }

    /// The offices, each with what its service's stand-ins share.
    pub fn offices(&self) -> impl Iterator<Item = (&Office, &Modulus)> {
        self.offices.iter().zip(&self.stand_ins.moduli)
    }

    pub fn office(&self, service: Service) -> Option<(&Office, &Modulus)> {
        self.offices()
            .find(|(_, modulus)| modulus.service == service)
    }

    pub fn observe(&self) -> impl Iterator<Item = Observation> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.offices()
            .map(move |(office, modulus)| Observation::Interpreter {
                service: modulus.service,
                encrypted: read(&office.encrypted),
                read: read(&office.read),
                unread: read(&office.unread),
                untried: read(&office.untried),
                lost: read(&office.lost),
            })
    }
}

impl Office {
    /// Has words made into blocks, unless too many wait: then nothing comes of them.
    pub fn encipher(&self, job: Job, blocks: usize) -> Result<(), Job> {
        let Some(interpreter) = self.interpreter.addr() else {
            return Err(job);
        };
        // What is more than ever may wait has its turn when nothing else does.
        let Some(place) = self.blocks.take_many(blocks.min(BLOCKS)) else {
            self.lost
                .fetch_add(job.texts.len() as u64, Ordering::Relaxed);
            return Err(job);
        };
        interpreter.do_send(Encipher { job, _place: place });
        Ok(())
    }

    /// Has a block tried that may be for somebody of another service. `own` are the sender's places.
    pub fn decipher(&self, own: &Slots, mut decipher: Decipher) -> Result<(), Busy> {
        decipher.places = own.take().zip(self.tries.take());
        if decipher.places.is_none() {
            self.untried.fetch_add(1, Ordering::Relaxed);
            return Err(Busy);
        }
        self.interpreter.do_send(decipher);
        Ok(())
    }
}

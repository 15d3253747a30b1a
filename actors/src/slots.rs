//! Counted places: how many connections or streams there may be at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many places in all; clones share them.
#[derive(Debug, Clone)]
pub struct Slots {
    taken: Arc<AtomicUsize>,
    limit: usize,
}

/// One place or several, given back when this is dropped.
#[derive(Debug)]
pub struct Slot(Arc<AtomicUsize>, usize);

impl Slots {
    pub fn new(limit: usize) -> Slots {
        Slots {
            taken: Arc::default(),
            limit,
        }
    }

    /// A place, if there is one.
    pub fn take(&self) -> Option<Slot> {
        self.take_many(1)
    }

    /// So many places together, if there are as many.
    pub fn take_many(&self, many: usize) -> Option<Slot> {
        let more = |taken: usize| taken.checked_add(many).filter(|all| *all <= self.limit);
        self.taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .ok()
            .map(|_| Slot(self.taken.clone(), many))
    }

    /// How many there are.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let slots = Slots::new(2);
        let (one, two) = (slots.take(), slots.take());
        assert!(one.is_some() && two.is_some() && slots.take().is_none());
        drop(one);
        assert_eq!(slots.taken(), 1);
        assert!(slots.take().is_some());
        drop(two);
        assert!(slots.take_many(2).is_some() && slots.take_many(3).is_none());
    }
}

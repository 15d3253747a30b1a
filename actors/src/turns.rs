//! What waits for one who serves many: each of them has a turn after the other, however much it wants.

use std::collections::{HashMap, VecDeque};

/// What waits, by who wants it.
pub struct Turns<T> {
    waiting: HashMap<u64, VecDeque<T>>,
    /// Those for whom something waits; the first is next.
    order: VecDeque<u64>,
}

impl<T> Default for Turns<T> {
    fn default() -> Turns<T> {
        Turns {
            waiting: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T> Turns<T> {
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether something waits for this one.
    pub fn has(&self, who: u64) -> bool {
        self.waiting.contains_key(&who)
    }

    pub fn push(&mut self, who: u64, what: T) {
        self.queue(who).push_back(what);
    }

    /// Before all else of the same one, whose turn comes after those of all others.
    pub fn put_back(&mut self, who: u64, what: T) {
        self.queue(who).push_front(what);
    }

    fn queue(&mut self, who: u64) -> &mut VecDeque<T> {
        self.waiting.entry(who).or_insert_with(|| {
            self.order.push_back(who);
            VecDeque::new()
        })
    }

    /// What is next, and for whom.
    pub fn take(&mut self) -> Option<(u64, T)> {
        let who = self.order.pop_front()?;
        let mut queue = self.waiting.remove(&who)?;
        let what = queue.pop_front()?;
        if !queue.is_empty() {
            self.waiting.insert(who, queue);
            self.order.push_back(who);
        }
        Some((who, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(turns: &mut Turns<char>) -> String {
        std::iter::from_fn(|| turns.take())
            .map(|(_, what)| what)
            .collect()
    }

    #[test]
    fn who_wants_much_is_in_nobodys_way() {
        let mut turns = Turns::default();
        "abcd".chars().for_each(|what| turns.push(1, what));
        "AB".chars().for_each(|what| turns.push(2, what));
        turns.push(3, '1');
        assert!(turns.has(3));
        assert_eq!(all(&mut turns), "aA1bBcd");
        assert!(turns.is_empty() && !turns.has(1));
    }

    #[test]
    fn what_is_put_back_stays_before_what_is_behind_it() {
        let mut turns = Turns::default();
        "ab".chars().for_each(|what| turns.push(1, what));
        turns.push(2, 'A');
        for others in [1, 2, 1, 2] {
            let (who, what) = turns.take().unwrap();
            assert_eq!(who, others);
            turns.put_back(who, what);
        }
        assert_eq!(all(&mut turns), "aAb");
    }
}

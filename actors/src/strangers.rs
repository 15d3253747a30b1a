//! People of other services as one service's lists show them: who is nearest comes first.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::messages::Person;

/// The people of all other services, by when they came or spoke last.
#[derive(Default)]
pub struct Strangers {
    /// Whom text can be shown to, …
    near: BTreeMap<u64, Arc<Person>>,
    /// … and the others.
    mute: BTreeMap<u64, Arc<Person>>,
    stamps: HashMap<u64, u64>,
    clock: u64,
}

impl Strangers {
    /// Somebody has come, or speaks to this service.
    pub fn touch(&mut self, person: &Arc<Person>) {
        self.clock += 1;
        let old = self.stamps.insert(person.id, self.clock);
        let row = match person.reads {
            true => &mut self.near,
            false => &mut self.mute,
        };
        if let Some(old) = old {
            row.remove(&old);
        }
        row.insert(self.clock, person.clone());
    }

    pub fn remove(&mut self, person: u64) {
        if let Some(stamp) = self.stamps.remove(&person) {
            self.near.remove(&stamp);
            self.mute.remove(&stamp);
        }
    }

    pub fn len(&self) -> usize {
        self.stamps.len()
    }

    /// The nearest, then the bot, then the others, at last those to whom no text can be shown.
    pub fn in_order<'a>(
        &'a self,
        bot: Option<&'a Arc<Person>>,
    ) -> impl Iterator<Item = &'a Arc<Person>> {
        let mut near = self.near.values().rev();
        let first = near.next();
        first
            .into_iter()
            .chain(bot)
            .chain(near)
            .chain(self.mute.values().rev())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::messages::Service;

    pub(crate) fn person(id: u64, service: Service) -> Arc<Person> {
        let name: Arc<str> = format!("p{id}").into();
        Arc::new(Person {
            id,
            shown: format!("{name}@{service}").into(),
            name,
            service,
            entry: Box::default(),
            block: 0,
            reads: service != Service::Tumip,
            private: false,
            exponent: 0,
            stand_ins: Box::default(),
        })
    }

    #[test]
    fn who_came_or_spoke_last_comes_first_then_the_bot_and_the_mute_at_the_end() {
        let bot = person(99, Service::House);
        let mut strangers = Strangers::default();
        let ids = |strangers: &Strangers| -> Vec<u64> {
            strangers
                .in_order(Some(&bot))
                .map(|person| person.id)
                .collect()
        };
        assert_eq!(ids(&strangers), [99]);
        for (id, service) in [
            (1, Service::Web),
            (2, Service::Tumip),
            (3, Service::LanChat),
        ] {
            strangers.touch(&person(id, service));
        }
        assert_eq!(ids(&strangers), [3, 99, 1, 2]);
        strangers.touch(&person(1, Service::Web));
        assert_eq!(ids(&strangers), [1, 99, 3, 2]);
        strangers.remove(1);
        strangers.remove(2);
        strangers.remove(7);
        assert_eq!(ids(&strangers), [3, 99]);
        assert_eq!(strangers.len(), 1);
    }
}

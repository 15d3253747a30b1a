//! A house whose bot counts what it is told.
use std::future::ready;

use playhouse::Playhouse;
use playhouse::bot::{Bot, Reply};

pub struct Counter(pub u64);

impl Bot for Counter {
    fn answer<'a>(&'a mut self, said: &'a str) -> Reply<'a> {
        self.0 += 1;
        Box::pin(ready(Ok(format!("{}: {said}", self.0))))
    }
}

fn main() -> Result<(), playhouse::Error> {
    let house = Playhouse::builder();
    house.bot("counter", |_| Box::new(Counter(0))).run()
}

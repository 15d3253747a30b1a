//! Says what it hears.

use std::future::ready;

use crate::{Bot, Reply};

/// Gives back what was said, byte for byte.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

impl Bot for Echo {
    fn answer<'a>(&'a mut self, said: &'a str) -> Reply<'a> {
        Box::pin(ready(Ok(said.to_owned())))
    }
}

//! The last public words that the house could read, for who comes later.

use actix::prelude::*;

/// The newest messages, oldest first.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Vec<Remembered>")]
pub struct Recall {
    /// Only those with a smaller number.
    pub before: Option<u64>,
    /// So many at most.
    pub limit: usize,
    /// Only those that have this in them, in whatever case.
    pub query: Option<String>,
}

/// A message of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Ascending, also over restarts.
    pub number: u64,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Number of the person who said it.
    pub from: u64,
    /// The name that this person had.
    pub name: String,
    pub service: String,
    pub text: String,
}

/// The one history.
pub struct History;

impl Actor for History {
    type Context = Context<Self>;
}

impl Handler<Recall> for History {
    type Result = Vec<Remembered>;

    fn handle(&mut self, _: Recall, _: &mut Context<Self>) -> Vec<Remembered> {
        Vec::new()
    }
}

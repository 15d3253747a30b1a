//! How each service tells its people what happens in the house: what the lobby and the interpreters need
//! to know of a service, as a table of functions.

use std::sync::Arc;

use bytes::Bytes;

use crate::messages::{Person, Service};

/// What a service makes of a new list of people.
pub struct ListChange<'a> {
    /// A JSON object of names and public keys.
    pub people: &'a [u8],
    pub joined: &'a [Arc<str>],
    pub left: &'a [Arc<str>],
    /// Whether each name gets a list of its own.
    pub one_by_one: bool,
    /// Who came since the last list, …
    pub came: &'a [Arc<Person>],
    /// … and who went.
    pub went: &'a [Arc<Person>],
}

/// Plain words, as the lobby hands them on.
pub struct Spoken<'a> {
    pub from: &'a Person,
    /// UTF-8, without line ends; each is a message.
    pub texts: &'a [Bytes],
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Number of the first text in the history, of those that are kept; the others follow.
    pub number: Option<u64>,
    /// Number of the person for whom alone they are.
    pub to: Option<u64>,
}

/// Encodes a new list of people for one service, as whole messages; `None` where people ask for lists,
/// or have no word for them.
pub type ListEncoder = Option<fn(&ListChange<'_>) -> Vec<Bytes>>;
/// Encodes words for all people of one service alike; `None` where each connection does so itself.
pub type WordsEncoder = Option<fn(&Spoken<'_>) -> Bytes>;

/// One service's words for what happens in the house.
#[derive(Debug, Clone, Copy)]
pub struct Language {
    pub service: Service,
    pub people: ListEncoder,
    pub words: WordsEncoder,
}

impl Language {
    /// A service whose connections get `Heard::Words`, and whose people are told of nobody.
    pub const fn plain(service: Service) -> Language {
        Language {
            service,
            people: None,
            words: None,
        }
    }
}

//! How each service tells its people what happens in the house: what the lobby and the interpreters need
//! to know of a service, as a table of functions.

use std::sync::Arc;

use bytes::Bytes;
use rsa::RsaPublicKey;

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
    /// Whether people see their own public words come back.
    pub echo: bool,
    /// Whether there is a way to show people text.
    pub reads: bool,
    /// How people's keys are used; `None` where they have none.
    pub secrecy: Option<&'static Secrecy>,
}

/// How a service encrypts whose people have keys of their own.
#[derive(Debug)]
pub struct Secrecy {
    pub padding: Padding,
    /// Bits of the keys that the house holds there for people of other services.
    pub bits: usize,
    /// The file in the data folder that what these keys share is kept in.
    pub file: &'static str,
    /// A public key as lists show it, …
    pub pem: fn(&RsaPublicKey) -> Option<String>,
    /// … and back.
    pub parse: fn(&str) -> Option<RsaPublicKey>,
    /// What stands before the words of the person shown under this name, where the protocol has no other
    /// place for it.
    pub opening: fn(&str) -> String,
    /// One block of the person shown under this name, as a whole message.
    pub wire: fn(&str, &[u8]) -> Bytes,
    /// Bytes of people that a list may have so that every client can read it, beside names of so many
    /// bytes: people of other services are left out beyond it.
    pub list_bytes: fn(usize) -> usize,
    /// Whether a list names nobody who has come or gone, so that one may go out though nobody has.
    pub has_bare_lists: bool,
}

/// What makes a text as long as a block, so that the same text never looks the same twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// RSA-OAEP with SHA-256.
    Oaep,
    /// RSA PKCS#1 v1.5.
    Pkcs1,
}

impl Language {
    /// A service whose connections get `Heard::Words`, and whose people are told of nobody.
    pub const fn plain(service: Service) -> Language {
        Language {
            service,
            people: None,
            words: None,
            echo: false,
            reads: true,
            secrecy: None,
        }
    }
}

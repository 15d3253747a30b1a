//! What the lobby is told and asked.

use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;

use crate::inbox::Sender;
use crate::messages::{Heard, Person, Receipt, Service};

/// A newcomer with a name it would like, a public key, and where to tell it what it hears.
#[derive(Message)]
#[rtype(result = "Arc<Person>")]
pub struct Join {
    /// Number of the person, drawn by the connection and never used before.
    pub person: u64,
    pub service: Service,
    pub wanted: String,
    /// PEM, as it is shown to others; empty where people have no keys.
    pub key: String,
    /// Bytes of the key's modulus, 0 without a key.
    pub block: usize,
    /// Number of the core that the connection lives on.
    pub floor: usize,
    pub seat: Recipient<Heard>,
}

/// Somebody is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Leave {
    pub person: u64,
}

/// Somebody says something to all of their service: whole messages in its wire format.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Say {
    pub service: Service,
    /// Number of a person who does not hear it: the one who says it, perhaps.
    pub but: Option<u64>,
    pub wire: Bytes,
    pub messages: u64,
    /// The same for people of other services, if the house can read it.
    pub plain: Option<Plain>,
    pub receipt: Receipt,
}

/// What somebody says, without its service's wire format.
#[derive(Debug, Clone)]
pub struct Plain {
    /// Number of the person who says it.
    pub from: u64,
    pub texts: Arc<[Bytes]>,
}

/// Somebody says something that the house can read, to one or to all others.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Speak {
    /// Number of the person who speaks.
    pub from: u64,
    /// UTF-8 without line ends, each a message; what is not is made so for those who would be harmed.
    pub texts: Arc<[Bytes]>,
    /// `None`: all others.
    pub to: Option<To>,
    pub receipt: Option<Receipt>,
}

/// The one person that words are for.
#[derive(Debug, Clone)]
pub struct To {
    pub person: u64,
    /// The server's number of the message.
    pub number: u64,
    /// Who wants to know what becomes of it.
    pub sender: Option<Sender>,
}

/// Everyone who is here, by name.
#[derive(Message)]
#[rtype(result = "Arc<[Arc<Person>]>")]
pub struct Everyone;

/// Somebody is shown out, if there is such a person.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct ShowOut {
    pub person: u64,
    /// Told to the person, and logged.
    pub reason: String,
}

/// The numbers of all people that people of a service may know of.
#[derive(Message)]
#[rtype(result = "Arc<[u64]>")]
pub struct Who(pub Service);

/// The names of so many people of all services, each with its service, and how many people there are.
#[derive(Message)]
#[rtype(result = "(Vec<String>, usize)")]
pub struct Names(pub usize);

/// The name of a person of whom people of a service may know.
#[derive(Message)]
#[rtype(result = "Option<Arc<str>>")]
pub struct NameOf(pub Service, pub u64);

/// These names belong to people who were here before a restart and are about to come back.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reserve(pub Vec<(Arc<str>, u64)>);

/// A floor tells a rebuilt lobby who is here.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Restore {
    pub person: Arc<Person>,
    pub floor: usize,
    pub seat: Recipient<Heard>,
}

/// A floor was rebuilt: seat its people again.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reseat {
    pub floor: usize,
}

/// Merged updates go out.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Publish(pub Service);

/// Newcomers who have waited long enough get a list.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Greet(pub Service);

//! `packetchat`: sessions, messages and files, one packet a datagram (docs/protocols.md,
//! "packetchat").

mod codec;
mod message;
mod number;

pub use codec::*;
pub use message::*;
pub use number::*;

//! `tumip`: users who send pictures and ask a bot (docs/protocols.md, "tumip").

mod codec;
mod message;

pub use codec::*;
pub use message::*;

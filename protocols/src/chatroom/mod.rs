//! `chatroom`: bare words and blocks, each in a write of its own (docs/protocols.md, "chatroom").

mod codec;
mod message;

pub use codec::*;
pub use message::*;

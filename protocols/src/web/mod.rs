//! `web`: the WebSocket of the console (docs/protocols.md, "web").

mod codec;
mod message;

pub use codec::*;
pub use message::*;

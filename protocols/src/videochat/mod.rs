//! `videochat`: prompts in the clear, then framed JSON and JPEG (docs/protocols.md, "videochat").

mod codec;
mod message;

pub use codec::*;
pub use message::*;

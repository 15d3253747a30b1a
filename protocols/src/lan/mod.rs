//! The four plain services, lan_file, lan_chat, lan_audio and lan_video: docs/protocols.md, "lan".

mod codec;
mod message;

pub use codec::*;
pub use message::*;

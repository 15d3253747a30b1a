//! An actor-based multimedia server, to be opened, embedded and extended: `Playhouse::builder()` is the house
//! as the program `playhouse` has it, and takes whatever you add to it.
//!
//! ```no_run
//! use playhouse::Playhouse;
//!
//! fn main() -> Result<(), playhouse::Error> {
//!     Playhouse::builder().preset("bot.kind", "echo").run()
//! }
//! ```
//!
//! - [`bot`]: a bot of your own, who is in the room and answers whoever asks.
//! - [`service`]: a TCP service of your own, whose people are in the room like everyone.
//!
//! docs/extending.md walks through both, and docs/architecture.md says who lives in the house.
#![warn(missing_docs)]

pub mod bot;
mod bot_keys;
mod builder;
mod cli;
mod command;
mod config;
mod error;
mod extensions;
mod files;
mod log;
mod offer;
mod password;
mod serve;
pub mod service;
mod setting;
mod show;

pub use builder::{Builder, Playhouse};
pub use error::Error;
pub use setting::Setting;

pub use actix;
pub use bytes;

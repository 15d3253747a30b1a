//! Everything in the house that lives: one actor a file, and the messages between them.
//!
//! A message's way: socket → codec → connection → [`Lobby`] → [`Floor`] of each core → every
//! connection concerned → [`Outbound`] → socket. A frame's way: [`Library`] knows the file →
//! [`Channel`] has each frame decoded and encoded once → [`Streamer`] picks and paces → connection →
//! [`Outbound`] → socket. docs/architecture.md draws both.

mod channel;
mod chatroom;
mod courier;
mod datagrams;
mod desk;
mod disk;
mod download;
mod endpoint;
mod file_store;
mod floor;
mod frame_pool;
mod gate;
mod guest;
mod house;
mod house_key;
mod inbox;
mod ledger;
mod library;
mod link;
mod listener;
mod lobby;
mod messages;
mod outbound;
#[cfg(test)]
mod packet_supervision_tests;
mod pump;
mod rates;
mod refusals;
mod roster;
mod seat;
mod seldom;
mod sent;
mod session;
mod settings;
mod slots;
mod socket;
mod storeroom;
mod streamer;
#[cfg(test)]
mod supervision_tests;
mod supervisor;
mod upload;
mod videochat;
mod watch;

pub use channel::Channel;
pub use chatroom::ChatroomConnection;
pub use download::Download;
pub use endpoint::Endpoint;
pub use file_store::{FileStore, draw_file_number};
pub use floor::Floor;
pub use house::{House, StartError};
pub use library::Library;
pub use listener::Listener;
pub use lobby::Lobby;
pub use messages::*;
pub use outbound::{Outbound, Overflow, Rule, Segment};
pub use playhouse_protocols::packetchat::MAX_FILE_NAME;
pub use session::Session;
pub use settings::{FileLimits, Limits, Pace, Packetchat, Settings};
pub use socket::raise_open_files;
pub use streamer::Streamer;
pub use supervisor::{Census, CloseHouse, Household, Supervisor};
pub use upload::Upload;
pub use videochat::VideochatConnection;
pub use watch::{Post, panic_message};

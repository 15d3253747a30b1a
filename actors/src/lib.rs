//! Everything in the house that lives: one actor a file, and the messages between them.
//!
//! A message's way: socket → codec → connection → [`Lobby`] → [`Floor`] of each core → every
//! connection concerned → [`Outbound`] → socket. A frame's way: [`Library`] knows the file →
//! [`Channel`] has each frame decoded and encoded once → [`Streamer`] picks and paces → connection →
//! [`Outbound`] → socket. docs/architecture.md draws both.

mod audio_source;
mod bridge;
#[cfg(test)]
mod bridge_supervision_tests;
mod cameras;
mod channel;
mod chat_bot;
mod chatroom;
mod cipher;
mod courier;
mod crew;
mod datagrams;
mod desk;
mod download;
mod endpoint;
mod file_offer;
mod file_store;
mod floor;
mod follower;
mod frame_pool;
mod free_name;
mod gate;
mod guest;
mod history;
mod house;
mod house_bot;
mod house_facts;
mod house_key;
mod inbox;
mod interpreter;
mod lan_audio;
mod lan_chat;
mod lan_file;
#[cfg(test)]
mod lan_supervision_tests;
mod lan_video;
mod language;
mod ledger;
mod library;
mod link;
mod listener;
mod live_channel;
mod live_source;
#[cfg(test)]
mod live_supervision_tests;
mod lobby;
mod lobby_messages;
mod locks;
mod memory;
mod messages;
mod outbound;
#[cfg(test)]
mod packet_supervision_tests;
mod persistence;
mod picture_port;
mod pump;
mod rates;
mod recorder;
mod recordings;
mod refusals;
mod residents;
mod room;
mod roster;
mod seat;
mod seldom;
mod send_file;
mod sent;
mod services;
mod session;
mod settings;
mod slots;
mod socket;
mod sound_queue;
mod speech;
mod stand_in;
mod storeroom;
mod strangers;
mod streamer;
mod studio;
#[cfg(test)]
mod supervision_tests;
mod supervisor;
mod traffic;
mod tumip;
mod upload;
mod videochat;
mod viewing;
mod watch;
mod web;
mod words;

// For what `conversation!` writes, and for those who write connections outside.
pub use actix;

pub use audio_source::AudioSource;
pub use channel::Channel;
pub use chat_bot::{BotMaker, ChatBot};
pub use chatroom::ChatroomConnection;
pub use download::Download;
pub use endpoint::Endpoint;
pub use file_offer::FileOffer;
pub use file_store::{FileStore, draw_file_number};
pub use floor::Floor;
pub use follower::Follower;
pub use guest::{Audience, Conversation, Guest};
pub use history::{History, Recall, Remembered};
pub use house::{House, Rooms, StartError};
pub use house_bot::HouseBot;
pub use house_facts::HouseFacts;
pub use interpreter::Interpreter;
pub use lan_audio::LanAudioConnection;
pub use lan_chat::LanChatConnection;
pub use lan_file::LanFileConnection;
pub use lan_video::LanVideoConnection;
pub use language::{Language, ListChange, ListEncoder, Spoken, WordsEncoder};
pub use library::Library;
pub use link::{Link, Parting};
pub use listener::{Listener, Welcome};
pub use live_channel::{Live as LiveEvent, LiveChannel, LiveFrame};
pub use live_source::LiveSource;
pub use lobby::{Everyone, Lobby, ShowOut, Speak, To};
pub use memory::give_back_large_blocks;
pub use messages::*;
pub use outbound::{Outbound, Overflow, Rule, Segment};
pub use picture_port::PicturePort;
pub use playhouse_protocols::packetchat::MAX_FILE_NAME;
pub use pump::Pump;
pub use recorder::Recorder;
pub use services::TcpService;
pub use session::Session;
pub use settings::{
    FileLimits, LanAudio, LanFile, LanVideo, Limits, Live, Pace, Packetchat, Recording, SAMPLE,
    Settings, Sound, Source, Tumip, Web,
};
pub use socket::raise_open_files;
pub use streamer::Streamer;
pub use supervisor::{Census, CloseHouse, Household, Supervisor};
pub use tumip::TumipConnection;
pub use upload::Upload;
pub use videochat::VideochatConnection;
pub use watch::{Post, panic_message};
pub use web::{
    AuthError, HttpConnection, MAX_PASSWORD, PasswordError, WebConnection, check_password_hash,
    hash_password,
};

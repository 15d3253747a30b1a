//! What several actors handle or name.

use std::fmt;
use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use serde::{Serialize, Serializer};
use tokio::sync::oneshot;

use crate::inbox::Sender;

/// A service of the house, named as everywhere: configuration, logs, documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    Chatroom,
    /// The house itself, whose bot is in the room.
    House,
    LanAudio,
    LanChat,
    LanFile,
    LanVideo,
    Packetchat,
    Tumip,
    Videochat,
    Web,
    /// One that somebody else has added, by its name.
    Other(&'static str),
}

impl Service {
    /// Those with a port of their own that come with the house, in the order in which they are shown.
    pub const ALL: [Service; 9] = [
        Service::Web,
        Service::Videochat,
        Service::Chatroom,
        Service::Packetchat,
        Service::Tumip,
        Service::LanFile,
        Service::LanChat,
        Service::LanAudio,
        Service::LanVideo,
    ];

    /// Its name in the configuration, the logs and the documentation.
    pub fn name(self) -> &'static str {
        match self {
            Service::Chatroom => "chatroom",
            Service::House => "house",
            Service::LanAudio => "lan_audio",
            Service::LanChat => "lan_chat",
            Service::LanFile => "lan_file",
            Service::LanVideo => "lan_video",
            Service::Packetchat => "packetchat",
            Service::Tumip => "tumip",
            Service::Videochat => "videochat",
            Service::Web => "web",
            Service::Other(name) => name,
        }
    }
}

impl Serialize for Service {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Somebody in the house.
#[derive(Debug, PartialEq, Eq)]
pub struct Person {
    /// Never used twice while the house stands.
    pub id: u64,
    /// Unique in the house.
    pub name: Arc<str>,
    pub service: Service,
    /// `"name":"public key"` as JSON, the way lists show this person; empty without a key.
    pub entry: Box<[u8]>,
    /// Bytes of the public key's modulus, the length of a block encrypted with it; 0 without a key.
    pub block: usize,
    /// Whether there is a way to show text to this person.
    pub reads: bool,
    /// Whether this person has a key of its own, so that people of its service write to it end to end.
    pub private: bool,
    /// The name under which people of services with keys see this person, if it is of another service.
    pub shown: Arc<str>,
    /// What the keys are made with that the house holds for this person there.
    pub exponent: u32,
    /// `entry` with those keys, by the service whose lists show it.
    pub stand_ins: Box<[(Service, Box<[u8]>)]>,
}

impl Person {
    /// How the lists of another service show this person; `None` where they do not.
    pub fn stand_in(&self, service: Service) -> Option<&[u8]> {
        let mut entries = self.stand_ins.iter();
        let (_, entry) = entries.find(|(other, _)| *other == service)?;
        Some(entry)
    }
}

/// What a person's connection is told.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub enum Heard {
    /// Who is here has changed; each part is a whole message in the service's wire format.
    Presence {
        wire: Arc<[Bytes]>,
        /// The lengths of everyone's blocks, in bytes, ascending.
        blocks: Arc<[usize]>,
    },
    /// What somebody said: whole messages in the service's wire format.
    Said(Bytes),
    /// What somebody said that the house can read.
    Words(Words),
    /// What this person said could not be given to whom it was for, and why.
    Refused(Arc<str>),
    /// The house wants this person to go, and why.
    ShownOut(Arc<str>),
}

/// Plain words.
#[derive(Debug, Clone)]
pub struct Words {
    /// Number of the person whose words they are.
    pub from: u64,
    pub text: Bytes,
    /// For this person alone: the server's number of the message, and who wants to know what becomes
    /// of it, if anybody. `None`: for all others.
    pub to: Option<(u64, Option<Sender>)>,
}

/// Held by whoever still has work with what a connection sent. When the last one is dropped, the
/// connection reads on: this is how a flood of messages waits for the house.
#[derive(Debug, Clone)]
pub struct Receipt {
    _sender: Arc<oneshot::Sender<()>>,
}

impl Receipt {
    /// A receipt, and what resolves (to an error, which means nothing) when its last copy is gone.
    pub fn new() -> (Receipt, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        let receipt = Receipt {
            _sender: Arc::new(sender),
        };
        (receipt, receiver)
    }
}

/// The house closes: say goodbye, send what is queued, go.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Dismiss;

/// Asks an actor for its state.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Observation")]
pub struct Observe;

/// An actor's state, small enough to compare, for tests and for the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, MessageResponse)]
#[serde(tag = "actor", rename_all = "snake_case")]
pub enum Observation {
    Lobby {
        people: usize,
        messages: u64,
        lists: u64,
    },
    Floor {
        seats: usize,
        behind: usize,
        held: usize,
        /// Words of other services that somebody who was behind did not get.
        passed_over: u64,
    },
    Interpreter {
        service: Service,
        /// Blocks that were made for people of this service.
        encrypted: u64,
        /// Blocks of its people that somebody of another service could be given, …
        read: u64,
        /// … that were for nobody, …
        unread: u64,
        /// … and that were not tried, because too many waited.
        untried: u64,
        /// Words that did not come to this service, because too many waited.
        lost: u64,
    },
    Listener {
        service: Service,
        connections: usize,
        accepted: u64,
        refused: u64,
    },
    Library {
        videos: usize,
        rejected: usize,
        channels: usize,
    },
    Channel {
        file: String,
        wanted: usize,
        jobs: usize,
    },
    Streamer {
        shown: u32,
        asked: u32,
        of: u32,
    },
    Connection {
        name: Option<String>,
        backlog: usize,
        streaming: bool,
    },
    Endpoint {
        sessions: usize,
        /// Since the start.
        begun: u64,
        uploads: usize,
        downloads: usize,
        received: u64,
        sent: u64,
        refused: u64,
        /// Datagrams for which the socket had no room.
        dropped: u64,
    },
    Session {
        name: String,
        backlog: usize,
        remembered: usize,
    },
    FileStore {
        files: u64,
        bytes: u64,
    },
    Upload {
        size: u64,
        waiting: usize,
        finished: bool,
    },
    /// Those that come over HTTP.
    Uploads {
        under_way: usize,
        /// Of these, those of which somebody just sends something.
        at_work: usize,
    },
    Download {
        waiting: usize,
        blocks: usize,
    },
    LiveChannel {
        name: String,
        on_air: bool,
        recorded: bool,
        viewers: usize,
        /// Since it is on air.
        frames: u64,
        /// By all viewers together, for they were too slow.
        missed: u64,
    },
    Follower {
        channel: String,
        shown: u32,
    },
    Recorder {
        channel: String,
        recorded: u64,
        missed: u64,
    },
    LiveSource {
        name: String,
        /// Whether pictures come, or may come.
        connected: bool,
    },
    PicturePorts {
        open: usize,
        frames: u64,
        /// Good ones for which a channel was too busy.
        missed: u64,
        /// Datagrams from another address than the user's.
        foreign: u64,
        /// Pictures of too many pixels.
        too_large: u64,
        /// Damaged pictures, and what is none.
        no_jpeg: u64,
    },
    ChatBot {
        asked: u64,
    },
    HttpConnection {
        /// Whether it has become a WebSocket.
        upgraded: bool,
    },
    HouseBot {
        conversations: usize,
        waiting: usize,
        asked: u64,
        /// Because too many waited.
        turned_away: u64,
    },
    History {
        messages: usize,
        /// Of their texts.
        bytes: usize,
        unwritten: usize,
    },
    FileOffer {
        waiting: usize,
    },
    FileTransfer {
        /// Bytes.
        sent: u64,
    },
    AudioSource {
        /// Whether sound comes, or may come.
        connected: bool,
        hearers: usize,
        /// Buffers.
        played: u64,
        /// Of these, those for which the source had nothing.
        silent: u64,
    },
    Supervisor {
        restarts: u64,
    },
}

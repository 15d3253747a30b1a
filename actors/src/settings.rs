//! What the operator decides; `src` reads it from the configuration and checks it.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use playhouse_media::SAMPLE_RATE;
use playhouse_protocols::lan::BUFFER_SAMPLES;
use playhouse_storage::Offer;
use serde::{Deserialize, Serialize};

use crate::chat_bot::BotMaker;
use crate::services::TcpService;

/// The sample video among those in `videos_dir`, whose file lan_file offers and whose sound lan_audio plays
/// when there is nothing else.
pub const SAMPLE: &str = "mandelbrot_720p.mp4";

/// How fast recorded video goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    /// At the video's own frame rate, after a short head start.
    Realtime,
    /// As fast as the client takes it.
    Fast,
}

/// How the house is set up. config/default.toml says what each value means.
#[derive(Debug, Clone)]
pub struct Settings {
    pub bind: IpAddr,
    pub allow: Vec<IpNet>,
    pub data_dir: PathBuf,
    pub videos_dir: PathBuf,
    pub max_connections: usize,
    /// Event loops, one a core.
    pub arbiters: usize,
    pub pace: Pace,
    pub head_start: Duration,
    pub jpeg_quality: u8,
    pub cache_bytes: usize,
    pub max_streams: usize,
    pub lobby_merge: Duration,
    /// Bytes of lists of people that may go out in a second, to all together.
    pub presence_bytes: u64,
    /// Whether people of all services are in one room.
    pub bridge: bool,
    /// Public messages that are remembered.
    pub history: usize,
    /// The ports of the services that are on; 0 lets the system choose.
    pub videochat: Option<u16>,
    pub chatroom: Option<u16>,
    pub packetchat: Option<Packetchat>,
    pub tumip: Option<Tumip>,
    pub lan_file: Option<LanFile>,
    pub lan_chat: Option<u16>,
    pub lan_audio: Option<LanAudio>,
    pub lan_video: Option<LanVideo>,
    pub web: Option<Web>,
    /// Those that somebody else has added.
    pub services: Vec<TcpService>,
    pub live: Live,
    pub bot: BotMaker,
    /// For one answer of a bot.
    pub bot_time_limit: Duration,
    pub legacy_gap: Duration,
    pub limits: Limits,
    pub files: FileLimits,
}

/// How packetchat is set up.
#[derive(Debug, Clone)]
pub struct Packetchat {
    /// UDP; 0 lets the system choose.
    pub port: u16,
    /// A session of which nothing is heard for so long is over.
    pub session_timeout: Duration,
    /// Whether a session belongs to the IP address that began it.
    pub pin_address: bool,
    pub max_sessions: usize,
    pub sessions_per_address: usize,
    /// Bytes of messages that may wait for all users together.
    pub backlog_bytes: usize,
    /// Of one address.
    pub packets_per_s: u32,
}

/// How tumip is set up.
#[derive(Debug, Clone)]
pub struct Tumip {
    /// TCP; 0 lets the system choose.
    pub port: u16,
    /// UDP ports for pictures; `None` lets the system choose them.
    pub udp_ports: Option<RangeInclusive<u16>>,
    /// A question that is shorter than it says is complete after so much silence.
    pub quiet: Duration,
    /// Users who send pictures at once.
    pub max_users: usize,
}

impl Default for Tumip {
    /// For a house without it.
    fn default() -> Tumip {
        Tumip {
            port: 0,
            udp_ports: None,
            quiet: Duration::ZERO,
            max_users: 0,
        }
    }
}

/// How lan_file is set up.
#[derive(Debug, Clone)]
pub struct LanFile {
    /// TCP; 0 lets the system choose.
    pub port: u16,
    /// What is on offer as long as `playhouse offer` has not said something else.
    pub offer: Offer,
}

/// How lan_audio is set up.
#[derive(Debug, Clone)]
pub struct LanAudio {
    /// TCP; 0 lets the system choose.
    pub port: u16,
    pub source: Sound,
    /// Sound that waits for a listener who falls behind.
    pub backlog: Duration,
}

impl LanAudio {
    /// Buffers that wait for a listener who falls behind, rounded up.
    pub fn backlog_buffers(&self) -> usize {
        let samples = self.backlog.as_millis() * u128::from(SAMPLE_RATE) / 1000;
        usize::try_from(samples)
            .unwrap_or(usize::MAX)
            .div_ceil(BUFFER_SAMPLES)
    }
}

/// How the web service is set up.
#[derive(Debug, Clone)]
pub struct Web {
    /// TCP; 0 lets the system choose.
    pub port: u16,
    /// Argon2 hash of what opens the pages, in PHC form; `None`: they are open.
    pub password: Option<String>,
    /// The same for what changes the house; `None`: nobody may.
    pub admin_password: Option<String>,
    /// Names under which browsers may come, beside addresses and names of local networks.
    pub hosts: Vec<String>,
    /// How long somebody stays signed in.
    pub session: Duration,
}

/// What lan_audio plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sound {
    /// That of the sample video.
    Sample,
    /// One of 440 Hz.
    Tone,
    /// A file, an address on the network or a capture device.
    Address(String),
}

/// How lan_video is set up.
#[derive(Debug, Clone)]
pub struct LanVideo {
    /// TCP; 0 lets the system choose.
    pub port: u16,
    /// Bytes of one frame, pickled.
    pub max_frame: usize,
    pub max_cameras: usize,
}

/// How live channels are set up.
#[derive(Debug, Clone)]
pub struct Live {
    /// A channel goes off air so long after its last picture.
    pub linger: Duration,
    /// Frames that a viewer in chatroom gets.
    pub chatroom_frames: u32,
    pub recording: Recording,
    pub sources: Vec<Source>,
}

/// What is recorded, and what recordings may take.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Whether every channel is, and not only those that an admin wants to be.
    pub all: bool,
    /// Of one file; another one follows.
    pub max_length: Duration,
    /// Bytes of all recordings.
    pub quota: u64,
    /// Bytes that are left free on the disk.
    pub min_free: u64,
    /// At once.
    pub max_recordings: usize,
}

/// A live channel whose pictures come from what FFmpeg reads.
#[derive(Debug, Clone)]
pub struct Source {
    pub name: Arc<str>,
    pub url: String,
}

/// What the house's files may take.
#[derive(Debug, Clone)]
pub struct FileLimits {
    /// Bytes of one file.
    pub max_file: u64,
    /// Bytes of all files.
    pub quota: u64,
    /// Bytes that are left free on the disk.
    pub min_free: u64,
    /// An upload of which nothing comes for so long is over.
    pub upload_expiry: Duration,
    pub transfers_per_address: usize,
    /// Of all addresses together.
    pub max_transfers: usize,
    /// Those that have files open at once.
    pub max_moving: usize,
}

/// What one peer may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From the connection to the public key.
    pub handshake: Duration,
    /// Bytes of messages that may wait for a slow reader.
    pub backlog_bytes: usize,
    /// How long a reader may take nothing while something waits for it.
    pub stall: Duration,
    /// How long the house waits for everyone when it closes.
    pub goodbye: Duration,
}

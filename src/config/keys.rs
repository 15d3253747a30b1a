//! The keys of the configuration, and what the actors make of them.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use playhouse_actors::{
    BotMaker, FileLimits, LanAudio, LanFile, LanVideo, Limits, Live, Pace, Packetchat, Recording,
    Settings, Sound, Source, TcpService, Tumip, Web,
};
use playhouse_storage::Offer;
use serde::Deserialize;

use crate::bot_keys::BotKeys;

/// All keys, as in config/default.toml.
#[derive(Debug, Deserialize)]
pub struct Config {
    pub server: Server,
    pub log: Log,
    pub(super) lobby: Lobby,
    pub(super) streaming: Streaming,
    pub(super) limits: LimitKeys,
    pub(super) videochat: Videochat,
    pub(super) chatroom: Chatroom,
    pub(super) packetchat: PacketchatKeys,
    pub(super) files: Files,
    pub(super) tumip: TumipKeys,
    pub(super) lan_file: LanFileKeys,
    pub(super) lan_chat: LanChatKeys,
    pub(super) lan_audio: LanAudioKeys,
    pub(super) lan_video: LanVideoKeys,
    pub(super) web: WebKeys,
    pub(super) live: LiveKeys,
    pub(super) bot: BotKeys,
    /// Made of `bot` when it is checked.
    #[serde(skip)]
    pub(super) maker: BotMaker,
    /// What the program adds and is on.
    #[serde(skip)]
    pub(super) services: Vec<TcpService>,
}

#[derive(Debug, Deserialize)]
pub struct Server {
    pub bind: IpAddr,
    pub allow: Vec<IpNet>,
    pub data_dir: PathBuf,
    pub videos_dir: PathBuf,
    pub max_connections: usize,
    pub threads: usize,
}

#[derive(Debug, Deserialize)]
pub struct Log {
    pub level: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Deserialize)]
pub(super) struct Lobby {
    pub(super) merge_ms: u64,
    pub(super) presence_mb_s: u64,
    pub(super) bridge: bool,
    pub(super) history: usize,
}

#[derive(Debug, Deserialize)]
pub(super) struct Streaming {
    pub(super) pace: Pace,
    pub(super) head_start_ms: u64,
    pub(super) jpeg_quality: u8,
    pub(super) cache_mb: usize,
    pub(super) max_streams: usize,
}

#[derive(Debug, Deserialize)]
pub(super) struct LimitKeys {
    pub(super) handshake_s: u64,
    pub(super) backlog_kb: usize,
    pub(super) stall_s: u64,
    pub(super) goodbye_s: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Videochat {
    pub(super) enabled: bool,
    pub(super) port: u16,
}

#[derive(Debug, Deserialize)]
pub(super) struct Chatroom {
    pub(super) enabled: bool,
    pub(super) port: u16,
    pub(super) legacy_gap_ms: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct PacketchatKeys {
    pub(super) enabled: bool,
    pub(super) port: u16,
    pub(super) session_timeout_s: u64,
    pub(super) pin_address: bool,
    pub(super) max_sessions: usize,
    pub(super) sessions_per_address: usize,
    pub(super) backlog_mb: usize,
    pub(super) packets_per_s: u32,
}

#[derive(Debug, Deserialize)]
pub(super) struct Files {
    pub(super) max_file_mb: u64,
    pub(super) quota_mb: u64,
    pub(super) min_free_mb: u64,
    pub(super) upload_expiry_s: u64,
    pub(super) transfers_per_address: usize,
    pub(super) max_transfers: usize,
}

#[derive(Debug, Deserialize)]
pub(super) struct TumipKeys {
    pub(super) enabled: bool,
    pub(super) port: u16,
    pub(super) udp_first: u16,
    pub(super) udp_last: u16,
    pub(super) quiet_ms: u64,
    pub(super) max_users: usize,
}

#[derive(Debug, Deserialize)]
pub(super) struct LanFileKeys {
    pub(super) enabled: bool,
    pub(super) port: u16,
    pub(super) offer: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct LanChatKeys {
    pub(super) enabled: bool,
    pub(super) port: u16,
}

#[derive(Debug, Deserialize)]
pub(super) struct LanAudioKeys {
    pub(super) enabled: bool,
    pub(super) port: u16,
    pub(super) source: String,
    pub(super) backlog_ms: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct LanVideoKeys {
    pub(super) enabled: bool,
    pub(super) port: u16,
    pub(super) max_frame_mb: usize,
    pub(super) max_cameras: usize,
}

#[derive(Debug, Deserialize)]
pub(super) struct WebKeys {
    pub(super) enabled: bool,
    pub(super) port: u16,
    pub(super) password: String,
    pub(super) admin_password: String,
    pub(super) hosts: Vec<String>,
    pub(super) session_hours: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct LiveKeys {
    pub(super) linger_s: u64,
    pub(super) chatroom_frames: u32,
    pub(super) record: bool,
    pub(super) record_minutes: u64,
    pub(super) record_quota_mb: u64,
    pub(super) record_min_free_mb: u64,
    pub(super) max_recordings: usize,
    pub(super) source: Vec<SourceKeys>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceKeys {
    pub(super) name: String,
    pub(super) url: String,
}

impl Config {
    /// Whether live channels are recorded, so that the videos folder is written to.
    pub fn records(&self) -> bool {
        self.live.record
    }

    /// What lan_file offers as long as `playhouse offer` has not said something else.
    pub fn offer(&self) -> Offer {
        Offer::new(OsString::from(&self.lan_file.offer))
    }

    /// Files that keys name, which may come later, but not by a mistake in their names.
    pub fn named_files(&self) -> Vec<(&'static str, PathBuf)> {
        let (file, audio) = (&self.lan_file, &self.lan_audio);
        let mut files = Vec::new();
        if file.enabled && file.offer.contains('/') {
            files.push(("lan_file.offer", PathBuf::from(&file.offer)));
        }
        if audio.enabled
            && let Sound::Address(address) = audio.sound()
            && !address.contains("://")
            && !address.starts_with("device:")
        {
            files.push(("lan_audio.source", PathBuf::from(address)));
        }
        files
    }

    /// What the actors work with.
    pub fn settings(&self) -> Settings {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Settings {
            bind: self.server.bind,
            allow: self.server.allow.clone(),
            data_dir: self.server.data_dir.clone(),
            videos_dir: self.server.videos_dir.clone(),
            max_connections: self.server.max_connections,
            arbiters: if self.server.threads == 0 {
                cores
            } else {
                self.server.threads
            },
            pace: self.streaming.pace,
            head_start: Duration::from_millis(self.streaming.head_start_ms),
            jpeg_quality: self.streaming.jpeg_quality,
            cache_bytes: self.streaming.cache_mb << 20,
            max_streams: self.streaming.max_streams,
            lobby_merge: Duration::from_millis(self.lobby.merge_ms),
            presence_bytes: self.lobby.presence_mb_s * 1_000_000,
            bridge: self.lobby.bridge,
            history: self.lobby.history,
            videochat: self.videochat.enabled.then_some(self.videochat.port),
            chatroom: self.chatroom.enabled.then_some(self.chatroom.port),
            packetchat: self.packetchat.enabled.then(|| Packetchat {
                port: self.packetchat.port,
                session_timeout: Duration::from_secs(self.packetchat.session_timeout_s),
                pin_address: self.packetchat.pin_address,
                max_sessions: self.packetchat.max_sessions,
                sessions_per_address: self.packetchat.sessions_per_address,
                backlog_bytes: self.packetchat.backlog_mb << 20,
                packets_per_s: self.packetchat.packets_per_s,
            }),
            tumip: self.tumip.enabled.then(|| self.tumip.settings()),
            lan_file: self.lan_file.enabled.then(|| LanFile {
                port: self.lan_file.port,
                offer: self.offer(),
            }),
            lan_chat: self.lan_chat.enabled.then_some(self.lan_chat.port),
            lan_audio: self.lan_audio.enabled.then(|| LanAudio {
                port: self.lan_audio.port,
                source: self.lan_audio.sound(),
                backlog: Duration::from_millis(self.lan_audio.backlog_ms),
            }),
            lan_video: self.lan_video.enabled.then_some(LanVideo {
                port: self.lan_video.port,
                max_frame: self.lan_video.max_frame_mb << 20,
                max_cameras: self.lan_video.max_cameras,
            }),
            web: self.web.enabled.then(|| self.web.settings()),
            services: self.services.clone(),
            live: self.live.settings(),
            bot: self.maker.clone(),
            bot_time_limit: Duration::from_secs(self.bot.time_limit_s),
            files: FileLimits {
                max_file: self.files.max_file_mb << 20,
                quota: self.files.quota_mb << 20,
                min_free: self.files.min_free_mb << 20,
                upload_expiry: Duration::from_secs(self.files.upload_expiry_s),
                transfers_per_address: self.files.transfers_per_address,
                max_transfers: self.files.max_transfers,
                max_moving: self.files.max_transfers,
            },
            legacy_gap: Duration::from_millis(self.chatroom.legacy_gap_ms),
            limits: Limits {
                handshake: Duration::from_secs(self.limits.handshake_s),
                backlog_bytes: self.limits.backlog_kb << 10,
                stall: Duration::from_secs(self.limits.stall_s),
                goodbye: Duration::from_secs(self.limits.goodbye_s),
            },
        }
    }
}

impl LanAudioKeys {
    /// What `source` names.
    pub(super) fn sound(&self) -> Sound {
        match self.source.as_str() {
            "sample" => Sound::Sample,
            "tone" => Sound::Tone,
            address => Sound::Address(address.to_owned()),
        }
    }
}

impl WebKeys {
    fn settings(&self) -> Web {
        let hash = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Web {
            port: self.port,
            password: hash(&self.password),
            admin_password: hash(&self.admin_password),
            hosts: self.hosts.clone(),
            session: Duration::from_secs(self.session_hours * 3600),
        }
    }
}

impl TumipKeys {
    fn settings(&self) -> Tumip {
        let ports = self.udp_first..=self.udp_last;
        Tumip {
            port: self.port,
            udp_ports: (self.udp_first > 0).then_some(ports),
            quiet: Duration::from_millis(self.quiet_ms),
            max_users: self.max_users,
        }
    }
}

impl LiveKeys {
    fn settings(&self) -> Live {
        let source = |keys: &SourceKeys| Source {
            name: keys.name.as_str().into(),
            url: keys.url.clone(),
        };
        Live {
            linger: Duration::from_secs(self.linger_s),
            chatroom_frames: self.chatroom_frames,
            recording: Recording {
                all: self.record,
                max_length: Duration::from_secs(self.record_minutes * 60),
                quota: self.record_quota_mb << 20,
                min_free: self.record_min_free_mb << 20,
                max_recordings: self.max_recordings,
            },
            sources: self.source.iter().map(source).collect(),
        }
    }
}

impl Log {
    /// The filter that `level` names.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn filter(&self) -> Result<tracing_subscriber::EnvFilter, String> {
        // The library takes any word for the name of a part of the program, and would log nothing.
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let words = self.level.split(',').map(str::trim);
        if let Some(word) = words
            .filter(|word| !word.contains('='))
            .find(|word| !LEVELS.contains(&word.to_ascii_lowercase().as_str()))
        {
            return Err(format!("{word:?} is none of {}", LEVELS.join(", ")));
        }
        // What a peer does to HTTP is no error of ours; a level of its own may be given after this.
        tracing_subscriber::EnvFilter::try_new(format!("actix_http=off,{}", self.level))
            .map_err(|e| format!("{:?}: {e}", self.level))
    }
}

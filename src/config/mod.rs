//! The configuration: config/default.toml, a file, the environment, the command line, in this order.
//! An error names the key, where it was set, and the rule.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Config as Layers, Environment, File, FileFormat, Source, Value, ValueKind};
use ipnet::IpNet;
use playhouse_actors::{FileLimits, Limits, Pace, Packetchat, Settings};
use serde::Deserialize;

const DEFAULTS: &str = include_str!("../config/default.toml");
const ENVIRONMENT: &str = "the environment";
const COMMAND_LINE: &str = "the command line";

/// All keys, as in config/default.toml.
#[derive(Debug, Deserialize)]
pub struct Config {
    pub server: Server,
    pub log: Log,
    lobby: Lobby,
    streaming: Streaming,
    limits: LimitKeys,
    videochat: Videochat,
    chatroom: Chatroom,
    packetchat: PacketchatKeys,
    files: Files,
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
struct Lobby {
    merge_ms: u64,
    presence_mb_s: u64,
}

#[derive(Debug, Deserialize)]
struct Streaming {
    pace: Pace,
    head_start_ms: u64,
    jpeg_quality: u8,
    cache_mb: usize,
    max_streams: usize,
}

#[derive(Debug, Deserialize)]
struct LimitKeys {
    handshake_s: u64,
    backlog_kb: usize,
    stall_s: u64,
    goodbye_s: u64,
}

#[derive(Debug, Deserialize)]
struct Videochat {
    enabled: bool,
    port: u16,
}

#[derive(Debug, Deserialize)]
struct Chatroom {
    enabled: bool,
    port: u16,
    legacy_gap_ms: u64,
}

#[derive(Debug, Deserialize)]
struct PacketchatKeys {
    enabled: bool,
    port: u16,
    session_timeout_s: u64,
    pin_address: bool,
    max_sessions: usize,
    sessions_per_address: usize,
    backlog_mb: usize,
    packets_per_s: u32,
}

#[derive(Debug, Deserialize)]
struct Files {
    max_file_mb: u64,
    quota_mb: u64,
    min_free_mb: u64,
    upload_expiry_s: u64,
    transfers_per_address: usize,
    max_transfers: usize,
}

/// What is wrong with the configuration, every fault with its key and where it was set.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(pub Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// What the command line sets.
#[derive(Debug, Default)]
pub struct Overrides {
    pub file: Option<PathBuf>,
    pub videos: Option<PathBuf>,
    pub data: Option<PathBuf>,
    pub bind: Option<IpAddr>,
}

type Keys = BTreeMap<String, Value>;

impl Config {
    /// Reads all layers and checks them.
    ///
    /// # Errors
    /// A file that can't be read, unknown keys, values of the wrong kind or outside of their rule.
    pub fn load(overrides: &Overrides) -> Result<Config, ConfigError> {
        let environment = Environment::with_prefix("PLAYHOUSE")
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true)
            .list_separator(",")
            .with_list_parse_key("server.allow");
        Config::from_layers(overrides, environment)
    }

    fn from_layers(overrides: &Overrides, environment: Environment) -> Result<Config, ConfigError> {
        let defaults = keys_of(
            &File::from_str(DEFAULTS, FileFormat::Toml),
            "config/default.toml",
        )?;
        let mut layers = vec![("config/default.toml".to_owned(), defaults)];
        if let Some(path) = &overrides.file {
            let name = path.display().to_string();
            let file = File::from(path.as_path()).format(FileFormat::Toml);
            layers.push((name.clone(), keys_of(&file, &name)?));
        }
        layers.push((ENVIRONMENT.to_owned(), keys_of(&environment, ENVIRONMENT)?));
        layers.push((COMMAND_LINE.to_owned(), overrides.keys()));

        let mut faults = unknown_keys(&layers);
        let origin = |key: &str| {
            let layer = layers.iter().rev().find(|(_, keys)| keys.contains_key(key));
            layer.map_or("config/default.toml", |(name, _)| name.as_str())
        };
        let mut builder = Layers::builder();
        for (key, value) in layers.iter().flat_map(|(_, keys)| keys) {
            // Keys come out of a parser, so they are well-formed; unknown ones are faults already.
            builder = builder
                .set_override(key, value.clone())
                .map_err(|e| ConfigError(vec![e.to_string()]))?;
        }
        let merged = builder
            .build()
            .map_err(|e| ConfigError(vec![e.to_string()]))?;
        for key in layers[0].1.keys() {
            faults.extend(wrong_kind(&merged, key, origin(key)));
        }
        if !faults.is_empty() {
            return Err(ConfigError(faults));
        }
        let config: Config = merged
            .try_deserialize()
            .map_err(|e| ConfigError(vec![e.to_string()]))?;
        for (key, rule) in config.broken_rules() {
            faults.push(format!("{key} (set in {}): {rule}", origin(key)));
        }
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError(faults))
        }
    }

    fn broken_rules(&self) -> Vec<(&'static str, String)> {
        let mut broken = Vec::new();
        let mut rule = |key, holds: bool, text: &str| {
            if !holds {
                broken.push((key, text.to_owned()));
            }
        };
        let day = 86_400;
        rule(
            "server.allow",
            !self.server.allow.is_empty(),
            "with no network nobody can connect",
        );
        rule(
            "server.max_connections",
            self.server.max_connections > 0,
            "at least 1",
        );
        rule("server.threads", self.server.threads <= 1024, "0 to 1024");
        rule(
            "lobby.merge_ms",
            self.lobby.merge_ms <= 1000,
            "0 to 1000 milliseconds",
        );
        rule(
            "lobby.presence_mb_s",
            (1..=100_000).contains(&self.lobby.presence_mb_s),
            "1 to 100000 megabytes a second",
        );
        rule(
            "streaming.head_start_ms",
            self.streaming.head_start_ms <= 60_000,
            "0 to 60000 milliseconds",
        );
        rule(
            "streaming.jpeg_quality",
            (1..=100).contains(&self.streaming.jpeg_quality),
            "1 to 100",
        );
        rule(
            "streaming.cache_mb",
            self.streaming.cache_mb <= 1 << 20,
            "0 to 1048576 megabytes",
        );
        rule(
            "streaming.max_streams",
            self.streaming.max_streams > 0,
            "at least 1",
        );
        rule(
            "limits.handshake_s",
            (1..=day).contains(&self.limits.handshake_s),
            "1 to 86400 seconds",
        );
        rule(
            "limits.backlog_kb",
            (64..=1 << 20).contains(&self.limits.backlog_kb),
            "64 to 1048576 kilobytes",
        );
        rule(
            "limits.stall_s",
            (1..=day).contains(&self.limits.stall_s),
            "1 to 86400 seconds",
        );
        rule(
            "limits.goodbye_s",
            (1..=60).contains(&self.limits.goodbye_s),
            "1 to 60 seconds",
        );
        rule(
            "chatroom.legacy_gap_ms",
            self.chatroom.legacy_gap_ms <= 1000,
            "0 to 1000 milliseconds",
        );
        rule(
            "packetchat.session_timeout_s",
            (1..=day).contains(&self.packetchat.session_timeout_s),
            "1 to 86400 seconds",
        );
        rule(
            "packetchat.max_sessions",
            self.packetchat.max_sessions > 0,
            "at least 1",
        );
        rule(
            "packetchat.sessions_per_address",
            self.packetchat.sessions_per_address > 0,
            "at least 1",
        );
        rule(
            "packetchat.packets_per_s",
            self.packetchat.packets_per_s > 0,
            "at least 1 a second",
        );
        rule(
            "packetchat.backlog_mb",
            (1..=1 << 20).contains(&self.packetchat.backlog_mb),
            "1 to 1048576 megabytes",
        );
        rule(
            "files.max_transfers",
            self.files.max_transfers > 0,
            "at least 1",
        );
        rule(
            "files.max_file_mb",
            (1..=4096).contains(&self.files.max_file_mb),
            "1 to 4096 megabytes",
        );
        let most = 1 << 40;
        rule(
            "files.quota_mb",
            self.files.quota_mb <= most,
            "0 to 1099511627776 megabytes",
        );
        rule(
            "files.min_free_mb",
            self.files.min_free_mb <= most,
            "0 to 1099511627776 megabytes",
        );
        rule(
            "files.upload_expiry_s",
            (1..=365 * day).contains(&self.files.upload_expiry_s),
            "1 to 31536000 seconds",
        );
        rule(
            "files.transfers_per_address",
            self.files.transfers_per_address > 0,
            "at least 1",
        );
        let on = self.videochat.enabled || self.chatroom.enabled || self.packetchat.enabled;
        rule("videochat.enabled", on, "at least one service is enabled");
        let same = self.videochat.port == self.chatroom.port && self.videochat.port != 0;
        let both = self.videochat.enabled && self.chatroom.enabled;
        rule(
            "chatroom.port",
            !(same && both),
            "videochat.port has the same; two services can't share a port",
        );
        if let Err(e) = self.log.filter() {
            broken.push(("log.level", e));
        }
        broken
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
        tracing_subscriber::EnvFilter::try_new(&self.level)
            .map_err(|e| format!("{:?}: {e}", self.level))
    }
}

impl Overrides {
    fn keys(&self) -> Keys {
        let path = |path: &Path| Value::new(None, ValueKind::from(path.display().to_string()));
        let mut keys = Keys::new();
        if let Some(videos) = &self.videos {
            keys.insert("server.videos_dir".to_owned(), path(videos));
        }
        if let Some(data) = &self.data {
            keys.insert("server.data_dir".to_owned(), path(data));
        }
        if let Some(bind) = &self.bind {
            let value = Value::new(None, ValueKind::from(bind.to_string()));
            keys.insert("server.bind".to_owned(), value);
        }
        keys
    }
}

/// The keys of one layer, flat: `section.key`.
fn keys_of(source: &dyn Source, name: &str) -> Result<Keys, ConfigError> {
    let tree = source
        .collect()
        .map_err(|e| ConfigError(vec![format!("{name}: {e}")]))?;
    let mut keys = Keys::new();
    for (key, value) in tree {
        flatten(key, value, &mut keys);
    }
    Ok(keys)
}

fn flatten(key: String, value: Value, keys: &mut Keys) {
    if let ValueKind::Table(table) = value.kind {
        for (inner, value) in table {
            flatten(format!("{key}.{inner}"), value, keys);
        }
    } else {
        keys.insert(key, value);
    }
}

/// A fault for each key that the defaults don't have.
fn unknown_keys(layers: &[(String, Keys)]) -> Vec<String> {
    let Some(((_, known), rest)) = layers.split_first() else {
        return Vec::new();
    };
    let unknown = |key: &&String| !known.contains_key(*key);
    rest.iter()
        .flat_map(|(name, keys)| {
            keys.keys()
                .filter(unknown)
                .map(move |key| format!("{key} (set in {name}): there is no such key"))
        })
        .collect()
}

/// A fault if the value of `key` is of the wrong kind.
fn wrong_kind(merged: &Layers, key: &str, origin: &str) -> Option<String> {
    let error = match key {
        "server.bind" => merged.get::<IpAddr>(key).err(),
        "server.allow" => merged.get::<Vec<IpNet>>(key).err(),
        "server.data_dir" | "server.videos_dir" => merged.get::<PathBuf>(key).err(),
        "log.level" => merged.get::<String>(key).err(),
        "log.format" => merged.get::<LogFormat>(key).err(),
        "streaming.pace" => merged.get::<Pace>(key).err(),
        "streaming.jpeg_quality" => merged.get::<u8>(key).err(),
        key if key.ends_with(".enabled") || key.ends_with(".pin_address") => {
            merged.get::<bool>(key).err()
        }
        key if key.ends_with(".port") => merged.get::<u16>(key).err(),
        key => merged.get::<u64>(key).err(),
    }?;
    // What the library says of the key is said already.
    let text = error.to_string();
    let mut rule = text.split(" for key `").next().unwrap_or(&text).to_owned();
    match key {
        "streaming.pace" => "realtime or fast".clone_into(&mut rule),
        "log.format" => "text or json".clone_into(&mut rule),
        _ => {}
    }
    let values = merged
        .get::<Vec<String>>(key)
        .or_else(|_| merged.get::<String>(key).map(|value| vec![value]));
    let wrong: Vec<String> = values
        .unwrap_or_default()
        .into_iter()
        .filter(|value| key != "server.allow" || value.parse::<IpNet>().is_err())
        .collect();
    let wrong = wrong.join(", ");
    let wrong = if wrong.is_empty() {
        wrong
    } else {
        format!("{wrong:?}: ")
    };
    Some(format!("{key} (set in {origin}): {wrong}{rule}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("my.toml");
        std::fs::write(&path, toml).unwrap();
        let variables = environment
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()));
        let environment = Environment::with_prefix("PLAYHOUSE")
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true)
            .list_separator(",")
            .with_list_parse_key("server.allow")
            .source(Some(variables.collect()));
        let overrides = Overrides {
            file: Some(path),
            ..Overrides::default()
        };
        Config::from_layers(&overrides, environment)
    }

    fn fault(toml: &str, environment: &[(&str, &str)]) -> String {
        load(toml, environment).unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_complete_and_follow_their_own_rules() {
        let config = load("", &[]).unwrap();
        assert_eq!(config.settings().videochat, Some(10000));
        assert_eq!(config.settings().chatroom, Some(1234));
        assert!(
            config
                .server
                .allow
                .iter()
                .all(|net| !net.contains(&IpAddr::from([8, 8, 8, 8])))
        );
    }

    #[test]
    fn later_layers_win() {
        let config = load(
            "[videochat]\nport = 7\n[chatroom]\nport = 8",
            &[
                ("PLAYHOUSE__CHATROOM__PORT", "9"),
                ("PLAYHOUSE__SERVER__ALLOW", "127.0.0.0/8,::1/128"),
            ],
        )
        .unwrap();
        let settings = config.settings();
        assert_eq!((settings.videochat, settings.chatroom), (Some(7), Some(9)));
        assert_eq!(settings.allow.len(), 2);
    }

    #[test]
    fn faults_name_the_key_the_file_and_the_rule() {
        let text = fault("[serer]\nbind = 1", &[]);
        assert!(
            text.starts_with("serer.bind (set in ")
                && text.ends_with("my.toml): there is no such key"),
            "{text}"
        );
        let text = fault("", &[("PLAYHOUSE__VIDEOCHAT__PROT", "1")]);
        assert_eq!(
            text,
            "videochat.prot (set in the environment): there is no such key"
        );
        let text = fault("[streaming]\njpeg_quality = 101", &[]);
        assert!(
            text.contains("streaming.jpeg_quality (set in ") && text.ends_with("1 to 100"),
            "{text}"
        );
        let text = fault("[videochat]\nport = 70000", &[]);
        assert!(text.contains("videochat.port (set in "), "{text}");
        let text = fault("[streaming]\npace = \"slow\"", &[]);
        assert!(
            text.contains("streaming.pace") && text.contains("slow"),
            "{text}"
        );
        let text = fault("[server]\nallow = [\"10.0.0.0/99\"]", &[]);
        assert!(text.contains("server.allow"), "{text}");
        let text = fault("[log]\nlevel = \"info,=loud\"", &[]);
        assert!(text.contains("log.level"), "{text}");
        let text = fault("[log]\nlevel = \"loud\"", &[]);
        assert!(
            text.contains("log.level") && text.contains("debug"),
            "{text}"
        );
        let text = fault("[server\n", &[]);
        assert!(text.contains("my.toml"), "{text}");
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let error = load(
            "[chatroom]\nlegacy_gap_ms = 5000\n[limits]\ngoodbye_s = 0",
            &[],
        )
        .unwrap_err();
        assert_eq!(error.0.len(), 2, "{error}");
    }
}

//! The configuration: config/default.toml, a file, the environment, the command line, in this order.
//! An error names the key, where it was set, and the rule.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ::config::{Config as Layers, Environment, File, FileFormat, Source, Value, ValueKind};
use ipnet::IpNet;
use playhouse_actors::Pace;

mod keys;
mod rules;

use keys::SourceKeys;
pub use keys::{Config, Log, LogFormat};

use crate::bot::BotKind;

const DEFAULTS: &str = include_str!("../../config/default.toml");
const ENVIRONMENT: &str = "the environment";
const COMMAND_LINE: &str = "the command line";

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
            .with_list_parse_key("server.allow")
            .with_list_parse_key("web.hosts");
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
        let mut config: Config = merged
            .try_deserialize()
            .map_err(|e| ConfigError(vec![e.to_string()]))?;
        for (key, rule) in config.broken_rules() {
            faults.push(format!("{key} (set in {}): {rule}", origin(key)));
        }
        match config.bot.maker() {
            Ok(maker) if faults.is_empty() => {
                config.maker = maker;
                Ok(config)
            }
            Ok(_) => Err(ConfigError(faults)),
            Err((key, rule)) => {
                faults.push(format!("{key} (set in {}): {rule}", origin(key)));
                Err(ConfigError(faults))
            }
        }
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
        "log.level"
        | "lan_file.offer"
        | "lan_audio.source"
        | "web.password"
        | "web.admin_password"
        | "bot.rules"
        | "bot.openai.url"
        | "bot.openai.model"
        | "bot.openai.key_variable"
        | "bot.openai.system" => merged.get::<String>(key).err(),
        "web.hosts" => merged.get::<Vec<String>>(key).err(),
        "live.source" => merged.get::<Vec<SourceKeys>>(key).err(),
        "live.record" => merged.get::<bool>(key).err(),
        "bot.kind" => merged.get::<BotKind>(key).err(),
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
        "bot.kind" => "house, echo or openai".clone_into(&mut rule),
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
            .with_list_parse_key("web.hosts")
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

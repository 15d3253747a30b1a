//! The configuration: config/default.toml, the program's own defaults, a file, the environment, what the
//! program decides, the command line, in this order.
//! An error names the key, where it was set, and the rule.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use ::config::{Config as Layers, Environment, File, FileFormat, Source, Value, ValueKind};
use ipnet::IpNet;
use playhouse_actors::Pace;

mod keys;
mod rules;
#[cfg(test)]
mod tests;

use keys::SourceKeys;
pub use keys::{Config, Log, LogFormat};

use crate::cli::LayerArgs;
use crate::extensions::Extensions;
use crate::setting::Setting;

const DEFAULTS: &str = include_str!("../../config/default.toml");
const ENVIRONMENT: &str = "the environment";
const PROGRAM: &str = "the program";
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

/// What is set beside the defaults and the environment.
#[derive(Debug, Default)]
pub struct Overrides {
    pub file: Option<PathBuf>,
    /// What a program has other defaults for.
    pub defaults: Keys,
    /// What a program decides.
    pub program: Keys,
    pub command_line: Keys,
    pub extensions: Extensions,
}

/// Keys with their values, flat: `section.key`.
pub type Keys = BTreeMap<String, Value>;

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
        let mut defaults = keys_of(
            &File::from_str(DEFAULTS, FileFormat::Toml),
            "config/default.toml",
        )?;
        let extensions = &overrides.extensions;
        let mut presets = extensions.keys(&defaults).map_err(ConfigError)?;
        // From here on there are such keys.
        defaults.extend(presets.clone());
        presets.extend(overrides.defaults.clone());
        let mut layers = vec![
            ("config/default.toml".to_owned(), defaults),
            (PROGRAM.to_owned(), presets),
        ];
        if let Some(path) = &overrides.file {
            let name = path.display().to_string();
            let file = File::from(path.as_path()).format(FileFormat::Toml);
            layers.push((name.clone(), keys_of(&file, &name)?));
        }
        layers.push((ENVIRONMENT.to_owned(), keys_of(&environment, ENVIRONMENT)?));
        layers.push((PROGRAM.to_owned(), overrides.program.clone()));
        layers.push((COMMAND_LINE.to_owned(), overrides.command_line.clone()));

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
        let services = extensions.services(&merged);
        let mut config: Config = merged
            .try_deserialize()
            .map_err(|e| ConfigError(vec![e.to_string()]))?;
        config.services = services;
        for (key, rule) in config.broken_rules() {
            faults.push(format!("{key} (set in {}): {rule}", origin(&key)));
        }
        match config.bot.maker(&extensions.bots) {
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
    /// The same, with what the command line sets.
    pub fn with(mut self, args: LayerArgs) -> Overrides {
        let LayerArgs {
            config,
            videos,
            data,
            bind,
        } = args;
        self.file = config.or(self.file);
        let mut add = |key: &str, value: Option<Setting>| {
            if let Some(value) = value {
                self.command_line.insert(key.to_owned(), value.value());
            }
        };
        add("server.videos_dir", videos.map(Setting::from));
        add("server.data_dir", data.map(Setting::from));
        add("server.bind", bind.map(Setting::from));
        self
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
        | "bot.kind"
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

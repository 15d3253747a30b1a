//! What a program adds to the house, and the keys that it gets in the configuration.

use ::config::{Config as Layers, Value};
use playhouse_actors::{BotMaker, Service, TcpService};

use crate::bot_keys;
use crate::config::Keys;
use crate::setting::Setting;

/// Bytes of a name.
const MAX_NAME: usize = 32;

/// Bots and services that do not come with the house.
#[derive(Debug, Clone, Default)]
pub struct Extensions {
    /// The last one is the house's, as long as `bot.kind` does not say otherwise.
    pub bots: Vec<(&'static str, BotMaker)>,
    pub services: Vec<TcpService>,
}

impl Extensions {
    /// The keys that these add to the `defaults`, or have another default for.
    ///
    /// # Errors
    /// A fault for each name that can't be one.
    pub fn keys(&self, defaults: &Keys) -> Result<Keys, Vec<String>> {
        let (mut keys, mut faults) = (Keys::new(), Vec::new());
        let mut taken: Vec<&str> = bot_keys::KINDS.to_vec();
        for (name, _) in &self.bots {
            if let Err(rule) = check(name, &taken) {
                faults.push(format!("the bot {name:?}: {rule}"));
            }
            taken.push(name);
            keys.insert("bot.kind".to_owned(), Setting::from(*name).value());
        }
        // Its section can't be one that there is, and the house's own people are in the logs.
        let sections = defaults.keys().filter_map(|key| key.split('.').next());
        let mut taken: Vec<&str> = sections.chain([Service::House.name()]).collect();
        for service in &self.services {
            let name = service.service.name();
            if let Err(rule) = check(name, &taken) {
                faults.push(format!("the service {name:?}: {rule}"));
            }
            taken.push(name);
            keys.insert(format!("{name}.enabled"), Setting::from(true).value());
            keys.insert(format!("{name}.port"), Setting::from(service.port).value());
        }
        match faults.is_empty() {
            true => Ok(keys),
            false => Err(faults),
        }
    }

    /// The services that are on, on the ports that the configuration says.
    pub fn services(&self, merged: &Layers) -> Vec<TcpService> {
        let services = self.services.iter().cloned();
        let on = services.filter(|service| {
            let enabled = merged.get::<bool>(&format!("{}.enabled", service.service));
            enabled.unwrap_or(true)
        });
        on.map(|service| {
            let port = merged.get(&format!("{}.port", service.service));
            TcpService {
                port: port.unwrap_or(service.port),
                ..service
            }
        })
        .collect()
    }
}

/// # Errors
/// The rule that a name breaks.
fn check(name: &str, taken: &[&str]) -> Result<(), &'static str> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if taken.contains(&name) {
        Err("the name is taken")
    } else if !(1..=MAX_NAME).contains(&name.len())
        || !name.starts_with(|c: char| c.is_ascii_lowercase())
        || !name.chars().all(word)
        // That is what separates sections and keys in the environment.
        || name.contains("__")
    {
        Err("a name is a small letter, and up to 31 more, digits and single underscores")
    } else {
        Ok(())
    }
}

/// Sets `key`, as often as one likes: the last value counts.
pub fn set(keys: &mut Keys, key: &str, value: Setting) {
    let value: Value = value.value();
    keys.insert(key.to_owned(), value);
}

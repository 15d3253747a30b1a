//! A file of rules as it is written; `config/house_bot.toml` explains every key.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) rewrites: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) groups: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(super) reflections: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) ignored: Vec<String>,
    #[serde(default)]
    pub(super) openers: Vec<String>,
    #[serde(default)]
    pub(super) joiners: Vec<String>,
    pub(super) replies: Replies,
    #[serde(default)]
    pub(super) topics: Topics,
    #[serde(default)]
    pub(super) rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Replies {
    pub(super) silence: Vec<String>,
    pub(super) default: Vec<String>,
    pub(super) more: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Topics {
    pub(super) videos: Option<List>,
    pub(super) live: Option<List>,
    pub(super) people: Option<List>,
    pub(super) files: Option<List>,
    pub(super) time: Option<Told>,
    pub(super) help: Option<Told>,
}

/// A topic that there is a list of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    pub(super) phrases: Vec<String>,
    pub(super) none: Vec<String>,
    pub(super) one: Option<Vec<String>>,
    pub(super) some: Vec<String>,
}

/// A topic that a sentence says all about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Told {
    pub(super) phrases: Vec<String>,
    pub(super) answers: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) words: Vec<String>,
    #[serde(default)]
    pub(super) rank: u8,
    #[serde(default)]
    pub(super) cases: Vec<Case>,
    /// Those of a case without a pattern, the last one.
    #[serde(default)]
    pub(super) answers: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) pattern: String,
    pub(super) answers: Vec<String>,
    #[serde(default)]
    pub(super) remember: Vec<String>,
}

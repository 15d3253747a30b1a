//! What can be wrong with a file of rules.

/// Why rules can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// Sizes in bytes.
    #[error("{found} bytes, must be {most} at most")]
    TooLarge { found: usize, most: usize },
    /// Not TOML, an unknown or missing key, a value of the wrong kind. The reason names line and column.
    #[error("{reason}")]
    Toml { reason: String },
    /// `place` is the table, the rule (by its first keyword) and the line in it.
    #[error("{place}: {problem}")]
    Rule { place: String, problem: Problem },
}

/// What is wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("there are no {0}, and must be")]
    Missing(&'static str),
    #[error("{0:?} must be a single word in small letters, without punctuation around it")]
    NotAWord(String),
    #[error("{word:?} never arrives: [rewrites] makes {to:?} of it")]
    Rewritten { word: String, to: String },
    #[error("can't match: \"ignored\" or \"openers\" take words of it away")]
    Stripped,
    #[error("there is no @{0} in [groups]")]
    UnknownGroup(String),
    #[error("two wildcards stand side by side: one is enough")]
    WildcardsTogether,
    #[error("has {found} words, must have 1 to {most}")]
    Words { found: usize, most: usize },
    #[error("has {found} bytes, must have 1 to {most}")]
    Length { found: usize, most: usize },
    #[error("a brace stands alone: write {{{{ or }}}} for one that is shown")]
    LoneBrace,
    #[error("there is no {{{found}}}: {known}")]
    UnknownPlaceholder { found: String, known: String },
    #[error("{{{0}}} may be empty: its wildcard must be + and not *")]
    MayBeEmpty(usize),
    #[error("never matches: an earlier pattern of the rule takes everything")]
    Unreachable,
}

impl Problem {
    /// With the place it is at.
    pub(super) fn at(self, place: &str) -> RulesError {
        RulesError::Rule {
            place: place.to_owned(),
            problem: self,
        }
    }
}

//! From a file of rules to rules; whatever is wrong is found here, with its place.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::Topic;
use crate::house_bot::file::{Case as CaseFile, File, List, Rule as RuleFile, Told, Topics};
use crate::house_bot::listing::{LIST, MORE};
use crate::house_bot::local_time::TIME;
use crate::house_bot::pattern::{Groups, Pattern};
use crate::house_bot::problem::{Problem, RulesError};
use crate::house_bot::reflect::{MOST_WORDS, Reflections};
use crate::house_bot::rules::{About, Case, Rule, Rules, TopicRule};
use crate::house_bot::template::{Answers, Template};
use crate::house_bot::words::{Rewrites, Word, clauses};

/// Bytes of a file.
const FILE_BYTES: usize = 256 << 10;
/// Words of an opener.
const MOST_OPENER: usize = 8;

/// Reads, checks and prepares a whole file.
pub(super) fn rules(toml: &str) -> Result<Rules, RulesError> {
    if toml.len() > FILE_BYTES {
        return Err(RulesError::TooLarge {
            found: toml.len(),
            most: FILE_BYTES,
        });
    }
    let file: File = toml::from_str(toml).map_err(|e| RulesError::Toml {
        reason: e.to_string().trim_end().to_owned(),
    })?;
    let mut compiler = Compiler {
        rewrites: rewrites(&file.rewrites)?,
        groups: Groups::new(),
        answers: 0,
    };
    for (name, members) in &file.groups {
        let place = format!("groups, {name}");
        let members = compiler.words(members, "words").map_err(|p| p.at(&place))?;
        (compiler.groups).insert(name.clone(), Arc::new(members.into_iter().collect()));
    }
    let mut rules = Rules {
        reflections: compiler.reflections(&file.reflections)?,
        ignored: compiler.word_set("ignored", &file.ignored)?,
        joiners: compiler.word_set("joiners", &file.joiners)?,
        openers: Vec::new(),
        silence: compiler.answers("replies, silence", &file.replies.silence, &[])?,
        default: compiler.answers("replies, default", &file.replies.default, &[])?,
        more: Template::parse(&file.replies.more, MORE).map_err(|p| p.at("replies, more"))?,
        topics: Vec::new(),
        rules: Vec::new(),
        keywords: HashMap::new(),
        rewrites: HashMap::new(),
    };
    rules.openers = compiler.openers(&rules, &file.openers)?;
    rules.topics = compiler.topics(&rules, file.topics)?;
    for (index, rule) in file.rules.iter().enumerate() {
        let name = rule.words.first().map_or("", String::as_str);
        let place = format!("rule {} ({name})", index + 1);
        let words = compiler.words(&rule.words, "words");
        for word in words.map_err(|p| p.at(&place))? {
            rules.keywords.entry(word).or_default().push(index);
        }
        rules.rules.push(compiler.rule(&place, rule)?);
    }
    rules.rewrites = compiler.rewrites;
    Ok(rules)
}

/// The words of `text`, if it is a single clause.
fn bare_words(text: &str) -> Option<Vec<Word>> {
    let mut clauses = clauses(text, &Rewrites::new());
    (clauses.len() == 1).then(|| clauses.remove(0))
}

fn single_word(text: &str) -> Result<Word, Problem> {
    match bare_words(text).as_deref() {
        Some([word]) if word.plain == text => Ok(word.clone()),
        _ => Err(Problem::NotAWord(text.to_owned())),
    }
}

fn rewrites(file: &BTreeMap<String, String>) -> Result<Rewrites, RulesError> {
    let mut rewrites = Rewrites::new();
    for (word, instead) in file {
        let place = format!("rewrites, {word:?}");
        let word = single_word(word).map_err(|p| p.at(&place))?;
        let instead = bare_words(instead)
            .filter(|words| words.len() <= MOST_WORDS)
            .ok_or_else(|| {
                let found = instead.split_whitespace().count();
                let most = MOST_WORDS;
                Problem::Words { found, most }.at(&place)
            })?;
        rewrites.insert(word.plain, instead);
    }
    Ok(rewrites)
}

struct Compiler {
    rewrites: Rewrites,
    groups: Groups,
    /// How many answers there are already.
    answers: usize,
}

impl Compiler {
    /// A word that can arrive.
    fn word(&self, text: &str) -> Result<String, Problem> {
        let word = single_word(text)?.plain;
        match self.rewrites.get(&word) {
            None => Ok(word),
            Some(instead) => {
                let to: Vec<&str> = instead.iter().map(|word| word.plain.as_str()).collect();
                let to = to.join(" ");
                Err(Problem::Rewritten { word, to })
            }
        }
    }

    fn word_set(&self, place: &str, texts: &[String]) -> Result<HashSet<String>, RulesError> {
        let words: Result<_, _> = texts.iter().map(|text| self.word(text)).collect();
        words.map_err(|p: Problem| p.at(place))
    }

    fn words(&self, texts: &[String], what: &'static str) -> Result<Vec<String>, Problem> {
        match texts.is_empty() {
            true => Err(Problem::Missing(what)),
            false => texts.iter().map(|text| self.word(text)).collect(),
        }
    }

    /// Up to `most` words that can arrive one after the other.
    fn phrase(&self, text: &str, most: usize) -> Result<Vec<Word>, Problem> {
        let found = text.split_whitespace().count();
        if !(1..=most).contains(&found) {
            return Err(Problem::Words { found, most });
        }
        text.split_whitespace()
            .map(|word| single_word(&self.word(word)?))
            .collect()
    }

    fn pattern(&self, text: &str) -> Result<Pattern, Problem> {
        Pattern::parse(text, &self.groups, |word| self.word(word))
    }

    fn answers(
        &mut self,
        place: &str,
        sentences: &[String],
        names: &[&str],
    ) -> Result<Answers, RulesError> {
        self.answers += 1;
        Answers::new(self.answers, sentences, names).map_err(|p| p.at(place))
    }

    fn reflections(&self, file: &BTreeMap<String, String>) -> Result<Reflections, RulesError> {
        let mut reflections = Reflections::default();
        for (phrase, instead) in file {
            let words = self
                .phrase(phrase, MOST_WORDS)
                .map_err(|p| p.at(&format!("reflections, {phrase:?}")))?;
            reflections.insert(&words, instead);
        }
        Ok(reflections)
    }

    /// The longest first, so that what one takes is not what a longer one begins with.
    fn openers(&self, rules: &Rules, texts: &[String]) -> Result<Vec<Vec<String>>, RulesError> {
        let opener = |text: &String| {
            let words = self.phrase(text, MOST_OPENER)?;
            // They are looked for where nothing is left of what is ignored.
            let kept: Vec<String> = (words.into_iter().map(|word| word.plain))
                .filter(|word| !rules.ignored.contains(word))
                .collect();
            match kept.is_empty() {
                true => Err(Problem::Stripped),
                false => Ok(kept),
            }
        };
        let mut openers = (texts.iter())
            .map(|text| opener(text).map_err(|p| p.at(&format!("openers, {text:?}"))))
            .collect::<Result<Vec<_>, _>>()?;
        openers.sort_by_key(|opener| Reverse(opener.len()));
        Ok(openers)
    }

    fn topics(&mut self, rules: &Rules, file: Topics) -> Result<Vec<TopicRule>, RulesError> {
        let mut topics = Vec::new();
        for (name, topic, list) in [
            ("videos", Topic::Videos, file.videos),
            ("live", Topic::Live, file.live),
            ("people", Topic::People, file.people),
            ("files", Topic::Files, file.files),
        ] {
            if let Some(list) = list {
                topics.push(self.list(rules, name, topic, &list)?);
            }
        }
        if let Some(time) = file.time {
            topics.push(self.told(rules, "time", TIME, About::Time, &time)?);
        }
        if let Some(help) = file.help {
            topics.push(self.told(rules, "help", &[], About::Help, &help)?);
        }
        Ok(topics)
    }

    /// Patterns that what is left of a question can match.
    fn phrases(
        &self,
        rules: &Rules,
        place: &str,
        texts: &[String],
    ) -> Result<Vec<Pattern>, RulesError> {
        if texts.is_empty() {
            return Err(Problem::Missing("phrases").at(place));
        }
        let parse = |text: &String| {
            let pattern = self.pattern(text)?;
            match is_stripped(rules, &pattern) {
                true => Err(Problem::Stripped),
                false => Ok(pattern),
            }
        };
        (texts.iter())
            .map(|text| parse(text).map_err(|p| p.at(&format!("{place}, {text:?}"))))
            .collect()
    }

    fn list(
        &mut self,
        rules: &Rules,
        name: &str,
        topic: Topic,
        file: &List,
    ) -> Result<TopicRule, RulesError> {
        let place = format!("topics, {name}");
        let one = match &file.one {
            Some(one) => Some(self.answers(&format!("{place}, one"), one, LIST)?),
            None => None,
        };
        Ok(TopicRule {
            phrases: self.phrases(rules, &place, &file.phrases)?,
            about: About::List {
                topic,
                none: self.answers(&format!("{place}, none"), &file.none, &[])?,
                one,
                some: self.answers(&format!("{place}, some"), &file.some, LIST)?,
            },
        })
    }

    fn told(
        &mut self,
        rules: &Rules,
        name: &str,
        values: &[&str],
        about: fn(Answers) -> About,
        file: &Told,
    ) -> Result<TopicRule, RulesError> {
        let place = format!("topics, {name}");
        Ok(TopicRule {
            phrases: self.phrases(rules, &place, &file.phrases)?,
            about: about(self.answers(&place, &file.answers, values)?),
        })
    }

    fn rule(&mut self, place: &str, file: &RuleFile) -> Result<Rule, RulesError> {
        let last = (!file.answers.is_empty()).then(|| CaseFile {
            pattern: "*".to_owned(),
            answers: file.answers.clone(),
            remember: Vec::new(),
        });
        let mut cases: Vec<Case> = Vec::new();
        for file in file.cases.iter().chain(&last) {
            let place = format!("{place}, {:?}", file.pattern);
            if cases.iter().any(|case| case.pattern.takes_everything()) {
                return Err(Problem::Unreachable.at(&place));
            }
            cases.push(self.case(&place, file)?);
        }
        match cases.is_empty() {
            true => Err(Problem::Missing("answers").at(place)),
            false => Ok(Rule {
                rank: file.rank,
                cases,
            }),
        }
    }

    fn case(&mut self, place: &str, file: &CaseFile) -> Result<Case, RulesError> {
        let pattern = self.pattern(&file.pattern).map_err(|p| p.at(place))?;
        let numbers: Vec<String> = (1..=pattern.holes.len()).map(|n| n.to_string()).collect();
        let names: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let answers = self.answers(place, &file.answers, &names)?;
        let remember = match file.remember.is_empty() {
            true => None,
            false => Some(self.answers(&format!("{place}, remember"), &file.remember, &names)?),
        };
        let empty = (answers.templates().iter())
            .chain(remember.iter().flat_map(Answers::templates))
            .flat_map(Template::values)
            .find(|&hole| pattern.holes.get(hole).copied().unwrap_or(false));
        match empty {
            Some(hole) => Err(Problem::MayBeEmpty(hole + 1).at(place)),
            None => Ok(Case {
                pattern,
                answers,
                remember,
            }),
        }
    }
}

/// Whether words that the pattern needs are gone before it is looked at.
fn is_stripped(rules: &Rules, pattern: &Pattern) -> bool {
    pattern.find(&rules.bare(&pattern.example())).is_none()
}

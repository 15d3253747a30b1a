//! What the house's bot knows to say, checked and ready to be used.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::Topic;
use crate::house_bot::pattern::Pattern;
use crate::house_bot::problem::RulesError;
use crate::house_bot::reflect::Reflections;
use crate::house_bot::template::{Answers, Template};
use crate::house_bot::words::{Rewrites, Word};
use crate::house_bot::{compile, words};

/// What the house's bot understands and says, for any number of conversations.
#[derive(Debug)]
pub struct Rules {
    pub(super) rewrites: Rewrites,
    pub(super) reflections: Reflections,
    /// Words that say nothing about which topic is meant.
    pub(super) ignored: HashSet<String>,
    /// Words between two questions.
    pub(super) joiners: HashSet<String>,
    /// What questions begin with, whatever they are about; without ignored words.
    pub(super) openers: Vec<Vec<String>>,
    pub(super) silence: Answers,
    pub(super) default: Answers,
    /// What stands for the names that a list leaves out.
    pub(super) more: Template,
    pub(super) topics: Vec<TopicRule>,
    pub(super) rules: Vec<Rule>,
    /// Which rules a word is a keyword of.
    pub(super) keywords: HashMap<String, Vec<usize>>,
}

/// Questions that are answered with facts.
#[derive(Debug)]
pub(super) struct TopicRule {
    pub(super) phrases: Vec<Pattern>,
    pub(super) about: About,
}

#[derive(Debug)]
pub(super) enum About {
    List {
        topic: Topic,
        none: Answers,
        one: Option<Answers>,
        some: Answers,
    },
    Time(Answers),
    Help(Answers),
}

/// What is said when a keyword comes.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) rank: u8,
    /// The first one that fits answers.
    pub(super) cases: Vec<Case>,
}

#[derive(Debug)]
pub(super) struct Case {
    pub(super) pattern: Pattern,
    pub(super) answers: Answers,
    /// What is said of this later.
    pub(super) remember: Option<Answers>,
}

/// A case that fits a clause.
#[derive(Debug)]
pub(super) struct Choice<'a> {
    pub(super) chosen: &'a Case,
    /// What stands in the pattern's holes, as it is quoted.
    pub(super) quotes: Vec<String>,
}

impl Rules {
    /// Reads rules as `config/house_bot.toml` has and explains them.
    ///
    /// # Errors
    /// Names the place, and what is wrong there.
    pub fn parse(toml: &str) -> Result<Rules, RulesError> {
        compile::rules(toml)
    }

    pub(super) fn clauses(&self, said: &str) -> Vec<Vec<Word>> {
        words::clauses(said, &self.rewrites)
    }

    /// The topics that are asked about, each once, in a fixed order.
    pub(super) fn topics_in(&self, clauses: &[Vec<Word>]) -> Vec<&TopicRule> {
        let mut asked = BTreeSet::new();
        for clause in clauses {
            let whole = self.topics_of(clause);
            if !whole.is_empty() {
                asked.extend(whole);
                continue;
            }
            let parts: Vec<BTreeSet<usize>> = clause
                .split(|word| self.joiners.contains(&word.plain))
                .filter(|part| !part.is_empty())
                .map(|part| self.topics_of(part))
                .collect();
            // "I like cats and videos" asks for nothing.
            if parts.iter().all(|topics| !topics.is_empty()) {
                asked.extend(parts.into_iter().flatten());
            }
        }
        (asked.into_iter())
            .filter_map(|index| self.topics.get(index))
            .collect()
    }

    /// Indices of the topics that a question is about.
    fn topics_of(&self, question: &[Word]) -> BTreeSet<usize> {
        let question = self.bare(question);
        if question.is_empty() {
            return BTreeSet::new();
        }
        let is_asked =
            |topic: &TopicRule| topic.phrases.iter().any(|p| p.find(&question).is_some());
        (self.topics.iter().enumerate())
            .filter(|(_, topic)| is_asked(topic))
            .map(|(index, _)| index)
            .collect()
    }

    /// A clause without ignored words and openers.
    pub(super) fn bare(&self, clause: &[Word]) -> Vec<Word> {
        let kept: Vec<Word> = (clause.iter())
            .filter(|word| !self.ignored.contains(&word.plain))
            .cloned()
            .collect();
        let mut rest = kept.as_slice();
        while let Some(after) = self.openers.iter().find_map(|opener| {
            let (head, after) = rest.split_at_checked(opener.len())?;
            let is_it = head
                .iter()
                .zip(opener)
                .all(|(word, own)| word.plain == *own);
            // What is nothing but an opener is asked as it is.
            (is_it && !after.is_empty()).then_some(after)
        }) {
            rest = after;
        }
        rest.to_vec()
    }

    /// The case that answers: of the keywords that were said, the highest in rank, then the earliest, whose
    /// rule has a case that fits.
    pub(super) fn choose(&self, clauses: &[Vec<Word>]) -> Option<Choice<'_>> {
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for (at, clause) in clauses.iter().enumerate() {
            let rules = clause
                .iter()
                .filter_map(|word| self.keywords.get(&word.plain));
            for &index in rules.flatten() {
                if seen.insert((at, index)) {
                    found.extend(self.rules.get(index).map(|rule| (rule, clause)));
                }
            }
        }
        // Stable: equals stay in the order in which they were said.
        found.sort_by_key(|(rule, _)| std::cmp::Reverse(rule.rank));
        found.into_iter().find_map(|(rule, clause)| {
            let (chosen, holes) =
                (rule.cases.iter()).find_map(|case| Some((case, case.pattern.find(clause)?)))?;
            let quotes = holes
                .into_iter()
                .map(|hole| self.reflections.quote(clause.get(hole).unwrap_or_default()))
                .collect();
            Some(Choice { chosen, quotes })
        })
    }
}

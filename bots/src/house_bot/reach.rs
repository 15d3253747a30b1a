//! Finds rules that can never answer, by saying what they are for.

use crate::house_bot::pattern::{Atom, Pattern, Wildcard};
use crate::house_bot::rules::{Rule, Rules, TopicRule};

/// A word that no rules know.
const FILLER: &str = "zyzzyva";

/// Cases, keywords and phrases that nothing leads to: each with its place.
fn never_answer(rules: &Rules) -> Vec<String> {
    let mut missing = Vec::new();
    for (i, topic) in rules.topics.iter().enumerate() {
        for (j, phrase) in topic.phrases.iter().enumerate() {
            // Each word of a group counts.
            missing.extend(
                examples(phrase, FILLER)
                    .iter()
                    .filter(|said| !asks_for(rules, said, topic))
                    .map(|said| format!("topic {i}, phrase {j}: {said}")),
            );
        }
    }
    for (i, rule) in rules.rules.iter().enumerate() {
        let keywords: Vec<&String> = (rules.keywords.iter())
            .filter(|(_, rules)| rules.contains(&i))
            .map(|(word, _)| word)
            .collect();
        let leads_to = |keyword: &str, case: usize| {
            (examples(&rule.cases[case].pattern, keyword).iter())
                .any(|said| chosen(rules, said) == Some((i, case)))
        };
        for case in 0..rule.cases.len() {
            if !keywords.iter().any(|keyword| leads_to(keyword, case)) {
                missing.push(format!("rule {i} {keywords:?}, case {case}"));
            }
        }
        for keyword in keywords {
            if !(0..rule.cases.len()).any(|case| leads_to(keyword, case)) {
                missing.push(format!("rule {i}, keyword {keyword}"));
            }
        }
    }
    missing
}

fn asks_for(rules: &Rules, said: &str, topic: &TopicRule) -> bool {
    let clauses = rules.clauses(said);
    (rules.topics_in(&clauses).iter()).any(|found| std::ptr::eq(*found, topic))
}

/// The rule and the case that answer, if no topic does.
fn chosen(rules: &Rules, said: &str) -> Option<(usize, usize)> {
    let clauses = rules.clauses(said);
    if !rules.topics_in(&clauses).is_empty() {
        return None;
    }
    let chosen = rules.choose(&clauses)?.chosen;
    let cases = |(i, rule): (usize, &Rule)| {
        let case = rule
            .cases
            .iter()
            .position(|case| std::ptr::eq(case, chosen))?;
        Some((i, case))
    };
    rules.rules.iter().enumerate().find_map(cases)
}

/// What looks like the pattern: for a wildcard nothing, nothing much, `keyword`, or that amidst more; each
/// word of a group.
fn examples(pattern: &Pattern, keyword: &str) -> Vec<String> {
    let mut examples = vec![String::new()];
    let mut extend = |words: &[&str]| {
        examples = (examples.iter())
            .flat_map(|said| words.iter().map(move |word| format!("{said} {word}")))
            .collect();
    };
    let amidst = format!("{FILLER} {keyword} {FILLER}");
    let fillings = ["", FILLER, keyword, &amidst];
    let fill = |wildcard: Wildcard| &fillings[wildcard.least.min(1)..];
    for piece in &pattern.pieces {
        if let Some(wildcard) = piece.before {
            extend(fill(wildcard));
        }
        for atom in &piece.atoms {
            match atom {
                Atom::Word(word) => extend(&[word]),
                Atom::Group(group) => {
                    extend(&group.iter().map(String::as_str).collect::<Vec<_>>());
                }
            }
        }
    }
    if let Some(wildcard) = pattern.tail {
        extend(fill(wildcard));
    }
    examples
}

/// Rules with nothing but what a test is about.
fn parse(rules: &str) -> Rules {
    let replies = "[replies]\nsilence = ['?']\ndefault = ['.']\nmore = '{count}'\n";
    Rules::parse(&format!("{replies}{rules}")).unwrap()
}

#[test]
fn every_default_rule_can_answer() {
    let rules = Rules::parse(include_str!("../../../config/house_bot.toml")).unwrap();
    assert_eq!(never_answer(&rules), [""; 0]);
    assert!(rules.keywords.len() >= 30);
    assert_eq!(rules.topics.len(), 6);
}

#[test]
fn rules_that_can_not_answer_are_found() {
    for (rules, expected) in [
        (
            "[[rules]]\nwords = ['cat']\nanswers = ['A']\n\
             [[rules]]\nwords = ['cat', 'dog']\nanswers = ['B']\n",
            "rule 1, keyword cat",
        ),
        (
            "[[rules]]\nwords = ['my']\n\
             [[rules.cases]]\npattern = '* my *'\nanswers = ['A']\n\
             [[rules.cases]]\npattern = '* my cat'\nanswers = ['B']\n",
            "rule 0 [\"my\"], case 1",
        ),
        (
            "[topics.help]\nphrases = ['cats']\nanswers = ['A']\n\
             [[rules]]\nwords = ['cats']\n\
             [[rules.cases]]\npattern = 'cats'\nanswers = ['B']\n",
            "rule 0 [\"cats\"], case 0",
        ),
    ] {
        let missing = never_answer(&parse(rules));
        assert!(missing.iter().any(|at| at == expected), "{missing:?}");
    }
    let fine = "[[rules]]\nwords = ['my']\nanswers = ['A']\n\
                [[rules.cases]]\npattern = '* my cat'\nanswers = ['B']\n";
    assert_eq!(never_answer(&parse(fine)), [""; 0]);
}

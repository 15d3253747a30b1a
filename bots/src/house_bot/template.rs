//! Sentences with placeholders, used in turn.

use std::collections::HashMap;

use crate::house_bot::problem::Problem;

/// Bytes of a sentence as it is written.
const MOST: usize = 500;

/// A sentence with places for values.
#[derive(Debug)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(String),
    /// The value with this index.
    Value(usize),
}

impl Template {
    /// Reads `text`, in which `{name}` stands for the value that `names` has at this place.
    pub(super) fn parse(text: &str, names: &[&str]) -> Result<Template, Problem> {
        if text.trim().is_empty() || text.len() > MOST {
            return Err(Problem::Length {
                found: text.len(),
                most: MOST,
            });
        }
        let mut parts = Vec::new();
        let mut shown = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            shown.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("{{").or(rest.strip_prefix("}}")) {
                shown.extend(rest.chars().next());
                rest = after;
                continue;
            }
            let (name, after) = rest
                .strip_prefix('{')
                .and_then(|rest| rest.split_once('}'))
                .ok_or(Problem::LoneBrace)?;
            let index = (names.iter().position(|known| *known == name))
                .ok_or_else(|| unknown(name, names))?;
            parts.extend([Part::Text(std::mem::take(&mut shown)), Part::Value(index)]);
            rest = after;
        }
        shown.push_str(rest);
        parts.push(Part::Text(shown));
        Ok(Template(parts))
    }

    /// Indices of the values in it.
    pub(super) fn values(&self) -> impl Iterator<Item = usize> {
        self.0.iter().filter_map(|part| match part {
            Part::Value(index) => Some(*index),
            Part::Text(_) => None,
        })
    }

    /// The sentence with `values` in their places.
    pub(super) fn fill(&self, values: &[String]) -> String {
        let mut sentence = String::new();
        for part in &self.0 {
            sentence.push_str(match part {
                Part::Text(text) => text,
                Part::Value(index) => values.get(*index).map_or("", String::as_str),
            });
        }
        sentence
    }
}

/// Quotes begin with a small letter, sentences don't.
fn capitalised(sentence: String) -> String {
    let mut letters = sentence.chars();
    match letters.next() {
        Some(first) if first.is_lowercase() => first.to_uppercase().chain(letters).collect(),
        _ => sentence,
    }
}

fn unknown(found: &str, names: &[&str]) -> Problem {
    let known: Vec<String> = names.iter().map(|name| format!("{{{name}}}")).collect();
    Problem::UnknownPlaceholder {
        found: found.to_owned(),
        known: match known.is_empty() {
            true => "nothing can stand here".to_owned(),
            false => format!("there is {}", known.join(", ")),
        },
    }
}

/// Sentences that say the same. Never none.
#[derive(Debug)]
pub(super) struct Answers {
    /// Different for all answers of a set of rules.
    id: usize,
    templates: Vec<Template>,
}

impl Answers {
    pub(super) fn new(id: usize, sentences: &[String], names: &[&str]) -> Result<Answers, Problem> {
        if sentences.is_empty() {
            return Err(Problem::Missing("answers"));
        }
        let templates = sentences
            .iter()
            .map(|sentence| Template::parse(sentence, names))
            .collect::<Result<_, _>>()?;
        Ok(Answers { id, templates })
    }

    pub(super) fn templates(&self) -> &[Template] {
        &self.templates
    }
}

/// Which sentence of all answers comes next in one conversation.
#[derive(Debug, Default)]
pub(super) struct Turns(HashMap<usize, usize>);

impl Turns {
    /// The next of `answers` with `values` in their places: the first, then the second, and so on around.
    /// Begins with a capital letter.
    pub(super) fn next(&mut self, answers: &Answers, values: &[String]) -> String {
        let turn = self.0.entry(answers.id).or_default();
        let template = answers
            .templates
            .get(*turn % answers.templates.len().max(1));
        *turn = turn.wrapping_add(1);
        template.map_or_else(String::new, |template| capitalised(template.fill(values)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_into_their_places() {
        let values = ["your cat".to_owned(), "5".to_owned()];
        for (text, expected) in [
            ("what of {1}?", "what of your cat?"),
            ("{1} and {2}, {1}", "your cat and 5, your cat"),
            ("{{1}} }}{{ {2}", "{1} }{ 5"),
        ] {
            let template = Template::parse(text, &["1", "2"]).unwrap();
            assert_eq!(template.fill(&values), expected);
        }
    }

    #[test]
    fn wrong_sentences_are_refused() {
        let error = |text: &str, names: &[&str]| Template::parse(text, names).unwrap_err();
        for lone in ["{", "}", "a {1", "1} b", "{{}"] {
            assert_eq!(error(lone, &["1"]), Problem::LoneBrace, "{lone}");
        }
        for (text, names, expected) in [
            ("{2}", &["1"][..], "there is no {2}: there is {1}"),
            ("{}", &["a", "b"], "there is no {}: there is {a}, {b}"),
            ("{1}", &[], "there is no {1}: nothing can stand here"),
            (" ", &[], "has 1 bytes, must have 1 to 500"),
        ] {
            assert_eq!(error(text, names).to_string(), expected);
        }
        assert!(matches!(
            error(&"x".repeat(MOST + 1), &[]),
            Problem::Length { .. }
        ));
    }

    #[test]
    fn answers_take_turns() {
        let sentences = ["a {1}", "{1} b"].map(str::to_owned);
        let first = Answers::new(0, &sentences, &["1"]).unwrap();
        let second = Answers::new(1, &sentences, &["1"]).unwrap();
        let mut turns = Turns::default();
        let said: Vec<String> = [&first, &first, &second, &first]
            .map(|answers| turns.next(answers, &["x".to_owned()]))
            .into();
        assert_eq!(said, ["A x", "X b", "A x", "A x"]);
        assert!(Answers::new(0, &[], &[]).is_err());
    }
}

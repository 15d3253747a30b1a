//! Whose words are given back: "my cat" becomes "your cat".

use std::collections::HashMap;

use crate::house_bot::words::Word;
use crate::text::shorten;

/// Bytes of what is quoted.
const QUOTE_BYTES: usize = 200;
/// Words of a phrase that is replaced.
pub(super) const MOST_WORDS: usize = 4;

/// What stands for which phrase.
#[derive(Debug, Default)]
pub(super) struct Reflections {
    phrases: HashMap<String, String>,
    /// Words of the longest phrase.
    longest: usize,
}

impl Reflections {
    /// Of several phrases that begin alike the longest is replaced. `phrase` is up to [`MOST_WORDS`] plain
    /// words.
    pub(super) fn insert(&mut self, phrase: &[Word], instead: &str) {
        self.longest = self.longest.max(phrase.len());
        self.phrases.insert(joined(phrase), instead.to_owned());
    }

    /// `words` as the one who listens says them, shortened.
    pub(super) fn quote(&self, words: &[Word]) -> String {
        let mut quote = String::new();
        let mut rest = words;
        while let Some(first) = rest.first()
            && quote.len() <= QUOTE_BYTES
        {
            let found = (1..=self.longest.min(rest.len())).rev().find_map(|count| {
                let instead = self.phrases.get(&joined(&rest[..count]))?;
                Some((instead.as_str(), count))
            });
            let (said, count) = found.unwrap_or((&first.shown, 1));
            if !quote.is_empty() {
                quote.push(' ');
            }
            quote.push_str(said);
            rest = &rest[count..];
        }
        shorten(&quote, QUOTE_BYTES).into_owned()
    }
}

fn joined(words: &[Word]) -> String {
    let words: Vec<&str> = words.iter().map(|word| word.plain.as_str()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house_bot::words::{Rewrites, clauses};

    fn words(said: &str) -> Vec<Word> {
        clauses(said, &Rewrites::new()).concat()
    }

    #[test]
    fn the_longest_phrase_is_replaced() {
        let mut reflections = Reflections::default();
        for (phrase, instead) in [
            ("i", "you"),
            ("i am", "you are"),
            ("you", "me"),
            ("you are", "I am"),
            ("my", "your"),
        ] {
            reflections.insert(&words(phrase), instead);
        }
        let quote = |said| reflections.quote(&words(said));
        assert_eq!(
            quote("I am with You in MY Paris"),
            "you are with me in your Paris"
        );
        assert_eq!(quote("you are what i"), "I am what you");
        assert_eq!(quote(""), "");
        let long = quote(&"i am ".repeat(1000));
        assert!(long.len() <= QUOTE_BYTES + "…".len(), "{long}");
        assert!(long.ends_with('…'));
        assert_eq!(Reflections::default().quote(&words("I am")), "I am");
    }
}

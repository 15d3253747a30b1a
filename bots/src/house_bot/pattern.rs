//! Patterns of words: `* my @family +`.
//!
//! `*` stands for any words or none, `+` for at least one, `@family` for one word of a group. Each of the
//! three is a *hole*, numbered from left to right, and what stands there can be quoted.
//!
//! A pattern is a row of fixed pieces with wildcards between them. The first place where a piece fits is as
//! good as any later one for what follows, so pieces are sought one after the other and never again: the
//! time is that of going through the words once for each word of the pattern, whatever they are.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use crate::house_bot::problem::Problem;
use crate::house_bot::words::Word;

/// Words and holes of a pattern.
const MOST: usize = 32;

/// Words that are alike, by the group's name.
pub(super) type Groups = HashMap<String, Arc<BTreeSet<String>>>;

/// Something that a clause may look like.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) pieces: Vec<Piece>,
    /// The wildcard at the end.
    pub(super) tail: Option<Wildcard>,
    /// Of each hole, whether nothing may stand there.
    pub(super) holes: Vec<bool>,
}

/// Words in a row.
#[derive(Debug)]
pub(super) struct Piece {
    /// The wildcard before.
    pub(super) before: Option<Wildcard>,
    pub(super) atoms: Vec<Atom>,
}

/// Any words, as many or more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wildcard {
    pub(super) least: usize,
}

#[derive(Debug)]
pub(super) enum Atom {
    Word(String),
    Group(Arc<BTreeSet<String>>),
}

impl Atom {
    fn fits(&self, word: &Word) -> bool {
        match self {
            Atom::Word(own) => *own == word.plain,
            Atom::Group(words) => words.contains(&word.plain),
        }
    }
}

impl Pattern {
    /// Reads a pattern; `word` checks the words in it.
    pub(super) fn parse(
        text: &str,
        groups: &Groups,
        word: impl Fn(&str) -> Result<String, Problem>,
    ) -> Result<Pattern, Problem> {
        let found = text.split_whitespace().count();
        if !(1..=MOST).contains(&found) {
            return Err(Problem::Words { found, most: MOST });
        }
        let mut pattern = Pattern {
            pieces: Vec::new(),
            tail: None,
            holes: Vec::new(),
        };
        for element in text.split_whitespace() {
            if let Some(least) = match element {
                "*" => Some(0),
                "+" => Some(1),
                _ => None,
            } {
                if pattern.tail.is_some() {
                    return Err(Problem::WildcardsTogether);
                }
                pattern.holes.push(least == 0);
                pattern.tail = Some(Wildcard { least });
                continue;
            }
            let atom = match element.strip_prefix('@') {
                Some(name) => {
                    pattern.holes.push(false);
                    Atom::Group(
                        (groups.get(name).cloned())
                            .ok_or_else(|| Problem::UnknownGroup(name.to_owned()))?,
                    )
                }
                None => Atom::Word(word(element)?),
            };
            pattern.push(atom);
        }
        Ok(pattern)
    }

    fn push(&mut self, atom: Atom) {
        let before = self.tail.take();
        match self.pieces.last_mut() {
            Some(piece) if before.is_none() => piece.atoms.push(atom),
            _ => self.pieces.push(Piece {
                before,
                atoms: vec![atom],
            }),
        }
    }

    /// Whether it fits whatever is said.
    pub(super) fn takes_everything(&self) -> bool {
        // A clause has at least one word.
        self.pieces.is_empty()
    }

    /// Words that look like this: the first of each group, something without a meaning for wildcards.
    pub(super) fn example(&self) -> Vec<Word> {
        let mut words = Vec::new();
        for piece in &self.pieces {
            words.extend(piece.before.map(|_| Word::same("…")));
            words.extend(piece.atoms.iter().map(|atom| match atom {
                Atom::Word(word) => Word::same(word),
                Atom::Group(group) => Word::same(group.first().map_or("…", String::as_str)),
            }));
        }
        words.extend(self.tail.map(|_| Word::same("…")));
        words
    }

    /// What stands in each hole, if `words` as a whole look like this.
    pub(super) fn find(&self, words: &[Word]) -> Option<Vec<Range<usize>>> {
        let mut holes = Vec::with_capacity(self.holes.len());
        let mut end = 0;
        for (i, piece) in self.pieces.iter().enumerate() {
            let least = piece.before.map_or(0, |wildcard| wildcard.least);
            // The last place at which the piece has room.
            let last = words.len().checked_sub(piece.atoms.len())?;
            let is_final = i + 1 == self.pieces.len() && self.tail.is_none();
            let places = match (piece.before, is_final) {
                (None, false) => end..=end.min(last),
                (None, true) => end..=end,
                (Some(_), false) => end + least..=last,
                (Some(_), true) => (end + least).max(last)..=last,
            };
            let at = places.into_iter().find(|&at| piece.fits(words, at))?;
            if piece.before.is_some() {
                holes.push(end..at);
            }
            for (offset, atom) in piece.atoms.iter().enumerate() {
                if matches!(atom, Atom::Group(_)) {
                    holes.push(at + offset..at + offset + 1);
                }
            }
            end = at + piece.atoms.len();
        }
        let rest = words.len() - end;
        match self.tail {
            Some(wildcard) if rest >= wildcard.least => holes.push(end..words.len()),
            None if rest == 0 => {}
            _ => return None,
        }
        Some(holes)
    }
}

impl Piece {
    fn fits(&self, words: &[Word], at: usize) -> bool {
        words
            .get(at..at + self.atoms.len())
            .is_some_and(|words| (self.atoms.iter().zip(words)).all(|(atom, word)| atom.fits(word)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house_bot::words::{Rewrites, clauses};

    fn groups() -> Groups {
        let family = ["mother", "father"].map(str::to_owned);
        Groups::from([("family".to_owned(), Arc::new(BTreeSet::from(family)))])
    }

    fn parse(text: &str) -> Result<Pattern, Problem> {
        Pattern::parse(text, &groups(), |word| Ok(word.to_owned()))
    }

    /// What stands in the holes.
    fn find(pattern: &str, said: &str) -> Option<Vec<String>> {
        let words = clauses(said, &Rewrites::new()).concat();
        let holes = parse(pattern).unwrap().find(&words)?;
        Some(
            holes
                .into_iter()
                .map(|hole| {
                    let words: Vec<&str> = words[hole].iter().map(|w| w.shown.as_str()).collect();
                    words.join(" ")
                })
                .collect(),
        )
    }

    #[test]
    fn holes_take_what_stands_there() {
        for (pattern, said, expected) in [
            ("hello", "Hello", Some(&[][..])),
            ("hello", "hello you", None),
            ("hello", "oh hello", None),
            ("*", "a b", Some(&["a b"])),
            ("+", "a", Some(&["a"])),
            ("* i am +", "so I am Tired", Some(&["so", "Tired"])),
            ("* i am +", "I am", None),
            ("* i am *", "I am", Some(&["", ""])),
            ("+ i am", "i am i am", Some(&["i am"])),
            ("+ i am", "i am", None),
            ("* i am", "i am i am", Some(&["i am"])),
            ("i am * i am", "i am i am", Some(&[""])),
            ("i am + i am", "i am i am", None),
            ("i am + i am", "i am i am i am", Some(&["i am"])),
            ("i am i am", "i am", None),
            (
                "* my @family * my *",
                "my my mother my",
                Some(&["my", "mother", "", ""]),
            ),
            ("* a b * c", "a a b c c", Some(&["a", "c"])),
            ("@family", "father", Some(&["father"])),
            ("@family", "uncle", None),
            ("a * b", "a", None),
            ("a + a", "a a", None),
        ] {
            let expected = expected.map(|holes| holes.iter().map(|&h| h.to_owned()).collect());
            assert_eq!(find(pattern, said), expected, "{pattern:?} in {said:?}");
        }
    }

    /// What the pieces find is what trying everything finds.
    #[test]
    fn nothing_is_missed() {
        fn naive(pattern: &[&str], words: &[Word]) -> bool {
            match pattern.split_first() {
                None => words.is_empty(),
                Some((&"*", rest)) => (0..=words.len()).any(|n| naive(rest, &words[n..])),
                Some((&"+", rest)) => (1..=words.len()).any(|n| naive(rest, &words[n..])),
                Some((word, rest)) => words
                    .split_first()
                    .is_some_and(|(first, words)| first.plain == *word && naive(rest, words)),
            }
        }
        let texts: Vec<Vec<Word>> = (1..=6usize)
            .flat_map(|n| (0..1usize << n).map(move |bits| (n, bits)))
            .map(|(n, bits)| {
                let letters: Vec<&str> = (0..n).map(|i| ["a", "b"][bits >> i & 1]).collect();
                clauses(&letters.join(" "), &Rewrites::new()).concat()
            })
            .collect();
        let mut found = 0;
        for elements in (0..4usize.pow(5)).map(|code| {
            (0..5)
                .map(|i| ["a", "b", "*", "+"][code / 4usize.pow(i) % 4])
                .collect::<Vec<_>>()
        }) {
            for elements in [&elements[..], &elements[..3]] {
                let Ok(pattern) = parse(&elements.join(" ")) else {
                    continue;
                };
                for words in &texts {
                    let expected = naive(elements, words);
                    assert_eq!(
                        pattern.find(words).is_some(),
                        expected,
                        "{elements:?} in {words:?}"
                    );
                    found += usize::from(expected);
                }
            }
        }
        assert!(found > 1000, "{found}");
    }

    #[test]
    fn wrong_patterns_are_refused() {
        for (pattern, problem) in [
            (
                "",
                Problem::Words {
                    found: 0,
                    most: MOST,
                },
            ),
            (
                &"a ".repeat(MOST + 1),
                Problem::Words {
                    found: MOST + 1,
                    most: MOST,
                },
            ),
            ("a * + b", Problem::WildcardsTogether),
            ("* *", Problem::WildcardsTogether),
            ("@cat", Problem::UnknownGroup("cat".to_owned())),
        ] {
            assert_eq!(parse(pattern).unwrap_err(), problem);
        }
    }
}

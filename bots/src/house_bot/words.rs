//! What a person wrote, as words: cut into clauses, rewritten, and bare of punctuation.

use std::collections::HashMap;

use crate::text::{cut, one_line};

/// Bytes of what is said that are looked at.
const SAID_BYTES: usize = 4096;

/// A word in two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// In small letters, with a plain apostrophe: what patterns are compared with.
    pub(super) plain: String,
    /// As it was written: what is quoted.
    pub(super) shown: String,
}

impl Word {
    /// A word that looks the same in both forms.
    pub(super) fn same(word: &str) -> Word {
        Word {
            plain: word.to_owned(),
            shown: word.to_owned(),
        }
    }

    /// None if there is nothing but punctuation.
    fn new(written: &str) -> Option<Word> {
        let shown = written.trim_matches(is_edge);
        (!shown.is_empty()).then(|| Word {
            plain: shown.to_lowercase().replace('’', "'"),
            shown: shown.to_owned(),
        })
    }
}

/// What stands for a word before anything else happens: `what is` for `what's`.
pub(super) type Rewrites = HashMap<String, Vec<Word>>;

/// The clauses of a text that have words, without control characters. What is beyond some kilobytes is not
/// looked at.
pub(super) fn clauses(said: &str, rewrites: &Rewrites) -> Vec<Vec<Word>> {
    cut(said, SAID_BYTES)
        .split(['\n', '\r'])
        .flat_map(|line| split(&one_line(line), rewrites))
        .collect()
}

fn split(line: &str, rewrites: &Rewrites) -> Vec<Vec<Word>> {
    let mut clauses = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (clause, after) = match rest.char_indices().find(|(at, c)| ends(*c, &rest[*at..])) {
            Some((at, c)) => (&rest[..at], &rest[at + c.len_utf8()..]),
            None => (rest, ""),
        };
        let words = words(clause, rewrites);
        if !words.is_empty() {
            clauses.push(words);
        }
        rest = after;
    }
    clauses
}

/// Whether `c`, with which `from` begins, ends a clause. `3.5`, `10:30` and `talk.pdf` stay whole.
fn ends(c: char, from: &str) -> bool {
    let next = from.chars().nth(1);
    match c {
        '!' | '?' | ';' | '…' | '¿' | '¡' | '。' | '！' | '？' | '、' => true,
        '.' | ':' => !next.is_some_and(char::is_alphanumeric),
        ',' => !next.is_some_and(char::is_numeric),
        _ => false,
    }
}

fn words(clause: &str, rewrites: &Rewrites) -> Vec<Word> {
    let mut words = Vec::new();
    for word in clause.split_whitespace().filter_map(Word::new) {
        match rewrites.get(&word.plain) {
            Some(instead) => words.extend(instead.iter().cloned()),
            None => words.push(word),
        }
    }
    words
}

/// Stands around words and is none of their letters. Others, such as emoji and the signs of `C++`, are.
fn is_edge(c: char) -> bool {
    matches!(
        c,
        '.' | ','
            | ':'
            | '"'
            | '\''
            | '('
            | ')'
            | '['
            | ']'
            | '{'
            | '}'
            | '<'
            | '>'
            | '-'
            | '*'
            | '_'
            | '`'
            | '~'
            | '/'
            | '\\'
            | '|'
            | '«'
            | '»'
            | '‹'
            | '›'
            | '„'
            | '“'
            | '”'
            | '‚'
            | '‘'
            | '’'
            | '–'
            | '—'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(said: &str) -> Vec<String> {
        let rewrites = Rewrites::from([(
            "what's".to_owned(),
            ["what", "is"].into_iter().filter_map(Word::new).collect(),
        )]);
        clauses(said, &rewrites)
            .iter()
            .map(|words| {
                let words: Vec<&str> = words.iter().map(|word| word.plain.as_str()).collect();
                words.join(" ")
            })
            .collect()
    }

    #[test]
    fn text_becomes_clauses_of_words() {
        for (said, expected) in [
            ("Hi! What’s ON?", &["hi", "what is on"][..]),
            ("  well,you  know ", &["well", "you know"]),
            ("one, two;three\nfour", &["one", "two", "three", "four"]),
            (
                "talk.pdf at 10:30, for 1,000.5 h.",
                &["talk.pdf at 10:30", "for 1,000.5 h"],
            ),
            ("(\"quoted\") - 'words'", &["quoted words"]),
            ("I \u{1b}[2J like C++ 🍕", &["i 2j like c++ 🍕"]),
            ("?!... -- \0 ''", &[]),
            ("", &[]),
        ] {
            assert_eq!(plain(said), expected, "{said:?}");
        }
    }
}

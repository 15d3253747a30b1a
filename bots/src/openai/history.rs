//! What a conversation remembers.

use std::collections::VecDeque;

/// Bytes of all that is remembered.
const HISTORY_BYTES: usize = 64 << 10;

/// The last questions with their answers, in order.
#[derive(Debug)]
pub(crate) struct History {
    pairs: VecDeque<(String, String)>,
    most_pairs: usize,
    bytes: usize,
}

impl History {
    /// Remembers `messages` at most: questions and answers, each counted.
    pub(crate) fn new(messages: usize) -> History {
        History {
            pairs: VecDeque::new(),
            most_pairs: messages / 2,
            bytes: 0,
        }
    }

    /// The oldest pair first.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(question, answer)| (question.as_str(), answer.as_str()))
    }

    /// Adds a pair. The oldest ones go until the rest fits, this one as well if it has to.
    pub(crate) fn push(&mut self, question: &str, answer: &str) {
        self.bytes += question.len() + answer.len();
        self.pairs
            .push_back((question.to_owned(), answer.to_owned()));
        while self.pairs.len() > self.most_pairs || self.bytes > HISTORY_BYTES {
            let Some((question, answer)) = self.pairs.pop_front() else {
                break;
            };
            self.bytes -= question.len() + answer.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn questions(history: &History) -> Vec<&str> {
        history.pairs().map(|(question, _)| question).collect()
    }

    #[test]
    fn the_oldest_pairs_go_first() {
        let mut history = History::new(5);
        for question in ["a", "b", "c"] {
            history.push(question, "…");
        }
        assert_eq!(questions(&history), ["b", "c"], "five messages: two pairs");

        for none in [0, 1] {
            let mut history = History::new(none);
            history.push("a", "b");
            assert_eq!(questions(&history), [""; 0]);
        }
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut history = History::new(usize::MAX);
        let third = "x".repeat(HISTORY_BYTES / 3 - 1);
        for question in ["a", "b", "c", "d"] {
            history.push(question, &third);
        }
        assert_eq!(questions(&history), ["b", "c", "d"]);
        history.push("e", &"x".repeat(HISTORY_BYTES));
        assert_eq!(questions(&history), [""; 0], "one that is too large alone");
        history.push("f", "g");
        assert_eq!(questions(&history), ["f"]);
    }
}

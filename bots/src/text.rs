//! Text from outside, made short and safe.

use std::borrow::Cow;

/// The first `most` bytes of `text` at most, ending at a character.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Like [`cut`], with an ellipsis where something is missing.
pub(crate) fn shorten(text: &str, most: usize) -> Cow<'_, str> {
    match cut(text, most) {
        whole if whole.len() == text.len() => Cow::Borrowed(text),
        part => Cow::Owned(format!("{}…", part.trim_end())),
    }
}

/// `text` on one line: white space and control characters are spaces, and what a terminal would hide or take
/// as a direction of writing is left out. Joiners stay, since emoji and scripts are made with them.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .filter(|c| !is_hidden(*c))
        .map(|c| match c.is_control() || c.is_whitespace() {
            true => ' ',
            false => c,
        })
        .collect()
}

/// `text` as it is but for control characters and what [`one_line`] leaves out; ends of lines and tabs stay.
pub(crate) fn lines(text: &str) -> String {
    text.chars()
        .filter(|c| matches!(c, '\n' | '\t') || !(c.is_control() || is_hidden(*c)))
        .collect()
}

/// Changes the direction of writing, or has neither width nor use.
fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}'
    ) || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_ends_at_a_character() {
        assert_eq!(cut("añb", 2), "a");
        assert_eq!(cut("añb", 3), "añ");
        assert_eq!(cut("añb", 100), "añb");
        assert_eq!(cut("ñ", 0), "");
        assert_eq!(shorten("one two", 4), "one…");
        assert_eq!(shorten("one two", 7), "one two");
    }

    #[test]
    fn nothing_is_left_that_a_terminal_obeys() {
        assert_eq!(one_line("a\x1b[2J\r\nb\u{9b}c"), "a [2J  b c");
        assert_eq!(one_line("x\u{202e}y\u{2028}z\u{200b}"), "xy z");
        assert_eq!(one_line("👩\u{200d}🚀"), "👩\u{200d}🚀");
        assert_eq!(lines("a\n\tb\r\x07\u{202e}"), "a\n\tb");
    }
}

//! Plain words on their way from one service to another: what everyone can show, who is addressed.

use std::sync::Arc;

use bytes::Bytes;

/// Texts that one message becomes at most; lines beyond it are joined.
const MAX_LINES: usize = 64;
/// What the bot is addressed by, in whatever case.
pub const BOT: &str = "bot";

/// `texts` as texts that every service can show: UTF-8 without line ends and other control characters, none
/// of them empty. What is so already is not copied.
pub fn readable(texts: &Arc<[Bytes]>) -> Arc<[Bytes]> {
    if texts.iter().all(|text| is_readable(text)) {
        return texts.clone();
    }
    texts.iter().flat_map(lines).collect()
}

fn is_readable(text: &[u8]) -> bool {
    !text.is_empty()
        && match text.is_ascii() {
            true => text
                .iter()
                .all(|byte| !byte.is_ascii_control() || *byte == b'\t'),
            false => std::str::from_utf8(text).is_ok_and(|text| !text.chars().any(is_control)),
        }
}

fn is_control(c: char) -> bool {
    c.is_control() && c != '\t'
}

/// The lines of a message, each made readable.
pub fn lines(text: &Bytes) -> Vec<Bytes> {
    let text = String::from_utf8_lossy(text);
    let mut lines = text
        .split(['\n', '\r'])
        .map(|line| line.replace(is_control, " "))
        .filter(|line| !line.trim().is_empty());
    let mut all: Vec<Bytes> = lines.by_ref().take(MAX_LINES).map(Bytes::from).collect();
    let rest: Vec<String> = lines.collect();
    if !rest.is_empty() {
        all.push(rest.join(" ").into());
    }
    all
}

/// Whether nobody but the bot may have this name.
pub fn is_bots(name: &str) -> bool {
    name.eq_ignore_ascii_case(BOT)
}

/// What the bot is asked by public words that begin with `@bot`, `bot:` or `bot,`.
pub fn for_bot(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let (at, name) = match text.strip_prefix('@') {
        Some(name) => (true, name),
        None => (false, text),
    };
    let (begin, rest) = name.split_at_checked(BOT.len())?;
    let follows = rest.chars().next();
    let is_addressed = match follows {
        Some(':' | ',') => true,
        Some(c) => at && !(c.is_alphanumeric() || matches!(c, '-' | '_' | '@' | '.')),
        None => at,
    };
    if !is_bots(begin) || !is_addressed {
        return None;
    }
    Some(rest.trim_start_matches([':', ',']).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(text: &'static [u8]) -> Vec<Bytes> {
        let texts: Arc<[Bytes]> = Arc::new([Bytes::from_static(text)]);
        readable(&texts).to_vec()
    }

    #[test]
    fn what_can_be_shown_is_passed_on_as_it_is() {
        for text in ["hello", "a\tb", "né 漢🎭"] {
            let texts: Arc<[Bytes]> = Arc::new([Bytes::from(text)]);
            assert!(Arc::ptr_eq(&readable(&texts), &texts), "{text}");
        }
    }

    #[test]
    fn lines_are_texts_and_control_characters_are_spaces() {
        assert_eq!(made(b"a\r\n\n b\n"), ["a", " b"]);
        assert_eq!(made(b"\x1b[2Jx\x7f"), [" [2Jx "]);
        assert_eq!(made(b"n\xff"), ["n\u{fffd}"]);
        assert_eq!(made("a\u{85}b".as_bytes()), ["a b"]);
        assert!(made(b"").is_empty() && made(b" \n\r\n").is_empty());
    }

    #[test]
    fn one_message_becomes_few_texts() {
        let many: Arc<[Bytes]> = Arc::new(["x\n".repeat(1000).into()]);
        let made = readable(&many);
        assert_eq!(made.len(), MAX_LINES + 1);
        assert_eq!(made[MAX_LINES].len(), 2 * (1000 - MAX_LINES) - 1);
    }

    #[test]
    fn the_bot_knows_when_it_is_addressed() {
        for text in [
            "@bot what time?",
            " @BOT: what time?",
            "bot: what time?",
            "Bot,what time?",
        ] {
            assert_eq!(for_bot(text), Some("what time?"), "{text}");
        }
        assert_eq!(for_bot("@bot"), Some(""));
        for text in [
            "bot",
            "bot what",
            "@bottle",
            "@bot-2 hi",
            "robot: x",
            "@",
            "",
            "@böt",
            "hi @bot",
        ] {
            assert_eq!(for_bot(text), None, "{text}");
        }
    }
}

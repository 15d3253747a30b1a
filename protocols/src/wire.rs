//! What every decoder shares: [`Step`], [`WireError`], user names, PEM blocks.

use std::borrow::Cow;
use std::collections::HashMap;

/// The longest user name, in characters, that the house takes.
pub const MAX_NAME_CHARS: usize = 64;
/// The longest bare user name, in bytes, that is looked at: four bytes a character, and a line end.
pub const MAX_NAME_BYTES: usize = MAX_NAME_CHARS * 4 + 2;
/// The longest PEM block of a public key, in bytes (RSA with 4,096 bits needs about 800).
pub const MAX_KEY_BYTES: usize = 8 * 1024;

/// What is wrong with what a peer sent: where, in which field, against which rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} at byte {position}: {rule}")]
pub struct WireError {
    /// Offset in bytes from the first byte of the message.
    pub position: usize,
    /// The field's name in docs/protocols.md.
    pub field: &'static str,
    /// The rule that is broken, as a sentence for the peer and the operator.
    pub rule: Cow<'static, str>,
}

impl WireError {
    /// An error at `position` bytes into the message.
    pub fn new(
        position: usize,
        field: &'static str,
        rule: impl Into<Cow<'static, str>>,
    ) -> WireError {
        WireError {
            position,
            field,
            rule: rule.into(),
        }
    }
}

/// One step of a decoder. A decoder's `Err` means that the stream can't be followed any further.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<M> {
    /// A whole message, and how many bytes of the input it took.
    Got { message: M, used: usize },
    /// A message that breaks a rule; the stream goes on `used` bytes further.
    Refused { error: WireError, used: usize },
    /// Nothing whole yet, after `used` bytes that carry nothing (white space, a body passed over).
    More { used: usize },
}

impl<M> Step<M> {
    /// The same step with another message.
    pub fn map<N>(self, f: impl FnOnce(M) -> N) -> Step<N> {
        match self {
            Step::Got { message, used } => Step::Got {
                message: f(message),
                used,
            },
            Step::Refused { error, used } => Step::Refused { error, used },
            Step::More { used } => Step::More { used },
        }
    }
}

/// A bare user name: what one read brought, up to `end_marker` if a client in a hurry sent its key
/// along. White space around it is not part of it.
///
/// # Errors
/// A name that is empty, too long, no UTF-8, or holds control characters.
pub fn name<'a>(input: &'a [u8], end_marker: &[u8]) -> Result<(&'a str, usize), WireError> {
    let used = memchr::memmem::find(input, end_marker).unwrap_or(input.len());
    Ok((user_name(&input[..used])?, used))
}

/// All of `bare` as a user name, without the white space around it.
///
/// # Errors
/// A name that is empty, too long, no UTF-8, or holds control characters.
pub fn user_name(bare: &[u8]) -> Result<&str, WireError> {
    if bare.len() > MAX_NAME_BYTES {
        return Err(WireError::new(
            0,
            "name",
            format!("a name has at most {MAX_NAME_CHARS} characters"),
        ));
    }
    let text = std::str::from_utf8(bare)
        .map_err(|e| WireError::new(e.valid_up_to(), "name", "a name is UTF-8"))?
        .trim();
    if text.is_empty() {
        return Err(WireError::new(0, "name", "a name is not empty"));
    }
    if text.chars().count() > MAX_NAME_CHARS {
        return Err(WireError::new(
            0,
            "name",
            format!("a name has at most {MAX_NAME_CHARS} characters"),
        ));
    }
    if let Some((at, _)) = text.char_indices().find(|(_, c)| c.is_control()) {
        return Err(WireError::new(
            at,
            "name",
            "a name has no control characters",
        ));
    }
    Ok(text)
}

/// One PEM block, from its `BEGIN` to its `END` line and the line end if that is already here.
///
/// # Errors
/// Something else than a PEM block of this label, one that is too long, or one that is not ASCII.
pub fn pem<'a>(input: &'a [u8], begin: &[u8], end: &[u8]) -> Result<Step<&'a str>, WireError> {
    let blank = leading_white(input);
    let block = &input[blank..];
    let head = &block[..block.len().min(begin.len())];
    if !begin.starts_with(head) {
        return Err(WireError::new(
            blank,
            "public key",
            format!(
                "a public key begins with {}",
                String::from_utf8_lossy(begin)
            ),
        ));
    }
    // Searched afresh at every step: a key comes in one or two reads and is small.
    let Some(at) = memchr::memmem::find(block, end) else {
        if block.len() > MAX_KEY_BYTES {
            return Err(WireError::new(
                blank,
                "public key",
                format!("a public key has at most {MAX_KEY_BYTES} bytes"),
            ));
        }
        return Ok(Step::More { used: blank });
    };
    let length = at + end.len();
    if length > MAX_KEY_BYTES {
        return Err(WireError::new(
            blank,
            "public key",
            format!("a public key has at most {MAX_KEY_BYTES} bytes"),
        ));
    }
    let text = std::str::from_utf8(&block[..length])
        .ok()
        .filter(|text| text.is_ascii())
        .ok_or_else(|| WireError::new(blank, "public key", "a PEM block is ASCII"))?;
    let used = blank + length + leading_white(&block[length..]);
    Ok(Step::Got {
        message: text,
        used,
    })
}

/// How many bytes of ASCII white space `input` begins with.
pub fn leading_white(input: &[u8]) -> usize {
    input
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count()
}

/// Appends one entry of a list of people, `"name":"PEM"`, as JSON without spaces.
///
/// Both services with keys show the same object; its entries are encoded once, when a person comes.
pub fn person_entry(name: &str, pem: &str) -> Vec<u8> {
    let mut entry = json_string(name);
    entry.push(b':');
    entry.extend_from_slice(&json_string(pem));
    entry
}

/// The PEM of an entry that [`person_entry`] made.
pub fn entry_key(entry: &[u8]) -> Option<String> {
    // A name may hold what separates the two, so it is read, too.
    let object = people_object(std::iter::once(entry));
    let people: HashMap<String, String> = serde_json::from_slice(&object).ok()?;
    people.into_values().next()
}

/// `text` as a JSON string, quotes included.
pub fn json_string(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).unwrap_or_else(|_| b"\"\"".to_vec())
}

/// A JSON object out of the entries that [`person_entry`] made.
pub fn people_object<'a>(entries: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut object = vec![b'{'];
    for (i, entry) in entries.enumerate() {
        if i > 0 {
            object.push(b',');
        }
        object.extend_from_slice(entry);
    }
    object.push(b'}');
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &[u8] = b"-----BEGIN PUBLIC KEY-----";
    const END: &[u8] = b"-----END PUBLIC KEY-----";

    #[test]
    fn a_name_is_trimmed_and_ends_where_a_key_begins() {
        assert_eq!(name(b" anna\n", BEGIN), Ok(("anna", 6)));
        assert_eq!(
            name(b"anna-----BEGIN PUBLIC KEY-----x", BEGIN),
            Ok(("anna", 4))
        );
        assert_eq!(name("Zoë 🎭".as_bytes(), BEGIN), Ok(("Zoë 🎭", 9)));
    }

    #[test]
    fn bad_names_say_which_rule_they_break() {
        let rule = |input: &[u8]| name(input, BEGIN).unwrap_err().rule;
        assert_eq!(rule(b" \r\n"), "a name is not empty");
        assert_eq!(rule(b"a\x1b[2J"), "a name has no control characters");
        assert_eq!(rule(b"an\xffna"), "a name is UTF-8");
        assert_eq!(rule(&[b'x'; 65]), "a name has at most 64 characters");
        assert_eq!(rule(&[b'x'; 9000]), "a name has at most 64 characters");
        assert_eq!(name(b"an\xffna", BEGIN).unwrap_err().position, 2);
    }

    #[test]
    fn a_pem_block_ends_with_its_end_line_wherever_it_is_split() {
        let whole = b"\n-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n\x01";
        for cut in 0..whole.len() {
            let step = pem(&whole[..cut], BEGIN, END).unwrap();
            if cut < whole.len() - 2 {
                assert!(matches!(step, Step::More { .. }), "cut at {cut}");
            } else {
                let Step::Got { message, used } = step else {
                    panic!("cut at {cut}")
                };
                assert!(message.ends_with("-----END PUBLIC KEY-----"));
                assert_eq!(used, cut);
            }
        }
        let Step::Got { used, .. } = pem(whole, BEGIN, END).unwrap() else {
            panic!()
        };
        assert_eq!(used, whole.len() - 1, "what follows the key is not taken");
    }

    #[test]
    fn a_pem_block_is_bounded_and_of_its_label() {
        assert!(pem(b"-----BEGIN RSA", BEGIN, END).is_err());
        let mut endless = BEGIN.to_vec();
        endless.resize(MAX_KEY_BYTES + 1, b'A');
        assert!(pem(&endless, BEGIN, END).is_err());
        endless.extend_from_slice(END);
        assert!(pem(&endless, BEGIN, END).is_err());
    }

    #[test]
    fn a_list_of_people_is_json_without_spaces() {
        let entries = [person_entry("a\"b", "K\n"), person_entry("é", "L")];
        assert_eq!(entry_key(&entries[0]).as_deref(), Some("K\n"));
        assert_eq!(entry_key(b""), None);
        let object = people_object(entries.iter().map(Vec::as_slice));
        assert_eq!(
            String::from_utf8(object).unwrap(),
            "{\"a\\\"b\":\"K\\n\",\"é\":\"L\"}"
        );
        assert_eq!(people_object(std::iter::empty()), b"{}");
    }
}

//! Texts and RSA blocks: how a text becomes as many blocks as it needs, and a block a text again. Nothing
//! here knows whose keys they are.

use rsa::rand_core::OsRng;
use rsa::sha2::Sha256;
use rsa::traits::PublicKeyParts;
use rsa::{Oaep, Pkcs1v15Encrypt, RsaPrivateKey, RsaPublicKey};

use crate::language::Padding;

/// The longest character, in bytes: a block with less room holds no text.
const CHARACTER: usize = 4;
/// Bytes of text beside an opening, or it is said once and not in each block.
const ROOM_BESIDE_OPENING: usize = 32;

impl Padding {
    /// Bytes of text that one block of `key` holds.
    pub fn room(self, key: &RsaPublicKey) -> usize {
        key.size().saturating_sub(match self {
            // Two hashes of 32 bytes, and two bytes.
            Padding::Oaep => 66,
            Padding::Pkcs1 => 11,
        })
    }

    /// One block that only the holder of `key` can read; `None` for a key that can't be used.
    pub fn encrypt(self, key: &RsaPublicKey, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Padding::Oaep => key.encrypt(&mut OsRng, Oaep::new::<Sha256>(), text),
            Padding::Pkcs1 => key.encrypt(&mut OsRng, Pkcs1v15Encrypt, text),
        }
        .ok()
    }

    /// What a block says, if it is for `key` and is text. With PKCS#1 v1.5 a wrong key fits once in some
    /// hundred thousand times; what comes of it then is no text.
    pub fn decrypt(self, key: &RsaPrivateKey, block: &[u8]) -> Option<String> {
        let bytes = match self {
            Padding::Oaep => key.decrypt_blinded(&mut OsRng, Oaep::new::<Sha256>(), block),
            Padding::Pkcs1 => key.decrypt_blinded(&mut OsRng, Pkcs1v15Encrypt, block),
        };
        let text = String::from_utf8(bytes.ok()?).ok()?;
        let is_text = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
        (!text.is_empty() && text.chars().all(is_text)).then_some(text)
    }

    /// `text` as blocks for `key`, in order, with `opening` before it, and before each later block that could
    /// be taken for somebody else's words; `None` for a key that can't be used.
    pub fn blocks(self, key: &RsaPublicKey, opening: &str, text: &str) -> Option<Vec<Vec<u8>>> {
        pieces(opening, text, self.room(key))?
            .iter()
            .map(|piece| self.encrypt(key, piece.as_bytes()))
            .collect()
    }
}

/// `text` in pieces of at most `room` bytes, openings included. Readers see one piece after the other, and
/// one with a colon might look as if it began with a name: those begin with the right one, if there is
/// room.
fn pieces(opening: &str, text: &str, room: usize) -> Option<Vec<String>> {
    let left = room.saturating_sub(opening.len());
    if opening.is_empty() || left < ROOM_BESIDE_OPENING {
        let all = format!("{opening}{text}");
        return Some(split(&all, room)?.into_iter().map(str::to_owned).collect());
    }
    let pieces = split(text, left)?.into_iter().enumerate();
    let opened = pieces.map(|(n, piece)| match n == 0 || piece.contains(':') {
        true => format!("{opening}{piece}"),
        false => piece.to_owned(),
    });
    Some(opened.collect())
}

/// `text` in pieces of at most `room` bytes, cut between characters; `None` if not even one fits.
fn split(text: &str, room: usize) -> Option<Vec<&str>> {
    if room < CHARACTER {
        return None;
    }
    let (mut pieces, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let mut end = room.min(rest.len());
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, more) = rest.split_at(end);
        pieces.push(piece);
        rest = more;
    }
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(split("abcdef", 4), Some(vec!["abcd", "ef"]));
        assert_eq!(split("aé漢🎭", 4), Some(vec!["aé", "漢", "🎭"]));
        assert_eq!(split("", 4), Some(vec![]));
        assert_eq!(split("a", 3), None);
    }

    proptest! {
        #[test]
        fn pieces_are_the_text_and_fit(text in ".{0,200}", room in 4..40_usize) {
            let pieces = split(&text, room).unwrap();
            prop_assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= room));
            prop_assert_eq!(pieces.concat(), text);
        }
    }

    #[test]
    fn no_piece_looks_like_somebody_elses_words() {
        let text = "x".repeat(70);
        let made = pieces("anna: ", &text, 46).unwrap();
        assert_eq!(
            made,
            ["anna: ".to_owned() + &text[..40], text[..30].to_owned()]
        );
        let forged = "x".repeat(40) + "bert: give me your key";
        let made = pieces("anna: ", &forged, 46).unwrap();
        assert_eq!(made[1], "anna: bert: give me your key");
        let long = "a".repeat(40) + ": ";
        let made = pieces(&long, &text, 60).unwrap();
        assert_eq!(made, [long + &text[..18], text[..52].to_owned()]);
    }

    #[test]
    fn blocks_are_read_with_the_key_they_are_for_and_no_other() {
        let keys = [1024, 1024].map(|bits| RsaPrivateKey::new(&mut OsRng, bits).unwrap());
        let text = "längere Nachricht 🎭 ".repeat(20);
        for padding in [Padding::Oaep, Padding::Pkcs1] {
            let blocks = padding.blocks(&keys[0].to_public_key(), "", &text).unwrap();
            assert!(blocks.len() > 2);
            let read: Option<String> = blocks
                .iter()
                .map(|block| padding.decrypt(&keys[0], block))
                .collect();
            assert_eq!(read.as_deref(), Some(text.as_str()));
            for block in &blocks {
                assert_eq!(padding.decrypt(&keys[1], block), None);
            }
        }
    }

    #[test]
    fn what_is_no_text_is_not_taken_for_one() {
        let key = RsaPrivateKey::new(&mut OsRng, 1024).unwrap();
        let read = |bytes: &[u8]| {
            let block = Padding::Pkcs1.encrypt(&key.to_public_key(), bytes)?;
            Padding::Pkcs1.decrypt(&key, &block)
        };
        assert_eq!(read(b"hi\n"), Some("hi\n".to_owned()));
        assert_eq!(read(b""), None);
        assert_eq!(read(b"\xff\xfe"), None);
        assert_eq!(read(b"a\x01"), None);
    }
}

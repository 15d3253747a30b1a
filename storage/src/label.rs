//! Names that clients gave, made safe to show and to use.

use std::borrow::Cow;

use crate::rows::StoredFile;

/// Bytes of a file name; file systems take 255, and what is written beside needs some too.
const NAME_BYTES: usize = 200;

impl StoredFile {
    /// The name for people: what isn't UTF-8 is replaced, what a terminal would obey or hide is escaped.
    pub fn label(&self) -> String {
        let mut label = String::new();
        for c in self.text().chars() {
            match is_hidden(c) {
                true => label.extend(c.escape_unicode()),
                false => label.push(c),
            }
        }
        label
    }

    /// A name for a file that a folder can have: the last part of the label, without what a terminal
    /// would obey or hide. Never empty, `..` or hidden; may be that of a file that is there.
    pub fn file_name(&self) -> String {
        let text = self.text();
        let last = text.rsplit(['/', '\\']).find(|part| !part.is_empty());
        let mut name = String::new();
        for c in last.unwrap_or("file").chars() {
            let c = match c {
                '.' if name.is_empty() => '_',
                c if is_hidden(c) => '_',
                c => c,
            };
            if name.len() + c.len_utf8() > NAME_BYTES {
                break;
            }
            name.push(c);
        }
        name
    }

    fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }
}

/// Controls a terminal, ends a line, changes the direction of writing, or has no width.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &[u8]) -> (String, String) {
        let file = StoredFile {
            number: 1,
            name: name.to_vec(),
            size: 0,
            sha256: [0; 32],
            added_ms: 0,
        };
        (file.label(), file.file_name())
    }

    #[test]
    fn names_are_safe_to_show_and_to_use() {
        for (name, label, file_name) in [
            (
                &b"it's \"me\".txt"[..],
                "it's \"me\".txt",
                "it's \"me\".txt",
            ),
            ("é e\u{301} 文".as_bytes(), "é e\u{301} 文", "é e\u{301} 文"),
            (b"../../x", "../../x", "x"),
            (b"a/..", "a/..", "_."),
            (b"C:\\dir\\x", "C:\\dir\\x", "x"),
            (b"dir/", "dir/", "dir"),
            (b".bashrc", ".bashrc", "_bashrc"),
            (b"", "", "file"),
            (b"//", "//", "file"),
            (b"\x1b[2J\n\0", "\\u{1b}[2J\\u{a}\\u{0}", "_[2J__"),
            ("\u{9b}1m".as_bytes(), "\\u{9b}1m", "_1m"),
            ("gpj\u{202e}exe".as_bytes(), "gpj\\u{202e}exe", "gpj_exe"),
            (b"\xff.txt", "\u{fffd}.txt", "\u{fffd}.txt"),
        ] {
            assert_eq!(names(name), (label.to_owned(), file_name.to_owned()));
        }
        let long = "é".repeat(300);
        assert_eq!(names(long.as_bytes()).1, "é".repeat(100));
    }
}

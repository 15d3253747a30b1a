//! Names that nobody else in the house has.

/// `wanted` if it is not taken, else a free one of `wanted-2`, `wanted-3`, … Merged lists separate names
/// with commas, so names have none; and `@` and the name of a service behind a name says that it is
/// somebody of that service, so nobody takes that along.
pub fn free_name(
    wanted: &str,
    is_service: impl Fn(&str) -> bool,
    is_taken: impl Fn(&str) -> bool,
) -> String {
    let spaced: String = wanted
        .chars()
        .filter(|c| !is_invisible(*c))
        .map(|c| if c == ',' { ' ' } else { c })
        .collect();
    let mut wanted = spaced.trim();
    while let Some((name, ending)) = wanted.rsplit_once('@')
        && is_service(ending.trim_start())
    {
        wanted = name.trim_end();
    }
    if wanted.is_empty() {
        wanted = "guest";
    }
    if !is_taken(wanted) {
        return wanted.to_owned();
    }
    let numbered = |n: u64| format!("{wanted}-{n}");
    let is_taken = |n| is_taken(&numbered(n));
    // Thousands may want the same name, the address of a whole company for instance: not all of them are
    // tried.
    let mut free = 2;
    while is_taken(free) {
        free *= 2;
    }
    let mut taken = free / 2;
    while taken + 1 < free {
        let middle = taken.midpoint(free);
        match is_taken(middle) {
            true => taken = middle,
            false => free = middle,
        }
    }
    numbered(free)
}

/// Characters that nobody sees, or that turn others around: with them two names would look the same.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn take(names: &mut HashSet<String>, wanted: &str) -> String {
        let is_service = |ending: &str| matches!(ending, "web" | "chatroom");
        let name = free_name(wanted, is_service, |name| names.contains(name));
        assert!(names.insert(name.clone()), "{name} was taken");
        name
    }

    #[test]
    fn nobody_looks_like_somebody_else() {
        let made = |wanted: &str| free_name(wanted, |_| false, |name| name == "bot");
        assert_eq!(made("bot\u{200b}"), "bot-2");
        assert_eq!(made("\u{202e}tob"), "tob");
        assert_eq!(made("\u{feff}\u{3164}"), "guest");
        assert_eq!(made("Zoë 🎭"), "Zoë 🎭");
    }

    #[test]
    fn who_comes_later_gets_a_number() {
        let mut names = HashSet::new();
        for expected in ["anna", "anna-2", "anna-3", "anna-4", "anna-5"] {
            assert_eq!(take(&mut names, "anna"), expected);
        }
        assert_eq!(take(&mut names, " a, b ,"), "a  b");
        assert_eq!(take(&mut names, ","), "guest");
        assert_eq!(take(&mut names, "bert@web"), "bert");
        assert_eq!(take(&mut names, "carl@web @ chatroom,"), "carl");
        assert_eq!(take(&mut names, "@web"), "guest-2");
        assert_eq!(take(&mut names, "dora@example.org"), "dora@example.org");
    }

    proptest! {
        #[test]
        fn names_are_unique_whoever_leaves(leaving in proptest::collection::vec(0..200_usize, 0..150)) {
            let mut names = HashSet::new();
            let all: Vec<_> = (0..200).map(|_| take(&mut names, "10.0.0.1")).collect();
            for n in &leaving {
                names.remove(&all[*n]);
            }
            let left = names.len();
            for come in 1..=100 {
                take(&mut names, "10.0.0.1");
                prop_assert_eq!(names.len(), left + come);
            }
        }
    }
}

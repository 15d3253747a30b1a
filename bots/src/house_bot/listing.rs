//! Lists of names as a sentence has them.

use crate::Listing;
use crate::house_bot::template::Template;
use crate::text::{one_line, shorten};

/// Placeholders in sentences about a list.
pub(super) const LIST: &[&str] = &["count", "names"];
/// Placeholders in what stands for the names that are left out.
pub(super) const MORE: &[&str] = &["count"];

/// Bytes of one name.
const NAME_BYTES: usize = 60;
/// Bytes of all names, with what stands between them.
const NAMES_BYTES: usize = 600;

/// How many there are.
pub(super) fn total(listing: &Listing) -> usize {
    listing.total.max(listing.names.len())
}

/// The values of [`LIST`]; `more` has those of [`MORE`].
pub(super) fn values(listing: &Listing, more: &Template) -> [String; 2] {
    let total = total(listing);
    let mut names = String::new();
    let mut shown = 0;
    for name in &listing.names {
        let name = one_line(name);
        let name = match name.trim() {
            "" => "…".into(),
            name => shorten(name, NAME_BYTES),
        };
        if names.len() + name.len() > NAMES_BYTES {
            break;
        }
        if shown > 0 {
            names.push_str(", ");
        }
        names.push_str(&name);
        shown += 1;
    }
    if shown == 0 {
        names.push('…');
    } else if shown < total {
        names.push(' ');
        names.push_str(&more.fill(&[(total - shown).to_string()]));
    }
    [total.to_string(), names]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str], total: usize) -> [String; 2] {
        let more = Template::parse("(+{count})", MORE).unwrap();
        let names = names.iter().map(|&name| name.to_owned()).collect();
        values(&Listing { names, total }, &more)
    }

    #[test]
    fn what_is_left_out_is_counted() {
        assert_eq!(listed(&["a", "b"], 2), ["2", "a, b"]);
        assert_eq!(listed(&["a", "b"], 122), ["122", "a, b (+120)"]);
        assert_eq!(
            listed(&["a", "b"], 0),
            ["2", "a, b"],
            "a total that is wrong"
        );
        assert_eq!(listed(&[], 5), ["5", "…"]);
        let many = vec!["0123456789"; 1000];
        assert_eq!(
            listed(&many, 1000)[1],
            format!("{} (+950)", many[..50].join(", "))
        );
    }

    #[test]
    fn names_are_short_and_on_one_line() {
        let [_, names] = listed(&["a\n\x1bb", &"ü".repeat(500), "\0"], 3);
        assert_eq!(names, format!("a  b, {}…, …", "ü".repeat(30)));
    }
}

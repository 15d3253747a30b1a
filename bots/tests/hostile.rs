//! What nobody says who means well.

mod support;

use playhouse_bots::{Bot, Echo};
use support::{answer, bot_with, house_bot};

/// Bytes that no answer has.
const MOST: usize = 8000;

#[tokio::test]
async fn whatever_is_said_has_a_short_answer() {
    let megabyte = |text: &str| text.repeat((1 << 20) / text.len());
    let mut bot = house_bot(100);
    for said in [
        String::new(),
        " \t\r\n".to_owned(),
        "?!?!... --- ,,, (((".to_owned(),
        "\0\u{1}\u{7f}\u{9b}\u{202e}".to_owned(),
        "👩\u{200d}🚀🍕".to_owned(),
        "\u{301}\u{301}\u{301}".to_owned(),
        "İSTANBUL ǅ ﬁles ẞ".to_owned(),
        "{1} {names} {".to_owned(),
        "* + @family".to_owned(),
        megabyte("i am "),
        megabyte("I am. "),
        megabyte("my mother and "),
        megabyte("what is on and "),
        megabyte("who is here? "),
        megabyte("show me "),
        megabyte("please "),
        megabyte("and "),
        megabyte("what's "),
        megabyte("a"),
        megabyte("."),
        megabyte("\n"),
        megabyte("\0"),
        megabyte("🍕"),
        megabyte("\u{202e}"),
        megabyte("because i want you to be my friend if you are always sad because "),
    ] {
        for _ in 0..3 {
            let answer = answer(&mut bot, &said).await;
            let about: String = said.chars().take(20).collect();
            assert!((1..MOST).contains(&answer.len()), "{about:?}: {answer}");
            assert!(!answer.contains(char::is_control), "{about:?}: {answer:?}");
            assert!(!answer.contains('\u{202e}'), "{about:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn quotes_have_no_control_characters() {
    let mut bot = house_bot(0);
    let said = "I like \u{1b}[31mred\u{7} \u{202e}things\u{2028}and\u{a0}emoji 👩\u{200d}🚀";
    answer(&mut bot, "I like tea").await;
    assert_eq!(
        answer(&mut bot, said).await,
        "How would you win me over to 31mred things and emoji 👩\u{200d}🚀?"
    );
}

#[tokio::test]
async fn only_some_kilobytes_are_looked_at() {
    let mut bot = house_bot(2);
    let far = |bytes: usize| format!("{}\nany files?", "x ".repeat(bytes / 2));
    assert!(answer(&mut bot, &far(1000)).await.contains("file1"));
    assert!(!answer(&mut bot, &far(100_000)).await.contains("file1"));
}

/// Patterns at which a matcher that tries everything would never come to an end.
#[tokio::test]
async fn patterns_can_not_blow_up() {
    let stars = format!("{} b", ["*"; 14].join(" a "));
    let pluses = format!("{} b", ["+"; 10].join(" a a "));
    let rules = format!(
        "[replies]\nsilence = ['-']\ndefault = ['Neither']\nmore = '{{count}}'\n\
         [[rules]]\nwords = ['a']\n\
         [[rules.cases]]\npattern = '{stars}'\nanswers = ['Stars']\n\
         [[rules.cases]]\npattern = '{pluses}'\nanswers = ['Pluses']\n"
    );
    let mut bot = bot_with(&rules, 0);
    let letters = "a ".repeat(2000);
    assert_eq!(answer(&mut bot, &letters).await, "Neither");
    assert_eq!(answer(&mut bot, &format!("{letters}b")).await, "Stars");
}

#[tokio::test]
async fn memory_is_bounded() {
    let mut bot = house_bot(0);
    for thing in 0..1000 {
        answer(&mut bot, &format!("I like thing{thing}")).await;
    }
    for thing in 992..1000 {
        assert_eq!(
            answer(&mut bot, "hm").await,
            format!("You told me that you like thing{thing}. Since when?")
        );
    }
    assert_eq!(
        answer(&mut bot, "hm").await,
        "I nod, as doorkeepers do. Where does that lead?"
    );
}

#[tokio::test]
async fn an_echo_changes_nothing() {
    for said in ["", "Hello", "\0\u{1b}\n  \u{202e}é 🍕"] {
        assert_eq!(Echo.answer(said).await.unwrap(), said);
    }
}

//! Rules that can't be used, and what is said of them.

use playhouse_bots::{Problem, Rules, RulesError};

const REPLIES: &str = "[replies]\nsilence = ['-']\ndefault = ['.']\nmore = '{count}'\n";

fn error(rules: &str) -> RulesError {
    Rules::parse(rules).expect_err(rules)
}

/// What is wrong with rules that have replies.
fn wrong(rules: &str) -> String {
    match rules.split_once("---") {
        Some((before, after)) => error(&format!("{before}{REPLIES}{after}")),
        None => error(&format!("{REPLIES}{rules}")),
    }
    .to_string()
}

fn case(pattern: &str, answers: &str) -> String {
    format!(
        "[groups]\nfamily = ['mother']\n[rewrites]\n\"i'm\" = 'I am'\n\
         [[rules]]\nwords = ['my', 'mine']\n[[rules.cases]]\npattern = '{pattern}'\nanswers = {answers}\n"
    )
}

#[test]
fn the_least_is_enough() {
    Rules::parse(REPLIES).unwrap();
}

#[test]
fn what_is_not_as_rules_are_has_its_line() {
    for (rules, reason) in [
        ("", "missing field `replies`"),
        ("[replies", "line 1"),
        (
            "[replies]\nsilence = ['-']\nmore = ''\n",
            "missing field `default`",
        ),
        (&format!("{REPLIES}[rule]\n"), "unknown field `rule`"),
        (&format!("{REPLIES}[topics.cats]\n"), "unknown field `cats`"),
        (&format!("{REPLIES}[[rules]]\nwords = 'my'\n"), "line 6"),
        (
            &format!("{REPLIES}[[rules]]\nwords = ['my']\nrank = 256\n"),
            "line 7",
        ),
        (
            &format!("{REPLIES}[[rules]]\nwords = ['my']\nrank = -1\n"),
            "line 7",
        ),
        (
            &format!("{REPLIES}[[rules]]\nwords = ['my']\nanswer = ['A']\n"),
            "unknown field `answer`",
        ),
        (
            &format!("{REPLIES}[topics.help]\nanswers = ['A']\n"),
            "missing field `phrases`",
        ),
        (
            &format!("{REPLIES}[topics.live]\nphrases = ['live']\nnone = ['A']\n"),
            "missing field `some`",
        ),
    ] {
        let error = error(rules);
        assert!(matches!(error, RulesError::Toml { .. }), "{error:?}");
        assert!(error.to_string().contains(reason), "{rules}: {error}");
    }
    let long = "#".repeat(300 << 10);
    let too_large = RulesError::TooLarge {
        found: 300 << 10,
        most: 256 << 10,
    };
    assert_eq!(error(&long), too_large);
    let deep = format!("a = {}", "[".repeat(100_000));
    assert!(matches!(error(&deep), RulesError::Toml { .. }));
}

#[test]
fn what_is_wrong_with_a_rule_is_named_with_its_place() {
    for (rules, expected) in [
        (
            case("* my @cat", "['A']"),
            r#"rule 1 (my), "* my @cat": there is no @cat in [groups]"#,
        ),
        (
            case("* my * +", "['A']"),
            r#"rule 1 (my), "* my * +": two wildcards stand side by side: one is enough"#,
        ),
        (case("", "['A']"), r#"rule 1 (my), "": has 0 words, must have 1 to 32"#),
        (
            case("my Cat", "['A']"),
            r#"rule 1 (my), "my Cat": "Cat" must be a single word in small letters, without punctuation around it"#,
        ),
        (
            case("my cat.", "['A']"),
            r#"rule 1 (my), "my cat.": "cat." must be a single word in small letters, without punctuation around it"#,
        ),
        (case("my *", "[]"), r#"rule 1 (my), "my *": there are no answers, and must be"#),
        (
            case("my *", "['A', '{1}']"),
            r#"rule 1 (my), "my *": {1} may be empty: its wildcard must be + and not *"#,
        ),
        (
            case("my +", "['{2}']"),
            r#"rule 1 (my), "my +": there is no {2}: there is {1}"#,
        ),
        (
            case("my cat", "['{1}']"),
            r#"rule 1 (my), "my cat": there is no {1}: nothing can stand here"#,
        ),
        (
            case("my +", "['{1']"),
            r#"rule 1 (my), "my +": a brace stands alone: write {{ or }} for one that is shown"#,
        ),
        (
            case("my +", "['']"),
            r#"rule 1 (my), "my +": has 0 bytes, must have 1 to 500"#,
        ),
        (
            case("my *", "['A']\nremember = ['{1}']"),
            r#"rule 1 (my), "my *": {1} may be empty: its wildcard must be + and not *"#,
        ),
        (
            case("my +", "['A']\nremember = ['{x}']"),
            r#"rule 1 (my), "my +", remember: there is no {x}: there is {1}"#,
        ),
        (
            case("*", "['A']\n[[rules.cases]]\npattern = 'my'\nanswers = ['B']"),
            r#"rule 1 (my), "my": never matches: an earlier pattern of the rule takes everything"#,
        ),
        (
            "[[rules]]\nwords = ['a']\nanswers = ['A']\n[[rules]]\nwords = ['b']\n".to_owned(),
            "rule 2 (b): there are no answers, and must be",
        ),
        (
            "[[rules]]\nwords = []\nanswers = ['A']\n".to_owned(),
            "rule 1 (): there are no words, and must be",
        ),
        (
            "[rewrites]\ndont = 'do not'\n[[rules]]\nwords = ['dont']\nanswers = ['A']\n".to_owned(),
            r#"rule 1 (dont): "dont" never arrives: [rewrites] makes "do not" of it"#,
        ),
        (
            "[[rules]]\nwords = ['do not']\nanswers = ['A']\n".to_owned(),
            r#"rule 1 (do not): "do not" must be a single word in small letters, without punctuation around it"#,
        ),
        (
            "[rewrites]\na = 'b c d e f'\n".to_owned(),
            r#"rewrites, "a": has 5 words, must have 1 to 4"#,
        ),
        (
            "[rewrites]\na = ''\n".to_owned(),
            r#"rewrites, "a": has 0 words, must have 1 to 4"#,
        ),
        (
            "[reflections]\n'I am' = 'you are'\n".to_owned(),
            r#"reflections, "I am": "I" must be a single word in small letters, without punctuation around it"#,
        ),
        (
            "[groups]\nfamily = []\n".to_owned(),
            "groups, family: there are no words, and must be",
        ),
        (
            "[topics.help]\nphrases = []\nanswers = ['A']\n".to_owned(),
            "topics, help: there are no phrases, and must be",
        ),
        (
            "[topics.time]\nphrases = ['time']\nanswers = ['{clock}']\n".to_owned(),
            "topics, time: there is no {clock}: there is {time}, {date}, {zone}",
        ),
        (
            "[topics.live]\nphrases = ['live']\nnone = ['{count}']\nsome = ['{names}']\n".to_owned(),
            "topics, live, none: there is no {count}: nothing can stand here",
        ),
        (
            "ignored = ['please']\n---[topics.help]\nphrases = ['help please']\nanswers = ['A']\n".to_owned(),
            r#"topics, help, "help please": can't match: "ignored" or "openers" take words of it away"#,
        ),
        (
            "openers = ['show me']\n---[topics.help]\nphrases = ['show me', 'show me help']\nanswers = ['A']\n"
                .to_owned(),
            r#"topics, help, "show me help": can't match: "ignored" or "openers" take words of it away"#,
        ),
        (
            "ignored = ['me']\nopeners = ['me']\n---".to_owned(),
            r#"openers, "me": can't match: "ignored" or "openers" take words of it away"#,
        ),
        (
            "joiners = ['and so']\n---".to_owned(),
            r#"joiners: "and so" must be a single word in small letters, without punctuation around it"#,
        ),
    ] {
        assert_eq!(wrong(&rules), expected);
    }
    let silent = REPLIES.replace("['-']", "[]");
    let expected = RulesError::Rule {
        place: "replies, silence".to_owned(),
        problem: Problem::Missing("answers"),
    };
    assert_eq!(error(&silent), expected);
}

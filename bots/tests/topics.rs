//! Questions about the house, in many words.

mod support;

use std::cell::Cell;
use std::future::pending;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use playhouse_bots::{Bot, Facts, HouseBot, Listing, Rules, Topic};
use support::{DEFAULT_RULES, answer, house_bot};

const VIDEOS: &[&str] = &["video1, video2"];
const LIVE: &[&str] = &["stream1, stream2"];
const ON: &[&str] = &["video1, video2", "stream1, stream2"];
const PEOPLE: &[&str] = &["guest1, guest2"];
const FILES: &[&str] = &["file1, file2"];
const TIME: &[&str] = &["UTC"];
const HELP: &[&str] = &["which videos there are, what is live"];
const CHAT: &[&str] = &[];

#[tokio::test]
async fn questions_are_understood_in_many_words() {
    let questions: &[(&[&str], &[&str])] = &[
        (
            ON,
            &[
                "what's on?",
                "WHATS ON",
                "What’s on tonight?",
                "Hi! What is on?",
                "hey bot what's on right now",
                "so, what is on here",
                "anything on?",
                "Can you tell me what's on, please?",
                "is anything on?",
                "I'd like to see what's on",
                "what is running?",
                "What's happening?",
            ],
        ),
        (
            VIDEOS,
            &[
                "videos",
                "Videos?",
                "/videos",
                "which videos are there?",
                "what videos do you have",
                "any films",
                "Are there any movies?",
                "list videos",
                "Show me the clips, please!",
                "what can I watch?",
                "what can we watch here",
                "which films can I see?",
                "is there anything to watch tonight?",
                "a list of the videos",
                "how many videos are there?",
                "what's playing?",
                "got any vids?",
                "Do you know which videos there are?",
                "what should I watch?",
                "could you list the videos",
                "Hm... what is there to see?!",
                "any new videos?",
                "ok, and the videos",
                "what  can\tI watch",
            ],
        ),
        (
            LIVE,
            &[
                "live",
                "what's live?",
                "is anybody live?",
                "Who is live right now",
                "any streams?",
                "live streams",
                "Are there any live streams?",
                "which cameras are on",
                "who's streaming?",
                "any broadcasts",
                "is anything live",
                "show me the streams",
                "which channels do you have?",
                "anyone live?",
            ],
        ),
        (
            PEOPLE,
            &[
                "who's here?",
                "Who is there",
                "whos online",
                "WHO IS HERE!!!",
                "anybody here?",
                "is anyone home",
                "who else is here?",
                "how many people are here?",
                "Are there any people?",
                "users",
                "list users",
                "who is in this room?",
                "am I alone?",
                "where is everybody?",
                "do you know who is around",
                "who can I talk to?",
                "is there anybody there?",
                "which users are online",
                "who?",
                "anyone else?",
            ],
        ),
        (
            FILES,
            &[
                "any files?",
                "files",
                "which files are there?",
                "What files do you have?",
                "list the files",
                "show files",
                "what can I download?",
                "are there any documents?",
                "which files can I download",
                "how many files are there",
                "have you got any files",
                "is there anything to download?",
                "what was uploaded?",
                "any uploads",
                "the files, please",
                "Which files are available?",
            ],
        ),
        (
            TIME,
            &[
                "what time is it?",
                "What's the time?",
                "time",
                "the time please",
                "do you know what time it is",
                "could you tell me the time?",
                "what day is it today?",
                "what is the date",
                "whats the time now",
                "Have you got the time?",
                "which day is it",
                "how late is it?",
                "what's today's date?",
            ],
        ),
        (
            HELP,
            &[
                "help",
                "HELP!",
                "/help",
                "help me please",
                "what can you do?",
                "What can I ask you?",
                "commands",
                "how does this work?",
                "what do you understand",
                "Can you help me?",
                "where am I?",
                "menu",
            ],
        ),
        (
            &["video1, video2", "file1, file2"],
            &["any videos or files?", "Files? And the videos?"],
        ),
        (
            &["guest1, guest2", "stream1, stream2", "video1, video2"],
            &[
                "tell me who is here and what is on",
                "Who's there, and what's on?",
            ],
        ),
        (
            CHAT,
            &[
                "I watched a video yesterday",
                "what is on your mind?",
                "who is in charge",
                "I like cats and videos",
                "my files are a mess",
                "time flies",
                "live and let die",
                "who are you?",
                "people hate me",
                "I need some time alone",
                "what is love",
                "nobody helps me",
            ],
        ),
    ];
    for (expected, questions) in questions {
        for question in *questions {
            let mut bot = house_bot(2);
            let answer = answer(&mut bot, question).await;
            for topic in [VIDEOS, LIVE, PEOPLE, FILES, TIME, HELP]
                .iter()
                .copied()
                .flatten()
            {
                let is_expected = expected.contains(topic);
                // The zone is that of the machine.
                let is_there = match *topic {
                    "UTC" => is_time(&answer),
                    _ => answer.contains(topic),
                };
                assert_eq!(is_there, is_expected, "{question:?}: {answer}");
            }
        }
    }
}

/// Whether there is a time of day in it, a year and a zone.
fn is_time(answer: &str) -> bool {
    let is_clock = |word: &str| {
        word.trim_end_matches(',')
            .split_once(':')
            .is_some_and(|(hours, minutes)| {
                let below = |text: &str, most: u8| {
                    text.len() == 2 && text.parse().is_ok_and(|n: u8| n < most)
                };
                below(hours, 24) && below(minutes, 60)
            })
    };
    let is_year = |word: &str| {
        word.trim_end_matches([',', '.'])
            .parse()
            .is_ok_and(|year: u16| year > 2000)
    };
    let mut words = answer.split(' ');
    words.clone().any(is_clock) && words.any(is_year) && answer.contains("UTC")
}

#[tokio::test]
async fn one_and_none_have_sentences_of_their_own() {
    for (question, none, one) in [
        (
            "videos",
            "There are no videos in the house at the moment.",
            "There is one video: video1.",
        ),
        ("live", "Nothing is live.", "One is live: stream1."),
        (
            "people",
            "Nobody is here whom I could name.",
            "One person is here: guest1.",
        ),
        (
            "files",
            "There are no files yet.",
            "There is one file: file1.",
        ),
    ] {
        assert_eq!(answer(&mut house_bot(0), question).await, none);
        assert_eq!(answer(&mut house_bot(1), question).await, one);
    }
}

#[tokio::test]
async fn long_lists_are_shortened() {
    let said = answer(&mut house_bot(1000), "any files?").await;
    assert!(
        said.starts_with("There are 1000 files: file1, file2, file3, "),
        "{said}"
    );
    let (listed, left_out) = said.split_once(" and ").unwrap();
    let left_out: usize = left_out.strip_suffix(" more.").unwrap().parse().unwrap();
    assert_eq!(listed.matches(", ").count() + 1 + left_out, 1000);

    let mut bot = house_bot(usize::MAX);
    let everything = "What is on, who is here, and the files? What time is it? Help!";
    for _ in 0..5 {
        let said = answer(&mut bot, everything).await;
        assert!((2000..6000).contains(&said.len()), "{}", said.len());
    }
}

/// A house with names that nobody expects.
struct Strange(Vec<String>);

impl Facts for Strange {
    fn look<'a>(&'a self, _: Topic) -> Pin<Box<dyn Future<Output = Listing> + 'a>> {
        let listing = Listing {
            names: self.0.clone(),
            total: self.0.len(),
        };
        Box::pin(async { listing })
    }
}

#[tokio::test]
async fn names_can_not_do_harm() {
    let names = [
        "\u{1b}]0;title\u{7}",
        "two\nlines",
        "{names}",
        "\u{202e}fdp.exe",
        &"ö".repeat(100_000),
    ];
    let facts = Strange(names.map(str::to_owned).to_vec());
    let rules = Arc::new(Rules::parse(DEFAULT_RULES).unwrap());
    let mut bot = HouseBot::new(rules, Rc::new(facts));
    let said = answer(&mut bot, "files").await;
    assert_eq!(
        said,
        format!(
            "There are 5 files: ]0;title, two lines, {{names}}, fdp.exe, {}….",
            "ö".repeat(30)
        )
    );
}

/// Never answers the first time.
struct Slow(Cell<bool>);

impl Facts for Slow {
    fn look<'a>(&'a self, _: Topic) -> Pin<Box<dyn Future<Output = Listing> + 'a>> {
        Box::pin(async {
            if !self.0.replace(true) {
                pending::<()>().await;
            }
            Listing::default()
        })
    }
}

#[tokio::test]
async fn a_question_may_be_given_up() {
    let rules = Arc::new(Rules::parse(DEFAULT_RULES).unwrap());
    let mut bot = HouseBot::new(rules, Rc::new(Slow(Cell::new(false))));
    {
        let mut waiting = bot.answer("any files?");
        let polled = std::future::poll_fn(|context| {
            std::task::Poll::Ready(waiting.as_mut().poll(context).is_pending())
        });
        assert!(polled.await);
    }
    assert_eq!(
        answer(&mut bot, "any files?").await,
        "There are no files yet."
    );
}

//! Whom tumip's users ask: the house's own bot, and a language model that answers, or doesn't.

use crate::live_support::model::{Model, Then, says, status};
use crate::live_support::pictures::plain;
use crate::live_support::{
    ASK, Camera, FAILED, FORMS, LONG_LINGER, TUMIP_RECV, Tumip, wait_frames,
};
use crate::packetchat_support::Client;
use crate::support::{House, OldVideochat, Setup, key, recv, sample_videos, wait_for};

/// The environment variable with the model's key, and the key.
const KEY: (&str, &str) = ("DOORKEEPERS_KEY", "open-sesame");

#[test]
fn the_house_bot_knows_what_is_in_the_house() {
    let house = House::open_with(&sample_videos(), &[LONG_LINGER]);
    let alice = OldVideochat::join(&house, "alice", key(2048, 0));
    let mut cleo = Client::join(&house, "cleo");
    let client = Tumip::connect(&house, 7);
    let tells = |question: &str, parts: &[&str]| {
        let answer = client.ask(question);
        let all = parts.iter().all(|part| answer.contains(part));
        assert!(all, "{question} {answer} says nothing of {parts:?}");
    };
    tells(
        "which videos are there?",
        &["cells", "mandelbrot", "test_card"],
    );
    let bot = client.ask("What's live?");
    assert!(!bot.contains("tumip"), "{bot}");
    let bot = client.ask("Any files?");
    assert!(!bot.contains("holiday"), "{bot}");

    let camera = Camera::open(&house, 32);
    camera.show(&plain(0, 8, 8));
    wait_frames(&house, "tumip-32", 1);
    tells("What's live?", &["tumip-32"]);
    tells("what's on?", &["tumip-32", "cells"]);
    cleo.upload(b"holiday.txt", b"sun");
    // Lists may be a moment old.
    wait_for("the file in an answer", || {
        client
            .ask("Any files?")
            .contains("holiday.txt")
            .then_some(())
    });
    tells(
        "Who's here?",
        &[
            "alice (videochat)",
            "cleo (packetchat)",
            "tumip-7 (tumip)",
            "tumip-32 (tumip)",
        ],
    );
    tells("Who's here, and any files?", &["alice", "holiday.txt"]);
    tells("help", &["which videos there are", "who is here"]);
    drop(alice);
    wait_for("alice's end", || {
        (!client.ask("Who's here?").contains("alice")).then_some(())
    });
    house.stop();
}

#[test]
fn each_connection_is_a_conversation_of_its_own() {
    let house = House::open_empty(&[]);
    let [one, other] = [1, 2].map(|user| Tumip::connect(&house, user));
    // Sentences take turns in each of them alike.
    let said = ["something without any rule", "another thing, ruleless"];
    let first = said.map(|text| one.ask(text));
    assert_ne!(first[0], first[1]);
    assert_eq!(said.map(|text| other.ask(text)), first);
    house.stop();
}

#[test]
fn a_file_has_the_rules_by_which_the_bot_chats() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    let own = std::fs::read_to_string("config/house_bot.toml").unwrap();
    assert!(own.contains("I blush in the foyer's colours."));
    let changed = own.replace("I blush in the foyer's colours.", "Likewise.");
    std::fs::write(&rules, changed).unwrap();
    let house = House::open_empty(&[("BOT__RULES", rules.to_str().unwrap())]);
    assert_eq!(Tumip::connect(&house, 1).ask("I like you"), "Likewise.");
    house.stop();
}

// A language model

fn open_with_model(url: &str, settings: &[(&str, &str)]) -> House {
    let own = [
        ("BOT__KIND", "openai"),
        ("BOT__OPENAI__URL", url),
        ("BOT__OPENAI__MODEL", "doorkeeper-1"),
        ("BOT__OPENAI__KEY_VARIABLE", KEY.0),
        ("BOT__OPENAI__SYSTEM", "Be kind."),
    ];
    House::set_up_empty(Setup {
        settings: &[&own, settings].concat(),
        environment: &[KEY],
        ..Setup::default()
    })
}

#[test]
fn a_model_is_asked_with_its_key_and_the_conversation() {
    let model = Model::start([says("Good evening."), says("Nobody yet."), says("Hello.")]);
    let house = open_with_model(&model.url, &[]);
    let client = Tumip::connect(&house, 32);
    assert_eq!(client.ask("hello"), "Good evening.");
    assert_eq!(client.ask("who is here?"), "Nobody yet.");
    // Somebody else's conversation.
    let other = Tumip::connect(&house, 33);
    assert_eq!(other.ask("hi"), "Hello.");
    let questions = model.questions();
    for question in &questions {
        assert!(question.head.starts_with("POST /v1/chat/completions "));
        assert!(question.has_header("authorization", "Bearer open-sesame"));
        assert_eq!(question.body["stream"], false);
        assert_eq!(question.body["model"], "doorkeeper-1");
    }
    let system = ("system", "Be kind.");
    let [hello, answer] = [("user", "hello"), ("assistant", "Good evening.")];
    assert_eq!(questions[0].messages(), [system, hello]);
    let second = [system, hello, answer, ("user", "who is here?")];
    assert_eq!(questions[1].messages(), second);
    assert_eq!(questions[2].messages(), [system, ("user", "hi")]);
    assert!(!house.log().contains(KEY.1), "the key is in no log");
    house.stop();
}

#[test]
fn a_failure_is_an_answer_and_the_next_question_is_asked() {
    let long = "a".repeat(60_000);
    let script = [
        says("first"),
        status("500 Internal Server Error", "{\"error\": \"out of order\"}"),
        status("401 Unauthorized", "{\"error\": \"open-sesame is no key\"}"),
        Then::Send("nonsense".to_owned()),
        status("200 OK", "<html>welcome</html>"),
        status("200 OK", "{\"choices\": []}"),
        says(""),
        Then::Silence,
        says(&long),
        says("last"),
    ];
    let model = Model::start(script);
    let house = open_with_model(&model.url, &[("BOT__TIME_LIMIT_S", "1")]);
    let client = Tumip::connect(&house, 32);
    assert_eq!(client.ask("one"), "first");
    for (question, reasons) in [
        ("two", ["HTTP status 500", ""]),
        ("three", ["HTTP status 401", ""]),
        ("four", ["sent no answer", "broke off"]),
        ("five", ["sent no answer", ""]),
        ("six", ["sent no answer", ""]),
        ("seven", ["sent no answer", ""]),
        // Who notices first is not said.
        ("eight", ["too long", "within 1 s"]),
    ] {
        let reason = client.try_ask(question).unwrap_err();
        let told = reasons.iter().any(|r| !r.is_empty() && reason.contains(r));
        assert!(told, "{question}: {reason}");
        // What it is, without what the service says of itself.
        assert!(
            !reason.contains("127.0.0.1") && reason.len() < 100,
            "{reason}"
        );
    }
    assert_eq!(client.ask("nine").len(), TUMIP_RECV - 8);
    assert_eq!(client.ask("ten"), "last");
    // Nobody is there any more.
    let reason = client.try_ask("eleven").unwrap_err();
    assert!(reason.contains("reached"), "{reason}");

    let questions = model.questions();
    assert_eq!(questions.len(), 10);
    // What failed is no part of the conversation.
    let past = [("user", "one"), ("assistant", "first"), ("user", "nine")];
    assert_eq!(questions[8].messages()[1..], past);
    for (asked, why) in [("two", "out of order"), ("three", "… is no key")] {
        house.wait_log(asked, |line| {
            let error = line["error"].as_str().unwrap_or_default();
            line["level"] == "WARN" && error.contains(why) && line["span"]["user"] == "tumip-32"
        });
    }
    assert!(!house.log().contains(KEY.1), "the key is in no log");
    house.stop();
}

#[test]
fn a_failure_has_these_bytes() {
    let reason = b"the bot's service refused (HTTP status 503)";
    let length = u16::try_from(reason.len()).unwrap().to_be_bytes();
    let model = Model::start(FORMS.map(|_| status("503 Service Unavailable", "")));
    let house = open_with_model(&model.url, &[]);
    for form in FORMS {
        let client = Tumip::connect(&house, 32);
        client.send(&form.request(0xffff_fff0, ASK, 2, b"hi"));
        let head = [0xff, 0xff, 0xff, 0xf0, ASK, FAILED];
        let wire = [form.marker(), &head, &length, reason].concat();
        assert_eq!(recv(&client.stream, TUMIP_RECV), wire);
    }
    house.stop();
}

#[test]
fn while_the_bot_thinks_pictures_go_on_and_others_are_answered() {
    let model = Model::start([Then::Silence, says("at once")]);
    let house = open_with_model(&model.url, &[LONG_LINGER]);
    let camera = Camera::open(&house, 32);
    camera.client.request(ASK, 5, b"think");
    wait_for("the question", || model.questions().first().map(|_| ()));
    camera.show(&plain(0, 8, 8));
    wait_frames(&house, "tumip-32", 1);
    assert_eq!(Tumip::connect(&house, 33).ask("hello"), "at once");
    // The house closes though the model has not answered.
    house.stop();
}

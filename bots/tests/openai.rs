//! Conversations with a model behind a server of the test's own.

mod support;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use playhouse_bots::{Bot, BotError, OpenAi, OpenAiService, OpenAiSettings, SettingsError};
use serde_json::json;
use support::http::{Server, Then, completion, says, status};
use support::model::{KEY, LIMIT, ask_once, bot, settings};
use tokio::sync::Barrier;

#[tokio::test]
async fn a_question_is_sent_as_the_api_has_it() {
    let server = Server::start([says(" Hello\u{1b}[2J\nthere. \r\n")]).await;
    let mut bot = bot(OpenAiSettings {
        system: "Be brief.".to_owned(),
        key: Some(format!(" {KEY}\n")),
        ..settings(format!("{}/", server.url()))
    });
    assert_eq!(
        bot.answer("Hi \"you\" 👋").await.unwrap(),
        "Hello[2J\nthere."
    );
    let requests = server.requests();
    let [request] = &requests[..] else {
        panic!("{} requests", requests.len());
    };
    assert_eq!(request.head[0], "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(
        request.header("authorization"),
        Some("Bearer sk-very-secret")
    );
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("host"), Some(server.address.as_str()));
    assert_eq!(request.header("accept-encoding"), None);
    assert_eq!(
        request.body,
        json!({
            "model": "small-1",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hi \"you\" 👋"},
            ],
            "stream": false,
        })
    );
}

#[tokio::test]
async fn without_a_key_or_a_prompt_nothing_stands_for_them() {
    for key in [None, Some(" ".to_owned())] {
        let server = Server::start([says("Hello")]).await;
        let mut bot = bot(OpenAiSettings {
            key,
            ..settings(server.url())
        });
        bot.answer("Hi").await.unwrap();
        let request = server.requests().remove(0);
        assert_eq!(request.header("authorization"), None);
        assert_eq!(request.messages(), [("user", "Hi")]);
    }
}

#[tokio::test]
async fn what_was_answered_is_remembered() {
    let failure = status("503 Service Unavailable", "");
    let script = [says("A"), says("B"), failure, says("D"), says("E")];
    let server = Server::start(script).await;
    let mut bot = bot(OpenAiSettings {
        system: "S".to_owned(),
        history: 4,
        ..settings(server.url())
    });
    for question in ["a", "b", "c", "d", "e"] {
        assert_eq!(bot.answer(question).await.is_ok(), question != "c");
    }
    let requests = server.requests();
    let (s, a, b) = (("system", "S"), ("user", "a"), ("user", "b"));
    let (sa, sb) = (("assistant", "A"), ("assistant", "B"));
    assert_eq!(requests[0].messages(), [s, a]);
    assert_eq!(requests[1].messages(), [s, a, sa, b]);
    assert_eq!(requests[2].messages(), [s, a, sa, b, sb, ("user", "c")]);
    assert_eq!(requests[3].messages(), [s, a, sa, b, sb, ("user", "d")]);
    let (d, sd) = (("user", "d"), ("assistant", "D"));
    assert_eq!(requests[4].messages(), [s, b, sb, d, sd, ("user", "e")]);
}

#[tokio::test]
async fn a_question_is_cut() {
    let server = Server::start([says("Long.")]).await;
    let mut bot = bot(settings(server.url()));
    bot.answer(&"ü".repeat(1 << 20)).await.unwrap();
    let request = server.requests().remove(0);
    assert_eq!(request.messages(), [("user", "ü".repeat(8 << 10).as_str())]);
}

#[tokio::test]
async fn an_answer_may_come_in_chunks() {
    let body = completion("In pieces");
    let (first, second) = body.split_at(10);
    let mut answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    for chunk in [first, second, ""] {
        answer.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
    }
    let answer = ask_once(Then::Send(answer.into_bytes())).await;
    assert_eq!(answer.unwrap(), "In pieces");
    // Or up to where the connection ends.
    let answer = format!("HTTP/1.0 200 OK\r\n\r\n{body}");
    let answer = ask_once(Then::Send(answer.into_bytes())).await;
    assert_eq!(answer.unwrap(), "In pieces");
}

/// Asks until the question is with the server, and lets time pass from there.
async fn ask_in_vain(bot: &mut OpenAi, server: &Server) -> Result<String, BotError> {
    let mut answer = pin!(bot.answer("Hi"));
    tokio::select! {
        answer = &mut answer => return answer,
        () = server.arrived() => tokio::time::pause(),
    }
    let answer = answer.await;
    tokio::time::resume();
    answer
}

#[tokio::test]
async fn who_never_answers_is_not_waited_for() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec();
    for then in [Then::Stall(Vec::new()), Then::Stall(half)] {
        let server = Server::start([then, says("Here")]).await;
        let mut bot = bot(settings(server.url()));
        let error = ask_in_vain(&mut bot, &server).await.unwrap_err();
        let expected = BotError::TimedOut {
            limit: LIMIT,
            doing: "waiting for the answer",
        };
        assert_eq!(error, expected);
        assert_eq!(error.to_string(), "the bot took too long");
        assert!(error.detail().contains("300s"), "{}", error.detail());
        assert_eq!(bot.answer("Hi again").await.unwrap(), "Here");
        assert_eq!(server.requests()[1].messages(), [("user", "Hi again")]);
    }
}

#[tokio::test]
async fn waiting_for_a_turn_counts() {
    let server = Server::start([Then::Stall(Vec::new()), says("B")]).await;
    let service = OpenAiService::new(OpenAiSettings {
        max_parallel: 1,
        ..settings(server.url())
    });
    let service = service.unwrap();
    let (mut first, mut second) = (OpenAi::new(service.clone()), OpenAi::new(service));
    {
        let mut waiting = pin!(first.answer("a"));
        tokio::select! {
            answer = &mut waiting => panic!("{answer:?}"),
            () = server.arrived() => tokio::time::pause(),
        }
        // The first one has its turn as long as its future is there, though nobody polls it.
        let expected = BotError::TimedOut {
            limit: LIMIT,
            doing: "waiting for a turn",
        };
        assert_eq!(second.answer("b").await.unwrap_err(), expected);
        tokio::time::resume();
    }
    assert_eq!(server.requests().len(), 1);
    // Dropped, it leaves its turn to others and no trace in what it remembers.
    assert_eq!(first.answer("c").await.unwrap(), "B");
    assert_eq!(server.requests()[1].messages(), [("user", "c")]);
}

#[tokio::test]
async fn as_many_as_allowed_are_asked_at_once() {
    let both = Arc::new(Barrier::new(2));
    let Then::Send(bytes) = says("Both") else {
        unreachable!()
    };
    let server = Server::start(vec![Then::Meet(both, bytes); 2]).await;
    let service = OpenAiService::new(OpenAiSettings {
        max_parallel: 2,
        ..settings(server.url())
    });
    let service = service.unwrap();
    let (mut first, mut second) = (OpenAi::new(service.clone()), OpenAi::new(service));
    let answers = tokio::join!(first.answer("a"), second.answer("b"));
    assert_eq!(answers, (Ok("Both".to_owned()), Ok("Both".to_owned())));
}

#[test]
fn wrong_settings_are_named() {
    let error = |change: fn(&mut OpenAiSettings)| {
        let mut settings = settings("http://localhost/v1".to_owned());
        change(&mut settings);
        OpenAiService::new(settings).unwrap_err()
    };
    for url in [
        "",
        "localhost",
        "localhost:80/v1",
        "/v1",
        "http://",
        "ftp://localhost/v1",
        "http://anna:secret@localhost/v1",
    ] {
        let mut settings = settings(url.to_owned());
        settings.key = None;
        let error = OpenAiService::new(settings).unwrap_err();
        assert!(
            matches!(error, SettingsError::Url { .. }),
            "{url}: {error:?}"
        );
        assert!(!error.to_string().contains("secret"));
    }
    assert_eq!(error(|s| s.model.clear()), SettingsError::Model);
    for key in ["a\nb", "ключ", "a\u{7f}"] {
        let mut settings = settings("http://localhost/v1".to_owned());
        settings.key = Some(key.to_owned());
        let error = OpenAiService::new(settings).unwrap_err();
        assert_eq!(error, SettingsError::Key);
        assert!(!error.to_string().contains(key));
    }
    assert_eq!(
        error(|s| s.time_limit = Duration::ZERO),
        SettingsError::TimeLimit
    );
    for (max_parallel, change) in [
        (0, (|s| s.max_parallel = 0) as fn(&mut OpenAiSettings)),
        (usize::MAX, |s| s.max_parallel = usize::MAX),
    ] {
        assert!(
            matches!(error(change), SettingsError::MaxParallel { found, .. } if found == max_parallel)
        );
    }
}

#[test]
fn the_key_is_not_printed() {
    let settings = settings("http://localhost/v1".to_owned());
    let service = OpenAiService::new(settings.clone()).unwrap();
    let bot = OpenAi::new(service.clone());
    for printed in [
        format!("{settings:?}"),
        format!("{service:#?}"),
        format!("{bot:?}"),
    ] {
        assert!(printed.contains("small-1"), "{printed}");
        assert!(!printed.contains(KEY), "{printed}");
    }
}

#[test]
fn a_service_crosses_threads() {
    fn crosses<T: Send + Sync + Clone>() {}
    crosses::<OpenAiService>();
}

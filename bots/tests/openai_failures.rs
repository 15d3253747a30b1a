//! What becomes of a question when the model's server doesn't do its part.

mod support;

use playhouse_bots::{Bot, BotError};
use serde_json::json;
use support::http::{Server, Then, completion, ok, says, status};
use support::model::{KEY, ask_once, bot, settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

/// Bytes of an answer that are read at most.
const BODY_BYTES: usize = 1 << 20;

#[tokio::test]
async fn what_a_service_says_of_its_failure_is_for_the_operator() {
    for (answer, body, message) in [
        (
            "401 Unauthorized",
            json!({"error": {"message": format!("wrong key {KEY}\nsee docs"), "code": 1}})
                .to_string(),
            "wrong key … see docs",
        ),
        (
            "404 Not Found",
            r#"{"error":"no such model"}"#.to_owned(),
            "no such model",
        ),
        (
            "422 Unprocessable Content",
            r#"{"detail":"too long"}"#.to_owned(),
            "too long",
        ),
        (
            "500 Internal Server Error",
            r#"{"message":"oh"}"#.to_owned(),
            "oh",
        ),
        (
            "502 Bad Gateway",
            "<h1>Bad\u{1b}[1m</h1>".to_owned(),
            "<h1>Bad [1m</h1>",
        ),
        ("429 Too Many Requests", String::new(), ""),
    ] {
        let error = ask_once(status(answer, &body)).await.unwrap_err();
        let code = answer[..3].parse().unwrap();
        let expected = BotError::Status {
            status: code,
            message: message.to_owned(),
        };
        assert_eq!(error, expected);
        let shown = format!("the bot's service refused (HTTP status {code})");
        assert_eq!(error.to_string(), shown);
        assert!(error.detail().starts_with(&shown) && error.detail().ends_with(message));
    }
    let long = status("500 Internal Server Error", &"ä".repeat(5000));
    let detail = ask_once(long).await.unwrap_err().detail();
    assert!(detail.len() < 500 && detail.ends_with('…'), "{detail}");
    // Not even the status is lost with a body that breaks off.
    let broken = b"HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\nhalf".to_vec();
    let error = ask_once(Then::Send(broken)).await.unwrap_err();
    assert!(
        matches!(error, BotError::Status { status: 500, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::start([says("Caught you")]).await;
    let redirect = format!(
        "HTTP/1.1 307 Moved\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        elsewhere.url()
    );
    let error = ask_once(Then::Send(redirect.into_bytes()))
        .await
        .unwrap_err();
    assert!(
        matches!(error, BotError::Status { status: 307, .. }),
        "{error:?}"
    );
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn what_is_no_answer_is_called_so() {
    for (body, reason) in [
        ("", "EOF"),
        ("hello", "expected value"),
        ("{\"choices\": [", "EOF"),
        ("[]", "no choices"),
        ("{}", "no choices"),
        (
            r#"{"error": {"message": "out of tokens"}}"#,
            "out of tokens",
        ),
        (r#"{"choices": []}"#, "no choices"),
        (r#"{"choices": 5}"#, "invalid type"),
        (r#"{"choices": [{"text": "old API"}]}"#, "missing field"),
        (
            r#"{"choices": [{"message": {"content": ["a"]}}]}"#,
            "invalid type",
        ),
        (r#"{"choices": [{"message": {"content": null}}]}"#, "empty"),
        (r#"{"choices": [{"message": {}}]}"#, "empty"),
        (
            r#"{"choices": [{"message": {"content": " \n\u0007"}}]}"#,
            "empty",
        ),
    ] {
        let error = ask_once(ok(body)).await.unwrap_err();
        assert!(
            matches!(error, BotError::Garbage { .. }),
            "{body}: {error:?}"
        );
        assert!(
            error.detail().contains(reason),
            "{body}: {}",
            error.detail()
        );
        assert_eq!(error.to_string(), "the bot's service sent no answer");
    }
    let invalid = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe".to_vec();
    for then in [Then::Send(invalid), ok(&"[".repeat(100_000))] {
        let error = ask_once(then).await.unwrap_err();
        assert!(matches!(error, BotError::Garbage { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn an_answer_has_a_limit() {
    let space = " ".repeat(BODY_BYTES);
    let fits = completion("Just so");
    let fits = format!("{}{fits}", &space[fits.len()..]);
    assert_eq!(ask_once(ok(&fits)).await.unwrap(), "Just so");

    let too_large = BotError::TooLarge { limit: BODY_BYTES };
    assert_eq!(
        ask_once(ok(&format!("{fits} "))).await.unwrap_err(),
        too_large
    );
    // Without an end, and without a length to know it from.
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let error = ask_once(Then::Repeat(head, vec![b' '; 1000])).await;
    assert_eq!(error.unwrap_err(), too_large);
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let error = ask_once(Then::Repeat(head, b"1\r\n \r\n".repeat(200))).await;
    assert_eq!(error.unwrap_err(), too_large);
    // Not one for headers either.
    let head = b"HTTP/1.1 200 OK\r\n".to_vec();
    let error = ask_once(Then::Repeat(head, b"X-Again: and again\r\n".repeat(50))).await;
    assert!(
        matches!(error, Err(BotError::Interrupted { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_connection_may_break() {
    for bytes in [
        &b""[..],
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"choices\"",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"cho",
        b"SSH-2.0-whatever\r\n",
    ] {
        let error = ask_once(Then::Send(bytes.to_vec())).await.unwrap_err();
        assert!(matches!(error, BotError::Interrupted { .. }), "{error:?}");
        assert_eq!(error.to_string(), "the bot's service broke off");
        assert!(!error.detail().contains("http://"), "{}", error.detail());
    }
}

#[tokio::test]
async fn nobody_may_be_there() {
    // Bound and not listening: the port is nobody else's.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/v1", socket.local_addr().unwrap());
    let error = bot(settings(url)).answer("Hi").await.unwrap_err();
    assert!(matches!(error, BotError::Connect { .. }), "{error:?}");
    assert_eq!(error.to_string(), "the bot's service can't be reached");
    assert!(error.detail().contains("refused"), "{}", error.detail());
}

#[tokio::test]
async fn who_can_not_speak_tls_is_not_spoken_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut bot = bot(settings(format!(
        "https://{}/v1",
        listener.local_addr().unwrap()
    )));
    let answer = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0; 1024];
        let read = stream.read(&mut first).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 No\r\n\r\n").await.unwrap();
        first[..read].to_vec()
    };
    let (error, first) = tokio::join!(bot.answer("Hi"), answer);
    assert!(matches!(error, Err(BotError::Connect { .. })), "{error:?}");
    assert_eq!(first[0], 22, "a TLS handshake, and nothing of the question");
}

//! Bad input of every kind, over both services and in the videos folder: whoever is at fault is
//! answered or let go as docs/protocols.md says, the log names the rule, and someone well-behaved
//! beside it notices nothing.

use std::ffi::{CString, OsStr};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::overload_support::{
    CHATROOM_BITS, Chatroom, House, KEY_PROMPT, Message, NAME_PROMPT, Raw, VIDEOCHAT_BITS,
    Videochat, Witness, Word, communication, framed, greeted, is_of_others, pkcs1_pem, run,
    spki_pem, text,
};
use crate::support::sample_videos;
use serde_json::{Value, json};

const FAST: (&str, &str) = ("PLAYHOUSE__STREAMING__PACE", "fast");
/// Not RSA: a point of P-256.
const EC_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEO57sYkAsmVUkYDnCujCC9Y1DBFG5
BZi/eW2U8DFgHNwKv73F61iqeGwiDW72qgvYQ9Mnk/0IRLlcbXQPEVkmNg==";
/// How a TLS 1.2 client says hello.
const TLS_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\xc8\x17\x00\xff\x00\x00";

fn bad_names() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    vec![
        ("an empty name", b"\r\n".to_vec(), "a name is not empty"),
        (
            "control characters in a name",
            b"ann\x1b[2Ja".to_vec(),
            "a name has no control characters",
        ),
        (
            "a name with a zero",
            b"anna\0".to_vec(),
            "a name has no control characters",
        ),
        (
            "a name that is no UTF-8",
            b"an\xffna".to_vec(),
            "a name is UTF-8",
        ),
        (
            "a name of 10 kB",
            vec![b'x'; 10_000],
            "at most 64 characters",
        ),
        (
            "an HTTP request",
            b"GET / HTTP/1.1\r\nHost: playhouse\r\n\r\n".to_vec(),
            "a name has no control characters",
        ),
        ("a TLS hello", TLS_HELLO.to_vec(), "a name"),
    ]
}

/// Bad keys with the label given; `encode` makes a key of so many bits.
fn bad_keys(
    label: &str,
    encode: fn(usize) -> String,
) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let pem = |body: &str| {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n").into_bytes()
    };
    let endless = format!("-----BEGIN {label}-----\n{}", "QUFB\n".repeat(2000));
    vec![
        (
            "a key with another label",
            pem("QUFB").to_ascii_lowercase(),
            "a public key begins with",
        ),
        (
            "a key that is no base64",
            pem("!!!! garbage !!!!"),
            "public key: no RSA key",
        ),
        (
            "a key that is no ASN.1",
            pem("QUFBQUFBQUE="),
            "public key: no RSA key",
        ),
        (
            "a key without an end",
            endless.into_bytes(),
            "at most 8192 bytes",
        ),
        (
            "an elliptic curve's key",
            pem(EC_KEY),
            "public key: no RSA key",
        ),
        (
            "a key that is not ASCII",
            pem("QUFB\u{e9}"),
            "a PEM block is ASCII",
        ),
        (
            "a key of 16,384 bits",
            encode(16_384).into_bytes(),
            "public key: no RSA key",
        ),
    ]
}

/// Keys that no client can encrypt a message with, so that a list with one harms everyone.
fn useless_keys(encode: fn(usize) -> String) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    [
        ("a key of 40 bits", 40),
        ("a key of 64 bits", 64),
        ("a key of 256 bits", 256),
    ]
    .map(|(what, bits)| (what, encode(bits).into_bytes(), "public key"))
    .into()
}

/// A peer that is let go for this rule, which the log names.
fn is_let_go(house: &House, what: &str, peer: SocketAddr, rule: &str) {
    let why = house.wait_left(peer);
    assert!(
        why.contains("bad input") && why.contains(rule),
        "{what}: {why}"
    );
}

/// Sends `bytes` to videochat, as the name or behind one, and reads the rule: a line of text, or framed
/// to a client that has sent a whole key and so reads what is framed.
fn refused_by_videochat(house: &House, what: &str, named: bool, bytes: &[u8], rule: &str) {
    let mut raw = Raw::connect(house.videochat());
    let peer = raw.address();
    raw.expect(NAME_PROMPT);
    if named {
        raw.send(b"rude");
        raw.expect(KEY_PROMPT);
    }
    raw.send(bytes);
    if rule.starts_with("public key") {
        let mut client = Videochat {
            raw,
            name: "rude".to_owned(),
        };
        assert!(client.error().contains(rule), "{what}");
        assert_eq!(client.next(), None, "{what}");
    } else {
        let line = String::from_utf8(raw.rest()).unwrap();
        assert!(
            line.starts_with("Error: ") && line.contains(rule),
            "{what}: {line}"
        );
        assert!(
            line.ends_with('\n') && line.lines().count() == 1,
            "{what}: {line}"
        );
    }
    is_let_go(house, what, peer, rule);
}

#[test]
fn videochat_says_which_rule_a_name_or_key_breaks_and_closes() {
    let house = House::open(&[]);
    let mut witness = Witness::enter(&house);
    for (what, bytes, rule) in bad_names() {
        refused_by_videochat(&house, what, false, &bytes, rule);
        witness.notices_nothing(what);
    }
    let mut keys = bad_keys("PUBLIC KEY", spki_pem);
    keys.push((
        "a key as chatroom has it",
        pkcs1_pem(VIDEOCHAT_BITS).into_bytes(),
        "a public key begins with -----BEGIN PUBLIC KEY-----",
    ));
    for (what, bytes, rule) in keys {
        refused_by_videochat(&house, what, true, &bytes, rule);
        witness.notices_nothing(what);
    }
    witness.leave(&house);
    house.stop();
}

/// Sends `bytes` to chatroom, which has no word for an error and lets go.
fn refused_by_chatroom(house: &House, what: &str, named: bool, bytes: &[u8], rule: &str) {
    let mut raw = Raw::connect(house.chatroom());
    let peer = raw.address();
    greeted(&mut raw);
    if named {
        raw.send(b"rude");
        raw.expect(b"OK");
    }
    raw.send(bytes);
    assert_eq!(raw.rest(), b"", "{what}");
    is_let_go(house, what, peer, rule);
}

#[test]
fn chatroom_lets_go_whoever_breaks_a_rule_with_name_or_key() {
    let house = House::open(&[]);
    let mut witness = Witness::enter(&house);
    for (what, bytes, rule) in bad_names() {
        refused_by_chatroom(&house, what, false, &bytes, rule);
        witness.notices_nothing(what);
    }
    let mut keys = bad_keys("RSA PUBLIC KEY", pkcs1_pem);
    keys.push((
        "a key as videochat has it",
        spki_pem(CHATROOM_BITS).into_bytes(),
        "a public key begins with -----BEGIN RSA PUBLIC KEY-----",
    ));
    for (what, bytes, rule) in keys {
        refused_by_chatroom(&house, what, true, &bytes, rule);
        witness.notices_nothing(what);
    }
    witness.leave(&house);
    house.stop();
}

#[test]
fn videochat_refuses_keys_too_small_to_encrypt_with() {
    let house = House::open(&[]);
    let mut witness = Witness::enter(&house);
    for (what, bytes, rule) in useless_keys(spki_pem) {
        refused_by_videochat(&house, what, true, &bytes, rule);
        witness.notices_nothing(what);
    }
    witness.leave(&house);
    house.stop();
}

#[test]
fn chatroom_refuses_keys_too_small_to_encrypt_with() {
    let house = House::open(&[]);
    let mut witness = Witness::enter(&house);
    for (what, bytes, rule) in useless_keys(pkcs1_pem) {
        refused_by_chatroom(&house, what, true, &bytes, rule);
        witness.notices_nothing(what);
    }
    witness.leave(&house);
    house.stop();
}

#[test]
fn whoever_says_nothing_or_dawdles_is_let_go_and_only_they() {
    let house = House::open(&[("PLAYHOUSE__LIMITS__HANDSHAKE_S", "1")]);
    let mut witness = Witness::enter(&house);
    let start = Instant::now();
    const RULE: &str = "no name and public key within 1 s";

    let mut silent = Raw::connect(house.videochat());
    let mut nameless = Raw::connect(house.chatroom());
    let mut half_key = Raw::connect(house.videochat());
    half_key.expect(NAME_PROMPT);
    half_key.send(b"rude");
    half_key.expect(KEY_PROMPT);
    half_key.send(b"-----BEGIN PUBLIC KEY-----\nMIIB");
    let mut keyless = Raw::connect(house.chatroom());
    greeted(&mut keyless);
    keyless.send(b"rude");
    keyless.expect(b"OK");

    let error = format!("Error: {RULE}\n");
    silent.expect(NAME_PROMPT);
    greeted(&mut nameless);
    for (what, raw, said) in [
        ("silent in videochat", silent, error.as_str()),
        ("half a key in videochat", half_key, error.as_str()),
        ("silent in chatroom", nameless, ""),
        ("no key in chatroom", keyless, ""),
    ] {
        let peer = raw.address();
        assert_eq!(String::from_utf8(raw.rest()).unwrap(), said, "{what}");
        is_let_go(&house, what, peer, RULE);
        witness.notices_nothing(what);
    }
    assert!(start.elapsed() >= Duration::from_secs(1));
    witness.leave(&house);
    house.stop();
}

/// Framed messages that break a rule and can be passed over: what is sent, and a word of the rule.
fn bad_messages() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let body = |json: Value| framed(1, json.to_string().as_bytes());
    let nested = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let deep = format!(r#"{{"identifier":"Video Choice","choice":{nested}}}"#);
    // Inside of the body that is passed over: what would be heard if it were not.
    let trap = communication(b"heard by mistake").repeat(1000);
    vec![
        ("a frame", framed(2, &[0; 300]), "a client sends no frames"),
        (
            "a frame around a message",
            framed(2, &trap),
            "a client sends no frames",
        ),
        (
            "a message that is too long",
            framed(1, &trap),
            "more than the 65536",
        ),
        ("an empty body", framed(1, b""), "body"),
        ("a body that is no JSON", framed(1, b"hello"), "body"),
        (
            "JSON cut off",
            framed(1, br#"{"identifier": "Video"#),
            "body",
        ),
        (
            "JSON and something behind it",
            framed(1, br#"{"identifier":"QUIT"} x"#),
            "body",
        ),
        (
            "JSON that is no UTF-8",
            framed(1, b"{\"identifier\":\"\xff\"}"),
            "body",
        ),
        (
            "a JSON array",
            body(json!(["Video List", null, "QUIT"])),
            "body",
        ),
        ("a JSON string", body(json!("QUIT")), "body"),
        (
            "JSON nested 5,000 deep",
            framed(1, nested.as_bytes()),
            "body",
        ),
        (
            "a choice nested 5,000 deep",
            framed(1, deep.as_bytes()),
            "body",
        ),
        ("no identifier", body(json!({"choice": "x"})), "identifier"),
        (
            "an identifier that is a number",
            body(json!({"identifier": 7})),
            "body",
        ),
        (
            "an unknown identifier",
            body(json!({"identifier": "Sing"})),
            "\"Sing\" is not known",
        ),
        (
            "two identifiers",
            framed(1, br#"{"identifier":"Video List","identifier":"QUIT"}"#),
            "duplicate field",
        ),
        (
            "half a surrogate pair as identifier",
            framed(1, br#"{"identifier":"\ud800"}"#),
            "hex escape",
        ),
        (
            "half a surrogate pair as choice",
            framed(1, br#"{"identifier":"Video Choice","choice":"\udfff.mp4"}"#),
            "hex escape",
        ),
        (
            "Communication without a message",
            body(json!({"identifier": "Communication", "from": "rude"})),
            "encrypt_message",
        ),
        (
            "Communication with a number",
            body(json!({"identifier": "Communication", "encrypt_message": 5})),
            "body",
        ),
        (
            "Communication with an object",
            body(json!({"identifier": "Communication", "encrypt_message": {"a": "QUFB"}})),
            "body",
        ),
        (
            "Communication that is no base64",
            body(json!({"identifier": "Communication", "encrypt_message": "not\nbase64!"})),
            "no base64",
        ),
        (
            "Communication that is empty",
            body(json!({"identifier": "Communication", "encrypt_message": ""})),
            "empty",
        ),
        (
            "Communication longer than a block",
            communication(&[7; 2049]),
            "longer than one RSA block",
        ),
        (
            "a choice of nothing",
            body(json!({"identifier": "Video Choice"})),
            "choice",
        ),
        (
            "a choice that is a list",
            body(json!({"identifier": "Video Choice", "choice": ["a"]})),
            "body",
        ),
        (
            "an empty choice",
            body(json!({"identifier": "Video Choice", "choice": ""})),
            "no video",
        ),
        (
            "a choice outside of the folder",
            body(json!({"identifier": "Video Choice", "choice": "../../etc/passwd"})),
            "no video",
        ),
        (
            "a choice from the root",
            body(json!({"identifier": "Video Choice", "choice": "/etc/passwd"})),
            "no video",
        ),
        (
            "a path to what is there",
            body(json!({"identifier": "Video Choice", "choice": "./test_card_120p.mp4"})),
            "no video",
        ),
        (
            "a choice with a zero",
            body(json!({"identifier": "Video Choice", "choice": "test_card\u{0}_120p.mp4"})),
            "no video",
        ),
    ]
}

#[test]
fn videochat_answers_what_it_can_pass_over_and_goes_on() {
    let house = House::open(&[]);
    let mut witness = Witness::enter(&house);
    witness.meet("rude");
    let mut rude = Videochat::join(&house, "rude");
    let peer = rude.address();
    for (count, (what, bytes, rule)) in (1..).zip(bad_messages()) {
        rude.raw.send(&bytes);
        let error = next_but_said(&mut rude);
        assert_eq!(error["identifier"], "Error", "{what}");
        assert!(text(&error["message"]).contains(rule), "{what}: {error}");
        rude.send(&json!({"identifier": "Video List"}));
        let list = next_but_said(&mut rude);
        assert_eq!(list["identifier"], "Video List", "{what}");
        assert_eq!(list["data"].as_array().unwrap().len(), 9, "{what}");
        assert!(house.wait_bad_input(peer, count).contains(rule), "{what}");
        witness.notices_nothing(what);
    }
    drop(rude);
    witness.leave(&house);
    house.stop();
}

#[test]
fn what_comes_in_one_write_with_a_mistake_is_understood() {
    let house = House::open(&[]);
    let mut witness = Witness::enter(&house);
    witness.meet("hasty");
    let mut hasty = Videochat::join(&house, "hasty");
    let question = framed(1, br#"{"identifier":"Video List"}"#);
    for (what, bytes, rule) in bad_messages() {
        hasty.raw.send(&[&bytes[..], &question].concat());
        let error = next_but_said(&mut hasty);
        assert_eq!(error["identifier"], "Error", "{what}");
        assert!(text(&error["message"]).contains(rule), "{what}: {error}");
        let list = next_but_said(&mut hasty);
        assert_eq!(list["identifier"], "Video List", "{what}");
    }
    witness.notices_nothing("mistakes and questions");
    drop(hasty);
    witness.leave(&house);
    house.stop();
}

/// The next JSON that is neither chat nor presence.
fn next_but_said(client: &mut Videochat) -> Value {
    client.json_until(|json| !is_of_others(json))
}

#[test]
fn an_answer_is_short_however_long_the_mistake_was() {
    let house = House::open(&[]);
    let mut witness = Witness::enter(&house);
    witness.meet("rude");
    let mut rude = Videochat::join(&house, "rude");
    let long = "\u{1}".repeat(10_000);
    for (what, message) in [
        (
            "a choice of 60 kB",
            json!({"identifier": "Video Choice", "choice": "x".repeat(60_000)}),
        ),
        (
            "a choice of control characters",
            json!({"identifier": "Video Choice", "choice": &long}),
        ),
        ("an identifier of 60 kB", json!({"identifier": &long})),
    ] {
        rude.send(&message);
        let error = rude.error();
        assert!(error.len() < 1000, "{what}: {} bytes of error", error.len());
        witness.notices_nothing(what);
    }
    assert!(rude.is_served());
    drop(rude);
    witness.leave(&house);
    house.stop();
}

#[test]
fn videochat_closes_when_it_can_not_follow_any_more() {
    let house = House::open(&[]);
    let mut witness = Witness::enter(&house);
    for (what, bytes, rule) in [
        (
            "an unknown type",
            framed(7, b"{}"),
            "7 is neither 1 (JSON) nor 2 (frame)",
        ),
        (
            "a length of 4 GB",
            b"\x01\xff\xff\xff\xff{".to_vec(),
            "4294967295 bytes are more",
        ),
        (
            "a frame of 4 GB",
            b"\x02\xff\xff\xff\xff\xff\xd8".to_vec(),
            "4294967295 bytes are more",
        ),
        (
            "HTTP behind the key",
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            "neither 1 (JSON)",
        ),
        ("TLS behind the key", TLS_HELLO.to_vec(), "neither 1 (JSON)"),
    ] {
        witness.meet(what);
        let mut rude = Videochat::join(&house, what);
        let peer = rude.address();
        rude.raw.send(&bytes);
        assert!(rude.error().contains(rule), "{what}");
        assert_eq!(rude.next(), None, "{what}");
        drop(rude);
        is_let_go(&house, what, peer, rule);
        witness.notices_nothing(what);
    }
    witness.leave(&house);
    house.stop();
}

#[test]
fn so_many_mistakes_and_a_peer_is_let_go() {
    let house = House::open(&[]);
    let mut witness = Witness::enter(&house);

    witness.meet("careless");
    let mut careless = Videochat::join(&house, "careless");
    let peer = careless.address();
    careless.raw.send(&framed(1, b"?").repeat(150));
    for _ in 0..=100 {
        assert!(careless.error().contains("body"));
    }
    assert_eq!(careless.next(), None);
    is_let_go(&house, "videochat", peer, "100 mistakes before");
    witness.notices_nothing("many mistakes in videochat");

    witness.meet("babbling");
    let mut babbling = Chatroom::join(&house, "babbling");
    let peer = babbling.address();
    for count in 1..=20 {
        babbling.raw.send(b"hello?");
        house.wait_bad_input(peer, count);
    }
    assert!(!babbling.videos().is_empty(), "20 are not too many");
    babbling.raw.send(b"\xff");
    house.wait_bad_input(peer, 21);
    assert_eq!(babbling.answer(), None);
    is_let_go(&house, "chatroom", peer, "20 mistakes before");
    witness.notices_nothing("many mistakes in chatroom");

    witness.leave(&house);
    house.stop();
}

#[test]
fn whoever_goes_in_the_middle_of_something_is_just_gone() {
    let house = House::open(&[FAST]);
    let mut witness = Witness::enter(&house);
    let half_message = &communication(&[1; 256])[..100];
    let half_chat = &Chatroom::message("half")[..50];
    for (what, cut) in [("closes", false), ("resets", true)] {
        let end = |mut raw: Raw, stage: &str| {
            let peer = raw.address();
            if cut {
                raw.reset();
            } else {
                raw.finish();
                raw.rest();
            }
            let why = house.wait_left(peer);
            assert!(why.starts_with("left: dropped"), "{what} {stage}: {why}");
        };
        let mut raw = Raw::connect(house.videochat());
        raw.expect(NAME_PROMPT);
        end(raw, "before its name");

        let mut raw = Raw::connect(house.videochat());
        raw.expect(NAME_PROMPT);
        raw.send(b"rude");
        raw.expect(KEY_PROMPT);
        raw.send(b"-----BEGIN PUBLIC KEY-----\nMIIB");
        end(raw, "in its key");

        let mut raw = Raw::connect(house.chatroom());
        greeted(&mut raw);
        raw.send(b"rude");
        raw.expect(b"OK");
        raw.send(b"-----BEGIN RSA PUB");
        end(raw, "in its chatroom key");
        witness.notices_nothing(what);

        let name = format!("{what} in videochat");
        witness.meet(&name);
        let mut rude = Videochat::join(&house, &name);
        rude.raw.send(half_message);
        end(rude.raw, "in a message");

        let name = format!("{what} while skipped");
        witness.meet(&name);
        let mut rude = Videochat::join(&house, &name);
        rude.raw
            .send(&[&framed(2, &[0; 100_000])[..50_000]].concat());
        rude.error();
        end(rude.raw, "in what is passed over");

        let name = format!("{what} in chatroom");
        witness.meet(&name);
        let mut rude = Chatroom::join(&house, &name);
        rude.raw.send(b"[CHAT]");
        rude.raw.send(half_chat);
        end(rude.raw, "in a chat");

        let name = format!("{what} before the list");
        witness.meet(&name);
        let mut rude = Chatroom::join(&house, &name);
        rude.videos();
        end(rude.raw, "before it chose");
        witness.notices_nothing(what);
    }
    witness.leave(&house);
    house.stop();
}

#[test]
fn chatroom_passes_over_what_has_no_place() {
    let house = House::open(&[FAST]);
    let mut witness = Witness::enter(&house);
    witness.meet("rude");
    let mut rude = Chatroom::join(&house, "rude");
    let peer = rude.address();
    let mut mistakes = 0;
    for (what, bytes) in [
        ("a chat before [CHAT]", Chatroom::message("too early")),
        ("a word nobody knows", b"[SING]".to_vec()),
        ("a word in small letters", b"[chat]".to_vec()),
        ("binary", vec![0, 159, 146, 150, 255]),
        ("a server's word", b"STRM\xff\xff\xff\xff".to_vec()),
        ("60 kB of nothing", vec![b'.'; 60_000]),
    ] {
        rude.raw.send(&bytes);
        mistakes += 1;
        // As long as it is, it is one or several reads, each of them a mistake.
        let rule = house.wait_bad_input(peer, mistakes);
        assert!(
            rule.contains("[CHAT], [STREAM] or [DISCONNECT] is expected"),
            "{what}: {rule}"
        );
        witness.notices_nothing(what);
    }
    assert_eq!(rude.videos(), ["cells", "mandelbrot", "test_card"]);

    for (what, name) in [
        ("a video that is not there", "nothing"),
        ("a path", "../../etc/passwd"),
        ("a path from the root", "/etc/passwd"),
        ("a path to what is there", "./test_card"),
        ("a name of escapes", "test_card\u{1b}[0m"),
    ] {
        assert_eq!(rude.choose(name), 0, "{what}");
        rude.videos();
        witness.notices_nothing(what);
    }
    for (what, name, rule) in [
        (
            "a video name that is no UTF-8",
            &b"test\xffcard"[..],
            "UTF-8",
        ),
        ("a video name of 300 bytes", &[b'x'; 300], "255 bytes"),
    ] {
        let before = logged_mistakes(&house, peer);
        rude.raw.send(name);
        assert!(
            house.wait_bad_input(peer, before + 1).contains(rule),
            "{what}"
        );
        rude.videos();
        witness.notices_nothing(what);
    }
    assert_eq!(rude.choose("test_card"), 200);
    for i in 0..200 {
        assert!(rude.frame().starts_with(b"\xff\xd8"), "frame {i}");
    }
    drop(rude);
    witness.leave(&house);
    house.stop();
}

fn logged_mistakes(house: &House, peer: SocketAddr) -> usize {
    let of_peer =
        |line: &&Value| line["message"] == "bad input" && line["span"]["peer"] == peer.to_string();
    house.log().iter().filter(of_peer).count()
}

#[test]
fn a_short_block_of_chat_reaches_nobody() {
    let house = House::open(&[]);
    let mut witness = Witness::enter(&house);
    witness.meet("short");
    let mut short = Chatroom::join(&house, "short");
    let peer = short.address();
    short.raw.send(b"[CHAT]");
    short.raw.send(b"CHATshort");
    short.raw.send(b"QUIT");
    short.raw.finish();
    assert_eq!(short.answer(), None);
    assert!(house.wait_left(peer).contains("dropped"));
    witness.notices_nothing("a short block");
    witness.leave(&house);
    house.stop();
}

#[test]
fn what_is_sent_during_a_stream_waits_or_is_refused() {
    let house = House::open(&[FAST]);
    let mut witness = Witness::enter(&house);
    witness.meet("impatient");
    let mut impatient = Chatroom::join(&house, "impatient");
    let peer = impatient.address();
    impatient.videos();
    assert_eq!(impatient.choose("test_card"), 200);
    impatient.frame();
    impatient.raw.send(b"garbage");
    house.wait_bad_input(peer, 1);
    impatient.raw.send(b"[STREAM]");
    for i in 1..200 {
        assert!(impatient.frame().starts_with(b"\xff\xd8"), "frame {i}");
    }
    match impatient.answer() {
        Some(Word::Videos(videos)) => assert_eq!(videos.len(), 3),
        other => panic!("no list but {other:?}"),
    }
    assert_eq!(impatient.choose("nothing"), 0);
    witness.notices_nothing("words during a chatroom stream");
    drop(impatient);

    witness.meet("greedy");
    let mut greedy = Videochat::join(&house, "greedy");
    greedy.choose("mandelbrot_144p.mp4");
    greedy.choose("test_card_120p.mp4");
    greedy.raw.send(&framed(1, b"garbage"));
    let (mut frames, mut errors) = (0, Vec::new());
    loop {
        match greedy.next().unwrap() {
            Message::Frame(_) => frames += 1,
            Message::Json(json) if json["identifier"] == "Error" => {
                errors.push(text(&json["message"]).to_owned());
            }
            Message::Json(json) if json["identifier"] == "Video Finish" => break,
            Message::Json(_) => {}
        }
    }
    assert_eq!(frames, 200);
    assert!(errors.len() == 2, "{errors:?}");
    assert!(errors[0].contains("a video is playing"), "{errors:?}");
    assert!(errors[1].contains("body"), "{errors:?}");
    assert_eq!(greedy.play("test_card_120p.mp4").len(), 200);
    witness.notices_nothing("words during a videochat stream");
    drop(greedy);
    witness.leave(&house);
    house.stop();
}

/// What is wrong in a folder of videos.
struct BadFile {
    name: &'static str,
    /// A word of the reason.
    rule: &'static str,
    make: fn(&Path),
}

fn bad_files() -> Vec<BadFile> {
    let bad = |name, rule, make: fn(&Path)| BadFile { name, rule, make };
    vec![
        bad("empty_240p.mp4", "is empty", |path| {
            fs::write(path, b"").unwrap()
        }),
        bad("text_240p.mp4", "isn't a video container", |path| {
            fs::write(path, "this is no video\n".repeat(100)).unwrap();
        }),
        bad("head_240p.mp4", "has no video stream", |path| {
            fs::write(path, &sample("test_card_120p.mp4")[..40]).unwrap();
        }),
        bad("notes.txt", "not a video file", |path| {
            fs::write(path, "buy popcorn").unwrap()
        }),
        bad("film_240p.mkv", "not a video file", |path| {
            fs::write(path, sample("test_card_120p.mp4")).unwrap();
        }),
        bad("x_240p.mp4", "isn't a regular file", |path| {
            fs::create_dir(path).unwrap()
        }),
        bad("y_240p.mp4", "isn't a regular file", |path| {
            let path = CString::new(path.as_os_str().as_bytes()).unwrap();
            // SAFETY: the path is a C string that lives until the call returns.
            assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
        }),
        bad("playlist_240p.mp4", "isn't a video container", |path| {
            let list = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\ntest_card_120p.mp4\n#EXT-X-ENDLIST\n";
            fs::write(path, list).unwrap();
        }),
        bad("concat_240p.mp4", "isn't a video container", |path| {
            fs::write(path, "ffconcat version 1.0\nfile test_card_120p.mp4\n").unwrap();
        }),
        bad("gone_240p.mp4", "can't be read", |path| {
            symlink("nowhere.mp4", path).unwrap()
        }),
        bad("round_240p.mp4", "can't be read", |path| {
            symlink("round_240p.mp4", path).unwrap()
        }),
        bad("zero_240p.mp4", "isn't a regular file", |path| {
            symlink("/dev/zero", path).unwrap()
        }),
        bad("esc\u{1b}[2J_240p.mp4", "not a video file", |path| {
            fs::write(path, sample("test_card_120p.mp4")).unwrap();
        }),
        bad("latin\u{fffd}_240p.mp4", "not a video file", |path| {
            let name = OsStr::from_bytes(b"latin\xe9_240p.mp4");
            fs::write(path.with_file_name(name), sample("test_card_120p.mp4")).unwrap();
        }),
    ]
}

fn sample(name: &str) -> Vec<u8> {
    fs::read(sample_videos().join(name)).unwrap()
}

/// A good video in three qualities.
fn put_good(folder: &Path) {
    for quality in ["120p", "240p", "480p"] {
        let name = format!("test_card_{quality}.mp4");
        fs::copy(sample_videos().join(&name), folder.join(&name)).unwrap();
    }
}

/// Videos that can be shown but are damaged or mislabelled.
fn put_odd(folder: &Path) {
    let whole = sample("test_card_120p.mp4");
    fs::write(folder.join("wrong_720p.mp4"), &whole).unwrap();
    let mut scarred = whole.clone();
    let from = scarred.len() / 3;
    for (i, byte) in scarred[from..2 * from].iter_mut().enumerate() {
        *byte = (i * 131 % 251) as u8;
    }
    fs::write(folder.join("scarred_120p.mp4"), scarred).unwrap();
    // Whether it is shown depends on where its index stands; it is named in any case.
    fs::write(folder.join("cut_120p.mp4"), &whole[..whole.len() / 2]).unwrap();
}

fn catalogue(folder: &Path) -> Value {
    let output = run(
        &["videos", "--json", "--videos", folder.to_str().unwrap()],
        &[],
    );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The reason for which `file` is left out or warned of.
fn reason(catalogue: &Value, file: &str) -> Option<String> {
    let left_out = catalogue["rejected"].as_array().unwrap().iter();
    let qualities = catalogue["videos"].as_array().unwrap().iter();
    let odd = qualities.flat_map(|video| video["qualities"].as_array().unwrap());
    left_out
        .chain(odd)
        .find(|entry| entry["file"] == file)
        .map(|entry| match entry["warnings"].as_array() {
            Some(warnings) => warnings.iter().map(text).collect::<Vec<_>>().join("; "),
            None => text(&entry["reason"]).to_owned(),
        })
}

/// The reason that the log names for `file`.
fn logged_reason(house: &House, file: &str) -> String {
    let line = house.wait_log(file, |line| line["file"] == file);
    let reason = [&line["reason"], &line["warning.reason"]]
        .map(text)
        .concat();
    assert_eq!(line["level"], "WARN", "{line}");
    reason
}

#[test]
fn bad_files_are_named_and_the_good_video_beside_them_plays() {
    let folder = tempfile::tempdir().unwrap();
    put_good(folder.path());
    put_odd(folder.path());
    fs::write(folder.path().join(".hidden_240p.mp4"), "nothing").unwrap();
    for bad in bad_files() {
        (bad.make)(&folder.path().join(bad.name));
    }
    let catalogue = catalogue(folder.path());
    let house = House::open_on(folder.path(), &[FAST]);
    let mut witness = Witness::enter(&house);
    for bad in bad_files() {
        let listed = reason(&catalogue, bad.name);
        let listed = listed.unwrap_or_else(|| panic!("{}: {catalogue:#}", bad.name));
        assert!(listed.contains(bad.rule), "{}: {listed}", bad.name);
        assert!(
            logged_reason(&house, bad.name).contains(bad.rule),
            "{}",
            bad.name
        );
    }
    let wrong = reason(&catalogue, "wrong_720p.mp4").unwrap();
    assert!(wrong.contains("the name says 720p"), "{wrong}");
    assert!(logged_reason(&house, "wrong_720p.mp4").contains("the name says 720p"));
    let cut = reason(&catalogue, "cut_120p.mp4").unwrap();
    assert!(!cut.is_empty());
    assert_eq!(logged_reason(&house, "cut_120p.mp4"), cut);
    assert!(!catalogue.to_string().contains(".hidden"), "{catalogue:#}");

    witness.meet("viewer");
    let mut viewer = Videochat::join(&house, "viewer");
    viewer.send(&json!({"identifier": "Video List"}));
    let list = next_but_said(&mut viewer)["data"].to_string();
    for bad in bad_files() {
        assert!(!list.contains(bad.name), "{list}");
        viewer.choose(bad.name);
        assert!(viewer.error().contains("no video"), "{}", bad.name);
    }
    let good = viewer.play("test_card_480p.mp4");
    assert_eq!(good.len(), 200);
    for video in catalogue["videos"].as_array().unwrap() {
        let frames = viewer.play(text(&video["qualities"][0]["file"]));
        let promised = usize::try_from(video["frames"].as_u64().unwrap()).unwrap();
        assert_eq!(frames.len(), promised, "{video}");
        assert!(
            frames
                .iter()
                .all(|jpeg| image::load_from_memory(jpeg).is_ok()),
            "{video}"
        );
    }
    assert_eq!(viewer.play("scarred_120p.mp4").len(), 200);
    assert_eq!(viewer.play("test_card_480p.mp4"), good);
    witness.notices_nothing("bad files");
    drop(viewer);
    witness.leave(&house);
    house.stop();
}

#[test]
fn files_that_go_bad_while_the_house_is_open_harm_nobody() {
    let folder = tempfile::tempdir().unwrap();
    put_good(folder.path());
    fs::copy(
        sample_videos().join("mandelbrot_144p.mp4"),
        folder.path().join("fading_144p.mp4"),
    )
    .unwrap();
    let house = House::open_on(folder.path(), &[FAST]);
    let mut witness = Witness::enter(&house);
    witness.meet("viewer");
    let mut viewer = Videochat::join(&house, "viewer");
    let good = viewer.play("test_card_480p.mp4");
    for bad in bad_files() {
        (bad.make)(&folder.path().join(bad.name));
    }
    // Found and lost again: a file that is emptied, one that is taken away, one that is no file any more.
    fs::write(folder.path().join("fading_144p.mp4"), b"").unwrap();
    fs::remove_file(folder.path().join("test_card_240p.mp4")).unwrap();
    for bad in bad_files() {
        assert!(
            logged_reason(&house, bad.name).contains(bad.rule),
            "{}",
            bad.name
        );
    }
    assert!(logged_reason(&house, "fading_144p.mp4").contains("is empty"));
    viewer.choose("fading_144p.mp4");
    assert!(viewer.error().contains("no video"));
    let (left, before) = (viewer.play("test_card_480p.mp4"), good.len());
    assert_eq!(left.len(), before);
    assert_eq!(left[..66], good[..66], "the lowest quality is still there");
    witness.notices_nothing("a folder that goes bad");
    drop(viewer);
    witness.leave(&house);
    house.stop();
}

//! Who gets in over HTTP, and who doesn't: hosts, origins, passwords, what browsers are told; and the pages.

use std::ffi::OsStr;
use std::io::Write;
use std::process::Stdio;

use crate::support::{House, playhouse};
use crate::web_support::{Answer, begin, get, get_with, send};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use playhouse_actors::hash_password;
use serde_json::{Value, json};

const JSON: (&str, &str) = ("Content-Type", "application/json");
/// What makes a request one for a WebSocket.
const SOCKET: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// A house that is opened by `friend`, and that `boss` looks after.
fn locked_house() -> House {
    let (friend, boss) = (hash_password("friend"), hash_password("boss"));
    House::open_empty(&[
        ("WEB__PASSWORD", &friend.unwrap()),
        ("WEB__ADMIN_PASSWORD", &boss.unwrap()),
    ])
}

fn basic(password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("anyone:{password}")))
}

fn sign_in(house: &House, password: &str) -> Answer {
    let body = json!({ "password": password }).to_string();
    send(
        house.web(),
        "POST",
        "/api/session",
        &[JSON],
        body.as_bytes(),
    )
}

/// What a browser keeps of an answer.
fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie").expect("a cookie");
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(set.contains(attribute), "{set}");
    }
    set.split(';').next().unwrap().to_owned()
}

fn session(house: &House, headers: &[(&str, &str)]) -> Value {
    get_with(house.web(), "/api/session", headers)
        .assert_status(200)
        .json()
}

/// What a request for a WebSocket is answered with.
fn socket(house: &House, path: &str, headers: &[(&str, &str)]) -> Answer {
    let headers = [&SOCKET[..], headers].concat();
    begin(house.web(), "GET", path, &headers).head()
}

#[track_caller]
fn assert_hardened(answer: &Answer) {
    let policy = answer.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'self'"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    for name in ["cross-origin-opener-policy", "cross-origin-resource-policy"] {
        assert_eq!(answer.header(name), Some("same-origin"), "{name}");
    }
    let features = answer.header("permissions-policy").expect("features");
    assert!(
        features.starts_with("camera=(self), microphone=()"),
        "{features}"
    );
}

// Hosts and origins

#[test]
fn a_house_goes_by_its_own_names_alone() {
    let house = House::open_empty(&[("WEB__HOSTS", "play.example.org,other.example.org")]);
    for host in [
        "localhost",
        "playhouse.local:8080",
        "[::1]:80",
        "play.example.org",
        "OTHER.example.org:1",
    ] {
        get_with(house.web(), "/api/people", &[("Host", host)]).assert_status(200);
    }
    for host in ["evil.example.org", "127.0.0.1.evil.example.org", ""] {
        for path in ["/", "/api/people", "/healthz", "/nowhere"] {
            let answer = get_with(house.web(), path, &[("Host", host)]).assert_status(421);
            assert_hardened(&answer);
            assert_eq!(answer.json()["rule"], "web.hosts");
        }
        let answer = socket(&house, "/ws", &[("Host", host)]).assert_status(421);
        assert_hardened(&answer);
    }
    // By the name that a proxy would be asked for.
    get(house.web(), "http://evil.example.org/api/people").assert_status(421);
    get_with(house.web(), "/healthz", &[("Host", "a"), ("Host", "b")]).assert_status(400);
    house.stop();
}

#[test]
fn pages_of_other_sites_change_nothing() {
    let house = House::open_empty(&[]);
    let own = format!("http://{}", house.web());
    let foreign: [&[(&str, &str)]; 5] = [
        &[("Origin", "http://evil.example.org")],
        &[("Origin", "null")],
        &[("Origin", "http://127.0.0.1:1")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", &own)],
    ];
    for headers in foreign {
        for (method, path) in [
            ("POST", "/api/session"),
            ("DELETE", "/api/people/1"),
            ("PUT", "/api/offer"),
            ("POST", "/api/uploads"),
            ("POST", "/nowhere"),
        ] {
            let answer = send(house.web(), method, path, headers, b"{}").assert_status(403);
            assert_hardened(&answer);
            assert_eq!(
                answer.json()["rule"],
                "Origin",
                "{method} {path} {headers:?}"
            );
        }
        assert_hardened(&socket(&house, "/ws", headers).assert_status(403));
        // Reading is harmless: no other site sees the answer.
        get_with(house.web(), "/api/people", headers).assert_status(200);
    }
    let own = [("Origin", &*own), ("Sec-Fetch-Site", "same-origin")];
    send(house.web(), "DELETE", "/api/session", &own, b"").assert_status(204);
    socket(&house, "/ws", &own).assert_status(101);
    // Programs have no origin.
    send(house.web(), "DELETE", "/api/session", &[], b"").assert_status(204);
    socket(&house, "/ws", &[]).assert_status(101);
    socket(&house, "/api/people", &[]).assert_status(404);
    house.stop();
}

// Passwords

#[test]
fn a_house_with_a_password_opens_to_those_who_know_it() {
    let mut house = locked_house();
    for path in ["/", "/healthz", "/readyz"] {
        get(house.web(), path).assert_status(200);
    }
    let closed = [
        "/api/people",
        "/api/videos",
        "/api/files",
        "/api/house",
        "/api/messages",
        "/metrics",
        "/openapi.json",
        "/api/live",
        "/nowhere",
        "/%61pi/people",
        "/assets",
        "//",
    ];
    for path in closed {
        let answer = get(house.web(), path).assert_status(401);
        assert_hardened(&answer);
        let how = answer.header("www-authenticate").expect("a way");
        assert!(how.starts_with("Basic "), "{how}");
        // The browser's own window stays away from the page.
        let answer = get_with(house.web(), path, &[("Sec-Fetch-Mode", "cors")]).assert_status(401);
        assert_eq!(answer.header("www-authenticate"), None);
    }
    send(house.web(), "POST", "/api/uploads", &[], b"").assert_status(401);
    assert_hardened(&socket(&house, "/ws", &[]).assert_status(401));
    let before = json!({
        "version": env!("CARGO_PKG_VERSION"), "password_needed": true, "signed_in": false,
        "admin": false, "admin_possible": true,
    });
    assert_eq!(session(&house, &[]), before);

    let wrong = sign_in(&house, "foe").assert_status(403);
    assert_eq!(wrong.header("set-cookie"), None);
    let signed_in = sign_in(&house, "friend").assert_status(200);
    let friend = cookie(&signed_in);
    assert_eq!(signed_in.json()["signed_in"], true);
    assert_eq!(signed_in.json()["admin"], false);
    let friend = [("Cookie", &*friend)];
    get_with(house.web(), "/api/people", &friend).assert_status(200);
    socket(&house, "/ws", &friend).assert_status(101);
    assert_eq!(session(&house, &friend)["admin"], false);
    let forbidden = send(house.web(), "DELETE", "/api/people/1", &friend, b"").assert_status(403);
    assert_eq!(forbidden.json()["rule"], "web.admin_password");
    let boss = cookie(&sign_in(&house, "boss").assert_status(200));
    let boss = [("Cookie", &*boss)];
    assert_eq!(session(&house, &boss)["admin"], true);
    send(house.web(), "DELETE", "/api/people/1", &boss, b"").assert_status(404);

    // Programs.
    for (password, status) in [("friend", 200), ("boss", 200), ("foe", 401)] {
        let headers = [("Authorization", &*basic(password))];
        get_with(house.web(), "/api/people", &headers).assert_status(status);
        let status = if status == 200 { 101 } else { status };
        socket(&house, "/ws", &headers).assert_status(status);
    }
    let headers = [("Authorization", &*basic("boss"))];
    send(house.web(), "DELETE", "/api/people/1", &headers, b"").assert_status(404);

    // Sessions outlive a restart; a forged one is none.
    house.terminate();
    house.reopen();
    get_with(house.web(), "/api/people", &friend).assert_status(200);
    let (name, value) = friend[0].1.split_once('=').unwrap();
    let (changed, _) = boss[0].1.split_at(boss[0].1.len() - 4);
    for forged in [
        changed.to_owned(),
        format!("{name}={}", value.to_ascii_lowercase()),
    ] {
        get_with(house.web(), "/api/people", &[("Cookie", &*forged)]).assert_status(401);
    }
    let out = send(house.web(), "DELETE", "/api/session", &friend, b"").assert_status(204);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    // Who removes the secret signs everyone out.
    house.terminate();
    std::fs::remove_file(house.data().join("web_secret")).unwrap();
    house.reopen();
    get_with(house.web(), "/api/people", &friend).assert_status(401);
    house.stop();
}

#[test]
fn who_tries_passwords_has_to_wait() {
    let house = locked_house();
    for n in 0..5 {
        sign_in(&house, &format!("wrong {n}")).assert_status(403);
    }
    let answer = sign_in(&house, "wrong").assert_status(429);
    assert!(
        answer
            .header("retry-after")
            .unwrap()
            .parse::<u64>()
            .unwrap()
            >= 1
    );
    let headers = [("Authorization", &*basic("wrong, too"))];
    get_with(house.web(), "/api/people", &headers).assert_status(429);
    socket(&house, "/ws", &headers).assert_status(429);
    house.stop();
}

#[test]
fn a_house_without_passwords_is_open_and_nobody_changes_it() {
    let house = House::open_empty(&[]);
    get(house.web(), "/api/people").assert_status(200);
    assert_eq!(session(&house, &[])["signed_in"], true);
    assert_eq!(session(&house, &[])["admin_possible"], false);
    let answer = send(house.web(), "DELETE", "/api/people/1", &[], b"").assert_status(403);
    let error = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("playhouse password"), "{error}");
    sign_in(&house, "").assert_status(403);
    house.stop();
}

// Requests

#[test]
fn odd_requests_are_told_what_is_wrong() {
    let house = House::open_empty(&[]);
    let web = house.web();
    let long = format!("{{\"password\":\"{}\"}}", "x".repeat(100_000));
    for (method, path, headers, body, status) in [
        ("POST", "/api/session", &[JSON][..], &b"{"[..], 400),
        ("POST", "/api/session", &[JSON], b"{}", 400),
        ("POST", "/api/session", &[JSON], b"\xff", 400),
        ("POST", "/api/session", &[], b"{\"password\":\"x\"}", 415),
        (
            "POST",
            "/api/session",
            &[("Content-Type", "text/plain")],
            b"{}",
            415,
        ),
        ("POST", "/api/session", &[JSON], long.as_bytes(), 413),
        ("GET", "/nowhere", &[], b"", 404),
        ("GET", "/assets/../Cargo.toml", &[], b"", 404),
        ("GET", "/assets/index.html", &[], b"", 404),
        ("GET", "/assets/%2e%2e/index.html", &[], b"", 404),
    ] {
        let answer = send(web, method, path, headers, body).assert_status(status);
        assert_hardened(&answer);
        assert!(answer.json()["error"].is_string(), "{method} {path}");
    }
    assert_hardened(&send(web, "PATCH", "/api/people", &[], b"").assert_status(405));
    house.stop();
}

// Pages

#[test]
fn pages_are_kept_until_they_change() {
    let house = House::open_empty(&[]);
    let web = house.web();
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/api", "text/html; charset=utf-8"),
        ("/assets/js/main.js", "text/javascript; charset=utf-8"),
        ("/assets/css/base.css", "text/css; charset=utf-8"),
        ("/assets/logo.svg", "image/svg+xml"),
    ] {
        let plain = get(web, path).assert_status(200);
        assert_hardened(&plain);
        assert_eq!(plain.header("content-type"), Some(kind));
        assert_eq!(plain.header("cache-control"), Some("no-cache"));
        assert_eq!(plain.header("content-encoding"), None);
        let tag = plain.header("etag").unwrap();
        assert!(tag.starts_with('"'), "{tag}");
        let packed = get_with(web, path, &[("Accept-Encoding", "br, gzip;q=0.9")]);
        let packed = packed.assert_status(200);
        if packed.header("content-encoding") == Some("gzip") {
            assert!(packed.body.len() < plain.body.len());
            assert_ne!(packed.header("etag"), Some(tag));
        }
        let head = begin(web, "HEAD", path, &[]).answer().assert_status(200);
        assert_eq!(
            head.header("content-length"),
            Some(&*plain.body.len().to_string())
        );
        for known in [tag.to_owned(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let same = get_with(web, path, &[("If-None-Match", &known)]).assert_status(304);
            assert_eq!(same.header("etag"), Some(tag));
            assert!(same.body.is_empty());
        }
        get_with(web, path, &[("If-None-Match", "\"x\"")]).assert_status(200);
    }
    house.stop();
}

// The command

#[test]
fn the_password_command_makes_what_the_configuration_takes() {
    let mut child = playhouse()
        .arg("password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all("offenes Geheimnis ü\n".as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let hash = String::from_utf8(output.stdout).unwrap();
    let house = House::open_empty(&[("WEB__PASSWORD", hash.trim_end())]);
    sign_in(&house, "offenes Geheimnis ü").assert_status(200);
    sign_in(&house, "offenes Geheimnis").assert_status(403);
    let checked = house.run(&[OsStr::new("check")]);
    assert!(checked.status.success());
    house.stop();
    let empty = playhouse().arg("password").output().unwrap();
    assert!(!empty.status.success() && empty.stdout.is_empty());
}

#[test]
fn a_password_that_is_no_hash_is_a_fault() {
    for key in ["password", "admin_password"] {
        let name = format!("PLAYHOUSE__WEB__{}", key.to_uppercase());
        let output = playhouse()
            .arg("check")
            .env(name, "secret")
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success());
        assert!(
            error.contains(&format!("web.{key} (set in the environment)")),
            "{error}"
        );
        assert!(
            error.contains("playhouse password") && !error.contains("secret"),
            "{error}"
        );
    }
}

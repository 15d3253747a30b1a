//! The house over HTTP: its numbers, its people, what was said, what is offered and recorded.

use std::collections::BTreeSet;

use crate::lan_support::chatters::Chatter;
use crate::lan_support::fetchers::{does, fetch};
use crate::lan_support::text;
use crate::live_support::movie::{files, is_recording};
use crate::live_support::pictures::plain;
use crate::live_support::{Camera, LONG_LINGER, wait_frames};
use crate::support::{House, OldVideochat, key, wait_for};
use crate::web_support::{Answer, get, send};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use playhouse_actors::hash_password;
use serde_json::{Value, json};

/// The admin's way in.
fn admin() -> (&'static str, String) {
    (
        "Authorization",
        format!("Basic {}", STANDARD.encode("x:boss")),
    )
}

fn house_with(settings: &[(&str, &str)]) -> House {
    let boss = hash_password("boss").unwrap();
    let settings = [settings, &[("WEB__ADMIN_PASSWORD", &*boss)]].concat();
    House::open_empty(&settings)
}

fn put(house: &House, path: &str, body: &Value) -> Answer {
    let (name, value) = admin();
    let headers = [("Content-Type", "application/json"), (name, &*value)];
    send(
        house.web(),
        "PUT",
        path,
        &headers,
        body.to_string().as_bytes(),
    )
}

fn json_of(house: &House, path: &str) -> Value {
    get(house.web(), path).assert_status(200).json()
}

fn people(house: &House) -> Vec<Value> {
    json_of(house, "/api/people").as_array().unwrap().clone()
}

fn metrics(house: &House) -> String {
    let answer = get(house.web(), "/metrics").assert_status(200);
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    String::from_utf8(answer.body).unwrap()
}

#[test]
fn the_vitals_are_the_houses() {
    let house = House::open_empty(&[]);
    let before = json_of(&house, "/api/house");
    assert_eq!(before, json_of(&house, "/api/house"), "made once a second");
    let _anna = OldVideochat::join(&house, "anna", key(2048, 0));
    let chatter = Chatter::enter(&house);
    chatter.say("hello\n");
    let vitals = wait_for("newer numbers", || {
        let vitals = json_of(&house, "/api/house");
        let people = &vitals["connections"]["videochat"]["open"];
        (people == 1 && vitals["messages"] != before["messages"]).then_some(vitals)
    });
    assert!(vitals["at"].as_i64() > before["at"].as_i64());
    assert_eq!(
        vitals["connections"]["lan_chat"],
        json!({ "open": 1, "accepted": 1, "refused": 0 })
    );
    assert!(vitals["connections"]["packetchat"].is_object());
    assert!(vitals["people"].as_u64() >= Some(2), "{vitals}");
    assert!(vitals["cpu"].as_f64().unwrap() >= 0.0);
    assert!(vitals["threads"].as_u64() > Some(1) && vitals["rss_bytes"].as_u64() > Some(1_000_000));
    let traffic = |vitals: &Value, way: &str| vitals["traffic"][way].as_u64().unwrap();
    for way in ["in_bytes", "out_bytes"] {
        assert!(traffic(&vitals, way) > traffic(&before, way), "{vitals}");
    }
    assert_eq!(vitals["streams"], json!({ "open": 0, "most": 1000 }));
    let actors = vitals["actors"].as_array().unwrap().iter();
    let kinds: BTreeSet<&str> = actors
        .map(|state| state["actor"].as_str().unwrap())
        .collect();
    for kind in [
        "supervisor",
        "lobby",
        "library",
        "file_store",
        "listener",
        "endpoint",
    ] {
        assert!(kinds.contains(kind), "{kinds:?}");
    }
    house.stop();
}

#[test]
fn a_house_is_well_and_ready() {
    let house = House::open_empty(&[]);
    assert_eq!(
        get(house.web(), "/healthz").assert_status(200).body,
        b"ok\n"
    );
    assert_eq!(
        get(house.web(), "/readyz").assert_status(200).body,
        b"ready\n"
    );
    house.stop();
}

#[test]
fn metrics_are_those_of_the_vitals() {
    let house = House::open_empty(&[]);
    let _anna = OldVideochat::join(&house, "anna", key(2048, 0));
    let camera = Camera::open(&house, 32);
    camera.show(&plain(0, 64, 48));
    wait_frames(&house, "tumip-32", 1);
    let text = wait_for("the numbers", || {
        let text = metrics(&house);
        text.contains("playhouse_live_frames_total{channel=\"tumip-32\"} 1")
            .then_some(text)
    });
    for line in [
        "playhouse_connections{service=\"videochat\"} 1",
        "playhouse_connections_accepted_total{service=\"videochat\"} 1",
        "playhouse_actor_restarts_total 0",
        "playhouse_live_viewers{channel=\"tumip-32\"} 0",
        "playhouse_live_recorded{channel=\"tumip-32\"} 0",
        "playhouse_streams_limit 1000",
        "playhouse_tumip_frames_total 1",
        "playhouse_files 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    // What has a value has a kind and is explained.
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        assert!(text.contains(&format!("# HELP {name} ")), "{line}");
        assert!(text.contains(&format!("# TYPE {name} ")), "{line}");
    }
    house.stop();
}

#[test]
fn people_are_listed_and_shown_out() {
    let house = house_with(&[]);
    let mut anna = OldVideochat::join(&house, "anna", key(2048, 0));
    let list = people(&house);
    let found = list.iter().find(|person| person["name"] == "anna").unwrap();
    assert_eq!(found["service"], "videochat");
    assert_eq!(
        (&found["reads"], &found["private"]),
        (&json!(true), &json!(true))
    );
    let id = found["id"].as_str().expect("a string").to_owned();
    let (name, value) = admin();
    let as_admin = [(name, &*value)];
    let path = format!("/api/people/{id}");
    send(house.web(), "DELETE", &path, &[], b"").assert_status(403);
    for nobody in [
        "/api/people/1",
        "/api/people/x",
        "/api/people/-1",
        "/api/people/99999999999999999999",
    ] {
        send(house.web(), "DELETE", nobody, &as_admin, b"").assert_status(404);
    }
    if let Some(bot) = list.iter().find(|person| person["service"] == "house") {
        let path = format!("/api/people/{}", bot["id"].as_str().unwrap());
        send(house.web(), "DELETE", &path, &as_admin, b"").assert_status(403);
    }
    send(house.web(), "DELETE", &path, &as_admin, b"").assert_status(204);
    while anna.next().identifier() != "closed" {}
    wait_for("anna to be gone", || {
        let people = people(&house);
        people.iter().all(|p| p["name"] != "anna").then_some(())
    });
    house.stop();
}

#[test]
fn what_was_said_can_be_looked_for() {
    let house = House::open_empty(&[]);
    let chatter = Chatter::enter(&house);
    for n in 0..5 {
        chatter.say(format!("Nummer {n} über alles\n"));
    }
    let said = wait_for("all words", || {
        let said = json_of(&house, "/api/messages");
        let said = said.as_array().unwrap();
        (said.len() == 5).then(|| said.clone())
    });
    for (n, said) in said.iter().enumerate() {
        assert_eq!(said["text"], format!("Nummer {n} über alles"));
        assert_eq!(said["from"]["service"], "lan_chat");
        assert!(said["from"]["id"].is_string() && said["at"].is_i64());
    }
    let ids = |path: &str| -> Vec<Value> {
        let said = json_of(&house, path);
        let said = said.as_array().unwrap().iter();
        said.map(|said| said["id"].clone()).collect()
    };
    let all: Vec<Value> = said.iter().map(|said| said["id"].clone()).collect();
    assert_eq!(ids("/api/messages?limit=2"), all[3..]);
    let before = all[3].as_str().unwrap();
    assert_eq!(
        ids(&format!("/api/messages?before={before}&limit=2")),
        all[1..3]
    );
    assert_eq!(ids("/api/messages?query=NUMMER%203%20%C3%BCber"), all[3..4]);
    assert_eq!(ids("/api/messages?query="), all);
    assert_eq!(
        ids("/api/messages?query=nothing&limit=1000000"),
        [] as [Value; 0]
    );
    for wrong in [
        "before=x",
        "limit=-1",
        "limit=x",
        &format!("query={}", "x".repeat(2000)),
    ] {
        get(house.web(), &format!("/api/messages?{wrong}")).assert_status(400);
    }
    house.stop();
}

#[test]
fn an_admin_chooses_what_lan_file_gives() {
    let house = house_with(&[]);
    get(house.web(), "/api/offer").assert_status(404);
    let add = |name: &str, content: &[u8]| {
        let source = house.folder().join("source");
        std::fs::write(&source, content).unwrap();
        does(&house, &["files", "add", "--name", name, text(&source)]);
    };
    add("first.txt", b"first");
    add("second.txt", b"second");
    let latest = json!({ "file": "latest", "name": "second.txt", "bytes": 6 });
    assert_eq!(json_of(&house, "/api/offer"), latest);
    let files = json_of(&house, "/api/files");
    let number = files[1]["number"].as_str().unwrap();
    let first = json!({ "file": number, "name": "first.txt", "bytes": 5 });
    let told = put(&house, "/api/offer", &json!({ "file": number }));
    assert_eq!(told.assert_status(200).json(), first);
    assert_eq!(json_of(&house, "/api/offer"), first);
    assert_eq!(fetch(&house), b"first");
    for (file, status) in [
        ("/etc/passwd", 400),
        ("first.txt", 400),
        ("", 400),
        ("1", 404),
    ] {
        put(&house, "/api/offer", &json!({ "file": file })).assert_status(status);
    }
    assert_eq!(fetch(&house), b"first");
    let anybody = [("Content-Type", "application/json")];
    send(
        house.web(),
        "PUT",
        "/api/offer",
        &anybody,
        b"{\"file\":\"latest\"}",
    )
    .assert_status(403);
    let told = put(&house, "/api/offer", &json!({ "file": "latest" }));
    assert_eq!(told.assert_status(200).json(), latest);
    assert_eq!(fetch(&house), b"second");
    // Where the operator's files are is nobody's business.
    let path = house.folder().join("source");
    does(&house, &["offer", text(&path)]);
    assert_eq!(json_of(&house, "/api/offer")["name"], "source");
    house.stop();
}

#[test]
fn a_house_without_lan_file_offers_nothing() {
    let house = house_with(&[("LAN_FILE__ENABLED", "false")]);
    let answer = get(house.web(), "/api/offer").assert_status(404);
    assert_eq!(answer.json()["rule"], "lan_file.enabled");
    house.stop();
}

#[test]
fn an_admin_records_what_is_live() {
    let house = house_with(&[LONG_LINGER, ("LIVE__MAX_RECORDINGS", "1")]);
    let path = |user: u32| format!("/api/live/tumip-{user}/recording");
    let on = json!({ "on": true });
    put(&house, &path(32), &on).assert_status(404);
    let cameras = [32, 33].map(|user| Camera::open(&house, user));
    for (camera, user) in cameras.iter().zip([32, 33]) {
        camera.show(&plain(0, 64, 48));
        wait_frames(&house, &format!("tumip-{user}"), 1);
    }
    let anybody = [("Content-Type", "application/json")];
    send(house.web(), "PUT", &path(32), &anybody, b"{\"on\":true}").assert_status(403);
    for _ in 0..2 {
        let told = put(&house, &path(32), &on).assert_status(200).json();
        assert_eq!(told, json!({ "recorded": true }));
    }
    let live = json_of(&house, "/api/live");
    assert_eq!(
        (&live[0]["recorded"], &live[1]["recorded"]),
        (&json!(true), &json!(false))
    );
    let full = put(&house, &path(33), &on).assert_status(503);
    assert_eq!(full.json()["rule"], "live.max_recordings");
    // Long enough to be kept.
    let begun = std::time::Instant::now();
    for n in 1.. {
        cameras[0].show(&plain(n, 64, 48));
        wait_frames(&house, "tumip-32", u64::from(n) + 1);
        if begun.elapsed() > std::time::Duration::from_secs(3) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(40));
    }
    let told = put(&house, &path(32), &json!({ "on": false }))
        .assert_status(200)
        .json();
    assert_eq!(told, json!({ "recorded": false }));
    wait_for("the recording", || {
        let files = files(house.videos());
        files
            .iter()
            .any(|path| is_recording(path, "tumip-32", 48))
            .then_some(())
    });
    // There is a place again.
    wait_for("the place", || {
        (put(&house, &path(33), &on).status == 200).then_some(())
    });
    house.stop();
}

#[test]
fn a_recording_needs_room() {
    let house = house_with(&[LONG_LINGER, ("LIVE__RECORD_QUOTA_MB", "0")]);
    let camera = Camera::open(&house, 32);
    camera.show(&plain(0, 64, 48));
    wait_frames(&house, "tumip-32", 1);
    let path = "/api/live/tumip-32/recording";
    let full = put(&house, path, &json!({ "on": true })).assert_status(507);
    assert_eq!(full.json()["rule"], "live.record_quota_mb");
    let off = put(&house, path, &json!({ "on": false })).assert_status(200);
    assert_eq!(off.json(), json!({ "recorded": false }));
    house.stop();
}

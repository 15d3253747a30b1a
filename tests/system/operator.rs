//! What the operator sees and does: the commands, what they say about a wrong configuration, the ready
//! file, the log, and the ways to close the house.

use std::fs;
use std::net::TcpListener;
use std::process::Output;
use std::time::{Duration, Instant};

use crate::overload_support::{
    Chatroom, House, KEY_PROMPT, Message, NAME_PROMPT, Raw, Videochat, greeted, run, text,
};
use crate::support::sample_videos;
use serde_json::{Value, json};

const FAST: (&str, &str) = ("PLAYHOUSE__STREAMING__PACE", "fast");

/// `playhouse` with these arguments on the sample videos and a data folder of its own.
fn run_in_order(command: &str, args: &[&str], env: &[(&str, &str)]) -> Output {
    let data = tempfile::tempdir().unwrap();
    let videos = sample_videos();
    let folders = [
        command,
        "--videos",
        videos.to_str().unwrap(),
        "--data",
        data.path().to_str().unwrap(),
    ];
    run(&[&folders[..], args].concat(), env)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it says on standard error when it fails.
fn failure(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(stdout(output), "", "nothing else is printed");
    text
}

#[test]
fn check_says_that_all_is_well_or_key_file_and_rule() {
    let output = run_in_order("check", &[], &[]);
    assert!(output.status.success());
    assert_eq!(stdout(&output), "The configuration is fine.\n");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.toml");
    let path = file.to_str().unwrap();
    fs::write(&file, "[streaming]\njpeg_quality = 90\n").unwrap();
    assert!(
        run_in_order("check", &["--config", path], &[])
            .status
            .success()
    );

    for (toml, key, rule) in [
        (
            "[streaming]\njpeg_quality = 0\n",
            "streaming.jpeg_quality",
            "1 to 100",
        ),
        ("[streaming]\npace = \"slow\"\n", "streaming.pace", "slow"),
        ("[videochat]\nport = 70000\n", "videochat.port", "70000"),
        (
            "[videochat]\nport = 5\n[chatroom]\nport = 5\n",
            "chatroom.port",
            "share a port",
        ),
        (
            "[videochta]\nport = 5\n",
            "videochta.port",
            "there is no such key",
        ),
        (
            "[server]\nallow = [\"10.0.0.0/33\"]\n",
            "server.allow",
            "invalid IP address",
        ),
        (
            "[server]\nallow = []\n",
            "server.allow",
            "nobody can connect",
        ),
        (
            "[server]\nbind = \"everywhere\"\n",
            "server.bind",
            "invalid IP address",
        ),
        ("[limits]\nhandshake_s = -1\n", "limits.handshake_s", "-1"),
        (
            "[videochat]\nenabled = \"perhaps\"\n",
            "videochat.enabled",
            "perhaps",
        ),
        (
            "[log]\nlevel = \"=loud=\"\n",
            "log.level",
            "invalid filter directive",
        ),
    ] {
        fs::write(&file, toml).unwrap();
        let said = failure(&run_in_order("check", &["--config", path], &[]));
        for part in [key, path, rule] {
            assert!(said.contains(part), "{toml}: {said} says nothing of {part}");
        }
        // And the house doesn't open with it.
        let said = failure(&run_in_order("serve", &["--config", path], &[]));
        assert!(said.contains(key), "{toml}: {said}");
    }

    fs::write(&file, "[server\nbind = 1\n").unwrap();
    let said = failure(&run_in_order("check", &["--config", path], &[]));
    assert!(said.contains(path) && said.contains("line 1"), "{said}");
}

#[test]
fn every_fault_is_named_at_once_with_where_it_was_set() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.toml");
    fs::write(&file, "[limits]\ngoodbye_s = 0\n").unwrap();
    let output = run_in_order(
        "check",
        &["--config", file.to_str().unwrap()],
        &[("PLAYHOUSE__LIMITS__STALL_S", "0")],
    );
    let said = failure(&output);
    assert!(
        said.contains("limits.goodbye_s") && said.contains("my.toml"),
        "{said}"
    );
    assert!(
        said.contains("limits.stall_s") && said.contains("the environment"),
        "{said}"
    );
}

#[test]
fn keys_that_do_not_exist_are_errors_in_the_environment_too() {
    let said = failure(&run_in_order(
        "check",
        &[],
        &[("PLAYHOUSE__VIDEOCHAT__PROT", "1")],
    ));
    assert!(
        said.contains("videochat.prot (set in the environment)"),
        "{said}"
    );
    assert!(said.contains("there is no such key"), "{said}");
}

#[test]
fn a_configuration_file_that_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.toml");
    let missing = missing.to_str().unwrap();
    for command in ["check", "serve", "videos"] {
        let said = failure(&run_in_order(command, &["--config", missing], &[]));
        assert!(said.contains(missing), "{command}: {said}");
    }
}

#[test]
fn folders_that_can_not_be_used_are_named_with_their_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("data");
    let missing = folder.path().join("missing");
    let (file, below) = (file.to_str().unwrap(), below.to_str().unwrap());
    let (missing, videos) = (missing.to_str().unwrap(), sample_videos());
    let (videos, data) = (videos.to_str().unwrap(), folder.path().to_str().unwrap());
    for (videos, data, key, path) in [
        (missing, data, "server.videos_dir", missing),
        (file, data, "server.videos_dir", file),
        (videos, below, "server.data_dir", below),
        (videos, file, "server.data_dir", file),
    ] {
        for command in ["check", "serve"] {
            let said = failure(&run(&[command, "--videos", videos, "--data", data], &[]));
            assert!(
                said.contains(key) && said.contains(path),
                "{command}: {said}"
            );
        }
    }
    let said = failure(&run(&["videos", "--videos", missing], &[]));
    assert!(
        said.contains("server.videos_dir") && said.contains(missing),
        "{said}"
    );
}

#[test]
fn a_port_in_use_is_named_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let port = address.port().to_string();
    for (service, other) in [("videochat", "chatroom"), ("chatroom", "videochat")] {
        let keys =
            [service, other].map(|service| format!("PLAYHOUSE__{}__PORT", service.to_uppercase()));
        let env = [(keys[0].as_str(), port.as_str()), (keys[1].as_str(), "0")];
        let output = run_in_order("serve", &["--bind", "127.0.0.1"], &env);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        let last = said.lines().last().unwrap();
        assert!(last.contains(&format!("{service}.port")), "{said}");
        assert!(last.contains(&address.to_string()), "{said}");
        assert!(last.contains("in use"), "{said}");
    }
}

#[test]
fn a_ready_file_that_can_not_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("missing").join("ready");
    let ready = ready.to_str().unwrap();
    let env = [
        ("PLAYHOUSE__VIDEOCHAT__PORT", "0"),
        ("PLAYHOUSE__CHATROOM__PORT", "0"),
    ];
    let output = run_in_order(
        "serve",
        &["--bind", "127.0.0.1", "--ready-file", ready],
        &env,
    );
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("--ready-file") && said.contains(ready),
        "{said}"
    );
}

#[test]
fn videos_are_listed_for_people_and_for_programs() {
    let output = run_in_order("videos", &["--json"], &[]);
    assert!(output.status.success());
    let catalogue: Value = serde_json::from_slice(&output.stdout).unwrap();
    let videos = catalogue["videos"].as_array().unwrap();
    let names: Vec<&str> = videos.iter().map(|video| text(&video["name"])).collect();
    assert_eq!(names, ["cells", "mandelbrot", "test_card"]);
    assert_eq!(catalogue["rejected"], json!([]));

    let cells = &videos[0];
    assert_eq!(cells["frames"], 145, "those of the lowest quality");
    let facts: Vec<Value> = cells["qualities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|q| {
            json!([
                q["file"],
                q["quality"],
                q["height"],
                q["frames"],
                q["frame_rate"]
            ])
        })
        .collect();
    assert_eq!(
        facts,
        [
            json!(["cells_240p.mp4", "240p", 240, 145, 24.0]),
            json!(["cells_720p.mp4", "720p", 720, 132, 22.0]),
            json!(["cells_1440p.mp4", "1440p", 1440, 205, 34.0]),
        ]
    );
    for quality in videos
        .iter()
        .flat_map(|v| v["qualities"].as_array().unwrap())
    {
        let file = sample_videos().join(text(&quality["file"]));
        assert_eq!(quality["bytes"], fs::metadata(file).unwrap().len());
        assert_eq!(quality["warnings"], json!([]), "{quality}");
        assert!(quality["width"].as_u64().unwrap() > 0);
        let seconds = quality["frames"].as_f64().unwrap() / quality["frame_rate"].as_f64().unwrap();
        assert!(
            (quality["duration_s"].as_f64().unwrap() - seconds).abs() < 0.1,
            "{quality}"
        );
    }
    let sound = |video: &Value| video["qualities"][0]["sound"] == true;
    assert_eq!(videos.iter().filter(|video| sound(video)).count(), 1);

    let output = run_in_order("videos", &[], &[]);
    assert!(output.status.success());
    let table = stdout(&output);
    for part in [
        "cells",
        "mandelbrot",
        "test_card",
        "1440p",
        "120p",
        "145",
        "24.00/s",
        "3 videos",
    ] {
        assert!(table.contains(part), "{part} is missing in\n{table}");
    }
}

#[test]
fn the_ready_file_names_every_service_and_each_answers() {
    let house = House::open(&[]);
    let names: Vec<&str> = house.services.keys().map(String::as_str).collect();
    let all = [
        "chatroom",
        "lan_audio",
        "lan_chat",
        "lan_file",
        "lan_video",
        "packetchat",
        "tumip",
        "videochat",
        "web",
    ];
    assert_eq!(names, all);
    assert!(house.services.values().all(|address| address.port() != 0));
    Raw::connect(house.videochat()).expect(NAME_PROMPT);
    greeted(&mut Raw::connect(house.chatroom()));
    house.stop();
}

#[test]
fn what_is_ready_can_be_closed_at_once() {
    // The moment that the ready file is there; again and again, since it is a matter of microseconds.
    for _ in 0..5 {
        let mut house = House::start(&sample_videos(), &[]);
        house.signal(libc::SIGTERM);
        let status = house.wait();
        assert_eq!(status.code(), Some(0), "{status}");
    }
}

#[test]
fn a_service_that_is_off_has_no_port() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::start(folder.path(), &[("PLAYHOUSE__CHATROOM__ENABLED", "false")]);
    let names: Vec<&str> = house.services.keys().map(String::as_str).collect();
    let others = [
        "lan_audio",
        "lan_chat",
        "lan_file",
        "lan_video",
        "packetchat",
        "tumip",
        "videochat",
        "web",
    ];
    assert_eq!(names, others);
}

#[test]
fn the_log_names_service_peer_and_user() {
    let house = House::open(&[]);
    let videochat = Videochat::join(&house, "anna");
    let chatroom = Chatroom::join(&house, "bert");
    for (service, user, peer) in [
        ("videochat", "anna", videochat.address()),
        ("chatroom", "bert", chatroom.address()),
    ] {
        let line = house.wait_log(user, |line| {
            line["message"] == "joined" && line["span"]["user"] == user
        });
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["span"]["service"], service);
        assert_eq!(line["span"]["peer"], peer.to_string());
        assert!(line["timestamp"].is_string());
    }
    let anna = videochat.address();
    drop(videochat);
    assert!(house.wait_left(anna).starts_with("left: dropped"));
    house.stop();
}

#[test]
fn a_house_that_closes_lets_everyone_go_with_a_word() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let mut house = House::open(&[]);
        let mut idle = Videochat::join(&house, "idle");
        let mut idle_in_chatroom = Chatroom::join(&house, "idle in chatroom");
        // The pace is that of a clock: both streams would last for seconds.
        let mut viewer = Videochat::join(&house, "viewer");
        viewer.choose("test_card_120p.mp4");
        viewer.json_until(|json| json["identifier"] == "Video Frame");
        let mut viewer_in_chatroom = Chatroom::join(&house, "viewer in chatroom");
        viewer_in_chatroom.videos();
        assert_eq!(viewer_in_chatroom.choose("test_card"), 200);
        viewer_in_chatroom.frame();
        let mut nameless = Raw::connect(house.videochat());
        nameless.expect(NAME_PROMPT);
        let mut keyless = Raw::connect(house.videochat());
        keyless.expect(NAME_PROMPT);
        keyless.send(b"keyless");
        keyless.expect(KEY_PROMPT);
        let mut nameless_in_chatroom = Raw::connect(house.chatroom());
        greeted(&mut nameless_in_chatroom);

        let start = Instant::now();
        house.signal(signal);
        for client in [&mut idle, &mut viewer] {
            client.json_until(|json| json["identifier"] == "Disconnection");
            assert_eq!(client.next(), None, "{}", client.name);
        }
        while idle_in_chatroom.next().is_some() {}
        assert!(viewer_in_chatroom.raw.rest().len() < 100 << 20);
        for raw in [nameless, keyless, nameless_in_chatroom] {
            assert_eq!(raw.rest(), b"", "nothing more is said");
        }
        drop((idle, viewer, idle_in_chatroom));
        let status = house.wait();
        assert_eq!(status.code(), Some(0), "{status}: {:?}", house.log());
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{:?}",
            start.elapsed()
        );
        house.wait_log("the last word", |line| {
            line["message"] == "everyone has left"
        });
    }
}

#[test]
fn nobody_can_keep_a_closing_house_open() {
    let mut house = House::open(&[FAST, ("PLAYHOUSE__LIMITS__GOODBYE_S", "1")]);
    let stubborn = Videochat::join(&house, "stubborn");
    let mut stalled = Videochat::join_with(Raw::connect_narrow(house.videochat()), "stalled");
    stalled.choose("mandelbrot_720p.mp4");
    assert!(matches!(stalled.next(), Some(Message::Json(_))));
    let start = Instant::now();
    house.signal(libc::SIGTERM);
    house.signal(libc::SIGINT);
    let status = house.wait();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    drop((stubborn, stalled));
}

#[test]
fn a_house_opens_again_on_the_same_port_at_once() {
    let first = House::open(&[]);
    let port = first.videochat().port().to_string();
    let mut guest = Videochat::join(&first, "guest");
    // The server closes first, so that its side of the connection lingers in the system.
    first.stop();
    guest.json_until(|json| json["identifier"] == "Disconnection");
    let second = House::open(&[("PLAYHOUSE__VIDEOCHAT__PORT", &port)]);
    assert_eq!(second.videochat().port().to_string(), port);
    assert!(Videochat::join(&second, "guest").is_served());
    second.stop();
}

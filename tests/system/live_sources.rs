//! Live sources of the configuration: files, devices, streams on the network, and what is none.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, Output, Stdio};

use crate::live_support::movie::make_clip;
use crate::live_support::ports::{free_ports, is_listening};
use crate::live_support::{next_frame, tune_in, wait_channel, wait_off_air};
use crate::support::{
    Heard, House, OldChatroom, OldVideochat, Setup, dimensions, key, playhouse, sample_videos,
    wait_for,
};
use serde_json::Value;

/// Configuration of a source.
fn source(name: &str, url: &str) -> String {
    format!("[[live.source]]\nname = '{name}'\nurl = '{url}'\n")
}

fn open_with(config: &str) -> House {
    House::set_up_empty(Setup {
        config,
        ..Setup::default()
    })
}

fn wait_on_air(house: &House, name: &str) {
    wait_channel(house, name, |channel| {
        channel.is_some_and(|channel| channel.on_air)
    });
}

/// The line of the log about the breaking off of `name`.
fn wait_broken(house: &House, name: &str) -> Value {
    house.wait_log(name, |line| {
        line["message"] == "live source broke off" && line["source"] == name
    })
}

#[test]
fn a_file_is_played_again_and_again() {
    const CLIP: u32 = 25;
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("clip.mp4");
    make_clip(&clip, CLIP);
    let house = open_with(&source("front door", clip.to_str().unwrap()));
    wait_on_air(&house, "front door");
    let mut anna = OldVideochat::join(&house, "anna", key(2048, 0));
    let mut ben = OldChatroom::join(&house, "ben", key(1024, 0));
    assert_eq!(anna.videos(), ["front door"]);
    assert_eq!(ben.videos(), ["front door"]);
    ben.send(b"front door");
    assert_eq!(ben.next(), Heard::Stream(250));
    let mut frames = vec![tune_in(&mut anna, "front door")];
    frames.extend((0..3 * CLIP).map(|_| next_frame(&mut anna)));
    for frame in &frames {
        assert_eq!(dimensions(frame), (160, 120));
    }
    // The clip has no more pictures than that, and begins again.
    let pictures: BTreeSet<Vec<u8>> = frames.into_iter().collect();
    assert!(
        pictures.len() <= CLIP as usize,
        "{} pictures",
        pictures.len()
    );
    assert!(pictures.len() > 1, "a picture that stands still");
    assert!(matches!(ben.next(), Heard::Frame(_)));
    house.stop();
}

#[test]
fn paths_are_relative_to_the_working_directory() {
    let config = source("card", "videos/test_card_120p.mp4");
    let house = open_with(&config);
    wait_on_air(&house, "card");
    let mut anna = OldVideochat::join(&house, "anna", key(2048, 0));
    assert_eq!(dimensions(&tune_in(&mut anna, "card")), (160, 120));
    anna.choose("nothing");
    while let crate::support::Told::Frame(_) = anna.next() {}
    anna.hear("Error");
    house.stop();
}

#[test]
fn a_device_is_watched_beside_a_file() {
    let card = sample_videos().join("test_card_120p.mp4");
    let config = [
        source("made", "device:lavfi:testsrc=size=320x240:rate=25"),
        source("card", card.to_str().unwrap()),
    ];
    let house = open_with(&config.concat());
    let mut anna = OldVideochat::join(&house, "anna", key(2048, 0));
    for (name, size) in [("made", (320, 240)), ("card", (160, 120))] {
        wait_on_air(&house, name);
        let mut frames = BTreeSet::from([tune_in(&mut anna, name)]);
        while frames.len() < 30 {
            frames.insert(next_frame(&mut anna));
        }
        assert!(frames.iter().all(|frame| dimensions(frame) == size));
        anna.choose("nothing");
        while let crate::support::Told::Frame(_) = anna.next() {}
        anna.hear("Error");
    }
    assert_eq!(anna.videos(), ["card", "made"]);
    house.stop();
}

/// FFmpeg, which sends a video to whoever connects to its port; killed when dropped.
struct Sender(Child);

impl Sender {
    fn start(port: u16) -> Sender {
        let child = Command::new("ffmpeg")
            .args(["-v", "error", "-re", "-stream_loop", "-1", "-i"])
            .arg(sample_videos().join("mandelbrot_144p.mp4"))
            .args(["-map", "0:v", "-c", "copy", "-f", "mpegts"])
            .arg(format!("tcp://127.0.0.1:{port}?listen=1"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ffmpeg is installed");
        let sender = Sender(child);
        wait_for("the sender", || is_listening(port).then_some(()));
        sender
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_stream_that_breaks_off_comes_back_by_itself() {
    let port = free_ports(1);
    let sender = Sender::start(port);
    let url = format!("tcp://127.0.0.1:{port}");
    let house = open_with(&source("yard", &url));
    wait_on_air(&house, "yard");
    let mut anna = OldVideochat::join(&house, "anna", key(2048, 0));
    assert_eq!(dimensions(&tune_in(&mut anna, "yard")), (256, 144));
    for _ in 0..50 {
        next_frame(&mut anna);
    }
    drop(sender);
    while let crate::support::Told::Frame(_) = anna.next() {}
    assert!(anna.videos().is_empty(), "gone with its last frame");
    let line = wait_broken(&house, "yard");
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["again_in"], 1, "seconds: {line}");
    assert!(line["error"].as_str().unwrap().contains(&url), "{line}");

    let _sender = Sender::start(port);
    wait_on_air(&house, "yard");
    assert_eq!(anna.videos(), ["yard"]);
    tune_in(&mut anna, "yard");
    for _ in 0..10 {
        next_frame(&mut anna);
    }
    house.stop();
}

#[test]
fn sources_that_are_not_there_are_named_and_harm_nobody() {
    let nobody = free_ports(1);
    let no_video = tempfile::NamedTempFile::with_suffix(".mp4").unwrap();
    fs::write(no_video.path(), "no video").unwrap();
    let card = sample_videos().join("test_card_120p.mp4");
    let missing = [
        ("gone", "/nowhere/gone.mp4".to_owned(), "/nowhere/gone.mp4"),
        (
            "away",
            format!("tcp://127.0.0.1:{nobody}"),
            "tcp://127.0.0.1",
        ),
        (
            "secret",
            format!("rtsp://anna:sesame@127.0.0.1:{nobody}/1?key=sesame"),
            "rtsp://…@127.0.0.1",
        ),
        ("device", "device:nonsense:x".to_owned(), "nonsense"),
        (
            "no video",
            no_video.path().to_str().unwrap().to_owned(),
            ".mp4",
        ),
        ("folder", "/tmp".to_owned(), "/tmp"),
    ];
    let sources = missing.iter().map(|(name, url, _)| source(name, url));
    let config: String = sources
        .chain([source("card", card.to_str().unwrap())])
        .collect();
    let house = open_with(&config);
    for (name, _, part) in &missing {
        let line = wait_broken(&house, name);
        let error = line["error"].as_str().unwrap();
        assert!(error.contains(part), "{name}: {error}");
        assert!(line["again_in"].as_u64().unwrap() >= 1);
    }
    assert!(!house.log().contains("sesame"), "no passwords in the log");
    wait_on_air(&house, "card");
    let mut anna = OldVideochat::join(&house, "anna", key(2048, 0));
    assert_eq!(anna.videos(), ["card"]);
    tune_in(&mut anna, "card");
    next_frame(&mut anna);
    // Pauses grow.
    house.wait_log("the second attempt", |line| {
        line["source"] == "gone" && line["again_in"] == 2
    });
    house.stop();
}

#[test]
fn a_file_that_comes_later_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("later.mp4");
    let house = open_with(&source("later", clip.to_str().unwrap()));
    wait_broken(&house, "later");
    wait_off_air(&house, "later");
    let made = folder.path().join("made.mp4");
    make_clip(&made, 25);
    fs::rename(made, &clip).unwrap();
    wait_on_air(&house, "later");
    house.stop();
}

fn check(config: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let (file, videos) = (folder.path().join("my.toml"), folder.path().join("videos"));
    fs::create_dir(&videos).unwrap();
    fs::write(&file, config).unwrap();
    let mut command = playhouse();
    command.args(["check", "--config"]).arg(file);
    command.arg("--videos").arg(videos);
    command.arg("--data").arg(folder.path().join("data"));
    command.output().unwrap()
}

#[test]
fn the_configuration_of_sources_is_checked() {
    let fine = source("front door", "a.mp4") + &source("Höf 2", "rtsp://10.0.0.1/1");
    assert!(check(&fine).status.success());
    let twice = source("door", "a.mp4") + &source("door", "b.mp4");
    let long = "x".repeat(65);
    for (config, parts) in [
        (twice, ["\"door\"", "its own"]),
        (source("tumip-1", "a.mp4"), ["\"tumip-1\"", "own channels"]),
        (source("cam-1", "a.mp4"), ["\"cam-1\"", "own channels"]),
        (source("door", ""), ["\"door\"", "url: "]),
        (source("door", "gopher://x"), ["\"door\"", "gopher"]),
        (source("door", "device:lavfi"), ["\"door\"", "FORMAT:NAME"]),
        (source("[door]", "a.mp4"), ["\"[door]\"", "chatroom"]),
        (source("", "a.mp4"), ["name: ", "1 to 64"]),
        (source(&long, "a.mp4"), ["name: ", "1 to 64"]),
        (source(" door", "a.mp4"), ["name: ", "spaces"]),
        (source("a/b", "a.mp4"), ["\"a/b\"", "slashes"]),
        (source("a,b", "a.mp4"), ["\"a,b\"", "commas"]),
        (source(".door", "a.mp4"), ["\".door\"", "dot"]),
        (
            source("door", "a.mp4") + "fps = 25\n",
            ["fps", "unknown field"],
        ),
        (
            "[[live.source]]\nname = \"door\"\n".to_owned(),
            ["url", "missing"],
        ),
        (
            "[[live.source]]\nurl = \"a.mp4\"\n".to_owned(),
            ["name", "missing"],
        ),
        (
            "[live]\nsource = \"door\"\n".to_owned(),
            ["live.source", "door"],
        ),
        ("[live]\nsource = [5]\n".to_owned(), ["live.source", "5"]),
    ] {
        let output = check(&config);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{config}: {said}");
        for part in ["live.source", "my.toml"].iter().chain(&parts) {
            assert!(
                said.contains(part),
                "{config}: {said} says nothing of {part}"
            );
        }
    }
    // There are two, and both are named.
    let said = check(&(source("tumip-1", "a.mp4") + &source("cam-2", "b.mp4"))).stderr;
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("tumip-1") && said.contains("cam-2"), "{said}");
}

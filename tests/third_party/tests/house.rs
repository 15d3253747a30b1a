//! The house runs, and is talked to over sockets.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
const WELCOME: &str = "Welcome to this chatroom!";

fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_somebody-elses-house"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PLAYHOUSE__") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .arg("--videos")
        .arg(folder)
        .arg("--data")
        .arg(folder.join("data"))
        .current_dir(folder)
        .stdin(Stdio::null());
    for service in [
        "web",
        "videochat",
        "packetchat",
        "tumip",
        "lan_file",
        "lan_audio",
        "lan_video",
    ] {
        command.env(
            format!("PLAYHOUSE__{}__ENABLED", service.to_uppercase()),
            "false",
        );
    }
    for service in ["lan_chat", "watch"] {
        command.env(format!("PLAYHOUSE__{}__PORT", service.to_uppercase()), "0");
    }
    command
}

/// A folder that goes away.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        // What a test that was killed left.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Killed when dropped.
struct House(Child);

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Peer(BufReader<TcpStream>);

impl Peer {
    fn at(address: &str) -> Peer {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Peer(BufReader::new(stream))
    }

    fn hear(&mut self, line: &str) {
        let mut heard = String::new();
        self.0.read_line(&mut heard).unwrap();
        assert_eq!(heard, line);
    }

    fn say(&self, line: &str) {
        self.0.get_ref().write_all(line.as_bytes()).unwrap();
    }
}

/// The addresses in the ready file: JSON, a line each.
fn addresses(folder: &Path, house: &mut House) -> BTreeMap<String, String> {
    let deadline = Instant::now() + PATIENCE;
    let text = loop {
        if let Ok(text) = std::fs::read_to_string(folder.join("ready")) {
            break text;
        }
        assert!(house.0.try_wait().unwrap().is_none(), "the house ended");
        assert!(Instant::now() < deadline, "the house does not open");
        std::thread::sleep(Duration::from_millis(10));
    };
    let quoted = text.lines().map(|line| line.split('"').collect::<Vec<_>>());
    let pairs = quoted.filter(|words| words.len() > 3);
    pairs
        .map(|words| (words[1].to_owned(), words[3].to_owned()))
        .collect()
}

#[test]
fn its_service_and_its_bot_are_in_the_room() {
    let folder = Folder::new("room");
    let ready = folder.0.join("ready");
    let serve = ["serve", "--ready-file", ready.to_str().unwrap()];
    let mut child = program(&folder.0, &serve);
    let mut house = House(child.stdout(Stdio::null()).spawn().unwrap());
    let at = addresses(&folder.0, &mut house);
    assert_eq!(at.keys().collect::<Vec<_>>(), ["lan_chat", "watch"]);

    let mut anna = Peer::at(&at["lan_chat"]);
    let mut welcome = [0; WELCOME.len()];
    anna.0.read_exact(&mut welcome).unwrap();
    let mut watcher = Peer::at(&at["watch"]);
    anna.hear("<watcher> watcher looks on\n");
    anna.say("one\n");
    watcher.hear("1 from 127.0.0.1\n");
    anna.say("@bot how many?\n");
    watcher.hear("1 from 127.0.0.1\n");
    // Anna and the watcher; the bot does not count itself.
    anna.hear("<bot> 2 are here\n");
    watcher.hear("1 from bot\n");
}

#[test]
fn its_configuration_is_held_to_the_rules() {
    let folder = Folder::new("rules");
    let check = |variables: &[(&str, &str)]| -> Output {
        let mut command = program(&folder.0, &["check"]);
        command.envs(variables.iter().copied()).output().unwrap()
    };
    let fine = check(&[]);
    assert!(fine.status.success(), "{fine:?}");
    let wrong = check(&[
        ("PLAYHOUSE__WATCH__PORT", "many"),
        ("PLAYHOUSE__BOT__KIND", "portier"),
    ]);
    assert!(!wrong.status.success());
    let text = String::from_utf8(wrong.stderr).unwrap();
    assert!(
        text.contains("watch.port (set in the environment): \"many\""),
        "{text}"
    );
    let wrong = check(&[("PLAYHOUSE__BOT__KIND", "portier")]);
    let text = String::from_utf8(wrong.stderr).unwrap();
    assert!(text.contains("house, echo, openai or porter"), "{text}");
}

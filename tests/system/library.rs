//! Houses in this process, opened by the library, with what the examples add to them.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use playhouse::{Builder, Error, Playhouse};

#[allow(dead_code, reason = "its main is not called here")]
#[path = "../../examples/counter_bot.rs"]
mod counter_bot;
#[allow(dead_code, reason = "its main is not called here")]
#[path = "../../examples/shout.rs"]
mod shout;

use crate::packetchat_support::{Client, HOME};
use crate::support::{OldVideochat, assert_closed, assert_silent, connect, key, wait_for};

const WELCOME: &str = "Welcome to this chatroom!";

/// A house on ports of its own, with the folders in `folder`.
fn house(folder: &Path) -> Builder {
    let videos = folder.join("videos");
    std::fs::create_dir_all(&videos).unwrap();
    let services = [
        "web",
        "chatroom",
        "tumip",
        "lan_file",
        "lan_audio",
        "lan_video",
    ];
    let house = Playhouse::builder()
        .set("server.videos_dir", videos)
        .set("server.data_dir", folder.join("data"))
        .set("server.bind", "127.0.0.1")
        .set("server.threads", 2)
        .set("videochat.port", 0)
        .set("packetchat.port", 0)
        .set("lan_chat.port", 0)
        .set("shout.port", 0)
        .service(shout::shout());
    let off = |house: Builder, name: &&str| house.set(&format!("{name}.enabled"), false);
    services.iter().fold(house, off)
}

/// Somebody with a client that writes and reads lines.
struct Liner(BufReader<TcpStream>);

impl Liner {
    fn enter(house: &Playhouse, service: &str) -> Liner {
        Liner(BufReader::new(connect(address(house, service))))
    }

    /// Somebody in lan_chat, who has read the welcome.
    fn chatter(house: &Playhouse) -> Liner {
        let mut chatter = Liner::enter(house, "lan_chat");
        let mut welcome = [0; WELCOME.len()];
        std::io::Read::read_exact(&mut chatter.0, &mut welcome).unwrap();
        assert_eq!(welcome, WELCOME.as_bytes());
        chatter
    }

    fn say(&self, lines: &str) {
        self.0.get_ref().write_all(lines.as_bytes()).unwrap();
    }

    fn hear(&mut self, line: &str) {
        let mut heard = String::new();
        self.0.read_line(&mut heard).unwrap();
        assert_eq!(heard, line);
    }

    fn assert_silent(&self) {
        assert_eq!(self.0.buffer(), b"");
        assert_silent(self.0.get_ref());
    }

    fn assert_closed(&self) {
        assert_eq!(self.0.buffer(), b"");
        assert_closed(self.0.get_ref());
    }
}

fn address(house: &Playhouse, service: &str) -> SocketAddr {
    house.address(service).expect(service)
}

#[test]
fn people_of_a_new_service_are_in_the_room_with_plain_ones() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path()).open().unwrap();
    let mut anna = Liner::chatter(&house);
    let mut bob = Liner::enter(&house, "shout");
    bob.say("bob\nhello\nthére ");
    anna.hear("<bob> hello\n");
    bob.say("you\n");
    anna.hear("<bob> thére you\n");
    anna.say("hi, bób\n");
    bob.hear("127.0.0.1: HI, BÓB\n");

    // They hear each other as they hear anybody, and nobody hears what was said before, or twice.
    let mut zoe = Liner::enter(&house, "shout");
    zoe.say("zoe\n\n\r\nme too\r\n");
    bob.hear("ZOE: ME TOO\n");
    anna.hear("<zoe> me too\n");
    bob.say("fine\n");
    zoe.hear("BOB: FINE\n");
    anna.hear("<bob> fine\n");

    let mut carla = Client::join_from(HOME, address(&house, "packetchat"), "carla");
    let people = carla.users();
    let named = |client: &mut Client, name: &str| {
        let mut people = people.iter();
        *people.find(|user| client.name_of(**user) == name).unwrap()
    };
    let (number, zoes) = (named(&mut carla, "bob"), named(&mut carla, "zoe"));
    bob.say("news\n");
    let heard = carla.hear();
    assert_eq!((heard.sender, &heard.text[..]), (number, &b"news"[..]));
    carla.received(&heard);
    zoe.hear("BOB: NEWS\n");
    let to_zoe = carla.message(zoes, 1, b"psst");
    carla.ask(&to_zoe);
    zoe.hear("CARLA: PSST\n");
    let to_all = carla.broadcast(2, b"all");
    carla.ask(&to_all);
    bob.hear("CARLA: ALL\n");
    zoe.hear("CARLA: ALL\n");
    for silent in [&bob, &zoe] {
        silent.assert_silent();
    }

    // Who leaves is gone everywhere, and the name is free.
    drop(zoe);
    let is_gone = || (!carla.users().contains(&zoes)).then_some(());
    wait_for("zoe to leave", is_gone);
    let zoe = Liner::enter(&house, "shout");
    zoe.say("zoe\nme again\n");
    bob.hear("ZOE: ME AGAIN\n");
    house.close().unwrap();
    bob.assert_closed();
}

#[test]
fn people_of_a_new_service_are_in_the_room_with_those_who_have_keys() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path()).open().unwrap();
    let mut anna = Liner::chatter(&house);
    let mut bob = Liner::enter(&house, "shout");
    bob.say("bob\nI am here\n");
    anna.hear("<bob> I am here\n");
    let mut dora = OldVideochat::knock_at(address(&house, "videochat"), "dora", key(2048, 0));
    dora.hear_presence("broadcast_message", "dora");
    assert!(dora.people.contains_key("bob@shout"), "{:?}", dora.people);
    bob.say("hello, dora\n");
    let (from, text) = dora.hear_chat();
    assert_eq!(
        (&*from, text.as_deref()),
        ("bob@shout", Some("hello, dora"))
    );
    dora.say("bob@shout", "hello, bob");
    // What comes back to whoever speaks there.
    assert_eq!(dora.hear_chat(), ("dora".to_owned(), None));
    bob.hear("DORA: HELLO, BOB\n");
    let eve = Liner::enter(&house, "shout");
    // A name that says that it is somebody else's.
    eve.say("dora@videochat\nboo\n");
    bob.hear("DORA-2: BOO\n");
    dora.hear_presence("broadcast_message", "dora-2@shout");
}

#[test]
fn a_line_without_an_end_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path()).open().unwrap();
    let bob = Liner::enter(&house, "shout");
    bob.say("bob\n");
    bob.say(&"a".repeat(1001));
    bob.assert_closed();
    let nobody = Liner::enter(&house, "shout");
    nobody.say("\n");
    nobody.assert_closed();
    let mut anna = Liner::chatter(&house);
    let bob = Liner::enter(&house, "shout");
    bob.say(&format!("bob\n{}\n", "a".repeat(1000)));
    anna.hear(&format!("<bob> {}\n", "a".repeat(1000)));
}

#[test]
fn a_bot_of_ones_own_is_in_the_room() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path())
        .bot("counter", |_| Box::new(counter_bot::Counter(0)))
        .open()
        .unwrap();
    let mut anna = Liner::chatter(&house);
    let mut bob = Liner::enter(&house, "shout");
    bob.say("bob\nhello\n");
    anna.hear("<bob> hello\n");
    anna.say("bot: hello\n");
    anna.hear("<bot> 1: hello\n");
    bob.hear("127.0.0.1: BOT: HELLO\n");
    bob.hear("BOT: 1: HELLO\n");
    anna.say("@bot hello again\n");
    anna.hear("<bot> 2: hello again\n");
    bob.hear("127.0.0.1: @BOT HELLO AGAIN\n");
    bob.hear("BOT: 2: HELLO AGAIN\n");
    // A conversation of its own.
    bob.say("bot, and I?\n");
    bob.hear("BOT: 1: AND I?\n");
}

#[test]
fn houses_stand_beside_each_other_but_not_on_the_same_data() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = house(one.path()).open().unwrap();
    let second = house(other.path()).open().unwrap();
    let (mut anna, mut zoe) = (Liner::chatter(&first), Liner::chatter(&second));
    let (bob, eve) = (
        Liner::enter(&first, "shout"),
        Liner::enter(&second, "shout"),
    );
    bob.say("bob\none\n");
    eve.say("eve\nother\n");
    anna.hear("<bob> one\n");
    zoe.hear("<eve> other\n");
    let names: Vec<_> = first.services().map(|(name, _)| name).collect();
    assert_eq!(names, ["videochat", "packetchat", "lan_chat", "shout"]);
    assert_eq!(first.address("chatroom"), None);

    let refused = house(one.path()).open().unwrap_err();
    assert!(
        refused.to_string().starts_with("server.data_dir: "),
        "{refused}"
    );
    first.close().unwrap();
    anna.assert_closed();
    zoe.say("still here\n");
    zoe.assert_silent();
    // Its data is free again, and so is its name.
    let third = house(one.path()).open().unwrap();
    Liner::chatter(&third);
}

#[test]
fn what_is_wrong_is_said_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = house(folder.path())
        .set("server.videos", "here")
        .set("limits.stall_s", "long");
    let Err(Error::Config(faults)) = wrong.open() else {
        panic!("it opened");
    };
    let [first, second] = &faults[..] else {
        panic!("{faults:?}");
    };
    assert_eq!(
        first,
        "server.videos (set in the program): there is no such key"
    );
    assert!(
        second.starts_with("limits.stall_s (set in the program): \"long\": "),
        "{second}"
    );

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let refused = house(folder.path()).set("shout.port", port).open();
    let Err(Error::Open(error)) = refused else {
        panic!("it opened");
    };
    let expected = format!("shout.port: 127.0.0.1:{port} can't be bound: ");
    assert!(error.to_string().starts_with(&expected), "{error}");
    let nowhere = house(folder.path()).set("server.videos_dir", folder.path().join("no"));
    let error = nowhere.open().unwrap_err().to_string();
    assert!(error.starts_with("server.videos_dir: "), "{error}");
}

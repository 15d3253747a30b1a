//! One room across all services: what is said in one is read in every other, with the recipient's own key
//! where it has one.

use std::net::Ipv4Addr;

use crate::bridge_support::{Guest, Kind};
use crate::lan_support::chatters::Chatter;
use crate::live_support::{ECHO, Tumip};
use crate::packetchat_support::Client;
use crate::page_support::Page;
use crate::support::{House, OldChatroom, OldVideochat, Told, assert_silent, key, wait_for};
use playhouse_protocols::packetchat::Request;

/// What an old chatroom client reads of a list.
const OLD_LIST: usize = 1024;

/// Longer than any block, and not all ASCII.
fn long_text() -> String {
    (0..40).map(|n| format!("{n} né 漢字 🎭 · ")).collect()
}

/// `from` says something short and something long to `to`, who reads just that.
fn said_here_read_there(from: Kind, to: Kind) {
    let house = House::open_empty(&[ECHO]);
    let mut speaker = Guest::enter(&house, from, "anna", 0);
    let mut reader = Guest::enter(&house, to, "bert", 1);
    let (speaker_there, reader_here) = (speaker.name_in(to), reader.name_in(from));
    for text in ["hi", "né 漢字 🎭", &long_text()] {
        speaker.say(&reader_here, text);
        reader.reads(&speaker_there, text);
    }
    assert_eq!(house.census().restarts, 0);
    drop((speaker, reader));
}

macro_rules! pairs {
    ($($name:ident: $from:ident -> $to:ident,)*) => {$(
        #[test]
        fn $name() {
            said_here_read_there(Kind::$from, Kind::$to);
        }
    )*};
}

pairs! {
    videochat_to_chatroom: Videochat -> Chatroom,
    videochat_to_packetchat: Videochat -> Packetchat,
    videochat_to_lan_chat: Videochat -> LanChat,
    chatroom_to_videochat: Chatroom -> Videochat,
    chatroom_to_packetchat: Chatroom -> Packetchat,
    chatroom_to_lan_chat: Chatroom -> LanChat,
    packetchat_to_videochat: Packetchat -> Videochat,
    packetchat_to_chatroom: Packetchat -> Chatroom,
    packetchat_to_lan_chat: Packetchat -> LanChat,
    lan_chat_to_videochat: LanChat -> Videochat,
    lan_chat_to_chatroom: LanChat -> Chatroom,
    lan_chat_to_packetchat: LanChat -> Packetchat,
    web_to_videochat: Web -> Videochat,
    web_to_chatroom: Web -> Chatroom,
    web_to_packetchat: Web -> Packetchat,
    web_to_lan_chat: Web -> LanChat,
    videochat_to_web: Videochat -> Web,
    chatroom_to_web: Chatroom -> Web,
    packetchat_to_web: Packetchat -> Web,
    lan_chat_to_web: LanChat -> Web,
}

#[test]
fn public_words_reach_everyone_and_direct_ones_one() {
    let house = House::open_empty(&[ECHO]);
    let kinds = [
        Kind::Videochat,
        Kind::Chatroom,
        Kind::LanChat,
        Kind::Packetchat,
        Kind::Web,
    ];
    let mut all: Vec<Guest> = kinds
        .iter()
        .map(|kind| Guest::enter(&house, *kind, &format!("a-{}", kind.name()), 0))
        .collect();
    let mut speaker = Guest::enter(&house, Kind::Packetchat, "zoe", 1);
    speaker.say_to_all("to all");
    for guest in &mut all {
        let name = speaker.name_in(guest.kind);
        guest.reads(&name, "to all");
    }
    speaker.say(&all[2].name.clone(), "to one");
    all[2].reads("zoe", "to one");
    all[3].reads_nothing();
    // Lines that others can't show as one are several; its own service reads what was sent.
    speaker.say_to_all("one\r\ntwo\x07\n");
    all[2].reads("zoe", "one");
    all[2].reads("zoe", "two ");
    all[3].reads("zoe", "one\r\ntwo\x07\n");
}

#[test]
fn the_bot_answers_in_each_service() {
    let house = House::open_empty(&[ECHO]);
    for kind in [Kind::Videochat, Kind::Chatroom, Kind::Packetchat, Kind::Web] {
        let mut guest = Guest::enter(&house, kind, "anna", 0);
        let text = "are you there? né";
        guest.say("bot", text);
        guest.reads("bot", text);
    }
    let mut lan = Guest::enter(&house, Kind::LanChat, "", 1);
    let mut beside = Guest::enter(&house, Kind::LanChat, "", 2);
    let mut packets = Guest::enter(&house, Kind::Packetchat, "bert", 0);
    for text in ["@bot hello", "BOT: hello"] {
        lan.say_to_all(text);
        beside.reads("127.0.0.2", text);
        packets.reads("127.0.0.2", text);
        for guest in [&mut lan, &mut beside, &mut packets] {
            guest.reads("bot", "hello");
        }
    }
    packets.say_to_all("@bot, what now?");
    packets.reads("bot", "what now?");
    for guest in [&mut lan, &mut beside] {
        guest.reads("bert", "@bot, what now?");
        guest.reads("bot", "what now?");
    }
    // It is not addressed, and it does not answer itself.
    lan.say_to_all("robot: hello");
    beside.reads("127.0.0.2", "robot: hello");
    beside.reads_nothing();
    let tumip = Tumip::connect(&house, 7);
    assert_eq!(tumip.ask("hello"), "hello");
}

#[test]
fn everyone_sees_everyone() {
    let house = House::open_empty(&[]);
    let mut packets = Client::join(&house, "paula");
    let bot = [
        packets.user,
        packets
            .users()
            .into_iter()
            .find(|user| *user != packets.user)
            .unwrap(),
    ];
    assert_eq!(packets.name_of(bot[1]), "bot");
    let mut vera = OldVideochat::join(&house, "vera", key(2048, 0));
    assert_eq!(names(&vera), ["bot", "paula@packetchat", "vera"]);
    let mut clara = OldChatroom::join(&house, "clara", key(1024, 0));
    assert!(
        clara.people.keys().eq(["bot", "clara", "vera@videochat"]),
        "{:?}",
        clara.people
    );
    vera.hear_presence("broadcast_message", "clara@chatroom");
    let lan = Chatter::enter(&house);
    vera.hear_presence("broadcast_message", "127.0.0.1@lan_chat");
    // Who came last comes before who came earlier: there is room for two.
    clara.hear_names(&["127.0.0.1@lan_chat", "clara"]);
    let tumip = Tumip::connect(&house, 7);
    tumip.register();
    vera.hear_presence("broadcast_message", "tumip-7@tumip");
    assert_eq!(
        names(&vera),
        [
            "127.0.0.1@lan_chat",
            "bot",
            "clara@chatroom",
            "paula@packetchat",
            "tumip-7@tumip",
            "vera"
        ]
    );
    let users = packets.users();
    let mut all: Vec<String> = users
        .into_iter()
        .map(|user| packets.name_of(user))
        .collect();
    all.sort();
    assert_eq!(
        all,
        ["127.0.0.1", "bot", "clara", "paula", "tumip-7", "vera"]
    );
    drop(lan);
    vera.hear_presence("AFK", "127.0.0.1@lan_chat");
    drop(tumip);
    vera.hear_presence("AFK", "tumip-7@tumip");
    assert_eq!(
        names(&vera),
        ["bot", "clara@chatroom", "paula@packetchat", "vera"]
    );
}

fn names(client: &OldVideochat) -> Vec<&str> {
    client.people.keys().map(String::as_str).collect()
}

#[test]
fn nobody_is_called_like_somebody_of_another_service_or_the_bot() {
    let house = House::open_empty(&[]);
    let taken = |name: &str| {
        let mut client = OldVideochat::knock(&house, name, key(2048, 0));
        match client.any() {
            Told::Json(list) => list["name"].as_str().unwrap().to_owned(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(taken("anna@chatroom"), "anna");
    assert_eq!(taken("anna@Web @lan_chat"), "anna");
    assert_eq!(taken("bot"), "bot-2");
    assert_eq!(taken("BOT"), "BOT-2");
    assert_eq!(taken("@house"), "guest");
    assert_eq!(taken("anna@example.org"), "anna@example.org");
}

#[test]
fn who_can_not_read_is_not_written_to() {
    let house = House::open_empty(&[]);
    let tumip = Tumip::connect(&house, 7);
    tumip.register();
    let mut vera = OldVideochat::join(&house, "vera", key(2048, 0));
    vera.say("tumip-7@tumip", "hello");
    vera.hear("Communication");
    let error = vera.hear("Error");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("tumip-7@tumip"), "{message}");
    let mut packets = Guest::enter(&house, Kind::Packetchat, "paula", 0);
    packets.sees("tumip-7");
    let client = packets.packetchat();
    let number = client
        .users()
        .into_iter()
        .find(|user| client.name_of(*user) == "tumip-7");
    let request = Request::Message {
        session: client.session,
        to: number.unwrap(),
        message: 1,
        text: b"hello",
    };
    client.ask_in_vain(&house, &request);
}

#[test]
fn a_list_of_chatroom_fits_one_read_whoever_comes() {
    let house = House::open_empty(&[("CHATROOM__LEGACY_GAP_MS", "30")]);
    let mut clara = Guest::enter(&house, Kind::Chatroom, "clara", 0);
    let mut others: Vec<Client> = Vec::new();
    for n in 0..30 {
        let name = format!("somebody with a very long name, number {n}");
        others.push(Client::join(&house, &name));
    }
    let last = format!("{}@packetchat", own_name(&mut others[29]));
    // What is no list of at most 1,024 bytes is nonsense to an old client, which panics.
    clara.sees(&last);
    assert!(list_bytes(clara.chatroom()) <= OLD_LIST);
    // Who speaks comes in, so that there may be an answer.
    let first = own_name(&mut others[0]);
    let shown = format!("{first}@packetchat");
    assert!(!clara.chatroom().people.contains_key(&shown));
    let hello = others[0].broadcast(1, b"hello");
    others[0].ask(&hello);
    clara.reads(&shown, "hello");
    clara.say(&shown, "hello, first");
    let heard = others[0].hear();
    assert_eq!(heard.text, b"hello, first");
    assert_eq!(others[0].name_of(heard.sender), "clara");
    // The more there are of its own, the fewer others: they are all in the list, as ever.
    let two = OldChatroom::join(&house, "dora", key(1024, 1));
    assert!(two.people.contains_key("clara") && two.people.contains_key("dora"));
    assert!(list_bytes(&two) <= OLD_LIST);
    let three = OldChatroom::join(&house, "eva", key(1024, 2));
    assert!(three.people.keys().eq(["clara", "dora", "eva"]));
}

fn own_name(client: &mut Client) -> String {
    let user = client.user;
    client.name_of(user)
}

/// Bytes of a list of these people.
fn list_bytes(client: &OldChatroom) -> usize {
    4 + serde_json::to_vec(&client.people).unwrap().len()
}

#[test]
fn a_list_of_videochat_fits_one_read_whoever_comes() {
    const LIMIT: usize = 30_000;
    let house = House::open_empty(&[("PACKETCHAT__SESSIONS_PER_ADDRESS", "1000")]);
    let mut vera = Guest::enter(&house, Kind::Videochat, "vera", 0);
    let mut crowd: Vec<Client> = Vec::new();
    for n in 0..80 {
        crowd.push(Client::join(&house, &format!("paul-{n}")));
        // Which fails where one read brings less than a whole list.
        vera.sees(&format!("paul-{n}@packetchat"));
        let people = &vera.videochat().people;
        assert!(serde_json::to_vec(people).unwrap().len() <= LIMIT);
        assert!(people.contains_key("bot") && people.contains_key("vera"));
    }
    let shown = vera.videochat().people.len();
    assert!((40..70).contains(&shown), "{shown}");
    let first = "paul-0@packetchat";
    assert!(!vera.videochat().people.contains_key(first));
    // Who speaks comes in, so that there may be an answer.
    let hello = crowd[0].broadcast(1, b"hello");
    crowd[0].ask(&hello);
    vera.reads(first, "hello");
    vera.say(first, "hello, Paul");
    assert_eq!(crowd[0].hear().text, b"hello, Paul");
}

#[test]
fn many_in_a_flood_wait_for_each_other() {
    let house = House::open_empty(&[]);
    let mut vera = Guest::enter(&house, Kind::Videochat, "vera", 0);
    let mut clara = Guest::enter(&house, Kind::Chatroom, "clara", 0);
    let lan = Chatter::enter(&house);
    let lines: Vec<String> = (0..40).map(|n| format!("line {n}")).collect();
    lan.say(lines.join("\n") + "\n");
    for line in &lines {
        vera.reads("127.0.0.1@lan_chat", line);
        clara.reads("127.0.0.1@lan_chat", line);
    }
    assert_eq!(house.census().restarts, 0);
}

#[test]
fn apart_each_service_is_by_itself() {
    let house = House::open_empty(&[ECHO, ("LOBBY__BRIDGE", "false")]);
    let mut packets = Client::join(&house, "paula");
    let mut vera = OldVideochat::join(&house, "vera", key(2048, 0));
    let mut clara = OldChatroom::join(&house, "clara", key(1024, 0));
    let lan = Chatter::enter(&house);
    let page = Page::enter(&house, "walt");
    assert!(page.people.keys().eq(["walt"]), "{:?}", page.people);
    assert_eq!(names(&vera), ["vera"]);
    assert!(clara.people.keys().eq(["clara"]));
    assert_eq!(packets.users(), [packets.user]);
    let all = packets.broadcast(1, b"@bot hello");
    packets.ask(&all);
    lan.say("@bot hello\n");
    vera.say("vera", "to myself");
    assert_eq!(vera.hear_chat().1.as_deref(), Some("to myself"));
    packets.hear_nothing();
    assert_silent(&lan.stream);
    clara.assert_silent();
    vera.assert_silent();
    let other = OldVideochat::join(&house, "bot", key(2048, 1));
    assert_eq!(other.name, "bot");
}

#[test]
fn words_are_remembered_over_a_restart_and_numbers_go_on() {
    let mut house = House::open_empty(&[ECHO]);
    let lan = Chatter::enter_from(&house, Ipv4Addr::new(127, 0, 0, 9));
    lan.say("remember me\n");
    wait_for("the history", || {
        (house.history_census() == 1).then_some(())
    });
    // Closing writes what is not written yet.
    drop(lan);
    house.terminate();
    house.reopen();
    assert_eq!(house.history_census(), 1);
    let lan = Chatter::enter(&house);
    lan.say("and me\n@bot me\n");
    wait_for("the history", || {
        (house.history_census() == 4).then_some(())
    });
}

//! lan_chat: everybody hears the others, byte for byte, under their addresses.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use crate::lan_support::chatters::{Chatter, HOME_PREFIX, WELCOME, pieces};
use crate::lan_support::{unread_from, wait_left};
use crate::live_support::Tumip;
use crate::support::{House, OldVideochat, assert_closed, connect, key, recv, wait_for};

/// The longest message; what is longer is several.
const MAX_TEXT: usize = 2048;

// Who hears what

#[test]
fn others_hear_what_one_says_under_its_address() {
    let house = House::open_empty(&[]);
    let stream = connect(house.lan_chat());
    assert_eq!(recv(&stream, MAX_TEXT), WELCOME);
    drop(stream);

    let mut anna = Chatter::enter(&house);
    anna.assert_silent();
    let mut ben = Chatter::enter_from(&house, Ipv4Addr::new(127, 0, 0, 2));
    let mut cleo = Chatter::enter_from(&house, Ipv4Addr::new(127, 10, 20, 30));
    anna.say("hello\n");
    ben.hear(b"<127.0.0.1> hello\n");
    cleo.hear(b"<127.0.0.1> hello\n");
    ben.say("hi anna\n");
    // The first thing that anna hears: nobody hears what it says itself.
    anna.hear(b"<127.0.0.2> hi anna\n");
    cleo.hear(b"<127.0.0.2> hi anna\n");
    cleo.say("hi all\n");
    anna.hear(b"<127.10.20.30> hi all\n");
    ben.hear(b"<127.10.20.30> hi all\n");
    for chatter in [&anna, &ben, &cleo] {
        chatter.assert_silent();
    }
    // Who comes later hears nothing of it.
    drop((ben, cleo));
    let late = Chatter::enter(&house);
    late.assert_silent();
    late.say("hello again\n");
    anna.hear_from_home("hello again\n");
    late.assert_silent();
    drop((anna, late));
    house.assert_left_empty();
}

#[test]
fn other_services_hear_it_and_their_secrets_stay_there() {
    let house = House::open_empty(&[]);
    let mut alice = OldVideochat::join(&house, "alice", key(2048, 0));
    let anna = Chatter::enter(&house);
    let mut ben = Chatter::enter(&house);
    anna.say("hello\n");
    ben.hear_from_home("hello\n");
    let heard = ("127.0.0.1@lan_chat".to_owned(), Some("hello".to_owned()));
    assert_eq!(alice.hear_chat(), heard);
    alice.assert_silent();
    alice.say("alice", "hello myself");
    assert_eq!(alice.hear_chat().1.unwrap(), "hello myself");
    ben.assert_silent();
    anna.assert_silent();
    drop((anna, ben));
    alice.assert_silent();
    alice.quit();
    house.assert_left_empty();
}

#[test]
fn everybody_in_a_crowd_hears_everything_once_and_in_order() {
    const CROWD: usize = 20;
    const LINES: usize = 50;
    let house = House::open_empty(&[]);
    let crowd: Vec<Chatter> = (0..CROWD).map(|_| Chatter::enter(&house)).collect();
    thread::scope(|scope| {
        for (me, mut chatter) in crowd.into_iter().enumerate() {
            let mut writer = chatter.stream.try_clone().unwrap();
            scope.spawn(move || {
                for n in 0..LINES {
                    writer.write_all(format!("{me} {n}\n").as_bytes()).unwrap();
                }
            });
            scope.spawn(move || {
                let mut heard: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
                for _ in 0..(CROWD - 1) * LINES {
                    let line = chatter.hear_line();
                    let words = line.strip_prefix("<127.0.0.1> ").expect("a prefix");
                    let (who, n) = words.trim_end().split_once(' ').expect("two numbers");
                    let (who, n) = (who.parse().unwrap(), n.parse().unwrap());
                    heard.entry(who).or_default().push(n);
                }
                let others: Vec<usize> = (0..CROWD).filter(|&other| other != me).collect();
                assert!(heard.keys().eq(&others), "{me} hears all others");
                for (who, lines) in heard {
                    assert!(
                        lines.iter().copied().eq(0..LINES),
                        "{me} of {who}: {lines:?}"
                    );
                }
                chatter.assert_silent();
            });
        }
    });
    house.assert_left_empty();
}

#[test]
fn people_of_lan_chat_are_in_the_house() {
    let house = House::open_empty(&[]);
    let tumip = Tumip::connect(&house, 7);
    let first = Chatter::enter(&house);
    let second = Chatter::enter(&house);
    let answer = tumip.ask("Who's here?");
    for part in ["127.0.0.1 (lan_chat)", "127.0.0.1-2 (lan_chat)"] {
        assert!(answer.contains(part), "{answer} says nothing of {part}");
    }
    assert_eq!(house.census().people, 3);
    drop(first);
    wait_for("the first one's end", || {
        (!tumip.ask("Who's here?").contains("127.0.0.1 (lan_chat)")).then_some(())
    });
    assert!(tumip.ask("Who's here?").contains("127.0.0.1-2 (lan_chat)"));
    drop((second, tumip));
    house.assert_left_empty();
}

// What is one message

#[test]
fn a_line_is_one_message_however_it_is_written() {
    let house = House::open_empty(&[]);
    let anna = Chatter::enter(&house);
    let mut ben = Chatter::enter(&house);
    let parts = ["it comes ", "in pieces\n"];
    // Again and again: on a busy machine a writer may have to wait for its turn, and has been silent.
    wait_for("a line with one prefix", || {
        anna.say(parts[0]);
        // The server has read it before the rest comes.
        while unread_from(&anna.stream) > 0 {
            thread::yield_now();
        }
        anna.say(parts[1]);
        let mut heard = ben.take(HOME_PREFIX.len());
        while !heard.ends_with(b"\n") {
            heard.extend(ben.take(1));
        }
        let pieces = pieces(&heard);
        assert_eq!(pieces.concat(), parts.concat().as_bytes());
        (pieces.len() == 1).then_some(())
    });
    house.stop();
}

#[test]
fn lines_in_one_write_are_messages_of_their_own() {
    let house = House::open_empty(&[]);
    let anna = Chatter::enter(&house);
    let mut ben = Chatter::enter(&house);
    anna.say("one\ntwo\n\nfour\r\n\r\nsix\n");
    for line in ["one\n", "two\n", "\n", "four\r\n", "\r\n", "six\n"] {
        ben.hear_from_home(line);
    }
    // The last one has no end, and comes all the same.
    anna.say("seven\neight");
    ben.hear_from_home("seven\n");
    ben.hear_from_home("eight");
    ben.assert_silent();
    house.stop();
}

#[test]
fn a_text_without_an_end_comes_as_it_is() {
    let house = House::open_empty(&[]);
    let anna = Chatter::enter(&house);
    let mut ben = Chatter::enter(&house);
    anna.say("no end");
    ben.hear_from_home("no end");
    ben.assert_silent();
    anna.say("\n");
    ben.hear_from_home("\n");
    // Who leaves has said it.
    anna.say("goodbye");
    drop(anna);
    ben.hear_from_home("goodbye");
    // Who only stops talking has said it, too.
    let cleo = Chatter::enter(&house);
    cleo.say("I listen");
    cleo.stream.shutdown(Shutdown::Write).unwrap();
    ben.hear_from_home("I listen");
    house.stop();
}

#[test]
fn a_long_text_comes_in_pieces_that_cut_no_character() {
    let house = House::open_empty(&[]);
    let anna = Chatter::enter(&house);
    let mut ben = Chatter::enter(&house);
    let long = "x".repeat(5000);
    let cut = |character: &str, before: usize| "x".repeat(before) + character + &"y".repeat(1000);
    for (text, lengths) in [
        (long, vec![MAX_TEXT, MAX_TEXT, 5000 - 2 * MAX_TEXT]),
        (cut("é", MAX_TEXT - 1), vec![MAX_TEXT - 1, 1002]),
        (cut("€", MAX_TEXT - 1), vec![MAX_TEXT - 1, 1003]),
        (cut("€", MAX_TEXT - 2), vec![MAX_TEXT - 2, 1003]),
        (cut("😀", MAX_TEXT - 3), vec![MAX_TEXT - 3, 1004]),
        (cut("😀", MAX_TEXT - 4), vec![MAX_TEXT, 1000]),
    ] {
        anna.say(&text);
        let heard = ben.take(lengths.len() * HOME_PREFIX.len() + text.len());
        let pieces = pieces(&heard);
        assert_eq!(pieces.iter().map(|p| p.len()).collect::<Vec<_>>(), lengths);
        assert!(pieces.concat() == text.as_bytes());
        ben.assert_silent();
    }
    // A line of just that length is whole.
    let line = "z".repeat(MAX_TEXT - 1) + "\n";
    anna.say(&line);
    ben.hear_from_home(&line);
    house.stop();
}

#[test]
fn bytes_are_not_touched() {
    let house = House::open_empty(&[]);
    let anna = Chatter::enter(&house);
    let mut ben = Chatter::enter(&house);
    let mut binary: Vec<u8> = (0..=255).filter(|&byte| byte != b'\n').collect();
    binary.push(b'\n');
    anna.say(&binary);
    ben.hear_from_home(&binary);
    for line in [
        &b"\x1b[31mred\x1b[0m\n"[..],
        b"\xff\xfe\xc3\n",
        b"\0\n",
        b"<127.0.0.9> I am somebody else\n",
        "zażółć 🎭\n".as_bytes(),
    ] {
        anna.say(line);
        ben.hear_from_home(line);
    }
    house.stop();
}

// Who is too slow, and who says too much

#[test]
fn whoever_reads_nothing_is_let_go_and_the_others_hear_everything() {
    const ROUNDS: usize = 120;
    const LINES: usize = 50;
    let house = House::open_empty(&[("LIMITS__BACKLOG_KB", "1024")]);
    let deaf = Chatter::enter_narrow(&house);
    let speaker = Chatter::enter(&house);
    let mut others = [Chatter::enter(&house), Chatter::enter(&house)];
    // 100 kB a round, far more in all than may wait for anybody.
    let line = |n: usize| format!("{n} {}\n", "x".repeat(2000));
    for round in 0..ROUNDS {
        let lines = round * LINES..(round + 1) * LINES;
        lines.clone().for_each(|n| speaker.say(line(n)));
        for other in &mut others {
            lines.clone().for_each(|n| other.hear_from_home(line(n)));
        }
    }
    let why = wait_left(&house, deaf.address());
    assert!(why.starts_with("left: let go for being slow"), "{why}");
    drop((deaf, speaker, others));
    house.assert_left_empty();
}

#[test]
fn a_slow_reader_slows_down_who_speaks_and_is_not_let_go() {
    const LINES: usize = 3000;
    // Both are on the same floor, and 6 MB are far more than may wait.
    let settings = [("SERVER__THREADS", "1"), ("LIMITS__BACKLOG_KB", "1024")];
    let house = House::open_empty(&settings);
    let speaker = Chatter::enter(&house);
    let mut slow = Chatter::enter(&house);
    let line = |n: usize| format!("{n} {}\n", "x".repeat(2000));
    thread::scope(|scope| {
        scope.spawn(|| (0..LINES).for_each(|n| speaker.say(line(n))));
        for n in 0..LINES {
            slow.hear_from_home(line(n));
            // That is what makes it slow: it takes some 10 MB a second.
            thread::sleep(Duration::from_micros(200));
        }
    });
    drop((speaker, slow));
    house.assert_left_empty();
}

#[test]
fn a_flood_takes_nobody_elses_words() {
    const FLOOD: usize = 20_000;
    const WORDS: usize = 50;
    let house = House::open_empty(&[]);
    let mut people: Vec<Chatter> = (0..4)
        .map(|n| Chatter::enter_from(&house, Ipv4Addr::new(127, 0, 1, n + 1)))
        .collect();
    let writers = [0, 1].map(|n: usize| people[n].stream.try_clone().unwrap());
    let say_all = |mut stream: TcpStream, lines: usize| {
        for n in 0..lines {
            stream.write_all(format!("{n}\n").as_bytes()).unwrap();
        }
    };
    thread::scope(|scope| {
        let [flooding, talking] = writers;
        scope.spawn(move || say_all(flooding, FLOOD));
        scope.spawn(move || say_all(talking, WORDS));
        for (me, person) in people.iter_mut().enumerate() {
            scope.spawn(move || {
                let mut next = [0, 0];
                let mut left = [FLOOD, WORDS];
                if let Some(own) = left.get_mut(me) {
                    *own = 0;
                }
                while next != left {
                    let line = person.hear_line();
                    let (from, n) = line.trim_end().split_once("> ").unwrap();
                    let from = match from {
                        "<127.0.1.1" => 0,
                        "<127.0.1.2" => 1,
                        other => panic!("{other}"),
                    };
                    assert_eq!(n, next[from].to_string(), "{me}");
                    next[from] += 1;
                }
            });
        }
    });
    drop(people);
    house.assert_left_empty();
}

#[test]
fn a_house_that_closes_lets_everybody_go() {
    let house = House::open_empty(&[]);
    let anna = Chatter::enter(&house);
    let ben = Chatter::enter(&house);
    house.stop();
    assert_closed(&anna.stream);
    assert_eq!(ben.rest(), b"");
}

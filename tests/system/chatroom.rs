//! chatroom over real sockets, with clients that read as the old ones do.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{
    GAP, Heard, House, OldChatroom, OldVideochat, assert_due, assert_silent, connect, key, recv,
    recv_alone, runs, sample_videos, wait_for,
};

/// The remainder comes first, with the lowest quality.
const CELLS: [(usize, u32, u32); 3] = [(49, 426, 240), (48, 1280, 720), (48, 2560, 1440)];
const TEST_CARD: [(usize, u32, u32); 3] = [(68, 160, 120), (66, 320, 240), (66, 640, 480)];

/// These people with 1024-bit keys, who know each other.
fn room<const N: usize>(house: &House, names: [&str; N]) -> [OldChatroom; N] {
    let mut clients: Vec<OldChatroom> = Vec::new();
    for (n, name) in names.into_iter().enumerate() {
        let newcomer = OldChatroom::join(house, name, key(1024, n));
        for client in &mut clients {
            assert_eq!(client.hear_people(), newcomer.people);
        }
        clients.push(newcomer);
    }
    let Ok(clients) = clients.try_into() else {
        panic!("one client a name");
    };
    clients
}

// Coming in

#[test]
fn each_step_of_the_entrance_is_alone() {
    let house = House::open();
    let mut stream = connect(house.chatroom());
    let pem = recv_alone(&stream);
    assert_eq!(pem, house.key_pem());
    assert!(pem.starts_with("-----BEGIN RSA PUBLIC KEY-----\n"), "{pem}");
    assert_silent(&stream);
    stream.write_all(b"anna").unwrap();
    assert_eq!(recv_alone(&stream), "OK");
    assert_silent(&stream);
    let key = key(1024, 0);
    stream.write_all(key.pkcs1.as_bytes()).unwrap();
    let mut anna = OldChatroom::listen(stream, "anna", key);
    anna.hear_names(&["anna"]);
    assert_eq!(anna.people["anna"].trim_end(), key.pkcs1.trim_end());
    anna.assert_silent();
    drop(anna);
    house.assert_left_empty();
}

#[test]
fn a_client_in_a_hurry_still_gets_each_message_alone() {
    let house = House::open();
    let mut stream = connect(house.chatroom());
    let key = key(1024, 0);
    let all = format!("anna{}[STREAM]", key.pkcs1);
    stream.write_all(all.as_bytes()).unwrap();
    assert_eq!(recv_alone(&stream), house.key_pem());
    assert_eq!(recv_alone(&stream), "OK");
    let mut anna = OldChatroom::listen(stream, "anna", key);
    anna.hear_names(&["anna"]);
    assert_eq!(anna.hear_videos(), ["cells", "mandelbrot", "test_card"]);
    drop(anna);
    house.assert_left_empty();
}

#[test]
fn a_message_sent_along_with_the_key_is_relayed() {
    let house = House::open();
    let mut stream = connect(house.chatroom());
    let key = key(1024, 0);
    let message = [b"CHAT", &[7; 128][..]].concat();
    recv_alone(&stream);
    let hurried = [b"anna", key.pkcs1.as_bytes(), b"[CHAT]", &message].concat();
    stream.write_all(&hurried).unwrap();
    assert_eq!(recv_alone(&stream), "OK");
    let mut anna = OldChatroom::listen(stream, "anna", key);
    anna.hear_names(&["anna"]);
    assert_eq!(anna.hear_chat(), message);
    drop(anna);
    house.assert_left_empty();
}

#[test]
fn a_key_may_come_in_parts_and_its_line_end_late() {
    let house = House::open();
    let mut stream = connect(house.chatroom());
    recv_alone(&stream);
    stream.write_all(b"anna\n").unwrap();
    recv_alone(&stream);
    let key = key(1024, 0);
    let pem = key.pkcs1.trim_end().as_bytes();
    for part in [&pem[..100], &pem[100..pem.len() - 2]] {
        stream.write_all(part).unwrap();
        assert_silent(&stream);
    }
    stream.write_all(&pem[pem.len() - 2..]).unwrap();
    let mut anna = OldChatroom::listen(stream, "anna", key);
    anna.hear_names(&["anna"]);
    anna.send(b"\n");
    anna.assert_silent();
    assert_eq!(anna.videos().len(), 3);
    drop(anna);
    house.assert_left_empty();
}

#[test]
fn everyone_the_newcomer_too_gets_the_list_of_a_join() {
    let house = House::open();
    let mut clients = room(&house, ["anna", "ben", "cleo"]);
    for client in &clients {
        client.assert_knows(&["anna", "ben", "cleo"]);
        for (n, pem) in client.people.values().enumerate() {
            assert_eq!(pem.trim_end(), key(1024, n).pkcs1.trim_end());
        }
    }
    // For somebody of another service there is no room.
    let dora = OldVideochat::join(&house, "dora", key(2048, 0));
    clients[0].assert_silent();
    drop((clients, dora));
    house.assert_left_empty();
}

#[test]
fn the_others_get_the_list_of_a_leave_goodbye_or_not() {
    let house = House::open();
    let mut anna = OldChatroom::join(&house, "anna", key(1024, 0));
    for goodbye in [true, false] {
        let mut ben = OldChatroom::join(&house, "ben", key(1024, 1));
        anna.hear_names(&["anna", "ben"]);
        if goodbye {
            ben.send(b"[DISCONNECT]");
            ben.hear_closed();
        } else {
            drop(ben);
        }
        anna.hear_names(&["anna"]);
    }
    drop(anna);
    house.assert_left_empty();
}

#[test]
fn a_name_that_is_taken_gets_a_number() {
    let house = House::open();
    let mut anna = OldChatroom::join(&house, "anna", key(1024, 0));
    let second = OldChatroom::join(&house, "anna", key(1024, 1));
    assert_eq!(second.name, "anna-2");
    anna.hear_names(&["anna", "anna-2"]);
    drop((anna, second));
    house.assert_left_empty();
}

// Chat

#[test]
fn a_message_goes_to_all_byte_for_byte() {
    let house = House::open();
    let mut clients = room(&house, ["anna", "ben", "cleo"]);
    clients[0].send(b"[CHAT]");
    let sent = clients[0].message("ben", "hello ben");
    assert_eq!(sent.len(), 132);
    clients[0].send(&sent);
    for client in &mut clients {
        assert_eq!(client.hear_chat(), sent, "{}", client.name);
    }
    assert_eq!(clients[1].decrypt(&sent).unwrap(), "hello ben");
    assert_ne!(clients[2].decrypt(&sent).as_deref(), Some("hello ben"));
    drop(clients);
    house.assert_left_empty();
}

#[test]
fn messages_back_to_back_are_relayed_alone() {
    let house = House::open();
    let [mut anna, mut ben] = room(&house, ["anna", "ben"]);
    let sent = ["one", "two", "three", "four"].map(|text| anna.message("ben", text));
    // The word, the messages, and the way out of the chat, all in one write.
    anna.send(&[b"[CHAT]", &sent.concat()[..], b"QUIT"].concat());
    for message in &sent {
        assert_eq!(ben.hear_chat(), *message);
        assert_eq!(anna.hear_chat(), *message);
    }
    drop((anna, ben));
    house.assert_left_empty();
}

fn hear_until(stream: &TcpStream, end: &[u8]) {
    let mut heard = Vec::new();
    while !heard.ends_with(end) {
        let part = recv(stream, 1024);
        assert_ne!(part, b"", "closed too early");
        heard.extend(part);
    }
}

#[test]
fn the_gap_between_single_messages_is_as_it_is_set() {
    for (settings, gap) in [
        (&[("CHATROOM__LEGACY_GAP_MS", "30")][..], 30),
        (&[("CHATROOM__LEGACY_GAP_MS", "150")][..], 150),
    ] {
        let house = House::open_with(&sample_videos(), settings);
        let mut stream = connect(house.chatroom());
        stream.write_all(b"anna").unwrap();
        stream.write_all(key(1024, 0).pkcs1.as_bytes()).unwrap();
        hear_until(&stream, b"}");
        let messages = ["1", "2", "3", "4"].map(|text| format!("CHAT{}", text.repeat(128)));
        let started = Instant::now();
        stream
            .write_all(format!("[CHAT]{}", messages.concat()).as_bytes())
            .unwrap();
        // However late this reader is, the last one comes after three gaps.
        hear_until(&stream, messages[3].as_bytes());
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(3 * gap), "{gap} ms: {took:?}");
        drop(stream);
        house.assert_left_empty();
    }
}

#[test]
fn keys_of_different_sizes_meet_in_one_room() {
    let house = House::open();
    let mut anna = OldChatroom::join(&house, "anna", key(1024, 0));
    let mut ben = OldChatroom::join(&house, "ben", key(2048, 1));
    anna.hear_names(&["anna", "ben"]);
    let (to_anna, to_ben) = (ben.message("anna", "short"), anna.message("ben", "long"));
    assert_eq!((to_anna.len(), to_ben.len()), (132, 260));
    // One by one.
    anna.send(b"[CHAT]");
    ben.send(b"[CHAT]");
    for (message, from_anna) in [(&to_ben, true), (&to_anna, false)] {
        let sender = if from_anna { &mut anna } else { &mut ben };
        sender.send(message);
        assert_eq!(anna.hear_chat(), *message);
        assert_eq!(ben.hear_chat(), *message);
    }
    // Joined, in any order.
    let joined = [&to_anna, &to_ben, &to_ben, &to_anna, &to_anna];
    anna.send(&joined.map(|message| &message[..]).concat());
    for message in joined {
        assert_eq!(anna.hear_chat(), *message);
        assert_eq!(ben.hear_chat(), *message);
    }
    assert_eq!(anna.decrypt(&to_anna).unwrap(), "short");
    assert_eq!(ben.decrypt(&to_ben).unwrap(), "long");
    drop((anna, ben));
    house.assert_left_empty();
}

#[test]
fn a_message_that_comes_in_parts_is_relayed_whole() {
    let house = House::open();
    let [mut anna, mut ben] = room(&house, ["anna", "ben"]);
    let message = anna.message("ben", "in parts");
    anna.send(b"[CH");
    anna.assert_silent();
    anna.send(b"AT]CH");
    anna.assert_silent();
    anna.send(&message[2..131]);
    anna.assert_silent();
    ben.assert_silent();
    anna.send(&message[131..]);
    assert_eq!(ben.hear_chat(), message);
    assert_eq!(anna.hear_chat(), message);
    drop((anna, ben));
    house.assert_left_empty();
}

#[test]
fn quit_leads_back_to_the_choice_of_service() {
    let house = House::open();
    let [mut anna, mut ben] = room(&house, ["anna", "ben"]);
    anna.send(b"[CHAT]");
    anna.send(b"QUIT");
    assert_eq!(anna.videos(), ["cells", "mandelbrot", "test_card"]);
    anna.send(b"test_card");
    assert_eq!(anna.hear_stream().len(), 200);
    // And to the chat again, whose people it never left.
    let message = ben.message("anna", "welcome back");
    ben.send(&[b"[CHAT]", &message[..]].concat());
    assert_eq!(anna.hear_chat(), message);
    let answer = anna.message("ben", "thanks");
    anna.send(&[b"[CHAT]", &answer[..]].concat());
    assert_eq!(ben.hear_chat(), message);
    assert_eq!(ben.hear_chat(), answer);
    drop((anna, ben));
    house.assert_left_empty();
}

// Videos

#[test]
fn a_stream_has_the_promised_frames_the_remainder_first() {
    let house = House::open();
    let mut anna = OldChatroom::join(&house, "anna", key(1024, 0));
    assert_eq!(runs(&anna.frames_of("cells")), CELLS);
    assert_eq!(runs(&anna.frames_of("test_card")), TEST_CARD);
    anna.assert_silent();
    drop(anna);
    house.assert_left_empty();
}

#[test]
fn each_step_towards_a_stream_is_alone() {
    let house = House::open();
    let mut anna = OldChatroom::join(&house, "anna", key(1024, 0));
    // Once before, so that its frames need no time to be made.
    anna.frames_of("test_card");
    let asked = Instant::now();
    anna.videos();
    anna.send(b"test_card");
    assert_eq!(anna.next(), Heard::Stream(200));
    // However late this reader is: `STLI`, its list, `STRM` and the first frame are three gaps.
    let (at, _) = anna.next_at();
    let took = at - asked;
    assert!(took >= 3 * GAP, "{took:?}");
    drop(anna);
    house.assert_left_empty();
}

#[test]
fn a_video_that_does_not_exist_has_no_frames() {
    let house = House::open();
    let mut anna = OldChatroom::join(&house, "anna", key(1024, 0));
    for name in ["nothing", "../videos/cells", "cel"] {
        anna.videos();
        anna.send(name.as_bytes());
        assert_eq!(anna.next(), Heard::Stream(0), "{name}");
    }
    assert_eq!(anna.frames_of("test_card").len(), 200);
    drop(anna);
    house.assert_left_empty();
}

#[test]
fn nothing_else_comes_until_the_last_frame_and_then_only_the_newest_list() {
    let house = House::open();
    let [mut anna, mut ben] = room(&house, ["anna", "ben"]);
    anna.videos();
    anna.read_nothing();
    anna.send(b"cells");
    assert_eq!(anna.next(), Heard::Stream(145));

    // The stream, of many megabytes, waits for anna; ben and the others do not.
    let messages = ["one", "two"].map(|text| ben.message("anna", text));
    ben.send(b"[CHAT]");
    ben.send(&messages[0]);
    assert_eq!(ben.hear_chat(), messages[0]);
    let mut cleo = OldChatroom::join(&house, "cleo", key(1024, 2));
    ben.hear_names(&["anna", "ben", "cleo"]);
    ben.send(&messages[1]);
    assert_eq!(ben.hear_chat(), messages[1]);
    assert_eq!(cleo.hear_chat(), messages[1]);
    drop(cleo);
    ben.hear_names(&["anna", "ben"]);
    let dora = OldChatroom::join(&house, "dora", key(1024, 2));
    ben.hear_names(&["anna", "ben", "dora"]);

    anna.read_on();
    for n in 0..145 {
        let heard = anna.next();
        assert!(matches!(heard, Heard::Frame(_)), "{heard:?} as frame {n}");
    }
    let (mut lists, mut chats) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        match anna.next() {
            Heard::People(people) => lists.push(people),
            Heard::Chat(message) => chats.push(message),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(chats, messages);
    assert_eq!(
        lists,
        std::slice::from_ref(&dora.people),
        "of three lists the newest"
    );
    anna.assert_silent();
    drop((anna, ben, dora));
    house.assert_left_empty();
}

#[test]
fn a_stream_chosen_during_a_stream_comes_after_it() {
    let house = House::open();
    let mut anna = OldChatroom::join(&house, "anna", key(1024, 0));
    anna.videos();
    anna.read_nothing();
    anna.send(b"cells");
    assert_eq!(anna.next(), Heard::Stream(145));
    anna.send(b"[STREAM]");
    // A video's name ends with what one read brings: the word has to be read before it.
    anna.assert_silent();
    anna.send(b"test_card");
    anna.read_on();
    let cells: Vec<Vec<u8>> = (0..145)
        .map(|n| match anna.next() {
            Heard::Frame(jpeg) => jpeg,
            other => panic!("{other:?} as frame {n}"),
        })
        .collect();
    assert_eq!(runs(&cells), CELLS);
    assert_eq!(anna.hear_videos(), ["cells", "mandelbrot", "test_card"]);
    assert_eq!(runs(&anna.hear_stream()), TEST_CARD);
    drop(anna);
    house.assert_left_empty();
}

#[test]
fn frames_come_in_real_time() {
    let house = House::open_with(&sample_videos(), &[]);
    let mut anna = OldChatroom::join(&house, "anna", key(1024, 0));
    anna.videos();
    let chosen = Instant::now();
    anna.send(b"cells");
    assert_eq!(anna.next(), Heard::Stream(145));
    for i in 0..145 {
        let (at, heard) = anna.next_at();
        assert!(matches!(heard, Heard::Frame(_)), "{heard:?} as frame {i}");
        assert_due(i, at - chosen);
    }
    drop(anna);
    house.assert_left_empty();
}

#[test]
fn who_leaves_during_a_stream_leaves_nothing_behind() {
    let house = House::open();
    let mut anna = OldChatroom::join(&house, "anna", key(1024, 0));
    for goodbye in [true, false] {
        let mut ben = OldChatroom::join(&house, "ben", key(1024, 1));
        anna.hear_names(&["anna", "ben"]);
        ben.videos();
        ben.read_nothing();
        ben.send(b"cells");
        assert_eq!(ben.next(), Heard::Stream(145));
        if goodbye {
            ben.send(b"[DISCONNECT]");
        } else {
            drop(ben);
        }
        anna.hear_names(&["anna"]);
    }
    wait_for("the end of the streams", || {
        (house.census().channels == 0).then_some(())
    });
    drop(anna);
    house.assert_left_empty();
}

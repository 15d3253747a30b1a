//! packetchat through a network that drops, repeats, delays and reorders packets, a fifth of them each.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::packetchat_support::{Client, HOME, Random, Relay, content, sha256};
use crate::support::House;
use playhouse_protocols::packetchat::Request;

/// After how long clients ask again: longer than most packets take, and much shorter than by default.
const REPEAT: Duration = Duration::from_millis(40);

/// A sender, and what it says.
type Said = (u64, Vec<u8>);

#[test]
fn each_message_arrives_once() {
    const USERS: usize = 10;
    const EACH: usize = 20;
    let house = House::open_empty(&[]);
    let relay = Relay::start(house.packetchat(), 1);
    let clients: Vec<Client> = (0..USERS)
        .map(|n| {
            let name = format!("user {n}");
            let mut client = Client::join_from(HOME, relay.address, &name);
            client.acknowledges = true;
            client.repeat = REPEAT;
            client
        })
        .collect();
    let users: Vec<u64> = clients.iter().map(|client| client.user).collect();

    // To whom each says what.
    let mut random = Random(2);
    let mut said: Vec<Vec<(u64, Vec<u8>)>> = Vec::new();
    let mut expected: HashMap<u64, HashSet<Said>> = HashMap::new();
    for sender in &users {
        let mut own = Vec::new();
        for n in 0..EACH {
            let to = users[usize::try_from(random.below(USERS as u64)).unwrap()];
            let text = format!("message {n}").into_bytes();
            expected
                .entry(to)
                .or_default()
                .insert((*sender, text.clone()));
            own.push((to, text));
        }
        said.push(own);
    }

    let finished = AtomicUsize::new(0);
    let finished = &finished;
    let heard: Vec<(u64, HashMap<u64, Said>)> = thread::scope(|scope| {
        let threads: Vec<_> = clients
            .into_iter()
            .zip(&said)
            .map(|(mut client, said)| {
                scope.spawn(move || {
                    // Counted also if this panics, so that nobody waits for it.
                    let done = Counted(finished);
                    let requests: Vec<Request> = said
                        .iter()
                        .zip(1..)
                        .map(|((to, text), number)| client.message(*to, number, text))
                        .collect();
                    client.ask_all(&requests, |_, _| {});
                    drop(done);
                    // All messages have arrived when the last sender knows that its have.
                    let mut heard = HashMap::new();
                    while finished.load(Ordering::Relaxed) < USERS {
                        hear(&mut client, &mut heard);
                    }
                    hear(&mut client, &mut heard);
                    (client.user, heard)
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let mut all = 0;
    for (user, heard) in heard {
        // Each number of a message stands for one message.
        let messages: HashSet<Said> = heard.values().cloned().collect();
        assert_eq!(messages.len(), heard.len(), "one came under two numbers");
        assert_eq!(messages, expected.remove(&user).unwrap_or_default());
        all += messages.len();
    }
    assert_eq!(all, USERS * EACH);
    relay.assert_bad();
    house.stop();
}

/// Counts when it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Takes what there is and comes soon, by the messages' numbers.
fn hear(client: &mut Client, heard: &mut HashMap<u64, Said>) {
    while let Some(message) = client.hear_by(Instant::now() + Duration::from_millis(10)) {
        let said = (message.sender, message.text);
        let before = heard.insert(message.message, said.clone());
        assert!(
            before.is_none_or(|before| before == said),
            "a number changes"
        );
    }
}

#[test]
fn a_large_file_goes_up_and_comes_down_intact() {
    let house = House::open_empty(&[]);
    let relay = Relay::start(house.packetchat(), 3);
    let mut anna = Client::join_from(HOME, relay.address, "anna");
    anna.repeat = REPEAT;
    let content = content(4, 2 << 20);
    let file = anna.upload(b"large", &content);
    assert_eq!(anna.files(), [file]);
    assert_eq!(sha256(&anna.download(file)), sha256(&content));
    // And on the other side of the network.
    let mut ben = Client::join(&house, "ben");
    assert!(ben.download(file) == content);
    assert_eq!(house.packet_census().files, 1);
    relay.assert_bad();
    house.stop();
}

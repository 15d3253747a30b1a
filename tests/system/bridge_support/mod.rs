//! People of each service who say and read text, each with a client that reads as the old ones do.
//!
//! A service that comes later joins the table: a kind, and a `Guest` for it.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::time::Instant;

use crate::lan_support::chatters::Chatter;
use crate::packetchat_support::{Client, SILENCE};
use crate::page_support::Page;
use crate::support::{GAP, Heard, House, OldChatroom, OldVideochat, Told, key};

/// A service whose people exchange text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Videochat,
    Chatroom,
    Packetchat,
    LanChat,
    Web,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Videochat => "videochat",
            Kind::Chatroom => "chatroom",
            Kind::Packetchat => "packetchat",
            Kind::LanChat => "lan_chat",
            Kind::Web => "web",
        }
    }

    /// The most that one piece has which is said to somebody with a key, in bytes.
    fn piece(self) -> usize {
        match self {
            Kind::Videochat => 190,
            Kind::Chatroom => 117,
            Kind::Packetchat => 20_000,
            Kind::LanChat => 2_000,
            Kind::Web => 16_000,
        }
    }
}

/// Somebody of one service.
pub struct Guest {
    pub kind: Kind,
    pub name: String,
    client: Speaker,
    next: u64,
    /// The messages of packetchat that were read: what is repeated is no other one.
    seen: HashSet<u64>,
}

enum Speaker {
    Videochat(OldVideochat),
    Chatroom(OldChatroom),
    Packetchat(Client),
    LanChat(Chatter),
    Web(Box<Page>),
}

/// What somebody read, and whose words it seems to be, in the spelling of the reader's service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub from: String,
    pub text: String,
}

impl Guest {
    /// Somebody with this name, if the service has names, and key number `n`.
    pub fn enter(house: &House, kind: Kind, name: &str, n: usize) -> Guest {
        let client = match kind {
            Kind::Videochat => Speaker::Videochat(OldVideochat::join(house, name, key(2048, n))),
            Kind::Chatroom => {
                let mut client = OldChatroom::join(house, name, key(1024, n));
                client.send(b"[CHAT]");
                Speaker::Chatroom(client)
            }
            Kind::Packetchat => {
                let mut client = Client::join(house, name);
                client.acknowledges = true;
                Speaker::Packetchat(client)
            }
            Kind::LanChat => {
                let ip = Ipv4Addr::new(127, 0, 0, u8::try_from(n + 1).unwrap());
                Speaker::LanChat(Chatter::enter_from(house, ip))
            }
            Kind::Web => Speaker::Web(Page::enter(house, name).into()),
        };
        let name = match &client {
            Speaker::LanChat(chatter) => chatter.address().ip().to_string(),
            _ => name.to_owned(),
        };
        Guest {
            kind,
            name,
            client,
            next: 0,
            seen: HashSet::new(),
        }
    }

    /// The name that people of `kind` see.
    pub fn name_in(&self, kind: Kind) -> String {
        match kind {
            Kind::Videochat | Kind::Chatroom if kind != self.kind => {
                format!("{}@{}", self.name, self.kind.name())
            }
            _ => self.name.clone(),
        }
    }

    /// Waits until this one knows of somebody, under the name that this service has for it.
    pub fn sees(&mut self, name: &str) {
        match &mut self.client {
            Speaker::Videochat(client) => {
                while !client.people.contains_key(name) {
                    client.any();
                }
            }
            Speaker::Chatroom(client) => {
                while !client.people.contains_key(name) {
                    client.any();
                }
            }
            Speaker::Packetchat(client) => {
                number_of(client, name);
            }
            Speaker::Web(page) => drop(page.sees(name)),
            // The protocol has no word for it.
            Speaker::LanChat(_) => {}
        }
    }

    /// Says this to somebody of that name, in as many pieces as the service needs; to all where it can't
    /// choose.
    pub fn say(&mut self, to: &str, text: &str) {
        self.sees(to);
        for piece in pieces(text, self.kind.piece()) {
            self.say_piece(to, piece);
        }
    }

    fn say_piece(&mut self, to: &str, text: &str) {
        match &mut self.client {
            Speaker::Videochat(client) => client.say(to, text),
            Speaker::Chatroom(client) => {
                let message = client.message(to, text);
                client.send(&message);
                // As people do: what has no length is one message if a pause is around it.
                std::thread::sleep(GAP / 2);
            }
            Speaker::Packetchat(client) => {
                let number = number_of(client, to);
                self.next += 1;
                let request = client.message(number, self.next, text.as_bytes());
                client.ask(&request);
            }
            Speaker::LanChat(chatter) => chatter.say(format!("{text}\n")),
            Speaker::Web(page) => page.say(to, text),
        }
    }

    /// Says this to all.
    pub fn say_to_all(&mut self, text: &str) {
        match &mut self.client {
            Speaker::Packetchat(client) => {
                self.next += 1;
                client.ask(&client.broadcast(self.next, text.as_bytes()));
            }
            Speaker::LanChat(chatter) => chatter.say(format!("{text}\n")),
            Speaker::Web(page) => page.say_to_all(text),
            _ => panic!("{:?} has no word for it", self.kind),
        }
    }

    /// The next that is for this one to read.
    pub fn read(&mut self) -> Read {
        match &mut self.client {
            Speaker::Videochat(client) => loop {
                if let Told::Json(json) = client.next()
                    && json["identifier"] == "Communication"
                    && let Some(text) = client.decrypt(&json)
                {
                    let from = json["from"].as_str().unwrap().to_owned();
                    return Read { from, text };
                }
            },
            Speaker::Chatroom(client) => loop {
                if let Heard::Chat(message) = client.next()
                    && let Some(text) = client.decrypt(&message)
                {
                    let from = String::new();
                    return Read { from, text };
                }
            },
            Speaker::Packetchat(client) => {
                let heard = loop {
                    let heard = client.hear();
                    if self.seen.insert(heard.message) {
                        break heard;
                    }
                };
                let text = String::from_utf8(heard.text).unwrap();
                let from = client.name_of(heard.sender);
                Read { from, text }
            }
            Speaker::Web(page) => {
                let said = page.hears();
                let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
                Read {
                    from: text(&said["from"]["name"]),
                    text: text(&said["text"]),
                }
            }
            Speaker::LanChat(chatter) => {
                let line = chatter.hear_line();
                let line = line
                    .strip_prefix('<')
                    .and_then(|line| line.strip_suffix('\n'));
                let (from, text) = line.and_then(|line| line.split_once("> ")).expect("a line");
                Read {
                    from: from.to_owned(),
                    text: text.to_owned(),
                }
            }
        }
    }

    /// Reads exactly `text` from somebody who is called `from` here, however many messages it takes.
    pub fn reads(&mut self, from: &str, text: &str) {
        let mut expected = text.to_owned();
        let mut read = String::new();
        let opening = match self.kind {
            // Where the sender stands in the text, it stands in each text that is said.
            Kind::Chatroom => format!("{from}: "),
            _ => String::new(),
        };
        if self.kind == Kind::Chatroom {
            expected.insert_str(0, &opening);
        }
        while read.len() < expected.len() {
            let next = self.read();
            if self.kind != Kind::Chatroom {
                assert_eq!(next.from, from, "{next:?}");
            }
            // Each message that another service cut has it, too.
            let again = !read.is_empty() && !opening.is_empty() && next.text.starts_with(&opening);
            read += if again {
                &next.text[opening.len()..]
            } else {
                &next.text
            };
            assert!(expected.starts_with(&read), "{read:?} is not {expected:?}");
        }
    }

    /// Nothing comes for this one to read.
    pub fn reads_nothing(&mut self) {
        match &mut self.client {
            Speaker::Packetchat(client) => {
                while let Some(heard) = client.hear_by(Instant::now() + SILENCE) {
                    assert!(self.seen.contains(&heard.message), "{heard:?}");
                }
            }
            Speaker::LanChat(chatter) => chatter.assert_silent(),
            _ => panic!("{:?} hears what others can read", self.kind),
        }
    }

    pub fn chatroom(&mut self) -> &mut OldChatroom {
        match &mut self.client {
            Speaker::Chatroom(client) => client,
            _ => panic!("{:?} is not of chatroom", self.kind),
        }
    }

    pub fn videochat(&mut self) -> &mut OldVideochat {
        match &mut self.client {
            Speaker::Videochat(client) => client,
            _ => panic!("{:?} is not of videochat", self.kind),
        }
    }

    pub fn packetchat(&mut self) -> &mut Client {
        match &mut self.client {
            Speaker::Packetchat(client) => client,
            _ => panic!("{:?} is not of packetchat", self.kind),
        }
    }
}

/// The number of somebody in packetchat, who may be about to come.
fn number_of(client: &mut Client, name: &str) -> u64 {
    crate::support::wait_for(name, || {
        let users = client.users();
        users.into_iter().find(|user| client.name_of(*user) == name)
    })
}

/// `text` in pieces of so many bytes at most, cut between characters.
fn pieces(text: &str, most: usize) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let mut end = most.min(rest.len());
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, more) = rest.split_at(end);
        pieces.push(piece);
        rest = more;
    }
    pieces
}

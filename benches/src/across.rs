//! A thousand people of four services in one room, and somebody who says something: how long until
//! everyone has it, each in the words of their own protocol.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use playhouse_protocols::packetchat::{Numbering, Request, Response, decode_response};
use playhouse_protocols::videochat::{ServerMessage, decode_server};
use playhouse_protocols::wire::Step;

use crate::cores::Cores;
use crate::server::Server;
use crate::web_socket::{self, Messages};
use crate::{Figure, Outcome, udp, videochat};

/// People of each service, the speakers among them.
const CROWD: [(Kind, usize); 4] = [
    (Kind::Web, 300),
    (Kind::LanChat, 300),
    (Kind::Packetchat, 300),
    (Kind::Videochat, 100),
];
/// Between two messages.
const EVERY: Duration = Duration::from_millis(100);
/// What has not come for so long does not come any more.
const QUIET: Duration = Duration::from_secs(10);
/// Lists of people have been read when nothing comes for so long.
const SETTLED: Duration = Duration::from_millis(500);
/// packetchat's sessions are over after 30 s without a packet.
const PRESERVE: Duration = Duration::from_secs(10);
const LIST: usize = 16 << 20;
/// What a message says, and then its number.
const MARK: &[u8] = b"number ";
const DIGITS: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Web,
    LanChat,
    Packetchat,
    Videochat,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Web, Kind::LanChat, Kind::Packetchat, Kind::Videochat];
    /// Who speaks: those whose words the house reads.
    const SPEAKERS: [Kind; 3] = [Kind::Web, Kind::LanChat, Kind::Packetchat];

    fn name(self) -> &'static str {
        match self {
            Kind::Web => "web",
            Kind::LanChat => "lan_chat",
            Kind::Packetchat => "packetchat",
            Kind::Videochat => "videochat",
        }
    }
}

/// One way in, and what has come of it.
enum Ear {
    Web(mio::net::TcpStream, Messages),
    LanChat(mio::net::TcpStream, Vec<u8>),
    /// With the number of its session.
    Packetchat(mio::net::UdpSocket, u64),
    Videochat(mio::net::TcpStream, Vec<u8>),
}

struct Person {
    kind: Kind,
    ear: Ear,
    /// Encrypted messages so far; they come in order.
    heard: usize,
    /// Whether each message has come: packetchat repeats those whose receipt is late.
    has: Vec<bool>,
}

struct Room {
    people: Vec<Person>,
    poll: Poll,
    /// When each message was said, and by whom.
    said: Vec<(Instant, usize)>,
    /// Of each kind of recipient, in milliseconds.
    ways: [Vec<f64>; 4],
}

/// Prints how long messages take.
pub fn run(playhouse: &Path, rounds: usize, seconds: f64) -> Outcome {
    let cores = Cores::part()?;
    let all: usize = CROWD.iter().map(|(_, people)| people).sum();
    let of = CROWD.map(|(kind, people)| format!("{people} {}", kind.name()));
    println!(
        "across services: {all} people in the room ({}), 10 messages/s by web, lan_chat and packetchat in turn",
        of.join(", ")
    );
    let mut figures: [[Vec<f64>; 2]; 5] = Default::default();
    for _ in 0..rounds {
        let no_videos = tempfile::tempdir()?;
        let start = || Server::playhouse(playhouse, no_videos.path(), &[]);
        let server = cores.for_server(start)??;
        let mut room = Room::open(&server)?;
        room.settle()?;
        room.talk(Duration::from_secs_f64(seconds))?;
        let everyone: Vec<f64> = room.ways.iter().flatten().copied().collect();
        for (ways, figures) in room.ways.iter().chain([&everyone]).zip(&mut figures) {
            let mut ways = ways.clone();
            ways.sort_by(f64::total_cmp);
            for (share, figures) in [0.5, 0.99].into_iter().zip(figures) {
                let at = (ways.len().saturating_sub(1) as f64 * share) as usize;
                figures.push(ways.get(at).copied().unwrap_or(f64::NAN));
            }
        }
    }
    let names = Kind::ALL.map(Kind::name).into_iter().chain(["everyone"]);
    for (name, [p50, p99]) in names.zip(figures) {
        let [p50, p99] = [p50, p99].map(Figure::of);
        println!(
            "    until {name:<10} has it: p50 {:>8.2} ms ({:.2}–{:.2})   p99 {:>8.2} ms ({:.2}–{:.2})",
            p50.median, p50.least, p50.most, p99.median, p99.least, p99.most
        );
    }
    println!();
    Ok(())
}

impl Room {
    fn open(server: &Server) -> Outcome<Room> {
        let poll = Poll::new()?;
        let mut people = Vec::new();
        for (kind, count) in CROWD {
            let address = server.address_of(kind.name())?;
            for n in 0..count {
                people.push(Person {
                    kind,
                    ear: enter(kind, address, n)?,
                    heard: 0,
                    has: vec![],
                });
            }
        }
        for (n, person) in people.iter_mut().enumerate() {
            let (registry, token) = (poll.registry(), Token(n));
            match &mut person.ear {
                Ear::Web(stream, _) | Ear::LanChat(stream, _) | Ear::Videochat(stream, _) => {
                    registry.register(stream, token, Interest::READABLE)?;
                }
                Ear::Packetchat(socket, _) => {
                    registry.register(socket, token, Interest::READABLE)?;
                }
            }
        }
        Ok(Room {
            people,
            poll,
            said: vec![],
            ways: Default::default(),
        })
    }

    /// Reads until nothing comes any more.
    fn settle(&mut self) -> Outcome {
        let (since, mut last) = (Instant::now(), Instant::now());
        while last.elapsed() < SETTLED {
            if self.hear(SETTLED)? {
                last = Instant::now();
            }
            if since.elapsed() > 6 * QUIET {
                return Err("the lists of people do not end".into());
            }
        }
        for person in &mut self.people {
            person.heard = 0;
        }
        Ok(())
    }

    /// Somebody says something, again and again, for so long; everyone else hears all of it.
    fn talk(&mut self, time: Duration) -> Outcome {
        let speakers = Kind::SPEAKERS.map(|kind| self.people.iter().position(|p| p.kind == kind));
        let (start, mut due, mut preserved) = (Instant::now(), Instant::now(), Instant::now());
        while start.elapsed() < time {
            let now = Instant::now();
            if now >= due {
                due += EVERY;
                let speaker = speakers[self.said.len() % speakers.len()].ok_or("nobody speaks")?;
                self.say(speaker)?;
            }
            if preserved.elapsed() > PRESERVE {
                preserved = Instant::now();
                self.preserve()?;
            }
            self.hear(due.saturating_duration_since(Instant::now()))?;
        }
        let expected = self.said.len() * (self.people.len() - 1);
        let (mut came, mut last) = (self.came(), Instant::now());
        while came < expected {
            self.hear(EVERY)?;
            if self.came() > came {
                (came, last) = (self.came(), Instant::now());
            }
            if last.elapsed() > QUIET {
                return Err(format!("{came} of {expected} messages came").into());
            }
        }
        if came > expected {
            return Err(format!("{came} messages came, and {expected} were said").into());
        }
        Ok(())
    }

    fn came(&self) -> usize {
        self.ways.iter().map(Vec::len).sum()
    }

    fn say(&mut self, speaker: usize) -> Outcome {
        let number = self.said.len();
        let text = format!("{}{number:0DIGITS$}", String::from_utf8_lossy(MARK));
        let person = self.people.get_mut(speaker).ok_or("nobody speaks")?;
        self.said.push((Instant::now(), speaker));
        match &mut person.ear {
            Ear::Web(stream, _) => {
                web_socket::say(stream, &serde_json::json!({"type": "say", "text": text}))?;
            }
            Ear::LanChat(stream, _) => stream.write_all(format!("{text}\n").as_bytes())?,
            Ear::Packetchat(socket, session) => {
                let request = Request::Broadcast {
                    session: *session,
                    message: number as u64,
                    text: text.as_bytes(),
                };
                socket.send(&request.packet())?;
            }
            Ear::Videochat(..) => return Err("it would have to encrypt".into()),
        }
        Ok(())
    }

    fn preserve(&mut self) -> Outcome {
        for person in &self.people {
            if let Ear::Packetchat(socket, session) = &person.ear {
                let session = *session;
                socket.send(&Request::Preserve { session }.packet())?;
            }
        }
        Ok(())
    }

    /// Takes what comes within `time`; whether anything did.
    fn hear(&mut self, time: Duration) -> Outcome<bool> {
        let mut events = Events::with_capacity(1024);
        self.poll.poll(&mut events, Some(time))?;
        let (mut buffer, mut any) = (vec![0; 256 * 1024], false);
        for event in &events {
            let n = event.token().0;
            let Person {
                kind,
                ear,
                heard,
                has,
            } = &mut self.people[n];
            let (said, ways) = (&self.said, &mut self.ways[*kind as usize]);
            loop {
                let read = match ear {
                    Ear::Web(stream, _) | Ear::LanChat(stream, _) | Ear::Videochat(stream, _) => {
                        stream.read(&mut buffer)
                    }
                    Ear::Packetchat(socket, _) => socket.recv(&mut buffer),
                };
                let read = match read {
                    Ok(0) => return Err("the server has closed a connection".into()),
                    Ok(read) => read,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) => return Err(e.into()),
                };
                any = true;
                let (now, came) = (Instant::now(), &buffer[..read]);
                let mut note = |number: Option<usize>| {
                    // One's own words come back to web people.
                    if let Some(number) = number
                        && let Some(&(at, speaker)) = said.get(number)
                        && speaker != n
                    {
                        has.resize(said.len().max(has.len()), false);
                        if std::mem::replace(&mut has[number], true) {
                            return;
                        }
                        ways.push((now - at).as_secs_f64() * 1000.0);
                    }
                };
                match ear {
                    Ear::Web(_, messages) => messages.take(came, |text, start| {
                        if text && start.starts_with(b"{\"type\":\"said\"") {
                            note(number_in(start));
                        }
                    }),
                    Ear::LanChat(_, unread) => {
                        unread.extend_from_slice(came);
                        while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                            note(number_in(&unread[..end]));
                            unread.drain(..=end);
                        }
                    }
                    Ear::Packetchat(socket, _) => {
                        if let Ok(Response::Incoming { message, text, .. }) =
                            decode_response(came, Numbering::Client)
                        {
                            note(number_in(text));
                            socket.send(&Request::Received { message }.packet())?;
                        }
                    }
                    Ear::Videochat(_, unread) => {
                        unread.extend_from_slice(came);
                        while let Step::Got { message, used } = decode_server(unread, LIST)? {
                            if let ServerMessage::Json(json) = message
                                && json["identifier"] == "Communication"
                            {
                                note(Some(*heard));
                                *heard += 1;
                            }
                            unread.drain(..used);
                        }
                    }
                }
            }
        }
        Ok(any)
    }
}

/// The number of a message, from whatever stands around its text.
fn number_in(text: &[u8]) -> Option<usize> {
    let at = text.windows(MARK.len()).position(|window| window == MARK)?;
    let digits = text.get(at + MARK.len()..at + MARK.len() + DIGITS)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn enter(kind: Kind, address: SocketAddr, n: usize) -> Outcome<Ear> {
    let name = format!("{} {n}", kind.name());
    let quiet = |stream: TcpStream| -> Outcome<mio::net::TcpStream> {
        stream.set_nonblocking(true)?;
        Ok(mio::net::TcpStream::from_std(stream))
    };
    Ok(match kind {
        Kind::Web => Ear::Web(
            quiet(web_socket::join(address, &name)?)?,
            Messages::default(),
        ),
        Kind::LanChat => Ear::LanChat(quiet(TcpStream::connect(address)?)?, vec![]),
        Kind::Videochat => Ear::Videochat(quiet(videochat::join(address, &name)?)?, vec![]),
        Kind::Packetchat => {
            let socket = udp::connect(address)?;
            let session = session(&socket, &name)?;
            Ear::Packetchat(mio::net::UdpSocket::from_std(socket), session)
        }
    })
}

/// The number of a new session.
fn session(socket: &UdpSocket, name: &str) -> Outcome<u64> {
    let (since, mut packet) = (Instant::now(), [0; 512]);
    let name = name.as_bytes();
    while since.elapsed() < QUIET {
        socket.send(&Request::Session { name }.packet())?;
        udp::wait([socket], Duration::from_secs(1))?;
        if let Ok(read) = socket.recv(&mut packet)
            && let Ok(Response::Cookie { session, .. }) =
                decode_response(&packet[..read], Numbering::Client)
        {
            return Ok(session);
        }
    }
    Err("packetchat gives no session".into())
}

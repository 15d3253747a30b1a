//! Many packetchat sessions of few sockets: they preserve themselves, and messages go between random
//! pairs of them.

use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use playhouse_protocols::packetchat::{Numbering, Request, Response, decode_response};

use crate::{Outcome, udp};

/// Each session preserves itself once in this time.
pub const PERIOD: Duration = Duration::from_secs(10);
/// Messages in flight are sent at this distance, however long they take.
const DISTANCE: Duration = Duration::from_millis(1);
const TEXT: usize = 64;
/// Sessions that are asked for at once.
const AT_ONCE: usize = 64;
const REPEAT: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);

struct Member {
    socket: usize,
    user: u64,
    session: u64,
    /// When it last had a cookie.
    cookie: Instant,
}

/// A message under the number that is its place in the list.
struct Message {
    from: usize,
    to: usize,
    sent: Instant,
    /// Until its recipient had it.
    way: Option<Duration>,
    acknowledged: bool,
}

pub struct Crowd {
    sockets: Vec<UdpSocket>,
    members: Vec<Member>,
    by_session: HashMap<u64, usize>,
    messages: Vec<Message>,
    /// Who preserves itself next, how many more should have done so by `paid`.
    turn: usize,
    owed: f64,
    paid: Instant,
    random: u64,
    /// Messages that were sent again: by us, by the server.
    pub repeats: u64,
    pub server_repeats: u64,
}

impl Crowd {
    /// `count` sessions, on so many sockets in turn.
    pub fn open(server: SocketAddr, count: usize, sockets: usize) -> Outcome<Crowd> {
        let sockets: Vec<_> = (0..sockets)
            .map(|_| udp::connect(server))
            .collect::<Result<_, _>>()?;
        let mut crowd = Crowd {
            sockets,
            members: Vec::with_capacity(count),
            by_session: HashMap::with_capacity(count),
            messages: vec![],
            turn: 0,
            owed: 0.0,
            paid: Instant::now(),
            random: 0x9e37_79b9_7f4a_7c15,
            repeats: 0,
            server_repeats: 0,
        };
        let at_once = AT_ONCE.min(count.div_ceil(crowd.sockets.len()));
        for socket in (0..crowd.sockets.len()).cycle() {
            let here = crowd.members.len();
            if here == count {
                break;
            }
            crowd.open_some(socket, at_once.min(count - here))?;
        }
        Ok(crowd)
    }

    /// `count` more, all of one socket.
    fn open_some(&mut self, socket: usize, count: usize) -> Outcome {
        let here = self.members.len();
        let since = Instant::now();
        let mut asked: Option<Instant> = None;
        while self.members.len() < here + count {
            let now = Instant::now();
            if now - since > PATIENCE {
                return Err(
                    format!("{} of {count} sessions open", self.members.len() - here).into(),
                );
            }
            // Cookies don't say whose they are, and need not: a name that is repeated gets the same one.
            if asked.is_none_or(|asked| now - asked > REPEAT) {
                for n in here..here + count {
                    let name = format!("sleeper {n}");
                    let name = name.as_bytes();
                    self.send(socket, &Request::Session { name })?;
                }
                asked = Some(now);
            }
            self.preserve(now)?;
            self.wait(Duration::from_millis(20))?;
            self.take()?;
        }
        Ok(())
    }

    /// Nothing was owed while the crowd was left alone.
    pub fn resume(&mut self) {
        self.paid = Instant::now();
    }

    /// Lets those preserve themselves whose turn it is, evenly over the period.
    fn preserve(&mut self, now: Instant) -> Outcome {
        let share = (now - self.paid).as_secs_f64() / PERIOD.as_secs_f64();
        self.owed += share * self.members.len() as f64;
        self.paid = now;
        while self.owed >= 1.0 {
            self.owed -= 1.0;
            self.turn = (self.turn + 1) % self.members.len();
            let Member {
                socket, session, ..
            } = self.members[self.turn];
            self.send(socket, &Request::Preserve { session })?;
        }
        Ok(())
    }

    /// Only preserves, for so long.
    pub fn idle(&mut self, time: Duration) -> Outcome {
        let until = Instant::now() + time;
        self.resume();
        while Instant::now() < until {
            self.preserve(Instant::now())?;
            self.wait(DISTANCE)?;
            self.take()?;
        }
        Ok(())
    }

    /// An error unless every session is alive: each gets one more cookie.
    pub fn check(&mut self) -> Outcome {
        let since = Instant::now();
        for n in 0..self.members.len() {
            let started = Instant::now();
            let mut asked: Option<Instant> = None;
            while self.members[n].cookie < since {
                let now = Instant::now();
                if now - started > PATIENCE {
                    return Err(format!("session {n} is no more").into());
                }
                if asked.is_none_or(|asked| now - asked > REPEAT) {
                    let Member {
                        socket, session, ..
                    } = self.members[n];
                    self.send(socket, &Request::Preserve { session })?;
                    asked = Some(now);
                }
                self.wait(DISTANCE)?;
                self.take()?;
            }
        }
        Ok(())
    }

    /// Sends a message between two random members each millisecond, and returns how long each took from
    /// `send` to its recipient's `recv`; all of them were right, and acknowledged to their senders.
    pub fn talk(&mut self, count: usize) -> Outcome<Vec<Duration>> {
        let first = self.messages.len();
        let end = first + count;
        let mut pending = VecDeque::new();
        let start = Instant::now();
        let mut last = start;
        self.resume();
        while self.messages.len() < end || !pending.is_empty() {
            let now = Instant::now();
            let due = start + DISTANCE * (self.messages.len() - first) as u32;
            if due <= now && self.messages.len() < end {
                pending.push_back((self.messages.len(), now));
                self.send_new_message()?;
                last = now;
            }
            self.preserve(now)?;
            while let Some(&(number, at)) = pending.front() {
                if !self.messages[number].acknowledged {
                    if now - at < REPEAT {
                        break;
                    }
                    self.repeats += 1;
                    self.send_message(number)?;
                    pending.push_back((number, now));
                }
                pending.pop_front();
            }
            if now - last > PATIENCE {
                return Err(format!("{} messages are not acknowledged", pending.len()).into());
            }
            let due = start + DISTANCE * (self.messages.len() - first) as u32;
            self.wait(due.saturating_duration_since(Instant::now()).min(DISTANCE))?;
            self.take()?;
        }
        let ways = self.messages[first..].iter().map(|message| message.way);
        ways.map(|way| way.ok_or("a message was acknowledged before it came".into()))
            .collect()
    }

    fn send_new_message(&mut self) -> Outcome {
        let from = self.below(self.members.len());
        let others = self.below(self.members.len() - 1);
        let to = (from + 1 + others) % self.members.len();
        self.messages.push(Message {
            from,
            to,
            sent: Instant::now(),
            way: None,
            acknowledged: false,
        });
        self.send_message(self.messages.len() - 1)
    }

    fn send_message(&self, number: usize) -> Outcome {
        let Message { from, to, .. } = self.messages[number];
        let (from, text) = (&self.members[from], text(number));
        let request = Request::Message {
            session: from.session,
            to: self.members[to].user,
            message: number as u64,
            text: text.as_bytes(),
        };
        self.send(from.socket, &request)
    }

    fn below(&mut self, end: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % end as u64) as usize
    }

    fn send(&self, socket: usize, request: &Request) -> Outcome {
        self.sockets[socket].send(&request.packet())?;
        Ok(())
    }

    fn wait(&self, time: Duration) -> Outcome {
        Ok(udp::wait(&self.sockets, time)?)
    }

    /// Takes whatever has come.
    fn take(&mut self) -> Outcome {
        let mut packet = [0; 512];
        for socket in 0..self.sockets.len() {
            loop {
                match self.sockets[socket].recv(&mut packet) {
                    Ok(length) => self.taken(socket, &packet[..length], Instant::now())?,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) => return Err(e.into()),
                }
            }
        }
        Ok(())
    }

    fn taken(&mut self, socket: usize, packet: &[u8], now: Instant) -> Outcome {
        let response = decode_response(packet, Numbering::Client)?;
        let wrong = || Err(format!("{response:?} is not for socket {socket}").into());
        match response {
            Response::Cookie { user, session } => match self.by_session.get(&session) {
                Some(&n) => {
                    let member = &mut self.members[n];
                    if (member.user, member.socket) != (user, socket) {
                        return wrong();
                    }
                    member.cookie = now;
                }
                None => {
                    self.by_session.insert(session, self.members.len());
                    self.members.push(Member {
                        socket,
                        user,
                        session,
                        cookie: now,
                    });
                }
            },
            Response::Incoming {
                sender,
                message,
                text: words,
            } => {
                let number = number(words);
                let known = number.and_then(|number| self.messages.get_mut(number));
                let Some(known) = known else { return wrong() };
                if self.members[known.from].user != sender
                    || self.members[known.to].socket != socket
                {
                    return wrong();
                }
                match known.way {
                    None => known.way = Some(now - known.sent),
                    Some(_) => self.server_repeats += 1,
                }
                self.send(socket, &Request::Received { message })?;
            }
            Response::Message { message } => {
                let known = usize::try_from(message).ok();
                let known = known.and_then(|number| self.messages.get_mut(number));
                match known {
                    Some(known) if self.members[known.from].socket == socket => {
                        known.acknowledged = true;
                    }
                    _ => return wrong(),
                }
            }
            _ => return wrong(),
        }
        Ok(())
    }
}

/// What message `number` says.
fn text(number: usize) -> String {
    format!("{number:0TEXT$}")
}

/// The number of the message that says this, if one does.
fn number(words: &[u8]) -> Option<usize> {
    let number = str::from_utf8(words).ok()?.parse().ok()?;
    (text(number).as_bytes() == words).then_some(number)
}

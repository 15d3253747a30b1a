//! The load of a chat: one sender, one loop that reads everybody. The sender stays at most a window ahead
//! of the receivers' average.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use crate::Outcome;

/// Bytes of a message's content: an RSA block of 2,048 bits in base64.
pub const PAYLOAD: usize = 344;
/// Messages in one write of the sender, at most.
const BURST: u64 = 256;
const READ: usize = 256 * 1024;
/// Whoever has heard nothing for so long has heard all; merged lists of a thousand people take a second.
const QUIET: Duration = Duration::from_millis(if cfg!(test) { 500 } else { 2000 });
const WARM_UP: Duration = Duration::from_millis(500);

/// Sender and receivers of one server.
pub struct Load {
    pub sender: TcpStream,
    pub receivers: Vec<TcpStream>,
    /// A message as it is sent …
    pub message: Vec<u8>,
    /// … and as each receiver gets it.
    pub received: Vec<u8>,
}

impl Load {
    /// Deliveries a second, with at most `window` messages on their way to a receiver.
    ///
    /// # Errors
    /// Also if anybody gets anything but each message, whole and once.
    pub fn measure(self, seconds: f64, window: u64) -> Outcome<f64> {
        let poll = Poll::new()?;
        let count = self.receivers.len();
        let mut sender = Sender::new(self.sender, &self.message, &poll, Token(count))?;
        let mut crowd = Crowd::new(self.receivers, &self.received, poll)?;
        crowd.hear_greetings(&mut sender)?;

        let (start, length) = (Instant::now(), Duration::from_secs_f64(seconds));
        let mut counted: Option<(Instant, u64)> = None;
        loop {
            let elapsed = start.elapsed();
            if elapsed > WARM_UP && counted.is_none() {
                counted = Some((Instant::now(), crowd.bytes));
            }
            if elapsed > WARM_UP + length {
                break;
            }
            let free = |sender: &Sender| {
                let ahead = sender.sent().saturating_sub(crowd.messages_each());
                window.saturating_sub(ahead)
            };
            if sender.writable {
                sender.send(free(&sender))?;
            }
            let wait = match sender.writable && free(&sender) > 0 {
                true => Duration::ZERO,
                false => Duration::from_millis(100),
            };
            crowd.hear(&mut sender, wait)?;
        }
        let (since, before) = counted.ok_or("too short")?;
        let messages = (crowd.bytes - before) as f64 / crowd.length as f64;
        let rate = messages / since.elapsed().as_secs_f64();
        crowd.hear_the_rest(&mut sender)?;
        Ok(rate)
    }
}

struct Sender {
    stream: mio::net::TcpStream,
    token: Token,
    /// The message, again and again.
    burst: Vec<u8>,
    /// Of one message, in bytes.
    length: u64,
    /// Bytes.
    written: u64,
    writable: bool,
}

impl Sender {
    fn new(stream: TcpStream, message: &[u8], poll: &Poll, token: Token) -> Outcome<Sender> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, token, interest)?;
        Ok(Sender {
            stream,
            token,
            burst: message.repeat(BURST as usize),
            length: message.len() as u64,
            written: 0,
            writable: true,
        })
    }

    /// Whole messages.
    fn sent(&self) -> u64 {
        self.written / self.length
    }

    /// So many more messages at most, one of which may have begun.
    fn send(&mut self, messages: u64) -> Outcome {
        let at = self.written % self.length;
        let end = messages.min(BURST) * self.length;
        if at >= end {
            return Ok(());
        }
        match self.stream.write(&self.burst[at as usize..end as usize]) {
            Ok(n) => self.written += n as u64,
            Err(e) if e.kind() == ErrorKind::WouldBlock => self.writable = false,
            Err(e) => return Err(e.into()),
        }
        Ok(())
    }

    /// Half a line that is followed by silence counts as a message where lines are sent, so a message that
    /// has begun has to go out first.
    fn finish(&mut self) -> Outcome {
        match self.written % self.length {
            0 => Ok(()),
            _ => self.send(1),
        }
    }
}

struct Receiver {
    stream: mio::net::TcpStream,
    /// Since the greetings.
    bytes: u64,
}

struct Crowd {
    poll: Poll,
    events: Events,
    receivers: Vec<Receiver>,
    /// The received message again and again, as much as one read brings.
    expected: Vec<u8>,
    /// Of one received message, in bytes.
    length: u64,
    /// Those of all together.
    bytes: u64,
    buffer: Vec<u8>,
}

impl Crowd {
    fn new(streams: Vec<TcpStream>, received: &[u8], poll: Poll) -> Outcome<Crowd> {
        let mut receivers = Vec::with_capacity(streams.len());
        for (n, stream) in streams.into_iter().enumerate() {
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(n), Interest::READABLE)?;
            receivers.push(Receiver { stream, bytes: 0 });
        }
        Ok(Crowd {
            poll,
            events: Events::with_capacity(1024),
            receivers,
            expected: received.repeat(READ / received.len() + 2),
            length: received.len() as u64,
            bytes: 0,
            buffer: vec![0; READ],
        })
    }

    /// On average.
    fn messages_each(&self) -> u64 {
        self.bytes / (self.length * self.receivers.len() as u64)
    }

    /// Greetings and lists of people come first.
    fn hear_greetings(&mut self, sender: &mut Sender) -> Outcome {
        let mut last = Instant::now();
        while last.elapsed() < QUIET {
            self.poll.poll(&mut self.events, Some(QUIET))?;
            for event in &self.events {
                let stream = match self.receivers.get_mut(event.token().0) {
                    Some(receiver) => &mut receiver.stream,
                    None => &mut sender.stream,
                };
                if drain(stream, &mut self.buffer, |_| Ok(()))? > 0 {
                    last = Instant::now();
                }
            }
        }
        Ok(())
    }

    /// Waits until something comes, and reads it.
    fn hear(&mut self, sender: &mut Sender, wait: Duration) -> Outcome {
        self.poll.poll(&mut self.events, Some(wait))?;
        for event in &self.events {
            sender.finish()?;
            if event.token() == sender.token {
                sender.writable |= event.is_writable();
                if event.is_readable() {
                    drain(&mut sender.stream, &mut self.buffer, |_| Ok(()))?;
                }
            } else if event.is_readable() {
                let receiver = &mut self.receivers[event.token().0];
                self.bytes += receiver.hear(&mut self.buffer, &self.expected, self.length)?;
            }
        }
        Ok(())
    }

    /// A figure counts only if everybody got everything.
    fn hear_the_rest(&mut self, sender: &mut Sender) -> Outcome {
        let (mut last, mut before) = (Instant::now(), self.bytes);
        while last.elapsed() < QUIET {
            sender.finish()?;
            self.hear(sender, Duration::from_millis(50))?;
            if std::mem::replace(&mut before, self.bytes) < self.bytes {
                last = Instant::now();
            }
        }
        let sent = sender.sent();
        for receiver in &self.receivers {
            let (whole, cut) = (receiver.bytes / self.length, receiver.bytes % self.length);
            if whole != sent || cut != 0 {
                let got = format!("{whole} messages and {cut} bytes");
                return Err(format!("a receiver got {got} instead of {sent} messages").into());
            }
        }
        Ok(())
    }
}

impl Receiver {
    /// Reads what there is, which has to be the message again and again.
    fn hear(&mut self, buffer: &mut [u8], expected: &[u8], length: u64) -> Outcome<u64> {
        let bytes = &mut self.bytes;
        drain(&mut self.stream, buffer, |read| {
            let due = &expected[(*bytes % length) as usize..][..read.len()];
            if read != due {
                let same = read.iter().zip(due).take_while(|(got, due)| got == due);
                let message = (*bytes + same.count() as u64) / length;
                return Err(format!("a receiver got something else than message {message}").into());
            }
            *bytes += read.len() as u64;
            Ok(())
        })
    }
}

/// Reads what there is; says how many bytes.
fn drain(
    stream: &mut mio::net::TcpStream,
    buffer: &mut [u8],
    mut check: impl FnMut(&[u8]) -> Outcome,
) -> Outcome<u64> {
    let mut total = 0;
    loop {
        match stream.read(buffer) {
            Ok(0) => return Err("the server closed a connection".into()),
            Ok(n) => {
                check(&buffer[..n])?;
                total += n as u64;
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(total),
            Err(e) => return Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// What becomes of a load whose one receiver gets what `answer` makes of each message "abc;", whose
    /// number is given.
    fn measured(answer: fn(usize) -> &'static [u8]) -> Outcome<f64> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let sender = TcpStream::connect(address)?;
        let mut from = listener.accept()?.0;
        let receivers = vec![TcpStream::connect(address)?];
        let mut to = listener.accept()?.0;
        let server = thread::spawn(move || {
            let mut message = [0; 4];
            let mut number = 0;
            while from.read_exact(&mut message).is_ok() && to.write_all(answer(number)).is_ok() {
                number += 1;
            }
        });
        let load = Load {
            sender,
            receivers,
            message: b"abc;".to_vec(),
            received: b"<>abc;".to_vec(),
        };
        let rate = load.measure(0.01, 4);
        server.join().map_err(|_| "the server panicked")?;
        rate
    }

    #[test]
    fn a_figure_counts_if_everything_came() {
        measured(|_| b"<>abc;").unwrap();
    }

    #[test]
    fn a_wrong_message_is_no_delivery() {
        let error = measured(|n| if n == 9 { b"<>abx;" } else { b"<>abc;" });
        let error = error.unwrap_err().to_string();
        assert_eq!(error, "a receiver got something else than message 9");
    }

    #[test]
    fn a_lost_message_is_missed() {
        let error = measured(|n| if n == 9 { b"" } else { b"<>abc;" });
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with("a receiver got "), "{error}");
        assert!(error.contains("and 0 bytes instead of "), "{error}");
    }
}

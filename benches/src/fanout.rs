//! Chat messages of 344 bytes (one RSA block of 2,048 bits in base64) to many receivers, against
//! publish and subscribe of redis-server. One sender, one loop that reads everybody; the sender stays
//! at most a window ahead of the receivers' average.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use mio::{Events, Interest, Poll, Token};
use playhouse_protocols::videochat::{ClientMessage, client_frame};

use crate::server::Server;
use crate::videochat;
use crate::{Figure, Outcome, compare};

const PAYLOAD: usize = 344;
/// Messages in one write of the sender, at most.
const BURST: u64 = 256;
const READ: usize = 256 * 1024;
/// Whoever has heard nothing for so long has heard all; merged lists of a thousand people take a second.
const QUIET: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(500);

/// Prints the comparison.
pub fn run(playhouse: &Path, rounds: usize, seconds: f64, window: u64) -> Outcome {
    println!("chat fan-out, {PAYLOAD}-byte messages, one sender, {window} on their way");
    for receivers in [50, 1000] {
        let (mut ours, mut theirs) = (vec![], vec![]);
        for _ in 0..rounds {
            let server = Server::redis()?;
            theirs.push(redis(server.address, receivers)?.measure(seconds, window)?);
            drop(server);
            let folder = tempfile::tempdir()?;
            let server = Server::playhouse(playhouse, folder.path(), &[])?;
            ours.push(playhouse_load(server.address, receivers)?.measure(seconds, window)?);
        }
        let what = format!("to {receivers} receivers");
        compare(
            &what,
            "deliveries/s",
            &Figure::of(ours),
            &Figure::of(theirs),
            "redis-server",
        );
    }
    println!();
    Ok(())
}

/// Sender and receivers of one server.
struct Load {
    sender: TcpStream,
    receivers: Vec<TcpStream>,
    /// A message as it is sent, and the bytes of one as a receiver gets it.
    message: Vec<u8>,
    received_bytes: usize,
}

fn playhouse_load(address: SocketAddr, receivers: usize) -> Outcome<Load> {
    let receivers = (0..receivers)
        .map(|n| videochat::join(address, &format!("receiver {n}")))
        .collect::<Outcome<Vec<_>>>()?;
    let sender = videochat::join(address, "sender")?;
    let text = base64::engine::general_purpose::STANDARD.encode([7; PAYLOAD / 4 * 3]);
    let message = client_frame(
        &ClientMessage::Communication {
            encrypt_message: text.as_str().into(),
        },
        "sender",
    );
    // Ours goes out as it came in: the same members, the same name.
    let received_bytes = message.len();
    Ok(Load {
        sender,
        receivers,
        message: message.to_vec(),
        received_bytes,
    })
}

fn redis(address: SocketAddr, receivers: usize) -> Outcome<Load> {
    let receivers = (0..receivers)
        .map(|_| {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(b"*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nroom\r\n")?;
            Ok(stream)
        })
        .collect::<Outcome<Vec<_>>>()?;
    let payload = "x".repeat(PAYLOAD);
    let message = format!("*3\r\n$7\r\nPUBLISH\r\n$4\r\nroom\r\n${PAYLOAD}\r\n{payload}\r\n");
    let received = format!("*3\r\n$7\r\nmessage\r\n$4\r\nroom\r\n${PAYLOAD}\r\n{payload}\r\n");
    Ok(Load {
        sender: TcpStream::connect(address)?,
        receivers,
        message: message.into_bytes(),
        received_bytes: received.len(),
    })
}

impl Load {
    /// Deliveries a second, with at most `window` messages on their way to a receiver.
    fn measure(self, seconds: f64, window: u64) -> Outcome<f64> {
        let Load {
            sender,
            receivers,
            message,
            received_bytes,
        } = self;
        let count = receivers.len();
        let mut poll = Poll::new()?;
        let mut streams = Vec::with_capacity(count + 1);
        for (n, stream) in receivers.into_iter().chain([sender]).enumerate() {
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            let interest = match n == count {
                true => Interest::READABLE | Interest::WRITABLE,
                false => Interest::READABLE,
            };
            poll.registry().register(&mut stream, Token(n), interest)?;
            streams.push(stream);
        }
        let (mut events, mut buffer) = (Events::with_capacity(1024), vec![0; READ]);
        // Greetings and lists of people first.
        let mut last = Instant::now();
        while last.elapsed() < QUIET {
            poll.poll(&mut events, Some(QUIET))?;
            for event in &events {
                if drain(&mut streams[event.token().0], &mut buffer)? > 0 {
                    last = Instant::now();
                }
            }
        }

        let burst = message.repeat(BURST as usize);
        let (mut written, mut received) = (0_u64, 0_u64);
        let (start, length) = (Instant::now(), Duration::from_secs_f64(seconds));
        let mut counted: Option<(Instant, u64)> = None;
        let mut writable = true;
        loop {
            let elapsed = start.elapsed();
            if elapsed > WARM_UP && counted.is_none() {
                counted = Some((Instant::now(), received));
            }
            if elapsed > WARM_UP + length {
                break;
            }
            let sent = written / message.len() as u64;
            let heard = received / (received_bytes * count) as u64;
            if writable && sent - heard.min(sent) < window {
                let at = (written % message.len() as u64) as usize;
                let messages = (window - (sent - heard.min(sent))).min(BURST) as usize;
                match streams[count].write(&burst[at..messages * message.len()]) {
                    Ok(n) => written += n as u64,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => writable = false,
                    Err(e) => return Err(e.into()),
                }
            }
            let more = writable && sent - heard.min(sent) < window;
            let wait = if more {
                Duration::ZERO
            } else {
                Duration::from_millis(100)
            };
            poll.poll(&mut events, Some(wait))?;
            for event in &events {
                let n = event.token().0;
                if n == count && event.is_writable() {
                    writable = true;
                }
                if event.is_readable() {
                    let bytes = drain(&mut streams[n], &mut buffer)?;
                    received += if n < count { bytes as u64 } else { 0 };
                }
            }
        }
        let (since, before) = counted.ok_or("too short")?;
        let messages = (received - before) as f64 / received_bytes as f64;
        let rate = messages / since.elapsed().as_secs_f64();

        // A figure counts only if everybody got everything.
        let at = (written % message.len() as u64) as usize;
        let mut rest = if at > 0 { &message[at..] } else { &[] };
        let mut last = Instant::now();
        while last.elapsed() < QUIET {
            if let Ok(n) = streams[count].write(rest) {
                (rest, written) = (&rest[n..], written + n as u64);
            }
            poll.poll(&mut events, Some(Duration::from_millis(50)))?;
            for (n, stream) in streams.iter_mut().enumerate() {
                let bytes = drain(stream, &mut buffer)?;
                if bytes > 0 {
                    last = Instant::now();
                }
                received += if n < count { bytes as u64 } else { 0 };
            }
        }
        let expected = written / message.len() as u64 * (received_bytes * count) as u64;
        if received != expected {
            return Err(format!("{received} bytes came instead of {expected}").into());
        }
        Ok(rate)
    }
}

fn drain(stream: &mut mio::net::TcpStream, buffer: &mut [u8]) -> Outcome<usize> {
    let mut total = 0;
    loop {
        match stream.read(buffer) {
            Ok(0) => return Err("the server closed a connection".into()),
            Ok(n) => total += n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(total),
            Err(e) => return Err(e.into()),
        }
    }
}

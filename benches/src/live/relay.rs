//! The yardstick for live channels: the least that a relay can do. One thread takes each datagram and
//! writes it to everyone who is connected, with the bytes before it that a viewer expects. It knows no
//! users and no channels, looks at no picture, and who has not taken one whole misses the next ones.

use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr};

use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Token};
use playhouse_protocols::videochat::{FRAME_HEAD, frame_head};

use crate::{Outcome, udp};

const DOOR: Token = Token(usize::MAX);
const PICTURES: Token = Token(usize::MAX - 1);
/// More than a datagram can have.
const ROOM: usize = 1 << 16;
/// Ports that are tried until one is free for both.
const ATTEMPTS: usize = 100;

struct Viewer {
    stream: TcpStream,
    /// What the socket has not taken of the last frame.
    rest: Vec<u8>,
}

impl Viewer {
    fn show(&mut self, frame: &[u8]) -> io::Result<()> {
        if !self.rest.is_empty() {
            return Ok(());
        }
        let written = self.write(frame)?;
        self.rest.extend_from_slice(&frame[written..]);
        Ok(())
    }

    fn go_on(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.rest);
        let written = self.write(&rest)?;
        self.rest.extend_from_slice(&rest[written..]);
        Ok(())
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<usize> {
        let all = bytes.len();
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(all - bytes.len())
    }
}

/// Relays until it is killed. Says its port first: TCP for viewers, and UDP for pictures.
pub fn run() -> Outcome {
    let (mut door, mut pictures) = doors()?;
    let mut poll = Poll::new()?;
    let registry = poll.registry();
    registry.register(&mut door, DOOR, Interest::READABLE)?;
    registry.register(&mut pictures, PICTURES, Interest::READABLE)?;
    println!("ready {}", door.local_addr()?.port());
    io::stdout().flush()?;

    let mut events = Events::with_capacity(1024);
    let mut viewers: Vec<Viewer> = vec![];
    let mut frame = vec![0; FRAME_HEAD + ROOM];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                DOOR => {
                    while let Some((mut stream, _)) = unless_blocked(door.accept())? {
                        stream.set_nodelay(true)?;
                        let token = Token(viewers.len());
                        let registry = poll.registry();
                        registry.register(&mut stream, token, Interest::WRITABLE)?;
                        let rest = vec![];
                        viewers.push(Viewer { stream, rest });
                    }
                }
                PICTURES => {
                    while let Some(length) =
                        unless_blocked(pictures.recv(&mut frame[FRAME_HEAD..]))?
                    {
                        frame[..FRAME_HEAD].copy_from_slice(&frame_head(length));
                        for viewer in &mut viewers {
                            viewer.show(&frame[..FRAME_HEAD + length])?;
                        }
                    }
                }
                Token(n) => viewers[n].go_on()?,
            }
        }
    }
}

fn doors() -> Outcome<(TcpListener, UdpSocket)> {
    for _ in 0..ATTEMPTS {
        let door = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        if let Ok(pictures) = std::net::UdpSocket::bind(door.local_addr()?) {
            udp::raise_buffers(&pictures)?;
            pictures.set_nonblocking(true)?;
            return Ok((door, UdpSocket::from_std(pictures)));
        }
    }
    Err("no port is free for both TCP and UDP".into())
}

fn unless_blocked<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(e) => Err(e),
    }
}

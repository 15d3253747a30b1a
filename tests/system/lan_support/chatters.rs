//! People in lan_chat.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::connect_narrow;
use crate::support::{House, PATIENCE, assert_silent, connect};

pub const WELCOME: &[u8] = b"Welcome to this chatroom!";
/// What the old client gives to `recv`.
const OLD_RECV: usize = 2048;

/// Somebody who is in.
pub struct Chatter {
    pub stream: TcpStream,
    unread: Vec<u8>,
}

impl Chatter {
    /// Comes in, and reads the welcome.
    pub fn enter(house: &House) -> Chatter {
        Chatter::welcomed(connect(house.lan_chat()))
    }

    /// Comes in from another address of this machine.
    pub fn enter_from(house: &House, ip: Ipv4Addr) -> Chatter {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket
            .bind(&SocketAddr::new(IpAddr::V4(ip), 0).into())
            .unwrap();
        socket.connect(&house.lan_chat().into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Chatter::welcomed(stream)
    }

    /// Comes in, and has room for hardly anything that it doesn't read.
    pub fn enter_narrow(house: &House) -> Chatter {
        Chatter::welcomed(connect_narrow(house.lan_chat()))
    }

    fn welcomed(stream: TcpStream) -> Chatter {
        let mut chatter = Chatter {
            stream,
            unread: Vec::new(),
        };
        chatter.hear(WELCOME);
        chatter
    }

    pub fn address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Sends this with one write.
    pub fn say(&self, bytes: impl AsRef<[u8]>) {
        (&self.stream).write_all(bytes.as_ref()).unwrap();
    }

    /// One `recv`; false at the end.
    fn read_more(&mut self) -> bool {
        let mut buffer = [0; OLD_RECV];
        match self.stream.read(&mut buffer) {
            Ok(read) => {
                self.unread.extend_from_slice(&buffer[..read]);
                read > 0
            }
            Err(e) if e.kind() == ErrorKind::ConnectionReset => false,
            Err(e) => panic!("nothing came: {e}; unread: {:?}", self.unread),
        }
    }

    /// So many bytes.
    pub fn take(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(self.read_more(), "closed; unread: {:?}", self.unread);
        }
        self.unread.drain(..length).collect()
    }

    /// Reads exactly this.
    pub fn hear(&mut self, expected: &[u8]) {
        let heard = self.take(expected.len());
        assert!(
            heard == expected,
            "{} is not {}",
            heard.escape_ascii(),
            expected.escape_ascii()
        );
    }

    /// Reads exactly this from somebody at 127.0.0.1.
    pub fn hear_from_home(&mut self, text: impl AsRef<[u8]>) {
        self.hear(&[HOME_PREFIX, text.as_ref()].concat());
    }

    /// Reads up to a line end.
    pub fn hear_line(&mut self) -> String {
        let end = loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                break end;
            }
            assert!(self.read_more(), "closed; unread: {:?}", self.unread);
        };
        String::from_utf8(self.unread.drain(..=end).collect()).unwrap()
    }

    /// All that comes until the server closes.
    pub fn rest(mut self) -> Vec<u8> {
        while self.read_more() {}
        self.unread
    }

    pub fn assert_silent(&self) {
        assert!(self.unread.is_empty(), "{:?}", self.unread);
        assert_silent(&self.stream);
    }
}

/// What stands before what somebody at 127.0.0.1 says.
pub const HOME_PREFIX: &[u8] = b"<127.0.0.1> ";

/// The pieces of what was heard from somebody at 127.0.0.1 who wrote no `<`.
pub fn pieces(heard: &[u8]) -> Vec<&[u8]> {
    let mut rest = heard.strip_prefix(HOME_PREFIX).expect("a prefix");
    let mut pieces = Vec::new();
    while let Some(at) = rest
        .windows(HOME_PREFIX.len())
        .position(|part| part == HOME_PREFIX)
    {
        pieces.push(&rest[..at]);
        rest = &rest[at + HOME_PREFIX.len()..];
    }
    pieces.push(rest);
    pieces
}

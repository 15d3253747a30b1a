//! A tumip user whose pictures the load sends.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Instant;

use playhouse_protocols::tumip::MAX_PIXELS;

use super::pictures;
use crate::Outcome;

/// The user's number.
const USER: u32 = 32;
/// The first two bytes after the user's number: a registration, and what answers that all is well.
const REGISTER: [u8; 2] = [1, 0];

/// Where viewers of [`Camera::registered`] find its pictures.
pub fn channel() -> String {
    format!("tumip-{USER}")
}

/// Sends pictures in turn, each as a datagram with the number of its frame in it.
pub struct Camera {
    socket: UdpSocket,
    pictures: Vec<Vec<u8>>,
    /// When each frame so far was sent, by its number.
    sent: Vec<Instant>,
    /// The user's, for as long as pictures come.
    _connection: Option<TcpStream>,
}

impl Camera {
    /// One that sends to `port`, whatever is there.
    pub fn new(port: SocketAddr, pictures: &[Vec<u8>]) -> Outcome<Camera> {
        Camera::of(None, port, pictures)
    }

    /// One that sends to the port which tumip at `address` gives it.
    pub fn registered(address: SocketAddr, pictures: &[Vec<u8>]) -> Outcome<Camera> {
        let mut connection = TcpStream::connect(address)?;
        let request = [
            &USER.to_be_bytes()[..],
            &REGISTER,
            &MAX_PIXELS.to_be_bytes(),
        ]
        .concat();
        connection.write_all(&request)?;
        let mut answer = [0; 8];
        connection.read_exact(&mut answer)?;
        let [head @ .., high, low] = answer;
        if head[..] != request[..head.len()] {
            return Err(format!("tumip answers a registration with {answer:?}").into());
        }
        let port = SocketAddr::new(address.ip(), u16::from_be_bytes([high, low]));
        Camera::of(Some(connection), port, pictures)
    }

    fn of(
        connection: Option<TcpStream>,
        port: SocketAddr,
        pictures: &[Vec<u8>],
    ) -> Outcome<Camera> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(port)?;
        Ok(Camera {
            socket,
            pictures: pictures.to_vec(),
            sent: vec![],
            _connection: connection,
        })
    }

    /// Sends the next frame.
    pub fn send(&mut self) -> Outcome {
        let number = self.sent.len();
        let count = self.pictures.len();
        let picture = &mut self.pictures[number % count];
        pictures::set_number(picture, number as u64);
        self.sent.push(Instant::now());
        self.socket.send(picture)?;
        Ok(())
    }

    /// Frames sent so far.
    pub fn frames(&self) -> usize {
        self.sent.len()
    }

    /// When frame `number` was sent, and the bytes of its picture.
    pub fn frame(&self, number: usize) -> Option<(Instant, usize)> {
        let sent = self.sent.get(number)?;
        let picture = &self.pictures[number % self.pictures.len()];
        Some((*sent, picture.len()))
    }
}

//! Clients of lan_video.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use super::pickles::Array;
use crate::live_support::pictures::colour;
use crate::live_support::wait_channel;
use crate::support::{House, connect};

/// How a camera's machine writes a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// 8 bytes: Linux and macOS.
    Long,
    /// 4 bytes: Windows.
    Short,
}

impl Length {
    /// A pickle with its length before it.
    pub fn before(self, pickle: &[u8]) -> Vec<u8> {
        let length = pickle.len();
        match self {
            Length::Long => [&(length as u64).to_le_bytes()[..], pickle].concat(),
            Length::Short => {
                let length = u32::try_from(length).unwrap();
                [&length.to_le_bytes()[..], pickle].concat()
            }
        }
    }
}

/// A camera, which sends pickles and hears nothing.
pub struct Camera {
    pub stream: TcpStream,
}

impl Camera {
    pub fn connect(house: &House) -> Camera {
        Camera {
            stream: connect(house.lan_video()),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Sends these bytes with one write.
    pub fn send(&self, bytes: &[u8]) {
        (&self.stream).write_all(bytes).unwrap();
    }

    /// Sends a pickle as an old program on Linux does.
    pub fn send_pickle(&self, pickle: &[u8]) {
        self.send(&Length::Long.before(pickle));
    }

    /// Sends an array as Python 3.8 and later do by default.
    pub fn show(&self, array: &Array) {
        self.send_pickle(&array.pickle(4));
    }
}

/// Waits until a camera is on air.
pub fn wait_on_air(house: &House, name: &str) {
    wait_channel(house, name, |channel| {
        channel.is_some_and(|channel| channel.on_air)
    });
}

/// A picture of one colour, which `difference` knows by its number.
pub fn plain(number: u32, width: usize, height: usize) -> Array {
    Array::plain(height, width, colour(number))
}

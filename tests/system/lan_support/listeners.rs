//! Clients of lan_audio.

use std::io::Read;
use std::net::TcpStream;
use std::path::Path;

use super::sounds::Sound;
use super::{connect_narrow, text};
use crate::support::{House, connect};

/// Samples in a buffer.
pub const BUFFER: usize = 4096;

/// Somebody who listens.
pub struct Listener {
    pub stream: TcpStream,
    /// Samples since the sound that is known began: where the last buffer did.
    last: Option<usize>,
}

impl Listener {
    pub fn connect(house: &House) -> Listener {
        Listener::new(connect(house.lan_audio()))
    }

    /// With room for hardly anything that it doesn't read.
    pub fn connect_narrow(house: &House) -> Listener {
        Listener::new(connect_narrow(house.lan_audio()))
    }

    fn new(stream: TcpStream) -> Listener {
        Listener { stream, last: None }
    }

    /// The next buffer.
    pub fn hear(&mut self) -> Vec<i16> {
        let mut bytes = [0; 2 * BUFFER];
        self.stream.read_exact(&mut bytes).unwrap();
        let samples = bytes.as_chunks().0.iter();
        samples.map(|&pair| i16::from_le_bytes(pair)).collect()
    }

    /// So many buffers in a row.
    pub fn record(&mut self, buffers: usize) -> Vec<i16> {
        (0..buffers).flat_map(|_| self.hear()).collect()
    }

    /// Where the next buffer of a sound is, counted on through its rounds. `near` is where another listener
    /// was a moment before, for the first one, before which there may be silence.
    pub fn place(&mut self, sound: &Sound, near: usize) -> usize {
        let mut heard = self.hear();
        while self.last.is_none() && heard.iter().all(|&sample| sample == 0) {
            heard = self.hear();
        }
        let (at, length) = (sound.position(&heard), sound.length());
        let last = self.last.unwrap_or(near);
        // The one of its places that is not before `last`.
        let place = last + (at + length - last % length) % length;
        self.last = Some(place);
        place
    }
}

/// A house that plays this.
pub fn open_with_source(source: &Path, settings: &[(&str, &str)]) -> House {
    let own = [("LAN_AUDIO__SOURCE", text(source))];
    House::open_empty(&[&own, settings].concat())
}

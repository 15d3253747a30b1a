//! Clients of lan_file.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use super::contents::{Comparison, Content};
use super::{connect_narrow, text};
use crate::support::{House, connect};

/// What the old client gives to `recv`.
const OLD_RECV: usize = 1024;
/// What a client that is in a hurry gives to it.
const LARGE_RECV: usize = 64 * 1024;

/// How a transfer ends: only what ends well is a whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Clean,
    Reset,
}

/// One `recv`; its bytes, or the end.
fn recv<'a>(mut stream: &TcpStream, buffer: &'a mut [u8]) -> Result<&'a [u8], End> {
    match stream.read(buffer) {
        Ok(0) => Err(End::Clean),
        Ok(read) => Ok(&buffer[..read]),
        Err(e) if e.kind() == ErrorKind::ConnectionReset => Err(End::Reset),
        Err(e) => panic!("nothing came: {e}"),
    }
}

/// A client that reads when it is told to, 1,024 bytes at a time.
pub struct Fetcher {
    pub stream: TcpStream,
}

impl Fetcher {
    pub fn connect(house: &House) -> Fetcher {
        Fetcher {
            stream: connect(house.lan_file()),
        }
    }

    /// With room for hardly anything that it doesn't read.
    pub fn connect_narrow(house: &House) -> Fetcher {
        Fetcher {
            stream: connect_narrow(house.lan_file()),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Reads some of it.
    pub fn begin(&self, comparison: &mut Comparison) {
        comparison.next(recv(&self.stream, &mut [0; OLD_RECV]).expect("some of the file"));
    }

    /// Reads the rest of it, which has to be all there is.
    pub fn finish(&self, mut comparison: Comparison, content: Content) {
        let end = self.compare(&mut comparison, OLD_RECV);
        assert_eq!((end, comparison.came()), (End::Clean, content.size));
    }

    /// Reads to the end and looks at every byte.
    fn compare(&self, comparison: &mut Comparison, size: usize) -> End {
        let mut buffer = vec![0; size];
        loop {
            match recv(&self.stream, &mut buffer) {
                Ok(bytes) => comparison.next(bytes),
                Err(end) => return end,
            }
        }
    }

    /// Reads to the end.
    pub fn rest(&self) -> (Vec<u8>, End) {
        let (mut all, mut buffer) = (Vec::new(), [0; OLD_RECV]);
        loop {
            match recv(&self.stream, &mut buffer) {
                Ok(bytes) => all.extend_from_slice(bytes),
                Err(end) => return (all, end),
            }
        }
    }

    /// Reads to the end, which is none of a whole file.
    pub fn assert_broken_off(&self) {
        let mut buffer = [0; OLD_RECV];
        let end = loop {
            if let Err(end) = recv(&self.stream, &mut buffer) {
                break end;
            }
        };
        assert_eq!(end, End::Reset, "a part must not look like a file");
    }
}

/// What is on offer, whole.
pub fn fetch(house: &House) -> Vec<u8> {
    let (bytes, end) = Fetcher::connect(house).rest();
    assert_eq!(end, End::Clean);
    bytes
}

/// Fetches what is on offer in large pieces, and looks at every byte.
pub fn fetch_large(house: &House, content: Content) {
    let mut comparison = Comparison::new(content);
    let end = Fetcher::connect(house).compare(&mut comparison, LARGE_RECV);
    assert_eq!((end, comparison.came()), (End::Clean, content.size));
}

/// Nothing is on offer, and the log says why: in the line about this peer are all of these words.
pub fn assert_nothing_offered(house: &House, words: &[&str]) {
    let client = Fetcher::connect(house);
    assert_eq!(client.rest(), (Vec::new(), End::Clean), "{words:?}");
    super::wait_line(house, client.address(), words);
}

/// A house that offers this.
pub fn open_with_offer(offer: &Path, settings: &[(&str, &str)]) -> House {
    let own = [("LAN_FILE__OFFER", text(offer))];
    House::open_empty(&[&own, settings].concat())
}

/// What `playhouse` prints with these arguments.
pub fn does(house: &House, args: &[&str]) -> String {
    let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
    let output = house.run(&args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// What it complains about.
pub fn fails(house: &House, args: &[&str]) -> String {
    let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
    let output = house.run(&args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
    said
}

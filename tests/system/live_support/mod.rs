//! tumip's clients over real sockets, what they show, and what watches them.

pub mod model;
pub mod movie;
pub mod pictures;
pub mod ports;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};

use serde_json::Value;

use crate::support::{
    Heard, House, LiveCensus, OldChatroom, OldVideochat, Told, connect, key, recv, wait_for,
};

/// What tumip's clients give to the one `recv` for an answer.
pub const TUMIP_RECV: usize = 8024;
/// The largest picture, in pixels.
pub const MAX_PIXELS: u16 = 230 * 230;
/// Houses whose channels leave the lists soon after their last picture.
pub const SHORT_LINGER: (&str, &str) = ("LIVE__LINGER_S", "1");
/// Houses whose channels stay for as long as a test takes.
pub const LONG_LINGER: (&str, &str) = ("LIVE__LINGER_S", "3600");
/// Houses whose bot says what it is told.
pub const ECHO: (&str, &str) = ("BOT__KIND", "echo");

pub const REGISTER: u8 = 1;
pub const ASK: u8 = 3;
pub const FINE: u8 = 0;
pub const FAILED: u8 = 0x10;

/// The two forms of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Bare,
    Marked,
}

pub const FORMS: [Form; 2] = [Form::Bare, Form::Marked];

impl Form {
    /// What comes before the 8 bytes.
    pub fn marker(self) -> &'static [u8] {
        match self {
            Form::Bare => &[],
            Form::Marked => &[1],
        }
    }

    /// A request with what is behind it; `field` need not be its length.
    pub fn request(self, user: u32, request: u8, field: u16, behind: &[u8]) -> Vec<u8> {
        let (user, field) = (user.to_be_bytes(), field.to_be_bytes());
        [self.marker(), &user, &[request, 0], &field, behind].concat()
    }
}

/// What the server says to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub user: u32,
    pub request: u8,
    pub flag: u8,
    pub field: u16,
    pub text: Vec<u8>,
}

impl Answer {
    /// Reads one answer, which has to be all that `bytes` are.
    pub fn read(form: Form, bytes: &[u8]) -> Answer {
        let rest = bytes.strip_prefix(form.marker());
        let Some(&[a, b, c, d, request, flag, high, low, ref text @ ..]) = rest else {
            panic!("no answer in the form that asked: {bytes:?}");
        };
        let field = u16::from_be_bytes([high, low]);
        let length = if request == ASK { field.into() } else { 0 };
        assert_eq!(text.len(), length, "one recv brings one whole answer");
        Answer {
            user: u32::from_be_bytes([a, b, c, d]),
            request,
            flag,
            field,
            text: text.to_vec(),
        }
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap()
    }
}

/// A tumip client that reads as the old one does.
pub struct Tumip {
    pub stream: TcpStream,
    pub form: Form,
    pub user: u32,
}

impl Tumip {
    /// Connects, and says nothing yet.
    pub fn connect(house: &House, user: u32) -> Tumip {
        Tumip {
            stream: connect(house.tumip()),
            form: Form::Bare,
            user,
        }
    }

    pub fn send(&self, bytes: &[u8]) {
        (&self.stream).write_all(bytes).unwrap();
    }

    pub fn request(&self, request: u8, field: u16, behind: &[u8]) {
        self.send(&self.form.request(self.user, request, field, behind));
    }

    /// One `recv`, and its answer.
    pub fn answer(&self) -> Answer {
        let answer = Answer::read(self.form, &recv(&self.stream, TUMIP_RECV));
        assert_eq!(answer.user, self.user, "the number comes back");
        answer
    }

    /// Asks for a port for pictures of so many pixels; `None` if that is rejected.
    pub fn try_register(&self, pixels: u16) -> Option<u16> {
        self.request(REGISTER, pixels, b"");
        let answer = self.answer();
        assert_eq!(answer.request, REGISTER);
        match answer.flag {
            FINE => Some(answer.field),
            FAILED => {
                assert_eq!(answer.field, 0);
                None
            }
            flag => panic!("flag {flag}"),
        }
    }

    pub fn register(&self) -> u16 {
        self.try_register(MAX_PIXELS).expect("accepted")
    }

    /// What the bot says, or the reason why it says nothing.
    pub fn try_ask(&self, text: &str) -> Result<String, String> {
        let length = u16::try_from(text.len()).unwrap();
        self.request(ASK, length, text.as_bytes());
        let answer = self.answer();
        assert_eq!(answer.request, ASK);
        let text = answer.text().to_owned();
        match answer.flag {
            FINE => Ok(text),
            FAILED => Err(text),
            flag => panic!("flag {flag}"),
        }
    }

    pub fn ask(&self, text: &str) -> String {
        self.try_ask(text).expect("an answer")
    }

    /// Sends no more, and reads on.
    pub fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }
}

/// A tumip user with a port for pictures.
pub struct Camera {
    pub client: Tumip,
    socket: UdpSocket,
    pub port: SocketAddr,
}

impl Camera {
    /// Connects and registers.
    pub fn open(house: &House, user: u32) -> Camera {
        let client = Tumip::connect(house, user);
        let port = SocketAddr::new(house.tumip().ip(), client.register());
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Camera {
            client,
            socket,
            port,
        }
    }

    /// Sends one datagram.
    pub fn show(&self, picture: &[u8]) {
        self.socket.send_to(picture, self.port).unwrap();
    }

    /// Sends one datagram from another address.
    pub fn show_from(&self, address: impl Into<IpAddr>, picture: &[u8]) {
        let socket = UdpSocket::bind((address.into(), 0)).unwrap();
        socket.send_to(picture, self.port).unwrap();
    }
}

/// The state of the channel `name`, once it is one that `is_it` takes; `None` while there is none.
pub fn wait_channel(house: &House, name: &str, is_it: impl Fn(Option<&LiveCensus>) -> bool) {
    wait_for(name, || is_it(house.live_census().get(name)).then_some(()));
}

/// Waits until `name` has got so many frames, no more, since it is on air.
pub fn wait_frames(house: &House, name: &str, frames: u64) {
    wait_channel(house, name, |channel| {
        channel.is_some_and(|channel| channel.frames == frames)
    });
}

/// Waits until `name` is off air.
pub fn wait_off_air(house: &House, name: &str) {
    wait_channel(house, name, |channel| {
        channel.is_none_or(|channel| !channel.on_air)
    });
}

/// The next thing that `viewer` is told, which has to be a frame.
pub fn next_frame(viewer: &mut OldVideochat) -> Vec<u8> {
    match viewer.next() {
        Told::Frame(jpeg) => jpeg,
        other => panic!("{} hears {other:?}, not a frame", viewer.name),
    }
}

/// Chooses what is live, and gets its newest frame.
pub fn tune_in(viewer: &mut OldVideochat, choice: &str) -> Vec<u8> {
    viewer.choose(choice);
    viewer.hear("Video Frame");
    next_frame(viewer)
}

/// A videochat client to watch with.
pub fn watcher(house: &House) -> OldVideochat {
    OldVideochat::join(house, "viewer", key(2048, 0))
}

/// The start of a stream in chatroom; how many frames it is to have.
pub fn hear_begin(viewer: &mut OldChatroom) -> u32 {
    match viewer.next() {
        Heard::Stream(frames) => frames,
        other => panic!("{} hears {other:?}, not STRM", viewer.name),
    }
}

/// The next frame of a stream in chatroom.
pub fn hear_frame(viewer: &mut OldChatroom) -> Vec<u8> {
    match viewer.next() {
        Heard::Frame(jpeg) => jpeg,
        other => panic!("{} hears {other:?}, not a frame", viewer.name),
    }
}

/// What was logged of the datagrams for `channel` that were dropped.
pub fn dropped(house: &House, channel: &str) -> Vec<Value> {
    house.logged(|line| line["message"] == "datagram dropped" && line["channel"] == channel)
}

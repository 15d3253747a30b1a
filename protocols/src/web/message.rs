//! What is said over the console's WebSocket.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, Serializer};

/// What a page says. Numbers of people are decimal strings: JavaScript has no whole numbers of 64 bits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// Takes a place under this name.
    Join {
        name: String,
    },
    /// To all, or to one person.
    Say {
        text: String,
        #[serde(default)]
        to: Option<String>,
    },
    /// Plays a video or a live channel. `stream` is the page's own number for it.
    Watch {
        stream: u32,
        #[serde(default)]
        video: Option<String>,
        #[serde(default)]
        live: Option<String>,
        /// `interleaved`, the default, or the name of one.
        #[serde(default)]
        quality: Option<String>,
        /// Frame to begin with.
        #[serde(default)]
        from: u32,
    },
    Stop {
        stream: u32,
    },
    /// The sound of the house.
    Listen {
        on: bool,
    },
    /// My camera is a live channel.
    Camera {
        on: bool,
    },
    /// The house's vital signs, each second.
    Vitals {
        on: bool,
    },
}

/// What a page is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage<'a> {
    Welcome {
        me: Person<'a>,
        people: Vec<Person<'a>>,
        history: Vec<Said<'a>>,
    },
    People {
        came: Vec<Person<'a>>,
        went: Vec<Id>,
    },
    Said(Said<'a>),
    Undelivered {
        to: Id,
        text: &'a str,
        reason: &'a str,
    },
    Stream {
        stream: u32,
        name: &'a str,
        live: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        frames: Option<u32>,
        /// Frames a second.
        #[serde(skip_serializing_if = "Option::is_none")]
        fps: Option<f64>,
        quality: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        plan: Vec<Piece<'a>>,
    },
    End {
        stream: u32,
        reason: Ending,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
    },
    Sound {
        /// Samples a second.
        rate: u32,
        on: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
    },
    Camera {
        on: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
    },
    Notice {
        text: &'a str,
        /// The page is not to come back by itself.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        shown_out: bool,
    },
    Error {
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        about: Option<&'a str>,
    },
}

/// A number of 64 bits, as a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(pub u64);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Somebody in the house.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person<'a> {
    pub id: Id,
    pub name: &'a str,
    pub service: &'a str,
    /// Whether there is a way to show this person text.
    pub reads: bool,
    /// Whether people of the same service write to this person from end to end.
    pub private: bool,
}

/// Words that somebody said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said<'a> {
    /// In the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// Milliseconds since 1970.
    pub at: i64,
    pub from: Speaker<'a>,
    pub text: Cow<'a, str>,
    /// For this person alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Id>,
}

/// Who said it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Speaker<'a> {
    pub id: Id,
    pub name: &'a str,
    pub service: &'a str,
}

/// A run of frames from one quality.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Piece<'a> {
    pub quality: &'a str,
    /// First frame.
    pub from: u32,
    /// The frame after the last one.
    pub to: u32,
}

/// Why nothing more comes of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// All of it was shown.
    Over,
    /// There is no such video or channel, or not any more.
    Gone,
    /// Too many are watched already.
    Busy,
    /// It can't be read.
    Failed,
}

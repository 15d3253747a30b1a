//! What is said in videochat.

use std::borrow::Cow;

use bytes::Bytes;

/// The server's first words.
pub const NAME_PROMPT: &[u8] = b"Enter your name: ";
/// The server's words after the name.
pub const KEY_PROMPT: &[u8] = b"Enter the public key: ";

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage<'a> {
    /// Its name, bare.
    Name(&'a str),
    /// Its SubjectPublicKeyInfo PEM block, without the last line end.
    PublicKey(&'a str),
    /// A chat message for one person, which only that person can read: base64 of RSA-OAEP. A client may say
    /// whom it is for.
    Communication {
        encrypt_message: Cow<'a, str>,
        to: Option<Cow<'a, str>>,
    },
    /// Which videos are there?
    VideoList,
    /// Play the video that `choice`, a file name of the list, belongs to.
    VideoChoice { choice: Cow<'a, str> },
    /// Goodbye.
    Quit,
}

/// What the server says once the key is there.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerMessage {
    /// A JSON object with an `identifier`.
    Json(serde_json::Value),
    /// One JPEG.
    Frame(Bytes),
}

/// Why a list of people is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// `broadcast_message`: somebody came.
    Joined,
    /// `AFK`: somebody left.
    Left,
}

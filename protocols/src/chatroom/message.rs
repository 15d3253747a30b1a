//! What is said in chatroom.

use bytes::Bytes;

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage<'a> {
    /// Its name, bare.
    Name(&'a str),
    /// Its PKCS#1 PEM block, without the last line end.
    PublicKey(&'a str),
    /// `[CHAT]`: messages follow.
    EnterChat,
    /// One message for one person, `CHAT` and one RSA block, relayed as it is.
    Chat(&'a [u8]),
    /// `QUIT`: back to the choice of service.
    LeaveChat,
    /// `[STREAM]`: which videos are there?
    ListVideos,
    /// The name of the video to play.
    VideoName(&'a str),
    /// `[DISCONNECT]`.
    Disconnect,
}

/// What the server says once the keys are exchanged.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerMessage {
    /// `URIF`: everyone's public key by name.
    People(serde_json::Map<String, serde_json::Value>),
    /// `CHAT` and one block.
    Chat(Bytes),
    /// `STLI`: the names of the videos.
    Videos(Vec<String>),
    /// `STRM`: so many frames follow.
    Stream { frames: u32 },
    /// One JPEG of a stream.
    Frame(Bytes),
}

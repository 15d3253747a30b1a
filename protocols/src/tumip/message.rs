//! What is said in tumip.

/// What a client says, and the number of the user it says it for, which every answer carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientMessage<'a> {
    pub user: u32,
    pub request: Request<'a>,
}

/// What a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// A UDP port to send pictures of so many pixels to.
    Register { pixels: u16 },
    /// A question for the bot.
    Ask(&'a [u8]),
    /// Something that the protocol does not have.
    Other(u8),
}

/// What the server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerMessage {
    /// As the client gave it.
    pub user: u32,
    pub answer: Answer,
}

/// An answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Pictures go to this UDP port.
    Accepted {
        port: u16,
    },
    Rejected,
    /// What the bot says.
    Said(Vec<u8>),
    /// The bot can't answer, for this reason.
    Failed(Vec<u8>),
    /// There is no such request.
    Unknown(u8),
}

//! What is said in packetchat.

/// Which of the two sets of type numbers a packet uses. They differ for files only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Numbering {
    /// That of the protocol's document, where download and upload share their numbers.
    Document,
    /// That of the clients.
    Client,
}

/// What a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// A session, for a user of this name.
    Session { name: &'a [u8] },
    /// Nothing but that the session goes on.
    Preserve { session: u64 },
    /// Who is here?
    Users { session: u64 },
    /// What is that user's name?
    UserData { session: u64, user: u64 },
    /// A message for one user, under a number of the sender's.
    Message {
        session: u64,
        to: u64,
        message: u64,
        text: &'a [u8],
    },
    /// A message for all others.
    Broadcast {
        session: u64,
        message: u64,
        text: &'a [u8],
    },
    /// The message that the server sent under this number has arrived.
    Received { message: u64 },
    /// Which files are there?
    Files { session: u64, numbering: Numbering },
    /// What are that file's name and size?
    FileData {
        session: u64,
        file: u64,
        numbering: Numbering,
    },
    /// A transaction to download a file in.
    Download {
        session: u64,
        file: u64,
        numbering: Numbering,
    },
    /// One chunk of the file.
    DownloadChunk {
        transaction: u64,
        chunk: u32,
        numbering: Numbering,
    },
    /// A transaction to upload a file of so many bytes in.
    Upload {
        session: u64,
        size: u32,
        name: &'a [u8],
        numbering: Numbering,
    },
    /// One chunk of the file: 256 bytes, less if it is the last one, none past the end.
    UploadChunk {
        transaction: u64,
        chunk: u32,
        bytes: &'a [u8],
        numbering: Numbering,
    },
}

impl Request<'_> {
    /// The session whose packet it is, where it says so: chunks name their transaction and receipts
    /// their message.
    pub fn session(&self) -> Option<u64> {
        match *self {
            Request::Preserve { session }
            | Request::Users { session }
            | Request::UserData { session, .. }
            | Request::Message { session, .. }
            | Request::Broadcast { session, .. }
            | Request::Files { session, .. }
            | Request::FileData { session, .. }
            | Request::Download { session, .. }
            | Request::Upload { session, .. } => Some(session),
            Request::Session { .. }
            | Request::Received { .. }
            | Request::DownloadChunk { .. }
            | Request::UploadChunk { .. } => None,
        }
    }
}

/// What the server answers, and the message that it brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response<'a> {
    Cookie {
        user: u64,
        session: u64,
    },
    /// As many as one datagram takes.
    Users(Vec<u64>),
    UserData {
        user: u64,
        name: &'a [u8],
    },
    /// The recipient has the message that its sender gave this number.
    Message {
        message: u64,
    },
    Broadcast {
        message: u64,
    },
    /// A message of another user's, under a number of the server's.
    Incoming {
        sender: u64,
        message: u64,
        text: &'a [u8],
    },
    /// As many as one datagram takes.
    Files(Vec<u64>),
    FileData {
        file: u64,
        size: u32,
        name: &'a [u8],
    },
    Download {
        file: u64,
        transaction: u64,
    },
    DownloadChunk {
        transaction: u64,
        chunk: u32,
        bytes: &'a [u8],
    },
    Upload {
        file: u64,
        transaction: u64,
    },
    UploadChunk {
        transaction: u64,
        chunk: u32,
    },
}

//! The bytes of packetchat: a type (u16), numbers (u64), counts, lengths and sizes. All is big-endian,
//! and a packet ends with its datagram.
//!
//! ```text
//! client  0001 | length 0004 | "anna"                 a session, please
//! server  0002 | user u64 | session u64
//! client  0009 | session | to | message | length u16 | text
//! server  000d | sender | message' | length u16 | text         to its recipient, until that answers
//! client  000e | message'
//! server  000a | message                                       to its sender
//! ```
//!
//! Files have two sets of types. In the document's, download and upload share theirs; the clients' has
//! one for each. Both come to the same port, and these types mean two things or three:
//!
//! | type | packets | told apart by |
//! |---|---|---|
//! | 15 | files request (client): 10 bytes | its length: the others have 16 at least |
//! |    | download request (document): 18 bytes | no file number has the length of a name of two bytes where an upload of 18 bytes has it ([`Kind::number`]) |
//! |    | upload request (document): 16 bytes and a name | its length is 16 and that of its name |
//! | 17 | download chunk request (document): 14 bytes | its length: the others have 16 at least |
//! |    | file data request (client): 18 bytes | begins with a session's number |
//! |    | upload chunk request (document): 16 bytes and a chunk | begins with an upload's number |
//! | 19 | files request (document): 10 bytes; download request (client): 18 bytes | the length |
//! | 21 | file data request (document): 18 bytes; download chunk request (client): 14 bytes | the length |

use bytes::BufMut;

use super::message::{Numbering, Request, Response};
use super::number::Kind;
use crate::wire::WireError;

/// Bytes of a chunk; the last one of a file may be shorter.
pub const CHUNK: usize = 256;
/// The largest packet, in bytes: what one datagram carries over IPv4.
pub const MAX_PACKET: usize = 65_507;
/// The longest text of a message, in bytes: a request has the longest head before it.
pub const MAX_TEXT: usize = MAX_PACKET - 28;
/// Bytes of a message for a user before its text.
pub const INCOMING_HEAD: usize = 20;
/// The longest name of a file, in bytes.
pub const MAX_FILE_NAME: usize = 1024;
/// The most numbers that a list has.
pub const MAX_LIST: usize = (MAX_PACKET - 4) / 8;

/// The types that do not depend on the numbering.
mod types {
    pub const SESSION: u16 = 1;
    pub const COOKIE: u16 = 2;
    pub const PRESERVE: u16 = 4;
    pub const USERS: u16 = 5;
    pub const USER_DATA: u16 = 7;
    pub const MESSAGE: u16 = 9;
    pub const BROADCAST: u16 = 11;
    pub const INCOMING: u16 = 13;
    pub const RECEIVED: u16 = 14;
}

/// The types of the packets about files, requests; the type of a response is one more.
#[derive(Clone, Copy)]
enum AboutFiles {
    Files,
    FileData,
    Download,
    DownloadChunk,
    Upload,
    UploadChunk,
}

impl AboutFiles {
    fn request(self, numbering: Numbering) -> u16 {
        match (numbering, self) {
            (Numbering::Document, AboutFiles::Files) => 19,
            (Numbering::Document, AboutFiles::FileData) => 21,
            (Numbering::Document, AboutFiles::Download | AboutFiles::Upload) => 15,
            (Numbering::Document, AboutFiles::DownloadChunk | AboutFiles::UploadChunk) => 17,
            (Numbering::Client, AboutFiles::Files) => 15,
            (Numbering::Client, AboutFiles::FileData) => 17,
            (Numbering::Client, AboutFiles::Download) => 19,
            (Numbering::Client, AboutFiles::DownloadChunk) => 21,
            (Numbering::Client, AboutFiles::Upload) => 23,
            (Numbering::Client, AboutFiles::UploadChunk) => 25,
        }
    }

    fn response(self, numbering: Numbering) -> u16 {
        self.request(numbering) + 1
    }
}

/// Takes fields off a packet.
struct Fields<'a> {
    packet: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], WireError> {
        let bytes = self
            .packet
            .get(self.at..self.at + length)
            .ok_or_else(|| WireError::new(self.at, field, "the packet ends before it does"))?;
        self.at += length;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], WireError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N, field)?);
        Ok(bytes)
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, WireError> {
        self.array(field).map(u16::from_be_bytes)
    }

    fn u32(&mut self, field: &'static str) -> Result<u32, WireError> {
        self.array(field).map(u32::from_be_bytes)
    }

    fn u64(&mut self, field: &'static str) -> Result<u64, WireError> {
        self.array(field).map(u64::from_be_bytes)
    }

    /// A length (u16) and so many bytes, up to `most`.
    fn blob(&mut self, most: usize, field: &'static str) -> Result<&'a [u8], WireError> {
        let at = self.at;
        let length = usize::from(self.u16(field)?);
        if length > most {
            let rule = format!("it has at most {most} bytes, and not {length}");
            return Err(WireError::new(at, field, rule));
        }
        self.take(length, field)
    }

    /// A count (u16) and so many numbers.
    fn numbers(&mut self, field: &'static str) -> Result<Vec<u64>, WireError> {
        let count = self.u16(field)?;
        (0..count).map(|_| self.u64(field)).collect()
    }

    /// `message`, if the packet ends here.
    fn end<M>(&self, message: M) -> Result<M, WireError> {
        if self.at == self.packet.len() {
            return Ok(message);
        }
        let rule = format!(
            "the packet has {} bytes more than its type and lengths say",
            self.packet.len() - self.at
        );
        Err(WireError::new(self.at, "packet", rule))
    }
}

/// What the client's `packet` asks, a whole datagram.
///
/// # Errors
/// An unknown type, a packet that is too short or too long for its type and lengths, a name or a chunk
/// that is too long.
pub fn decode_request(packet: &[u8]) -> Result<Request<'_>, WireError> {
    use Numbering::{Client, Document};

    let mut fields = Fields { packet, at: 0 };
    let kind = fields.u16("type")?;
    let first = || Kind::of(Fields { packet, at: 2 }.u64("number").unwrap_or(0));
    let request = match (kind, packet.len()) {
        (types::SESSION, _) => Request::Session {
            name: fields.blob(MAX_PACKET, "name")?,
        },
        (types::PRESERVE, _) => Request::Preserve {
            session: fields.u64("session")?,
        },
        (types::USERS, _) => Request::Users {
            session: fields.u64("session")?,
        },
        (types::USER_DATA, _) => Request::UserData {
            session: fields.u64("session")?,
            user: fields.u64("user")?,
        },
        (types::MESSAGE, _) => Request::Message {
            session: fields.u64("session")?,
            to: fields.u64("user")?,
            message: fields.u64("message")?,
            text: fields.blob(MAX_TEXT, "text")?,
        },
        (types::BROADCAST, _) => Request::Broadcast {
            session: fields.u64("session")?,
            message: fields.u64("message")?,
            text: fields.blob(MAX_TEXT, "text")?,
        },
        (types::RECEIVED, _) => Request::Received {
            message: fields.u64("message")?,
        },
        (15, 10) => fields.files(Client)?,
        (15, 18) if packet.get(14..16) != Some(&[0, 2]) => fields.download(Document)?,
        (15, _) => fields.upload(Document)?,
        (17, 14) => fields.download_chunk(Document)?,
        (17, 18) if first() == Some(Kind::Session) => fields.file_data(Client)?,
        (17, _) => fields.upload_chunk(Document)?,
        (19, 10) => fields.files(Document)?,
        (19, _) => fields.download(Client)?,
        (21, 14) => fields.download_chunk(Client)?,
        (21, _) => fields.file_data(Document)?,
        (23, _) => fields.upload(Client)?,
        (25, _) => fields.upload_chunk(Client)?,
        _ => {
            let rule = format!("no client sends packets of type {kind}");
            return Err(WireError::new(0, "type", rule));
        }
    };
    fields.end(request)
}

impl<'a> Fields<'a> {
    fn files(&mut self, numbering: Numbering) -> Result<Request<'a>, WireError> {
        Ok(Request::Files {
            session: self.u64("session")?,
            numbering,
        })
    }

    fn file_data(&mut self, numbering: Numbering) -> Result<Request<'a>, WireError> {
        Ok(Request::FileData {
            session: self.u64("session")?,
            file: self.u64("file")?,
            numbering,
        })
    }

    fn download(&mut self, numbering: Numbering) -> Result<Request<'a>, WireError> {
        Ok(Request::Download {
            session: self.u64("session")?,
            file: self.u64("file")?,
            numbering,
        })
    }

    fn download_chunk(&mut self, numbering: Numbering) -> Result<Request<'a>, WireError> {
        Ok(Request::DownloadChunk {
            transaction: self.u64("transaction")?,
            chunk: self.u32("chunk")?,
            numbering,
        })
    }

    fn upload(&mut self, numbering: Numbering) -> Result<Request<'a>, WireError> {
        Ok(Request::Upload {
            session: self.u64("session")?,
            size: self.u32("size")?,
            name: self.blob(MAX_FILE_NAME, "name")?,
            numbering,
        })
    }

    fn upload_chunk(&mut self, numbering: Numbering) -> Result<Request<'a>, WireError> {
        Ok(Request::UploadChunk {
            transaction: self.u64("transaction")?,
            chunk: self.u32("chunk")?,
            bytes: self.blob(CHUNK, "chunk's bytes")?,
            numbering,
        })
    }
}

/// What the server's `packet` says, a whole datagram, to a client that asks in this numbering.
///
/// # Errors
/// An unknown type, a packet that is too short or too long for its type and lengths.
pub fn decode_response(packet: &[u8], numbering: Numbering) -> Result<Response<'_>, WireError> {
    let mut fields = Fields { packet, at: 0 };
    let kind = fields.u16("type")?;
    let is = |about: AboutFiles| kind == about.response(numbering);
    let response = match kind {
        types::COOKIE => Response::Cookie {
            user: fields.u64("user")?,
            session: fields.u64("session")?,
        },
        6 => Response::Users(fields.numbers("users")?),
        8 => Response::UserData {
            user: fields.u64("user")?,
            name: fields.blob(MAX_PACKET, "name")?,
        },
        10 => Response::Message {
            message: fields.u64("message")?,
        },
        12 => Response::Broadcast {
            message: fields.u64("message")?,
        },
        types::INCOMING => Response::Incoming {
            sender: fields.u64("user")?,
            message: fields.u64("message")?,
            text: fields.blob(MAX_PACKET, "text")?,
        },
        _ if is(AboutFiles::Files) => Response::Files(fields.numbers("files")?),
        _ if is(AboutFiles::FileData) => Response::FileData {
            file: fields.u64("file")?,
            size: fields.u32("size")?,
            name: fields.blob(MAX_PACKET, "name")?,
        },
        _ if is(AboutFiles::Download) || is(AboutFiles::Upload) => {
            let (file, transaction) = (fields.u64("file")?, fields.u64("transaction")?);
            // The document has one type for both.
            let upload = match numbering {
                Numbering::Document => Kind::of(transaction) == Some(Kind::Upload),
                Numbering::Client => is(AboutFiles::Upload),
            };
            match upload {
                true => Response::Upload { file, transaction },
                false => Response::Download { file, transaction },
            }
        }
        _ if is(AboutFiles::UploadChunk) && packet.len() == 14 => Response::UploadChunk {
            transaction: fields.u64("transaction")?,
            chunk: fields.u32("chunk")?,
        },
        _ if is(AboutFiles::DownloadChunk) => Response::DownloadChunk {
            transaction: fields.u64("transaction")?,
            chunk: fields.u32("chunk")?,
            bytes: fields.blob(CHUNK, "chunk's bytes")?,
        },
        _ => {
            let rule = format!("no server sends packets of type {kind} in this numbering");
            return Err(WireError::new(0, "type", rule));
        }
    };
    fields.end(response)
}

/// A length (u16) and the bytes; what does not fit in the field is left out.
fn put_blob(out: &mut impl BufMut, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.put_u16(length);
    out.put_slice(&bytes[..usize::from(length)]);
}

/// A count (u16) and the numbers, as many as one datagram takes.
fn put_numbers(out: &mut impl BufMut, numbers: &[u64]) {
    let fitting = &numbers[..numbers.len().min(MAX_LIST)];
    out.put_u16(u16::try_from(fitting.len()).unwrap_or(u16::MAX));
    for &number in fitting {
        out.put_u64(number);
    }
}

/// A message for a user, up to its text of so many bytes ([`MAX_TEXT`] at most), which follows.
pub fn incoming_head(sender: u64, message: u64, text: usize) -> [u8; INCOMING_HEAD] {
    let mut head = [0; INCOMING_HEAD];
    let mut out = &mut head[..];
    out.put_u16(types::INCOMING);
    out.put_u64(sender);
    out.put_u64(message);
    out.put_u16(u16::try_from(text).unwrap_or(u16::MAX));
    head
}

impl Response<'_> {
    /// Appends the packet, in the numbering of the request that it answers. Lists are cut to what one
    /// datagram takes.
    pub fn encode(&self, numbering: Numbering, out: &mut impl BufMut) {
        let about_files = |about: AboutFiles| about.response(numbering);
        match self {
            Response::Cookie { user, session } => {
                out.put_u16(types::COOKIE);
                out.put_u64(*user);
                out.put_u64(*session);
            }
            Response::Users(users) => {
                out.put_u16(types::USERS + 1);
                put_numbers(out, users);
            }
            Response::UserData { user, name } => {
                out.put_u16(types::USER_DATA + 1);
                out.put_u64(*user);
                put_blob(out, name);
            }
            Response::Message { message } => {
                out.put_u16(types::MESSAGE + 1);
                out.put_u64(*message);
            }
            Response::Broadcast { message } => {
                out.put_u16(types::BROADCAST + 1);
                out.put_u64(*message);
            }
            Response::Incoming {
                sender,
                message,
                text,
            } => {
                let text = &text[..text.len().min(MAX_TEXT)];
                out.put_slice(&incoming_head(*sender, *message, text.len()));
                out.put_slice(text);
            }
            Response::Files(files) => {
                out.put_u16(about_files(AboutFiles::Files));
                put_numbers(out, files);
            }
            Response::FileData { file, size, name } => {
                out.put_u16(about_files(AboutFiles::FileData));
                out.put_u64(*file);
                out.put_u32(*size);
                put_blob(out, name);
            }
            Response::Download { file, transaction } => {
                out.put_u16(about_files(AboutFiles::Download));
                out.put_u64(*file);
                out.put_u64(*transaction);
            }
            Response::DownloadChunk {
                transaction,
                chunk,
                bytes,
            } => {
                out.put_u16(about_files(AboutFiles::DownloadChunk));
                out.put_u64(*transaction);
                out.put_u32(*chunk);
                put_blob(out, bytes);
            }
            Response::Upload { file, transaction } => {
                out.put_u16(about_files(AboutFiles::Upload));
                out.put_u64(*file);
                out.put_u64(*transaction);
            }
            Response::UploadChunk { transaction, chunk } => {
                out.put_u16(about_files(AboutFiles::UploadChunk));
                out.put_u64(*transaction);
                out.put_u32(*chunk);
            }
        }
    }

    /// The packet alone.
    pub fn packet(&self, numbering: Numbering) -> Vec<u8> {
        let mut packet = Vec::new();
        self.encode(numbering, &mut packet);
        packet
    }
}

impl Request<'_> {
    /// The packet, as a client sends it.
    pub fn packet(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut about_files = |about: AboutFiles, numbering: Numbering, number: u64| {
            out.put_u16(about.request(numbering));
            out.put_u64(number);
        };
        match *self {
            Request::Files { session, numbering } => {
                about_files(AboutFiles::Files, numbering, session);
            }
            Request::FileData {
                session,
                file,
                numbering,
            } => {
                about_files(AboutFiles::FileData, numbering, session);
                out.put_u64(file);
            }
            Request::Download {
                session,
                file,
                numbering,
            } => {
                about_files(AboutFiles::Download, numbering, session);
                out.put_u64(file);
            }
            Request::DownloadChunk {
                transaction,
                chunk,
                numbering,
            } => {
                about_files(AboutFiles::DownloadChunk, numbering, transaction);
                out.put_u32(chunk);
            }
            Request::Upload {
                session,
                size,
                name,
                numbering,
            } => {
                about_files(AboutFiles::Upload, numbering, session);
                out.put_u32(size);
                put_blob(&mut out, name);
            }
            Request::UploadChunk {
                transaction,
                chunk,
                bytes,
                numbering,
            } => {
                about_files(AboutFiles::UploadChunk, numbering, transaction);
                out.put_u32(chunk);
                put_blob(&mut out, bytes);
            }
            Request::Session { name } => {
                out.put_u16(types::SESSION);
                put_blob(&mut out, name);
            }
            Request::Preserve { session } => {
                out.put_u16(types::PRESERVE);
                out.put_u64(session);
            }
            Request::Users { session } => {
                out.put_u16(types::USERS);
                out.put_u64(session);
            }
            Request::UserData { session, user } => {
                out.put_u16(types::USER_DATA);
                out.put_u64(session);
                out.put_u64(user);
            }
            Request::Message {
                session,
                to,
                message,
                text,
            } => {
                out.put_u16(types::MESSAGE);
                out.put_u64(session);
                out.put_u64(to);
                out.put_u64(message);
                put_blob(&mut out, text);
            }
            Request::Broadcast {
                session,
                message,
                text,
            } => {
                out.put_u16(types::BROADCAST);
                out.put_u64(session);
                out.put_u64(message);
                put_blob(&mut out, text);
            }
            Request::Received { message } => {
                out.put_u16(types::RECEIVED);
                out.put_u64(message);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests;

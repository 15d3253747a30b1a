//! The little of a videochat client that the load needs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::OnceLock;

use playhouse_protocols::videochat::{
    ClientMessage, FRAME_HEAD, HEAD, ServerMessage, client_frame, decode_server,
};
use playhouse_protocols::wire::Step;
use rsa::pkcs8::{EncodePublicKey, LineEnding};

use crate::Outcome;

/// Of a message of the server's, in bytes.
const MAX_MESSAGE: usize = 16 << 20;
const READ: usize = 256 * 1024;

/// One key for everybody: the server looks at it once a person.
fn public_key() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048)
            .ok()
            .and_then(|key| key.to_public_key().to_public_key_pem(LineEnding::LF).ok())
            .unwrap_or_default()
    })
}

/// Connects, gives its name and key, and is in the house; what comes then is unread.
pub fn join(address: SocketAddr, name: &str) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut prompt = [0; 64];
    let _ = stream.read(&mut prompt)?;
    stream.write_all(name.as_bytes())?;
    let _ = stream.read(&mut prompt)?;
    stream.write_all(public_key().as_bytes())?;
    Ok(stream)
}

/// Asks for a video.
pub fn choose(stream: &mut TcpStream, choice: &str) -> Outcome {
    let message = ClientMessage::VideoChoice {
        choice: choice.into(),
    };
    stream.write_all(&client_frame(&message, ""))?;
    Ok(())
}

/// A connection whose messages are read whole, one after the other.
pub struct Reader {
    stream: TcpStream,
    unread: Vec<u8>,
    buffer: Vec<u8>,
}

impl Reader {
    /// Of what is unread of a connection that has [joined](join).
    pub fn new(stream: TcpStream) -> Reader {
        Reader {
            stream,
            unread: vec![],
            buffer: vec![0; READ],
        }
    }

    /// Waits for the next message.
    pub fn next(&mut self) -> Outcome<ServerMessage> {
        loop {
            if let Step::Got { message, used } = decode_server(&self.unread, MAX_MESSAGE)? {
                self.unread.drain(..used);
                return Ok(message);
            }
            match self.stream.read(&mut self.buffer)? {
                0 => return Err("playhouse closed the connection".into()),
                n => self.unread.extend_from_slice(&self.buffer[..n]),
            }
        }
    }

    /// Which videos and live channels there are.
    pub fn list(&mut self) -> Outcome<Vec<String>> {
        let question = client_frame(&ClientMessage::VideoList, "");
        self.stream.write_all(&question)?;
        loop {
            if let ServerMessage::Json(json) = self.next()?
                && json["identifier"] == "Video List"
            {
                return Ok(serde_json::from_value(json["data"].clone())?);
            }
        }
    }
}

/// Counts messages and frames in a stream of bytes without keeping any.
#[derive(Default)]
pub struct Counter {
    head: Vec<u8>,
    /// Bytes of the body, and those of them that are still to come.
    length: usize,
    body: usize,
    pub frames: u64,
    pub bytes: u64,
    /// The first bytes of the last body.
    start: Vec<u8>,
    in_json: bool,
}

/// Of each body: enough for the identifier of a JSON one, and the beginning of a JPEG.
const KEPT: usize = 64;
/// Before a frame's JPEG its size comes, of so many bytes.
const SIZE_FIELD: usize = FRAME_HEAD - HEAD;

impl Counter {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.watch(bytes, |_, _| {});
    }

    /// The same, and shows the first bytes of each frame's JPEG, and how many it has, when all are there.
    pub fn watch(&mut self, mut bytes: &[u8], mut show: impl FnMut(&[u8], usize)) {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.body > 0 {
                let taken = self.body.min(bytes.len());
                let kept = KEPT.saturating_sub(self.start.len()).min(taken);
                self.start.extend_from_slice(&bytes[..kept]);
                self.body -= taken;
                bytes = &bytes[taken..];
                if self.body == 0 && !self.in_json {
                    self.frames += 1;
                    let jpeg = self.start.get(SIZE_FIELD..).unwrap_or_default();
                    show(jpeg, self.length.saturating_sub(SIZE_FIELD));
                }
                continue;
            }
            let taken = (HEAD - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if let [kind, a, b, c, d] = self.head[..] {
                self.length = u32::from_be_bytes([a, b, c, d]) as usize;
                self.body = self.length;
                self.in_json = kind == 1;
                self.start.clear();
                self.head.clear();
            }
        }
    }

    /// Whether the last message is whole and has this identifier.
    pub fn ended_with(&self, identifier: &str) -> bool {
        let text = format!("\"identifier\":\"{identifier}\"");
        self.body == 0
            && self.in_json
            && self.start.windows(text.len()).any(|w| w == text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use playhouse_protocols::videochat::{frame_head, video_finish, video_list};

    use super::*;

    #[test]
    fn frames_are_seen_wherever_the_bytes_are_split() {
        let jpegs = [vec![1; 30], vec![2; 300]];
        let mut wire = video_list(&["a video".to_owned()]).to_vec();
        for jpeg in &jpegs {
            wire.extend(frame_head(jpeg.len()));
            wire.extend(jpeg);
        }
        wire.extend(video_finish());
        for cut in 0..=wire.len() {
            let (mut counter, mut seen) = (Counter::default(), vec![]);
            for part in [&wire[..cut], &wire[cut..]] {
                counter.watch(part, |start, length| seen.push((start.to_vec(), length)));
            }
            let starts = [jpegs[0].clone(), jpegs[1][..KEPT - SIZE_FIELD].to_vec()];
            assert_eq!(seen, [(starts[0].clone(), 30), (starts[1].clone(), 300)]);
            assert_eq!((counter.frames, counter.bytes), (2, wire.len() as u64));
            assert!(counter.ended_with("Video Finish"));
        }
    }
}

//! The little of a videochat client that the load needs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::OnceLock;

use playhouse_protocols::videochat::{ClientMessage, client_frame};
use rsa::pkcs8::{EncodePublicKey, LineEnding};

use crate::Outcome;

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

/// Counts messages and frames in a stream of bytes without keeping any.
#[derive(Default)]
pub struct Counter {
    head: Vec<u8>,
    /// Bytes of the body that are still to come.
    body: usize,
    pub frames: u64,
    pub bytes: u64,
    /// The first bytes of the last JSON body, enough for its identifier.
    pub last_json: Vec<u8>,
    in_json: bool,
}

const HEAD: usize = 5;
const JSON_KEPT: usize = 64;

impl Counter {
    pub fn feed(&mut self, mut bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.body > 0 {
                let taken = self.body.min(bytes.len());
                if self.in_json {
                    let kept = JSON_KEPT.saturating_sub(self.last_json.len()).min(taken);
                    self.last_json.extend_from_slice(&bytes[..kept]);
                }
                self.body -= taken;
                bytes = &bytes[taken..];
                if self.body == 0 && !self.in_json {
                    self.frames += 1;
                }
                continue;
            }
            let taken = (HEAD - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if let [kind, a, b, c, d] = self.head[..] {
                self.body = u32::from_be_bytes([a, b, c, d]) as usize;
                self.in_json = kind == 1;
                self.last_json.clear();
                self.head.clear();
            }
        }
    }

    /// Whether the last message is whole and has this identifier.
    pub fn ended_with(&self, identifier: &str) -> bool {
        let text = format!("\"identifier\":\"{identifier}\"");
        self.body == 0
            && self.in_json
            && self
                .last_json
                .windows(text.len())
                .any(|w| w == text.as_bytes())
    }
}

//! The client's side of the console's WebSocket, as much as the load needs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Outcome;

const PATIENCE: Duration = Duration::from_secs(20);

/// Connects, and joins under this name. What follows comes to the stream that is given back.
pub fn join(server: SocketAddr, name: &str) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    write!(
        stream,
        "GET /ws HTTP/1.1\r\nHost: {server}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )?;
    // Nothing follows before something is said, so the end of the head is the end of what comes.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        return Err(format!("no WebSocket: {}", String::from_utf8_lossy(&head)).into());
    }
    say(
        &mut stream,
        &serde_json::json!({"type": "join", "name": name}),
    )?;
    Ok(stream)
}

/// Sends one message.
pub fn say(stream: &mut impl Write, message: &serde_json::Value) -> Outcome {
    let text = message.to_string();
    let length = u16::try_from(text.len())?;
    let mut frame = vec![0x81];
    match u8::try_from(length) {
        Ok(length @ ..=125) => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
    }
    // A mask of zeros is a mask.
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    Ok(stream.write_all(&frame)?)
}

/// Finds the messages in what comes, and keeps of each no more than its beginning.
#[derive(Default)]
pub struct Messages {
    head: Vec<u8>,
    /// Bytes of the message that are still to come.
    left: usize,
    begun: bool,
    start: Vec<u8>,
}

/// Bytes of a message that are kept.
const KEPT: usize = 512;

impl Messages {
    /// Calls `whole` for each message that is complete with `input`: whether it is text, and its beginning.
    pub fn take(&mut self, mut input: &[u8], mut whole: impl FnMut(bool, &[u8])) {
        loop {
            if !self.begun {
                let need = match self.head.get(1).map(|length| length & 0x7f) {
                    None => 2,
                    Some(126) => 4,
                    Some(127) => 10,
                    Some(_) => 2,
                };
                let more = (need - self.head.len().min(need)).min(input.len());
                self.head.extend_from_slice(&input[..more]);
                input = &input[more..];
                let length = match self.head[..] {
                    [_, 126, a, b] => usize::from(u16::from_be_bytes([a, b])),
                    [_, 127, ref rest @ ..] if rest.len() == 8 => rest
                        .iter()
                        .fold(0, |length, byte| length << 8 | usize::from(*byte)),
                    [_, short @ ..=125] => usize::from(short),
                    _ if input.is_empty() => return,
                    _ => continue,
                };
                (self.begun, self.left) = (true, length);
                self.start.clear();
            }
            let here = self.left.min(input.len());
            let kept = here.min(KEPT - self.start.len());
            self.start.extend_from_slice(&input[..kept]);
            self.left -= here;
            input = &input[here..];
            if self.left > 0 {
                return;
            }
            whole(self.head[0] & 0x0f == 1, &self.start);
            self.begun = false;
            self.head.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_wherever_they_are_cut() {
        let mut wire = vec![0x81, 2, b'h', b'i', 0x82, 126, 1, 0];
        wire.extend([7; 256]);
        wire.extend([0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        wire.extend([8; 65_536]);
        wire.extend([0x81, 0]);
        for size in [1, 2, 3, 5, 7, 300, 100_000] {
            let (mut messages, mut found) = (Messages::default(), vec![]);
            for part in wire.chunks(size) {
                messages.take(part, |text, start| found.push((text, start.to_vec())));
            }
            let expected = [
                (true, b"hi".to_vec()),
                (false, vec![7; 256]),
                (true, vec![8; KEPT]),
                (true, vec![]),
            ];
            assert_eq!(found, expected, "in parts of {size}");
        }
    }
}

//! HTTP as the tests speak it: one request a connection, byte by byte as it is on the wire.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Nothing may take longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// With names in small letters.
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    #[track_caller]
    pub fn assert_status(self, status: u16) -> Answer {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{body}");
        self
    }
}

/// A connection on which the head of a request has been sent.
pub struct Request {
    reader: BufReader<TcpStream>,
    is_head: bool,
}

/// Sends a request without its body, which may follow.
pub fn begin(house: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Request {
    let stream = TcpStream::connect(house).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    let has = |wanted: &str| headers.iter().any(|(name, _)| *name == wanted);
    if !has("Host") {
        head += &format!("Host: {house}\r\n");
    }
    if !has("Connection") {
        head += "Connection: close\r\n";
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    (&stream).write_all((head + "\r\n").as_bytes()).unwrap();
    Request {
        reader: BufReader::new(stream),
        is_head: method == "HEAD",
    }
}

impl Request {
    /// Sends some of the body; false if the house does not take it any more.
    pub fn send(&mut self, body: &[u8]) -> bool {
        self.reader.get_mut().write_all(body).is_ok()
    }

    /// The answer's head; its body is still to be read.
    pub fn head(&mut self) -> Answer {
        loop {
            let status = self.line();
            let status = status.split(' ').nth(1).and_then(|s| s.parse().ok());
            let status = status.expect("an answer");
            let mut headers = Vec::new();
            loop {
                let line = self.line();
                if line.is_empty() {
                    break;
                }
                let (name, value) = line.split_once(':').expect("a header");
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            // Go on.
            if status != 100 {
                let body = Vec::new();
                return Answer {
                    status,
                    headers,
                    body,
                };
            }
        }
    }

    /// The whole answer.
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        let length = answer.header("content-length").map(str::to_owned);
        if self.is_head || matches!(answer.status, 204 | 304) {
            return answer;
        }
        if answer.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk() {
                answer.body.extend_from_slice(&chunk);
            }
        } else if let Some(length) = length {
            answer.body = vec![0; length.parse().unwrap()];
            self.reader.read_exact(&mut answer.body).unwrap();
        }
        answer
    }

    /// A chunk of a body that comes in chunks; `None` at its end.
    ///
    /// # Panics
    /// The body is cut off.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = usize::from_str_radix(&self.line(), 16).expect("a chunk's size");
        let mut chunk = vec![0; size];
        self.reader.read_exact(&mut chunk).unwrap();
        assert_eq!(self.line(), "");
        (size > 0).then_some(chunk)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

/// A request with a body, and its answer.
pub fn send(
    house: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let length = body.len().to_string();
    let mut headers = headers.to_vec();
    headers.push(("Content-Length", &length));
    let mut request = begin(house, method, path, &headers);
    // It may be refused before all of it is sent.
    request.send(body);
    request.answer()
}

pub fn get(house: SocketAddr, path: &str) -> Answer {
    get_with(house, path, &[])
}

pub fn get_with(house: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    begin(house, "GET", path, headers).answer()
}

//! A page of the console, as a program: the same words, by a WebSocket client that is not ours.

use std::collections::{HashMap, VecDeque};
use std::net::TcpStream;

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

use crate::support::{House, PATIENCE};

/// A frame of a video or a live channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub stream: u32,
    pub quality: u8,
    pub frame: u32,
    /// In milliseconds.
    pub due: u32,
    pub jpeg: Vec<u8>,
}

/// What comes to a page.
#[derive(Debug, Clone)]
pub enum Told {
    Json(Value),
    Frame(Frame),
    /// Number of the buffer, and samples.
    Sound(u32, Vec<u8>),
    Closed(u16),
}

/// Somebody at a page.
pub struct Page {
    socket: WebSocket<TcpStream>,
    pub me: Value,
    /// By name: who is here.
    pub people: HashMap<String, Value>,
    /// The last words that were said when this one came.
    pub history: Vec<Value>,
    /// Words that came while something else was waited for.
    said: VecDeque<Value>,
}

/// A WebSocket on which nothing has been said, or the status that came instead.
pub fn connect(house: &House, headers: &[(&str, &str)]) -> Result<WebSocket<TcpStream>, u16> {
    let address = house.web();
    let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
    for (name, value) in headers {
        let name = tungstenite::http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    match tungstenite::client(request, stream) {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
            Err(answer.status().as_u16())
        }
        Err(error) => panic!("{error}"),
    }
}

impl Page {
    /// Somebody who has come in.
    pub fn enter(house: &House, name: &str) -> Page {
        let mut page = Page {
            socket: connect(house, &[]).unwrap(),
            me: Value::Null,
            people: HashMap::new(),
            history: Vec::new(),
            said: VecDeque::new(),
        };
        page.send(json!({"type": "join", "name": name}));
        let welcome = page.told("welcome");
        page.me = welcome["me"].clone();
        for person in welcome["people"].as_array().unwrap() {
            page.came(person);
        }
        page.history = welcome["history"].as_array().unwrap().clone();
        page
    }

    fn came(&mut self, person: &Value) {
        let name = person["name"].as_str().unwrap().to_owned();
        self.people.insert(name, person.clone());
    }

    pub fn name(&self) -> &str {
        self.me["name"].as_str().unwrap()
    }

    pub fn send(&mut self, message: Value) {
        let text = message.to_string();
        self.socket.send(Message::text(text)).unwrap();
    }

    pub fn send_raw(&mut self, message: Message) {
        self.socket.send(message).unwrap();
    }

    /// The next that comes; who comes and goes is noted.
    pub fn next(&mut self) -> Told {
        loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => {
                    let json: Value = serde_json::from_str(text.as_str()).unwrap();
                    if json["type"] == "people" {
                        for person in json["came"].as_array().unwrap() {
                            self.came(person);
                        }
                        let went = json["went"].as_array().unwrap();
                        self.people
                            .retain(|_, person| !went.contains(&person["id"]));
                    }
                    return Told::Json(json);
                }
                Message::Binary(bytes) => return binary(&bytes),
                Message::Close(frame) => {
                    return Told::Closed(frame.map_or(1005, |frame| frame.code.into()));
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// The next JSON of this type; words are kept for [`Page::hears`].
    pub fn told(&mut self, kind: &str) -> Value {
        loop {
            match self.next() {
                Told::Json(json) if json["type"] == kind => return json,
                Told::Json(json) if json["type"] == "said" => self.said.push_back(json),
                Told::Closed(code) => panic!("closed with {code} before {kind}"),
                _ => {}
            }
        }
    }

    /// The next frame of any stream, or `None` at the end of one.
    pub fn frame(&mut self) -> Option<Frame> {
        loop {
            match self.next() {
                Told::Frame(frame) => return Some(frame),
                Told::Json(json) if json["type"] == "end" => return None,
                Told::Json(json) if json["type"] == "said" => self.said.push_back(json),
                Told::Closed(code) => panic!("closed with {code}"),
                _ => {}
            }
        }
    }

    /// Waits until somebody of this name is here; the number.
    pub fn sees(&mut self, name: &str) -> String {
        while !self.people.contains_key(name) {
            self.told("people");
        }
        self.people[name]["id"].as_str().unwrap().to_owned()
    }

    pub fn say_to_all(&mut self, text: &str) {
        self.send(json!({"type": "say", "text": text}));
    }

    pub fn say(&mut self, to: &str, text: &str) {
        let to = self.sees(to);
        self.send(json!({"type": "say", "text": text, "to": to}));
    }

    /// The next words of somebody else.
    pub fn hears(&mut self) -> Value {
        loop {
            let said = match self.said.pop_front() {
                Some(said) => said,
                None => match self.next() {
                    Told::Json(json) if json["type"] == "said" => json,
                    Told::Closed(code) => panic!("closed with {code}"),
                    _ => continue,
                },
            };
            if said["from"]["id"] != self.me["id"] {
                return said;
            }
        }
    }

    /// The code with which the house ends it.
    pub fn closed(&mut self) -> u16 {
        loop {
            if let Told::Closed(code) = self.next() {
                return code;
            }
        }
    }
}

fn binary(bytes: &[u8]) -> Told {
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    match bytes[0] {
        1 => Told::Frame(Frame {
            quality: bytes[1],
            stream: number(4),
            frame: number(8),
            due: number(12),
            jpeg: bytes[16..].to_vec(),
        }),
        2 => Told::Sound(number(4), bytes[8..].to_vec()),
        kind => panic!("binary of kind {kind}"),
    }
}

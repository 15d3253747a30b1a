//! A language model's service: just enough of an HTTP server to answer well or badly.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// What becomes of a question.
pub enum Then {
    /// These bytes, and the end.
    Send(String),
    /// Nothing until the client goes.
    Silence,
}

/// A completion that says this.
pub fn says(content: &str) -> Then {
    let message = json!({"role": "assistant", "content": content});
    status(
        "200 OK",
        &json!({"choices": [{"message": message}]}).to_string(),
    )
}

/// This HTTP status.
pub fn status(status: &str, body: &str) -> Then {
    let length = body.len();
    Then::Send(format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    ))
}

/// A question as it came.
#[derive(Clone)]
pub struct Question {
    /// The request line and the header lines.
    pub head: String,
    pub body: Value,
}

impl Question {
    /// Who said what.
    pub fn messages(&self) -> Vec<(&str, &str)> {
        let messages = self.body["messages"].as_array().unwrap();
        let said = messages
            .iter()
            .map(|m| (m["role"].as_str(), m["content"].as_str()));
        said.map(|(role, text)| (role.unwrap(), text.unwrap()))
            .collect()
    }

    pub fn has_header(&self, name: &str, value: &str) -> bool {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.any(|(of, is)| of.eq_ignore_ascii_case(name) && is == value)
    }
}

/// The service, for as long as the test runs.
pub struct Model {
    pub url: String,
    questions: Arc<Mutex<Vec<Question>>>,
}

impl Model {
    /// One that does these things, one a question. Whoever asks more finds nobody there.
    pub fn start(script: impl IntoIterator<Item = Then>) -> Model {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let model = Model {
            url: format!("http://{}/v1", listener.local_addr().unwrap()),
            questions: Arc::default(),
        };
        let (script, asked): (Vec<Then>, _) =
            (script.into_iter().collect(), model.questions.clone());
        thread::spawn(move || {
            for then in script {
                let (stream, _) = listener.accept().unwrap();
                let question = read(&stream);
                asked.lock().unwrap().push(question);
                // Whether the client is still there is its own affair.
                let mut stream = stream;
                match then {
                    Then::Send(bytes) => drop(stream.write_all(bytes.as_bytes())),
                    Then::Silence => {
                        thread::spawn(move || stream.read(&mut [0]));
                    }
                }
            }
        });
        model
    }

    /// What it was asked so far.
    pub fn questions(&self) -> Vec<Question> {
        self.questions.lock().unwrap().clone()
    }
}

fn read(mut stream: &TcpStream) -> Question {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length.unwrap().1.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    Question {
        body: serde_json::from_slice(&body).unwrap(),
        head,
    }
}

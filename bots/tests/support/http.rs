//! Just enough of an HTTP/1.1 server to talk with one client, well or badly.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, Notify};

/// What becomes of a request.
#[derive(Clone)]
pub enum Then {
    /// These bytes are sent, and the connection is closed.
    Send(Vec<u8>),
    /// These bytes are sent, and then the last ones again and again until the client goes.
    Repeat(Vec<u8>, Vec<u8>),
    /// These bytes are sent, and nothing more until the client goes.
    Stall(Vec<u8>),
    /// These bytes are sent when others wait here, too.
    Meet(Arc<Barrier>, Vec<u8>),
}

#[derive(Clone)]
pub struct Request {
    /// The request line and the header lines, names in small letters.
    pub head: Vec<String>,
    pub body: Value,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head[1..]
            .iter()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Who said what.
    pub fn messages(&self) -> Vec<(&str, &str)> {
        let messages = self.body["messages"].as_array().unwrap();
        (messages.iter())
            .map(|m| (m["role"].as_str().unwrap(), m["content"].as_str().unwrap()))
            .collect()
    }
}

/// A server on a port of its own, as long as its runtime.
pub struct Server {
    pub address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    arrived: Arc<Notify>,
}

impl Server {
    /// Each connection is one request, and gets the next of `script`; those after the last get nothing.
    pub async fn start(script: impl IntoIterator<Item = Then>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server {
            address: listener.local_addr().unwrap().to_string(),
            requests: Arc::default(),
            arrived: Arc::default(),
        };
        let (requests, arrived) = (server.requests.clone(), server.arrived.clone());
        let mut script: Vec<Then> = script.into_iter().collect();
        script.reverse();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(request) = read(&mut stream).await else {
                    continue;
                };
                requests.lock().unwrap().push(request);
                arrived.notify_one();
                let then = script.pop().unwrap_or(Then::Stall(Vec::new()));
                tokio::spawn(act(stream, then));
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Until another request has come.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }
}

/// None if the client goes before it is whole or says something else.
async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).ok()?;
    let head: Vec<String> = head
        .split("\r\n")
        .map(|line| match line.split_once(':') {
            Some((name, value)) if !line.contains("HTTP/") => {
                format!("{}: {}", name.to_lowercase(), value.trim())
            }
            _ => line.to_owned(),
        })
        .collect();
    let mut request = Request {
        head,
        body: Value::Null,
    };
    let length: usize = request.header("content-length")?.parse().ok()?;
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    request.body = serde_json::from_slice(&body).ok()?;
    Some(request)
}

async fn act(mut stream: TcpStream, then: Then) {
    // Whether the client is still there is its own affair.
    match then {
        Then::Send(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Then::Repeat(bytes, again) => {
            let mut sent = stream.write_all(&bytes).await;
            while sent.is_ok() {
                sent = stream.write_all(&again).await;
            }
        }
        Then::Stall(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.read(&mut [0]).await;
        }
        Then::Meet(others, bytes) => {
            others.wait().await;
            let _ = stream.write_all(&bytes).await;
        }
    }
}

/// An answer with a length.
pub fn status(status: &str, body: &str) -> Then {
    let length = body.len();
    Then::Send(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes())
}

pub fn ok(body: &str) -> Then {
    status("200 OK", body)
}

/// An answer that says `content`, and more beside that nobody reads.
pub fn says(content: &str) -> Then {
    ok(&completion(content))
}

pub fn completion(content: &str) -> String {
    let message = serde_json::json!({"role": "assistant", "content": content, "refusal": null});
    serde_json::json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"total_tokens": 3},
    })
    .to_string()
}

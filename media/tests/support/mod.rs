//! What several test programs need: files made by the `ffmpeg` command, and small servers.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use tempfile::TempDir;

/// What an `ffmpeg` command line makes, as the bytes of a file.
pub fn made_from(input: &[&str], arguments: &[&str]) -> Vec<u8> {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("made");
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(input)
        .args(arguments)
        .arg(&path)
        .output()
        .expect("the ffmpeg command is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::read(path).unwrap()
}

/// A server for one connection; its `host:port`.
pub fn serve(serve: impl FnOnce(TcpStream) + Send + 'static) -> String {
    playhouse_media::init();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    thread::spawn(move || serve(listener.accept().unwrap().0));
    place
}

/// Takes what comes until the other side closes.
pub fn wait_for_end(mut stream: TcpStream) {
    while stream.read(&mut [0; 1000]).is_ok_and(|length| length > 0) {}
}

/// Sends `bytes` and then closes, or stays silent.
pub fn serve_bytes(bytes: Vec<u8>, close: bool) -> String {
    serve(move |mut stream| {
        // The other side may have had enough.
        let _ = stream.write_all(&bytes);
        if !close {
            wait_for_end(stream);
        }
    })
}

/// Up to the empty line.
pub fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        request.extend(byte);
    }
    String::from_utf8(request).unwrap()
}

/// Answers one HTTP request.
pub fn serve_http(head: &str, body: &[u8], close: bool) -> String {
    let head = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n");
    let answer = [head.as_bytes(), body].concat();
    serve(move |mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(&answer);
        if !close {
            wait_for_end(stream);
        }
    })
}

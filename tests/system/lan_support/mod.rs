//! Clients of the four plain services, which read and write as old programs do, and what they send and hear.

pub mod cameras;
pub mod chatters;
pub mod contents;
pub mod fetchers;
pub mod listeners;
pub mod pickles;
pub mod sounds;

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::support::{House, PATIENCE, connect, wait_for};

/// Connects with room for hardly anything that is not read.
pub fn connect_narrow(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The lines of the log about this peer so far that have all of these words anywhere.
pub fn lines_of(house: &House, peer: SocketAddr, words: &[&str]) -> Vec<Value> {
    house.logged(|line| is_of(line, peer, words))
}

/// The line of the log about this peer, whenever it comes, that has all of these words anywhere.
pub fn wait_line(house: &House, peer: SocketAddr, words: &[&str]) -> Value {
    house.wait_log(&format!("{words:?} of {peer}"), |line| {
        is_of(line, peer, words)
    })
}

fn is_of(line: &Value, peer: SocketAddr, words: &[&str]) -> bool {
    line["span"]["peer"] == peer.to_string() && has(line, words)
}

/// The lines of the log so far that have all of these words anywhere.
pub fn lines_with(house: &House, words: &[&str]) -> Vec<Value> {
    house.logged(|line| has(line, words))
}

fn has(line: &Value, words: &[&str]) -> bool {
    let text = line.to_string();
    words.iter().all(|word| text.contains(word))
}

/// Waits until the connection from here is let go; why.
pub fn wait_left(house: &House, peer: SocketAddr) -> String {
    let line = wait_line(house, peer, &["left: "]);
    line["message"].as_str().unwrap_or_default().to_owned()
}

/// How many files and sockets a process has open.
pub fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// How many bytes from `client` have not been read by whoever is at the other end, on this machine.
pub fn unread_from(client: &TcpStream) -> u64 {
    other_end(client).1
}

/// How many bytes for `client` have not been taken by its system yet.
pub fn untaken_by(client: &TcpStream) -> u64 {
    other_end(client).0
}

/// What waits at the other end of a connection, on its way out and in; nothing if it is gone.
fn other_end(client: &TcpStream) -> (u64, u64) {
    let (here, there) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
    let hex = |word: &str| u64::from_str_radix(word, 16).unwrap();
    let pair = |word: &str| {
        let (first, second) = word.split_once(':').unwrap();
        (first.to_owned(), hex(second))
    };
    let lines = fs::read_to_string("/proc/net/tcp").unwrap();
    let ends = lines.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ports = (pair(words[1]).1, pair(words[2]).1);
        let (outgoing, incoming) = pair(words[4]);
        (ports == (there.port().into(), here.port().into())).then(|| (hex(&outgoing), incoming))
    });
    ends.unwrap_or_default()
}

/// Waits until so many are connected.
pub fn wait_connections(house: &House, count: u64) {
    wait_for("others to come or leave", || {
        (house.census().connections == count).then_some(())
    });
}

/// A path as a setting or an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Asks one of the other services something, which answers only if the house goes on.
pub fn assert_served(house: &House) {
    let stream = connect(house.videochat());
    assert_eq!(crate::support::recv_alone(&stream), "Enter your name: ");
}

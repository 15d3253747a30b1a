//! The yardstick for chunks: the least that a UDP server can do. One thread waits for a packet, looks at
//! its length and sends one back, of the size that packetchat's answer has.

use std::io::Write;
use std::net::{Ipv4Addr, UdpSocket};

use crate::{Outcome, udp};

/// Type, transaction and chunk number: all of a download's request and of the answer to an upload's.
pub const HEAD: usize = 14;
/// Head, length and 256 bytes.
pub const WITH_CHUNK: usize = HEAD + 2 + 256;

/// The bytes that follow a download's head in each answer.
pub fn after_head() -> [u8; WITH_CHUNK - HEAD] {
    std::array::from_fn(|n| match n {
        0 => 1,
        1 => 0,
        n => (n - 2) as u8,
    })
}

/// Answers until it is killed; says its port first.
pub fn run() -> Outcome {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    udp::raise_buffers(&socket)?;
    println!("ready {}", socket.local_addr()?.port());
    std::io::stdout().flush()?;
    let (mut packet, mut answer) = ([0; 2048], [0; WITH_CHUNK]);
    answer[HEAD..].copy_from_slice(&after_head());
    loop {
        let (length, from) = socket.recv_from(&mut packet)?;
        answer[..HEAD].copy_from_slice(&packet[..HEAD]);
        let answer = match length {
            WITH_CHUNK => &answer[..HEAD],
            HEAD => &answer[..],
            _ => continue,
        };
        socket.send_to(answer, from)?;
    }
}

//! Chat messages of 344 bytes (one RSA block of 2,048 bits in base64) to many receivers of videochat,
//! against publish and subscribe of redis-server.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use base64::Engine as _;
use playhouse_protocols::videochat::{ClientMessage, client_frame, json_frame};

use crate::chat_load::{Load, PAYLOAD};
use crate::server::Server;
use crate::videochat;
use crate::{Figure, Outcome, compare};

/// How many there are in each comparison.
const RECEIVERS: [usize; 2] = [50, 1000];

/// Prints the comparison.
pub fn run(playhouse: &Path, rounds: usize, seconds: f64, window: u64) -> Outcome {
    println!("chat fan-out, {PAYLOAD}-byte messages, one sender, {window} on their way");
    against_redis(rounds, seconds, window, |receivers| {
        let folder = tempfile::tempdir()?;
        let server = Server::playhouse(playhouse, folder.path(), &[])?;
        videochat(server.address, receivers)?.measure(seconds, window)
    })
}

/// Measures `ours`, deliveries a second to so many receivers, and redis-server in turn; prints the
/// comparison.
pub fn against_redis(
    rounds: usize,
    seconds: f64,
    window: u64,
    ours: impl Fn(usize) -> Outcome<f64>,
) -> Outcome {
    for receivers in RECEIVERS {
        let (mut measured, mut theirs) = (vec![], vec![]);
        for round in 0..rounds {
            // Whoever comes first does so in every other round.
            for is_ours in [round % 2 == 1, round % 2 == 0] {
                if is_ours {
                    measured.push(ours(receivers)?);
                } else {
                    let server = Server::redis()?;
                    theirs.push(redis(server.address, receivers)?.measure(seconds, window)?);
                }
            }
        }
        compare(
            &format!("to {receivers} receivers"),
            "deliveries/s",
            &Figure::of(measured),
            &Figure::of(theirs),
            "redis-server",
        );
    }
    println!();
    Ok(())
}

fn videochat(address: SocketAddr, receivers: usize) -> Outcome<Load> {
    let receivers = (0..receivers)
        .map(|n| videochat::join(address, &format!("receiver {n}")))
        .collect::<Outcome<Vec<_>>>()?;
    let sender = videochat::join(address, "sender")?;
    let text = base64::engine::general_purpose::STANDARD.encode([7; PAYLOAD / 4 * 3]);
    let message = client_frame(
        &ClientMessage::Communication {
            encrypt_message: text.as_str().into(),
            to: None,
        },
        "sender",
    );
    let received =
        format!(r#"{{"identifier":"Communication","encrypt_message":"{text}","from":"sender"}}"#);
    Ok(Load {
        sender,
        receivers,
        message: message.to_vec(),
        received: json_frame(received.as_bytes()).to_vec(),
    })
}

/// The yardstick of every chat.
fn redis(address: SocketAddr, receivers: usize) -> Outcome<Load> {
    let receivers = (0..receivers)
        .map(|_| {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(b"*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nroom\r\n")?;
            Ok(stream)
        })
        .collect::<Outcome<Vec<_>>>()?;
    let payload = "x".repeat(PAYLOAD);
    let message = format!("*3\r\n$7\r\nPUBLISH\r\n$4\r\nroom\r\n${PAYLOAD}\r\n{payload}\r\n");
    let received = format!("*3\r\n$7\r\nmessage\r\n$4\r\nroom\r\n${PAYLOAD}\r\n{payload}\r\n");
    Ok(Load {
        sender: TcpStream::connect(address)?,
        receivers,
        message: message.into_bytes(),
        received: received.into_bytes(),
    })
}

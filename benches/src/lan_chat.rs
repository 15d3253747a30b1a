//! Lines of lan_chat to many receivers, as long as the messages of the fan-out of videochat, against
//! publish and subscribe of redis-server.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use playhouse_protocols::lan::WELCOME;

use crate::Outcome;
use crate::chat_load::{Load, PAYLOAD};
use crate::fanout::against_redis;
use crate::server::Server;

/// A server welcomes long before.
const PATIENCE: Duration = Duration::from_secs(10);

/// Prints the comparison.
pub fn run(playhouse: &Path, rounds: usize, seconds: f64, window: u64) -> Outcome {
    println!("lan_chat, {PAYLOAD}-byte lines, one sender, {window} on their way");
    against_redis(rounds, seconds, window, |receivers| {
        let server = Server::lan_chat(playhouse)?;
        lan_chat(server.address, receivers)?.measure(seconds, window)
    })
}

fn lan_chat(address: SocketAddr, receivers: usize) -> Outcome<Load> {
    let receivers = (0..receivers)
        .map(|_| join(address))
        .collect::<Outcome<Vec<_>>>()?;
    let sender = join(address)?;
    let line = format!("{}\n", "x".repeat(PAYLOAD - 1));
    let received = format!("<{}> {line}", sender.local_addr()?.ip());
    Ok(Load {
        sender,
        receivers,
        message: line.into_bytes(),
        received: received.into_bytes(),
    })
}

/// Connects, and is welcomed.
fn join(address: SocketAddr) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut welcome = [0; WELCOME.len()];
    stream.read_exact(&mut welcome)?;
    if welcome != WELCOME {
        return Err(format!("no welcome: {:?}", String::from_utf8_lossy(&welcome)).into());
    }
    Ok(stream)
}

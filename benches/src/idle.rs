//! Resident memory for each of 2,000 idle connections.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::server::Server;
use crate::{Outcome, videochat};

const CONNECTIONS: usize = 2000;
/// Lists of people have all come when nothing came for so long.
const QUIET: Duration = Duration::from_secs(6);

/// Prints both figures: connected only, and with name and key in the house.
pub fn run(playhouse: &Path) -> Outcome {
    println!("resident memory of {CONNECTIONS} idle videochat connections");
    let folder = tempfile::tempdir()?;
    let server = Server::playhouse(playhouse, folder.path(), &[])?;
    let before = server.resident()?;
    let streams = (0..CONNECTIONS)
        .map(|_| Ok(TcpStream::connect(server.address)?))
        .collect::<Outcome<Vec<_>>>()?;
    settle(&streams, Duration::from_secs(1))?;
    report("connected", before, &server)?;
    drop(streams);
    drop(server);

    let server = Server::playhouse(playhouse, folder.path(), &[])?;
    let before = server.resident()?;
    let mut streams = Vec::with_capacity(CONNECTIONS);
    for n in 0..CONNECTIONS {
        streams.push(videochat::join(server.address, &format!("idler {n}"))?);
        if n % 50 == 0 {
            settle(&streams, Duration::ZERO)?;
        }
    }
    settle(&streams, QUIET)?;
    report("in the house, with a key", before, &server)?;
    println!();
    Ok(())
}

fn report(what: &str, before: u64, server: &Server) -> Outcome {
    let after = server.resident()?;
    let each = (after - before) as f64 / CONNECTIONS as f64 / 1024.0;
    println!(
        "{what:<28} {each:.1} KiB each ({} KiB before, {} KiB after)",
        before / 1024,
        after / 1024
    );
    Ok(())
}

/// Reads and drops whatever comes, until nothing has come for `quiet`.
fn settle(streams: &[TcpStream], quiet: Duration) -> Outcome {
    let mut buffer = vec![0; 256 * 1024];
    let mut last = Instant::now();
    loop {
        for mut stream in streams {
            stream.set_nonblocking(true)?;
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => return Err("the server closed a connection".into()),
                    Ok(_) => last = Instant::now(),
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) => return Err(e.into()),
                }
            }
        }
        if last.elapsed() >= quiet {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

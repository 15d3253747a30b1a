//! A file that clients of lan_file read to its end, against nginx: with `sendfile` alone, and with the send
//! buffer that makes it quickest besides. The same readers read all.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::server::Server;
use crate::{Figure, Outcome, compare};

const SIZES: [u64; 2] = [256 << 20, 1 << 30];
const CLIENTS: [usize; 2] = [1, 8];
/// What is quickly read is read so often in a row that one figure is about so many bytes.
const FIGURE: u64 = 2 << 30;
const READ: usize = 256 * 1024;
/// Of nginx's answer before the content, at most.
const HEAD: u64 = 16 * 1024;
/// A server that sends nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// What makes nginx quickest where nothing is far: then a file is read while it is in the processor's cache.
const SEND_BUFFER: &str = "sndbuf=256k";
/// In the folder of each size.
const NAME: &str = "content";

#[derive(Debug, Clone, Copy)]
enum Whose {
    Nginx,
    NginxWithSendBuffer,
    Playhouse,
}

impl Whose {
    const ALL: [Whose; 3] = [Whose::Nginx, Whose::NginxWithSendBuffer, Whose::Playhouse];

    /// Starts the server that offers the file called [`NAME`].
    fn start(self, playhouse: &Path, folder: &Path) -> Outcome<Server> {
        match self {
            Whose::Nginx => Server::nginx(folder, ""),
            Whose::NginxWithSendBuffer => Server::nginx(folder, SEND_BUFFER),
            Whose::Playhouse => Server::lan_file(playhouse, &folder.join(NAME)),
        }
    }

    /// Connects; what is read next is the content.
    fn ask(self, address: SocketAddr) -> Outcome<BufReader<TcpStream>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        match self {
            Whose::Playhouse => Ok(BufReader::with_capacity(READ, stream)),
            Whose::Nginx | Whose::NginxWithSendBuffer => {
                let request = format!("GET /{NAME} HTTP/1.0\r\nConnection: close\r\n\r\n");
                stream.write_all(request.as_bytes())?;
                let mut reader = BufReader::with_capacity(READ, stream);
                skip_head(&mut reader)?;
                Ok(reader)
            }
        }
    }
}

/// Prints the comparisons.
pub fn run(playhouse: &Path, rounds: usize) -> Outcome {
    println!("lan_file, a file in the page cache, read to its end");
    for size in SIZES {
        // Where the program is, there is a disk; where temporary files are, there may be memory only.
        let program = std::env::current_exe()?;
        let folder = tempfile::tempdir_in(program.parent().ok_or("no folder")?)?;
        make(&folder.path().join(NAME), size)?;
        // Of each number of clients, of each server.
        let mut figures = CLIENTS.map(|_| Whose::ALL.map(|_| vec![]));
        for round in 0..rounds {
            let mut turns: Vec<_> = Whose::ALL.into_iter().enumerate().collect();
            if round % 2 == 1 {
                turns.reverse();
            }
            for (n, whose) in turns {
                let server = whose.start(playhouse, folder.path())?;
                check(whose, server.address, &folder.path().join(NAME))?;
                for (of_clients, clients) in figures.iter_mut().zip(CLIENTS) {
                    of_clients[n].push(speed(whose, server.address, clients, size)?);
                }
            }
        }
        for (of_clients, clients) in figures.into_iter().zip(CLIENTS) {
            let [nginx, with_send_buffer, ours] = of_clients.map(Figure::of);
            let plural = if clients == 1 { "" } else { "s" };
            let what = format!("{} MiB, {clients} client{plural}", size >> 20);
            compare(&what, "GB/s", &ours, &nginx, "nginx");
            compare(
                &what,
                "GB/s",
                &ours,
                &with_send_buffer,
                &format!("nginx, {SEND_BUFFER}"),
            );
        }
    }
    println!();
    Ok(())
}

/// Noise, in memory and on the disk, so that nothing has to be written while something is measured.
fn make(path: &Path, size: u64) -> Outcome {
    let mut file = File::create_new(path)?;
    io::copy(&mut File::open("/dev/urandom")?.take(size), &mut file)?;
    Ok(file.sync_all()?)
}

/// Reads everything once, and compares it with the file.
fn check(whose: Whose, address: SocketAddr, path: &Path) -> Outcome {
    let mut reader = whose.ask(address)?;
    let (mut file, mut due) = (File::open(path)?, vec![0; READ]);
    loop {
        let got = reader.fill_buf()?;
        let n = got.len();
        if n == 0 {
            break;
        }
        file.read_exact(&mut due[..n])?;
        if got != &due[..n] {
            return Err(format!("{whose:?} sends something else than the file").into());
        }
        reader.consume(n);
    }
    match file.read(&mut due)? {
        0 => Ok(()),
        _ => Err(format!("{whose:?} sends a part of the file only").into()),
    }
}

/// GB/s of so many clients together, each of which reads the whole file on a thread of its own.
fn speed(whose: Whose, address: SocketAddr, clients: usize, size: u64) -> Outcome<f64> {
    let at_once = size * clients as u64;
    let times = FIGURE.div_ceil(at_once);
    let since = Instant::now();
    for _ in 0..times {
        thread::scope(|scope| -> Outcome {
            let readers: Vec<_> = (0..clients)
                .map(|_| scope.spawn(|| read(whose, address).map_err(|e| e.to_string())))
                .collect();
            for reader in readers {
                let bytes = reader.join().map_err(|_| "a reader panicked")??;
                if bytes != size {
                    return Err(format!("{whose:?} sent {bytes} bytes instead of {size}").into());
                }
            }
            Ok(())
        })?;
    }
    Ok((times * at_once) as f64 / since.elapsed().as_secs_f64() / 1e9)
}

/// Bytes of the content.
fn read(whose: Whose, address: SocketAddr) -> Outcome<u64> {
    let (mut reader, mut bytes) = (whose.ask(address)?, 0);
    loop {
        match reader.fill_buf()?.len() {
            0 => return Ok(bytes),
            n => {
                bytes += n as u64;
                reader.consume(n);
            }
        }
    }
}

/// Takes what stands before the content of an HTTP answer, and nothing of the content.
fn skip_head(reader: &mut impl BufRead) -> Outcome {
    let mut head = reader.take(HEAD);
    let (mut status, mut line) = (String::new(), String::new());
    head.read_line(&mut status)?;
    while line != "\r\n" {
        line.clear();
        if head.read_line(&mut line)? == 0 {
            return Err("nginx gives no HTTP answer".into());
        }
    }
    match status.starts_with("HTTP/1.1 200 ") {
        true => Ok(()),
        false => Err(format!("nginx doesn't send the file: {status}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_where_the_content_begins() {
        let mut answer = &b"HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n\r\n\r\ncontent"[..];
        skip_head(&mut answer).unwrap();
        assert_eq!(answer, b"\r\n\r\ncontent");
    }

    #[test]
    fn an_error_is_no_content() {
        let endless = [b"HTTP/1.1 200 OK\r\n".to_vec(), vec![b'x'; 100_000]].concat();
        for answer in [
            &b"HTTP/1.1 404 Not Found\r\n\r\nnothing"[..],
            b"HTTP/1.1 200 OK\r\n",
            b"",
            &endless,
        ] {
            assert!(skip_head(&mut &answer[..]).is_err());
        }
    }
}

//! packetchat: chunks a second with one client and with eight, against a bare UDP echo of packets of the
//! same sizes, and the way of a message among 10,000 sessions, against two.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use playhouse_protocols::packetchat::{CHUNK, Numbering, Request, Response, decode_response};

use crate::chunks::{Content, Driven, Transfer, WINDOW, Way, drive};
use crate::server::Server;
use crate::sessions::{Crowd, PERIOD};
use crate::{Figure, Outcome, compare, echo, udp};

const CLIENTS: usize = 8;
/// The file of each of the eight has this part of the one's size: all of them take twice its time.
const PART: usize = CLIENTS / 2;
/// The first chunks of a file, this part of it, are not in the figure.
const WARM_UP: u32 = 8;
const SESSIONS: usize = 10_000;
const SOCKETS: usize = 8;
/// The way of so many messages is one figure. It takes as many milliseconds, in which the other crowd
/// is left alone; so it is up to two periods until a session preserves itself again, and it lives three.
const MESSAGES: usize = 3000;
const REPEAT: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(20);

/// Prints the comparisons; the one client's file has so many MB.
pub fn run(playhouse: &Path, rounds: usize, file_mb: usize) -> Outcome {
    files(playhouse, rounds, file_mb)?;
    sessions(playhouse, rounds)
}

/// One figure of each round, and what the measuring was like.
#[derive(Default)]
struct Series {
    rates: Vec<f64>,
    /// Of one core, what the load used and what the server used.
    load: Vec<f64>,
    server: Vec<f64>,
    chunks: u64,
    repeats: u64,
    takings: u64,
}

impl Series {
    /// Takes a figure while it watches what `server` uses, after a part that warms up.
    fn take(&mut self, server: &Server, transfers: &mut [Transfer], end: u32) -> Outcome {
        drive(transfers, end / WARM_UP)?;
        let before = server.processor_time()?;
        let Driven {
            chunks,
            repeats,
            time,
            load,
            takings,
        } = drive(transfers, end)?;
        let seconds = time.as_secs_f64();
        self.rates.push(chunks as f64 / seconds);
        self.load.push(load.as_secs_f64() / seconds);
        let used = server.processor_time()? - before;
        self.server.push(used.as_secs_f64() / seconds);
        self.chunks += chunks;
        self.repeats += repeats;
        self.takings += takings;
        Ok(())
    }

    fn report(&self, whose: &str) {
        let share = |values: &[f64]| Figure::of(values.to_vec()).median * 100.0;
        println!(
            "    {whose}: {} of {} requests repeated; of one core, the server used {:.0} %, the load {:.0} %, \
             which took {:.1} answers at once",
            self.repeats,
            self.chunks,
            share(&self.server),
            share(&self.load),
            self.chunks as f64 / self.takings as f64,
        );
    }
}

fn files(playhouse: &Path, rounds: usize, file_mb: usize) -> Outcome {
    println!(
        "packetchat, chunks of {CHUNK} bytes, {WINDOW} requests of each client on their way; \
         files of {file_mb} MB, with {CLIENTS} clients of 1/{PART} of that"
    );
    let stock = noise(file_mb << 20);
    let mut ours: [Series; 4] = Default::default();
    let mut theirs: [Series; 4] = Default::default();
    let mut last = [vec![], vec![]];
    for _ in 0..rounds {
        let server = Server::echo()?;
        for (n, series) in theirs.iter_mut().enumerate() {
            let (clients, way) = kind(n);
            echo_round(&server, clients, way, &stock, series)?;
        }
        drop(server);

        let server = Server::packetchat(playhouse)?;
        let [one_up, one_down, eight_up, eight_down] = &mut ours;
        last[0].push(round(&server, 1, &stock, one_up, one_down)?);
        last[1].push(round(&server, CLIENTS, &stock, eight_up, eight_down)?);
    }

    for (n, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        let (clients, way) = kind(n);
        let what = match (clients, way) {
            (1, Way::Up) => "one client, up",
            (1, Way::Down) => "one client, down",
            (_, Way::Up) => "eight clients together, up",
            (_, Way::Down) => "eight clients together, down",
        };
        let (ours_figure, theirs_figure) = (figure(ours), figure(theirs));
        compare(what, "chunks/s", &ours_figure, &theirs_figure, "UDP echo");
        ours.report("playhouse");
        theirs.report("UDP echo");
    }
    for (what, one) in [
        ("eight clients together, up", 0),
        ("eight clients together, down", 1),
    ] {
        let (eight, one) = (figure(&ours[one + 2]), figure(&ours[one]));
        compare(what, "chunks/s", &eight, &one, "playhouse, one,");
    }
    for (clients, times) in ["one file", "eight files"].into_iter().zip(last) {
        let Figure {
            median,
            least,
            most,
        } = Figure::of(times);
        println!(
            "{clients}: the last chunk, answered when the file is on disk, takes {median:.0} ms ({least:.0}–{most:.0})"
        );
    }
    println!();
    Ok(())
}

fn figure(series: &Series) -> Figure {
    Figure::of(series.rates.clone())
}

/// Of the four measurements with files: how many clients, and which way.
fn kind(n: usize) -> (usize, Way) {
    let clients = [1, 1, CLIENTS, CLIENTS][n];
    (clients, [Way::Up, Way::Down][n % 2])
}

/// Chunks of each client's file.
fn chunks(stock: &[u8], clients: usize) -> u32 {
    let part = if clients == 1 { 1 } else { PART };
    (stock.len() / CHUNK / part) as u32
}

/// Content that no client shares with another one, at the same chunk.
fn content(stock: &[u8], client: usize) -> Content<'_> {
    let first = client * (stock.len() / CHUNK / CLIENTS);
    Content { stock, first }
}

fn echo_round(
    server: &Server,
    clients: usize,
    way: Way,
    stock: &[u8],
    series: &mut Series,
) -> Outcome {
    // What comes down from the echo is always the same chunk.
    let echoed = &echo::after_head()[2..];
    let mut transfers = (0..clients)
        .map(|client| {
            let content = match way {
                Way::Up => content(stock, client),
                Way::Down => Content {
                    stock: echoed,
                    first: 0,
                },
            };
            Transfer::echo(server.address, way, content)
        })
        .collect::<Outcome<Vec<_>>>()?;
    series.take(server, &mut transfers, chunks(stock, clients))
}

/// Uploads a file of each client and downloads it again, whereby every byte is compared. Returns how many
/// milliseconds the last chunks took, which are no part of the upload's figure: they wait for the disk.
fn round(
    server: &Server,
    clients: usize,
    stock: &[u8],
    up: &mut Series,
    down: &mut Series,
) -> Outcome<f64> {
    let count = chunks(stock, clients);
    let numbering = Numbering::Client;
    let (mut uploads, mut downloads) = (vec![], vec![]);
    for client in 0..clients {
        let socket = udp::connect(server.address)?;
        let name = format!("client {client} of {clients}");
        let name = name.as_bytes();
        let session = ask(
            &socket,
            &Request::Session { name },
            |response| match response {
                Response::Cookie { session, .. } => Some(session),
                _ => None,
            },
        )?;
        let size = count * CHUNK as u32;
        let request = Request::Upload {
            session,
            size,
            name,
            numbering,
        };
        let (file, transaction) = ask(&socket, &request, |response| match response {
            Response::Upload { file, transaction } => Some((file, transaction)),
            _ => None,
        })?;
        let content = content(stock, client);
        uploads.push(Transfer::playhouse(
            server.address,
            Way::Up,
            transaction,
            content,
        )?);
        downloads.push((socket, session, file, content));
    }
    up.take(server, &mut uploads, count - 1)?;
    let last = drive(&mut uploads, count)?.time.as_secs_f64() * 1000.0;

    let mut transfers = vec![];
    for (socket, session, file, content) in &downloads {
        let (session, file) = (*session, *file);
        let request = Request::Download {
            session,
            file,
            numbering,
        };
        let transaction = ask(socket, &request, |response| match response {
            Response::Download { transaction, .. } => Some(transaction),
            _ => None,
        })?;
        transfers.push(Transfer::playhouse(
            server.address,
            Way::Down,
            transaction,
            *content,
        )?);
    }
    down.take(server, &mut transfers, count)?;
    Ok(last)
}

/// Asks until there is an answer that `take` takes.
fn ask<T>(
    socket: &UdpSocket,
    request: &Request,
    take: impl Fn(Response) -> Option<T>,
) -> Outcome<T> {
    let since = Instant::now();
    let mut packet = [0; 512];
    while since.elapsed() < PATIENCE {
        socket.send(&request.packet())?;
        udp::wait([socket], REPEAT)?;
        loop {
            match socket.recv(&mut packet) {
                Ok(length) => {
                    let response = decode_response(&packet[..length], Numbering::Client)?;
                    if let Some(taken) = take(response) {
                        return Ok(taken);
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e.into()),
            }
        }
    }
    Err(format!("no answer to {request:?}").into())
}

/// Bytes in which no chunk is like another one.
pub fn noise(bytes: usize) -> Vec<u8> {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = Vec::with_capacity(bytes);
    while noise.len() < bytes {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        noise.extend_from_slice(&random.to_be_bytes());
    }
    noise
}

fn sessions(playhouse: &Path, rounds: usize) -> Outcome {
    println!(
        "packetchat, {SESSIONS} sessions on {SOCKETS} sockets, each preserving itself every {} s",
        PERIOD.as_secs()
    );
    let server = Server::packetchat(playhouse)?;
    let before = server.resident()?;
    let since = Instant::now();
    let mut many = Crowd::open(server.address, SESSIONS, SOCKETS)?;
    let opened = since.elapsed().as_secs_f64();
    many.idle(PERIOD)?;
    let after = server.resident()?;
    let each = after.saturating_sub(before) as f64 / SESSIONS as f64 / 1024.0;
    println!(
        "{:<28} {each:.1} KiB each ({} KiB before, {} KiB after); opened in {opened:.1} s",
        "resident memory",
        before / 1024,
        after / 1024
    );

    let other = Server::packetchat(playhouse)?;
    let mut two = Crowd::open(other.address, 2, 2)?;
    let mut figures: [[Vec<f64>; 3]; 2] = Default::default();
    for _ in 0..rounds {
        for (crowd, figures) in [&mut many, &mut two].into_iter().zip(&mut figures) {
            let mut ways = crowd.talk(MESSAGES)?;
            ways.sort();
            let at = |share: f64| ways[((ways.len() - 1) as f64 * share) as usize];
            for (share, figures) in [0.5, 0.99, 1.0].into_iter().zip(figures) {
                figures.push(at(share).as_secs_f64() * 1e6);
            }
        }
    }
    two.check()?;
    many.check()?;

    let [many_figures, two_figures] = figures;
    let names = ["p50", "p99", "max"];
    for ((name, many), two) in names.into_iter().zip(many_figures).zip(two_figures) {
        let (many, two) = (Figure::of(many), Figure::of(two));
        let what = format!("way of a message, {name}");
        compare(&what, "µs", &many, &two, "2 sessions");
    }
    println!(
        "    {} messages a round, 1,000 a second; sent again by the server {} (2 sessions: {}), by the load {} ({})\n",
        MESSAGES, many.server_repeats, two.server_repeats, many.repeats, two.repeats
    );
    Ok(())
}

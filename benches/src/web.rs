//! Web viewers of one video, all at once: how many of their frames come on time. The server has one core,
//! the load the other one.

use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use crate::chunks::processor_time;
use crate::cores::Cores;
use crate::server::Server;
use crate::web_socket::{Messages, join, say};
use crate::{Figure, Outcome};

const VIEWERS: usize = 500;
/// 25 frames a second; 640 × 360.
const VIDEO: &str = "mandelbrot";
const QUALITY: &str = "360p";
const INTERVAL: Duration = Duration::from_millis(40);
/// Nothing comes for so long: what is missing does not come any more.
const QUIET: Duration = Duration::from_secs(10);

struct Viewer {
    stream: mio::net::TcpStream,
    messages: Messages,
    /// When its first frame was whole: its clock begins.
    first: Option<Instant>,
    ended: bool,
}

/// What came of one viewing by all.
#[derive(Default)]
struct Seen {
    frames: usize,
    promised: usize,
    /// By how much frames came after they were due by their viewer's clock, in seconds; negative: before.
    late: Vec<f64>,
    /// From asking to each viewer's first frame, in seconds.
    start: Vec<f64>,
    bytes: usize,
}

/// Prints how a video comes to all viewers.
pub fn run(playhouse: &Path, videos: &Path, rounds: usize) -> Outcome {
    let cores = Cores::part()?;
    let where_they_run = match cores.apart {
        true => "server and load on a core each",
        false => "server and load on the same core",
    };
    println!(
        "web: {VIEWERS} viewers of {VIDEO} {QUALITY}, 25 frames/s, from the beginning; {where_they_run}"
    );
    let [
        mut on_time,
        mut punctual,
        mut p99,
        mut begins,
        mut server_load,
        mut load,
    ] = [const { vec![] }; 6];
    let mut last = Seen::default();
    for _ in 0..rounds {
        let keys = [("PLAYHOUSE__SERVER__THREADS", "1")];
        let start = || Server::playhouse(playhouse, videos, &keys);
        let server = cores.for_server(start)??;
        let (before, own) = (server.processor_time()?, processor_time());
        let since = Instant::now();
        let mut seen = watch(&server)?;
        let elapsed = since.elapsed().as_secs_f64();
        server_load.push((server.processor_time()? - before).as_secs_f64() / elapsed);
        load.push((processor_time() - own).as_secs_f64() / elapsed);
        seen.late.sort_by(f64::total_cmp);
        let share = |limit: Duration| {
            let limit = limit.as_secs_f64();
            let in_time = seen.late.partition_point(|late| *late <= limit);
            100.0 * in_time as f64 / seen.promised as f64
        };
        on_time.push(share(INTERVAL));
        punctual.push(share(Duration::ZERO));
        seen.start.sort_by(f64::total_cmp);
        let at = (seen.start.len().saturating_sub(1) as f64 * 0.99) as usize;
        begins.push(1000.0 * seen.start.get(at).copied().unwrap_or(f64::NAN));
        let at = (seen.late.len().saturating_sub(1) as f64 * 0.99) as usize;
        p99.push(1000.0 * seen.late.get(at).copied().unwrap_or(f64::NAN));
        last = seen;
    }
    let show = |what: &str, unit: &str, values: Vec<f64>| {
        let figure = Figure::of(values);
        println!(
            "    {what:<52} {:>9.2} {unit} ({:.2}–{:.2})",
            figure.median, figure.least, figure.most
        );
    };
    show("on time, within the frame's 40 ms", "%", on_time);
    show("before it was due", "%", punctual);
    show("p99 of how late, by the first frame's clock", "ms", p99);
    show("p99 from asking to the first frame", "ms", begins);
    let percent = |values: Vec<f64>| values.into_iter().map(|value| 100.0 * value).collect();
    show("of one core, the server used", "%", percent(server_load));
    show("of one core, the load used", "%", percent(load));
    println!(
        "    {} of {} frames came, {:.0} kB each\n",
        last.frames,
        last.promised,
        last.bytes as f64 / last.frames.max(1) as f64 / 1000.0
    );
    Ok(())
}

fn watch(server: &Server) -> Outcome<Seen> {
    let web = server.address_of("web")?;
    let mut poll = Poll::new()?;
    let mut viewers = Vec::with_capacity(VIEWERS);
    for n in 0..VIEWERS {
        viewers.push(join(web, &format!("viewer {n}"))?);
    }
    let watch = serde_json::json!({
        "type": "watch", "stream": 1, "video": VIDEO, "quality": QUALITY,
    });
    let asked = Instant::now();
    for stream in &mut viewers {
        say(stream, &watch)?;
    }
    let mut viewers: Vec<Viewer> = viewers
        .into_iter()
        .enumerate()
        .map(|(n, stream)| {
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            let interest = Interest::READABLE;
            poll.registry().register(&mut stream, Token(n), interest)?;
            Ok(Viewer {
                stream,
                messages: Messages::default(),
                first: None,
                ended: false,
            })
        })
        .collect::<Outcome<_>>()?;
    let mut seen = Seen::default();
    let (mut events, mut buffer) = (Events::with_capacity(1024), vec![0; 256 * 1024]);
    let mut left = VIEWERS;
    let mut active = Instant::now();
    while left > 0 {
        poll.poll(&mut events, Some(Duration::from_secs(1)))?;
        for event in &events {
            let viewer = &mut viewers[event.token().0];
            loop {
                let read = match viewer.stream.read(&mut buffer) {
                    Ok(0) => return Err("the server has closed a connection".into()),
                    Ok(read) => read,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) => return Err(e.into()),
                };
                active = Instant::now();
                seen.bytes += read;
                let (first, ended) = (&mut viewer.first, &mut viewer.ended);
                viewer.messages.take(&buffer[..read], |text, start| {
                    if text {
                        note(start, &mut seen, ended);
                    } else if let Some(&[a, b, c, d]) = start.get(12..16) {
                        let due = u32::from_be_bytes([a, b, c, d]);
                        let due = Duration::from_millis(due.into()).as_secs_f64();
                        if first.is_none() {
                            seen.start.push((active - asked).as_secs_f64());
                        }
                        let clock = *first.get_or_insert(active);
                        seen.frames += 1;
                        seen.late.push((active - clock).as_secs_f64() - due);
                    }
                });
                if std::mem::take(&mut viewer.ended) {
                    left -= 1;
                }
            }
        }
        if active.elapsed() > QUIET {
            return Err(format!("{left} viewings do not end").into());
        }
    }
    Ok(seen)
}

/// What is said about the stream.
fn note(text: &[u8], seen: &mut Seen, ended: &mut bool) {
    // Longer messages, lists of people for instance, are cut, and none of ours.
    let Ok(message) = serde_json::from_slice::<serde_json::Value>(text) else {
        return;
    };
    match message["type"].as_str() {
        Some("stream") => seen.promised += message["frames"].as_u64().unwrap_or(0) as usize,
        Some("end") => *ended = true,
        _ => {}
    }
}

//! Frames a second of a video in 240p, 720p and 1440p, against a plain OpenCV server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Instant;

use crate::server::Server;
use crate::videochat::{self, Counter};
use crate::{Figure, Outcome, compare};

const VIDEO: &str = "cells";
const CHOICE: &str = "cells_240p.mp4";
const VIEWERS: usize = 8;
/// A replay is short; so many in a row are one figure.
const REPLAYS: usize = 10;
const READ: usize = 256 * 1024;

/// Prints the comparison.
pub fn run(playhouse: &Path, videos: &Path, rounds: usize) -> Outcome {
    let (mut first, mut replay, mut eight) = (vec![], vec![], vec![]);
    let (mut their_first, mut their_eight) = (vec![], vec![]);
    let (mut frames, mut bytes) = (0, 0);
    for _ in 0..rounds {
        let theirs = Server::opencv(videos)?;
        let since = Instant::now();
        frames = opencv_viewing(theirs.address)?;
        their_first.push(frames as f64 / since.elapsed().as_secs_f64());
        let since = Instant::now();
        let all = together(|_| opencv_viewing(theirs.address).map_err(|e| e.to_string()))?;
        their_eight.push(all as f64 / since.elapsed().as_secs_f64());
        drop(theirs);

        let ours = Server::playhouse(playhouse, videos, &[("PLAYHOUSE__STREAMING__PACE", "fast")])?;
        let mut viewer = Viewer::new(ours.address, "viewer")?;
        let since = Instant::now();
        let seen = viewer.watch()?;
        bytes = viewer.counter.bytes;
        first.push(seen as f64 / since.elapsed().as_secs_f64());
        if seen != frames {
            return Err(format!("{seen} frames instead of {frames}").into());
        }
        let since = Instant::now();
        for _ in 0..REPLAYS {
            viewer.watch()?;
        }
        replay.push((REPLAYS as u64 * seen) as f64 / since.elapsed().as_secs_f64());
        let address = ours.address;
        let mut viewers = (0..VIEWERS)
            .map(|n| Viewer::new(address, &format!("viewer {n}")))
            .collect::<Outcome<Vec<_>>>()?;
        let since = Instant::now();
        let all = thread::scope(|scope| -> Outcome<u64> {
            let threads: Vec<_> = viewers
                .iter_mut()
                .map(|viewer| {
                    scope.spawn(|| -> Result<u64, String> {
                        (0..REPLAYS)
                            .map(|_| viewer.watch().map_err(|e| e.to_string()))
                            .sum()
                    })
                })
                .collect();
            total(threads)
        })?;
        eight.push(all as f64 / since.elapsed().as_secs_f64());
    }
    let one = Figure::of(their_first);
    let megabytes = bytes as f64 / 1e6;
    println!(
        "streaming {VIDEO}, {frames} frames in 240p, 720p and 1440p, JPEG quality 90, {megabytes:.1} MB a viewing"
    );
    compare("first play", "frames/s", &Figure::of(first), &one, "OpenCV");
    compare(
        "replay from the cache",
        "frames/s",
        &Figure::of(replay),
        &one,
        "OpenCV",
    );
    let eight = Figure::of(eight);
    compare(
        "eight viewers, all together",
        "frames/s",
        &eight,
        &one,
        "OpenCV, one viewer,",
    );
    let their_eight = Figure::of(their_eight);
    compare(
        "eight viewers, all together",
        "frames/s",
        &eight,
        &their_eight,
        "OpenCV, eight,",
    );
    println!();
    Ok(())
}

/// One connection to playhouse that watches the video again and again.
struct Viewer {
    stream: TcpStream,
    counter: Counter,
    buffer: Vec<u8>,
}

impl Viewer {
    fn new(address: SocketAddr, name: &str) -> Outcome<Viewer> {
        Ok(Viewer {
            stream: videochat::join(address, name)?,
            counter: Counter::default(),
            buffer: vec![0; READ],
        })
    }

    /// Frames from the choice to `Video Finish`.
    fn watch(&mut self) -> Outcome<u64> {
        let before = self.counter.frames;
        videochat::choose(&mut self.stream, CHOICE)?;
        while self.counter.frames == before || !self.counter.ended_with("Video Finish") {
            let n = self.stream.read(&mut self.buffer)?;
            if n == 0 {
                return Err("playhouse closed the connection".into());
            }
            self.counter.feed(&self.buffer[..n]);
        }
        Ok(self.counter.frames - before)
    }
}

/// Frames from the request to the end of the connection.
fn opencv_viewing(address: SocketAddr) -> Outcome<u64> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(format!("{VIDEO}\n").as_bytes())?;
    let (mut counter, mut buffer) = (Counter::default(), vec![0; READ]);
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(counter.frames),
            n => counter.feed(&buffer[..n]),
        }
    }
}

fn together(view: impl Fn(usize) -> Result<u64, String> + Sync) -> Outcome<u64> {
    thread::scope(|scope| {
        let view = &view;
        total((0..VIEWERS).map(|n| scope.spawn(move || view(n))).collect())
    })
}

fn total(threads: Vec<thread::ScopedJoinHandle<'_, Result<u64, String>>>) -> Outcome<u64> {
    let mut sum = 0;
    for thread in threads {
        sum += thread.join().map_err(|_| "a viewer panicked")??;
    }
    Ok(sum)
}

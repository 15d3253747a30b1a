//! A camera and those who watch it, all in one thread and on one clock.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use super::camera::Camera;
use super::pictures;
use crate::Outcome;
use crate::chunks::processor_time;
use crate::videochat::Counter;

const READ: usize = 256 * 1024;
/// What has not come for so long, while nothing else came, does not come any more.
const QUIET: Duration = Duration::from_millis(500);
/// The same for frames in a window; if somebody misses the newest, the next one is not held up for long.
const STALL: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(20);

/// When the camera sends.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// One frame in each such time.
    Clock(Duration),
    /// At once, while at most so many frames have not come to everybody.
    Window(usize),
}

/// What came of the frames that were sent in some time.
#[derive(Debug, Default)]
pub struct Sight {
    /// From sending to the last byte, of each frame and viewer.
    pub ages: Vec<Duration>,
    /// How many of them there should be.
    pub expected: usize,
    /// How many came a second while frames were sent.
    pub rate: f64,
    /// Of one core, what the load used.
    pub load: f64,
}

impl Sight {
    /// Of what should have come, this part did not.
    pub fn missed(&self) -> f64 {
        1.0 - self.ages.len() as f64 / self.expected as f64
    }
}

struct Viewer {
    stream: mio::net::TcpStream,
    counter: Counter,
    /// Frames before this one have come or will not.
    next: usize,
}

pub struct Audience {
    camera: Camera,
    viewers: Vec<Viewer>,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
}

impl Audience {
    /// Everybody on `streams` is about to get the camera's frames.
    pub fn new(camera: Camera, streams: Vec<TcpStream>) -> Outcome<Audience> {
        let poll = Poll::new()?;
        let mut viewers = Vec::with_capacity(streams.len());
        for (n, stream) in streams.into_iter().enumerate() {
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            let registry = poll.registry();
            registry.register(&mut stream, Token(n), Interest::READABLE)?;
            viewers.push(Viewer {
                stream,
                counter: Counter::default(),
                next: 0,
            });
        }
        Ok(Audience {
            camera,
            viewers,
            poll,
            events: Events::with_capacity(1024),
            buffer: vec![0; READ],
        })
    }

    /// Sends at `every` until all have seen something, and for `time` on.
    pub fn settle(&mut self, every: Duration, time: Duration) -> Outcome {
        let since = Instant::now();
        while self.viewers.iter().any(|viewer| viewer.counter.frames == 0) {
            if since.elapsed() > PATIENCE {
                return Err("not all viewers get frames".into());
            }
            self.watch(Pace::Clock(every), every)?;
        }
        self.watch(Pace::Clock(every), time)?;
        Ok(())
    }

    /// Sends for `time` at `pace`, and waits for what has not come then.
    pub fn watch(&mut self, pace: Pace, time: Duration) -> Outcome<Sight> {
        let mut sight = Sight::default();
        let first = self.camera.frames();
        let (start, load) = (Instant::now(), processor_time());
        let (mut due, mut last) = (start, start);
        loop {
            let now = Instant::now();
            if now >= start + time {
                break;
            }
            let wait = match pace {
                Pace::Clock(every) => {
                    if now >= due {
                        self.camera.send()?;
                        due += every;
                    }
                    // The load does not sleep: its own waking up would be part of each age.
                    Duration::ZERO
                }
                Pace::Window(frames) => {
                    let stalled = now - last > STALL;
                    if stalled {
                        last = now;
                    }
                    if stalled || self.on_their_way() < frames {
                        self.camera.send()?;
                    }
                    match self.on_their_way() < frames {
                        true => Duration::ZERO,
                        false => STALL,
                    }
                }
            };
            if self.read(wait, first, &mut sight.ages)? {
                last = now;
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        sight.rate = sight.ages.len() as f64 / seconds;
        sight.load = (processor_time() - load).as_secs_f64() / seconds;
        sight.expected = (self.camera.frames() - first) * self.viewers.len();

        let mut last = Instant::now();
        while self.on_their_way() > 0 && last.elapsed() < QUIET {
            if self.read(Duration::ZERO, first, &mut sight.ages)? {
                last = Instant::now();
            }
        }
        Ok(sight)
    }

    /// Frames that somebody still waits for.
    fn on_their_way(&self) -> usize {
        let slowest = self.viewers.iter().map(|viewer| viewer.next).min();
        self.camera.frames() - slowest.unwrap_or(0)
    }

    /// Reads what has come to everybody, or comes within `wait`; says whether there was something. Notes
    /// the ages of frames from `first` on.
    fn read(&mut self, wait: Duration, first: usize, ages: &mut Vec<Duration>) -> Outcome<bool> {
        self.poll.poll(&mut self.events, Some(wait))?;
        for event in &self.events {
            let viewer = &mut self.viewers[event.token().0];
            loop {
                let n = match viewer.stream.read(&mut self.buffer) {
                    Ok(0) => return Err("the server closed a connection".into()),
                    Ok(n) => n,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) => return Err(e.into()),
                };
                let now = Instant::now();
                let (camera, next) = (&self.camera, &mut viewer.next);
                let mut wrong = None;
                viewer.counter.watch(&self.buffer[..n], |start, length| {
                    match check(camera, *next, start, length) {
                        Ok((number, sent)) => {
                            *next = number + 1;
                            if number >= first {
                                ages.push(now - sent);
                            }
                        }
                        Err(error) => wrong = Some(error),
                    }
                });
                if let Some(error) = wrong {
                    return Err(error.into());
                }
                // There is nothing left; asking once more would only cost the load time.
                if n < self.buffer.len() {
                    break;
                }
            }
        }
        Ok(!self.events.is_empty())
    }
}

/// The number of a frame that begins with `start` and has `length` bytes, and when it was sent.
fn check(
    camera: &Camera,
    next: usize,
    start: &[u8],
    length: usize,
) -> Result<(usize, Instant), String> {
    let number = pictures::number(start).and_then(|number| usize::try_from(number).ok());
    let number = number.ok_or("a frame has no number")?;
    if number < next {
        return Err(format!("frame {number} comes after {}", next - 1));
    }
    match camera.frame(number) {
        Some((sent, size)) if size == length => Ok((number, sent)),
        Some((_, size)) => Err(format!(
            "frame {number} has {length} bytes instead of {size}"
        )),
        None => Err(format!("frame {number} was never sent")),
    }
}

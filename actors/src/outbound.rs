//! The way out: one bounded queue a connection, written from by the connection that owns it.
//!
//! What is queued is joined into vectored writes as far as the rule of each segment allows
//! (docs/protocols.md, "The read-boundary rule"). A message that its reader takes with a single
//! `recv` is never split over two writes: before one that might not fit, the socket is asked how much
//! it still takes.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::socket;

/// Segments joined into one write, at most: each takes up to two slices.
const MAX_SEGMENTS: usize = 32;
/// Bytes in one write, about.
const WRITE_BYTES: usize = 256 * 1024;
/// How long to wait before the socket is asked again for room.
const ROOM_PAUSE: Duration = Duration::from_millis(1);
/// Bytes of a frame before its JPEG, at most.
const MAX_HEAD: usize = 24;

/// How a segment may meet its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// One write, nothing before or after it for the gap.
    Alone,
    /// Like `Alone`, and a newer one takes the place of one that still waits.
    AloneNewest,
    /// Whole messages: joined with others, but never split.
    Message,
    /// A head that is never split, then bytes that may be.
    Frame,
}

/// What is queued in one piece.
#[derive(Debug)]
pub struct Segment {
    head: [u8; MAX_HEAD],
    head_length: usize,
    body: Bytes,
    /// Bytes already written.
    done: usize,
    rule: Rule,
}

impl Segment {
    /// Bytes that follow `rule`.
    pub fn new(rule: Rule, body: Bytes) -> Segment {
        Segment {
            head: [0; MAX_HEAD],
            head_length: 0,
            body,
            done: 0,
            rule,
        }
    }

    /// A frame: `head` (at most 24 bytes) is sent in one write with what follows.
    pub fn frame(head: &[u8], jpeg: Bytes) -> Segment {
        let mut segment = Segment::new(Rule::Frame, jpeg);
        segment.head_length = head.len().min(MAX_HEAD);
        segment.head[..segment.head_length].copy_from_slice(&head[..segment.head_length]);
        segment
    }

    fn len(&self) -> usize {
        self.head_length + self.body.len()
    }

    fn left(&self) -> usize {
        self.len() - self.done
    }

    fn is_alone(&self) -> bool {
        matches!(self.rule, Rule::Alone | Rule::AloneNewest)
    }

    /// Bytes at its beginning that must go out in one write.
    fn unsplit(&self) -> usize {
        match self.rule {
            _ if self.done > 0 => 0,
            Rule::Frame => self.head_length,
            _ => self.len(),
        }
    }

    fn slices(&self) -> [&[u8]; 2] {
        let head = &self.head[self.done.min(self.head_length)..self.head_length];
        let body = &self.body[self.done.saturating_sub(self.head_length)..];
        [head, body]
    }
}

/// More waits for the reader than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{backlog} bytes of messages wait for a slow reader, more than limits.backlog_kb allows")]
pub struct Overflow {
    pub backlog: usize,
}

/// The queue of one connection.
#[derive(Debug)]
pub struct Outbound {
    queue: VecDeque<Segment>,
    /// Kept back until the stream that runs is over.
    held: VecDeque<Segment>,
    holding: bool,
    /// Bytes queued or held, frames excepted: those wait at their source.
    backlog: usize,
    limit: usize,
    gap: Duration,
    last_write: Option<Instant>,
    last_alone: bool,
    timer: Option<Pin<Box<Sleep>>>,
    /// The socket takes at least so many bytes.
    room: usize,
    frames_written: u32,
    progress: Instant,
}

impl Outbound {
    /// An empty queue for at most `limit` bytes of messages, with `gap` around what stands alone.
    pub fn new(limit: usize, gap: Duration) -> Outbound {
        Outbound {
            queue: VecDeque::new(),
            held: VecDeque::new(),
            holding: false,
            backlog: 0,
            limit,
            gap,
            last_write: None,
            last_alone: false,
            timer: None,
            room: 0,
            frames_written: 0,
            progress: Instant::now(),
        }
    }

    /// Queues `segment`.
    ///
    /// # Errors
    /// The reader is too far behind; the segment is dropped.
    pub fn push(&mut self, segment: Segment) -> Result<(), Overflow> {
        if self.queue.is_empty() {
            self.progress = Instant::now();
        }
        if segment.rule == Rule::Frame {
            self.queue.push_back(segment);
            return Ok(());
        }
        let waiting = if self.holding {
            &mut self.held
        } else {
            &mut self.queue
        };
        if segment.rule == Rule::AloneNewest
            && let Some(older) = waiting
                .iter_mut()
                .find(|older| older.rule == Rule::AloneNewest && older.done == 0)
        {
            self.backlog = self.backlog - older.len() + segment.len();
            *older = segment;
            return Ok(());
        }
        // A single message may be longer than the limit; a list of thousands of people is.
        if self.backlog > 0 && self.backlog + segment.len() > self.limit {
            return Err(Overflow {
                backlog: self.backlog + segment.len(),
            });
        }
        self.backlog += segment.len();
        waiting.push_back(segment);
        Ok(())
    }

    /// From here on only frames go out; all else is held until [`Outbound::release`].
    pub fn hold(&mut self) {
        self.holding = true;
    }

    /// What was held follows.
    pub fn release(&mut self) {
        self.holding = false;
        self.queue.append(&mut self.held);
        self.held = VecDeque::new();
    }

    /// Drops the frames that are not begun yet.
    pub fn drop_frames(&mut self) {
        self.queue
            .retain(|segment| segment.rule != Rule::Frame || segment.done > 0);
    }

    /// Bytes of messages that wait.
    pub fn backlog(&self) -> usize {
        self.backlog
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// When the reader last took something, or the queue last was empty.
    pub fn progress(&self) -> Instant {
        self.progress
    }

    /// Frames that went out whole since the last call.
    pub fn take_frames_written(&mut self) -> u32 {
        std::mem::take(&mut self.frames_written)
    }

    /// Writes as much as rules and socket allow; ready when nothing is left.
    ///
    /// # Errors
    /// The socket's.
    pub fn poll_flush(&mut self, stream: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let Some(front) = self.queue.front() else {
                if self.queue.capacity() > MAX_SEGMENTS {
                    self.queue = VecDeque::new();
                }
                return Poll::Ready(Ok(()));
            };
            if front.done == 0 && (front.is_alone() || self.last_alone) {
                ready!(self.poll_quiet(stream, cx));
            }
            ready!(stream.poll_write_ready(cx))?;
            let mut slices = [IoSlice::new(&[]); 2 * MAX_SEGMENTS];
            let used = gather(&self.queue, &mut self.room, stream, &mut slices);
            if used == 0 {
                ready!(self.poll_timer(Instant::now() + ROOM_PAUSE, cx));
                continue;
            }
            match stream.try_write_vectored(&slices[..used]) {
                Ok(written) => self.advance(written),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.room = 0,
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    /// Waits until the gap is over and the peer's system has all that was written.
    fn poll_quiet(&mut self, stream: &TcpStream, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(last) = self.last_write {
            let now = Instant::now();
            let due = if now < last + self.gap {
                last + self.gap
            } else if !self.gap.is_zero() && socket::unacknowledged(stream) > 0 {
                self.last_write = Some(now);
                now + self.gap
            } else {
                break;
            };
            ready!(self.poll_timer(due, cx));
        }
        Poll::Ready(())
    }

    fn poll_timer(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        ready!(timer.as_mut().poll(cx));
        self.timer = None;
        Poll::Ready(())
    }

    fn advance(&mut self, mut written: usize) {
        let now = Instant::now();
        self.last_write = Some(now);
        self.progress = now;
        // The system books more than the bytes themselves; this errs on the small side.
        self.room = self.room.saturating_sub(written + written / 4 + 1024);
        while let Some(front) = self.queue.front_mut() {
            let taken = written.min(front.left());
            front.done += taken;
            written -= taken;
            self.last_alone = front.is_alone();
            if front.rule != Rule::Frame {
                self.backlog -= taken;
            }
            if front.left() > 0 {
                break;
            }
            if front.rule == Rule::Frame {
                self.frames_written += 1;
            }
            self.queue.pop_front();
            if written == 0 {
                break;
            }
        }
    }
}

/// Fills `slices` with what may go out together, and says how many of them it took. `room` is what
/// the socket is known to take.
fn gather<'a>(
    queue: &'a VecDeque<Segment>,
    room: &mut usize,
    stream: &TcpStream,
    slices: &mut [IoSlice<'a>],
) -> usize {
    let (mut used, mut total) = (0, 0);
    for (i, segment) in queue.iter().take(MAX_SEGMENTS).enumerate() {
        if i > 0 && (segment.is_alone() || total >= WRITE_BYTES) {
            break;
        }
        let unsplit = segment.unsplit();
        if unsplit > 0 && total + unsplit > *room {
            *room = socket::room(stream);
            // What is longer than the socket ever takes goes when nothing else is in the way.
            let fits =
                total + unsplit <= *room || (total == 0 && socket::unacknowledged(stream) == 0);
            if !fits {
                break;
            }
        }
        for slice in segment.slices() {
            if !slice.is_empty() {
                slices[used] = IoSlice::new(slice);
                used += 1;
            }
        }
        total += segment.left();
        if segment.is_alone() {
            break;
        }
    }
    used
}

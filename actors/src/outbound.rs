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
use tokio::time::{Instant, Sleep};

use crate::socket::SendBuffer;
use crate::traffic;

/// Segments joined into one write, at most: each takes up to two slices.
const MAX_SEGMENTS: usize = 32;
/// Bytes in one write, about.
const WRITE_BYTES: usize = 256 * 1024;
/// How long to wait before the socket is asked again for room: doubled from this …
const ROOM_PAUSE: Duration = Duration::from_millis(1);
/// … up to this, for a reader that has stopped.
const LONGEST_ROOM_PAUSE: Duration = Duration::from_millis(64);
/// What a segment takes in memory beside its bytes, about: it counts against the limit, too.
const OVERHEAD: usize = 160;
/// Bytes of a frame before its JPEG, at most.
const MAX_HEAD: usize = 32;

/// How a segment may meet its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// One write, nothing before or after it for the gap.
    Alone,
    /// Like `Alone`, and a newer one takes the place of one that still waits.
    AloneNewest,
    /// Whole messages: joined with others, but never split.
    Message,
    /// Joined with others, split wherever the socket has no room.
    Stream,
    /// A head that is never split, then bytes that may be.
    Frame,
    /// A frame that is never split.
    WholeFrame,
}

/// What is queued in one piece.
#[derive(Debug)]
pub struct Segment {
    head: [u8; MAX_HEAD],
    head_length: usize,
    body: Bytes,
    /// What a frame is of, if that may be thrown away; else 0.
    viewing: u64,
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
            viewing: 0,
            done: 0,
            rule,
        }
    }

    /// A frame: `head` (at most 32 bytes) is sent in one write with what follows.
    pub fn frame(head: &[u8], jpeg: Bytes) -> Segment {
        let mut segment = Segment::new(Rule::Frame, jpeg);
        segment.head_length = head.len().min(MAX_HEAD);
        segment.head[..segment.head_length].copy_from_slice(&head[..segment.head_length]);
        segment
    }

    /// A frame of what [`Outbound::discard`] may throw away by this number, which is not 0.
    pub fn frame_of(viewing: u64, head: &[u8], jpeg: Bytes) -> Segment {
        Segment {
            viewing,
            ..Segment::frame(head, jpeg)
        }
    }

    /// A frame that is sent in one write.
    pub fn whole_frame(body: Bytes) -> Segment {
        Segment::new(Rule::WholeFrame, body)
    }

    /// Whether it waits at its source, and not here.
    fn is_frame(&self) -> bool {
        matches!(self.rule, Rule::Frame | Rule::WholeFrame)
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
            Rule::Stream => 0,
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
#[error(
    "{backlog} bytes of messages, or too many small ones, wait for a slow reader: limits.backlog_kb"
)]
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
    room_pause: Duration,
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
            room_pause: ROOM_PAUSE,
            frames_written: 0,
            progress: Instant::now(),
        }
    }

    /// Queues `segment`.
    ///
    /// # Errors
    /// The reader is too far behind; the segment is dropped.
    pub fn push(&mut self, segment: Segment) -> Result<(), Overflow> {
        if segment.len() == 0 {
            return Ok(());
        }
        if self.queue.is_empty() {
            self.progress = Instant::now();
        }
        if segment.is_frame() {
            self.queue.push_back(segment);
            return Ok(());
        }
        let segments = self.queue.len() + self.held.len() + 1;
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
        let memory = self.backlog + segment.len() + segments * OVERHEAD;
        if self.backlog > 0 && memory > self.limit {
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

    /// Throws the frames of this viewing away that are not begun; how many there were.
    pub fn discard(&mut self, viewing: u64) -> usize {
        let before = self.queue.len();
        self.queue
            .retain(|segment| segment.viewing != viewing || segment.done > 0);
        before - self.queue.len()
    }

    /// Bytes of messages that wait.
    pub fn backlog(&self) -> usize {
        self.backlog
    }

    /// When the reader last took something, or the queue last was empty.
    pub fn progress(&self) -> Instant {
        self.progress
    }

    /// Whether frames went out whole since the last [`Outbound::take_frames_written`].
    pub fn has_written_frames(&self) -> bool {
        self.frames_written > 0
    }

    /// Frames that went out whole since the last call.
    pub fn take_frames_written(&mut self) -> u32 {
        std::mem::take(&mut self.frames_written)
    }

    /// Writes as much as rules and socket allow; ready when nothing is left.
    ///
    /// # Errors
    /// The socket's.
    pub fn poll_flush(
        &mut self,
        stream: &impl SendBuffer,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let Some(front) = self.queue.front() else {
                if self.queue.capacity() > MAX_SEGMENTS {
                    self.queue = VecDeque::new();
                }
                return Poll::Ready(Ok(()));
            };
            if front.done == 0 && (front.is_alone() || self.last_alone) {
                ready!(self.poll_quiet(stream, cx))?;
            }
            ready!(stream.poll_ready(cx))?;
            let mut slices = [IoSlice::new(&[]); 2 * MAX_SEGMENTS];
            let used = gather(&self.queue, &mut self.room, stream, &mut slices);
            if used == 0 {
                ready!(self.poll_timer(Instant::now() + self.room_pause, cx));
                self.room_pause = (self.room_pause * 2).min(LONGEST_ROOM_PAUSE);
                continue;
            }
            match stream.write(&slices[..used]) {
                Ok(written) => self.advance(written),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.room = 0,
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    /// Waits until the gap is over and the peer's system has all that was written.
    fn poll_quiet(
        &mut self,
        stream: &impl SendBuffer,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(last) = self.last_write {
            let now = Instant::now();
            let due = if now < last + self.gap {
                last + self.gap
            } else if !self.gap.is_zero() && stream.unacknowledged() > 0 {
                // What a connection that was reset has not acknowledged never will be.
                stream.check()?;
                self.last_write = Some(now);
                now + self.gap
            } else {
                break;
            };
            ready!(self.poll_timer(due, cx));
        }
        Poll::Ready(Ok(()))
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
        traffic::went(written);
        let now = Instant::now();
        self.last_write = Some(now);
        self.progress = now;
        self.room_pause = ROOM_PAUSE;
        // The system books more than the bytes themselves; this errs on the small side.
        self.room = self.room.saturating_sub(written + written / 4 + 1024);
        while let Some(front) = self.queue.front_mut() {
            let taken = written.min(front.left());
            front.done += taken;
            written -= taken;
            self.last_alone = front.is_alone();
            if !front.is_frame() {
                self.backlog -= taken;
            }
            if front.left() > 0 {
                break;
            }
            if front.is_frame() {
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
    stream: &impl SendBuffer,
    slices: &mut [IoSlice<'a>],
) -> usize {
    let (mut used, mut total) = (0, 0);
    for (i, segment) in queue.iter().take(MAX_SEGMENTS).enumerate() {
        if i > 0 && (segment.is_alone() || total >= WRITE_BYTES) {
            break;
        }
        let unsplit = segment.unsplit();
        if unsplit > 0 && total + unsplit > *room {
            *room = stream.room();
            // What is longer than the socket ever takes goes when nothing else is in the way.
            let fits = total + unsplit <= *room || (total == 0 && stream.unacknowledged() == 0);
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

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use proptest::prelude::*;

    use super::*;

    const GAP: Duration = Duration::from_millis(30);

    /// A socket that takes `capacity` bytes until its reader reads, and keeps every write apart.
    struct Fake {
        capacity: usize,
        unread: Cell<usize>,
        reset: Cell<bool>,
        waker: RefCell<Option<std::task::Waker>>,
        writes: RefCell<Vec<(Instant, Vec<u8>)>>,
    }

    impl Fake {
        fn new(capacity: usize) -> Fake {
            Fake {
                capacity,
                unread: Cell::new(0),
                reset: Cell::new(false),
                waker: RefCell::default(),
                writes: RefCell::default(),
            }
        }

        fn read(&self) {
            self.unread.set(0);
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }

        fn written(&self) -> Vec<Vec<u8>> {
            let writes = self.writes.borrow();
            writes.iter().map(|(_, bytes)| bytes.clone()).collect()
        }
    }

    impl SendBuffer for Fake {
        fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            if self.unread.get() < self.capacity {
                return Poll::Ready(Ok(()));
            }
            self.waker.replace(Some(cx.waker().clone()));
            Poll::Pending
        }

        fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let bytes: Vec<u8> = slices
                .iter()
                .flat_map(|slice| slice.iter().copied())
                .collect();
            let taken = bytes.len().min(self.room());
            if taken == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.unread.set(self.unread.get() + taken);
            let mut writes = self.writes.borrow_mut();
            writes.push((Instant::now(), bytes[..taken].to_vec()));
            Ok(taken)
        }

        fn unacknowledged(&self) -> usize {
            self.unread.get()
        }

        fn check(&self) -> io::Result<()> {
            match self.reset.get() {
                true => Err(io::ErrorKind::ConnectionReset.into()),
                false => Ok(()),
            }
        }

        fn room(&self) -> usize {
            self.capacity - self.unread.get()
        }
    }

    fn message(text: &str) -> Segment {
        Segment::new(Rule::Message, Bytes::copy_from_slice(text.as_bytes()))
    }

    fn alone(text: &str) -> Segment {
        Segment::new(Rule::Alone, Bytes::copy_from_slice(text.as_bytes()))
    }

    /// Writes on for `time`, or until nothing is left; the reader reads every `pause`.
    async fn flush(outbound: &mut Outbound, fake: &Fake, time: Duration, pause: Duration) -> bool {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let step = std::future::poll_fn(|cx| outbound.poll_flush(fake, cx));
            if let Ok(result) = tokio::time::timeout(pause, step).await {
                result.unwrap();
                return true;
            }
            fake.read();
        }
        false
    }

    #[tokio::test(start_paused = true)]
    async fn messages_are_joined_into_one_write() {
        let (mut outbound, fake) = (Outbound::new(1000, GAP), Fake::new(1000));
        for text in ["one ", "two ", "three"] {
            outbound.push(message(text)).unwrap();
        }
        assert_eq!(outbound.backlog(), 13);
        assert!(flush(&mut outbound, &fake, GAP, GAP).await);
        assert_eq!(fake.written(), [b"one two three"]);
        assert_eq!(outbound.backlog(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_stands_alone_has_the_gap_on_both_sides() {
        let (mut outbound, fake) = (Outbound::new(1000, GAP), Fake::new(1000));
        for segment in [
            message("a"),
            alone("b"),
            alone("c"),
            message("d"),
            message("e"),
        ] {
            outbound.push(segment).unwrap();
        }
        let long = Duration::from_secs(1);
        assert!(flush(&mut outbound, &fake, long, Duration::from_millis(1)).await);
        let writes = fake.writes.borrow();
        let texts: Vec<&[u8]> = writes.iter().map(|(_, bytes)| &bytes[..]).collect();
        assert_eq!(texts, [&b"a"[..], b"b", b"c", b"de"]);
        for pair in writes.windows(2) {
            assert!(pair[1].0 - pair[0].0 >= GAP);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_stands_alone_waits_until_the_peer_has_what_came_before() {
        let (mut outbound, fake) = (Outbound::new(1000, GAP), Fake::new(1000));
        outbound.push(alone("a")).unwrap();
        outbound.push(alone("b")).unwrap();
        // Nobody acknowledges for ten gaps.
        assert!(!flush(&mut outbound, &fake, 10 * GAP, 10 * GAP).await);
        assert_eq!(fake.written(), [b"a"]);
        fake.read();
        assert!(flush(&mut outbound, &fake, 10 * GAP, GAP / 2).await);
        assert_eq!(fake.written(), [b"a", b"b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_stands_alone_does_not_wait_for_a_peer_that_is_gone() {
        let (mut outbound, fake) = (Outbound::new(1000, GAP), Fake::new(1000));
        outbound.push(alone("a")).unwrap();
        outbound.push(alone("b")).unwrap();
        let waiting = std::future::poll_fn(|cx| outbound.poll_flush(&fake, cx));
        assert!(tokio::time::timeout(2 * GAP, waiting).await.is_err());
        fake.reset.set(true);
        let error = std::future::poll_fn(|cx| outbound.poll_flush(&fake, cx)).await;
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_does_not_fit_waits_and_goes_out_whole() {
        let (mut outbound, fake) = (Outbound::new(1000, GAP), Fake::new(100));
        outbound
            .push(Segment::frame(b"HEAD", Bytes::from(vec![1; 150])))
            .unwrap();
        outbound.push(message(&"m".repeat(60))).unwrap();
        outbound
            .push(Segment::frame(b"HEAD", Bytes::from(vec![2; 50])))
            .unwrap();
        assert!(flush(&mut outbound, &fake, 100 * GAP, GAP).await);
        let writes = fake.written();
        assert!(
            writes
                .iter()
                .any(|w| w.windows(60).any(|part| part == [b'm'; 60])),
            "{writes:?}"
        );
        assert_eq!(writes.concat().len(), 154 + 60 + 54);
        assert_eq!(outbound.take_frames_written(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_longer_than_the_buffer_goes_when_nothing_is_in_the_way() {
        let (mut outbound, fake) = (Outbound::new(10, GAP), Fake::new(100));
        outbound.push(message(&"m".repeat(250))).unwrap();
        assert!(flush(&mut outbound, &fake, 100 * GAP, GAP).await);
        assert_eq!(fake.written().concat().len(), 250);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_takes_what_room_there_is_and_a_whole_frame_waits_for_its_own() {
        let (mut outbound, fake) = (Outbound::new(1000, GAP), Fake::new(100));
        let stream = || Segment::new(Rule::Stream, Bytes::from(vec![b's'; 80]));
        outbound.push(stream()).unwrap();
        outbound.push(stream()).unwrap();
        outbound
            .push(Segment::whole_frame(Bytes::from(vec![b'f'; 90])))
            .unwrap();
        assert_eq!(outbound.backlog(), 160, "frames wait at their source");
        assert!(flush(&mut outbound, &fake, 100 * GAP, GAP).await);
        let writes = fake.written();
        assert_eq!(writes[0].len(), 100);
        assert!(
            writes.iter().any(|w| w.ends_with(&[b'f'; 90])),
            "{writes:?}"
        );
        assert_eq!((outbound.backlog(), outbound.take_frames_written()), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_newer_list_takes_the_place_of_one_that_waits() {
        let (mut outbound, fake) = (Outbound::new(1000, GAP), Fake::new(1000));
        let list = |text: &'static str| {
            Segment::new(Rule::AloneNewest, Bytes::from_static(text.as_bytes()))
        };
        for segment in [alone("a"), list("old"), alone("b"), list("newest")] {
            outbound.push(segment).unwrap();
        }
        assert_eq!(outbound.backlog(), 8);
        let long = Duration::from_secs(1);
        assert!(flush(&mut outbound, &fake, long, Duration::from_millis(1)).await);
        assert_eq!(fake.written(), [&b"a"[..], b"newest", b"b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_follows_the_stream() {
        let (mut outbound, fake) = (Outbound::new(1000, Duration::ZERO), Fake::new(1000));
        outbound.push(alone("STRM")).unwrap();
        outbound.hold();
        outbound.push(alone("CHAT")).unwrap();
        outbound
            .push(Segment::frame(b"8", Bytes::from_static(b"jpeg")))
            .unwrap();
        assert!(flush(&mut outbound, &fake, GAP, GAP).await);
        assert_eq!(fake.written().concat(), b"STRM8jpeg");
        outbound.release();
        assert!(flush(&mut outbound, &fake, GAP, GAP).await);
        assert_eq!(fake.written().concat(), b"STRM8jpegCHAT");
    }

    #[test]
    fn the_backlog_is_bounded() {
        let mut outbound = Outbound::new(10 + 2 * OVERHEAD, GAP);
        outbound.push(message("12345678")).unwrap();
        assert_eq!(outbound.push(message("901")), Err(Overflow { backlog: 11 }));
        assert_eq!(outbound.push(message("90")), Ok(()));
        outbound
            .push(Segment::frame(b"8", Bytes::from(vec![0; 999])))
            .unwrap();
        assert_eq!(outbound.backlog(), 10, "frames wait at their source");
        let mut outbound = Outbound::new(100 * OVERHEAD, GAP);
        let taken = (0..1000).take_while(|_| outbound.push(message("a")).is_ok());
        assert_eq!(taken.count(), 99, "small ones take memory, too");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn everything_comes_once_in_order_and_no_message_is_split(
            sizes in proptest::collection::vec((0..5_u8, 1..200_usize), 1..40), capacity in 200..600_usize,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let (mut outbound, fake) = (Outbound::new(1 << 20, GAP), Fake::new(capacity));
                let mut whole = Vec::new();
                for (n, (kind, size)) in sizes.iter().enumerate() {
                    let body = Bytes::from(vec![n as u8; *size]);
                    match kind {
                        0 => outbound.push(Segment::frame(&[n as u8; 8], body.clone())).unwrap(),
                        1 => outbound.push(Segment::new(Rule::Message, body.clone())).unwrap(),
                        2 => outbound.push(Segment::whole_frame(body.clone())).unwrap(),
                        3 => outbound.push(Segment::new(Rule::Stream, body.clone())).unwrap(),
                        _ => outbound.push(Segment::new(Rule::Alone, body.clone())).unwrap(),
                    }
                    let head = if *kind == 0 { 8 } else { 0 };
                    whole.extend(std::iter::repeat_n(n as u8, head + size));
                }
                prop_assert!(flush(&mut outbound, &fake, Duration::from_secs(60), Duration::from_millis(7)).await);
                let writes = fake.written();
                prop_assert_eq!(writes.concat(), whole);
                for (n, (kind, size)) in sizes.iter().enumerate() {
                    let unsplit = match kind {
                        0 => 8,
                        3 => 1,
                        _ => *size,
                    };
                    let first = writes.iter().find(|w| w.contains(&(n as u8))).unwrap();
                    let together = first.iter().filter(|&&byte| byte == n as u8).count();
                    prop_assert!(together >= unsplit, "segment {} of kind {}", n, kind);
                    if *kind == 4 {
                        prop_assert_eq!(first.len(), *size);
                    }
                }
                Ok(())
            })?;
        }
    }
}

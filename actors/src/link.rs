//! What every TCP connection is made of: a socket, what was read and not yet understood, and
//! [`Outbound`]. A service's connection actor owns a [`Link`] and implements [`Conversation`];
//! [`Pump`] moves the bytes.
//!
//! Reading goes through one buffer a core, so that an idle connection holds none. It waits while the
//! house is still busy with what this connection sent before ([`Receipt`]).

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use actix::prelude::*;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use crate::messages::{Receipt, Service};
use crate::outbound::{Outbound, Overflow, Segment};
use crate::settings::Limits;

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// Reads before others on this core have their turn.
const READS_A_TURN: usize = 4;
/// How long a peer may take to notice that it was let go.
const LINGER: Duration = Duration::from_secs(2);

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Why a connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parting {
    /// The peer said goodbye in its protocol.
    Goodbye,
    /// The peer closed its side, or the network did.
    Dropped(String),
    /// The peer broke a rule after which nothing can be understood.
    Fault(String),
    /// The peer is too slow.
    Slow(String),
    /// The house closes.
    HouseCloses,
    /// Something of ours broke.
    Internal(String),
}

impl fmt::Display for Parting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Parting::Goodbye => f.write_str("said goodbye"),
            Parting::Dropped(how) => write!(f, "dropped: {how}"),
            Parting::Fault(rule) => write!(f, "let go for bad input: {rule}"),
            Parting::Slow(how) => write!(f, "let go for being slow: {how}"),
            Parting::HouseCloses => f.write_str("the house closes"),
            Parting::Internal(what) => write!(f, "internal error: {what}"),
        }
    }
}

#[derive(Debug)]
enum Phase {
    Open,
    /// Nothing is read; what is queued goes out until then.
    Flushing(Pin<Box<Sleep>>),
    /// Our side is closed; the peer's last bytes are thrown away, or it would lose ours.
    Lingering(Pin<Box<Sleep>>),
}

/// One TCP connection.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    service: Service,
    peer: SocketAddr,
    user: Option<std::sync::Arc<str>>,
    outbound: Outbound,
    unread: Vec<u8>,
    phase: Phase,
    receipt: Option<oneshot::Receiver<()>>,
    paused: bool,
    /// Something unread may be understood now, without another read.
    look_again: bool,
    stall: Duration,
    stall_timer: Option<Pin<Box<Sleep>>>,
    /// Wakes [`Pump`]; what is queued by a future or a timer of the actor comes after its turn.
    waker: Waker,
}

impl Link {
    /// Takes a connected socket over to this thread's event loop.
    ///
    /// # Errors
    /// The system's, when the socket can't be registered.
    pub fn new(
        stream: std::net::TcpStream,
        peer: SocketAddr,
        service: Service,
        gap: Duration,
        limits: &Limits,
    ) -> io::Result<Link> {
        stream.set_nonblocking(true)?;
        let stream = TcpStream::from_std(stream)?;
        stream.set_nodelay(true)?;
        Ok(Link {
            stream,
            service,
            peer,
            user: None,
            outbound: Outbound::new(limits.backlog_bytes, gap),
            unread: Vec::new(),
            phase: Phase::Open,
            receipt: None,
            paused: false,
            look_again: false,
            stall: limits.stall,
            stall_timer: None,
            waker: Waker::noop().clone(),
        })
    }

    /// The span for what is logged about this connection.
    pub fn span(&self) -> tracing::Span {
        let user = self.user.as_deref().unwrap_or("-");
        tracing::info_span!("connection", service = %self.service, peer = %self.peer, user)
    }

    /// Names the user in the log from here on.
    pub fn set_user(&mut self, name: std::sync::Arc<str>) {
        self.user = Some(name);
    }

    pub fn user(&self) -> Option<&std::sync::Arc<str>> {
        self.user.as_ref()
    }

    pub fn outbound(&mut self) -> &mut Outbound {
        &mut self.outbound
    }

    /// What was held back during a stream goes out.
    pub fn release(&mut self) {
        self.outbound.release();
        self.waker.wake_by_ref();
    }

    /// Whether the conversation goes on.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Queues `segment`, or says that the reader is too slow for it.
    ///
    /// # Errors
    /// More waits than may.
    pub fn push(&mut self, segment: Segment) -> Result<(), Overflow> {
        if self.outbound.is_empty() {
            self.waker.wake_by_ref();
        }
        self.outbound.push(segment)
    }

    /// A receipt for what is sent into the house; nothing is read until its last copy is dropped.
    pub fn receipt(&mut self) -> Receipt {
        let (receipt, returned) = Receipt::new();
        self.receipt = Some(returned);
        receipt
    }

    /// Whether the house still works on what was sent.
    pub fn is_waiting(&self) -> bool {
        self.paused || self.receipt.is_some()
    }

    /// Reads nothing until [`Link::resume`].
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Reads on, beginning with what is unread.
    pub fn resume(&mut self) {
        self.paused = false;
        self.look_again = true;
        self.waker.wake_by_ref();
    }

    /// Ends the conversation: what is queued goes out, at most for `patience`.
    fn close(&mut self, patience: Duration) {
        if self.is_open() {
            self.phase = Phase::Flushing(Box::pin(tokio::time::sleep(patience)));
            self.receipt = None;
            self.unread = Vec::new();
            self.waker.wake_by_ref();
        }
    }
}

/// A service's side of a connection.
pub trait Conversation: Actor<Context = Context<Self>> + Unpin {
    fn link(&mut self) -> &mut Link;

    /// Understands what is unread, `input`, as far as it goes; says how many bytes that took.
    fn received(&mut self, input: &[u8], ctx: &mut Context<Self>) -> usize;

    /// So many frames went out.
    fn frames_written(&mut self, _frames: u32, _ctx: &mut Context<Self>) {}

    /// As much as the socket takes went out.
    fn flushed(&mut self) {}

    /// The conversation is over: leave the house, stop what runs. Called once.
    fn parted(&mut self, why: &Parting, ctx: &mut Context<Self>);

    /// Ends the conversation for the reason given. What is queued still goes out, except to a reader
    /// who is too slow to take it.
    fn part(&mut self, why: Parting, ctx: &mut Context<Self>) {
        if !self.link().is_open() {
            return;
        }
        let patience = match why {
            Parting::Slow(_) | Parting::Dropped(_) => Duration::ZERO,
            _ => LINGER,
        };
        self.link().close(patience);
        self.link().span().in_scope(|| match why {
            Parting::Goodbye | Parting::Dropped(_) | Parting::HouseCloses => {
                tracing::info!("left: {why}");
            }
            Parting::Internal(_) => tracing::error!("left: {why}"),
            _ => tracing::warn!("left: {why}"),
        });
        self.parted(&why, ctx);
    }

    /// Queues `segment`; a reader who is too far behind is let go.
    fn push(&mut self, segment: Segment, ctx: &mut Context<Self>) {
        if self.link().is_open()
            && let Err(overflow) = self.link().push(segment)
        {
            self.part(Parting::Slow(overflow.to_string()), ctx);
        }
    }
}

/// Moves the bytes of a [`Conversation`]; polled by its actor after each batch of its mailbox, so
/// that what the batch queued goes out together.
pub struct Pump;

impl<A: Conversation> ActorFuture<A> for Pump {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        act: &mut A,
        ctx: &mut Context<A>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let poll = pump(act, ctx, cx);
        if poll.is_ready() {
            act.part(Parting::Dropped("the connection is closed".to_owned()), ctx);
            ctx.stop();
        }
        poll
    }
}

/// Ready when the connection is over.
fn pump<A: Conversation>(act: &mut A, ctx: &mut Context<A>, cx: &mut TaskContext<'_>) -> Poll<()> {
    let mut reads = 0;
    if !act.link().waker.will_wake(cx.waker()) {
        act.link().waker = cx.waker().clone();
    }
    loop {
        let link = act.link();
        let flushed = match link.outbound.poll_flush(&link.stream, cx) {
            Poll::Ready(Err(e)) => {
                act.part(Parting::Dropped(e.to_string()), ctx);
                return Poll::Ready(());
            }
            poll => poll.is_ready(),
        };
        let frames = link.outbound.take_frames_written();
        if frames > 0 {
            act.frames_written(frames, ctx);
        }
        act.flushed();
        let link = act.link();
        match &mut link.phase {
            Phase::Open => {
                if !flushed && poll_stall(link, cx).is_ready() {
                    let stall = link.stall;
                    act.part(
                        Parting::Slow(format!("nothing was read for {} s", stall.as_secs())),
                        ctx,
                    );
                    continue;
                }
                if reads == READS_A_TURN {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                reads += 1;
                if poll_open(act, ctx, cx).is_pending() {
                    return Poll::Pending;
                }
            }
            Phase::Flushing(deadline) => {
                if flushed {
                    // The peer may be gone already, which is what we are about to find out.
                    let _ =
                        socket2::SockRef::from(&link.stream).shutdown(std::net::Shutdown::Write);
                    link.phase = Phase::Lingering(Box::pin(tokio::time::sleep(LINGER)));
                } else if deadline.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                } else {
                    return Poll::Pending;
                }
            }
            Phase::Lingering(deadline) => {
                if deadline.as_mut().poll(cx).is_ready() || !reads_on(link, cx) {
                    return Poll::Ready(());
                }
                return Poll::Pending;
            }
        }
    }
}

/// Ready when a reader has taken nothing for too long.
fn poll_stall(link: &mut Link, cx: &mut TaskContext<'_>) -> Poll<()> {
    loop {
        let due = link.outbound.progress() + link.stall;
        let timer = link
            .stall_timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        link.stall_timer = None;
        if due <= Instant::now() {
            return Poll::Ready(());
        }
    }
}

/// One turn of reading and understanding; pending when there is nothing to do.
fn poll_open<A: Conversation>(
    act: &mut A,
    ctx: &mut Context<A>,
    cx: &mut TaskContext<'_>,
) -> Poll<()> {
    let link = act.link();
    if let Some(receipt) = &mut link.receipt {
        if Pin::new(receipt).poll(cx).is_pending() {
            return Poll::Pending;
        }
        link.receipt = None;
        link.look_again = true;
    }
    if link.paused {
        return Poll::Pending;
    }
    if std::mem::take(&mut link.look_again) && !link.unread.is_empty() {
        understand(act, ctx, &[]);
        return Poll::Ready(());
    }
    match link.stream.poll_read_ready(cx) {
        Poll::Pending => return Poll::Pending,
        Poll::Ready(Err(e)) => {
            act.part(Parting::Dropped(e.to_string()), ctx);
            return Poll::Ready(());
        }
        Poll::Ready(Ok(())) => {}
    }
    let mut scratch = SCRATCH.take();
    scratch.resize(READ_BYTES, 0);
    match link.stream.try_read(&mut scratch) {
        Ok(0) => act.part(Parting::Dropped("the peer closed it".to_owned()), ctx),
        Ok(read) => understand(act, ctx, &scratch[..read]),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
        Err(e) => act.part(Parting::Dropped(e.to_string()), ctx),
    }
    SCRATCH.set(scratch);
    Poll::Ready(())
}

/// Gives the actor what is unread and `read`; keeps what it does not take.
fn understand<A: Conversation>(act: &mut A, ctx: &mut Context<A>, read: &[u8]) {
    let mut unread = std::mem::take(&mut act.link().unread);
    let rest = if unread.is_empty() {
        let used = act.received(read, ctx);
        read.get(used..).unwrap_or_default().to_vec()
    } else {
        unread.extend_from_slice(read);
        let used = act.received(&unread, ctx).min(unread.len());
        unread.drain(..used);
        if unread.is_empty() {
            Vec::new()
        } else {
            unread
        }
    };
    let link = act.link();
    if link.is_open() {
        link.unread = rest;
    }
}

/// Throws away what the peer still sends; false when it has closed.
fn reads_on(link: &mut Link, cx: &mut TaskContext<'_>) -> bool {
    let mut scratch = SCRATCH.take();
    scratch.resize(READ_BYTES, 0);
    let mut reads = 0;
    let on = loop {
        match link.stream.poll_read_ready(cx) {
            Poll::Pending => break true,
            Poll::Ready(Err(_)) => break false,
            Poll::Ready(Ok(())) => {}
        }
        reads += 1;
        if reads > READS_A_TURN {
            cx.waker().wake_by_ref();
            break true;
        }
        match link.stream.try_read(&mut scratch) {
            Ok(0) => break false,
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break false,
        }
    };
    SCRATCH.set(scratch);
    on
}

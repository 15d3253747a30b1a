//! What every TCP connection is made of: a socket, what was read and not yet understood, and
//! [`Outbound`]. [`Pump`](crate::pump::Pump) moves the bytes.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Waker;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Sleep;

use crate::messages::{Receipt, Service};
use crate::outbound::{Outbound, Overflow, Segment};
use crate::settings::Limits;

/// How long a peer may take to notice that it was let go.
pub const LINGER: Duration = Duration::from_secs(2);

/// Bytes of a live channel that may be on their way to its viewer's system.
pub const LIVE_BYTES: usize = 256 * 1024;

/// How soon the system is asked again how many bytes of a live channel are on their way; doubled for a
/// reader that has stopped.
pub const LIVE_PAUSE: Duration = Duration::from_millis(5);
/// A peer that has been silent for so long is asked by the systems whether it is still there, …
const ALIVE_AFTER: Duration = Duration::from_secs(300);
/// … so often.
const ALIVE_INTERVAL: Duration = Duration::from_secs(30);

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
    /// The house wants the peer to go.
    ShownOut(String),
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
            Parting::ShownOut(why) => write!(f, "shown out: {why}"),
            Parting::HouseCloses => f.write_str("the house closes"),
            Parting::Internal(what) => write!(f, "internal error: {what}"),
        }
    }
}

#[derive(Debug)]
pub enum Phase {
    Open,
    /// Nothing is read; what is queued goes out until then.
    Flushing(Pin<Box<Sleep>>),
    /// Our side is closed; the peer's last bytes are thrown away, or it would lose ours.
    Lingering(Pin<Box<Sleep>>),
}

/// One TCP connection.
#[derive(Debug)]
pub struct Link {
    pub(crate) stream: TcpStream,
    service: Service,
    peer: SocketAddr,
    user: Option<std::sync::Arc<str>>,
    pub(crate) outbound: Outbound,
    pub(crate) unread: Vec<u8>,
    pub(crate) phase: Phase,
    pub(crate) receipt: Option<oneshot::Receiver<()>>,
    pub(crate) paused: bool,
    /// Whether a request is only read when the answer to the one before has gone out.
    takes_turns: bool,
    /// Something unread may be understood now, without another read.
    pub(crate) look_again: bool,
    /// If what is shown is live, it may not wait in the system's buffers, either: bytes of it that may be
    /// on their way to the peer's.
    pub(crate) live: Option<usize>,
    pub(crate) live_timer: Option<Pin<Box<Sleep>>>,
    pub(crate) live_pause: Duration,
    pub(crate) stall: Duration,
    pub(crate) stall_timer: Option<Pin<Box<Sleep>>>,
    /// Wakes the pump; what is queued by a future or a timer of the actor comes after its turn.
    pub(crate) waker: Waker,
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
        Link::over(TcpStream::from_std(stream)?, peer, service, gap, limits)
    }

    /// Takes over a socket that is on this thread's event loop already.
    ///
    /// # Errors
    /// The system's, when the socket can't be set up.
    pub fn over(
        stream: TcpStream,
        peer: SocketAddr,
        service: Service,
        gap: Duration,
        limits: &Limits,
    ) -> io::Result<Link> {
        stream.set_nodelay(true)?;
        let alive = TcpKeepalive::new().with_time(ALIVE_AFTER);
        SockRef::from(&stream).set_tcp_keepalive(&alive.with_interval(ALIVE_INTERVAL))?;
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
            takes_turns: false,
            look_again: false,
            live: None,
            live_timer: None,
            live_pause: LIVE_PAUSE,
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

    /// The socket alone, for what has no messages.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Where the other side is.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// What was read and not understood yet, to be given back as far as it still isn't.
    pub fn take_unread(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unread)
    }

    pub fn give_unread(&mut self, unread: Vec<u8>) {
        self.unread = unread;
    }

    pub fn service(&self) -> Service {
        self.service
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

    /// Frames from here on are live ones, of which so many bytes may be on their way; or they are not.
    pub fn shows_live(&mut self, most: Option<usize>) {
        self.live = most;
    }

    /// Whether the conversation goes on.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Queues `segment`, or says that the reader is too slow for it. The pump has its turn after the
    /// mailbox; what a future or a timer queues goes out when it calls [`Link::resume`] or ends the
    /// conversation, as all of them do.
    ///
    /// # Errors
    /// More waits than may.
    pub fn push(&mut self, segment: Segment) -> Result<(), Overflow> {
        if self.takes_turns {
            // What is unread may be the next request, and is looked at when this has gone out.
            self.look_again();
        }
        self.outbound.push(segment)
    }

    /// A receipt for what is sent into the house; nothing is read until its last copy is dropped.
    pub fn receipt(&mut self) -> Receipt {
        let (receipt, returned) = Receipt::new();
        self.receipt = Some(returned);
        receipt
    }

    /// From here on a request is only read when the answer to the one before has gone out.
    pub fn take_turns(&mut self) {
        self.takes_turns = true;
    }

    /// Whether an answer has to go out before anything is read.
    pub fn is_answering(&self) -> bool {
        self.takes_turns && self.outbound.backlog() > 0
    }

    /// Whether the house still works on what was sent.
    pub fn is_waiting(&self) -> bool {
        self.paused || self.receipt.is_some() || self.is_answering()
    }

    /// Reads nothing until [`Link::resume`].
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Reads on, beginning with what is unread.
    pub fn resume(&mut self) {
        self.paused = false;
        self.look_again();
    }

    /// Something unread may be understood now, without another read.
    pub fn look_again(&mut self) {
        self.look_again = true;
        self.waker.wake_by_ref();
    }

    /// Ends the conversation: what is queued goes out, at most for `patience`.
    pub fn close(&mut self, patience: Duration) {
        if self.is_open() {
            self.phase = Phase::Flushing(Box::pin(tokio::time::sleep(patience)));
            self.receipt = None;
            self.unread = Vec::new();
            self.waker.wake_by_ref();
        }
    }
}

//! A tumip user's UDP port: each datagram is one picture, and the newest frame of the user's live
//! channel. It stays open for a moment after the user's connection has closed, since clients close at
//! once after their last picture.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::prelude::*;
use actix_rt::Arbiter;
use bytes::Bytes;
use playhouse_media::{JpegShape, NotJpeg, inspect_jpeg};
use playhouse_protocols::tumip::MAX_PIXELS;
use tokio::net::UdpSocket;
use tokio::time::Instant;

use crate::datagrams;
use crate::live_channel::{LiveFrame, Publish};
use crate::locks::locked;
use crate::messages::{Observation, Observe};
use crate::pump::{give_scratch, take_scratch};
use crate::seldom::Seldom;
use crate::settings::Tumip;
use crate::slots::{Slot, Slots};
use crate::studio::{Feed, Studio};
use crate::traffic;
use crate::watch;

/// A port is open for so long after its user has gone.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes of datagrams that wait in the system: more than ten of the largest, with what it adds.
const SOCKET_BUFFER: usize = 1024 * 1024;
/// If there was no free port, there is none for so long.
const TRY_AGAIN: Duration = Duration::from_millis(500);
const NO_PORT: &str = "no free UDP port";
/// Datagrams taken before others on this core have their turn.
const DATAGRAMS_A_TURN: usize = 8;

/// What came to the ports of all users.
#[derive(Default)]
pub struct Counts {
    frames: AtomicU64,
    missed: AtomicU64,
    foreign: AtomicU64,
    too_large: AtomicU64,
    no_jpeg: AtomicU64,
}

/// Why a datagram is dropped.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("pictures come from the user's address, {user}")]
    Foreign { user: IpAddr },
    #[error("{width} × {height} is more than {MAX_PIXELS} pixels")]
    TooLarge { width: u32, height: u32 },
    #[error(transparent)]
    NoJpeg(#[from] NotJpeg),
}

/// The UDP ports that users' pictures come to.
pub struct PicturePorts {
    bind: IpAddr,
    /// `None`: those that the system chooses.
    range: Option<RangeInclusive<u16>>,
    /// The next search for a free port begins here: late datagrams of one user shall not come to the
    /// next one.
    next: AtomicUsize,
    users: Slots,
    /// Others have all that are left: they are not tried again before.
    none_until: Mutex<Instant>,
    counts: Counts,
}

impl PicturePorts {
    /// Those of `tumip` on the address `bind`.
    pub fn new(bind: IpAddr, tumip: &Tumip) -> PicturePorts {
        let ports = tumip
            .udp_ports
            .as_ref()
            .map_or(usize::MAX, |ports| ports.len());
        let most = tumip.max_users.min(ports);
        PicturePorts {
            bind,
            range: tumip.udp_ports.clone(),
            next: AtomicUsize::new(0),
            users: Slots::new(most),
            none_until: Mutex::new(Instant::now()),
            counts: Counts::default(),
        }
    }

    /// A free port, if there is one and a place for one more user.
    ///
    /// # Errors
    /// Says which of them is lacking.
    fn take(&self) -> Result<(std::net::UdpSocket, Slot), String> {
        let Some(slot) = self.users.take() else {
            return Err("tumip.max_users or tumip.udp_first to udp_last: no place left".to_owned());
        };
        let bind = |port| datagrams::bind(SocketAddr::new(self.bind, port), SOCKET_BUFFER);
        let socket = match &self.range {
            None => bind(0),
            Some(range) => {
                let mut none_until = locked(&self.none_until);
                if Instant::now() < *none_until {
                    return Err(NO_PORT.to_owned());
                }
                let first = self.next.fetch_add(1, Ordering::Relaxed);
                let turn = (0..range.len()).map(|i| (first + i) % range.len());
                let mut found = Err(io::ErrorKind::AddrInUse.into());
                for (tried, at) in turn.enumerate() {
                    let port = range.clone().nth(at).unwrap_or(*range.start());
                    found = bind(port);
                    if !matches!(&found, Err(e) if e.kind() == io::ErrorKind::AddrInUse) {
                        // The search does not begin with the ports that were found taken.
                        self.next.fetch_add(tried, Ordering::Relaxed);
                        break;
                    }
                }
                if found.is_err() {
                    *none_until = Instant::now() + TRY_AGAIN;
                }
                found
            }
        };
        match socket {
            Ok(socket) => Ok((socket, slot)),
            Err(e) => Err(format!("{NO_PORT}: {e}")),
        }
    }

    /// What came so far, to all of them.
    pub fn observe(&self) -> Observation {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Observation::PicturePorts {
            open: self.users.taken(),
            frames: read(&self.counts.frames),
            missed: read(&self.counts.missed),
            foreign: read(&self.counts.foreign),
            too_large: read(&self.counts.too_large),
            no_jpeg: read(&self.counts.no_jpeg),
        }
    }
}

/// The user's connection is over.
#[derive(Message)]
#[rtype(result = "()")]
struct UserLeft;

/// An open port; it closes soon after this is dropped.
pub struct OpenPort {
    pub port: u16,
    pub(crate) actor: Addr<PicturePort>,
}

impl OpenPort {
    /// Whether pictures are still taken there.
    pub fn is_open(&self) -> bool {
        self.actor.connected()
    }
}

impl Drop for OpenPort {
    fn drop(&mut self) {
        self.actor.do_send(UserLeft);
    }
}

/// One user's port.
pub struct PicturePort {
    user: IpAddr,
    channel: Arc<str>,
    studio: Arc<Studio>,
    feed: Feed,
    ports: Arc<PicturePorts>,
    refusals: Seldom,
    _slot: Slot,
}

impl PicturePort {
    /// Opens a port for the pictures that come from `user` and go to the live channel `channel`.
    ///
    /// # Errors
    /// Why there is none, for the log.
    pub fn open(
        ports: &Arc<PicturePorts>,
        studio: &Arc<Studio>,
        user: IpAddr,
        channel: &Arc<str>,
    ) -> Result<OpenPort, String> {
        let (socket, slot) = ports.take()?;
        let (socket, port) = UdpSocket::from_std(socket)
            .and_then(|socket| socket.local_addr().map(|address| (socket, address.port())))
            .map_err(|e| format!("the UDP port can't be read: {e}"))?;
        let actor = PicturePort {
            user,
            channel: channel.clone(),
            studio: studio.clone(),
            feed: studio.open(channel, &Arbiter::current()),
            ports: ports.clone(),
            refusals: Seldom::default(),
            _slot: slot,
        };
        let make = |ctx: &mut Context<PicturePort>| {
            ctx.spawn(Receive { socket });
            actor
        };
        let actor = watch::start_alone(&Arbiter::current(), "a picture port", make);
        Ok(OpenPort { port, actor })
    }

    fn receive(&mut self, datagram: &[u8], from: IpAddr) {
        match self.picture(datagram, from) {
            Ok(frame) => {
                self.ports.counts.frames.fetch_add(1, Ordering::Relaxed);
                if !self.feed.channel.connected() {
                    self.feed = self.studio.open(&self.channel, &Arbiter::current());
                }
                // A channel that is too busy for it misses it.
                if let Err(SendError::Full(_)) = self.feed.channel.try_send(Publish(frame)) {
                    self.ports.counts.missed.fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(refused) => {
                let (counts, rule) = (&self.ports.counts, refused.to_string());
                let count = match refused {
                    Refused::Foreign { .. } => &counts.foreign,
                    Refused::TooLarge { .. } => &counts.too_large,
                    Refused::NoJpeg(_) => &counts.no_jpeg,
                };
                count.fetch_add(1, Ordering::Relaxed);
                if let Some(count) = self.refusals.happens() {
                    let channel = &self.channel;
                    tracing::warn!(%channel, %from, rule, count, "datagram dropped");
                }
            }
        }
    }

    fn picture(&self, datagram: &[u8], from: IpAddr) -> Result<LiveFrame, Refused> {
        if from != self.user {
            return Err(Refused::Foreign { user: self.user });
        }
        let JpegShape { width, height } = inspect_jpeg(datagram)?;
        if width.saturating_mul(height) > MAX_PIXELS.into() {
            return Err(Refused::TooLarge { width, height });
        }
        Ok(LiveFrame {
            jpeg: Bytes::copy_from_slice(datagram),
            width,
            height,
            at: Instant::now(),
        })
    }
}

/// Takes what comes for as long as the port is open.
struct Receive {
    socket: UdpSocket,
}

impl ActorFuture<PicturePort> for Receive {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        act: &mut PicturePort,
        _: &mut Context<PicturePort>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let mut scratch = take_scratch();
        for _ in 0..DATAGRAMS_A_TURN {
            if self.socket.poll_recv_ready(cx).is_pending() {
                give_scratch(scratch);
                return Poll::Pending;
            }
            // Errors are about datagrams, not about the socket.
            if let Ok((length, from)) = self.socket.try_recv_from(&mut scratch) {
                traffic::came(length);
                act.receive(&scratch[..length], from.ip().to_canonical());
            }
        }
        give_scratch(scratch);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Actor for PicturePort {
    type Context = Context<Self>;
}

impl Handler<UserLeft> for PicturePort {
    type Result = ();

    fn handle(&mut self, _: UserLeft, ctx: &mut Context<Self>) {
        ctx.run_later(LINGER, |_, ctx| ctx.stop());
    }
}

impl Handler<Observe> for PicturePort {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        self.ports.observe()
    }
}

//! One lan_file connection: the file on offer goes out whole, then it closes (docs/protocols.md, "lan").
//!
//! The protocol has no length and no word for an error, so its end must mean something: it is clean only
//! after the whole file, and a reset whenever there is less, also when the server is killed.

use std::cell::Cell;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::crew::Crew;
use crate::file_offer::{NoOffer, TakeOffer, Version};
use crate::house::Rooms;
use crate::link::{LINGER, Link};
use crate::messages::{Dismiss, Observation, Observe};
use crate::pump::{give_scratch, take_scratch};
use crate::send_file::{is_in_memory, read_in, send};
use crate::socket::{SendBuffer, cork, round_trip};

/// A peer whose answers take no longer is near: …
const NEAR: Duration = Duration::from_millis(1);
/// … so much on its way, in full segments, keeps it busy, and is read while it is still in the processor's
/// cache. The system would take some megabytes, which is slower. To those who are farther it may.
const NEAR_BUFFER: usize = 256 * 1024;
/// Bytes sent before others on this core have their turn.
const STRETCH: usize = 1024 * 1024;
/// How often the system is asked whether the peer's has everything: doubled from this …
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How often the log says how far a transfer is.
const REPORT: Duration = Duration::from_secs(60);

/// Why a transfer is not complete.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    NoOffer(#[from] NoOffer),
    #[error("{0}")]
    Gone(#[from] io::Error),
    #[error("let go for being slow: nothing was read for {} s", .0.as_secs())]
    Stalled(Duration),
    #[error("the file was written to while it was sent")]
    Changed,
}

/// The actor of one lan_file connection.
pub struct LanFileConnection {
    /// Until the transfer begins.
    link: Option<Link>,
    span: tracing::Span,
    rooms: Arc<Rooms>,
    /// Bytes.
    sent: Rc<Cell<u64>>,
}

impl LanFileConnection {
    pub fn new(link: Link, rooms: Arc<Rooms>) -> LanFileConnection {
        LanFileConnection {
            span: link.span(),
            link: Some(link),
            rooms,
            sent: Rc::default(),
        }
    }
}

impl Actor for LanFileConnection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let Some(link) = self.link.take() else {
            return;
        };
        let offer = self.rooms.offer.addr();
        let transfer = Transfer {
            stream: link.into_stream(),
            readers: self.rooms.readers.clone(),
            stall: self.rooms.limits.stall,
            sent: self.sent.clone(),
            ended: Cell::new(false),
        };
        let work = async move {
            let offered = match offer {
                Some(offer) => offer.send(TakeOffer).await.unwrap_or(Err(NoOffer::Away)),
                None => Err(NoOffer::Away),
            };
            let given = transfer.give(offered).await;
            (transfer, given)
        };
        tracing::Instrument::instrument(work, self.span.clone())
            .into_actor(self)
            .then(|(transfer, given), this, _| {
                this.span.in_scope(|| this.report(given));
                async move { transfer.closed().await }.into_actor(this)
            })
            .map(|(), _, ctx| ctx.stop())
            .spawn(ctx);
    }
}

impl LanFileConnection {
    fn report(&self, given: Result<Arc<Version>, Broken>) {
        let sent = self.sent.get();
        match given {
            Ok(version) => tracing::info!(file = version.name, bytes = sent, "file sent"),
            Err(error @ Broken::Gone(_)) => tracing::info!(bytes = sent, %error, "left"),
            Err(error @ Broken::NoOffer(_)) => tracing::warn!(%error, "nothing to offer"),
            Err(error) => tracing::warn!(bytes = sent, %error, "transfer broken off"),
        }
    }
}

/// What a transfer works with.
struct Transfer {
    stream: TcpStream,
    /// For what waits for the disk.
    readers: Crew,
    /// How long a reader may take nothing.
    stall: Duration,
    sent: Rc<Cell<u64>>,
    /// Whether the end was a clean one.
    ended: Cell<bool>,
}

impl Transfer {
    /// Gives what there is to give, in full, or says why not.
    async fn give(&self, offered: Result<Arc<Version>, NoOffer>) -> Result<Arc<Version>, Broken> {
        match &offered {
            Ok(version) => tokio::select! {
                sent = self.send(version) => sent?,
                () = self.stall() => return Err(Broken::Stalled(self.stall)),
            },
            // There may be something that we can't find: no clean end.
            Err(error) if error.is_ours() => {}
            Err(_) => self.end()?,
        }
        Ok(offered?)
    }

    async fn send(&self, version: &Arc<Version>) -> Result<(), Broken> {
        tracing::info!(file = version.name, bytes = version.size, "file begins");
        let near = round_trip(&self.stream).is_some_and(|time| time <= NEAR);
        if near {
            SockRef::from(&self.stream).set_send_buffer_size(NEAR_BUFFER)?;
            cork(&self.stream, true)?;
        }
        let mut told = Instant::now();
        while self.sent.get() < version.size {
            if !version.is_unchanged() {
                return Err(Broken::Changed);
            }
            self.stretch(version).await?;
            if told.elapsed() > REPORT {
                told = Instant::now();
                let (bytes, of) = (self.sent.get(), version.size);
                tracing::info!(file = version.name, bytes, of, "file under way");
            }
            tokio::task::yield_now().await;
        }
        if near {
            cork(&self.stream, false)?;
        }
        // What is on its way is still the file's own memory.
        self.arrived().await?;
        tokio::time::sleep(version.settles_in()).await;
        if !version.is_unchanged() {
            return Err(Broken::Changed);
        }
        Ok(self.end()?)
    }

    /// Sends the next part of the file. What is not in memory is read where waiting for the disk does no
    /// harm, so that sending it does not wait.
    async fn stretch(&self, version: &Arc<Version>) -> Result<(), Broken> {
        let at = self.sent.get();
        let length = usize::try_from(version.size - at).map_or(STRETCH, |left| left.min(STRETCH));
        if !is_in_memory(&version.file, at, length) {
            let version = version.clone();
            let read = self.readers.run(move || read_in(&version.file, at, length));
            let broken = || Err(io::Error::other("internal error"));
            read.await.unwrap_or_else(broken)?;
        }
        let end = at + length as u64;
        while self.sent.get() < end {
            self.stream.writable().await?;
            let at = self.sent.get();
            let most = usize::try_from(end - at).unwrap_or(STRETCH);
            let sent = self.stream.try_io(Interest::WRITABLE, || {
                send(self.stream.as_fd(), &version.file, at, most)
            });
            match sent {
                Ok(0) => return Err(Broken::Changed),
                Ok(sent) => self.sent.set(at + sent as u64),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits until the peer's system has everything that was sent; what the peer says is thrown away, or it
    /// would be reset.
    async fn arrived(&self) -> io::Result<()> {
        let mut pause = FIRST_PAUSE;
        loop {
            self.discard()?;
            if self.stream.unacknowledged() == 0 {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Ends the connection cleanly. (The port's connections are reset when they are just closed.)
    fn end(&self) -> io::Result<()> {
        let socket = SockRef::from(&self.stream);
        socket.set_linger(None)?;
        socket.shutdown(Shutdown::Write)?;
        self.ended.set(true);
        Ok(())
    }

    /// After a clean end, a while for the peer to close its side, too: it would be reset for what it has
    /// said and we have not read.
    async fn closed(&self) {
        let closing = async {
            while self.stream.readable().await.is_ok() && self.discard().unwrap_or(false) {
                tokio::task::yield_now().await;
            }
        };
        if self.ended.get() {
            let _ = timeout(LINGER, closing).await;
        }
    }

    /// Throws away what the peer has said; false if it has closed its side.
    fn discard(&self) -> io::Result<bool> {
        let mut scratch = take_scratch();
        let read = self.stream.try_read(&mut scratch);
        give_scratch(scratch);
        match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            read => read.map(|bytes| bytes > 0),
        }
    }

    /// Comes back when the peer's system has taken nothing for so long.
    async fn stall(&self) {
        let taken = || (self.sent.get(), self.stream.unacknowledged());
        let mut before = taken();
        loop {
            tokio::time::sleep(self.stall).await;
            let now = taken();
            if std::mem::replace(&mut before, now) == now {
                return;
            }
        }
    }
}

impl Handler<Dismiss> for LanFileConnection {
    type Result = ();

    // What can be sent until the house is closed still goes out.
    fn handle(&mut self, _: Dismiss, _: &mut Context<Self>) {}
}

impl Handler<Observe> for LanFileConnection {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::FileTransfer {
            sent: self.sent.get(),
        }
    }
}

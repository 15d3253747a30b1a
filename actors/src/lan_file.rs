//! One lan_file connection: the file on offer goes out whole, then it closes (docs/protocols.md, "lan").
//!
//! The protocol has no length and no word for an error, so its end must mean something: it is clean only
//! after the whole file, and a reset whenever there is less, also when the server is killed.

use std::cell::Cell;
use std::future::Future;
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
use crate::send_file::{is_in_memory, send};
use crate::socket::{SendBuffer, round_trip};

/// A peer whose answers take no longer is near: …
const NEAR: Duration = Duration::from_millis(1);
/// … so much on its way keeps it busy, and what is sent is read while it is still in the processor's
/// cache. The system would take some megabytes, which is slower. To those who are farther it may.
const NEAR_BUFFER: usize = 256 * 1024;
/// Bytes sent before others on this core have their turn.
const STEP: usize = 1024 * 1024;
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
            stream: Arc::new(link.into_stream()),
            disk: self.rooms.disk.clone(),
            stall: self.rooms.limits.stall,
            sent: self.sent.clone(),
        };
        let work = async move {
            let offered = match offer {
                Some(offer) => offer.send(TakeOffer).await.unwrap_or(Err(NoOffer::Away)),
                None => Err(NoOffer::Away),
            };
            if matches!(&offered, Err(error) if error.is_ours()) {
                transfer.resets_when_closed(true)?;
            }
            let version = offered?;
            transfer.send(&version).await?;
            Ok::<_, Broken>(version)
        };
        tracing::Instrument::instrument(work, self.span.clone())
            .into_actor(self)
            .map(|result, this, ctx| {
                this.span.in_scope(|| this.report(result));
                ctx.stop();
            })
            .spawn(ctx);
    }
}

impl LanFileConnection {
    fn report(&self, result: Result<Arc<Version>, Broken>) {
        let sent = self.sent.get();
        match result {
            Ok(version) => tracing::info!(file = version.name, bytes = sent, "file sent"),
            Err(error @ Broken::Gone(_)) => tracing::info!(bytes = sent, %error, "left"),
            Err(error @ Broken::NoOffer(_)) => tracing::warn!(%error, "nothing to offer"),
            Err(error) => tracing::warn!(bytes = sent, %error, "transfer broken off"),
        }
    }
}

/// What a transfer works with.
struct Transfer {
    /// Stays open as long as anybody works with it.
    stream: Arc<TcpStream>,
    disk: Crew,
    /// How long a reader may take nothing.
    stall: Duration,
    sent: Rc<Cell<u64>>,
}

impl Transfer {
    async fn send(&self, version: &Arc<Version>) -> Result<(), Broken> {
        tracing::info!(file = version.name, bytes = version.size, "file begins");
        self.resets_when_closed(true)?;
        if round_trip(&self.stream).is_some_and(|time| time <= NEAR) {
            SockRef::from(&*self.stream).set_send_buffer_size(NEAR_BUFFER)?;
        }
        let mut told = Instant::now();
        while self.sent.get() < version.size {
            self.writable().await?;
            if !version.is_unchanged() {
                return Err(Broken::Changed);
            }
            match self.step(version).await {
                Ok(0) => return Err(Broken::Changed),
                Ok(sent) => self.sent.set(self.sent.get() + sent as u64),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.into()),
            }
            if told.elapsed() > REPORT {
                told = Instant::now();
                let (bytes, of) = (self.sent.get(), version.size);
                tracing::info!(file = version.name, bytes, of, "file under way");
            }
            tokio::task::yield_now().await;
        }
        // What is on its way is still the file's own memory.
        self.arrived().await?;
        if !version.is_unchanged() {
            return Err(Broken::Changed);
        }
        self.resets_when_closed(false)?;
        SockRef::from(&*self.stream).shutdown(Shutdown::Write)?;
        self.closed().await;
        Ok(())
    }

    /// Waits a while for the peer to close: it would be reset for what it has said and we have not read.
    async fn closed(&self) {
        let closing = async {
            while self.stream.readable().await.is_ok() && self.discard().unwrap_or(false) {}
        };
        // One that does not close has all of the file.
        let _ = timeout(LINGER, closing).await;
    }

    fn resets_when_closed(&self, resets: bool) -> io::Result<()> {
        SockRef::from(&*self.stream).set_linger(resets.then_some(Duration::ZERO))
    }

    /// Sends some of the file: here if it is in memory, or where waiting for the disk does no harm.
    async fn step(&self, version: &Arc<Version>) -> io::Result<usize> {
        let at = self.sent.get();
        let left = usize::try_from(version.size - at).unwrap_or(STEP);
        let most = left.min(STEP);
        if is_in_memory(&version.file, at, most) {
            let stream = &self.stream;
            return stream.try_io(Interest::WRITABLE, || {
                send(stream.as_fd(), &version.file, at, most)
            });
        }
        let (stream, version) = (self.stream.clone(), version.clone());
        let work = move || send(stream.as_fd(), &version.file, at, most);
        let sent = self.disk.run(work).await;
        let sent = sent.unwrap_or_else(|| Err(io::Error::other("internal error")));
        if let Err(error) = &sent
            && error.kind() == io::ErrorKind::WouldBlock
        {
            // So that it is known here, too, and waited for.
            let full = || io::Result::<()>::Err(error.kind().into());
            let _ = self.stream.try_io(Interest::WRITABLE, full);
        }
        sent
    }

    async fn writable(&self) -> Result<(), Broken> {
        self.progressing(async { Ok(self.stream.writable().await?) })
            .await
    }

    /// Waits until the peer's system has everything that was sent; what the peer says is thrown away, or it
    /// would be reset.
    async fn arrived(&self) -> Result<(), Broken> {
        let mut pause = FIRST_PAUSE;
        let all = async {
            loop {
                self.discard()?;
                if self.stream.unacknowledged() == 0 {
                    return Ok(());
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        self.progressing(all).await
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

    /// What comes of `work`, unless the peer's system takes nothing for too long.
    async fn progressing(
        &self,
        work: impl Future<Output = Result<(), Broken>>,
    ) -> Result<(), Broken> {
        let mut work = std::pin::pin!(work);
        let mut waiting = self.stream.unacknowledged();
        loop {
            if let Ok(result) = timeout(self.stall, &mut work).await {
                return result;
            }
            let before = std::mem::replace(&mut waiting, self.stream.unacknowledged());
            if waiting >= before {
                return Err(Broken::Stalled(self.stall));
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

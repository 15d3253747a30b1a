//! Moves datagrams between the socket and the endpoint, and sorts chunks for those who move files.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};

use actix::prelude::*;
use bytes::{Bytes, BytesMut};
use playhouse_protocols::packetchat::Numbering;
use tokio::io::Interest;

use crate::datagrams::Inbox;
use crate::download::Wanted;
use crate::endpoint::Endpoint;
use crate::messages::Service;
use crate::supervisor::DoorClosed;
use crate::upload::Chunks;

/// Moves datagrams between the socket and the endpoint as long as it lives. It is polled after the
/// mailbox, so that what one batch brings goes out together.
pub struct Courier {
    socket: tokio::net::UdpSocket,
    inbox: Inbox,
}

impl Courier {
    pub fn new(socket: tokio::net::UdpSocket) -> Courier {
        Courier {
            socket,
            inbox: Inbox::new(),
        }
    }

    /// Sends what waits; comes again when the socket takes more.
    fn send(&self, act: &mut Endpoint, cx: &mut TaskContext<'_>) {
        while !act.outbox.is_empty() {
            match self.socket.poll_send_ready(cx) {
                Poll::Pending => return,
                Poll::Ready(Err(error)) => {
                    tracing::error!(service = "packetchat", %error, "the socket");
                    return;
                }
                Poll::Ready(Ok(())) => {
                    let send = || act.outbox.send(&act.gate.socket);
                    // Only ever that it takes no more now: then it is asked again.
                    let _ = self.socket.try_io(Interest::WRITABLE, send);
                }
            }
        }
    }

    /// Takes one batch. True if there may be more.
    fn receive(&mut self, act: &mut Endpoint, cx: &mut TaskContext<'_>) -> bool {
        loop {
            match self.socket.poll_recv_ready(cx) {
                Poll::Pending => return false,
                Poll::Ready(Err(error)) => {
                    tracing::error!(service = "packetchat", %error, "the socket");
                    return false;
                }
                Poll::Ready(Ok(())) => {}
            }
            let inbox = &mut self.inbox;
            let receive = || inbox.receive(&act.gate.socket);
            match self.socket.try_io(Interest::READABLE, receive) {
                Ok(()) => {
                    act.take(&self.inbox);
                    return true;
                }
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                // That a peer of before can't be reached, for instance: nothing to do with what comes.
                Err(_) => return true,
            }
        }
    }
}

impl ActorFuture<Endpoint> for Courier {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        act: &mut Endpoint,
        _: &mut Context<Endpoint>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        self.send(act, cx);
        if act.gate.closing.load(Ordering::Acquire) {
            act.gate.supervisor.do_send(DoorClosed(Service::Packetchat));
            return Poll::Ready(());
        }
        if self.receive(act, cx) {
            self.send(act, cx);
            // Those who work on the batch have their turn first.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// Chunks of one batch of datagrams, for those who move them.
#[derive(Default)]
pub struct Batches {
    /// The bytes of all chunks, one after the other.
    pub bytes: BytesMut,
    pub uploads: Vec<(u64, Chunks)>,
    pub downloads: Vec<(u64, Wanted)>,
}

impl Batches {
    /// A chunk is asked for.
    pub fn want(&mut self, transaction: u64, from: SocketAddr, numbering: Numbering, chunk: u32) {
        let same = |(other, wanted): &&mut (u64, Wanted)| {
            *other == transaction && wanted.from == from && wanted.numbering == numbering
        };
        match self.downloads.iter_mut().rev().find(same) {
            Some((_, wanted)) => wanted.chunks.push(chunk),
            None => self.downloads.push((
                transaction,
                Wanted {
                    from,
                    numbering,
                    chunks: vec![chunk],
                },
            )),
        }
    }

    /// A chunk came.
    pub fn came(
        &mut self,
        transaction: u64,
        from: SocketAddr,
        numbering: Numbering,
        chunk: u32,
        bytes: &[u8],
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let piece = (chunk, start..self.bytes.len());
        let same = |(other, chunks): &&mut (u64, Chunks)| {
            *other == transaction && chunks.from == from && chunks.numbering == numbering
        };
        match self.uploads.iter_mut().rev().find(same) {
            Some((_, chunks)) => chunks.chunks.push(piece),
            None => self.uploads.push((
                transaction,
                Chunks {
                    from,
                    numbering,
                    chunks: vec![piece],
                    bytes: Bytes::new(),
                },
            )),
        }
    }
}

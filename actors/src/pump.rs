//! Moves the bytes of a [`Conversation`]: polled by its actor after each batch of its mailbox, so that
//! what the batch queued goes out together.
//!
//! Reading goes through one buffer a core, so that an idle connection holds none. It waits while the
//! house is still busy with what this connection sent before ([`Receipt`](crate::Receipt)).

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::prelude::*;
use tokio::time::Instant;

use crate::guest::Conversation;
use crate::link::{LINGER, LIVE_PAUSE, Link, Parting, Phase};
use crate::socket::SendBuffer;
use crate::traffic;

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// Reads before others on this core have their turn.
const READS_A_TURN: usize = 4;

/// The longest pause before the system is asked again how many bytes of a live channel are on their way.
const LONGEST_LIVE_PAUSE: Duration = Duration::from_millis(80);

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// This core's buffer for reading, [`READ_BYTES`] long; to be given back.
pub fn take_scratch() -> Vec<u8> {
    let mut scratch = SCRATCH.take();
    scratch.resize(READ_BYTES, 0);
    scratch
}

/// Gives the buffer back.
pub fn give_scratch(scratch: Vec<u8>) {
    SCRATCH.set(scratch);
}

/// The future that a conversation's actor spawns when it starts.
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
        let gone = poll_frames_gone(link, cx).is_ready();
        if gone {
            let frames = link.outbound.take_frames_written();
            if frames > 0 {
                act.frames_written(frames, ctx);
                // What that has queued follows.
                continue;
            }
        }
        act.guest().flushed();
        let link = act.link();
        match &mut link.phase {
            Phase::Open => {
                if flushed && gone {
                    link.stall_timer = None;
                } else if poll_stall(link, cx).is_ready() {
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
                    let _ = socket2::SockRef::from(&link.stream).shutdown(Shutdown::Write);
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

/// Ready when the frames that were written have gone far enough for more to follow. The system would
/// take megabytes for a slow reader, which then sees what was live some time ago.
fn poll_frames_gone(link: &mut Link, cx: &mut TaskContext<'_>) -> Poll<()> {
    while let Some(most) = link.live
        && link.outbound.has_written_frames()
    {
        if link.stream.unacknowledged() <= most {
            (link.live_timer, link.live_pause) = (None, LIVE_PAUSE);
            break;
        }
        let timer = link
            .live_timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(link.live_pause)));
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        link.live_timer = None;
        link.live_pause = (link.live_pause * 2).min(LONGEST_LIVE_PAUSE);
    }
    Poll::Ready(())
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
    if link.is_answering() {
        // The socket or the gap wakes us when it has gone out.
        return Poll::Pending;
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
    let mut scratch = take_scratch();
    match link.stream.try_read(&mut scratch) {
        Ok(0) => act.closed(ctx),
        Ok(read) => {
            traffic::came(read);
            understand(act, ctx, &scratch[..read]);
        }
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
        Err(e) => act.part(Parting::Dropped(e.to_string()), ctx),
    }
    give_scratch(scratch);
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
    let mut scratch = take_scratch();
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
    give_scratch(scratch);
    on
}

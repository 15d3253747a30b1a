//! One for each TCP service: accepts, checks who may come in and how many, and starts a connection
//! actor on the next core.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::prelude::*;
use actix_rt::ArbiterHandle;
use ipnet::IpNet;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::time::Sleep;

use crate::house::Rooms;
use crate::link::Link;
use crate::locks::locked;
use crate::messages::{Dismiss, Observation, Observe, Service};
use crate::seldom::Seldom;
use crate::slots::{Slot, Slots};
use crate::supervisor::{DoorClosed, Supervisor};
use crate::watch::{self, Post};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;
/// The pause after an accept that failed, for lack of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections accepted before others on this core have their turn.
const ACCEPTS_A_TURN: usize = 64;

/// The house closes: nobody comes in any more, and everyone is let go.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct CloseDoor;

/// A connection is over; it is off the list of guests already.
#[derive(Message)]
#[rtype(result = "()")]
struct GuestLeft;

/// What a listener works with; kept by its factory, so that a rebuilt one goes on with it.
#[derive(Clone)]
pub struct Door {
    pub service: Service,
    pub welcome: Welcome,
    pub listener: Arc<std::net::TcpListener>,
    pub allow: Arc<[IpNet]>,
    pub slots: Slots,
    /// The cores, each with what its connections need.
    pub cores: Arc<[(ArbiterHandle, Arc<Rooms>)]>,
    pub supervisor: Addr<Supervisor>,
    pub guests: Guests,
    pub closing: Arc<AtomicBool>,
    /// Where the listener is, rebuilt or not.
    pub post: Post<Listener>,
}

/// Who has just come in.
pub struct Newcomer {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    slot: Slot,
    service: Service,
    arbiter: ArbiterHandle,
    rooms: Arc<Rooms>,
    guests: Guests,
    post: Post<Listener>,
}

/// Starts the connection actors of one service.
#[derive(Clone)]
pub struct Welcome(Arc<dyn Fn(Newcomer) + Send + Sync>);

impl Welcome {
    /// `make` makes the actor of a connection, on the core that it lives on.
    pub fn new<A>(make: impl Fn(Link, Arc<Rooms>) -> A + Send + Sync + 'static) -> Welcome
    where
        A: Actor<Context = Context<A>> + Handler<Dismiss>,
    {
        let make = Arc::new(make);
        Welcome(Arc::new(move |newcomer| welcome(newcomer, make.clone())))
    }

    fn welcome(&self, newcomer: Newcomer) {
        (self.0)(newcomer);
    }
}

impl fmt::Debug for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Welcome")
    }
}

fn welcome<A>(newcomer: Newcomer, make: Arc<impl Fn(Link, Arc<Rooms>) -> A + Send + Sync + 'static>)
where
    A: Actor<Context = Context<A>> + Handler<Dismiss>,
{
    let Newcomer {
        stream,
        peer,
        slot,
        service,
        arbiter,
        rooms,
        guests,
        post,
    } = newcomer;
    // Locked until the guest is on the list: one that ends at once is taken off after that.
    let list = guests.clone();
    let mut list = locked(&list.0);
    let id = list.next_id;
    list.next_id += 1;
    let guest = watch::start(
        &arbiter,
        move |_| match Link::new(stream, peer, service, rooms.legacy_gap, &rooms.limits) {
            Ok(link) => Some(make(link, rooms)),
            Err(error) => {
                tracing::warn!(%service, %peer, %error, "a connection can't be taken over");
                None
            }
        },
        move |panic| {
            if let Some(panic) = panic {
                tracing::error!(%service, %peer, panic, "a connection panicked");
            }
            guests.remove(id);
            drop(slot);
            post.do_send(GuestLeft);
        },
    );
    list.here.insert(id, guest.recipient());
}

/// Binds the port of a service; says where it is.
///
/// # Errors
/// The system's.
pub fn bind(
    service: Service,
    address: SocketAddr,
) -> io::Result<(std::net::TcpListener, SocketAddr)> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A house that is opened again at once gets its ports back; a running one keeps them.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if service == Service::LanFile {
        // A clean end means a whole file there. Its connections have this from the first moment on, also
        // those that are refused or still wait when the server is killed.
        socket.set_linger(Some(Duration::ZERO))?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener: std::net::TcpListener = socket.into();
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// The connections of one service, by number, to be told when the house closes.
#[derive(Clone, Default)]
pub struct Guests(Arc<Mutex<GuestList>>);

#[derive(Default)]
struct GuestList {
    next_id: u64,
    here: HashMap<u64, Recipient<Dismiss>>,
}

impl Guests {
    fn remove(&self, id: u64) {
        locked(&self.0).here.remove(&id);
    }

    fn len(&self) -> usize {
        locked(&self.0).here.len()
    }
}

/// The actor of one TCP service's port.
pub struct Listener {
    door: Door,
    accepted: u64,
    refused: u64,
    refusals: Seldom,
    failures: Seldom,
}

impl Listener {
    pub fn new(door: Door) -> Listener {
        Listener {
            door,
            accepted: 0,
            refused: 0,
            refusals: Seldom::default(),
            failures: Seldom::default(),
        }
    }

    fn receive(&mut self, stream: std::net::TcpStream, peer: SocketAddr) {
        // An IPv4 address that came in through an IPv6 socket is the IPv4 address.
        let ip = peer.ip().to_canonical();
        if !self.door.allow.iter().any(|net| net.contains(&ip)) {
            return self.refuse(peer, "server.allow does not list its network");
        }
        let Some(slot) = self.door.slots.take() else {
            return self.refuse(peer, "server.max_connections are here already");
        };
        self.accepted += 1;
        let at = usize::try_from(self.accepted).unwrap_or(0) % self.door.cores.len().max(1);
        // Never empty: `House::open` makes at least one core.
        let (arbiter, rooms) = self.door.cores[at].clone();
        self.door.welcome.welcome(Newcomer {
            stream,
            peer,
            slot,
            service: self.door.service,
            arbiter,
            rooms,
            guests: self.door.guests.clone(),
            post: self.door.post.clone(),
        });
    }

    fn refuse(&mut self, peer: SocketAddr, rule: &str) {
        self.refused += 1;
        if let Some(count) = self.refusals.happens() {
            tracing::warn!(service = %self.door.service, %peer, rule, count, "refused");
        }
    }

    fn is_closing(&self) -> bool {
        self.door.closing.load(Ordering::Acquire)
    }

    fn tell_if_empty(&self) {
        if self.is_closing() && self.door.guests.len() == 0 {
            self.door.supervisor.do_send(DoorClosed(self.door.service));
        }
    }
}

/// Accepts for as long as the listener lives.
struct Accept {
    listener: TcpListener,
    pause: Option<Pin<Box<Sleep>>>,
}

impl ActorFuture<Listener> for Accept {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        act: &mut Listener,
        _: &mut Context<Listener>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        for _ in 0..ACCEPTS_A_TURN {
            if act.is_closing() {
                return Poll::Ready(());
            }
            if let Some(pause) = &mut self.pause {
                if pause.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.pause = None;
            }
            match self.listener.poll_accept(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok((stream, peer))) => match stream.into_std() {
                    Ok(stream) => act.receive(stream, peer),
                    Err(error) => {
                        tracing::warn!(%peer, %error, "a connection can't be handed over")
                    }
                },
                // The peer's own doing, not a shortage of ours.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Poll::Ready(Err(error)) => {
                    if let Some(count) = act.failures.happens() {
                        tracing::warn!(service = %act.door.service, %error, count, "accepting fails");
                    }
                    self.pause = Some(Box::pin(tokio::time::sleep(ACCEPT_PAUSE)));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Actor for Listener {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // One that was rebuilt while the house closes.
        self.tell_if_empty();
        match self
            .door
            .listener
            .try_clone()
            .and_then(TcpListener::from_std)
        {
            Ok(listener) => drop(ctx.spawn(Accept {
                listener,
                pause: None,
            })),
            Err(error) => {
                tracing::error!(service = %self.door.service, %error, "the port can't be listened on");
            }
        }
    }
}

impl Handler<GuestLeft> for Listener {
    type Result = ();

    fn handle(&mut self, _: GuestLeft, _: &mut Context<Self>) {
        self.tell_if_empty();
    }
}

impl Handler<CloseDoor> for Listener {
    type Result = ();

    fn handle(&mut self, _: CloseDoor, _: &mut Context<Self>) {
        self.door.closing.store(true, Ordering::Release);
        for guest in locked(&self.door.guests.0).here.values() {
            guest.do_send(Dismiss);
        }
        self.tell_if_empty();
    }
}

impl Handler<Observe> for Listener {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::Listener {
            service: self.door.service,
            connections: self.door.guests.len(),
            accepted: self.accepted,
            refused: self.refused,
        }
    }
}

//! Running actors so that a panic is seen: it is caught, logged and counted, and what the house
//! needs is made anew from its factory. (actix's own `Supervisor` does neither.)

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, RwLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use actix::dev::ToEnvelope;
use actix::dev::channel::channel;
use actix::prelude::*;
use actix_rt::ArbiterHandle;

/// Mailboxes hold this many before `try_send` refuses; `do_send` takes no notice.
const MAILBOX: usize = 16;
/// The pauses between rebuilding the same actor double from this one …
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// … up to this one, …
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// … and begin anew after it has lived so long.
const RECOVERED: Duration = Duration::from_secs(60);

/// The address of an actor of the house that stays valid when the actor is rebuilt.
pub struct Post<A: Actor>(Arc<RwLock<Option<Addr<A>>>>);

impl<A: Actor> Clone for Post<A> {
    fn clone(&self) -> Self {
        Post(self.0.clone())
    }
}

impl<A: Actor> Default for Post<A> {
    fn default() -> Self {
        Post(Arc::default())
    }
}

impl<A: Actor> Post<A> {
    /// The address as of now, if the actor runs.
    pub fn addr(&self) -> Option<Addr<A>> {
        self.0.read().ok()?.clone()
    }

    /// Sends `message`; it is lost if the actor is just being rebuilt.
    pub fn do_send<M>(&self, message: M)
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        if let Ok(guard) = self.0.read()
            && let Some(addr) = guard.as_ref()
        {
            addr.do_send(message);
        }
    }

    fn set(&self, addr: Option<Addr<A>>) {
        match self.0.write() {
            Ok(mut guard) => *guard = addr,
            Err(poisoned) => *poisoned.into_inner() = addr,
        }
    }
}

/// Starts an actor of the house on `arbiter` and makes it anew whenever it panics; `rebuilt` is
/// called with the panic's message each time, after the new one's address is in `post`.
pub fn keep<A>(
    arbiter: &ArbiterHandle,
    name: &'static str,
    post: Post<A>,
    make: impl Fn() -> A + Send + 'static,
    rebuilt: impl Fn(&'static str) + Send + 'static,
) where
    A: Actor<Context = Context<A>>,
{
    let (sender, receiver) = channel::<A>(MAILBOX);
    post.set(Some(Addr::new(sender)));
    arbiter.spawn_fn(move || {
        actix_rt::spawn(async move {
            let mut pause = Duration::ZERO;
            let mut context = Context::with_receiver(receiver);
            loop {
                let actor = make();
                let since = Instant::now();
                match caught(context.into_future(actor)).await {
                    Ok(()) => break post.set(None),
                    Err(panic) => {
                        tracing::error!(actor = name, %panic, "an actor panicked; it is rebuilt")
                    }
                }
                // Nobody waits for an answer from an actor that is gone.
                post.set(None);
                if since.elapsed() > RECOVERED {
                    pause = Duration::ZERO;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
                let (sender, receiver) = channel::<A>(MAILBOX);
                context = Context::with_receiver(receiver);
                post.set(Some(Addr::new(sender)));
                rebuilt(name);
            }
        });
    });
}

/// Starts an actor on `arbiter` that ends alone when it panics; `ended` is called when it is gone,
/// with the panic's message if it was one.
pub fn start<A>(
    arbiter: &ArbiterHandle,
    make: impl FnOnce(&mut Context<A>) -> Option<A> + Send + 'static,
    ended: impl FnOnce(Option<String>) + Send + 'static,
) -> Addr<A>
where
    A: Actor<Context = Context<A>>,
{
    let (sender, receiver) = channel::<A>(MAILBOX);
    arbiter.spawn_fn(move || {
        let mut context = Context::with_receiver(receiver);
        match make(&mut context) {
            Some(actor) => drop(actix_rt::spawn(async move {
                ended(caught(context.into_future(actor)).await.err());
            })),
            None => ended(None),
        }
    });
    Addr::new(sender)
}

/// Starts an actor on `arbiter` that ends alone when it panics, which is logged of `name`.
pub fn start_alone<A>(
    arbiter: &ArbiterHandle,
    name: &'static str,
    make: impl FnOnce(&mut Context<A>) -> A + Send + 'static,
) -> Addr<A>
where
    A: Actor<Context = Context<A>>,
{
    let ended = move |panic: Option<String>| {
        if let Some(panic) = panic {
            tracing::error!(panic, "{name} panicked");
        }
    };
    start(arbiter, |ctx| Some(make(ctx)), ended)
}

/// Runs `future` to its end, or to its panic, whose message is the error.
pub(crate) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx| {
        let future: Pin<&mut _> = future.as_mut();
        // An actor that panicked is only dropped afterwards, so no broken state is looked at.
        match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic_message(panic.as_ref()))),
        }
    })
    .await
}

/// Does `work`; the error is the message of its panic. What it leaves behind then is to be thrown away.
pub(crate) fn caught_now<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| panic_message(panic.as_ref()))
}

/// The text that a panic was raised with.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

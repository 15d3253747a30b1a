//! Threads for what a handler must not do: wait for the disk, look at a camera's frame. A handler hands
//! over a piece of work and goes on; what comes of it comes back as a future.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::thread;

use crossbeam_channel::{Sender, unbounded};
use tokio::sync::oneshot;

use crate::watch::caught_now;

type Work = Box<dyn FnOnce() + Send>;

/// What comes of work that another thread does.
pub type Coming<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The threads; clones share them. They end with the last clone.
#[derive(Clone)]
pub struct Crew {
    work: Sender<Work>,
}

impl Crew {
    /// Starts `threads` threads, named and numbered; each begins with `first`.
    ///
    /// # Errors
    /// The system has no threads.
    pub fn start(name: &'static str, threads: usize, first: fn()) -> io::Result<Crew> {
        // Unbounded, but never long: whoever hands over work waits for it before the next one.
        let (work, queue) = unbounded::<Work>();
        for n in 0..threads {
            let queue = queue.clone();
            thread::Builder::new()
                .name(format!("{name}-{n}"))
                .spawn(move || {
                    first();
                    for work in queue {
                        // What the work held is dropped, and whoever waits for it sees that.
                        if let Err(panic) = caught_now(work) {
                            tracing::error!(panic, "work of {name} panicked");
                        }
                    }
                })?;
        }
        Ok(Crew { work })
    }

    /// Does `work` on one of the threads. `None` if it panicked.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Coming<Option<T>> {
        let (answer, answered) = oneshot::channel();
        let work = Box::new(move || {
            // Who asked may be gone.
            let _ = answer.send(work());
        });
        // The threads live as long as this does.
        let _ = self.work.send(work);
        Box::pin(async { answered.await.ok() })
    }
}

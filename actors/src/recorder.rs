//! Records a live channel while it is on air: one more viewer, which hands its frames to a thread that
//! encodes and writes them. A thread that does not keep up misses frames, like any viewer.

use std::sync::Arc;
use std::thread;

use actix::prelude::*;
use actix_rt::Arbiter;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use playhouse_media::MovieError;

use crate::frame_pool::be_nice;
use crate::live_channel::{Following, Live, LiveChannel, LiveFrame};
use crate::messages::{Observation, Observe};
use crate::recordings::{Movie, RecordingError, Recordings};
use crate::slots::Slot;
use crate::watch::{self, caught_now};

/// Frames that wait for the thread, at most.
const WAITING: usize = 32;

/// The recorder of one channel.
pub struct Recorder {
    name: Arc<str>,
    following: Following,
    /// The thread completes its file when this is dropped.
    frames: Sender<LiveFrame>,
    recorded: u64,
    missed: u64,
}

impl Recorder {
    /// Records `channel` on this core and a thread of its own, if there is a place for one more.
    /// `viewer` is its number among those who follow the channel.
    pub fn start(
        viewer: u64,
        name: Arc<str>,
        channel: Addr<LiveChannel>,
        recordings: Arc<Recordings>,
    ) -> Option<Addr<Recorder>> {
        let Some(slot) = recordings.take_slot() else {
            tracing::warn!(channel = %name, "not recorded: limit live.max_recordings");
            return None;
        };
        let (frames, queue) = bounded(WAITING);
        let (label, files) = (name.clone(), recordings.clone());
        let thread = thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || record(&queue, &label, &files, slot));
        match thread {
            Ok(thread) => recordings.wait_for(thread),
            Err(error) => {
                tracing::error!(channel = %name, %error, "not recorded: no thread");
                return None;
            }
        }
        let make = move |ctx: &mut Context<Recorder>| {
            let seat = ctx.address().recipient();
            Recorder {
                name,
                following: Following::new(viewer, channel, seat),
                frames,
                recorded: 0,
                missed: 0,
            }
        };
        let arbiter = Arbiter::current();
        Some(watch::start_alone(&arbiter, "a recorder", make))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if self.missed > 0 {
            let (channel, missed) = (&self.name, self.missed);
            tracing::warn!(%channel, missed, "frames are not in the recording: its thread did not keep up");
        }
    }
}

impl Actor for Recorder {
    type Context = Context<Self>;
}

impl Handler<Live> for Recorder {
    type Result = ();

    fn handle(&mut self, live: Live, ctx: &mut Context<Self>) {
        let Live::Frame(frame) = live else {
            return ctx.stop();
        };
        self.following.taken(1);
        match self.frames.try_send(frame) {
            Ok(()) => self.recorded += 1,
            Err(TrySendError::Full(_)) => self.missed += 1,
            // The thread has said why.
            Err(TrySendError::Disconnected(_)) => ctx.stop(),
        }
    }
}

impl Handler<Observe> for Recorder {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::Recorder {
            channel: self.name.to_string(),
            recorded: self.recorded,
            missed: self.missed,
        }
    }
}

/// The thread: writes `frames` until no more come.
fn record(frames: &Receiver<LiveFrame>, channel: &str, recordings: &Recordings, slot: Slot) {
    be_nice();
    let mut movie = None;
    let written = caught_now(|| write(frames, channel, recordings, &mut movie));
    match written {
        Ok(Ok(())) => {}
        Ok(Err(error)) if error.is_limit() => {
            tracing::warn!(channel, %error, "not recorded any more");
        }
        Ok(Err(error)) => tracing::error!(channel, %error, "not recorded any more"),
        Err(panic) => {
            // What is in the file is in doubt.
            movie = None;
            tracing::error!(channel, panic, "a recording thread panicked");
        }
    }
    // Another one may begin while this one's file goes to the disk.
    drop(slot);
    finish(movie, channel);
}

fn write(
    frames: &Receiver<LiveFrame>,
    channel: &str,
    recordings: &Recordings,
    current: &mut Option<Movie>,
) -> Result<(), RecordingError> {
    for frame in frames {
        if let Some(movie) = &current
            && movie.length_at(frame.at) >= recordings.max_length()
        {
            finish(current.take(), channel);
        }
        let movie = match current {
            Some(movie) => movie,
            // A picture that no movie can have is left out, like one that can't be decoded.
            None if !recordings.takes(&frame) => continue,
            None => current.insert(recordings.begin(channel, &frame)?),
        };
        match movie.add(&frame, recordings) {
            Err(RecordingError::Movie(MovieError::BadPicture { .. })) | Ok(()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn finish(movie: Option<Movie>, channel: &str) {
    match movie.map(Movie::finish) {
        Some(Ok(Some(path))) => tracing::info!(channel, file = %path.display(), "recorded"),
        Some(Err(error)) => tracing::error!(channel, %error, "a recording is lost"),
        Some(Ok(None)) | None => {}
    }
}

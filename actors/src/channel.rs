//! One quality of one video, while somebody watches it: has each frame decoded and encoded once,
//! whoever asks for it, and gives what the cache still holds at once. It lives as long as a
//! [`Streamer`](crate::Streamer) holds its address.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_media::Clip;

use crate::frame_pool::{FramePool, Job, Outcome};
use crate::messages::{Observation, Observe};

/// Frames in a job, at most.
const JOB_FRAMES: usize = 8;
/// A frame that is wanted so shortly after a job's last one waits for that job's decoder.
const REACH: u32 = 64;
/// Jobs at once: viewers at different places of a video have a decoder each, up to this.
const MAX_JOBS: usize = 4;

/// A viewer wants frames of this clip.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Fetch {
    /// What the viewer calls each frame, and its index in the clip.
    pub frames: Vec<(u32, u32)>,
    pub viewer: Recipient<Fetched>,
}

/// Frames for a viewer, each with the viewer's own number for it; `None` can't be had.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Fetched {
    pub frames: Vec<(u32, Option<Bytes>)>,
}

/// Something came of a job.
#[derive(Message)]
#[rtype(result = "()")]
struct Progress(Outcome);

#[derive(Default)]
struct Wanted {
    by: Vec<(u32, Recipient<Fetched>)>,
    in_job: bool,
}

struct Running {
    id: u64,
    first: u32,
    last: u32,
}

/// One quality of one video.
pub struct Channel {
    clip: Arc<Clip>,
    pool: FramePool,
    wanted: BTreeMap<u32, Wanted>,
    running: Vec<Running>,
    next_job: u64,
    /// The next job begins here or later, if something is wanted there.
    next_frame: u32,
}

/// Whether `index` is near enough behind what `frames` has to be in the same job.
fn follows(frames: &[u32], index: u32) -> bool {
    frames
        .last()
        .is_none_or(|&last| index > last && index - last <= REACH)
}

impl Channel {
    pub fn new(clip: Arc<Clip>, pool: FramePool) -> Channel {
        Channel {
            clip,
            pool,
            wanted: BTreeMap::new(),
            running: Vec::new(),
            next_job: 0,
            next_frame: 0,
        }
    }

    /// Starts jobs for what is wanted, as far as decoders are free.
    fn start_jobs(&mut self, ctx: &mut Context<Self>) {
        while self.running.len() < MAX_JOBS {
            let mut frames: Vec<u32> = Vec::new();
            // On from the last job and round again: viewers at all places have their turn.
            let (before, on) = (..self.next_frame, self.next_frame..);
            let turn = self.wanted.range(on).chain(self.wanted.range(before));
            for (&index, wanted) in turn {
                if frames.len() == JOB_FRAMES || !follows(&frames, index) {
                    break;
                }
                let in_reach = |job: &Running| index >= job.first && index <= job.last + REACH;
                if wanted.in_job || (frames.is_empty() && self.running.iter().any(in_reach)) {
                    continue;
                }
                frames.push(index);
            }
            for index in &frames {
                if let Some(wanted) = self.wanted.get_mut(index) {
                    wanted.in_job = true;
                }
            }
            let (Some(&first), Some(&last)) = (frames.first(), frames.last()) else {
                return;
            };
            let (id, me) = (self.next_job, ctx.address().downgrade());
            self.next_job += 1;
            self.next_frame = last + 1;
            self.running.push(Running { id, first, last });
            self.pool.submit(Job {
                id,
                clip: self.clip.clone(),
                frames,
                sink: Arc::new(move |outcome| {
                    if let Some(channel) = me.upgrade() {
                        channel.do_send(Progress(outcome));
                    }
                }),
            });
        }
    }
}

impl Actor for Channel {
    type Context = Context<Self>;
}

impl Handler<Fetch> for Channel {
    type Result = ();

    fn handle(&mut self, fetch: Fetch, ctx: &mut Context<Self>) {
        let mut ready = Vec::new();
        for (number, index) in fetch.frames {
            match self.pool.cache().get(self.clip.id, index) {
                Some(jpeg) => ready.push((number, Some(jpeg))),
                None => {
                    let wanted = self.wanted.entry(index).or_default();
                    wanted.by.push((number, fetch.viewer.clone()));
                }
            }
        }
        if !ready.is_empty() {
            fetch.viewer.do_send(Fetched { frames: ready });
        }
        self.start_jobs(ctx);
    }
}

impl Handler<Progress> for Channel {
    type Result = ();

    fn handle(&mut self, Progress(outcome): Progress, ctx: &mut Context<Self>) {
        match outcome {
            Outcome::Frame { index, jpeg } => {
                let wanted = self.wanted.remove(&index).unwrap_or_default();
                for (number, viewer) in wanted.by {
                    viewer.do_send(Fetched {
                        frames: vec![(number, jpeg.clone())],
                    });
                }
            }
            Outcome::Decoded { job } => {
                self.running.retain(|running| running.id != job);
                self.start_jobs(ctx);
            }
        }
    }
}

impl Handler<Observe> for Channel {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::Channel {
            file: self.clip.file_name.clone(),
            wanted: self.wanted.len(),
            jobs: self.running.len(),
        }
    }
}

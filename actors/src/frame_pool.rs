//! The threads that decode video and make JPEGs. Not actors: a handler never blocks, and this work
//! does nothing else.
//!
//! A job is a short run of frames of one clip. A decoding thread takes a decoder that stands near
//! (or opens one), and hands each picture to an encoding thread; the JPEG goes into the cache and to
//! whoever asked. Decoders wait on a shelf between jobs, the least recently used one is closed.
//! Both kinds of thread run at a lower priority than the event loops.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use playhouse_media::{Clip, ClipDecoder, FrameCache, JpegEncoder, Picture};

use crate::locks::locked;
use crate::watch::panic_message;

/// Decoders kept open between jobs, at most: each holds some frames of its size.
const SHELF: usize = 16;
/// A decoder that nobody used for so long is closed.
const SHELF_TIME: Duration = Duration::from_secs(10);
/// Pictures of so many rows are large.
const LARGE: u32 = 720;
/// How much less than the event loops a thread may claim that can wait for frames, too (nice value).
const GIVES_WAY: i32 = 12;
/// How much less than the event loops the threads may claim (nice value).
const NICENESS: i32 = 5;

/// What comes of a job.
pub enum Outcome {
    /// One frame; `None` if it could not be encoded.
    Frame { index: u32, jpeg: Option<Bytes> },
    /// Every frame is decoded; the last ones may still be with the encoders.
    Decoded { job: u64 },
}

/// Where outcomes go; called from the threads.
pub type Sink = Arc<dyn Fn(Outcome) + Send + Sync>;

/// A run of frames to make.
pub struct Job {
    pub id: u64,
    pub clip: Arc<Clip>,
    /// Ascending.
    pub frames: Vec<u32>,
    pub sink: Sink,
}

struct EncodeTask {
    clip: u64,
    index: u32,
    picture: Picture,
    sink: Sink,
}

struct Shelved {
    decoder: ClipDecoder,
    since: Instant,
}

/// The threads' front door; clones share them. They end when the last clone is gone.
#[derive(Clone)]
pub struct FramePool {
    jobs: Sender<Job>,
    cache: Arc<FrameCache>,
}

impl FramePool {
    /// Starts `threads` decoding and as many encoding threads.
    ///
    /// # Errors
    /// The system's, when it gives no more threads.
    pub fn start(
        threads: usize,
        quality: u8,
        cache: Arc<FrameCache>,
    ) -> std::io::Result<FramePool> {
        let (jobs, job_queue) = unbounded::<Job>();
        // A decoded picture is large: decoders wait for encoders.
        let (tasks, task_queue) = bounded::<EncodeTask>(2 * threads);
        let shelf = Arc::new(Mutex::new(Vec::<Shelved>::new()));
        for n in 0..threads {
            let (job_queue, tasks, shelf) = (job_queue.clone(), tasks.clone(), shelf.clone());
            thread::Builder::new()
                .name(format!("decode-{n}"))
                .spawn(move || decode_jobs(&job_queue, &tasks, &shelf, threads))?;
            let (task_queue, cache) = (task_queue.clone(), cache.clone());
            thread::Builder::new()
                .name(format!("encode-{n}"))
                .spawn(move || encode_tasks(&task_queue, quality, &cache))?;
        }
        Ok(FramePool { jobs, cache })
    }

    /// Queues `job`.
    pub fn submit(&self, job: Job) {
        // The queue is only closed when the threads are gone, with the process.
        let _ = self.jobs.send(job);
    }

    pub fn cache(&self) -> &FrameCache {
        &self.cache
    }
}

fn decode_jobs(
    jobs: &Receiver<Job>,
    tasks: &Sender<EncodeTask>,
    shelf: &Mutex<Vec<Shelved>>,
    threads: usize,
) {
    be_nice();
    loop {
        let job = match jobs.recv_timeout(SHELF_TIME) {
            Ok(job) => job,
            Err(e) if e.is_timeout() => {
                close_unused(shelf);
                continue;
            }
            Err(_) => return,
        };
        let mut left = job.frames.clone();
        let decoding = catch_unwind(AssertUnwindSafe(|| {
            decode(&job, &mut left, tasks, shelf, threads);
        }));
        if let Err(panic) = decoding {
            let panic = panic_message(panic.as_ref());
            tracing::error!(file = %job.clip.path.display(), %panic, "a decoder panicked");
        }
        for index in left {
            (job.sink)(Outcome::Frame { index, jpeg: None });
        }
        (job.sink)(Outcome::Decoded { job: job.id });
    }
}

/// Decodes the frames of `job`; what is left in `left` could not be made.
fn decode(
    job: &Job,
    left: &mut Vec<u32>,
    tasks: &Sender<EncodeTask>,
    shelf: &Mutex<Vec<Shelved>>,
    threads: usize,
) {
    let Some(&first) = job.frames.first() else {
        return;
    };
    let taken = take_near(shelf, job.clip.id, first);
    let mut decoder = match taken.map_or_else(
        || ClipDecoder::open(job.clip.clone(), decoder_threads(&job.clip, threads)),
        Ok,
    ) {
        Ok(decoder) => decoder,
        Err(error) => {
            tracing::warn!(%error, "a video can't be opened any more");
            return;
        }
    };
    for &index in &job.frames {
        if decoder.position() != index
            && let Err(error) = decoder.seek(index)
        {
            tracing::warn!(%error, "a video can't be read any more");
        }
        let Some(picture) = decoder.next() else {
            return;
        };
        let task = EncodeTask {
            clip: job.clip.id,
            index,
            picture,
            sink: job.sink.clone(),
        };
        if tasks.send(task).is_err() {
            return;
        }
        left.retain(|&other| other != index);
    }
    put_back(shelf, decoder);
}

/// FFmpeg's threads for one decoder: small pictures are quick, large ones hold up their viewer.
fn decoder_threads(clip: &Clip, threads: usize) -> usize {
    if clip.height < LARGE {
        1
    } else {
        threads.min(4)
    }
}

/// The decoder of `clip` that comes to frame `first` soonest: the nearest one that is not past it.
fn take_near(shelf: &Mutex<Vec<Shelved>>, clip: u64, first: u32) -> Option<ClipDecoder> {
    let mut shelf = locked(shelf);
    let nearest = shelf
        .iter()
        .enumerate()
        .filter(|(_, shelved)| shelved.decoder.clip().id == clip)
        .min_by_key(|(_, shelved)| {
            let position = shelved.decoder.position();
            (position > first, first.abs_diff(position))
        })?
        .0;
    Some(shelf.remove(nearest).decoder)
}

/// Keeps `decoder` for the next job, and closes those that nobody used for long.
fn put_back(shelf: &Mutex<Vec<Shelved>>, decoder: ClipDecoder) {
    locked(shelf).push(Shelved {
        decoder,
        since: Instant::now(),
    });
    close_unused(shelf);
}

fn close_unused(shelf: &Mutex<Vec<Shelved>>) {
    let unused: Vec<Shelved> = {
        let mut shelf = locked(shelf);
        // Put back in order of time, so that the first ones are the oldest.
        let surplus = shelf.len().saturating_sub(SHELF);
        let old = shelf
            .iter()
            .filter(|s| s.since.elapsed() > SHELF_TIME)
            .count();
        shelf.drain(..surplus.max(old)).collect()
    };
    // Closed with the shelf unlocked.
    drop(unused);
}

fn encode_tasks(tasks: &Receiver<EncodeTask>, quality: u8, cache: &FrameCache) {
    be_nice();
    let mut encoder = None;
    while let Ok(task) = tasks.recv() {
        let jpeg = catch_unwind(AssertUnwindSafe(|| {
            let encoder = match &mut encoder {
                Some(encoder) => encoder,
                none => none.insert(JpegEncoder::new(quality)?),
            };
            encoder.encode(&task.picture)
        }));
        let jpeg = match jpeg {
            Ok(Ok(jpeg)) => {
                cache.insert(task.clip, task.index, jpeg.clone());
                Some(jpeg)
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "a frame can't be encoded");
                None
            }
            Err(panic) => {
                encoder = None;
                tracing::error!(panic = panic_message(panic.as_ref()), "an encoder panicked");
                None
            }
        };
        drop(task.picture);
        (task.sink)(Outcome::Frame {
            index: task.index,
            jpeg,
        });
    }
}

/// Lets the event loops go first. On Linux the nice value belongs to the thread.
pub fn be_nice() {
    set_nice(NICENESS);
}

/// Lets everything else go first, as far as the machine is busy.
pub fn give_way() {
    set_nice(GIVES_WAY);
}

fn set_nice(nice: i32) {
    #[cfg(target_os = "linux")]
    // SAFETY: takes and returns plain integers; a refusal changes nothing and is no harm.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, nice);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = nice;
}

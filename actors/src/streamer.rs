//! One viewing: follows the plan of which quality shows which frame, asks the channels for frames a
//! little ahead, and hands them to its connection in order, at the pace of the house and no faster
//! than the connection writes them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_media::{Plan, Video};
use tokio::time::Instant;

use crate::channel::{Channel, Fetch, Fetched};
use crate::house::Rooms;
use crate::library::{Library, OpenChannels};
use crate::messages::{Observation, Observe};
use crate::settings::Pace;
use crate::viewing::start_beside;
use crate::watch::Post;

/// Frames asked for ahead of the one to show next, …
const AHEAD: u32 = 32;
/// … unless those that are here already have so many bytes.
const AHEAD_BYTES: usize = 4 * 1024 * 1024;
/// Frames asked for at once.
const BATCH: u32 = 8;
/// A new quality's first frames are asked for so many frames early: its decoder has to find them.
const PRIME: u32 = 150;
/// Bytes of frames that wait in the connection, beyond two frames.
const IN_FLIGHT_BYTES: usize = 2 * 1024 * 1024;
/// How often it is checked that frames still come, …
const CHECK: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 5000 });
/// … and how many checks without one are too many.
const MAX_MISSES: u32 = 24;

/// What a viewer's connection is told.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum Show {
    Frame(Bytes),
    /// That was the last frame.
    Finish,
    /// The promised frames can't be had.
    Failed,
}

/// The connection has written so many frames.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Written {
    pub frames: u32,
}

/// The viewer doesn't look any more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Cancel;

/// One viewing.
pub struct Streamer {
    video: Arc<Video>,
    plan: Plan,
    /// The frame that it begins with.
    from: u32,
    pace: Pace,
    head_start: Duration,
    library: Post<Library>,
    viewer: Recipient<Show>,
    /// By quality.
    channels: Vec<Addr<Channel>>,
    /// Frames below this are asked for.
    next_ask: u32,
    /// First frames of qualities that were asked for early.
    primed: Vec<u32>,
    next_show: u32,
    ready: BTreeMap<u32, Option<Bytes>>,
    /// Sizes of the frames that the connection has not written yet.
    in_flight: VecDeque<usize>,
    in_flight_bytes: usize,
    last: Option<Bytes>,
    /// When the first frame was due, by the frames shown so far.
    start: Option<Instant>,
    timer: Option<SpawnHandle>,
    misses: u32,
    came: bool,
}

impl Streamer {
    /// A viewing of frame `from` and those after it. There are none if `from` is past the end.
    pub fn new(
        video: Arc<Video>,
        plan: Plan,
        from: u32,
        rooms: &Rooms,
        viewer: Recipient<Show>,
    ) -> Streamer {
        let from = from.min(video.frame_count());
        Streamer {
            video,
            plan,
            from,
            pace: rooms.pace,
            head_start: rooms.head_start,
            library: rooms.library.clone(),
            viewer,
            channels: Vec::new(),
            next_ask: from,
            primed: Vec::new(),
            next_show: from,
            ready: BTreeMap::new(),
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            last: None,
            start: None,
            timer: None,
            misses: 0,
            came: false,
        }
    }

    /// Starts it on this core, beside its connection, which is told if it panics.
    pub fn start_here(self) -> Addr<Streamer> {
        let viewer = self.viewer.clone();
        start_beside("streamer", self, viewer)
    }

    fn frames(&self) -> u32 {
        self.video.frame_count()
    }

    fn open_channels(&mut self, ctx: &mut Context<Self>) {
        let Some(library) = self.library.addr() else {
            return;
        };
        library
            .send(OpenChannels(self.video.clone()))
            .into_actor(self)
            .map(|channels, this, ctx| {
                this.channels = channels.unwrap_or_default();
                this.ask(ctx);
                this.show(ctx);
            })
            .spawn(ctx);
    }

    /// Asks for what is needed next, if that is worth a message.
    fn ask(&mut self, ctx: &mut Context<Self>) {
        if self.channels.is_empty() {
            return;
        }
        while self.next_ask < self.frames() {
            let ahead = self.next_ask.saturating_sub(self.next_show);
            if ahead > AHEAD - BATCH || (ahead >= 2 && self.ready_bytes() > AHEAD_BYTES) {
                break;
            }
            if self.primed.contains(&self.next_ask) {
                self.next_ask = self.end_of_batch(self.next_ask);
                continue;
            }
            let end = self.end_of_batch(self.next_ask);
            self.fetch(self.next_ask, end, ctx);
            self.next_ask = end;
        }
        let soon = self.next_ask + 1..self.next_ask.saturating_add(PRIME);
        let starts: Vec<u32> = self
            .plan
            .segments()
            .iter()
            .map(|segment| segment.frames.start)
            .filter(|start| soon.contains(start) && !self.primed.contains(start))
            .collect();
        for start in starts {
            self.primed.push(start);
            self.fetch(start, self.end_of_batch(start), ctx);
        }
    }

    /// Bytes that are here, without the early ones of a quality to come.
    fn ready_bytes(&self) -> usize {
        let ready = self.ready.range(..self.next_ask);
        ready
            .map(|(_, jpeg)| jpeg.as_ref().map_or(0, Bytes::len))
            .sum()
    }

    /// A batch that begins at `start` ends with its quality at the latest.
    fn end_of_batch(&self, start: u32) -> u32 {
        let segment = self
            .plan
            .segments()
            .iter()
            .find(|s| s.frames.contains(&start));
        segment.map_or(start + 1, |s| s.frames.end.min(start + BATCH))
    }

    fn fetch(&self, start: u32, end: u32, ctx: &mut Context<Self>) {
        let quality = self.plan.quality_of(start).unwrap_or(0);
        if let Some(channel) = self.channels.get(quality) {
            channel.do_send(Fetch {
                frames: (start..end)
                    .map(|i| (i, self.video.source_frame(quality, i)))
                    .collect(),
                viewer: ctx.address().recipient(),
            });
        }
    }

    /// Hands on what is here, due, and wanted.
    fn show(&mut self, ctx: &mut Context<Self>) {
        while self.next_show < self.frames() {
            if self.in_flight.len() >= 2 && self.in_flight_bytes >= IN_FLIGHT_BYTES {
                return;
            }
            if !self.ready.contains_key(&self.next_show) {
                break;
            }
            if let Some(wait) = self.wait() {
                self.wake_in(wait, ctx);
                break;
            }
            let jpeg = self.ready.remove(&self.next_show).flatten();
            // A frame that can't be had repeats the last one: so many frames were promised.
            let Some(jpeg) = jpeg.or_else(|| self.last.clone()) else {
                return self.fail(ctx);
            };
            self.last = Some(jpeg.clone());
            self.in_flight.push_back(jpeg.len());
            self.in_flight_bytes += jpeg.len();
            self.viewer.do_send(Show::Frame(jpeg));
            self.next_show += 1;
        }
        self.ask(ctx);
        if self.next_show == self.frames() && self.in_flight.is_empty() {
            self.viewer.do_send(Show::Finish);
            ctx.stop();
        }
    }

    /// How long until the next frame is due, if it isn't yet.
    fn wait(&mut self) -> Option<Duration> {
        if self.pace == Pace::Fast {
            return None;
        }
        let now = Instant::now();
        let due = self.video.due(self.next_show);
        let due = due.saturating_sub(self.video.due(self.from));
        let start = *self.start.get_or_insert(now);
        let early = (start + due).saturating_duration_since(now);
        if early.is_zero() {
            // A viewer that stopped for a while goes on from there; it does not rush after the clock.
            self.start = now.checked_sub(due).map(|on_time| start.max(on_time));
        }
        early
            .checked_sub(self.head_start)
            .filter(|wait| !wait.is_zero())
    }

    fn wake_in(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        if self.timer.is_none() {
            self.timer = Some(ctx.run_later(wait, |this, ctx| {
                this.timer = None;
                this.show(ctx);
            }));
        }
    }

    /// Frames that don't come for a while are asked for once more: their channel may be gone.
    fn check(&mut self, ctx: &mut Context<Self>) {
        let missing = !self.ready.contains_key(&self.next_show) && self.next_show < self.frames();
        if !missing || std::mem::take(&mut self.came) {
            self.misses = 0;
            return;
        }
        self.misses += 1;
        if self.misses > MAX_MISSES {
            return self.fail(ctx);
        }
        tracing::warn!(video = %self.video.name, frame = self.next_show, "frames are late; asked for again");
        self.next_ask = self.next_show;
        self.primed.clear();
        self.open_channels(ctx);
    }

    fn fail(&mut self, ctx: &mut Context<Self>) {
        tracing::error!(video = %self.video.name, frame = self.next_show, "the stream is given up");
        self.viewer.do_send(Show::Failed);
        ctx.stop();
    }
}

impl Actor for Streamer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.open_channels(ctx);
        ctx.run_interval(CHECK, Streamer::check);
    }
}

impl Handler<Fetched> for Streamer {
    type Result = ();

    fn handle(&mut self, fetched: Fetched, ctx: &mut Context<Self>) {
        self.came = true;
        for (i, jpeg) in fetched.frames {
            // One that was asked for again may come twice.
            if i >= self.next_show {
                self.ready.insert(i, jpeg);
            }
        }
        self.show(ctx);
    }
}

impl Handler<Written> for Streamer {
    type Result = ();

    fn handle(&mut self, written: Written, ctx: &mut Context<Self>) {
        for _ in 0..written.frames {
            self.in_flight_bytes -= self.in_flight.pop_front().unwrap_or(0);
        }
        self.show(ctx);
    }
}

impl Handler<Cancel> for Streamer {
    type Result = ();

    fn handle(&mut self, _: Cancel, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

impl Handler<Observe> for Streamer {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::Streamer {
            shown: self.next_show,
            asked: self.next_ask,
            of: self.frames(),
        }
    }
}

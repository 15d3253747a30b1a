//! One live channel: whatever its source sends is the newest frame, and everyone who follows gets it
//! untouched. It is on air, and in the library, from its first frame until none has come for
//! `live.linger_s`.
//!
//! A viewer has a window of frames that it need not have taken yet. One that does not keep up misses
//! frames, and goes on with the newest: its window is one frame until it keeps up again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use tokio::time::Instant;

use crate::messages::{Observation, Observe};
use crate::recorder::Recorder;
use crate::studio::Studio;

/// Frames that a viewer need not have taken yet: a burst of them is no reason to miss any.
const WINDOW: usize = 16;
/// Bytes of such frames, beyond one frame.
const WINDOW_BYTES: usize = 2 * 1024 * 1024;

/// How often a channel that is not recorded, and should be, tries again.
const RECORD_AGAIN: Duration = Duration::from_secs(60);

/// A picture, as its source made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFrame {
    /// JPEG.
    pub jpeg: Bytes,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// When it came.
    pub at: Instant,
}

/// A source has a new picture.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Publish(pub LiveFrame);

/// Whether the channel is recorded, whatever the configuration says, until it is off air. Says whether it
/// is.
#[derive(Message)]
#[rtype(result = "Result<bool, NotRecorded>")]
pub struct Record(pub bool);

/// Why a channel is not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRecorded {
    #[error("the channel is off air")]
    OffAir,
    #[error("as many channels are recorded as may be at once")]
    NoPlace,
}

/// What those who follow a channel are told.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub enum Live {
    /// To be answered with `Taken`.
    Frame(LiveFrame),
    /// The channel is off air; nothing follows.
    Ended,
}

/// Somebody wants every frame from the newest on, as far as it keeps up.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Follow {
    /// Drawn from the studio.
    pub viewer: u64,
    pub seat: Recipient<Live>,
}

/// A viewer has room for another frame.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Taken {
    pub viewer: u64,
    pub frames: u32,
}

/// A viewer is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Unfollow {
    pub viewer: u64,
}

/// What is there to be seen, if the channel is on air.
#[derive(Message)]
#[rtype(result = "Option<Portrait>")]
pub struct Look;

/// A live channel at a moment.
pub struct Portrait {
    pub name: Arc<str>,
    pub newest: LiveFrame,
    pub viewers: usize,
    /// Since it is on air.
    pub frames: u64,
    pub recorded: bool,
}

/// Following a channel; over when it is dropped.
pub struct Following {
    viewer: u64,
    channel: Addr<LiveChannel>,
}

impl Following {
    /// Asks `channel` for its frames.
    pub fn new(viewer: u64, channel: Addr<LiveChannel>, seat: Recipient<Live>) -> Following {
        channel.do_send(Follow { viewer, seat });
        Following { viewer, channel }
    }

    /// So many frames were taken.
    pub fn taken(&self, frames: u32) {
        let viewer = self.viewer;
        self.channel.do_send(Taken { viewer, frames });
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let viewer = self.viewer;
        self.channel.do_send(Unfollow { viewer });
    }
}

struct Viewer {
    seat: Recipient<Live>,
    /// Sizes of the frames that it has not taken yet.
    not_taken: VecDeque<usize>,
    bytes: usize,
    /// Frames.
    window: usize,
    /// Whether it has not been sent the newest frame.
    behind: bool,
}

impl Viewer {
    /// Sends `frame` if the viewer has room for it.
    fn offer(&mut self, frame: &LiveFrame) {
        let (size, waiting) = (frame.jpeg.len(), self.not_taken.len());
        let too_large = waiting > 0 && self.bytes + size > WINDOW_BYTES;
        self.behind = waiting >= self.window || too_large;
        if self.behind {
            self.window = 1;
            return;
        }
        self.not_taken.push_back(size);
        self.bytes += size;
        self.seat.do_send(Live::Frame(frame.clone()));
    }

    fn has_taken(&mut self, frames: u32) {
        for _ in 0..frames {
            self.bytes -= self.not_taken.pop_front().unwrap_or(0);
        }
    }
}

/// One live channel.
pub struct LiveChannel {
    id: u64,
    name: Arc<str>,
    watched: Arc<AtomicBool>,
    studio: Arc<Studio>,
    on_air: bool,
    newest: Option<LiveFrame>,
    recorder: Option<Addr<Recorder>>,
    record_again: Option<SpawnHandle>,
    /// What an admin has said about it since it is on air.
    recording: Option<bool>,
    viewers: HashMap<u64, Viewer>,
    frames: u64,
    /// Frames that viewers missed, all together.
    missed: u64,
}

impl LiveChannel {
    /// The channel with this number and name; `watched` says whether anybody looks.
    pub fn new(
        id: u64,
        name: Arc<str>,
        watched: Arc<AtomicBool>,
        studio: Arc<Studio>,
    ) -> LiveChannel {
        LiveChannel {
            id,
            name,
            watched,
            studio,
            on_air: false,
            newest: None,
            recorder: None,
            record_again: None,
            recording: None,
            viewers: HashMap::new(),
            frames: 0,
            missed: 0,
        }
    }

    fn goes_on_air(&mut self, first: &LiveFrame, ctx: &mut Context<Self>) {
        let (width, height) = (first.width, first.height);
        tracing::info!(channel = %self.name, width, height, "live channel on air");
        self.studio.set_on_air(&self.name, self.id, true);
        self.on_air = true;
        (self.frames, self.missed) = (0, 0);
        self.look_again(first.at, ctx);
        self.record(ctx);
    }

    /// Has itself recorded, if it should be and isn't.
    fn record(&mut self, ctx: &mut Context<Self>) {
        let recordings = self.studio.recordings.clone();
        let wanted = |all| self.on_air && self.recording.unwrap_or(all);
        let Some(recordings) = recordings.filter(|recordings| wanted(recordings.all())) else {
            return;
        };
        if !self.is_recorded() {
            let (viewer, name) = (self.studio.next_id(), self.name.clone());
            self.recorder = Recorder::start(viewer, name, ctx.address(), recordings);
        }
        // There may be no place or no room on the disk now, but later.
        self.forget_timer(ctx);
        self.record_again = Some(ctx.run_later(RECORD_AGAIN, |this, ctx| {
            this.record_again = None;
            this.record(ctx);
        }));
    }

    fn stop_recording(&mut self, ctx: &mut Context<Self>) {
        self.forget_timer(ctx);
        if let Some(recorder) = self.recorder.take() {
            recorder.do_send(Live::Ended);
        }
    }

    /// A timer that is left would keep a channel that nobody needs.
    fn forget_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.record_again.take() {
            ctx.cancel_future(timer);
        }
    }

    fn is_recorded(&self) -> bool {
        self.recorder.as_ref().is_some_and(Addr::connected)
    }

    /// Looks whether there are still frames when the last one, which came at `last`, is too old.
    fn look_again(&self, last: Instant, ctx: &mut Context<Self>) {
        let wait = (last + self.studio.linger).saturating_duration_since(Instant::now());
        ctx.run_later(wait, move |this, ctx| match &this.newest {
            Some(newest) if newest.at > last => this.look_again(newest.at, ctx),
            _ => {
                this.goes_off_air();
                this.forget_timer(ctx);
            }
        });
    }

    fn goes_off_air(&mut self) {
        if !std::mem::take(&mut self.on_air) {
            return;
        }
        let (frames, missed) = (self.frames, self.missed);
        tracing::info!(channel = %self.name, frames, missed, "live channel off air");
        self.studio.set_on_air(&self.name, self.id, false);
        self.recording = None;
        for viewer in self.viewers.drain().map(|(_, viewer)| viewer) {
            viewer.seat.do_send(Live::Ended);
        }
        self.watched.store(false, Ordering::Relaxed);
    }
}

impl Drop for LiveChannel {
    /// One that panics goes off air too.
    fn drop(&mut self) {
        self.goes_off_air();
        self.studio.closed(&self.name, self.id);
    }
}

impl Actor for LiveChannel {
    type Context = Context<Self>;
}

impl Handler<Publish> for LiveChannel {
    type Result = ();

    fn handle(&mut self, Publish(frame): Publish, ctx: &mut Context<Self>) {
        if !self.on_air {
            self.goes_on_air(&frame, ctx);
        }
        self.frames += 1;
        for viewer in self.viewers.values_mut() {
            if viewer.not_taken.is_empty() {
                viewer.window = (viewer.window + 1).min(WINDOW);
            }
            viewer.offer(&frame);
            self.missed += u64::from(viewer.behind);
        }
        self.newest = Some(frame);
    }
}

impl Handler<Record> for LiveChannel {
    type Result = Result<bool, NotRecorded>;

    fn handle(&mut self, Record(on): Record, ctx: &mut Context<Self>) -> Self::Result {
        if !self.on_air {
            return Err(NotRecorded::OffAir);
        }
        let before = self.recording.replace(on);
        if !on {
            self.stop_recording(ctx);
            return Ok(false);
        }
        self.record(ctx);
        if !self.is_recorded() {
            // Not later, either, when nobody expects it any more.
            self.recording = before;
            self.forget_timer(ctx);
            self.record(ctx);
            return Err(NotRecorded::NoPlace);
        }
        Ok(true)
    }
}

impl Handler<Follow> for LiveChannel {
    type Result = ();

    fn handle(&mut self, follow: Follow, _: &mut Context<Self>) {
        let Some(newest) = &self.newest else {
            return follow.seat.do_send(Live::Ended);
        };
        if !self.on_air {
            // It went off air while the viewer was on its way, who sees how it ended.
            follow.seat.do_send(Live::Frame(newest.clone()));
            return follow.seat.do_send(Live::Ended);
        }
        let mut viewer = Viewer {
            seat: follow.seat,
            not_taken: VecDeque::new(),
            bytes: 0,
            window: WINDOW,
            behind: false,
        };
        viewer.offer(newest);
        self.viewers.insert(follow.viewer, viewer);
        self.watched.store(true, Ordering::Relaxed);
    }
}

impl Handler<Taken> for LiveChannel {
    type Result = ();

    fn handle(&mut self, taken: Taken, _: &mut Context<Self>) {
        if let Some(viewer) = self.viewers.get_mut(&taken.viewer) {
            viewer.has_taken(taken.frames);
            if viewer.behind
                && let Some(newest) = &self.newest
            {
                viewer.offer(newest);
                // It has the newest frame after all.
                self.missed -= u64::from(!viewer.behind);
            }
        }
    }
}

impl Handler<Unfollow> for LiveChannel {
    type Result = ();

    fn handle(&mut self, gone: Unfollow, _: &mut Context<Self>) {
        self.viewers.remove(&gone.viewer);
        self.watched
            .store(!self.viewers.is_empty(), Ordering::Relaxed);
    }
}

impl Handler<Look> for LiveChannel {
    type Result = Option<Portrait>;

    fn handle(&mut self, _: Look, _: &mut Context<Self>) -> Option<Portrait> {
        let newest = self.newest.clone().filter(|_| self.on_air)?;
        Some(Portrait {
            name: self.name.clone(),
            newest,
            viewers: self.viewers.len(),
            frames: self.frames,
            recorded: self.is_recorded(),
        })
    }
}

impl Handler<Observe> for LiveChannel {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::LiveChannel {
            name: self.name.to_string(),
            on_air: self.on_air,
            recorded: self.is_recorded(),
            viewers: self.viewers.len(),
            frames: self.frames,
            missed: self.missed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use actix_rt::Arbiter;

    use super::*;

    const LINGER: Duration = Duration::from_secs(3);

    fn studio() -> Arc<Studio> {
        Arc::new(Studio::new(LINGER, 10, None))
    }

    fn publish(channel: &Addr<LiveChannel>, number: u8) {
        channel.do_send(Publish(LiveFrame {
            jpeg: Bytes::copy_from_slice(&[number]),
            width: 1,
            height: 1,
            at: Instant::now(),
        }));
    }

    /// A viewer that takes frames when the test says so, and writes down what it is told: the numbers of
    /// frames, 255 for the end.
    struct Eye(Rc<RefCell<Vec<u8>>>);

    impl Actor for Eye {
        type Context = Context<Self>;
    }

    impl Handler<Live> for Eye {
        type Result = ();

        fn handle(&mut self, live: Live, _: &mut Context<Self>) {
            self.0.borrow_mut().push(match live {
                Live::Frame(frame) => frame.jpeg[0],
                Live::Ended => 255,
            });
        }
    }

    fn follow(studio: &Studio, channel: &Addr<LiveChannel>) -> (Following, Rc<RefCell<Vec<u8>>>) {
        let seen = Rc::<RefCell<Vec<u8>>>::default();
        let eye = Eye(seen.clone()).start().recipient();
        (Following::new(studio.next_id(), channel.clone(), eye), seen)
    }

    /// Lets everyone handle what they have.
    async fn settle(channel: &Addr<LiveChannel>) {
        for _ in 0..10 {
            channel.send(Observe).await.unwrap();
            tokio::task::yield_now().await;
        }
    }

    #[actix::test]
    async fn a_viewer_who_does_not_keep_up_goes_on_with_the_newest() {
        let studio = studio();
        let name: Arc<str> = "cam".into();
        let channel = studio.open(&name, &Arbiter::current()).channel;
        publish(&channel, 0);
        let (slow, seen) = follow(&studio, &channel);
        let (quick, all) = follow(&studio, &channel);
        for number in 1..30 {
            publish(&channel, number);
            settle(&channel).await;
            quick.taken(1);
        }
        settle(&channel).await;
        assert_eq!(*all.borrow(), (0..30).collect::<Vec<u8>>());
        // The window, and not one more.
        assert_eq!(*seen.borrow(), (0..16).collect::<Vec<u8>>());
        slow.taken(16);
        settle(&channel).await;
        assert_eq!(seen.borrow()[16..], [29]);
        // Behind as it was, it has one frame at a time.
        publish(&channel, 30);
        publish(&channel, 31);
        settle(&channel).await;
        assert_eq!(seen.borrow()[16..], [29]);
        slow.taken(1);
        settle(&channel).await;
        assert_eq!(seen.borrow()[16..], [29, 31]);
        let state = channel.send(Observe).await.unwrap();
        let Observation::LiveChannel { missed, frames, .. } = state else {
            panic!("{state:?}");
        };
        assert_eq!((missed, frames), (14, 32));
    }

    #[actix::test]
    async fn a_channel_is_on_air_while_frames_come() {
        tokio::time::pause();
        let studio = studio();
        let name: Arc<str> = "cam".into();
        let feed = studio.open(&name, &Arbiter::current());
        settle(&feed.channel).await;
        assert!(studio.names().is_empty() && studio.find("cam").is_none());
        publish(&feed.channel, 7);
        settle(&feed.channel).await;
        assert_eq!(studio.names(), ["cam"]);
        assert!(studio.find("cam").is_some());
        let (following, seen) = follow(&studio, &feed.channel);
        settle(&feed.channel).await;
        assert!(feed.watched.load(Ordering::Relaxed));
        tokio::time::advance(LINGER - Duration::from_millis(1)).await;
        publish(&feed.channel, 8);
        settle(&feed.channel).await;
        tokio::time::advance(LINGER - Duration::from_millis(1)).await;
        settle(&feed.channel).await;
        assert_eq!(studio.names(), ["cam"], "the second frame is not too old");
        tokio::time::advance(Duration::from_millis(2)).await;
        settle(&feed.channel).await;
        assert!(studio.names().is_empty());
        assert_eq!(*seen.borrow(), [7, 8, 255]);
        assert!(!feed.watched.load(Ordering::Relaxed));
        // It comes back, to those who ask anew.
        publish(&feed.channel, 9);
        settle(&feed.channel).await;
        assert_eq!(studio.names(), ["cam"]);
        assert_eq!(*seen.borrow(), [7, 8, 255]);
        drop(following);
    }

    #[actix::test]
    async fn a_channel_that_nobody_holds_ends_and_is_made_anew() {
        tokio::time::pause();
        let studio = studio();
        let name: Arc<str> = "cam".into();
        let feed = studio.open(&name, &Arbiter::current());
        publish(&feed.channel, 1);
        settle(&feed.channel).await;
        let same = studio.open(&name, &Arbiter::current());
        assert!(feed.channel == same.channel);
        drop((feed, same));
        tokio::task::yield_now().await;
        // On air it stays by itself.
        assert_eq!(studio.channels().len(), 1);
        tokio::time::advance(LINGER + Duration::from_millis(2)).await;
        while !studio.channels().is_empty() {
            tokio::task::yield_now().await;
        }
        let again = studio.open(&name, &Arbiter::current());
        publish(&again.channel, 2);
        settle(&again.channel).await;
        assert_eq!(studio.names(), ["cam"]);
    }
}

//! The live channels of the house, found by their names. Shared by those who send pictures, the
//! library that lists them, and the channels themselves; it outlives each of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::WeakAddr;
use actix::prelude::*;
use actix_rt::ArbiterHandle;

use crate::live_channel::LiveChannel;
use crate::locks::locked;
use crate::recordings::Recordings;
use crate::watch;

/// While nobody looks, pictures are made this often.
const UNWATCHED: Duration = Duration::from_millis(500);

/// A live channel to watch.
#[derive(Clone)]
pub struct Broadcast {
    pub name: Arc<str>,
    pub channel: Addr<LiveChannel>,
}

/// A live channel to send pictures to.
#[derive(Clone)]
pub struct Feed {
    pub channel: Addr<LiveChannel>,
    /// Whether anybody looks.
    pub watched: Arc<AtomicBool>,
}

impl Feed {
    /// Whether a picture is to be made, so long after the last one: each while somebody looks, and otherwise
    /// now and then, so that whoever comes begins with a recent one.
    pub fn wants_picture(&self, since_last: Duration) -> bool {
        since_last >= UNWATCHED || self.watched.load(Ordering::Relaxed)
    }
}

struct Entry {
    id: u64,
    channel: WeakAddr<LiveChannel>,
    watched: Arc<AtomicBool>,
    on_air: bool,
}

/// All live channels.
pub struct Studio {
    /// A channel goes off air so long after its last picture.
    pub linger: Duration,
    /// Frames that a viewer in chatroom gets.
    pub chatroom_frames: u32,
    /// Where channels are recorded, if they are.
    pub recordings: Option<Arc<Recordings>>,
    channels: Mutex<BTreeMap<Arc<str>, Entry>>,
    next_id: AtomicU64,
}

impl Studio {
    /// One without channels.
    pub fn new(
        linger: Duration,
        chatroom_frames: u32,
        recordings: Option<Arc<Recordings>>,
    ) -> Studio {
        Studio {
            linger,
            chatroom_frames,
            recordings,
            channels: Mutex::default(),
            next_id: AtomicU64::new(1),
        }
    }

    /// A number that was never drawn before.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The channel of this name, for whoever has pictures for it. One that does not run is started on
    /// `arbiter`, and goes on air with its first picture.
    pub fn open(self: &Arc<Self>, name: &Arc<str>, arbiter: &ArbiterHandle) -> Feed {
        let mut channels = locked(&self.channels);
        if let Some(entry) = channels.get(name)
            && let Some(channel) = entry.channel.upgrade()
            && channel.connected()
        {
            let watched = entry.watched.clone();
            return Feed { channel, watched };
        }
        let (id, watched) = (self.next_id(), Arc::<AtomicBool>::default());
        let (own_name, own_watched, own_studio) = (name.clone(), watched.clone(), self.clone());
        // Made there: one that can't be started must not be dropped here, under the lock.
        let make = move |_: &mut _| LiveChannel::new(id, own_name, own_watched, own_studio);
        let channel = watch::start_alone(arbiter, "a live channel", make);
        let entry = Entry {
            id,
            channel: channel.downgrade(),
            watched: watched.clone(),
            on_air: false,
        };
        channels.insert(name.clone(), entry);
        Feed { channel, watched }
    }

    /// Channel `id` is on air, or not any more.
    pub fn set_on_air(&self, name: &str, id: u64, on_air: bool) {
        let mut channels = locked(&self.channels);
        if let Some(entry) = channels.get_mut(name).filter(|entry| entry.id == id) {
            entry.on_air = on_air;
        }
    }

    /// Channel `id` is gone.
    pub fn closed(&self, name: &str, id: u64) {
        let mut channels = locked(&self.channels);
        if channels.get(name).is_some_and(|entry| entry.id == id) {
            channels.remove(name);
        }
    }

    /// The names of what is on air, sorted.
    pub fn names(&self) -> Vec<String> {
        let channels = locked(&self.channels);
        let on_air = channels.iter().filter(|(_, entry)| entry.on_air);
        on_air.map(|(name, _)| name.to_string()).collect()
    }

    /// The channel of this name, if it is on air.
    pub fn find(&self, name: &str) -> Option<Broadcast> {
        let channels = locked(&self.channels);
        let (name, entry) = channels.get_key_value(name)?;
        Some(Broadcast {
            name: name.clone(),
            channel: entry.channel.upgrade().filter(|_| entry.on_air)?,
        })
    }

    /// All channels that run.
    pub fn channels(&self) -> Vec<Addr<LiveChannel>> {
        let channels = locked(&self.channels);
        let running = channels.values().map(|entry| entry.channel.upgrade());
        running.flatten().collect()
    }
}

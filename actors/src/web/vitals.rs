//! How the house is: numbers for people and for programs, made of the census at most once a second,
//! however many ask.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use playhouse_protocols::web as wire;
use playhouse_storage::now_ms;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::process::{self, Process};
use crate::house::Rooms;
use crate::messages::{Observation, Service};
use crate::supervisor::Census;
use crate::traffic;

/// For so long the numbers are as good as new ones.
const FRESH: Duration = Duration::from_secs(1);
/// Actors that have not all told their state by then are away; what they told last stands.
const PATIENCE: Duration = Duration::from_secs(2);

/// The state of the house. What only grows is counted since the start.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Vitals {
    /// Milliseconds since 1970.
    pub at: i64,
    pub uptime_s: u64,
    /// Cores that the program used since the last look, on average.
    pub cpu: f64,
    pub rss_bytes: u64,
    pub threads: u64,
    pub people: usize,
    /// By service.
    #[schema(value_type = HashMap<String, Connections>)]
    pub connections: BTreeMap<&'static str, Connections>,
    pub messages: u64,
    pub restarts: u64,
    pub videos: usize,
    /// Videos of which frames are being made, each quality by itself.
    pub channels: usize,
    pub files: Files,
    pub streams: Streams,
    pub traffic: Traffic,
    pub live: Vec<LiveVitals>,
    /// What each actor that lives as long as the house tells of itself.
    #[schema(value_type = Vec<Object>)]
    pub actors: Vec<Observation>,
    /// Seconds of processor time since the start.
    #[serde(skip)]
    pub cpu_seconds: f64,
    /// When the house was opened, in seconds since 1970.
    #[serde(skip)]
    pub opened: i64,
    /// These numbers as pages are told them, made for the first one.
    #[serde(skip)]
    told: OnceLock<Bytes>,
}

/// Of one service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Connections {
    pub open: usize,
    pub accepted: u64,
    pub refused: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Files {
    pub count: u64,
    pub bytes: u64,
}

/// Videos and live channels that are being watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Streams {
    pub open: usize,
    pub most: usize,
}

/// What went through all sockets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Traffic {
    pub in_bytes: u64,
    pub out_bytes: u64,
    pub frames: u64,
}

/// A live channel that is on air.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LiveVitals {
    pub name: String,
    pub viewers: usize,
    pub frames: u64,
    pub missed: u64,
}

/// The last numbers, for all who ask.
#[derive(Default)]
pub struct Pulse(Mutex<Last>);

#[derive(Default)]
struct Last {
    taken: Option<(Instant, Process)>,
    vitals: Arc<Vitals>,
}

/// How the house is, as of a second ago at most.
pub async fn vitals(rooms: &Rooms) -> Arc<Vitals> {
    let Some(console) = &rooms.console else {
        return Arc::default();
    };
    // Whoever comes while the numbers are made waits for these.
    let mut last = console.pulse.0.lock().await;
    if last.taken.is_some_and(|(taken, _)| taken.elapsed() < FRESH) {
        return last.vitals.clone();
    }
    let census = timeout(PATIENCE, console.supervisor.send(Census)).await;
    let states = match census {
        Ok(Ok(states)) => states,
        _ => last.vitals.actors.clone(),
    };
    let (now, process, traffic) = (Instant::now(), process::look(), traffic::total());
    let mut vitals = Vitals {
        at: now_ms(),
        uptime_s: console.since.elapsed().as_secs(),
        opened: console.opened,
        rss_bytes: process.rss_bytes,
        threads: process.threads,
        cpu_seconds: process.cpu.as_secs_f64(),
        streams: Streams {
            open: rooms.streams.taken(),
            most: rooms.streams.limit(),
        },
        traffic: Traffic {
            in_bytes: traffic.came,
            out_bytes: traffic.went,
            frames: traffic.frames,
        },
        ..Vitals::default()
    };
    // Since the start, when nobody has asked before.
    let (since, used) = last
        .taken
        .map_or((console.since, Duration::ZERO), |(taken, then)| {
            (taken, then.cpu)
        });
    let used = process.cpu.saturating_sub(used).as_secs_f64();
    let passed = now.saturating_duration_since(since).as_secs_f64();
    vitals.cpu = if passed > 0.0 { used / passed } else { 0.0 };
    for state in &states {
        vitals.take(state);
    }
    vitals.actors = states;
    last.taken = Some((now, process));
    last.vitals = Arc::new(vitals);
    last.vitals.clone()
}

/// What a page is told.
#[derive(Serialize)]
#[serde(tag = "type", rename = "vitals")]
struct Told<'a> {
    #[serde(flatten)]
    vitals: &'a Vitals,
}

impl Vitals {
    /// As a whole message of the WebSocket, the same for all pages.
    pub fn told(&self) -> Bytes {
        let told = || wire::text(&serde_json::to_vec(&Told { vitals: self }).unwrap_or_default());
        self.told.get_or_init(told).clone()
    }

    /// Counts what an actor tells of itself.
    fn take(&mut self, state: &Observation) {
        match state {
            Observation::Supervisor { restarts } => self.restarts = *restarts,
            Observation::Lobby {
                people, messages, ..
            } => (self.people, self.messages) = (*people, *messages),
            Observation::Library {
                videos, channels, ..
            } => (self.videos, self.channels) = (*videos, *channels),
            Observation::FileStore { files, bytes } => {
                self.files = Files {
                    count: *files,
                    bytes: *bytes,
                };
            }
            Observation::Listener {
                service,
                connections,
                accepted,
                refused,
            } => {
                let connections = Connections {
                    open: *connections,
                    accepted: *accepted,
                    refused: *refused,
                };
                self.connections.insert(service.name(), connections);
            }
            Observation::Endpoint {
                sessions,
                begun,
                refused,
                ..
            } => {
                let connections = Connections {
                    open: *sessions,
                    accepted: *begun,
                    refused: *refused,
                };
                let name = Service::Packetchat.name();
                self.connections.insert(name, connections);
            }
            Observation::LiveChannel {
                name,
                on_air: true,
                viewers,
                frames,
                missed,
                ..
            } => self.live.push(LiveVitals {
                name: name.clone(),
                viewers: *viewers,
                frames: *frames,
                missed: *missed,
            }),
            _ => {}
        }
    }
}

//! Opening the house: the cores, the actors that live as long as it stands, the ports.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_rt::{Arbiter, ArbiterHandle};
use bytes::Bytes;
use playhouse_media::{Catalogue, FrameCache};
use playhouse_storage::{Folder, Lock, now_ms};

use crate::audio_source::Hearers;
use crate::bridge::Bridge;
use crate::cameras::Cameras;
use crate::chat_bot::Bots;
use crate::crew::Crew;
use crate::datagrams;
use crate::desk::{Desk, Lists};
use crate::endpoint::Endpoint;
use crate::file_offer::FileOffer;
use crate::file_store::FileStore;
use crate::floor::Floor;
use crate::frame_pool::FramePool;
use crate::gate::Gate;
use crate::history::{Chronicle, History};
use crate::house_bot;
use crate::house_facts::HouseFacts;
use crate::house_key::{self, HouseKeyError};
use crate::inbox::Budget;
use crate::library::Library;
use crate::listener::{self, Door, Guests, Listener};
use crate::lobby::{Across, Lobby, Reserve};
use crate::messages::Service;
use crate::picture_port::PicturePorts;
use crate::recordings::{self, Recordings};
use crate::residents::{
    keep_bridge, keep_floors, keep_history, keep_lan, keep_library, keep_lobby, keep_sources,
    keep_uploads, last, told,
};
use crate::roster::Roster;
use crate::services::{TcpService, languages, tcp_services};
use crate::settings::{LanAudio, Limits, Pace, Settings};
use crate::slots::Slots;
use crate::stand_in::StandIns;
use crate::storeroom::{self, Storeroom, StoreroomError};
use crate::studio::Studio;
use crate::supervisor::{Household, Opened, Rebuilt, Supervisor};
use crate::watch::{Post, keep};
use crate::web::{AuthError, Console, Keeper, Pulse, Stills, WEB_SESSION};

/// Threads that wait for the disk for lan_file.
const FILE_THREADS: usize = 4;
/// How long recordings may take to be completed when the house closes.
const COMPLETION: Duration = Duration::from_secs(10);

/// What every connection of one core can reach.
pub struct Rooms {
    pub lobby: Post<Lobby>,
    pub(crate) floor: Post<Floor>,
    /// Number of the core.
    pub(crate) floor_number: usize,
    pub(crate) library: Post<Library>,
    pub(crate) streams: Slots,
    pub(crate) pace: Pace,
    pub(crate) head_start: Duration,
    pub(crate) limits: Arc<Limits>,
    pub(crate) legacy_gap: Duration,
    pub(crate) chatroom_key: Bytes,
    pub(crate) studio: Arc<Studio>,
    pub(crate) picture_ports: Arc<PicturePorts>,
    /// A question in tumip that is shorter than it says is complete after so much silence.
    pub(crate) quiet: Duration,
    pub(crate) bots: Bots,
    /// Where lan_file learns what it offers.
    pub(crate) offer: Post<FileOffer>,
    pub history: Post<History>,
    /// What makes one room of all services, if they are one.
    pub(crate) bridge: Option<Arc<Bridge>>,
    /// Threads that read what lan_file sends, as far as it is not in memory.
    pub(crate) readers: Crew,
    pub(crate) hearers: Hearers,
    /// Buffers that wait for a listener who is too slow for the sound.
    pub(crate) sound_backlog: usize,
    pub(crate) cameras: Cameras,
    /// What the web service reaches, if it is on.
    pub(crate) console: Option<Arc<Console>>,
}

/// Why the house can't open.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{service}.port: {address} can't be bound: {source}")]
    Bind {
        service: Service,
        address: SocketAddr,
        source: io::Error,
    },
    #[error("server.data_dir: {0}")]
    Key(#[from] HouseKeyError),
    #[error("server.data_dir: {0}")]
    Auth(#[from] AuthError),
    #[error("server.data_dir: {0}")]
    Storeroom(#[from] StoreroomError),
    #[error("no more threads: {0}")]
    Threads(io::Error),
}

/// The open house.
pub struct House {
    pub supervisor: Addr<Supervisor>,
    /// Where each service listens.
    pub services: Vec<(Service, SocketAddr)>,
    pub household: Household,
    // No other house opens on the same data while this one stands.
    _lock: Lock,
    /// The cores' threads end with the system.
    arbiters: Vec<Arbiter>,
    // A bot may hold up its thread: nobody waits for it.
    _bots: Arbiter,
    // Nor for what nobody hears any more.
    _interpreters: Vec<Arbiter>,
    studio: Arc<Studio>,
    chronicle: Chronicle,
    folder: Folder,
}

impl House {
    /// Opens the house with the videos of `catalogue`. Every port is bound when this returns. To be
    /// called in an actix system.
    ///
    /// # Errors
    /// A port can't be bound, the key of the house can't be read or made, the system has no threads.
    pub fn open(settings: &Settings, catalogue: Catalogue) -> Result<House, StartError> {
        // First, so that a second house on the same data says just that.
        let storeroom = storeroom::open(settings)?;
        // Then the ports, before any actor is started in vain.
        let mut sockets = Vec::new();
        for TcpService {
            service,
            port,
            welcome,
            ..
        } in tcp_services(settings)
        {
            let address = SocketAddr::new(settings.bind, port);
            let bound = listener::bind(service, address).map_err(|source| StartError::Bind {
                service,
                address,
                source,
            })?;
            sockets.push((service, welcome, bound));
        }
        let packetchat = match &settings.packetchat {
            Some(packetchat) => {
                let address = SocketAddr::new(settings.bind, packetchat.port);
                let failed = |source| StartError::Bind {
                    service: Service::Packetchat,
                    address,
                    source,
                };
                let socket = datagrams::bind(address, datagrams::SOCKET_BUFFER).map_err(failed)?;
                let address = socket.local_addr().map_err(failed)?;
                Some((packetchat.clone(), socket, address))
            }
            None => None,
        };
        let (chatroom_key, bridge) = keys(settings)?;
        let cache = Arc::new(FrameCache::new(settings.cache_bytes));
        let pool = FramePool::start(settings.arbiters.max(1), settings.jpeg_quality, cache)
            .map_err(StartError::Threads)?;

        let supervisor = Supervisor::new(settings.limits.goodbye).start();
        let arbiters: Vec<Arbiter> = (0..settings.arbiters.max(1))
            .map(|_| Arbiter::try_new())
            .collect::<io::Result<_>>()
            .map_err(StartError::Threads)?;
        let handles: Vec<ArbiterHandle> = arbiters.iter().map(Arbiter::handle).collect();
        let bots_arbiter = Arbiter::try_new().map_err(StartError::Threads)?;
        let studio = studio(settings);
        let mut household = Household {
            floors: handles.iter().map(|_| Post::default()).collect(),
            studio: Some(studio.clone()),
            bridge: bridge.clone(),
            ..Household::default()
        };
        let bots = Bots {
            arbiter: bots_arbiter.handle(),
            maker: settings.bot.clone(),
            facts: HouseFacts {
                lobby: household.lobby.clone(),
                library: household.library.clone(),
                files: household.files.clone(),
                studio: studio.clone(),
            },
            time_limit: settings.bot_time_limit,
        };
        let across = bridge.map(|bridge| Across {
            bot: house_bot::person(&bridge.stand_ins),
            answers: household.bot.clone(),
            bridge,
        });
        let interpreters: Vec<Arbiter> = across
            .iter()
            .flat_map(|across| across.bridge.offices())
            .map(|_| Arbiter::try_new())
            .collect::<io::Result<_>>()
            .map_err(StartError::Threads)?;
        let annals = storeroom.chronicle.annals(household.history.clone());
        keep_floors(&household, &handles, &supervisor);
        keep_history(&household, &handles, &supervisor, &storeroom.chronicle);
        if let Some(across) = &across {
            keep_bridge(
                &household,
                &handles,
                &interpreters,
                &supervisor,
                across,
                &bots,
            );
        }
        keep_lobby(&household, &handles, &supervisor, settings, across, annals);
        keep_sources(
            &mut household,
            &handles,
            &supervisor,
            settings,
            &studio,
            &catalogue,
        );
        keep_library(
            &household,
            &handles,
            &supervisor,
            settings,
            &studio,
            catalogue,
            pool,
        );
        let shelves = storeroom.shelves.clone();
        let make = move || FileStore::new(shelves.clone());
        keep(
            &last(&handles),
            "file store",
            household.files.clone(),
            make,
            told(&supervisor, Rebuilt::Other),
        );

        let (limits, streams) = (
            Arc::new(settings.limits.clone()),
            Slots::new(settings.max_streams),
        );
        let tumip = settings.tumip.clone().unwrap_or_default();
        let picture_ports = Arc::new(PicturePorts::new(settings.bind, &tumip));
        household.picture_ports = Some(picture_ports.clone());
        let hearers = Hearers::default();
        keep_lan(
            &mut household,
            &handles,
            &supervisor,
            settings,
            &storeroom.shelves,
            &hearers,
        );
        let sound_backlog = settings
            .lan_audio
            .as_ref()
            .map_or(1, LanAudio::backlog_buffers);
        let readers = settings.lan_file.as_ref().map_or(0, |_| FILE_THREADS);
        let readers = Crew::start("file", readers, || {}).map_err(StartError::Threads)?;
        let cameras = Cameras::start(settings).map_err(StartError::Threads)?;
        let console = match &settings.web {
            Some(web) => Some(Arc::new(Console {
                keeper: Keeper::open(web, &settings.data_dir)?,
                settings: web.clone(),
                plays: settings.lan_audio.is_some(),
                since: Instant::now(),
                opened: now_ms() / 1000,
                supervisor: supervisor.clone(),
                files: household.files.clone(),
                lan_file: settings.lan_file.as_ref().map(|file| file.offer.clone()),
                shelves: storeroom.shelves.clone(),
                pulse: Pulse::default(),
                stills: Stills::new(settings.jpeg_quality),
                uploads: household.uploads.clone(),
            })),
            None => None,
        };
        let cores: Arc<[(ArbiterHandle, Arc<Rooms>)]> = handles
            .iter()
            .zip(&household.floors)
            .enumerate()
            .map(|(floor_number, (arbiter, floor))| {
                let rooms = Rooms {
                    lobby: household.lobby.clone(),
                    floor: floor.clone(),
                    floor_number,
                    library: household.library.clone(),
                    streams: streams.clone(),
                    pace: settings.pace,
                    head_start: settings.head_start,
                    limits: limits.clone(),
                    legacy_gap: settings.legacy_gap,
                    chatroom_key: chatroom_key.clone(),
                    studio: studio.clone(),
                    picture_ports: picture_ports.clone(),
                    quiet: tumip.quiet,
                    bots: bots.clone(),
                    offer: household.offer.clone(),
                    history: household.history.clone(),
                    bridge: household.bridge.clone(),
                    readers: readers.clone(),
                    hearers: hearers.clone(),
                    sound_backlog,
                    cameras: cameras.clone(),
                    console: console.clone(),
                };
                (arbiter.clone(), Arc::new(rooms))
            })
            .collect();

        let mut services = Vec::new();
        let storage = storeroom.shelves.folder.clone();
        let Storeroom {
            lock,
            shelves,
            sessions,
            transfers,
            chronicle,
        } = storeroom;
        let moving = Slots::new(settings.files.max_moving);
        let (web, transfers) = transfers
            .into_iter()
            .partition(|left| left.transfer.session() == WEB_SESSION);
        keep_uploads(&household, &handles, &supervisor, &shelves, &moving, web);
        if let Some((packetchat, socket, address)) = packetchat
            && let Some((arbiter, rooms)) = cores.last().cloned()
        {
            services.push((Service::Packetchat, address));
            let endpoint = Post::default();
            household.endpoint = Some(endpoint.clone());
            let names = sessions
                .iter()
                .map(|row| (row.name.as_str().into(), row.user));
            household.lobby.do_send(Reserve(names.collect()));
            let gate = Gate {
                socket: Arc::new(socket),
                allow: settings.allow.clone().into(),
                desk: Arc::new(Desk {
                    rooms,
                    endpoint: endpoint.clone(),
                    files: household.files.clone(),
                    ledger: shelves.ledger.clone(),
                    lists: Lists::default(),
                    budget: Budget::new(packetchat.backlog_bytes),
                }),
                settings: packetchat,
                shelves,
                roster: Arc::new(Mutex::new(Roster::new(
                    settings.files.transfers_per_address,
                    settings.files.max_transfers,
                ))),
                moving,
                arbiter: arbiter.clone(),
                supervisor: supervisor.clone(),
                closing: Arc::default(),
            };
            gate.restore(sessions, transfers);
            let make = move || Endpoint::new(gate.clone());
            keep(
                &arbiter,
                "endpoint",
                endpoint,
                make,
                told(&supervisor, Rebuilt::Other),
            );
        }
        let slots = Slots::new(settings.max_connections);
        for (service, welcome, (listener, address)) in sockets {
            // The actor works on a copy: said here if there is no descriptor left for one.
            listener.try_clone().map_err(|source| StartError::Bind {
                service,
                address,
                source,
            })?;
            services.push((service, address));
            let post = Post::default();
            household.listeners.push((service, post.clone()));
            let door = Door {
                service,
                welcome,
                listener: Arc::new(listener),
                allow: settings.allow.clone().into(),
                slots: slots.clone(),
                cores: cores.clone(),
                supervisor: supervisor.clone(),
                guests: Guests::default(),
                closing: Arc::default(),
                post: post.clone(),
            };
            let make = move || Listener::new(door.clone());
            keep(
                &Arbiter::current(),
                "listener",
                post,
                make,
                told(&supervisor, Rebuilt::Other),
            );
        }
        // Those of others come last.
        let known = |service| Service::ALL.iter().position(|s| *s == service);
        services.sort_by_key(|&(service, _)| (known(service).unwrap_or(usize::MAX), service));
        supervisor.do_send(Opened(household.clone()));
        Ok(House {
            supervisor,
            services,
            household,
            _lock: lock,
            arbiters,
            _bots: bots_arbiter,
            _interpreters: interpreters,
            studio,
            chronicle,
            folder: storage,
        })
    }

    /// Waits until what is being recorded is complete. To be called when the system has stopped.
    pub fn close(self) {
        // The actors go with their threads, which nobody waits for: one may be reading a folder.
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        if let Err(error) = self.chronicle.close(&self.folder) {
            tracing::error!(%error, "the last words of the history are not written down");
        }
        if let Some(recordings) = &self.studio.recordings {
            recordings.complete(COMPLETION);
        }
    }
}

/// What chatroom greets with, and the keys of those who stand in for people of other services; what is
/// missing is made at once.
fn keys(settings: &Settings) -> Result<(Bytes, Option<Arc<Bridge>>), HouseKeyError> {
    let folder = &settings.data_dir;
    std::thread::scope(|scope| {
        let greeting = settings
            .chatroom
            .map(|_| scope.spawn(|| house_key::public_pem(folder)));
        let bridge = match settings.bridge {
            true => Some(Arc::new(Bridge::new(StandIns::open(
                folder,
                &languages(settings),
            )?))),
            false => None,
        };
        let lost = |_| HouseKeyError::Generate("its thread panicked".to_owned());
        let greeting = match greeting {
            Some(greeting) => greeting.join().map_err(lost)??,
            None => Bytes::new(),
        };
        Ok((greeting, bridge))
    })
}

/// What live channels have in common. What killed servers left of recordings is removed.
fn studio(settings: &Settings) -> Arc<Studio> {
    let (live, folder) = (&settings.live, &settings.videos_dir);
    match recordings::clean_up(folder) {
        Ok(0) => {}
        Ok(files) => tracing::info!(
            files,
            "unfinished recordings of a server that was killed removed"
        ),
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "unfinished recordings can't be removed");
        }
    }
    let recordings = Recordings::new(folder.clone(), live.recording.clone());
    let recordings = Some(Arc::new(recordings));
    Arc::new(Studio::new(live.linger, live.chatroom_frames, recordings))
}

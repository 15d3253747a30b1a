//! The house under panics: each actor is made to panic in an open house with people in it, over real
//! sockets. What lives as long as the house is rebuilt and knows everyone again; a connection, channel
//! or streamer ends alone.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_rt::Arbiter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use playhouse_media::Catalogue;
use playhouse_protocols::videochat::{self as wire, ClientMessage, ServerMessage};
use playhouse_protocols::wire::Step;
use playhouse_storage::Offer;
use rsa::pkcs8::{EncodePublicKey, LineEnding};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::audio_source::{AudioSource, Hearers};
use crate::cameras::Cameras;
use crate::channel::Channel;
use crate::chat_bot::BotMaker;
use crate::crew::Crew;
use crate::download::Download;
use crate::endpoint::Endpoint;
use crate::file_offer::FileOffer;
use crate::file_store::FileStore;
use crate::floor::Floor;
use crate::follower::Follower;
use crate::history::History;
use crate::house::{House, Rooms};
use crate::house_bot::HouseBot;
use crate::interpreter::Interpreter;
use crate::library::{Library, OpenChannels, VideoNames};
use crate::link::Link;
use crate::listener::Listener;
use crate::live_channel::LiveChannel;
use crate::live_source::LiveSource;
use crate::lobby::Lobby;
use crate::messages::{Observation, Service};
use crate::picture_port::PicturePort;
use crate::recorder::Recorder;
use crate::session::Session;
use crate::settings::{
    FileLimits, LanAudio, LanFile, LanVideo, Limits, Live, Pace, Packetchat, Recording, Settings,
    Sound, Tumip,
};
use crate::slots::Slots;
use crate::streamer::Streamer;
use crate::supervisor::Census;
use crate::upload::Upload;
use crate::videochat::VideochatConnection;
use crate::viewing::Title;
use crate::watch;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Makes whoever gets it panic.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Explode;

macro_rules! explodes {
    ($($actor:ty),*) => {$(
        impl Handler<Explode> for $actor {
            type Result = ();

            fn handle(&mut self, _: Explode, _: &mut Context<Self>) {
                panic!("told to");
            }
        }
    )*};
}

explodes!(
    Lobby,
    Floor,
    Library,
    Listener,
    Channel,
    Streamer,
    VideochatConnection,
    Endpoint,
    FileStore,
    Session,
    Upload,
    Download,
    LiveChannel,
    LiveSource,
    Follower,
    PicturePort,
    Recorder,
    AudioSource,
    FileOffer,
    Interpreter,
    HouseBot,
    History
);

pub(crate) struct Fixture {
    pub(crate) house: House,
    settings: Settings,
    folder: tempfile::TempDir,
}

impl Fixture {
    /// A house with one video of 40 frames in two qualities.
    pub(crate) fn open(pace: Pace) -> Fixture {
        playhouse_media::init();
        let folder = tempfile::tempdir().unwrap();
        for quality in ["24p", "48p"] {
            let rows = quality.trim_end_matches('p');
            let made = Command::new("ffmpeg")
                .args(["-v", "error", "-f", "lavfi", "-i"])
                .arg(format!("testsrc2=s=64x{rows}:r=20:d=2"))
                .args(["-pix_fmt", "yuv420p"])
                .arg(folder.path().join(format!("bars_{quality}.mp4")))
                .status();
            assert!(made.unwrap().success());
        }
        let settings = settings(folder.path().to_owned(), pace);
        let catalogue = Catalogue::scan(folder.path(), None, &mut |_, _| {}).unwrap();
        let house = House::open(&settings, catalogue).unwrap();
        Fixture {
            house,
            settings,
            folder,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.house.services[0].1
    }

    pub(crate) fn address_of(&self, service: Service) -> SocketAddr {
        let mut services = self.house.services.iter();
        services.find(|(one, _)| *one == service).unwrap().1
    }

    /// What the connections of core 0 can reach.
    pub(crate) fn rooms(&self) -> Arc<Rooms> {
        Arc::new(Rooms {
            lobby: self.house.household.lobby.clone(),
            floor: self.house.household.floors[0].clone(),
            floor_number: 0,
            library: self.house.household.library.clone(),
            streams: Slots::new(10),
            pace: self.settings.pace,
            head_start: self.settings.head_start,
            limits: Arc::new(self.settings.limits.clone()),
            legacy_gap: self.settings.legacy_gap,
            chatroom_key: bytes::Bytes::new(),
            studio: self.studio(),
            picture_ports: self.house.household.picture_ports.clone().unwrap(),
            quiet: Duration::from_millis(150),
            bots: crate::chat_bot::Bots {
                arbiter: Arbiter::current(),
                maker: BotMaker::default(),
                facts: crate::house_facts::HouseFacts {
                    lobby: self.house.household.lobby.clone(),
                    library: self.house.household.library.clone(),
                    files: self.house.household.files.clone(),
                    studio: self.studio(),
                },
                time_limit: PATIENCE,
            },
            offer: self.house.household.offer.clone(),
            history: self.house.household.history.clone(),
            bridge: self.house.household.bridge.clone(),
            readers: Crew::start("test", 1, || {}).unwrap(),
            hearers: Hearers::default(),
            sound_backlog: 1,
            cameras: Cameras::start(&self.settings).unwrap(),
            console: None,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn studio(&self) -> Arc<crate::studio::Studio> {
        self.house.household.studio.clone().unwrap()
    }

    async fn census(&self) -> Vec<Observation> {
        self.house.supervisor.send(Census).await.unwrap()
    }

    /// Waits until the house says so.
    pub(crate) async fn until(&self, what: impl Fn(&Observation) -> bool) {
        let found = async {
            while !self.census().await.iter().any(&what) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, found)
            .await
            .expect("the house does not come to this");
    }

    pub(crate) async fn restarts_are(&self, n: u64) {
        self.until(|state| *state == Observation::Supervisor { restarts: n })
            .await;
    }

    pub(crate) async fn people_are(&self, n: usize) {
        self.until(|state| matches!(state, Observation::Lobby { people, .. } if *people == n))
            .await;
        // Floors are told by the lobby, a moment later.
        let seated = async {
            loop {
                let states = self.census().await;
                let seats = states.iter().map(|state| match state {
                    Observation::Floor { seats, .. } => *seats,
                    _ => 0,
                });
                if seats.sum::<usize>() == n {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, seated)
            .await
            .expect("not everyone has a seat");
    }
}

fn settings(folder: PathBuf, pace: Pace) -> Settings {
    Settings {
        bind: [127, 0, 0, 1].into(),
        allow: vec!["127.0.0.0/8".parse().unwrap()],
        data_dir: folder.clone(),
        videos_dir: folder,
        max_connections: 100,
        arbiters: 2,
        pace,
        head_start: Duration::from_millis(100),
        jpeg_quality: 80,
        cache_bytes: 1 << 20,
        max_streams: 10,
        lobby_merge: Duration::from_millis(5),
        bridge: true,
        history: 100,
        presence_bytes: 400_000_000,
        videochat: Some(0),
        chatroom: None,
        tumip: Some(Tumip {
            port: 0,
            udp_ports: None,
            quiet: Duration::from_millis(50),
            max_users: 10,
        }),
        lan_file: Some(LanFile {
            port: 0,
            offer: Offer::latest(),
        }),
        lan_chat: Some(0),
        lan_audio: Some(LanAudio {
            port: 0,
            source: Sound::Tone,
            backlog: Duration::from_secs(1),
        }),
        web: None,
        services: Vec::new(),
        lan_video: Some(LanVideo {
            port: 0,
            max_frame: 1 << 20,
            max_cameras: 10,
        }),
        live: Live {
            linger: Duration::from_millis(500),
            chatroom_frames: 10,
            recording: Recording {
                all: false,
                max_length: PATIENCE,
                quota: 0,
                min_free: 0,
                max_recordings: 1,
            },
            sources: Vec::new(),
        },
        bot: BotMaker::default(),
        bot_time_limit: PATIENCE,
        packetchat: Some(Packetchat {
            port: 0,
            session_timeout: PATIENCE,
            pin_address: true,
            max_sessions: 10,
            sessions_per_address: 10,
            backlog_bytes: 1 << 20,
            packets_per_s: 1000,
        }),
        files: FileLimits {
            max_file: 1 << 20,
            quota: 10 << 20,
            min_free: 0,
            upload_expiry: PATIENCE,
            transfers_per_address: 10,
            max_transfers: 10,
            max_moving: 10,
        },
        legacy_gap: Duration::from_millis(1),
        limits: Limits {
            handshake: PATIENCE,
            backlog_bytes: 1 << 20,
            stall: PATIENCE,
            goodbye: Duration::from_secs(3),
        },
    }
}

/// A videochat client.
pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    pub(crate) async fn join(address: SocketAddr, name: &str) -> Client {
        let mut client = Client {
            stream: TcpStream::connect(address).await.unwrap(),
            unread: Vec::new(),
        };
        client.introduce(name).await;
        client
    }

    async fn introduce(&mut self, name: &str) {
        let mut prompt = [0; 64];
        assert!(self.stream.read(&mut prompt).await.unwrap() > 0);
        self.stream.write_all(name.as_bytes()).await.unwrap();
        assert!(self.stream.read(&mut prompt).await.unwrap() > 0);
        let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 1024).unwrap();
        let pem = key
            .to_public_key()
            .to_public_key_pem(LineEnding::LF)
            .unwrap();
        self.stream.write_all(pem.as_bytes()).await.unwrap();
        self.until(|json| json["identifier"] == "broadcast_message" && json["name"] == name)
            .await;
    }

    /// The next message; `None` at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<ServerMessage> {
        loop {
            if let Step::Got { message, used } = wire::decode_server(&self.unread, 1 << 24).unwrap()
            {
                self.unread.drain(..used);
                return Some(message);
            }
            let read = self.stream.read_buf(&mut self.unread);
            match tokio::time::timeout(PATIENCE, read)
                .await
                .expect("nothing comes")
            {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next JSON message that is the one; frames before it are counted.
    pub(crate) async fn until(&mut self, what: impl Fn(&Value) -> bool) -> (Value, u32) {
        let mut frames = 0;
        loop {
            match self.next().await.expect("the connection ended") {
                ServerMessage::Json(json) if what(&json) => return (json, frames),
                ServerMessage::Json(_) => {}
                ServerMessage::Frame(_) => frames += 1,
            }
        }
    }

    pub(crate) async fn send(&mut self, message: &ClientMessage<'_>) {
        self.stream
            .write_all(&wire::client_frame(message, "me"))
            .await
            .unwrap();
    }

    async fn say(&mut self, text: &str) {
        let encrypt_message = STANDARD.encode(text).into();
        self.send(&ClientMessage::Communication {
            encrypt_message,
            to: None,
        })
        .await;
    }

    async fn hears(&mut self, text: &str, from: &str) {
        let cipher = STANDARD.encode(text);
        self.until(|json| json["encrypt_message"] == cipher.as_str() && json["from"] == from)
            .await;
    }

    async fn choose(&mut self) {
        let choice = "bars_24p.mp4".into();
        self.send(&ClientMessage::VideoChoice { choice }).await;
        self.until(|json| json["identifier"] == "Video Frame").await;
    }
}

/// Anna and ben talk to each other.
async fn all_is_well(anna: &mut Client, ben: &mut Client) {
    anna.say("hello").await;
    ben.hears("hello", "anna").await;
    ben.say("hello yourself").await;
    anna.hears("hello yourself", "ben").await;
}

#[actix::test]
async fn a_lobby_that_panics_is_rebuilt_and_knows_everyone() {
    let fixture = Fixture::open(Pace::Fast);
    let mut anna = Client::join(fixture.address(), "anna").await;
    let mut ben = Client::join(fixture.address(), "ben").await;
    fixture.house.household.lobby.do_send(Explode);
    fixture.restarts_are(1).await;
    fixture.people_are(2).await;
    all_is_well(&mut anna, &mut ben).await;
    let second = Client::join(fixture.address(), "carl").await;
    let (list, _) = anna.until(|json| json["name"] == "carl").await;
    let names: Vec<&String> = list["data"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["anna", "ben", "bot", "carl"]);
    drop(second);
    anna.until(|json| json["identifier"] == "AFK" && json["name"] == "carl")
        .await;
    drop((anna, ben));
    fixture.people_are(0).await;
}

#[actix::test]
async fn a_floor_that_panics_is_rebuilt_and_seats_its_people() {
    let fixture = Fixture::open(Pace::Fast);
    let mut anna = Client::join(fixture.address(), "anna").await;
    let mut ben = Client::join(fixture.address(), "ben").await;
    for floor in &fixture.house.household.floors {
        floor.do_send(Explode);
    }
    fixture.restarts_are(2).await;
    fixture.people_are(2).await;
    all_is_well(&mut anna, &mut ben).await;
    drop((anna, ben));
    fixture.people_are(0).await;
}

#[actix::test]
async fn library_and_listener_are_rebuilt() {
    let fixture = Fixture::open(Pace::Fast);
    let mut anna = Client::join(fixture.address(), "anna").await;
    fixture.house.household.library.do_send(Explode);
    fixture.house.household.listeners[0].1.do_send(Explode);
    fixture.restarts_are(2).await;
    let library = fixture.house.household.library.addr().unwrap();
    assert_eq!(library.send(VideoNames).await.unwrap(), ["bars"]);
    anna.choose().await;
    let (_, frames) = anna
        .until(|json| json["identifier"] == "Video Finish")
        .await;
    assert_eq!(frames, 40);
    let mut ben = Client::join(fixture.address(), "ben").await;
    all_is_well(&mut anna, &mut ben).await;
    // Those who came in through the listener that is gone leave through the new one.
    drop((anna, ben));
    let empty = |state: &Observation| matches!(state, Observation::Listener { connections: 0, .. });
    fixture.until(empty).await;
}

#[actix::test]
async fn a_connection_that_panics_ends_alone() {
    let fixture = Fixture::open(Pace::Fast);
    let mut anna = Client::join(fixture.address(), "anna").await;
    let mut ben = Client::join(fixture.address(), "ben").await;
    // A connection of whose actor the address is known.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut carl = Client {
        stream: TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap(),
        unread: Vec::new(),
    };
    let (stream, peer) = listener.accept().unwrap();
    let rooms = fixture.rooms();
    let (ended, end) = oneshot::channel();
    let connection = watch::start(
        &Arbiter::current(),
        move |_| {
            let gap = Duration::ZERO;
            let link = Link::new(stream, peer, Service::Videochat, gap, &rooms.limits).ok()?;
            Some(VideochatConnection::new(link, rooms))
        },
        move |panic| drop(ended.send(panic)),
    );
    carl.introduce("carl").await;
    connection.do_send(Explode);
    assert_eq!(end.await.unwrap().as_deref(), Some("told to"));
    assert_eq!(carl.next().await, None);
    for client in [&mut anna, &mut ben] {
        client
            .until(|json| json["identifier"] == "AFK" && json["name"] == "carl")
            .await;
    }
    all_is_well(&mut anna, &mut ben).await;
    fixture.people_are(2).await;
    fixture.restarts_are(0).await;
}

#[actix::test]
async fn a_channel_that_panics_costs_its_viewers_no_frame() {
    let fixture = Fixture::open(Pace::Realtime);
    let mut anna = Client::join(fixture.address(), "anna").await;
    anna.choose().await;
    let library = fixture.house.household.library.addr().unwrap();
    let find = crate::library::Find("bars".to_owned());
    let video = library.send(find).await.unwrap().unwrap();
    let Title::Video(video) = video else {
        panic!("a live channel");
    };
    for channel in library.send(OpenChannels(video)).await.unwrap() {
        channel.do_send(Explode);
    }
    let (_, frames) = anna
        .until(|json| json["identifier"] == "Video Finish")
        .await;
    assert_eq!(frames, 40);
    let idle = |state: &Observation| matches!(state, Observation::Library { channels: 0, .. });
    fixture.until(idle).await;
}

#[actix::test]
async fn a_streamer_that_panics_ends_its_stream_and_the_next_one_plays() {
    let fixture = Fixture::open(Pace::Fast);
    let mut anna = Client::join(fixture.address(), "anna").await;
    let library = fixture.house.household.library.addr().unwrap();
    let find = crate::library::Find("bars".to_owned());
    let video = library.send(find).await.unwrap().unwrap();
    let Title::Video(video) = video else {
        panic!("a live channel");
    };
    // A streamer of its own, whose viewer is a test.
    struct Viewer(Option<oneshot::Sender<()>>);
    impl Actor for Viewer {
        type Context = Context<Self>;
    }
    impl Handler<crate::streamer::Show> for Viewer {
        type Result = ();
        fn handle(&mut self, show: crate::streamer::Show, _: &mut Context<Self>) {
            if matches!(show, crate::streamer::Show::Failed)
                && let Some(failed) = self.0.take()
            {
                let _ = failed.send(());
            }
        }
    }
    let (failed, failure) = oneshot::channel();
    let viewer = Viewer(Some(failed)).start().recipient();
    let plan = playhouse_media::Plan::remainder_last(40, 2);
    let streamer = Streamer::new(video, plan, 0, &fixture.rooms(), viewer).start_here();
    streamer.do_send(Explode);
    tokio::time::timeout(PATIENCE, failure)
        .await
        .unwrap()
        .unwrap();
    anna.choose().await;
    let (_, frames) = anna
        .until(|json| json["identifier"] == "Video Finish")
        .await;
    assert_eq!(frames, 40);
}

//! What the system tests share: the real server on ports of its own, and clients that read as the old
//! ones do, with a single `recv` for each message.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1::{DecodeRsaPublicKey, EncodeRsaPublicKey};
use rsa::pkcs8::{DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::rand_core::OsRng;
use rsa::sha2::Sha256;
use rsa::{Oaep, Pkcs1v15Encrypt, RsaPrivateKey, RsaPublicKey};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take that has to come.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long is listened where nothing has to come.
pub const SILENCE: Duration = Duration::from_millis(40);
/// What houses leave around single messages: more than by default, as a busy machine wakes a reader late.
pub const GAP: Duration = Duration::from_millis(100);
/// What the old clients give to `recv` when they don't know a length.
const OLD_RECV: usize = 1024;

/// People by name, with their public keys.
pub type People = BTreeMap<String, String>;

// ---------------------------------------------------------------------------------------------------
// The server

/// The sample videos.
pub fn sample_videos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("videos")
}

/// A running server, killed when dropped.
pub struct House {
    child: Child,
    addresses: BTreeMap<String, SocketAddr>,
    log: Arc<Log>,
    folder: TempDir,
    videos: PathBuf,
    /// Variables of its environment.
    environment: Vec<(String, String)>,
}

/// What a house is opened with, beside its videos.
#[derive(Debug, Default, Clone, Copy)]
pub struct Setup<'a> {
    /// The configuration file, if there is anything in it.
    pub config: &'a str,
    /// Configuration keys, in the environment's spelling without the program's name.
    pub settings: &'a [(&'a str, &'a str)],
    /// Other variables of the environment.
    pub environment: &'a [(&'a str, &'a str)],
}

/// What a server has logged.
#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

/// What is left of visitors in a house.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Census {
    pub people: u64,
    pub seats: u64,
    pub behind: u64,
    pub held: u64,
    pub connections: u64,
    pub channels: u64,
    pub live_channels: u64,
    pub picture_ports: u64,
    pub restarts: u64,
}

/// What came to the UDP ports of tumip's users since the house is open.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct PictureCensus {
    pub frames: u64,
    pub missed: u64,
    pub foreign: u64,
    pub too_large: u64,
    pub no_jpeg: u64,
}

/// A live channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveCensus {
    pub on_air: bool,
    pub viewers: u64,
    /// Since it is on air.
    pub frames: u64,
    pub missed: u64,
}

/// What the packetchat side of a house has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct PacketCensus {
    pub sessions: u64,
    pub uploads: u64,
    pub downloads: u64,
    pub received: u64,
    pub sent: u64,
    pub refused: u64,
    pub files: u64,
    pub bytes: u64,
}

/// The program, without what the environment of the tests sets.
pub fn playhouse() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_playhouse"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PLAYHOUSE") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// On ports that nobody else has in all services but videochat and chatroom.
pub fn on_free_ports(command: &mut Command) {
    command
        .env("PLAYHOUSE__WEB__PORT", "0")
        .env("PLAYHOUSE__PACKETCHAT__PORT", "0")
        .env("PLAYHOUSE__TUMIP__PORT", "0")
        .env("PLAYHOUSE__TUMIP__UDP_FIRST", "0")
        .env("PLAYHOUSE__TUMIP__UDP_LAST", "0")
        .env("PLAYHOUSE__LAN_FILE__PORT", "0")
        .env("PLAYHOUSE__LAN_CHAT__PORT", "0")
        .env("PLAYHOUSE__LAN_AUDIO__PORT", "0")
        .env("PLAYHOUSE__LAN_VIDEO__PORT", "0");
}

impl House {
    /// A house with the sample videos that sends them as fast as they are taken.
    pub fn open() -> House {
        House::open_with(&sample_videos(), &[("STREAMING__PACE", "fast")])
    }

    /// A house with the videos in `videos`, and `settings` for configuration keys; [`GAP`] is one.
    pub fn open_with(videos: &Path, settings: &[(&str, &str)]) -> House {
        let setup = Setup {
            settings,
            ..Setup::default()
        };
        House::set_up(videos, setup)
    }

    /// A house with the videos in `videos`, and all that can be set.
    pub fn set_up(videos: &Path, setup: Setup<'_>) -> House {
        House::start(tempfile::tempdir().unwrap(), videos, setup)
    }

    /// A house without videos, which is open sooner.
    pub fn open_empty(settings: &[(&str, &str)]) -> House {
        let setup = Setup {
            settings,
            ..Setup::default()
        };
        House::set_up_empty(setup)
    }

    /// A house without videos, and all that can be set.
    pub fn set_up_empty(setup: Setup<'_>) -> House {
        let folder = tempfile::tempdir().unwrap();
        let videos = folder.path().join("videos");
        std::fs::create_dir(&videos).unwrap();
        House::start(folder, &videos, setup)
    }

    fn start(folder: TempDir, videos: &Path, setup: Setup<'_>) -> House {
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        // Making a key takes a second; the house is content with those that it finds.
        for (file, private) in [
            ("chatroom_key.pem", &key(2048, 0).private),
            ("videochat_stand_ins.pem", &*LONG_KEY),
            ("chatroom_stand_ins.pem", &*STAND_IN_KEY),
        ] {
            let pem = private.to_pkcs8_pem(LineEnding::LF).unwrap();
            std::fs::write(data.join(file), pem.as_bytes()).unwrap();
        }
        if !setup.config.is_empty() {
            std::fs::write(config_file(folder.path()), setup.config).unwrap();
        }
        let settings = setup.settings.iter();
        let mut environment: Vec<(String, String)> = settings
            .map(|(key, value)| (format!("PLAYHOUSE__{key}"), (*value).to_owned()))
            .collect();
        environment.extend(
            setup
                .environment
                .iter()
                .map(|(k, v)| ((*k).into(), (*v).into())),
        );
        let log = Arc::new(Log::default());
        let mut house = House {
            child: spawn(folder.path(), videos, &environment, &log),
            addresses: BTreeMap::new(),
            log,
            folder,
            videos: videos.to_owned(),
            environment,
        };
        house.wait_ready();
        house
    }

    fn wait_ready(&mut self) {
        let ready = self.folder.path().join("ready");
        let text = wait_for("the ready file", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server ended: {status}\n{}", self.log());
            }
            std::fs::read_to_string(&ready).ok()
        });
        self.addresses = serde_json::from_str(&text).expect("the ready file is whole");
    }

    /// SIGKILL, at once.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM: the server ends within a few seconds and without a complaint.
    pub fn terminate(&mut self) {
        self.signal(libc::SIGTERM);
        let asked = Instant::now();
        let status = wait_for("the end of the server", || self.child.try_wait().unwrap());
        let took = asked.elapsed();
        assert!(status.success(), "{status}\n{}", self.log());
        assert!(took < Duration::from_secs(10), "{took:?}");
        let log = self.log();
        assert!(!log.contains("panic"), "{log}");
    }

    /// Opens the house again that has ended: the same data folder, the same port of packetchat.
    pub fn reopen(&mut self) {
        let port = self.packetchat().port().to_string();
        let key = "PLAYHOUSE__PACKETCHAT__PORT".to_owned();
        self.environment.retain(|(name, _)| *name != key);
        self.environment.push((key, port));
        let folder = self.folder.path();
        std::fs::remove_file(folder.join("ready")).unwrap();
        self.child = spawn(folder, &self.videos, &self.environment, &self.log);
        self.wait_ready();
    }

    /// The folder that holds nothing but the data folder, that of the videos, the ready file and, if it
    /// has one, the configuration file.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the videos.
    pub fn videos(&self) -> &Path {
        &self.videos
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn packetchat(&self) -> SocketAddr {
        self.addresses["packetchat"]
    }

    pub fn videochat(&self) -> SocketAddr {
        self.addresses["videochat"]
    }

    pub fn chatroom(&self) -> SocketAddr {
        self.addresses["chatroom"]
    }

    pub fn tumip(&self) -> SocketAddr {
        self.addresses["tumip"]
    }

    pub fn web(&self) -> SocketAddr {
        self.addresses["web"]
    }

    pub fn lan_file(&self) -> SocketAddr {
        self.addresses["lan_file"]
    }

    pub fn lan_chat(&self) -> SocketAddr {
        self.addresses["lan_chat"]
    }

    pub fn lan_audio(&self) -> SocketAddr {
        self.addresses["lan_audio"]
    }

    pub fn lan_video(&self) -> SocketAddr {
        self.addresses["lan_video"]
    }

    /// Runs the program beside the server, with these arguments, on the same folders and settings.
    pub fn run(&self, args: &[&OsStr]) -> Output {
        let mut command = program(args, self.folder(), &self.videos, &self.environment);
        command.output().unwrap()
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The PEM that the house greets with in chatroom.
    pub fn key_pem(&self) -> String {
        key(2048, 0).pkcs1.clone()
    }

    /// All that was logged.
    pub fn log(&self) -> String {
        self.log.locked().join("\n")
    }

    fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.child.id()).unwrap();
        // SAFETY: a plain system call; the child has not been waited for, so the number is still its own.
        let result = unsafe { libc::kill(pid, signal) };
        assert_eq!(result, 0, "the server runs");
    }

    /// The line of the log, whenever it comes, that `is_it` takes.
    pub fn wait_log(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        self.log.wait(what, |lines| {
            let mut lines = lines.iter().filter_map(|l| serde_json::from_str(l).ok());
            lines.find(|line| is_it(line))
        })
    }

    /// The lines of the log so far that `is_it` takes.
    pub fn logged(&self, is_it: impl Fn(&Value) -> bool) -> Vec<Value> {
        let lines = self.log.locked();
        let lines = lines.iter().filter_map(|l| serde_json::from_str(l).ok());
        lines.filter(|line| is_it(line)).collect()
    }

    /// What all actors say of themselves.
    fn states(&self) -> Vec<Value> {
        let before = self.log.locked().len();
        self.signal(libc::SIGUSR1);
        self.log.wait("a census", |lines| {
            let states: Vec<Value> = lines[before..].iter().filter_map(|l| state(l)).collect();
            let count = |actor| states.iter().filter(|s| s["actor"] == actor).count();
            // Those of the services are asked last.
            let packetchat = usize::from(self.addresses.contains_key("packetchat"));
            let whole = count("listener") == self.addresses.len() - packetchat
                && count("endpoint") == packetchat
                && count("file_store") >= packetchat
                && count("picture_ports") == 1;
            whole.then_some(states)
        })
    }

    /// Asks the actors of the house for their state.
    pub fn census(&self) -> Census {
        let states = self.states();
        let sum = |actor: &str, field: &str| sum(&states, actor, field);
        Census {
            people: sum("lobby", "people"),
            seats: sum("floor", "seats"),
            behind: sum("floor", "behind"),
            held: sum("floor", "held"),
            connections: sum("listener", "connections"),
            channels: sum("library", "channels"),
            live_channels: states_of(&states, "live_channel").count() as u64,
            picture_ports: sum("picture_ports", "open"),
            restarts: sum("supervisor", "restarts"),
        }
    }

    /// Asks the ports of tumip's users alone.
    pub fn picture_census(&self) -> PictureCensus {
        let states = self.states();
        let count = |field| sum(&states, "picture_ports", field);
        PictureCensus {
            frames: count("frames"),
            missed: count("missed"),
            foreign: count("foreign"),
            too_large: count("too_large"),
            no_jpeg: count("no_jpeg"),
        }
    }

    /// Asks the live channels alone, by name.
    pub fn live_census(&self) -> BTreeMap<String, LiveCensus> {
        let states = self.states();
        let channels = states_of(&states, "live_channel").map(|state| {
            let number = |field: &str| state[field].as_u64().expect("a number");
            let channel = LiveCensus {
                on_air: state["on_air"].as_bool().expect("yes or no"),
                viewers: number("viewers"),
                frames: number("frames"),
                missed: number("missed"),
            };
            (state["name"].as_str().expect("a name").to_owned(), channel)
        });
        channels.collect()
    }

    /// How many messages are remembered.
    pub fn history_census(&self) -> u64 {
        sum(&self.states(), "history", "messages")
    }

    /// Asks those of packetchat alone.
    pub fn packet_census(&self) -> PacketCensus {
        let states = self.states();
        PacketCensus {
            sessions: sum(&states, "endpoint", "sessions"),
            uploads: sum(&states, "endpoint", "uploads"),
            downloads: sum(&states, "endpoint", "downloads"),
            received: sum(&states, "endpoint", "received"),
            sent: sum(&states, "endpoint", "sent"),
            refused: sum(&states, "endpoint", "refused"),
            files: sum(&states, "file_store", "files"),
            bytes: sum(&states, "file_store", "bytes"),
        }
    }

    /// Uploads over HTTP that are under way, and those of which somebody just sends something.
    pub fn uploads(&self) -> (u64, u64) {
        let states = self.states();
        let count = |field| sum(&states, "uploads", field);
        (count("under_way"), count("at_work"))
    }

    /// When all clients are gone: nothing of them is left, nothing has panicked, and the house closes.
    pub fn assert_left_empty(self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let census = self.census();
            if census == Census::default() {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "left behind: {census:?}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        self.stop();
    }

    /// [`House::terminate`], for good.
    pub fn stop(mut self) {
        self.terminate();
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}

/// The program with these arguments for a house in `folder`, on ports of its own.
fn program(
    args: &[&OsStr],
    folder: &Path,
    videos: &Path,
    environment: &[(String, String)],
) -> Command {
    let mut command = playhouse();
    on_free_ports(&mut command);
    command
        .args(args)
        .arg("--videos")
        .arg(videos)
        .arg("--data")
        .arg(folder.join("data"))
        .env("PLAYHOUSE__VIDEOCHAT__PORT", "0")
        .env("PLAYHOUSE__CHATROOM__PORT", "0")
        .env(
            "PLAYHOUSE__CHATROOM__LEGACY_GAP_MS",
            GAP.as_millis().to_string(),
        )
        .env("PLAYHOUSE__LOG__FORMAT", "json")
        .envs(environment.iter().map(|(k, v)| (k, v)));
    let config = config_file(folder);
    if config.exists() {
        command.arg("--config").arg(config);
    }
    command
}

/// Starts the server for a house in `folder`; `log` gets what it logs.
fn spawn(folder: &Path, videos: &Path, environment: &[(String, String)], log: &Arc<Log>) -> Child {
    let args = ["serve", "--bind", "127.0.0.1"].map(OsStr::new);
    let mut command = program(&args, folder, videos, environment);
    command
        .arg("--ready-file")
        .arg(folder.join("ready"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (stderr, writer) = (child.stderr.take().unwrap(), log.clone());
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            writer.locked().push(line);
            writer.more.notify_all();
        }
    });
    child
}

/// The configuration file of a house in `folder`, if it has one.
fn config_file(folder: &Path) -> PathBuf {
    folder.join("house.toml")
}

/// The states of the actors of this kind.
fn states_of<'a>(states: &'a [Value], actor: &'a str) -> impl Iterator<Item = &'a Value> + Clone {
    states.iter().filter(move |state| state["actor"] == actor)
}

/// What the actors of this kind count, added up.
fn sum(states: &[Value], actor: &str, field: &str) -> u64 {
    let of_actor = states_of(states, actor);
    let numbers = of_actor.map(|state| state[field].as_u64().expect("a number"));
    assert!(numbers.clone().count() > 0, "no {actor} in {states:?}");
    numbers.sum()
}

/// The state of an actor, if the log's `line` is part of a census.
fn state(line: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == "census")
        .then(|| serde_json::from_str(line["state"].as_str().unwrap()).unwrap())
}

impl Log {
    fn locked(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<T>(&self, what: &str, mut look: impl FnMut(&[String]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.locked();
        loop {
            if let Some(found) = look(&lines) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} did not come\n{}", lines.join("\n"));
            lines = self.more.wait_timeout(lines, left).unwrap().0;
        }
    }
}

/// Looks again and again until there is something.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

// ---------------------------------------------------------------------------------------------------
// Keys

/// A key pair, in the spellings of both services.
pub struct Key {
    pub private: RsaPrivateKey,
    /// `BEGIN RSA PUBLIC KEY`
    pub pkcs1: String,
    /// `BEGIN PUBLIC KEY`
    pub spki: String,
}

const KEYS: usize = 3;

/// What those stand in with who are no people of videochat, …
static LONG_KEY: LazyLock<RsaPrivateKey> =
    LazyLock::new(|| RsaPrivateKey::new(&mut OsRng, 2112).unwrap());
/// … and of chatroom.
static STAND_IN_KEY: LazyLock<RsaPrivateKey> =
    LazyLock::new(|| RsaPrivateKey::new(&mut OsRng, 1024).unwrap());

/// Key pair number `n`, up to 2, of `bits`, 1024 or 2048; made once.
pub fn key(bits: usize, n: usize) -> &'static Key {
    static SMALL: [LazyLock<Key>; KEYS] = [const { LazyLock::new(|| make(1024)) }; KEYS];
    static LARGE: [LazyLock<Key>; KEYS] = [const { LazyLock::new(|| make(2048)) }; KEYS];
    fn make(bits: usize) -> Key {
        let private = RsaPrivateKey::new(&mut OsRng, bits).unwrap();
        let public = private.to_public_key();
        Key {
            private,
            pkcs1: public.to_pkcs1_pem(LineEnding::LF).unwrap(),
            spki: public.to_public_key_pem(LineEnding::LF).unwrap(),
        }
    }
    match bits {
        1024 => &SMALL[n],
        2048 => &LARGE[n],
        _ => panic!("no keys of {bits} bits"),
    }
}

// ---------------------------------------------------------------------------------------------------
// Reading as the old clients do

/// Connects with time limits, so that what does not come fails a test instead of stopping it.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// One `recv(size)`; nothing means that the server has closed.
pub fn recv(mut stream: &TcpStream, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    let read = match stream.read(&mut bytes) {
        Ok(read) => read,
        // To an old client that is gone is gone.
        Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => 0,
        Err(e) => panic!("nothing to read: {e}"),
    };
    bytes.truncate(read);
    bytes
}

/// One `recv` as for a message of unknown length, which has to be all that there is.
pub fn recv_alone(stream: &TcpStream) -> String {
    String::from_utf8(recv(stream, OLD_RECV)).unwrap()
}

/// The one thing that old clients read in a loop: a picture.
fn recv_all(mut stream: &TcpStream, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Nothing comes for a while.
pub fn assert_silent(stream: &TcpStream) {
    assert!(is_silent(stream), "silence was expected");
}

/// Whether nothing comes for a while.
fn is_silent(stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    let mut byte = [0];
    let result = stream.peek(&mut byte);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    match result {
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => true,
        Ok(1) => false,
        other => panic!("silence was expected, not {other:?} {byte:?}"),
    }
}

/// The server closes, and says nothing more.
pub fn assert_closed(stream: &TcpStream) {
    assert_eq!(recv(stream, OLD_RECV), b"", "the server closes");
}

/// Frame `i` of cells did not come more than the head start before its time.
pub fn assert_due(i: u32, came: Duration) {
    let due = Duration::from_secs_f64(f64::from(i) / 24.0);
    let (head_start, clock) = (Duration::from_millis(500), Duration::from_millis(5));
    assert!(
        came + head_start + clock >= due,
        "frame {i} came after {came:?}"
    );
}

/// Width and height of a JPEG.
pub fn dimensions(jpeg: &[u8]) -> (u32, u32) {
    let reader =
        image::ImageReader::with_format(std::io::Cursor::new(jpeg), image::ImageFormat::Jpeg);
    reader.into_dimensions().unwrap()
}

/// The runs of equal dimensions: how many frames, width, height.
pub fn runs(frames: &[Vec<u8>]) -> Vec<(usize, u32, u32)> {
    let mut runs: Vec<(usize, u32, u32)> = Vec::new();
    for (width, height) in frames.iter().map(|jpeg| dimensions(jpeg)) {
        match runs.last_mut() {
            Some(run) if (run.1, run.2) == (width, height) => run.0 += 1,
            _ => runs.push((1, width, height)),
        }
    }
    runs
}

// ---------------------------------------------------------------------------------------------------
// videochat

/// What a videochat client is told.
#[derive(Clone, PartialEq)]
pub enum Told {
    Json(Value),
    Frame(Vec<u8>),
    Closed,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Told::Json(json) => write!(f, "{json}"),
            Told::Frame(jpeg) => write!(f, "frame of {} bytes", jpeg.len()),
            Told::Closed => f.write_str("closed"),
        }
    }
}

impl Told {
    /// Its identifier; `frame`; `closed`.
    pub fn identifier(&self) -> &str {
        match self {
            Told::Json(json) => json["identifier"].as_str().expect("an identifier"),
            Told::Frame(_) => "frame",
            Told::Closed => "closed",
        }
    }
}

/// A videochat client that reads as the old one does.
pub struct OldVideochat {
    pub stream: TcpStream,
    /// As the house has registered it.
    pub name: String,
    pub key: &'static Key,
    /// Of the latest list.
    pub people: People,
}

impl OldVideochat {
    /// Connects, gives name and key; the first list is still to be read.
    pub fn knock(house: &House, name: &str, key: &'static Key) -> OldVideochat {
        OldVideochat::knock_at(house.videochat(), name, key)
    }

    /// The same at an address.
    pub fn knock_at(address: SocketAddr, name: &str, key: &'static Key) -> OldVideochat {
        let mut stream = connect(address);
        assert_eq!(recv_alone(&stream), "Enter your name: ");
        stream.write_all(name.as_bytes()).unwrap();
        assert_eq!(recv_alone(&stream), "Enter the public key: ");
        stream.write_all(key.spki.as_bytes()).unwrap();
        OldVideochat {
            stream,
            name: name.to_owned(),
            key,
            people: People::new(),
        }
    }

    /// Comes in when nobody else does, and learns the name it is given.
    pub fn join(house: &House, name: &str, key: &'static Key) -> OldVideochat {
        let mut client = OldVideochat::knock(house, name, key);
        let list = client.hear("broadcast_message");
        client.name = list["name"].as_str().unwrap().to_owned();
        assert_eq!(client.people[&client.name].trim_end(), key.spki.trim_end());
        client
    }

    /// The next message but for those about people of other services.
    pub fn next(&mut self) -> Told {
        loop {
            let told = self.any();
            if !is_of_others(&told) {
                return told;
            }
        }
    }

    /// The next message, whatever it is.
    pub fn any(&mut self) -> Told {
        let head = recv(&self.stream, 5);
        if head.is_empty() {
            return Told::Closed;
        }
        let [kind, a, b, c, d] = head[..] else {
            panic!("{head:?} is no head: one recv brings type and length");
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if kind == 2 {
            let size = recv_all(&self.stream, 16);
            let jpeg = recv_all(&self.stream, length - 16);
            let expected = format!("{:<16}", jpeg.len());
            assert_eq!(String::from_utf8_lossy(&size), expected);
            return Told::Frame(jpeg);
        }
        assert_eq!(kind, 1, "JSON or a frame");
        let body = recv(&self.stream, length);
        assert_eq!(body.len(), length, "one recv brings a whole body");
        let json: Value = serde_json::from_slice(&body).unwrap();
        if json["identifier"] == "broadcast_message" || json["identifier"] == "AFK" {
            self.people = serde_json::from_value(json["data"].clone()).unwrap();
        }
        Told::Json(json)
    }

    /// The next message, which has to be this one.
    pub fn hear(&mut self, identifier: &str) -> Value {
        match self.next() {
            Told::Json(json) if json["identifier"] == identifier => json,
            other => panic!("{} hears {other:?}, not {identifier}", self.name),
        }
    }

    /// Somebody came or left, of this service or, with `@` in the name, of another one.
    pub fn hear_presence(&mut self, identifier: &str, name: &str) {
        let told = match name.contains('@') {
            true => self.any(),
            false => self.next(),
        };
        match told {
            Told::Json(json) if json["identifier"] == identifier => assert_eq!(json["name"], name),
            other => panic!("{} hears {other:?}, not {identifier} of {name}", self.name),
        }
    }

    /// A chat message: who it is from, and its text if it was for this client.
    pub fn hear_chat(&mut self) -> (String, Option<String>) {
        let message = self.hear("Communication");
        let from = message["from"].as_str().unwrap().to_owned();
        (from, self.decrypt(&message))
    }

    pub fn decrypt(&self, message: &Value) -> Option<String> {
        let block = STANDARD
            .decode(message["encrypt_message"].as_str().unwrap())
            .unwrap();
        let text = self
            .key
            .private
            .decrypt(Oaep::new::<Sha256>(), &block)
            .ok()?;
        Some(String::from_utf8(text).unwrap())
    }

    pub fn send(&mut self, json: &Value) {
        self.stream.write_all(&framed(json)).unwrap();
    }

    /// A chat message for `to`.
    pub fn communication(&self, to: &str, text: &str) -> Value {
        let key = RsaPublicKey::from_public_key_pem(&self.people[to]).unwrap();
        let block = key
            .encrypt(&mut OsRng, Oaep::new::<Sha256>(), text.as_bytes())
            .unwrap();
        json!({"identifier": "Communication", "encrypt_message": STANDARD.encode(block), "from": self.name})
    }

    pub fn say(&mut self, to: &str, text: &str) {
        let message = self.communication(to, text);
        self.send(&message);
    }

    /// The file names of the videos.
    pub fn videos(&mut self) -> Vec<String> {
        self.send(&json!({"identifier": "Video List"}));
        serde_json::from_value(self.hear("Video List")["data"].clone()).unwrap()
    }

    pub fn choose(&mut self, choice: &str) {
        let name = self.name.clone();
        self.send(&json!({"identifier": "Video Choice", "choice": choice, "from": name}));
    }

    /// From `Video Frame` to `Video Finish`: the frames, and what else was said meanwhile.
    pub fn watch(&mut self) -> (Vec<Vec<u8>>, Vec<Value>) {
        let (mut frames, mut besides) = (Vec::new(), Vec::new());
        self.hear("Video Frame");
        loop {
            match self.next() {
                Told::Frame(jpeg) => frames.push(jpeg),
                Told::Json(json) if json["identifier"] == "Video Finish" => break,
                Told::Json(json) => besides.push(json),
                Told::Closed => panic!("closed after {} frames", frames.len()),
            }
        }
        (frames, besides)
    }

    /// All frames of a video, and nothing else.
    pub fn frames_of(&mut self, choice: &str) -> Vec<Vec<u8>> {
        self.choose(choice);
        let (frames, besides) = self.watch();
        assert_eq!(besides, [] as [Value; 0], "nothing but frames");
        frames
    }

    /// Says goodbye and is let go.
    pub fn quit(mut self) {
        self.send(&json!({"identifier": "QUIT"}));
        self.hear("Disconnection");
        assert_closed(&self.stream);
    }

    /// Nothing comes but what is told of people of other services.
    pub fn assert_silent(&mut self) {
        while !is_silent(&self.stream) {
            let told = self.any();
            assert!(is_of_others(&told), "{} hears {told:?}", self.name);
        }
    }
}

/// Whether this tells of nobody but people of other services, whose names say so.
fn is_of_others(told: &Told) -> bool {
    let Told::Json(json) = told else {
        return false;
    };
    let is_presence = matches!(told.identifier(), "broadcast_message" | "AFK");
    is_presence
        && json["name"]
            .as_str()
            .unwrap()
            .split(", ")
            .all(|name| name.contains('@'))
}

/// A message as videochat frames it.
pub fn framed(json: &Value) -> Vec<u8> {
    let body = json.to_string().into_bytes();
    let length = u32::try_from(body.len()).unwrap();
    [&[1][..], &length.to_be_bytes(), &body].concat()
}

// ---------------------------------------------------------------------------------------------------
// chatroom

/// What a chatroom client is told.
#[derive(Clone, PartialEq)]
pub enum Heard {
    People(People),
    /// The whole message, `CHAT` included.
    Chat(Vec<u8>),
    Videos(Vec<String>),
    Stream(u32),
    Frame(Vec<u8>),
    Closed,
    /// What an old client can't make sense of.
    Nonsense(String),
}

impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Heard::People(people) => write!(f, "URIF {:?}", people.keys()),
            Heard::Chat(message) => write!(f, "CHAT of {} bytes", message.len()),
            Heard::Videos(names) => write!(f, "STLI {names:?}"),
            Heard::Stream(frames) => write!(f, "STRM {frames}"),
            Heard::Frame(jpeg) => write!(f, "frame of {} bytes", jpeg.len()),
            Heard::Closed => f.write_str("closed"),
            Heard::Nonsense(what) => f.write_str(what),
        }
    }
}

/// A chatroom client that reads as the old one does: a thread of its own takes at once what comes, for
/// what lies unread joins up, however the server wrote it.
pub struct OldChatroom {
    stream: TcpStream,
    heard: Receiver<(Instant, Heard)>,
    stopped: Arc<AtomicBool>,
    pub name: String,
    pub key: &'static Key,
    /// Of the latest list that was heard.
    pub people: People,
}

impl OldChatroom {
    /// Connects, gives name and key; the first list is still to be read.
    pub fn knock(house: &House, name: &str, key: &'static Key) -> OldChatroom {
        let mut stream = connect(house.chatroom());
        assert_eq!(recv_alone(&stream), house.key_pem());
        stream.write_all(name.as_bytes()).unwrap();
        assert_eq!(recv_alone(&stream), "OK");
        stream.write_all(key.pkcs1.as_bytes()).unwrap();
        OldChatroom::listen(stream, name, key)
    }

    /// A client that has sent its key.
    pub fn listen(stream: TcpStream, name: &str, key: &'static Key) -> OldChatroom {
        let (sender, heard) = mpsc::channel();
        let stopped = Arc::new(AtomicBool::new(false));
        let (reader, stop) = (stream.try_clone().unwrap(), stopped.clone());
        // Tests wait at the channel with a time limit.
        reader.set_read_timeout(None).unwrap();
        std::thread::spawn(move || read_always(&reader, &sender, &stop));
        OldChatroom {
            stream,
            heard,
            stopped,
            name: name.to_owned(),
            key,
            people: People::new(),
        }
    }

    /// Comes in when nobody else does.
    pub fn join(house: &House, name: &str, key: &'static Key) -> OldChatroom {
        let mut client = OldChatroom::knock(house, name, key);
        client.hear_people();
        client.name = client
            .people
            .iter()
            .filter(|(_, pem)| pem.trim_end() == key.pkcs1.trim_end())
            .map(|(name, _)| name.clone())
            .next_back()
            .expect("the newcomer is on the list");
        client
    }

    /// The next message but for lists in which only people of other services are others than before,
    /// and when it came.
    pub fn next_at(&mut self) -> (Instant, Heard) {
        loop {
            let before = own_people(&self.people);
            let (at, heard) = match self.heard.recv_timeout(PATIENCE) {
                Ok(heard) => heard,
                Err(e) => panic!("{} hears nothing: {e}", self.name),
            };
            self.note(&heard);
            match &heard {
                Heard::People(people) if own_people(people) == before => {}
                _ => return (at, heard),
            }
        }
    }

    pub fn next(&mut self) -> Heard {
        self.next_at().1
    }

    /// The next message, whatever it is.
    pub fn any(&mut self) -> Heard {
        let (_, heard) = match self.heard.recv_timeout(PATIENCE) {
            Ok(heard) => heard,
            Err(e) => panic!("{} hears nothing: {e}", self.name),
        };
        self.note(&heard);
        heard
    }

    fn note(&mut self, heard: &Heard) {
        match heard {
            Heard::People(people) => self.people = people.clone(),
            Heard::Nonsense(what) => panic!("{}: {what}", self.name),
            _ => {}
        }
    }

    pub fn hear_people(&mut self) -> People {
        match self.next() {
            Heard::People(people) => people,
            other => panic!("{} hears {other:?}, not URIF", self.name),
        }
    }

    /// Hears a list of exactly these people, and of the bot if there is room for it.
    pub fn hear_names(&mut self, names: &[&str]) {
        match names.iter().any(|name| name.contains('@')) {
            true => assert!(matches!(self.any(), Heard::People(_))),
            false => drop(self.hear_people()),
        }
        self.assert_knows(names);
    }

    /// The latest list has exactly these people, and the bot if there is room for it.
    pub fn assert_knows(&self, names: &[&str]) {
        let mut people = self.people.clone();
        let bot = people.remove("bot");
        assert_eq!(people.keys().collect::<Vec<_>>(), names);
        let has_room = {
            people.insert("bot".to_owned(), key(1024, 0).pkcs1.clone());
            4 + serde_json::to_vec(&people).unwrap().len() <= OLD_RECV
        };
        assert_eq!(bot.is_some(), has_room, "the bot beside {names:?}");
    }

    /// The next message, a chat, `CHAT` included.
    pub fn hear_chat(&mut self) -> Vec<u8> {
        match self.next() {
            Heard::Chat(message) => message,
            other => panic!("{} hears {other:?}, not CHAT", self.name),
        }
    }

    pub fn hear_videos(&mut self) -> Vec<String> {
        match self.next() {
            Heard::Videos(names) => names,
            other => panic!("{} hears {other:?}, not STLI", self.name),
        }
    }

    /// `STRM` and as many frames as it says, and nothing between them.
    pub fn hear_stream(&mut self) -> Vec<Vec<u8>> {
        let frames = match self.next() {
            Heard::Stream(frames) => frames,
            other => panic!("{} hears {other:?}, not STRM", self.name),
        };
        let frame = |_| match self.next() {
            Heard::Frame(jpeg) => jpeg,
            other => panic!("{} hears {other:?}, not a frame", self.name),
        };
        (0..frames).map(frame).collect()
    }

    pub fn hear_closed(&mut self) {
        assert_eq!(self.next(), Heard::Closed);
    }

    /// `[STREAM]` and its list.
    pub fn videos(&mut self) -> Vec<String> {
        self.send(b"[STREAM]");
        self.hear_videos()
    }

    /// All frames of a video.
    pub fn frames_of(&mut self, video: &str) -> Vec<Vec<u8>> {
        self.videos();
        self.send(video.as_bytes());
        self.hear_stream()
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// A chat message for `to`, `CHAT` included.
    pub fn message(&self, to: &str, text: &str) -> Vec<u8> {
        let key = RsaPublicKey::from_pkcs1_pem(&self.people[to]).unwrap();
        let block = key
            .encrypt(&mut OsRng, Pkcs1v15Encrypt, text.as_bytes())
            .unwrap();
        [b"CHAT", &block[..]].concat()
    }

    pub fn decrypt(&self, message: &[u8]) -> Option<String> {
        let text = self
            .key
            .private
            .decrypt(Pkcs1v15Encrypt, &message[4..])
            .ok()?;
        String::from_utf8(text).ok()
    }

    /// Reads no frames until [`OldChatroom::read_on`].
    pub fn read_nothing(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub fn read_on(&self) {
        self.stopped.store(false, Ordering::Relaxed);
    }

    /// Nothing comes but lists in which only people of other services are others than before.
    pub fn assert_silent(&mut self) {
        loop {
            let before = own_people(&self.people);
            match self.heard.recv_timeout(SILENCE) {
                Err(RecvTimeoutError::Timeout) => return,
                Ok((_, Heard::People(people))) if own_people(&people) == before => {
                    self.people = people;
                }
                other => panic!("{} was to hear nothing, not {other:?}", self.name),
            }
        }
    }
}

/// The people of this service, whose names have no other service behind them.
fn own_people(people: &People) -> People {
    let is_own = |name: &String| name != "bot" && !name.contains('@');
    let own = people.iter().filter(|(name, _)| is_own(name));
    own.map(|(name, pem)| (name.clone(), pem.clone())).collect()
}

impl Drop for OldChatroom {
    fn drop(&mut self) {
        self.read_on();
        // Ends the thread; an error means that it has ended.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

fn read_always(stream: &TcpStream, heard: &Sender<(Instant, Heard)>, stopped: &AtomicBool) {
    loop {
        let message = recv(stream, OLD_RECV);
        let at = Instant::now();
        let (at, next) = match understand(stream, &message, heard, stopped, at) {
            Ok(next) => next,
            Err(what) => (at, Heard::Nonsense(what)),
        };
        let over = matches!(next, Heard::Closed | Heard::Nonsense(_));
        if heard.send((at, next)).is_err() || over {
            return;
        }
    }
}

/// What one `recv` brought, and what the old client reads after it.
fn understand(
    stream: &TcpStream,
    message: &[u8],
    heard: &Sender<(Instant, Heard)>,
    stopped: &AtomicBool,
    at: Instant,
) -> Result<(Instant, Heard), String> {
    let nonsense = |what: &str, bytes: &[u8]| {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
        format!("{what}: one recv of {} bytes: {start:?}", bytes.len())
    };
    let Some((word, rest)) = message.split_first_chunk::<4>() else {
        return match message {
            [] => Ok((at, Heard::Closed)),
            _ => Err(nonsense("no header", message)),
        };
    };
    let number = || {
        let number = rest.try_into().map(u32::from_be_bytes);
        number.map_err(|_| nonsense("8 bytes are expected", message))
    };
    match word {
        b"URIF" => {
            let people: Value =
                serde_json::from_slice(rest).map_err(|_| nonsense("URIF", message))?;
            if people.to_string().len() != rest.len() {
                return Err(nonsense("JSON with spaces", message));
            }
            let people = serde_json::from_value(people).map_err(|e| e.to_string())?;
            Ok((at, Heard::People(people)))
        }
        // What a block is long is seen by who can decrypt it; no two are joined.
        b"CHAT" if rest.len() == 128 || rest.len() == 256 => {
            Ok((at, Heard::Chat(message.to_vec())))
        }
        b"STLI" => {
            let length = number()?;
            let list = recv(stream, OLD_RECV);
            if list.len() != length as usize {
                return Err(nonsense(
                    "the list is alone and as long as it was said",
                    &list,
                ));
            }
            let names = serde_json::from_slice(&list).map_err(|_| nonsense("STLI", &list))?;
            Ok((at, Heard::Videos(names)))
        }
        b"STRM" => {
            let frames = number()?;
            // The caller sends what comes last: `STRM` itself goes first.
            let mut next = Heard::Stream(frames);
            let mut at = at;
            for _ in 0..frames {
                heard.send((at, next)).map_err(|e| e.to_string())?;
                while stopped.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                let size = recv(stream, 8);
                at = Instant::now();
                let size: [u8; 8] = match (&size[..]).try_into() {
                    Ok(size) => size,
                    Err(_) if size.is_empty() => return Ok((at, Heard::Closed)),
                    Err(_) => return Err(nonsense("a size", &size)),
                };
                let size = usize::try_from(u64::from_be_bytes(size)).unwrap();
                if size > 1 << 26 {
                    return Err(format!("a frame of {size} bytes"));
                }
                let mut jpeg = vec![0; size];
                let mut stream = stream;
                if stream.read_exact(&mut jpeg).is_err() {
                    return Ok((at, Heard::Closed));
                }
                next = Heard::Frame(jpeg);
            }
            Ok((at, next))
        }
        _ => Err(nonsense("no single message", message)),
    }
}

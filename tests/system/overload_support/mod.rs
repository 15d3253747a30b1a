//! The real server as a child process, seen as its operator sees it, and clients that can be told to
//! misbehave: they send any bytes, stop reading, and go without a word.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1::EncodeRsaPublicKey;
use rsa::pkcs8::{EncodePublicKey, LineEnding};
use rsa::{BigUint, RsaPublicKey};
use serde_json::{Value, json};
use socket2::{Domain, SockRef, Socket, Type};
use tempfile::TempDir;

use crate::support::{self, PATIENCE, on_free_ports, sample_videos, wait_for};

/// The pause between two looks at what can only be looked at.
const LOOK: Duration = Duration::from_millis(5);
/// Event loops of the server.
const THREADS: usize = 2;
/// Supervisor, lobby, library, seven listeners, tumip's ports, packetchat's endpoint and its files, what
/// lan_file offers, what lan_audio plays, the history, the bot, two interpreters, and a floor for each event
/// loop.
const ACTORS: usize = 19 + THREADS;

/// Public key PEMs name a modulus of this many bits.
pub const VIDEOCHAT_BITS: usize = 2048;
pub const CHATROOM_BITS: usize = 1024;

/// The program on ports that nobody else has in all services but videochat and chatroom.
pub fn playhouse() -> Command {
    let mut command = support::playhouse();
    on_free_ports(&mut command);
    command
}

/// Runs the program with these arguments and this environment to its end.
pub fn run(args: &[&str], env: &[(&str, &str)]) -> Output {
    playhouse()
        .args(args)
        .envs(env.iter().copied())
        .output()
        .unwrap()
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<Value>>,
    grown: Condvar,
}

/// An open house: the server's process, its log and its ports.
pub struct House {
    child: Child,
    log: Arc<Log>,
    pub services: BTreeMap<String, SocketAddr>,
    _folder: TempDir,
}

impl House {
    /// Opens a house with the sample videos.
    pub fn open(env: &[(&str, &str)]) -> House {
        House::open_on(&sample_videos(), env)
    }

    /// Opens a house with the videos of `folder`.
    pub fn open_on(videos: &Path, env: &[(&str, &str)]) -> House {
        let house = House::start(videos, env);
        // Once a connection is accepted the server also listens to signals.
        let mut first = TcpStream::connect(house.videochat()).unwrap();
        first.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = first.read(&mut [0; 64]);
        drop(first);
        house.wait_census("an empty house", |census| census.connections == 0);
        house
    }

    /// Starts a server and waits for its ready file, no longer.
    pub fn start(videos: &Path, env: &[(&str, &str)]) -> House {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready");
        let mut child = playhouse()
            .args(["serve", "--bind", "127.0.0.1", "--videos"])
            .arg(videos)
            .arg("--data")
            .arg(folder.path().join("data"))
            .arg("--ready-file")
            .arg(&ready)
            .env("PLAYHOUSE__VIDEOCHAT__PORT", "0")
            .env("PLAYHOUSE__CHATROOM__PORT", "0")
            .env("PLAYHOUSE__SERVER__THREADS", THREADS.to_string())
            .env("PLAYHOUSE__LOG__FORMAT", "json")
            .envs(env.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Log::default());
        let (stderr, shared) = (child.stderr.take().unwrap(), log.clone());
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                shared.lines.lock().unwrap().push(line);
                shared.grown.notify_all();
            }
        });
        let begin = Instant::now();
        // Without a pause: whoever waits for the file may use the server the moment it is there.
        let ready = loop {
            if let Ok(ready) = fs::read(&ready) {
                break ready;
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended: {status}: {:?}", log.lines.lock());
            }
            assert!(begin.elapsed() < PATIENCE, "the server does not get ready");
            thread::yield_now();
        };
        House {
            child,
            log,
            services: serde_json::from_slice(&ready).unwrap(),
            _folder: folder,
        }
    }

    pub fn videochat(&self) -> SocketAddr {
        self.services["videochat"]
    }

    pub fn chatroom(&self) -> SocketAddr {
        self.services["chatroom"]
    }

    /// Lines logged so far.
    pub fn log(&self) -> Vec<Value> {
        self.log.lines.lock().unwrap().clone()
    }

    /// The first line of the log, whenever it comes, that `is_it` takes.
    pub fn wait_log(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        self.wait_logs(what, 0, 1, is_it).remove(0)
    }

    fn wait_logs(
        &self,
        what: &str,
        from: usize,
        count: usize,
        is_it: impl Fn(&Value) -> bool,
    ) -> Vec<Value> {
        let start = Instant::now();
        let mut lines = self.log.lines.lock().unwrap();
        loop {
            let found: Vec<Value> = lines[from..]
                .iter()
                .filter(|line| is_it(line))
                .cloned()
                .collect();
            if found.len() >= count {
                return found;
            }
            let left = PATIENCE.saturating_sub(start.elapsed());
            assert!(!left.is_zero(), "{what} is not in the log: {lines:#?}");
            lines = self.log.grown.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Waits until so many mistakes of this peer are logged; the last one's rule.
    pub fn wait_bad_input(&self, peer: SocketAddr, count: usize) -> String {
        let lines = self.wait_logs("bad input", 0, count, |line| {
            line["message"] == "bad input" && line["span"]["peer"] == peer.to_string()
        });
        lines[count - 1]["rule"].as_str().unwrap().to_owned()
    }

    /// Waits until the log says that this peer is gone, and returns why.
    pub fn wait_left(&self, peer: SocketAddr) -> String {
        let line = self.wait_log(&format!("the end of {peer}"), |line| {
            line["span"]["peer"] == peer.to_string() && text(&line["message"]).starts_with("left: ")
        });
        text(&line["message"]).to_owned()
    }

    pub fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.child.id()).unwrap();
        // SAFETY: takes and returns plain integers; the child is ours and not yet waited for.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// The state of the house as it logs it on SIGUSR1.
    pub fn census(&self) -> Census {
        let from = self.log.lines.lock().unwrap().len();
        self.signal(libc::SIGUSR1);
        let lines = self.wait_logs("a census", from, ACTORS, |line| line["message"] == "census");
        let mut census = Census::default();
        for line in lines {
            let state: Value = serde_json::from_str(text(&line["state"])).unwrap();
            let number = |field: &str| state[field].as_u64().unwrap();
            match text(&state["actor"]) {
                "supervisor" => census.restarts += number("restarts"),
                "lobby" => census.people += number("people"),
                "floor" => census.seats += number("seats"),
                "library" => {
                    census.videos += number("videos");
                    census.channels += number("channels");
                }
                "listener" => {
                    census.connections += number("connections");
                    census.accepted += number("accepted");
                    census.refused += number("refused");
                }
                // No TCP connection changes them.
                "endpoint" | "file_store" | "picture_ports" | "file_offer" | "audio_source"
                | "history" | "house_bot" | "interpreter" | "uploads" => {}
                other => panic!("{other} is not known"),
            }
        }
        census
    }

    pub fn wait_census(&self, what: &str, is_it: impl Fn(&Census) -> bool) -> Census {
        let mut last = None;
        let start = Instant::now();
        loop {
            let census = self.census();
            if is_it(&census) {
                return census;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "waited in vain for {what}: {last:?}"
            );
            last = Some(census);
            thread::sleep(LOOK);
        }
    }

    /// Resident memory, in KiB.
    pub fn rss_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id()))
            .unwrap()
            .count()
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the end of the server", || self.child.try_wait().unwrap())
    }

    /// Closes the house, which nobody may have disturbed.
    pub fn stop(mut self) {
        let census = self.census();
        assert_eq!(census.restarts, 0, "an actor panicked");
        self.signal(libc::SIGTERM);
        let start = Instant::now();
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{:?}", self.log());
        assert!(start.elapsed() < Duration::from_secs(10));
        let panics = self.log();
        assert!(
            !panics.iter().any(|l| text(&l["message"]).contains("panic")),
            "{panics:#?}"
        );
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the actors say of themselves, added up.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Census {
    pub restarts: u64,
    pub people: u64,
    pub seats: u64,
    pub videos: u64,
    pub channels: u64,
    pub connections: u64,
    pub accepted: u64,
    pub refused: u64,
}

/// The text of a JSON string; empty for anything else.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A public key that nobody has the other half of: the server only passes keys on.
fn public_key(bits: usize) -> RsaPublicKey {
    let mut modulus = vec![0xb5; bits.div_ceil(8)];
    modulus[0] = 0x80 >> ((8 - bits % 8) % 8) | 1;
    RsaPublicKey::new_unchecked(BigUint::from_bytes_be(&modulus), BigUint::from(65537_u32))
}

/// A key as videochat has it.
pub fn spki_pem(bits: usize) -> String {
    public_key(bits).to_public_key_pem(LineEnding::LF).unwrap()
}

/// A key as chatroom has it.
pub fn pkcs1_pem(bits: usize) -> String {
    public_key(bits).to_pkcs1_pem(LineEnding::LF).unwrap()
}

/// A connection that sends what it is told to.
pub struct Raw {
    pub stream: TcpStream,
    pub unread: Vec<u8>,
}

impl Raw {
    pub fn connect(address: SocketAddr) -> Raw {
        Raw::from(TcpStream::connect(address).unwrap())
    }

    /// With room for hardly anything that it doesn't read.
    pub fn connect_narrow(address: SocketAddr) -> Raw {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&address.into()).unwrap();
        Raw::from(TcpStream::from(socket))
    }

    fn from(stream: TcpStream) -> Raw {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Raw {
            stream,
            unread: Vec::new(),
        }
    }

    /// This side's address, as the server's log names it.
    pub fn address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Reads on; false at the end.
    pub fn read_more(&mut self) -> bool {
        let mut buffer = [0; 64 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(read) => {
                self.unread.extend_from_slice(&buffer[..read]);
                read > 0
            }
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => false,
            Err(e) => panic!("nothing came: {e}; unread: {}", lossy(&self.unread)),
        }
    }

    /// Reads exactly this.
    pub fn expect(&mut self, bytes: &[u8]) {
        while self.unread.len() < bytes.len() && self.read_more() {}
        assert!(
            self.unread.starts_with(bytes),
            "{} is not {}",
            lossy(&self.unread),
            lossy(bytes)
        );
        self.unread.drain(..bytes.len());
    }

    /// Reads until `whole` finds something whole at the beginning: it and its length.
    pub fn take<T>(&mut self, whole: impl Fn(&[u8]) -> Option<(T, usize)>) -> Option<T> {
        loop {
            if let Some((message, length)) = whole(&self.unread) {
                self.unread.drain(..length);
                return Some(message);
            }
            if !self.read_more() {
                return None;
            }
        }
    }

    /// All that comes until the server closes.
    pub fn rest(mut self) -> Vec<u8> {
        while self.read_more() {}
        self.unread
    }

    /// Closes as a process that is killed with unread data does, or a cable that is pulled.
    pub fn reset(self) {
        SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    /// Sends the end of this side, and reads on.
    pub fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

pub fn lossy(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(300)];
    format!(
        "{:?} ({} bytes)",
        String::from_utf8_lossy(shown),
        bytes.len()
    )
}

/// A message of videochat.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    Json(Value),
    Frame(Vec<u8>),
}

/// A videochat message of any type around any body.
pub fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

pub const NAME_PROMPT: &[u8] = b"Enter your name: ";
pub const KEY_PROMPT: &[u8] = b"Enter the public key: ";

/// Someone in videochat.
pub struct Videochat {
    pub raw: Raw,
    pub name: String,
}

impl Videochat {
    pub fn join(house: &House, name: &str) -> Videochat {
        Videochat::join_with(Raw::connect(house.videochat()), name)
    }

    pub fn join_with(mut raw: Raw, name: &str) -> Videochat {
        raw.expect(NAME_PROMPT);
        raw.send(name.as_bytes());
        raw.expect(KEY_PROMPT);
        raw.send(spki_pem(VIDEOCHAT_BITS).as_bytes());
        let name = name.to_owned();
        let mut client = Videochat { raw, name };
        let own = client.name.clone();
        client.json_until(|json| {
            json["identifier"] == "broadcast_message" && names(&json["name"]).contains(&own)
        });
        client
    }

    pub fn address(&self) -> SocketAddr {
        self.raw.address()
    }

    pub fn send(&mut self, json: &Value) {
        self.raw.send(&framed(1, json.to_string().as_bytes()));
    }

    pub fn say(&mut self, block: &[u8]) {
        self.raw.send(&communication(block));
    }

    pub fn choose(&mut self, file: &str) {
        self.send(&json!({"identifier": "Video Choice", "choice": file, "from": self.name}));
    }

    /// The next message; `None` at the end.
    pub fn next(&mut self) -> Option<Message> {
        self.raw.take(|unread| {
            let (head, rest) = unread.split_first_chunk::<5>()?;
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let body = rest.get(..length)?;
            let message = match head[0] {
                1 => Message::Json(serde_json::from_slice(body).unwrap()),
                2 => {
                    let (size, jpeg) = body.split_at(16);
                    let size = std::str::from_utf8(size).unwrap().trim_end();
                    assert_eq!(size, jpeg.len().to_string());
                    Message::Frame(jpeg.to_vec())
                }
                other => panic!("type {other}"),
            };
            Some((message, 5 + length))
        })
    }

    /// Reads past other messages to the JSON that `is_it` takes.
    pub fn json_until(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            match self.next() {
                Some(Message::Json(json)) if is_it(&json) => return json,
                Some(_) => {}
                None => panic!("{}: the server closed", self.name),
            }
        }
    }

    /// Reads past what others do and say to the next `Error`, and returns its text.
    pub fn error(&mut self) -> String {
        loop {
            match self.next() {
                Some(Message::Json(json)) if json["identifier"] == "Error" => {
                    return text(&json["message"]).to_owned();
                }
                Some(Message::Json(json)) if is_of_others(&json) => {}
                other => panic!("{}: no error but {other:?}", self.name),
            }
        }
    }

    /// Whether the conversation goes on, which is asked by a question with a known answer.
    pub fn is_served(&mut self) -> bool {
        self.send(&json!({"identifier": "Video List"}));
        loop {
            match self.next() {
                Some(Message::Json(json)) if is_of_others(&json) => {}
                Some(Message::Json(json)) => return json["identifier"] == "Video List",
                _ => return false,
            }
        }
    }

    /// The frames up to `Video Finish`, of a stream that was chosen.
    pub fn frames(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        loop {
            match self.next() {
                Some(Message::Frame(jpeg)) => frames.push(jpeg),
                Some(Message::Json(json)) if json["identifier"] == "Video Finish" => return frames,
                Some(Message::Json(json)) => {
                    assert!(json["identifier"] != "Error", "{json}");
                }
                None => panic!("{}: the server closed after {}", self.name, frames.len()),
            }
        }
    }

    pub fn play(&mut self, file: &str) -> Vec<Vec<u8>> {
        self.choose(file);
        self.frames()
    }
}

/// The wire of a videochat message to all.
pub fn communication(block: &[u8]) -> Vec<u8> {
    let json = json!({
        "identifier": "Communication", "encrypt_message": STANDARD.encode(block), "from": "x"});
    framed(1, json.to_string().as_bytes())
}

pub fn is_presence(json: &Value) -> bool {
    json["identifier"] == "broadcast_message" || json["identifier"] == "AFK"
}

/// What comes because of others, at any time.
pub fn is_of_others(json: &Value) -> bool {
    is_presence(json) || json["identifier"] == "Communication"
}

/// The names of a message about comings or goings: several may be merged.
pub fn names(value: &Value) -> Vec<String> {
    text(value).split(", ").map(str::to_owned).collect()
}

/// Something that chatroom's server says.
#[derive(Debug, Clone, PartialEq)]
pub enum Word {
    People(Vec<String>),
    Chat(Vec<u8>),
    Videos(Vec<String>),
    Stream(u32),
}

/// Someone in chatroom.
pub struct Chatroom {
    pub raw: Raw,
    pub name: String,
}

impl Chatroom {
    pub fn join(house: &House, name: &str) -> Chatroom {
        Chatroom::join_with(Raw::connect(house.chatroom()), name)
    }

    pub fn join_with(mut raw: Raw, name: &str) -> Chatroom {
        greeted(&mut raw);
        raw.send(name.as_bytes());
        raw.expect(b"OK");
        raw.send(pkcs1_pem(CHATROOM_BITS).as_bytes());
        let name = name.to_owned();
        let mut client = Chatroom { raw, name };
        while !matches!(client.next(), Some(Word::People(people)) if people.contains(&client.name))
        {
        }
        client
    }

    pub fn address(&self) -> SocketAddr {
        self.raw.address()
    }

    /// The wire of a message: `CHAT` and one block that is filled with `text`.
    pub fn message(text: &str) -> Vec<u8> {
        let mut wire = format!("CHAT{text}").into_bytes();
        wire.resize(4 + CHATROOM_BITS / 8, b'.');
        wire
    }

    /// The next word; `None` at the end.
    pub fn next(&mut self) -> Option<Word> {
        self.raw.take(|unread| {
            let (word, rest) = unread.split_first_chunk::<4>()?;
            match word {
                b"URIF" => {
                    let mut json = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
                    let people = json.next()?.ok()?;
                    let people = people.as_object().unwrap().keys().cloned().collect();
                    Some((Word::People(people), 4 + json.byte_offset()))
                }
                b"CHAT" => {
                    let block = rest.get(..CHATROOM_BITS / 8)?;
                    Some((Word::Chat(block.to_vec()), 4 + block.len()))
                }
                b"STLI" => {
                    let (length, list) = rest.split_first_chunk::<4>()?;
                    let list = list.get(..u32::from_be_bytes(*length) as usize)?;
                    let videos = serde_json::from_slice(list).unwrap();
                    Some((Word::Videos(videos), 8 + list.len()))
                }
                b"STRM" => {
                    let (frames, _) = rest.split_first_chunk::<4>()?;
                    Some((Word::Stream(u32::from_be_bytes(*frames)), 8))
                }
                _ => panic!("{} is no word", lossy(unread)),
            }
        })
    }

    /// The next word that is neither a list of people nor chat.
    pub fn answer(&mut self) -> Option<Word> {
        loop {
            match self.next() {
                Some(Word::People(_) | Word::Chat(_)) => {}
                other => return other,
            }
        }
    }

    /// A frame of a stream that runs.
    pub fn frame(&mut self) -> Vec<u8> {
        let frame = self.raw.take(|unread| {
            let (size, rest) = unread.split_first_chunk::<8>()?;
            let size = usize::try_from(u64::from_be_bytes(*size)).unwrap();
            assert!(size < 64 << 20, "{} is no frame", lossy(unread));
            Some((rest.get(..size)?.to_vec(), 8 + size))
        });
        frame.unwrap()
    }

    /// Asks for the list of videos.
    pub fn videos(&mut self) -> Vec<String> {
        self.raw.send(b"[STREAM]");
        match self.answer() {
            Some(Word::Videos(videos)) => videos,
            other => panic!("{}: no list of videos but {other:?}", self.name),
        }
    }

    /// Chooses a video of the list that just came; how many frames follow.
    pub fn choose(&mut self, name: &str) -> u32 {
        self.raw.send(name.as_bytes());
        match self.answer() {
            Some(Word::Stream(frames)) => frames,
            other => panic!("{}: no stream but {other:?}", self.name),
        }
    }

    pub fn play(&mut self, name: &str) -> Vec<Vec<u8>> {
        self.videos();
        (0..self.choose(name)).map(|_| self.frame()).collect()
    }
}

/// Reads the key that chatroom greets with.
pub fn greeted(raw: &mut Raw) {
    const END: &[u8] = b"-----END RSA PUBLIC KEY-----\n";
    let key = raw.take(|unread| {
        let at = unread.windows(END.len()).position(|part| part == END)?;
        Some((unread[..at].to_vec(), at + END.len()))
    });
    assert!(key.unwrap().starts_with(b"-----BEGIN RSA PUBLIC KEY-----"));
}

/// Somebody well-behaved in both services, connected all the time, who is to notice nothing.
pub struct Witness {
    videochat: Videochat,
    chatroom: Chatroom,
    /// Who else was properly here.
    strangers: HashSet<String>,
    said: u32,
}

impl Witness {
    pub fn enter(house: &House) -> Witness {
        let mut chatroom = Chatroom::join(house, "good in chatroom");
        chatroom.raw.send(b"[CHAT]");
        Witness {
            videochat: Videochat::join(house, "good in videochat"),
            chatroom,
            strangers: HashSet::new(),
            said: 0,
        }
    }

    /// Somebody with this name will be in one of the services.
    pub fn meet(&mut self, name: &str) {
        self.strangers.insert(name.to_owned());
    }

    /// Whether somebody of this name is properly here, of this service or another one.
    fn knows(&self, name: &str) -> bool {
        let (plain, service) = name.rsplit_once('@').unwrap_or((name, ""));
        let good = [&self.chatroom.name, &self.videochat.name];
        let is_good = good.iter().any(|good| **good == plain);
        let of_another = is_good || self.strangers.contains(plain);
        match service {
            "" => name == "bot" || self.strangers.contains(name),
            _ => of_another,
        }
    }

    /// Says something in both services, hears it at once, and nothing else but who is properly here.
    pub fn notices_nothing(&mut self, what: &str) {
        self.said += 1;
        let said = format!("still here {}", self.said);
        self.videochat.say(said.as_bytes());
        loop {
            match self.videochat.next() {
                Some(Message::Json(json)) if is_presence(&json) => {
                    let unknown = |name: &String| !self.knows(name);
                    assert!(!names(&json["name"]).iter().any(unknown), "{what}: {json}");
                }
                Some(Message::Json(json)) => {
                    assert_eq!(json["identifier"], "Communication", "{what}");
                    assert_eq!(json["from"], self.videochat.name.as_str(), "{what}");
                    assert_eq!(json["encrypt_message"], STANDARD.encode(&said), "{what}");
                    break;
                }
                other => panic!("{what}: {other:?}"),
            }
        }
        let wire = Chatroom::message(&said);
        self.chatroom.raw.send(&wire);
        loop {
            match self.chatroom.next() {
                Some(Word::People(people)) => {
                    let unknown =
                        |name: &&String| **name != self.chatroom.name && !self.knows(name);
                    assert_eq!(people.iter().find(unknown), None, "{what}");
                    assert!(people.contains(&self.chatroom.name), "{what}: {people:?}");
                }
                Some(Word::Chat(block)) => {
                    assert_eq!(block, wire[4..], "{what}: not what was said");
                    break;
                }
                other => panic!("{what}: {other:?}"),
            }
        }
    }

    /// At the end: everyone else is gone, nobody had to be rebuilt, and a video still plays.
    pub fn leave(mut self, house: &House) {
        let census = house.wait_census("the others' leaving", |census| {
            (
                census.connections,
                census.people,
                census.seats,
                census.channels,
            ) == (2, 2, 2, 0)
        });
        assert_eq!(census.restarts, 0);
        assert!(self.videochat.is_served());
        self.notices_nothing("at the end");
    }
}

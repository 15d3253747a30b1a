//! packetchat's clients over real UDP sockets, and a bad network between them and the server.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use playhouse_protocols::packetchat::{
    CHUNK, MAX_PACKET, Numbering, Request, Response, decode_response,
};
use rsa::sha2::{Digest, Sha256};
use serde::Deserialize;
use tokio::sync::oneshot;

use crate::support::{House, PATIENCE, playhouse, wait_for};

/// How long is listened where nothing may come; the server answers within a millisecond or two.
pub const SILENCE: Duration = Duration::from_millis(60);
/// After how long a client asks again.
const REPEAT: Duration = Duration::from_millis(250);
/// How many questions a client that asks many has open at once. So many chunks are less than what a
/// socket's buffer takes.
const WINDOW: usize = 64;
/// The address of most clients.
pub const HOME: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Another address of this machine's.
pub const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

// ---------------------------------------------------------------------------------------------------
// Clients

/// A packet from the server that is no incoming message.
pub struct Packet {
    bytes: Vec<u8>,
    numbering: Numbering,
}

impl Packet {
    pub fn read(&self) -> Response<'_> {
        decode_response(&self.bytes, self.numbering).unwrap()
    }
}

/// A message from another user.
#[derive(Debug, Clone)]
pub struct Incoming {
    pub sender: u64,
    pub message: u64,
    pub text: Vec<u8>,
    pub at: Instant,
}

/// Whether this is what the server says to that.
fn answers(request: &Request, response: &Response) -> bool {
    use Request as Q;
    use Response as A;
    match (*request, response) {
        (Q::Session { .. }, A::Cookie { .. })
        | (Q::Users { .. }, A::Users(_))
        | (Q::Files { .. }, A::Files(_))
        | (Q::Upload { .. }, A::Upload { .. }) => true,
        (Q::Preserve { session }, A::Cookie { session: of, .. }) => session == *of,
        (Q::UserData { user, .. }, A::UserData { user: of, .. }) => user == *of,
        (Q::Message { message, .. }, A::Message { message: of })
        | (Q::Broadcast { message, .. }, A::Broadcast { message: of }) => message == *of,
        (Q::FileData { file, .. }, A::FileData { file: of, .. })
        | (Q::Download { file, .. }, A::Download { file: of, .. }) => file == *of,
        (
            Q::DownloadChunk {
                transaction, chunk, ..
            },
            A::DownloadChunk {
                transaction: of,
                chunk: number,
                ..
            },
        )
        | (
            Q::UploadChunk {
                transaction, chunk, ..
            },
            A::UploadChunk {
                transaction: of,
                chunk: number,
            },
        ) => (transaction, chunk) == (*of, *number),
        _ => false,
    }
}

/// A client: asks until it is answered, and acknowledges messages if it is told to.
pub struct Client {
    socket: UdpSocket,
    server: SocketAddr,
    /// What it asks in, about files.
    pub numbering: Numbering,
    pub user: u64,
    pub session: u64,
    /// Whether each message is acknowledged as it comes.
    pub acknowledges: bool,
    /// After how long it asks again.
    pub repeat: Duration,
    messages: VecDeque<Incoming>,
    /// What else came.
    others: VecDeque<Packet>,
}

impl Client {
    /// One without a session.
    pub fn at(ip: Ipv4Addr, server: SocketAddr) -> Client {
        Client {
            socket: UdpSocket::bind((ip, 0)).unwrap(),
            server,
            numbering: Numbering::Client,
            user: 0,
            session: 0,
            acknowledges: false,
            repeat: REPEAT,
            messages: VecDeque::new(),
            others: VecDeque::new(),
        }
    }

    pub fn join(house: &House, name: &str) -> Client {
        Client::join_from(HOME, house.packetchat(), name)
    }

    pub fn join_from(ip: Ipv4Addr, server: SocketAddr, name: &str) -> Client {
        let mut client = Client::at(ip, server);
        (client.user, client.session) = client.cookie(name);
        client
    }

    /// Goes on from another port of this address; the socket that it had.
    pub fn move_to(&mut self, ip: Ipv4Addr) -> UdpSocket {
        std::mem::replace(&mut self.socket, UdpSocket::bind((ip, 0)).unwrap())
    }

    pub fn replace_socket(&mut self, socket: UdpSocket) -> UdpSocket {
        std::mem::replace(&mut self.socket, socket)
    }

    pub fn send(&self, request: &Request) {
        self.send_bytes(&request.packet());
    }

    pub fn send_bytes(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.server).unwrap();
    }

    /// One datagram from the server, if it comes by then; what is there already always does.
    fn receive(&self, until: Instant) -> Option<Vec<u8>> {
        let mut buffer = [0; MAX_PACKET];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            self.socket.set_nonblocking(left.is_zero()).unwrap();
            if !left.is_zero() {
                self.socket.set_read_timeout(Some(left)).unwrap();
            }
            match self.socket.recv_from(&mut buffer) {
                Ok((length, from)) => {
                    assert_eq!(from, self.server, "only the server sends");
                    return Some(buffer[..length].to_vec());
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && left.is_zero() => return None,
                // Time may be left: the system counts it coarsely.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => panic!("{e}"),
            }
        }
    }

    /// Takes one datagram, if one comes by then: a message goes to where [`Client::hear`] finds it,
    /// anything else to the others.
    fn take(&mut self, until: Instant) -> bool {
        let Some(bytes) = self.receive(until) else {
            return false;
        };
        match decode_response(&bytes, self.numbering) {
            Ok(Response::Incoming {
                sender,
                message,
                text,
            }) => {
                self.messages.push_back(Incoming {
                    sender,
                    message,
                    text: text.to_vec(),
                    at: Instant::now(),
                });
                if self.acknowledges {
                    self.send(&Request::Received { message });
                }
            }
            Ok(_) => {
                let numbering = self.numbering;
                self.others.push_back(Packet { bytes, numbering });
            }
            Err(e) => panic!("{bytes:?}: {e}"),
        }
        true
    }

    /// The next packet that is no message.
    fn next(&mut self, until: Instant) -> Option<Packet> {
        while self.others.is_empty() && self.take(until) {}
        self.others.pop_front()
    }

    /// The answer to `request`, if it comes by then.
    fn answer(&mut self, request: &Request, until: Instant) -> Option<Packet> {
        while let Some(packet) = self.next(until) {
            if answers(request, &packet.read()) {
                return Some(packet);
            }
        }
        None
    }

    /// Takes what is there already: late answers to questions that were asked twice.
    fn clear(&mut self) {
        while self.take(Instant::now()) {}
        self.others.clear();
    }

    /// Asks until there is an answer.
    pub fn ask(&mut self, request: &Request) -> Packet {
        self.clear();
        let begun = Instant::now();
        loop {
            self.send(request);
            if let Some(answer) = self.answer(request, Instant::now() + self.repeat) {
                return answer;
            }
            let waits = begun.elapsed();
            assert!(waits < PATIENCE, "no answer to {request:?}");
        }
    }

    /// The answer to a question that was asked already.
    pub fn expect(&mut self, request: &Request) {
        let answer = self.answer(request, Instant::now() + PATIENCE);
        assert!(answer.is_some(), "no answer to {request:?}");
    }

    /// There is no answer to what was asked already.
    pub fn expect_silence(&mut self, request: &Request) {
        if let Some(answer) = self.answer(request, Instant::now() + SILENCE) {
            panic!("{request:?} is answered: {:?}", answer.read());
        }
    }

    /// Asks once and is refused: the house counts it, and there is no answer.
    pub fn ask_in_vain(&mut self, house: &House, request: &Request) {
        self.clear();
        let packet = request.packet();
        self.send_in_vain(house, &packet);
        if let Some(answer) = self.answer(request, Instant::now()) {
            panic!("{request:?} is answered: {:?}", answer.read());
        }
    }

    /// Sends something, and waits until the house counts that it got no answer.
    pub fn send_in_vain(&mut self, house: &House, packet: &[u8]) {
        let before = house.packet_census().refused;
        self.send_bytes(packet);
        wait_for("a refusal", || {
            (house.packet_census().refused > before).then_some(())
        });
    }

    /// Asks all of these, many at once and each until it is answered. `hear` gets the place of the
    /// question and the answer, in the order in which answers come.
    pub fn ask_all(&mut self, requests: &[Request], mut hear: impl FnMut(usize, &Response)) {
        let mut asked: BTreeMap<usize, Instant> = BTreeMap::new();
        let (mut next, mut latest) = (0, Instant::now());
        while next < requests.len() || !asked.is_empty() {
            while next < requests.len() && asked.len() < WINDOW {
                self.send(&requests[next]);
                asked.insert(next, Instant::now());
                next += 1;
            }
            if let Some(packet) = self.next(Instant::now() + self.repeat / 4) {
                let response = packet.read();
                let mut open = asked.keys().copied();
                if let Some(i) = open.find(|i| answers(&requests[*i], &response)) {
                    asked.remove(&i);
                    hear(i, &response);
                    latest = Instant::now();
                }
            }
            for (i, at) in &mut asked {
                if at.elapsed() >= self.repeat {
                    self.send(&requests[*i]);
                    *at = Instant::now();
                }
            }
            let waits = latest.elapsed();
            assert!(waits < PATIENCE, "no answer to any of {asked:?}");
        }
    }

    // Sessions and users

    pub fn cookie(&mut self, name: &str) -> (u64, u64) {
        let name = name.as_bytes();
        match self.ask(&Request::Session { name }).read() {
            Response::Cookie { user, session } => (user, session),
            other => panic!("{other:?}"),
        }
    }

    pub fn preserve_request(&self) -> Request<'static> {
        Request::Preserve {
            session: self.session,
        }
    }

    /// Asks for the session to go on; it is the same one.
    pub fn preserve(&mut self) {
        let cookie = Response::Cookie {
            user: self.user,
            session: self.session,
        };
        assert_eq!(self.ask(&self.preserve_request()).read(), cookie);
    }

    /// The numbers of all users, smallest first.
    pub fn users(&mut self) -> Vec<u64> {
        let session = self.session;
        match self.ask(&Request::Users { session }).read() {
            Response::Users(mut users) => {
                users.sort_unstable();
                users
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn name_of(&mut self, user: u64) -> String {
        let session = self.session;
        match self.ask(&Request::UserData { session, user }).read() {
            Response::UserData { name, .. } => String::from_utf8(name.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The number of the bot.
    pub fn bot(&mut self) -> u64 {
        let users = self.users();
        let mut users = users.into_iter();
        users
            .find(|user| self.name_of(*user) == "bot")
            .expect("the bot is here")
    }

    // Messages

    pub fn message<'a>(&self, to: u64, message: u64, text: &'a [u8]) -> Request<'a> {
        Request::Message {
            session: self.session,
            to,
            message,
            text,
        }
    }

    pub fn broadcast<'a>(&self, message: u64, text: &'a [u8]) -> Request<'a> {
        Request::Broadcast {
            session: self.session,
            message,
            text,
        }
    }

    /// The next message, if one comes by then.
    pub fn hear_by(&mut self, until: Instant) -> Option<Incoming> {
        while self.messages.is_empty() && self.take(until) {}
        self.messages.pop_front()
    }

    /// The next message.
    pub fn hear(&mut self) -> Incoming {
        let message = self.hear_by(Instant::now() + PATIENCE);
        message.expect("a message comes")
    }

    pub fn hear_nothing(&mut self) {
        if let Some(message) = self.hear_by(Instant::now() + SILENCE) {
            panic!("no message was to come, but {message:?}");
        }
    }

    pub fn received(&self, message: &Incoming) {
        let message = message.message;
        self.send(&Request::Received { message });
    }

    // Files

    pub fn files_request(&self) -> Request<'static> {
        Request::Files {
            session: self.session,
            numbering: self.numbering,
        }
    }

    pub fn file_data_request(&self, file: u64) -> Request<'static> {
        Request::FileData {
            session: self.session,
            file,
            numbering: self.numbering,
        }
    }

    pub fn download_request(&self, file: u64) -> Request<'static> {
        Request::Download {
            session: self.session,
            file,
            numbering: self.numbering,
        }
    }

    pub fn download_chunk(&self, transaction: u64, chunk: u32) -> Request<'static> {
        Request::DownloadChunk {
            transaction,
            chunk,
            numbering: self.numbering,
        }
    }

    pub fn upload_request<'a>(&self, size: u32, name: &'a [u8]) -> Request<'a> {
        Request::Upload {
            session: self.session,
            size,
            name,
            numbering: self.numbering,
        }
    }

    pub fn upload_chunk<'a>(&self, transaction: u64, chunk: u32, bytes: &'a [u8]) -> Request<'a> {
        Request::UploadChunk {
            transaction,
            chunk,
            bytes,
            numbering: self.numbering,
        }
    }

    /// The chunk of `content` with this number; empty past the end.
    pub fn chunk_of<'a>(&self, transaction: u64, chunk: u32, content: &'a [u8]) -> Request<'a> {
        let start = (chunk as usize * CHUNK).min(content.len());
        let end = (start + CHUNK).min(content.len());
        self.upload_chunk(transaction, chunk, &content[start..end])
    }

    /// The numbers of all files, oldest first.
    pub fn files(&mut self) -> Vec<u64> {
        match self.ask(&self.files_request()).read() {
            Response::Files(files) => files,
            other => panic!("{other:?}"),
        }
    }

    /// Size and name.
    pub fn file_data(&mut self, file: u64) -> (u32, Vec<u8>) {
        match self.ask(&self.file_data_request(file)).read() {
            Response::FileData { size, name, .. } => (size, name.to_vec()),
            other => panic!("{other:?}"),
        }
    }

    /// A transaction to download in.
    pub fn begin_download(&mut self, file: u64) -> u64 {
        match self.ask(&self.download_request(file)).read() {
            Response::Download { transaction, .. } => transaction,
            other => panic!("{other:?}"),
        }
    }

    /// One chunk of a download.
    pub fn get(&mut self, transaction: u64, chunk: u32) -> Vec<u8> {
        match self.ask(&self.download_chunk(transaction, chunk)).read() {
            Response::DownloadChunk { bytes, .. } => bytes.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// These chunks of a download, in this order.
    pub fn get_all(&mut self, transaction: u64, chunks: Range<u32>) -> Vec<u8> {
        let requests: Vec<Request> = chunks
            .map(|chunk| self.download_chunk(transaction, chunk))
            .collect();
        let mut parts = vec![Vec::new(); requests.len()];
        self.ask_all(&requests, |i, response| match response {
            Response::DownloadChunk { bytes, .. } => parts[i] = bytes.to_vec(),
            other => panic!("{other:?}"),
        });
        parts.concat()
    }

    pub fn download(&mut self, file: u64) -> Vec<u8> {
        let (size, _) = self.file_data(file);
        let transaction = self.begin_download(file);
        let content = self.get_all(transaction, 0..chunks(size as usize));
        assert_eq!(content.len(), size as usize);
        content
    }

    /// A file's number and a transaction to upload in.
    pub fn begin_upload(&mut self, size: usize, name: &[u8]) -> (u64, u64) {
        let size = u32::try_from(size).unwrap();
        match self.ask(&self.upload_request(size, name)).read() {
            Response::Upload { file, transaction } => (file, transaction),
            other => panic!("{other:?}"),
        }
    }

    /// Uploads these chunks of `content` in this order.
    pub fn put_all(&mut self, transaction: u64, content: &[u8], chunks: impl Iterator<Item = u32>) {
        let requests: Vec<Request> = chunks
            .map(|chunk| self.chunk_of(transaction, chunk, content))
            .collect();
        self.ask_all(&requests, |_, _| {});
    }

    /// Uploads a file; its number.
    pub fn upload(&mut self, name: &[u8], content: &[u8]) -> u64 {
        let (file, transaction) = self.begin_upload(content.len(), name);
        self.put_all(transaction, content, 0..chunks(content.len()));
        file
    }
}

/// How many chunks a file of so many bytes has.
pub fn chunks(size: usize) -> u32 {
    u32::try_from(size.div_ceil(CHUNK)).unwrap()
}

// ---------------------------------------------------------------------------------------------------
// Chance, contents

/// Numbers that look random and are the same each time (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// One of `0..end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            let other = self.below(i as u64 + 1);
            list.swap(i, usize::try_from(other).unwrap());
        }
    }
}

/// So many bytes that are the same for the same seed, and no two chunks of them alike.
pub fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let words = std::iter::repeat_with(|| random.number().to_le_bytes());
    words
        .take(length.div_ceil(8))
        .flatten()
        .take(length)
        .collect()
}

pub fn sha256(content: &[u8]) -> String {
    let hash = Sha256::digest(content);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

// ---------------------------------------------------------------------------------------------------
// The operator's commands

/// A file in the operator's list.
#[derive(Debug, Deserialize)]
pub struct Listed {
    number: String,
    pub name: String,
    pub size: u64,
    pub sha256: String,
}

impl Listed {
    pub fn number(&self) -> u64 {
        assert_eq!(self.number.len(), 16, "{}", self.number);
        u64::from_str_radix(&self.number, 16).unwrap()
    }
}

/// `playhouse files` with these arguments on a house's data.
pub fn run_files(data: &Path, args: &[&str]) -> Output {
    let output = playhouse()
        .arg("files")
        .args(args)
        .arg("--data")
        .arg(data)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    output
}

/// The operator's list of files.
pub fn listed(data: &Path) -> Vec<Listed> {
    #[derive(Deserialize)]
    struct List {
        files: Vec<Listed>,
    }
    let output = run_files(data, &["list", "--json"]);
    let list: List = serde_json::from_slice(&output.stdout).unwrap();
    list.files
}

// ---------------------------------------------------------------------------------------------------
// The bad network

/// In percent: how many packets each of these happens to.
const MISCHIEF: u64 = 20;
/// The longest delay, in milliseconds.
const LONGEST_DELAY: u64 = 20;

/// What was done to packets.
#[derive(Debug, Default)]
pub struct Done {
    pub dropped: AtomicU64,
    pub repeated: AtomicU64,
    pub delayed: AtomicU64,
    pub reordered: AtomicU64,
}

/// Stands between clients and a server, and drops, repeats, delays and reorders what passes, both ways.
/// To the server each client has a port of its own.
pub struct Relay {
    pub address: SocketAddr,
    pub done: Arc<Done>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    pub fn start(server: SocketAddr, seed: u64) -> Relay {
        let front = UdpSocket::bind((HOME, 0)).unwrap();
        front.set_nonblocking(true).unwrap();
        let address = front.local_addr().unwrap();
        let done = Arc::new(Done::default());
        let mischief = Arc::new(Mischief {
            random: Mutex::new(Random(seed)),
            done: done.clone(),
        });
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let front = tokio::net::UdpSocket::from_std(front).unwrap();
                tokio::select! {
                    () = relay(front, server, mischief) => {}
                    _ = stopped => {}
                }
            });
        });
        Relay {
            address,
            done,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Each kind of mischief has happened.
    pub fn assert_bad(&self) {
        let Done {
            dropped,
            repeated,
            delayed,
            reordered,
        } = &*self.done;
        for count in [dropped, repeated, delayed, reordered] {
            assert!(count.load(Ordering::Relaxed) > 10, "{:?}", self.done);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of it fails the test by what does not come.
            let _ = thread.join();
        }
    }
}

/// Decides what happens to each packet.
struct Mischief {
    random: Mutex<Random>,
    done: Arc<Done>,
}

/// What happens to one copy of a packet.
enum Fate {
    Goes,
    /// It goes so much later.
    Late(Duration),
    /// It goes after the one that comes next.
    Behind,
}

impl Mischief {
    /// The fate of each copy of a packet; none if it is lost.
    fn fates(&self) -> Vec<Fate> {
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        let mut random = self.random.lock().unwrap();
        if random.chance(MISCHIEF) {
            count(&self.done.dropped);
            return Vec::new();
        }
        let mut copies = 1;
        if random.chance(MISCHIEF) {
            count(&self.done.repeated);
            copies = 2;
        }
        let mut fate = || {
            if random.chance(MISCHIEF) {
                count(&self.done.delayed);
                return Fate::Late(Duration::from_millis(1 + random.below(LONGEST_DELAY)));
            }
            if random.chance(MISCHIEF) {
                count(&self.done.reordered);
                return Fate::Behind;
            }
            Fate::Goes
        };
        (0..copies).map(|_| fate()).collect()
    }
}

/// One of the two ways between a client and the server.
struct Way {
    socket: Arc<tokio::net::UdpSocket>,
    to: SocketAddr,
    mischief: Arc<Mischief>,
    behind: Mutex<Vec<Vec<u8>>>,
}

impl Way {
    fn new(
        socket: Arc<tokio::net::UdpSocket>,
        to: SocketAddr,
        mischief: Arc<Mischief>,
    ) -> Arc<Way> {
        Arc::new(Way {
            socket,
            to,
            mischief,
            behind: Mutex::default(),
        })
    }

    async fn pass(self: &Arc<Way>, packet: &[u8]) {
        let overtaken = std::mem::take(&mut *self.behind.lock().unwrap());
        for fate in self.mischief.fates() {
            match fate {
                Fate::Goes => self.go(packet).await,
                Fate::Late(delay) => {
                    let (way, packet) = (self.clone(), packet.to_vec());
                    tokio::spawn(async move {
                        tokio::time::sleep(delay).await;
                        way.go(&packet).await;
                    });
                }
                // If none comes any more, it is lost.
                Fate::Behind => self.behind.lock().unwrap().push(packet.to_vec()),
            }
        }
        for packet in overtaken {
            self.go(&packet).await;
        }
    }

    async fn go(&self, packet: &[u8]) {
        // What can't be sent is lost, as it is in any network.
        let _ = self.socket.send_to(packet, self.to).await;
    }
}

async fn relay(front: tokio::net::UdpSocket, server: SocketAddr, mischief: Arc<Mischief>) {
    let front = Arc::new(front);
    let mut ways: HashMap<SocketAddr, Arc<Way>> = HashMap::new();
    let mut buffer = vec![0; MAX_PACKET];
    loop {
        let Ok((length, client)) = front.recv_from(&mut buffer).await else {
            continue;
        };
        let way = match ways.get(&client) {
            Some(way) => way.clone(),
            None => {
                let back = tokio::net::UdpSocket::bind((HOME, 0)).await.unwrap();
                let back = Arc::new(back);
                let home = Way::new(front.clone(), client, mischief.clone());
                tokio::spawn(carry(back.clone(), home));
                let way = Way::new(back, server, mischief.clone());
                ways.insert(client, way.clone());
                way
            }
        };
        way.pass(&buffer[..length]).await;
    }
}

/// Brings a client what the server sends to its port.
async fn carry(back: Arc<tokio::net::UdpSocket>, way: Arc<Way>) {
    let mut buffer = vec![0; MAX_PACKET];
    loop {
        if let Ok(length) = back.recv(&mut buffer).await {
            way.pass(&buffer[..length]).await;
        }
    }
}

// ---------------------------------------------------------------------------------------------------
// What several test programs say

pub const NUMBERINGS: [Numbering; 2] = [Numbering::Document, Numbering::Client];
/// A session ends when it is silent for a second.
pub const SHORT_SESSIONS: (&str, &str) = ("PACKETCHAT__SESSION_TIMEOUT_S", "1");
/// How often somebody says something who is to stay in a house with short sessions.
pub const SIGN_OF_LIFE: Duration = Duration::from_millis(100);

/// The log's lines about packets without an answer that name this rule.
pub fn refusals(house: &House, rule: &str) -> Vec<serde_json::Value> {
    let log = house.log();
    log.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line["message"] == "no answer")
        .filter(|line| line["rule"].as_str().unwrap().contains(rule))
        .collect()
}

/// However often this limit was reached, the log has one warning that names its key.
pub fn assert_logged_once(house: &House, key: &str) {
    let lines = refusals(house, key);
    assert_eq!(lines.len(), 1, "{key}: {lines:?}");
    assert_eq!(lines[0]["level"], "WARN");
}

pub fn sorted<const N: usize>(mut numbers: [u64; N]) -> [u64; N] {
    numbers.sort_unstable();
    numbers
}

/// Every path in `folder`, and below.
pub fn paths(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            let below = match path.is_dir() {
                true => paths(&path),
                false => Vec::new(),
            };
            [vec![path.to_string_lossy().into_owned()], below].concat()
        })
        .collect()
}

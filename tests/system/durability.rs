//! `kill -9`, again and again, while clients upload and download: nothing that was acknowledged is lost
//! or damaged, nothing half is listed, and all transfers go on to their end.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::packetchat_support::{Client, HOME, Random, chunks, content, listed, sha256};
use crate::support::{House, PATIENCE, wait_for};
use playhouse_protocols::packetchat::{Request, Response};

const KILLS: usize = 50;
const CLIENTS: u64 = 3;
/// After how long clients ask again: the server is gone most of the time.
const REPEAT: Duration = Duration::from_millis(30);
/// The most chunks of a file.
const LONGEST: u64 = 400;
/// The most answers between two kills.
const MOST_ANSWERS: u64 = 600;
/// The longest pause before a kill that no answers are counted for, in microseconds.
const LONGEST_PAUSE: u64 = 60_000;

/// A file's name says what is in it, so that everyone can check every file.
fn name(seed: u64, size: usize) -> String {
    format!("{seed:016x} {size}")
}

fn content_of(name: &[u8]) -> Vec<u8> {
    let name = std::str::from_utf8(name).unwrap();
    let (seed, size) = name.split_once(' ').unwrap();
    let seed = u64::from_str_radix(seed, 16).unwrap();
    content(seed, size.parse().unwrap())
}

/// What clients and the one who kills know of each other.
#[derive(Default)]
struct Common {
    /// Chunks that were answered.
    answers: AtomicU64,
    /// No new transfers.
    enough: AtomicBool,
}

impl Common {
    fn ask_all(
        &self,
        client: &mut Client,
        requests: &[Request],
        mut hear: impl FnMut(usize, &[u8]),
    ) {
        client.ask_all(requests, |i, response| {
            self.answers.fetch_add(1, Ordering::Relaxed);
            if let Response::DownloadChunk { bytes, .. } = response {
                hear(i, bytes);
            }
        });
    }

    /// Uploads a file of this client's, its chunks in any order.
    fn upload(&self, client: &mut Client, random: &mut Random) -> u64 {
        // Most are long enough to be interrupted; some are none or one.
        let size = match random.chance(20) {
            true => random.below(3) * 256,
            false => random.below(LONGEST * 256),
        };
        let name = name(random.number(), usize::try_from(size).unwrap());
        let content = content_of(name.as_bytes());
        let (file, transaction) = client.begin_upload(content.len(), name.as_bytes());
        let mut order: Vec<u32> = (0..chunks(content.len())).collect();
        if random.chance(50) {
            random.shuffle(&mut order);
        }
        let requests: Vec<Request> = order
            .into_iter()
            .map(|chunk| client.chunk_of(transaction, chunk, &content))
            .collect();
        self.ask_all(client, &requests, |_, _| {});
        file
    }

    /// Downloads a file and checks all of it.
    fn download(&self, client: &mut Client, file: u64) {
        let (size, name) = client.file_data(file);
        let expected = content_of(&name);
        assert_eq!(size as usize, expected.len());
        let transaction = client.begin_download(file);
        let requests: Vec<Request> = (0..chunks(expected.len()))
            .map(|chunk| client.download_chunk(transaction, chunk))
            .collect();
        let mut parts = vec![Vec::new(); requests.len()];
        self.ask_all(client, &requests, |i, bytes| parts[i] = bytes.to_vec());
        let name = String::from_utf8_lossy(&name);
        assert!(parts.concat() == expected, "{file:x} {name} is damaged");
    }

    /// Uploads and downloads until it is enough; the files that it has uploaded.
    fn work(&self, mut client: Client, mut random: Random) -> Vec<u64> {
        let mut uploaded = Vec::new();
        while !self.enough.load(Ordering::Relaxed) {
            uploaded.push(self.upload(&mut client, &mut random));
            let files = client.files();
            for file in &uploaded {
                assert!(files.contains(file), "{file:x} is lost");
            }
            let which = random.below(files.len() as u64);
            self.download(&mut client, files[usize::try_from(which).unwrap()]);
        }
        uploaded
    }

    /// Waits for the next moment to kill at.
    fn wait(&self, moment: &Moment) {
        match *moment {
            Moment::Pause(pause) => thread::sleep(pause),
            Moment::Answers(count) => {
                let begun = Instant::now();
                let until = self.answers.load(Ordering::Relaxed) + count;
                while self.answers.load(Ordering::Relaxed) < until {
                    assert!(begun.elapsed() < PATIENCE, "nothing goes on");
                    thread::yield_now();
                }
            }
        }
    }
}

/// When the server is killed.
#[derive(Debug)]
enum Moment {
    /// So long after it is ready.
    Pause(Duration),
    /// After so many answers.
    Answers(u64),
}

impl Moment {
    fn draw(random: &mut Random) -> Moment {
        match random.chance(30) {
            true => Moment::Pause(Duration::from_micros(random.below(LONGEST_PAUSE))),
            false => Moment::Answers(1 + random.below(MOST_ANSWERS)),
        }
    }
}

/// Says when the kills were, if the test fails.
struct Moments(Vec<Moment>);

impl Drop for Moments {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("killed at {:?}", self.0);
        }
    }
}

/// Lets the clients end when this one does, for whatever reason.
struct Enough<'a>(&'a AtomicBool);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn nothing_acknowledged_is_lost_however_often_the_server_is_killed() {
    let mut house = House::open_empty(&[]);
    let server = house.packetchat();
    let common = Common::default();
    let mut moments = Moments(Vec::new());
    let uploaded: Vec<u64> = thread::scope(|scope| {
        let enough = Enough(&common.enough);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let mut client = Client::join_from(HOME, server, &format!("client {n}"));
                client.repeat = REPEAT;
                let common = &common;
                scope.spawn(move || common.work(client, Random(n)))
            })
            .collect();
        let mut random = Random(1000);
        for _ in 0..KILLS {
            let moment = Moment::draw(&mut random);
            common.wait(&moment);
            moments.0.push(moment);
            house.kill();
            house.reopen();
        }
        drop(enough);
        let uploaded = clients.into_iter().map(|client| client.join().unwrap());
        uploaded.flatten().collect()
    });

    // All that was acknowledged is listed, and all that is listed is whole.
    let mut client = Client::join(&house, "last");
    let files = client.files();
    assert!(uploaded.len() >= KILLS / 2, "{} uploads", uploaded.len());
    for file in &uploaded {
        assert!(files.contains(file), "{file:x} is lost");
    }
    let list = listed(&house.data());
    assert_eq!(list.len(), files.len());
    for (file, listed) in files.iter().zip(&list) {
        assert_eq!(listed.number(), *file);
        let expected = content_of(listed.name.as_bytes());
        assert_eq!(listed.size, expected.len() as u64);
        assert_eq!(listed.sha256, sha256(&expected), "{}", listed.name);
        common.download(&mut client, *file);
    }
    assert_eq!(house.packet_census().files, files.len() as u64);
    // Nothing is left of uploads that have become files, and nobody has begun one that did not.
    wait_for("an empty folder of uploads", || {
        let left = fs::read_dir(house.data().join("uploads")).unwrap().count();
        (left == 0).then_some(())
    });
    house.stop();
}

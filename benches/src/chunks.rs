//! Chunks of files, up and down, with a window of requests on their way: the same code for packetchat and
//! for the echo. One thread, whatever the number of clients.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use playhouse_protocols::packetchat::{CHUNK, Numbering, Request, Response};

use crate::udp::{self, Packets};
use crate::{Outcome, echo};

/// Requests of one client that are on their way.
pub const WINDOW: usize = udp::BATCH;
/// A request that was not answered for so long is sent again.
const REPEAT: Duration = Duration::from_millis(200);
/// A server that answers nothing for so long will not do so later either.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where a packet has the number of its chunk, and where an upload has the chunk.
const NUMBER: std::ops::Range<usize> = 10..14;
const BYTES: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
}

/// The bytes of a file: whole chunks of a larger stock, from some chunk on, and round. So clients have
/// files of different content without memory for each.
#[derive(Clone, Copy)]
pub struct Content<'a> {
    pub stock: &'a [u8],
    pub first: usize,
}

impl Content<'_> {
    fn chunk(&self, number: u32) -> &[u8] {
        let chunks = self.stock.len() / CHUNK;
        &self.stock[(self.first + number as usize) % chunks * CHUNK..][..CHUNK]
    }
}

/// One file on its way, of one client, on a socket of its own: what a transfer before it left behind
/// does not come here.
pub struct Transfer<'a> {
    socket: UdpSocket,
    way: Way,
    content: Content<'a>,
    /// A request, but for the number of its chunk and the chunk.
    request: Vec<u8>,
    /// An answer, up to the number of its chunk.
    answer: Vec<u8>,
    /// An answer's bytes and not more.
    answer_length: usize,
    answered: Vec<bool>,
    /// The first chunk that was not asked yet, and the first that is not to be asked.
    next: u32,
    end: u32,
    on_their_way: usize,
    /// What was sent and when, oldest first.
    sent: VecDeque<(u32, Instant)>,
    repeats: u64,
}

impl<'a> Transfer<'a> {
    /// Chunks to or from packetchat.
    pub fn playhouse(
        server: SocketAddr,
        way: Way,
        transaction: u64,
        content: Content<'a>,
    ) -> Outcome<Transfer<'a>> {
        let (chunk, numbering) = (0, Numbering::Client);
        let bytes = &[0; CHUNK][..];
        let request = match way {
            Way::Up => Request::UploadChunk {
                transaction,
                chunk,
                bytes,
                numbering,
            },
            Way::Down => Request::DownloadChunk {
                transaction,
                chunk,
                numbering,
            },
        };
        let answer = match way {
            Way::Up => Response::UploadChunk { transaction, chunk },
            Way::Down => Response::DownloadChunk {
                transaction,
                chunk,
                bytes,
            },
        };
        let (request, answer) = (request.packet(), answer.packet(numbering));
        Transfer::new(server, way, request, answer, content)
    }

    /// Packets of the same sizes to and from the echo, which sends the head back as it came.
    pub fn echo(server: SocketAddr, way: Way, content: Content<'a>) -> Outcome<Transfer<'a>> {
        let (long, short) = (vec![0; echo::WITH_CHUNK], vec![0; echo::HEAD]);
        let (request, answer) = match way {
            Way::Up => (long, short),
            Way::Down => (short, long),
        };
        Transfer::new(server, way, request, answer, content)
    }

    fn new(
        server: SocketAddr,
        way: Way,
        request: Vec<u8>,
        mut answer: Vec<u8>,
        content: Content<'a>,
    ) -> Outcome<Transfer<'a>> {
        let answer_length = answer.len();
        answer.truncate(NUMBER.start);
        Ok(Transfer {
            socket: udp::connect(server)?,
            way,
            content,
            request,
            answer,
            answer_length,
            answered: vec![],
            next: 0,
            end: 0,
            on_their_way: 0,
            sent: VecDeque::new(),
            repeats: 0,
        })
    }

    fn is_done(&self) -> bool {
        self.next == self.end && self.on_their_way == 0
    }

    /// Sends again what was not answered in time, and new requests as the window has room.
    fn fill(&mut self, now: Instant, outbox: &mut Packets) -> Outcome {
        while let Some(&(chunk, at)) = self.sent.front() {
            let answered = self.answered[chunk as usize];
            if !answered && now - at < REPEAT {
                break;
            }
            self.sent.pop_front();
            if !answered {
                self.repeats += 1;
                self.put(chunk, now, outbox);
            }
        }
        while self.on_their_way < WINDOW && self.next < self.end {
            self.put(self.next, now, outbox);
            self.next += 1;
            self.on_their_way += 1;
        }
        Ok(outbox.send(&self.socket)?)
    }

    fn put(&mut self, chunk: u32, now: Instant, outbox: &mut Packets) {
        let packet = outbox.push(&self.request);
        packet[NUMBER].copy_from_slice(&chunk.to_be_bytes());
        if self.way == Way::Up {
            packet[BYTES..].copy_from_slice(self.content.chunk(chunk));
        }
        self.sent.push_back((chunk, now));
    }

    /// Takes answers, as many as have come; returns whether there were any.
    fn take(&mut self, inbox: &mut Packets) -> Outcome<bool> {
        inbox.receive(&self.socket)?;
        let mut any = false;
        for packet in inbox.iter() {
            any = true;
            self.check(packet)?;
        }
        Ok(any)
    }

    /// Every answer is looked at as a whole: a wrong byte ends the measurement.
    fn check(&mut self, packet: &[u8]) -> Outcome {
        if packet.len() != self.answer_length || !packet.starts_with(&self.answer) {
            return Err(format!("{packet:02x?} is no answer to {:?}", self.way).into());
        }
        let mut number = [0; 4];
        number.copy_from_slice(&packet[NUMBER]);
        let chunk = u32::from_be_bytes(number);
        if chunk >= self.next {
            return Err(format!("chunk {chunk} was answered and not asked").into());
        }
        if self.way == Way::Down {
            let (length, bytes) = packet[NUMBER.end..].split_at(2);
            if length != (CHUNK as u16).to_be_bytes() || bytes != self.content.chunk(chunk) {
                return Err(format!("chunk {chunk} has other bytes than the file").into());
            }
        }
        // A request that was repeated may be answered twice.
        if !std::mem::replace(&mut self.answered[chunk as usize], true) {
            self.on_their_way -= 1;
        }
        Ok(())
    }
}

/// What a measurement was like.
#[derive(Debug, Clone, Copy, Default)]
pub struct Driven {
    pub chunks: u64,
    pub repeats: u64,
    pub time: Duration,
    /// Processor time of the load.
    pub load: Duration,
    /// How often the load took answers. If it takes few at once, it is there before they are; if it takes
    /// a window each time, they wait for it, and it is the load that is measured.
    pub takings: u64,
}

/// Asks for the chunks of all `transfers` up to number `end`, side by side, until everyone has all answers.
pub fn drive(transfers: &mut [Transfer], end: u32) -> Outcome<Driven> {
    let (mut inbox, mut outbox) = (Packets::new(), Packets::new());
    let mut driven = Driven::default();
    for transfer in &mut *transfers {
        driven.chunks += u64::from(end - transfer.end);
        transfer.end = end;
        transfer.repeats = 0;
        transfer.answered.resize(end as usize, false);
    }
    let (since, load) = (Instant::now(), processor_time());
    let mut last = since;
    loop {
        let now = Instant::now();
        for transfer in &mut *transfers {
            transfer.fill(now, &mut outbox)?;
        }
        if transfers.iter().all(Transfer::is_done) {
            break;
        }
        let before = driven.takings;
        for transfer in &mut *transfers {
            driven.takings += u64::from(transfer.take(&mut inbox)?);
        }
        if driven.takings > before {
            last = now;
        } else if now - last > PATIENCE {
            return Err("the server answers no more".into());
        } else {
            udp::wait(
                transfers.iter().map(|transfer| &transfer.socket),
                REPEAT / 10,
            )?;
        }
    }
    driven.time = since.elapsed();
    driven.load = processor_time() - load;
    driven.repeats = transfers.iter().map(|transfer| transfer.repeats).sum();
    Ok(driven)
}

/// What this thread has used so far.
pub fn processor_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes to `time` only, which lives until it returns.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

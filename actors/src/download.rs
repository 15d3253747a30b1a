//! One for each download that is under way: gives the chunks that are asked for, from blocks that are
//! read ahead.

use std::collections::VecDeque;
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use actix::prelude::*;
use bytes::{Bytes, BytesMut};
use playhouse_protocols::packetchat::{CHUNK, Numbering, Response};
use playhouse_storage::DownloadRow;

use crate::datagrams::Letters;
use crate::endpoint::{Endpoint, Refuse};
use crate::file_store::{FileStore, FindFile, Shelves};
use crate::messages::{Dismiss, Observation, Observe};
use crate::refusals::Refusal;
use crate::watch::Post;

/// Chunks of a block, which is read at once.
const BLOCK_CHUNKS: u32 = 512;
/// Bytes of a block.
const BLOCK: u64 = BLOCK_CHUNKS as u64 * CHUNK as u64;
/// Blocks that are kept: the one that is asked for, the one after it, and two for those who ask in
/// another order.
const BLOCKS: usize = 4;
/// Chunks that may wait for the disk; what is asked beyond is not looked at, and comes again.
const WAITING: usize = 1024;
/// Bytes of an answer around its chunk.
const HEAD: usize = 16;

/// Chunks that were asked for together by one peer.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Wanted {
    pub from: SocketAddr,
    pub numbering: Numbering,
    pub chunks: Vec<u32>,
}

struct Block {
    number: u32,
    bytes: Bytes,
}

impl Block {
    fn chunk(&self, chunk: u32) -> &[u8] {
        let at = usize::try_from(chunk % BLOCK_CHUNKS).unwrap_or(usize::MAX) * CHUNK;
        let rest = self.bytes.get(at..).unwrap_or_default();
        &rest[..rest.len().min(CHUNK)]
    }
}

/// The actor of one download.
pub struct Download {
    row: DownloadRow,
    shelves: Shelves,
    files: Post<FileStore>,
    endpoint: Post<Endpoint>,
    /// The file and its size in bytes, once it is open.
    open: Option<(Arc<File>, u64)>,
    /// Those read last stand last.
    blocks: VecDeque<Block>,
    reading: bool,
    waiting: Vec<Wanted>,
    waiting_chunks: usize,
}

impl Download {
    pub fn new(
        row: DownloadRow,
        shelves: Shelves,
        files: Post<FileStore>,
        endpoint: Post<Endpoint>,
    ) -> Download {
        Download {
            row,
            shelves,
            files,
            endpoint,
            open: None,
            blocks: VecDeque::new(),
            reading: false,
            waiting: Vec::new(),
            waiting_chunks: 0,
        }
    }

    fn refuse(&self, refusal: Refusal, peer: SocketAddr) {
        self.endpoint.do_send(Refuse { refusal, peer });
    }

    /// Opens the file, then answers those who have asked meanwhile.
    fn open(&mut self, ctx: &mut Context<Self>) {
        self.reading = true;
        let (number, files) = (self.row.file, self.files.addr());
        let (disk, path) = (
            self.shelves.disk.clone(),
            self.shelves.folder.content(number),
        );
        async move {
            let file = match files {
                Some(files) => files.send(FindFile(number)).await,
                None => return Err(internal("the list of files is being rebuilt")),
            };
            let size = file.map_err(internal)??.size;
            match disk.run(move || File::open(path)).await {
                Some(Ok(content)) => Ok((Arc::new(content), size)),
                Some(Err(e)) if e.kind() == io::ErrorKind::NotFound => Err(Refusal::UnknownFile),
                Some(Err(error)) => Err(internal(error)),
                None => Err(internal("the disk's thread panicked")),
            }
        }
        .into_actor(self)
        .map(|opened, this, ctx| {
            this.reading = false;
            match opened {
                Ok(open) => {
                    this.open = Some(open);
                    this.serve_waiting(ctx);
                }
                Err(refusal) => this.give_up(refusal),
            }
        })
        .spawn(ctx);
    }

    /// Answers what can be answered from memory; the rest waits for the disk.
    fn serve(&mut self, mut wanted: Wanted) {
        let mut full = BytesMut::with_capacity(wanted.chunks.len() * (HEAD + CHUNK));
        wanted.chunks.retain(|&chunk| {
            let Some(bytes) = self.chunk(chunk) else {
                return true;
            };
            let response = Response::DownloadChunk {
                transaction: self.row.transaction,
                chunk,
                bytes,
            };
            if bytes.len() == CHUNK {
                response.encode(wanted.numbering, &mut full);
            } else {
                let packet = response.packet(wanted.numbering);
                self.endpoint.do_send(Letters::one(wanted.from, packet));
            }
            false
        });
        if !full.is_empty() {
            let letters = Letters::many(wanted.from, HEAD + CHUNK, full.freeze());
            self.endpoint.do_send(letters);
        }
        if wanted.chunks.is_empty() {
            return;
        }
        if self.waiting_chunks + wanted.chunks.len() > WAITING {
            return self.refuse(Refusal::Busy, wanted.from);
        }
        self.waiting_chunks += wanted.chunks.len();
        self.waiting.push(wanted);
    }

    /// The chunk's bytes, none past the end; `None` if its block has to be read.
    fn chunk(&self, chunk: u32) -> Option<&[u8]> {
        let (_, size) = self.open.as_ref()?;
        if u64::from(chunk) * CHUNK as u64 >= *size {
            return Some(&[]);
        }
        let block = self.block(chunk / BLOCK_CHUNKS)?;
        Some(block.chunk(chunk))
    }

    fn block(&self, number: u32) -> Option<&Block> {
        self.blocks.iter().find(|block| block.number == number)
    }

    /// Reads the block that somebody waits for, or else the one after `asked`, which comes next.
    fn read_on(&mut self, asked: Option<u32>, ctx: &mut Context<Self>) {
        if self.reading {
            return;
        }
        let Some((file, size)) = &self.open else {
            return self.open(ctx);
        };
        let first = self.waiting.iter().flat_map(|wanted| &wanted.chunks).next();
        let number = match first.or(asked.as_ref()) {
            Some(chunk) if first.is_some() => chunk / BLOCK_CHUNKS,
            Some(chunk) => chunk / BLOCK_CHUNKS + 1,
            None => return,
        };
        let at = u64::from(number) * BLOCK;
        if at >= *size || self.block(number).is_some() {
            return;
        }
        self.reading = true;
        let (file, length) = (file.clone(), BLOCK.min(size - at));
        self.shelves
            .disk
            .run(move || read(&file, at, length))
            .into_actor(self)
            .map(move |bytes, this, ctx| {
                this.reading = false;
                match bytes {
                    Some(Ok(bytes)) => {
                        if this.blocks.len() >= BLOCKS {
                            this.blocks.pop_front();
                        }
                        this.blocks.push_back(Block { number, bytes });
                        this.serve_waiting(ctx);
                    }
                    Some(Err(error)) => this.give_up(internal(error)),
                    None => this.give_up(internal("the disk's thread panicked")),
                }
            })
            .spawn(ctx);
    }

    fn serve_waiting(&mut self, ctx: &mut Context<Self>) {
        self.waiting_chunks = 0;
        let waiting = std::mem::take(&mut self.waiting);
        let last = waiting
            .last()
            .and_then(|wanted| wanted.chunks.last())
            .copied();
        for wanted in waiting {
            self.serve(wanted);
        }
        self.read_on(last, ctx);
    }

    /// Those who wait ask again.
    fn give_up(&mut self, refusal: Refusal) {
        self.waiting_chunks = 0;
        for wanted in std::mem::take(&mut self.waiting) {
            self.refuse(refusal.clone(), wanted.from);
        }
    }
}

fn internal(what: impl Display) -> Refusal {
    Refusal::Internal(format!("a download: {what}"))
}

fn read(file: &File, at: u64, length: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes.into())
}

impl Actor for Download {
    type Context = Context<Self>;
}

impl Handler<Wanted> for Download {
    type Result = ();

    fn handle(&mut self, wanted: Wanted, ctx: &mut Context<Self>) {
        let last = wanted.chunks.last().copied();
        self.serve(wanted);
        self.read_on(last, ctx);
    }
}

impl Handler<Dismiss> for Download {
    type Result = ();

    fn handle(&mut self, _: Dismiss, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

impl Handler<Observe> for Download {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::Download {
            waiting: self.waiting_chunks,
            blocks: self.blocks.len(),
        }
    }
}

//! One for each upload that is under way: writes the chunks that come, in whatever order, and
//! acknowledges each when a restart would find it. The one that makes the file complete is
//! acknowledged when the file is on the disk and listed.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use actix::prelude::*;
use bytes::{Bytes, BytesMut};
use playhouse_protocols::packetchat::{CHUNK, Numbering, Response};
use playhouse_storage::{Partial, Received, UploadRow};

use crate::datagrams::Letters;
use crate::endpoint::{Endpoint, Finished, Refuse, Spoiled};
use crate::file_store::{FileStore, Finish, Shelves};
use crate::messages::{Dismiss, Observation, Observe};
use crate::refusals::Refusal;
use crate::watch::Post;

/// Chunks that may wait for the disk; what comes beyond is not looked at, and comes again.
const WAITING: usize = 1024;
/// Bytes of an acknowledgement.
const ACKNOWLEDGEMENT: usize = 14;

/// Chunks that came together from one peer.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Chunks {
    pub from: SocketAddr,
    pub numbering: Numbering,
    /// The number of each, and where in `bytes` it stands.
    pub chunks: Vec<(u32, Range<usize>)>,
    pub bytes: Bytes,
}

impl Chunks {
    fn iter(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let bytes = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        self.chunks
            .iter()
            .map(move |(chunk, range)| (*chunk, bytes(range)))
    }
}

/// The actor of one upload.
pub struct Upload {
    /// As it was when this began; shared with the disk's thread.
    row: Arc<UploadRow>,
    finished: bool,
    shelves: Shelves,
    files: Post<FileStore>,
    endpoint: Post<Endpoint>,
    /// The length of each chunk. Which ones have come, the disk's thread knows.
    lengths: Received,
    /// `None` while the disk's thread has it, and before the first chunk.
    partial: Option<Partial>,
    writing: bool,
    /// It goes when it has done what it is at: nobody else may write meanwhile.
    leaving: bool,
    waiting: Vec<Chunks>,
    waiting_chunks: usize,
}

/// What a disk's thread made of chunks.
struct Written {
    partial: Option<Partial>,
    batches: Vec<Chunks>,
    outcome: Result<Outcome, Refusal>,
}

/// How far an upload is.
pub(crate) enum Outcome {
    Incomplete,
    /// All is there, with this hash.
    Complete([u8; 32]),
    /// All is there, but the disk did not take it for good: trying again would prove nothing.
    Spoiled,
}

impl Upload {
    pub fn new(
        row: UploadRow,
        shelves: Shelves,
        files: Post<FileStore>,
        endpoint: Post<Endpoint>,
    ) -> Upload {
        Upload {
            lengths: Received::new(row.size),
            finished: row.finished,
            row: Arc::new(row),
            shelves,
            files,
            endpoint,
            partial: None,
            writing: false,
            leaving: false,
            waiting: Vec::new(),
            waiting_chunks: 0,
        }
    }

    fn refuse(&self, refusal: Refusal, peer: SocketAddr) {
        self.endpoint.do_send(Refuse { refusal, peer });
    }

    /// Acknowledges what does not have to be written, leaves what is wrong unanswered, and keeps the
    /// rest in `came`.
    fn sift(&self, came: &mut Chunks) {
        let mut past_the_end = Vec::new();
        let lengths = &self.lengths;
        came.chunks.retain(|(chunk, range)| {
            let fits = u64::try_from(range.len()) == Ok(lengths.length(*chunk));
            if !fits {
                self.refuse(Refusal::BadChunk, came.from);
            } else if self.finished || range.is_empty() {
                past_the_end.push(*chunk);
            }
            fits && !self.finished && !range.is_empty()
        });
        self.acknowledge(came.from, came.numbering, past_the_end.into_iter());
    }

    fn acknowledge(
        &self,
        to: SocketAddr,
        numbering: Numbering,
        chunks: impl ExactSizeIterator<Item = u32>,
    ) {
        if chunks.len() == 0 {
            return;
        }
        let mut wire = BytesMut::with_capacity(chunks.len() * ACKNOWLEDGEMENT);
        for chunk in chunks {
            let transaction = self.row.transaction;
            Response::UploadChunk { transaction, chunk }.encode(numbering, &mut wire);
        }
        let letters = Letters::many(to, ACKNOWLEDGEMENT, wire.freeze());
        self.endpoint.do_send(letters);
    }

    /// Has what waits written.
    fn write(&mut self, ctx: &mut Context<Self>) {
        if self.writing || self.waiting.is_empty() {
            return;
        }
        self.writing = true;
        self.waiting_chunks = 0;
        let batches = std::mem::take(&mut self.waiting);
        let partial = self.partial.take();
        let (shelves, row) = (self.shelves.clone(), self.row.clone());
        self.shelves
            .disk
            .run(move || write(&shelves, &row, partial, batches))
            .into_actor(self)
            .map(|written, this, ctx| match written {
                Some(written) => this.written(written, ctx),
                // The work panicked: the endpoint starts another one of us.
                None => ctx.stop(),
            })
            .spawn(ctx);
    }

    fn written(&mut self, written: Written, ctx: &mut Context<Self>) {
        self.partial = written.partial;
        match written.outcome {
            Ok(Outcome::Incomplete) => self.answer(&written.batches, ctx),
            Ok(Outcome::Complete(sha256)) => self.finish(sha256, written.batches, ctx),
            Ok(Outcome::Spoiled) => {
                let transaction = self.row.transaction;
                self.endpoint.do_send(Spoiled { transaction });
                ctx.stop();
            }
            Err(refusal) => {
                for batch in &written.batches {
                    self.refuse(refusal.clone(), batch.from);
                }
                self.go_on(ctx);
            }
        }
    }

    fn answer(&mut self, batches: &[Chunks], ctx: &mut Context<Self>) {
        for batch in batches {
            let chunks = batch.chunks.iter().map(|(chunk, _)| *chunk);
            self.acknowledge(batch.from, batch.numbering, chunks);
        }
        self.go_on(ctx);
    }

    fn go_on(&mut self, ctx: &mut Context<Self>) {
        self.writing = false;
        self.write(ctx);
        self.leave_if_idle(ctx);
    }

    fn leave_if_idle(&mut self, ctx: &mut Context<Self>) {
        if self.leaving && !self.writing {
            ctx.stop();
        }
    }

    /// All is there: it becomes a file, and then those who sent the last of it hear so.
    fn finish(&mut self, sha256: [u8; 32], batches: Vec<Chunks>, ctx: &mut Context<Self>) {
        let transaction = self.row.transaction;
        let files = self.files.addr();
        async move {
            let finish = Finish {
                transaction,
                sha256,
            };
            match files {
                Some(files) => files.send(finish).await.is_ok_and(|file| {
                    file.inspect_err(|error| tracing::error!(%error, "a complete upload"))
                        .is_ok()
                }),
                None => false,
            }
        }
        .into_actor(self)
        .map(move |finished, this, ctx| {
            // Unanswered if it failed: the chunks come again, and with them the next try.
            this.partial = None;
            if !finished {
                return this.go_on(ctx);
            }
            this.finished = true;
            this.endpoint.do_send(Finished { transaction });
            this.answer(&batches, ctx);
        })
        .spawn(ctx);
    }
}

/// Writes chunks, on a thread of the disk's.
fn write(
    shelves: &Shelves,
    row: &UploadRow,
    partial: Option<Partial>,
    batches: Vec<Chunks>,
) -> Written {
    let chunks: Vec<(u32, &[u8])> = batches.iter().flat_map(Chunks::iter).collect();
    let mut partial = partial;
    let outcome = write_all(shelves, row, &mut partial, &chunks);
    Written {
        // What is in doubt is read again from the disk.
        partial: partial.filter(|_| outcome.is_ok()),
        batches,
        outcome,
    }
}

/// Writes those of the chunks that are new, on a thread of the disk's, as far as there is room. `place` has
/// what is known of the upload, if it was looked at before.
///
/// # Errors
/// No room, or the disk's; what is in `place` is in doubt then.
pub(crate) fn write_all(
    shelves: &Shelves,
    row: &UploadRow,
    place: &mut Option<Partial>,
    chunks: &[(u32, &[u8])],
) -> Result<Outcome, Refusal> {
    let failed = |error: playhouse_storage::StorageError| {
        if error.is_disk_full() {
            return Refusal::DiskFull;
        }
        Refusal::Internal(format!("an upload: {error}"))
    };
    let partial = match place {
        Some(partial) => partial,
        None => place.insert(Partial::open(&shelves.folder, row).map_err(failed)?),
    };
    // What is there already takes no place.
    let is_new = |(chunk, _): &&(u32, &[u8])| !partial.received().contains(*chunk);
    let new = chunks.iter().filter(is_new);
    let bytes = new.map(|(_, bytes)| bytes.len()).sum::<usize>() as u64;
    // Looked at each time, which costs next to nothing: scattered chunks take a block of the disk each,
    // and many uploads may write at once.
    if bytes > 0 && shelves.folder.free_bytes().map_err(failed)? < shelves.limits.min_free {
        return Err(Refusal::DiskFull);
    }
    if !shelves.room.take(bytes) {
        return Err(Refusal::Quota);
    }
    let written = partial.write(chunks);
    // What came twice takes no place, and what failed neither.
    let new = written.as_ref().copied().unwrap_or(0);
    shelves.room.give(bytes - new.min(bytes));
    written.map_err(failed)?;
    if !partial.received().is_complete() {
        return Ok(Outcome::Incomplete);
    }
    Ok(match partial.seal() {
        Ok(sha256) => Outcome::Complete(sha256),
        Err(error) => {
            tracing::error!(%error, "an upload is given up");
            Outcome::Spoiled
        }
    })
}

impl Actor for Upload {
    type Context = Context<Self>;
}

impl Handler<Chunks> for Upload {
    type Result = ();

    fn handle(&mut self, mut came: Chunks, ctx: &mut Context<Self>) {
        self.sift(&mut came);
        if came.chunks.is_empty() {
            return;
        }
        if self.waiting_chunks + came.chunks.len() > WAITING {
            return self.refuse(Refusal::Busy, came.from);
        }
        self.waiting_chunks += came.chunks.len();
        self.waiting.push(came);
        self.write(ctx);
    }
}

impl Handler<Dismiss> for Upload {
    type Result = ();

    fn handle(&mut self, _: Dismiss, ctx: &mut Context<Self>) {
        self.leaving = true;
        self.leave_if_idle(ctx);
    }
}

impl Handler<Observe> for Upload {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::Upload {
            size: self.row.size,
            waiting: self.waiting_chunks,
            finished: self.finished,
        }
    }
}

// The chunks of the protocol are those that the disk counts in.
const _: () = assert!(CHUNK == playhouse_storage::CHUNK as usize);

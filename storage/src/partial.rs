//! The bytes of an unfinished upload.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use crate::CHUNK;
use crate::error::{At, StorageError};
use crate::folder::{Folder, PRIVATE, length_if_there, sync_folder};
use crate::hash::PrefixHash;
use crate::received::Received;
use crate::rows::UploadRow;

/// What is hashed at once along the way, bytes: a moment's work.
const HASH_STEP: u64 = 1 << 20;
/// After so many new bytes the hash follows by one step at most: it catches up after a restart, and no
/// write waits for more than one.
const HASH_EVERY: u64 = HASH_STEP / 2;
/// After so many bytes the disk is told to begin with them, so that it isn't left with everything when
/// the upload ends.
const WRITE_BACK_EVERY: u64 = 8 << 20;
/// Bytes of a log record: the first chunk and how many, little endian.
const RECORD: u64 = 8;

/// An unfinished upload's bytes: the part file, and beside it the log, to which runs of chunks are
/// appended when the part has them. So a restart knows what is there, and a program that is killed loses
/// nothing of what [`write`](Self::write) returned for. The machine's death is another matter:
/// [`Index::tidy`](crate::Index::tidy) drops what was begun before it.
#[derive(Debug)]
pub struct Partial {
    folder: Folder,
    transaction: u64,
    file: u64,
    size: u64,
    received: Received,
    /// None until something is written or hashed.
    files: Option<Files>,
    /// Bytes of the log that hold whole records.
    log_end: u64,
    /// A crash came after the content was moved to its place and before it was listed.
    placed: bool,
    hash: PrefixHash,
    /// Bytes that the disk was told of.
    written_back: u64,
    sealed: Option<[u8; 32]>,
}

#[derive(Debug)]
struct Files {
    part: File,
    log: File,
}

impl Partial {
    /// Finds out what is there. Makes no file.
    ///
    /// # Errors
    /// More bytes than chunk numbers reach; the part or the log can't be read.
    pub fn open(folder: &Folder, upload: &UploadRow) -> Result<Partial, StorageError> {
        if upload.size > Received::MOST {
            return Err(StorageError::TooLarge {
                size: upload.size,
                most: Received::MOST,
            });
        }
        let mut partial = Partial {
            folder: folder.clone(),
            transaction: upload.transaction,
            file: upload.file,
            size: upload.size,
            received: Received::new(upload.size),
            files: None,
            log_end: 0,
            placed: false,
            hash: PrefixHash::default(),
            written_back: 0,
            sealed: None,
        };
        let part = folder.part(upload.transaction);
        if let Some(bytes) = length_if_there(&part)? {
            partial.read_log(bytes)?;
        } else if length_if_there(&folder.content(upload.file))? == Some(upload.size) {
            partial.placed = true;
            partial.received = Received::all(upload.size);
        }
        Ok(partial)
    }

    /// Takes over the runs of the log that a part of `bytes` can hold. What is left of a record that was
    /// not wholly written is none.
    fn read_log(&mut self, bytes: u64) -> Result<(), StorageError> {
        let path = self.folder.log(self.transaction);
        let log = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result.at(&path, "open")?,
        };
        let mut log = BufReader::new(log);
        let (mut first, mut count) = ([0; 4], [0; 4]);
        loop {
            match log
                .read_exact(&mut first)
                .and_then(|()| log.read_exact(&mut count))
            {
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                result => result.at(&path, "read")?,
            }
            self.log_end += RECORD;
            let first = u32::from_le_bytes(first);
            let end = first.saturating_add(u32::from_le_bytes(count));
            for chunk in first..end.min(self.received.chunks()) {
                if offset(chunk) + self.received.length(chunk) <= bytes {
                    self.received.insert(chunk);
                }
            }
        }
    }

    /// Which chunks are there.
    pub fn received(&self) -> &Received {
        &self.received
    }

    /// Writes those of the chunks that are not there yet, each chunk's number with its bytes, best in
    /// ascending order: neighbours are written together. Gives the number of bytes that are new.
    ///
    /// # Errors
    /// A chunk of the wrong length or past the end, found before anything is written. When the disk
    /// refuses, none of the chunks count, and they can be written again.
    pub fn write(&mut self, chunks: &[(u32, &[u8])]) -> Result<u64, StorageError> {
        for &(chunk, bytes) in chunks {
            let expected = self.received.length(chunk);
            let found = bytes.len() as u64;
            if found != expected || expected == 0 {
                return Err(StorageError::WrongLength {
                    chunk,
                    expected,
                    found,
                });
            }
        }
        let mut new: Vec<_> = chunks
            .iter()
            .filter(|(chunk, _)| !self.received.contains(*chunk))
            .collect();
        new.sort_by_key(|(chunk, _)| *chunk);
        new.dedup_by_key(|(chunk, _)| *chunk);
        if new.is_empty() {
            return Ok(0);
        }

        let part_path = self.folder.part(self.transaction);
        let log_path = self.folder.log(self.transaction);
        let files = Files::of(&mut self.files, &part_path, &log_path, self.log_end)?;
        let mut run = Vec::with_capacity(new.len() * CHUNK as usize);
        let mut records = Vec::new();
        for neighbours in new.chunk_by(|(a, _), (b, _)| a + 1 == *b) {
            let Some(&&(first, _)) = neighbours.first() else {
                continue;
            };
            run.clear();
            for (_, bytes) in neighbours {
                run.extend_from_slice(bytes);
            }
            files
                .part
                .write_all_at(&run, offset(first))
                .at(&part_path, "write")?;
            let count = u32::try_from(neighbours.len()).unwrap_or(u32::MAX);
            records.extend_from_slice(&first.to_le_bytes());
            records.extend_from_slice(&count.to_le_bytes());
        }
        // At a place of our own choice, not the file's end: a record torn by a full disk is written over.
        files
            .log
            .write_all_at(&records, self.log_end)
            .at(&log_path, "write")?;

        self.log_end += records.len() as u64;
        let before = self.received.bytes();
        for (chunk, _) in new {
            self.received.insert(*chunk);
        }
        let after = self.received.bytes();
        if before / HASH_EVERY != after / HASH_EVERY {
            self.work_ahead();
        }
        Ok(after - before)
    }

    /// Does some of what `seal` would else have to do at once.
    fn work_ahead(&mut self) {
        let Some(files) = &self.files else { return };
        let prefix = self.received.prefix_bytes();
        let next = self.hash.done() + HASH_STEP;
        if next <= prefix {
            // The chunks are there, whatever reading them says; `seal` meets the error again.
            let _ = self.hash.advance(&files.part, next);
        }
        if prefix - self.written_back >= WRITE_BACK_EVERY {
            begin_write_back(&files.part, self.written_back, prefix - self.written_back);
            self.written_back = prefix;
        }
    }

    /// The hash of the whole, whose bytes outlive a power failure from now on.
    ///
    /// # Errors
    /// Chunks are missing, or the disk refuses. After the latter the bytes may be lost although they can
    /// be read; the upload should be discarded.
    pub fn seal(&mut self) -> Result<[u8; 32], StorageError> {
        if let Some(hash) = self.sealed {
            return Ok(hash);
        }
        let part_path = self.folder.part(self.transaction);
        if !self.received.is_complete() {
            return Err(StorageError::Incomplete {
                path: part_path,
                received: self.received.bytes(),
                size: self.size,
            });
        }
        let content;
        let (file, path) = if self.placed {
            let path = self.folder.content(self.file);
            content = File::open(&path).at(&path, "open")?;
            (&content, path)
        } else {
            let log_path = self.folder.log(self.transaction);
            let files = Files::of(&mut self.files, &part_path, &log_path, self.log_end)?;
            (&files.part, part_path)
        };
        self.hash.advance(file, self.size).at(&path, "read")?;
        file.sync_all().at(&path, "sync")?;
        sync_folder(&self.folder.uploads())?;
        let hash = self.hash.value();
        self.sealed = Some(hash);
        Ok(hash)
    }
}

impl Files {
    /// Those that are open, else opens them; makes what is missing.
    fn of<'a>(
        files: &'a mut Option<Files>,
        part_path: &Path,
        log_path: &Path,
        log_end: u64,
    ) -> Result<&'a Files, StorageError> {
        match files {
            Some(files) => Ok(files),
            none => {
                let open = |path: &Path| {
                    File::options()
                        .read(true)
                        .write(true)
                        .create(true)
                        .truncate(false)
                        .mode(PRIVATE)
                        .open(path)
                        .at(path, "open")
                };
                let part = open(part_path)?;
                let log = open(log_path)?;
                // A torn record, or the log of a part that is gone.
                log.set_len(log_end).at(log_path, "shorten")?;
                Ok(none.insert(Files { part, log }))
            }
        }
    }
}

/// Where a chunk begins, in bytes.
fn offset(chunk: u32) -> u64 {
    u64::from(chunk) * u64::from(CHUNK)
}

/// Has the system begin to write these bytes to the disk, and doesn't wait for it.
#[cfg(target_os = "linux")]
fn begin_write_back(file: &File, start: u64, bytes: u64) {
    use std::os::fd::AsRawFd;

    let (start, bytes) = (start.cast_signed(), bytes.cast_signed());
    // SAFETY: the descriptor is open as long as `file` is borrowed, and no memory is passed.
    // Only a hint: `seal` syncs, and says what fails.
    let _ = unsafe {
        libc::sync_file_range(file.as_raw_fd(), start, bytes, libc::SYNC_FILE_RANGE_WRITE)
    };
}

#[cfg(not(target_os = "linux"))]
fn begin_write_back(_: &File, _: u64, _: u64) {}

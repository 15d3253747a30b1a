//! What an operator does with files, beside a running server or without one.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{At, StorageError};
use crate::finish::now_ms;
use crate::folder::{PRIVATE, sync_folder};
use crate::index::{Durability, Index};
use crate::rows::StoredFile;

/// What is copied at once, bytes.
const PIECE: usize = 1 << 20;

/// Copies a file into the folder and lists it under `name`. Its number comes from `draw`, which gives
/// random ones. `progress` hears how many bytes of how many are done.
///
/// The copy is made in `uploads/`, under a random name that ends in `.add`, and locked while this runs:
/// [`Index::tidy`] removes such a file only if nobody has it locked, and can't look between its making and
/// its locking, which are in one transaction. If this is interrupted nothing is listed. If the source
/// changes meanwhile, what was hashed is what is stored.
///
/// # Errors
/// The source can't be read, the copy can't be written; SQLite's.
pub fn add(
    index: &Index,
    source: &Path,
    name: &[u8],
    draw: &mut dyn FnMut() -> u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<StoredFile, StorageError> {
    let folder = index.folder();
    let mut input = File::open(source).at(source, "open")?;
    let length = input.metadata().at(source, "look at")?.len();
    let copy = index.write(Durability::Process, |_| {
        let copy = Beside::create(&folder.uploads(), PRIVATE, &mut || {
            format!("{:016x}.add", draw())
        })?;
        copy.file.lock().at(&copy.path, "lock")?;
        Ok(copy)
    })?;
    let (size, sha256) = copy.fill(&mut input, source, length, progress)?;
    copy.file.sync_all().at(&copy.path, "sync")?;

    index.write(Durability::Power, |index| {
        let (number, content) = loop {
            let number = draw();
            let content = folder.content(number);
            if !index.has_number(number)? && !content.exists() {
                break (number, content);
            }
        };
        let file = StoredFile {
            number,
            name: name.to_vec(),
            size,
            sha256,
            added_ms: now_ms(),
        };
        index.insert_file(&file)?;
        fs::rename(&copy.path, &content).at(&copy.path, "move to its place")?;
        sync_folder(&folder.files())?;
        sync_folder(&folder.uploads())?;
        Ok(file)
    })
}

/// Writes a file's content to `to`, whole or not at all. `progress` hears how many bytes of how many are
/// done.
///
/// # Errors
/// [`StorageError::Exists`] if something is there and `replace` is false;
/// [`StorageError::Damaged`] if the content is not what was listed; nothing is written then.
pub fn extract(
    index: &Index,
    file: &StoredFile,
    to: &Path,
    replace: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), StorageError> {
    let exists = || StorageError::Exists {
        path: to.to_owned(),
    };
    // Looked at again in the end; here only so that nobody waits in vain.
    if !replace && to.symlink_metadata().is_ok() {
        return Err(exists());
    }
    let content = index.folder().content(file.number);
    let mut input = File::open(&content).at(&content, "open")?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let mut tries = 0..;
    let copy = Beside::create(parent, 0o666, &mut || {
        let (process, next) = (std::process::id(), tries.next().unwrap_or(0u64));
        format!(".playhouse-{process}-{next}")
    })?;
    let (_, found) = copy.fill(&mut input, &content, file.size, progress)?;
    if found != file.sha256 {
        return Err(StorageError::Damaged {
            path: content,
            listed: file.sha256,
            found,
        });
    }
    copy.file.sync_all().at(&copy.path, "sync")?;
    match copy.put(to, replace) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(exists()),
        result => result.at(to, "make"),
    }
}

/// Takes a file off the list, then removes its content. Whoever has that open reads on. False if there is
/// no such file.
///
/// # Errors
/// SQLite's; the content can't be removed (the next [`Index::tidy`] does).
pub fn remove(index: &Index, number: u64) -> Result<bool, StorageError> {
    let was_there = index.write(Durability::Power, |index| index.delete_file(number))?;
    if was_there {
        index.folder().remove(number)?;
    }
    Ok(was_there)
}

/// A new file beside where it belongs, removed when it is dropped unless it was moved there.
struct Beside {
    path: PathBuf,
    file: File,
}

impl Beside {
    /// Makes a file of the first of these names that is free. The umask takes from `mode`.
    fn create(
        folder: &Path,
        mode: u32,
        names: &mut dyn FnMut() -> String,
    ) -> Result<Beside, StorageError> {
        let mut options = File::options();
        options.write(true).create_new(true).mode(mode);
        loop {
            let path = folder.join(names());
            match options.open(&path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                result => {
                    // Nobody knows the name.
                    let file = result.at(folder, "make a file in it")?;
                    return Ok(Beside { path, file });
                }
            }
        }
    }

    /// Copies `input` to its end; gives its size and its hash.
    fn fill(
        &self,
        input: &mut File,
        input_path: &Path,
        expected: u64,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(u64, [u8; 32]), StorageError> {
        let mut hasher = Sha256::new();
        let mut piece = vec![0; PIECE];
        let mut done = 0;
        loop {
            progress(done, expected.max(done));
            let read = match input.read(&mut piece) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                result => result.at(input_path, "read")?,
            };
            let bytes = piece.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            hasher.update(bytes);
            (&self.file).write_all(bytes).at(&self.path, "write")?;
            done += bytes.len() as u64;
        }
        progress(done, done);
        Ok((done, hasher.finalize().into()))
    }

    fn put(&self, to: &Path, replace: bool) -> io::Result<()> {
        if replace {
            return fs::rename(&self.path, to);
        }
        match fs::hard_link(&self.path, to) {
            // The file system knows no links. An empty file keeps the place.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
                ) =>
            {
                File::create_new(to)?;
                fs::rename(&self.path, to).inspect_err(|_| {
                    let _ = fs::remove_file(to);
                })
            }
            result => result,
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Mostly it is not there any more, and if it can't be removed there is nobody to tell.
        let _ = fs::remove_file(&self.path);
    }
}

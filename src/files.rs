//! `playhouse files`: what is in the list of files, into it, out of it, off it.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use playhouse_actors::MAX_FILE_NAME;
use playhouse_storage::{Folder, Index, StorageError, StoredFile};

use crate::cli::FilesCommand;
use crate::show::{self, Progress};

/// The largest file that a client can be told of, in bytes.
const MAX_SIZE: u64 = u32::MAX as u64;

/// Why a command about files isn't done.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("server.data_dir: {0}")]
    DataDir(StorageError),
    #[error("server.data_dir: {0}: no server has kept anything there")]
    NoDataDir(PathBuf),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("{path}: can't look at it: {source}")]
    Source { path: PathBuf, source: io::Error },
    #[error("{path}: {bytes} bytes; a file has at most {MAX_SIZE}")]
    TooLarge { path: PathBuf, bytes: u64 },
    #[error("{path}: no regular file")]
    NotRegular { path: PathBuf },
    #[error("--name: can't be given to {0} files")]
    OneName(usize),
    #[error("--name: {0} bytes; a name has 1 to {MAX_FILE_NAME}")]
    NameLength(usize),
    #[error("an empty name: a file that is called so goes by its number")]
    Empty,
    #[error("{0}: no file has this number or this name")]
    Unknown(String),
    #[error("{name}: several files have this name: {numbers}")]
    Ambiguous { name: String, numbers: String },
    #[error("--output: {path}: {files} files need a folder that is there")]
    NoFolder { path: PathBuf, files: usize },
    #[error("{path}: several of the files would be written to it")]
    SameTarget { path: PathBuf },
    #[error("standard output: {0}")]
    Print(#[from] io::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Does the command. What is wrong with any of the files is found before the first is touched, as far as
/// it can be.
///
/// # Errors
/// The folder can't be used; a file is not there or is not clear; reading or writing fails.
pub fn run(data_dir: &Path, command: FilesCommand) -> Result<(), FilesError> {
    // A typing mistake is no empty list.
    if !matches!(command, FilesCommand::Add { .. }) && !Folder::is_used(data_dir) {
        return Err(FilesError::NoDataDir(data_dir.to_owned()));
    }
    let index = Folder::open(data_dir)
        .and_then(|folder| Index::open(&folder))
        .map_err(FilesError::DataDir)?;
    match command {
        FilesCommand::List { json } => {
            let files = index.files()?;
            Ok(show::print(match json {
                true => show::files_json(&files)?,
                false => show::files_table(&files),
            })?)
        }
        FilesCommand::Add { sources, name } => add(&index, &sources, name.as_deref()),
        FilesCommand::Extract {
            files,
            output,
            force,
        } => extract(&index, &files, output.as_deref(), force),
        FilesCommand::Remove { files } => {
            for file in find(&index, &files)? {
                // Somebody else may have been faster.
                if playhouse_storage::remove(&index, file.number)? {
                    print("removed", &file)?;
                }
            }
            Ok(())
        }
    }
}

fn add(index: &Index, sources: &[PathBuf], name: Option<&OsStr>) -> Result<(), FilesError> {
    if name.is_some() && sources.len() != 1 {
        return Err(FilesError::OneName(sources.len()));
    }
    if let Some(name) = name
        && !(1..=MAX_FILE_NAME).contains(&name.len())
    {
        return Err(FilesError::NameLength(name.len()));
    }
    for path in sources {
        let metadata = path.metadata().map_err(|source| FilesError::Source {
            path: path.clone(),
            source,
        })?;
        if !metadata.is_file() {
            return Err(FilesError::NotRegular { path: path.clone() });
        }
        if metadata.len() > MAX_SIZE {
            return Err(FilesError::TooLarge {
                path: path.clone(),
                bytes: metadata.len(),
            });
        }
    }
    for path in sources {
        // A regular file has one.
        let name = name.or_else(|| path.file_name()).unwrap_or_default();
        let mut progress = Progress::new("adding");
        let file = playhouse_storage::add(
            index,
            path,
            name.as_bytes(),
            &mut playhouse_actors::draw_file_number,
            &mut |done, of| progress.at_bytes(done, of),
        )?;
        print("added", &file)?;
    }
    Ok(())
}

fn extract(
    index: &Index,
    files: &[OsString],
    output: Option<&Path>,
    force: bool,
) -> Result<(), FilesError> {
    let files = find(index, files)?;
    let folder = match output {
        None => Some(Path::new("")),
        Some(path) if path.is_dir() => Some(path),
        Some(path) if files.len() > 1 => {
            return Err(FilesError::NoFolder {
                path: path.to_owned(),
                files: files.len(),
            });
        }
        Some(_) => None,
    };
    let target = |file: &StoredFile| match folder {
        Some(folder) => folder.join(file.file_name()),
        None => output.unwrap_or(Path::new("")).to_owned(),
    };
    let mut targets = HashSet::new();
    for file in &files {
        let path = target(file);
        if !targets.insert(path.clone()) {
            return Err(FilesError::SameTarget { path });
        }
    }
    for file in &files {
        let path = target(file);
        let mut progress = Progress::new("extracting");
        playhouse_storage::extract(index, file, &path, force, &mut |done, of| {
            progress.at_bytes(done, of);
        })?;
        show::print(path.display())?;
    }
    Ok(())
}

/// The files that are meant, each once. A number goes before a name: anybody can call a file by another's
/// number. An empty argument is mostly a shell variable that isn't set, so it means no file.
fn find(index: &Index, wanted: &[OsString]) -> Result<Vec<StoredFile>, FilesError> {
    if wanted.iter().any(|wanted| wanted.is_empty()) {
        return Err(FilesError::Empty);
    }
    let files = index.files()?;
    let mut found: Vec<StoredFile> = Vec::new();
    for wanted in wanted {
        let number = playhouse_storage::number(wanted);
        let label = wanted.to_string_lossy();
        let by_number = files.iter().find(|file| Some(file.number) == number);
        let by_name = || {
            let same = |file: &&StoredFile| file.name == wanted.as_bytes() || file.label() == label;
            files.iter().filter(same).collect::<Vec<_>>()
        };
        let file = match by_number.map_or_else(by_name, |file| vec![file]).as_slice() {
            [] => return Err(FilesError::Unknown(shown(wanted))),
            [file] => *file,
            several => {
                let numbers: Vec<_> = several.iter().map(|file| show::number(file)).collect();
                return Err(FilesError::Ambiguous {
                    name: shown(wanted),
                    numbers: numbers.join(", "),
                });
            }
        };
        if !found.contains(file) {
            found.push(file.clone());
        }
    }
    Ok(found)
}

/// A shell puts any name that a folder has on the command line.
fn shown(text: &OsStr) -> String {
    text.to_string_lossy().escape_debug().to_string()
}

fn print(what: &str, file: &StoredFile) -> io::Result<()> {
    show::print(format!("{what} {} {}", show::number(file), file.label()))
}

//! `playhouse offer`: what lan_file offers, said beside a running server.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use playhouse_actors::SAMPLE;
use playhouse_storage::{Folder, Index, Offer, Offered, StorageError};

use crate::config::Config;
use crate::show;

/// Why nothing is changed.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    #[error("server.data_dir: {0}")]
    DataDir(#[from] StorageError),
    #[error("server.data_dir: {}: no server has been here; --data says where", .0.display())]
    NoDataDir(PathBuf),
    #[error("{}: neither a file nor the name of a file of the house", .0.display())]
    Unknown(PathBuf),
    #[error("{}: not a regular file", .0.display())]
    NotRegular(PathBuf),
    #[error("{}: {source}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{0}")]
    Output(#[from] io::Error),
}

/// Changes what is on offer as far as `file` or `reset` say so, and shows it.
///
/// # Errors
/// A file that can't be offered; a data folder that can't be read or written.
pub fn run(config: &Config, file: Option<OsString>, reset: bool) -> Result<(), OfferError> {
    let data_dir = &config.server.data_dir;
    if !Folder::is_used(data_dir) {
        return Err(OfferError::NoDataDir(data_dir.clone()));
    }
    let folder = Folder::open(data_dir)?;
    let index = Index::open(&folder)?;
    if reset {
        folder.set_offer(None)?;
    }
    if let Some(file) = file {
        let offer = checked(&index, file)?;
        folder.set_offer(Some(&offer))?;
    }
    let (offer, origin) = match folder.offer()? {
        Some(offer) => (offer, "playhouse offer"),
        None => (config.offer(), "lan_file.offer"),
    };
    let what = match index.offered(&offer)? {
        Some(Offered::Stored(file)) => {
            let number = show::number(&file);
            format!("{number} {}, {} bytes", file.label(), file.size)
        }
        Some(Offered::Path(path)) => described(&path),
        None => {
            let sample = config.server.videos_dir.join(SAMPLE);
            format!("no file in the house yet, so {}", described(&sample))
        }
    };
    let text = offer.text().to_string_lossy();
    let off = match config.settings().lan_file {
        Some(_) => "",
        None => "\nlan_file is off: lan_file.enabled",
    };
    Ok(show::print(format!(
        "{} (set by {origin}): {what}{off}",
        text.escape_debug()
    ))?)
}

/// `file` as an offer that means the same to a server with another working directory.
fn checked(index: &Index, file: OsString) -> Result<Offer, OfferError> {
    let offer = Offer::new(file);
    let path = match index.offered(&offer)? {
        Some(Offered::Path(path)) => path,
        // A newer one of the same name does not take its place.
        Some(Offered::Stored(file)) => return Ok(Offer::stored(&file)),
        None => return Ok(offer),
    };
    let unreadable = |source| OfferError::Unreadable {
        path: path.clone(),
        source,
    };
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => {
            std::fs::File::open(&path).map_err(unreadable)?;
            let absolute = std::path::absolute(&path).map_err(unreadable)?;
            Ok(Offer::new(absolute.into()))
        }
        Ok(_) => Err(OfferError::NotRegular(path)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(OfferError::Unknown(path)),
        Err(source) => Err(unreadable(source)),
    }
}

fn described(path: &Path) -> String {
    let shown = path.to_string_lossy();
    let shown = shown.escape_debug();
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => format!("{shown}, {} bytes", metadata.len()),
        Ok(_) => format!("{shown}, which is not a regular file"),
        Err(e) => format!("{shown}, which can't be read: {e}"),
    }
}

//! What lan_file offers: said in the configuration, or by a command beside the running server.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use crate::error::{At, StorageError};
use crate::folder::{Folder, PRIVATE};
use crate::index::Index;
use crate::rows::StoredFile;

const LATEST: &str = "latest";

/// What is to be offered: a path, the number or the name of a file of the house, or `latest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer(OsString);

/// A file that an [`Offer`] means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offered {
    /// A file of the house.
    Stored(StoredFile),
    /// A path, which may be missing.
    Path(PathBuf),
}

/// The number of a file, in 16 hexadecimal digits, with 0x before them or without.
pub fn number(text: &OsStr) -> Option<u64> {
    let text = text.to_str()?;
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let is_hex = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex.then(|| u64::from_str_radix(digits, 16).ok())?
}

impl Offer {
    /// What `text` says.
    pub fn new(text: OsString) -> Offer {
        Offer(text)
    }

    /// The newest file of the house.
    pub fn latest() -> Offer {
        Offer(LATEST.into())
    }

    /// This file of the house and no other.
    pub fn stored(file: &StoredFile) -> Offer {
        Offer(format!("{:016x}", file.number).into())
    }

    pub fn is_latest(&self) -> bool {
        self.0 == LATEST
    }

    /// As it was said.
    pub fn text(&self) -> &OsStr {
        &self.0
    }
}

impl Index {
    /// The file that `offer` means; `None` if it is the newest one and there is none. The number of a file of
    /// the house comes first, then a path where there is something, then a name, of the newest file that has
    /// it: whoever may add files must not take the place of the operator's.
    ///
    /// # Errors
    /// SQLite's.
    pub fn offered(&self, offer: &Offer) -> Result<Option<Offered>, StorageError> {
        if offer.is_latest() {
            return Ok(self.newest(None)?.map(Offered::Stored));
        }
        if let Some(number) = number(&offer.0)
            && let Some(file) = self.file(number)?
        {
            return Ok(Some(Offered::Stored(file)));
        }
        let (path, name) = (PathBuf::from(&offer.0), offer.0.as_bytes());
        let stored = match name.contains(&b'/') || path.exists() {
            true => None,
            false => self.newest(Some(name))?,
        };
        Ok(Some(stored.map_or(Offered::Path(path), Offered::Stored)))
    }
}

impl Folder {
    fn offer_path(&self) -> PathBuf {
        self.root().join("offer")
    }

    /// What a command has said last; `None` if the configuration holds.
    ///
    /// # Errors
    /// The system's.
    pub fn offer(&self) -> Result<Option<Offer>, StorageError> {
        let path = self.offer_path();
        match fs::read(&path) {
            Ok(text) => Ok(Some(Offer(OsString::from_vec(text)))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).at(&path, "read"),
        }
    }

    /// Says what is on offer from here on; `None`: what the configuration says.
    ///
    /// # Errors
    /// The system's; nothing is changed then.
    pub fn set_offer(&self, offer: Option<&Offer>) -> Result<(), StorageError> {
        let path = self.offer_path();
        let Some(offer) = offer else {
            return match fs::remove_file(&path) {
                Err(e) if e.kind() != ErrorKind::NotFound => Err(e).at(&path, "remove"),
                _ => Ok(()),
            };
        };
        // Whoever reads it meanwhile finds the old one or the new one, whole.
        let beside = path.with_extension(std::process::id().to_string());
        File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(PRIVATE)
            .open(&beside)
            .and_then(|mut file| {
                file.write_all(offer.0.as_bytes())
                    .and_then(|()| file.sync_all())
            })
            .and_then(|()| fs::rename(&beside, &path))
            .and_then(|()| File::open(self.root())?.sync_all())
            .at(&path, "write")
    }
}

//! The end of an upload.

use std::fs;
use std::io;
use std::time::SystemTime;

use crate::error::{At, StorageError};
use crate::folder::{length_if_there, remove_if_there, sync_folder};
use crate::index::Index;
use crate::rows::{StoredFile, UploadRow};

impl Index {
    /// Lists the file of an upload whose content is [sealed](crate::Partial::seal), and moves the content
    /// to its place. It must be in a transaction of [`Durability::Power`](crate::Durability::Power), and
    /// nobody may be told before that is committed. It can be done again after it failed, after the
    /// transaction failed, and after a crash. For an upload that is finished it gives the file.
    ///
    /// # Errors
    /// There is no such upload, or no such file any more; the content is not there or not as long as it
    /// should be; the disk refuses.
    pub fn finish_upload(
        &self,
        transaction: u64,
        sha256: [u8; 32],
    ) -> Result<StoredFile, StorageError> {
        debug_assert!(self.is_in_power(), "finish_upload outside of a transaction");
        let upload = self
            .upload(transaction)?
            .ok_or(StorageError::UnknownUpload(transaction))?;
        if upload.finished {
            return self
                .file(upload.file)?
                .ok_or(StorageError::UnknownFile(upload.file));
        }
        // The rows come first: they find out whether the place is free.
        self.savepoint(|index| {
            let file = StoredFile {
                number: upload.file,
                name: upload.name.clone(),
                size: upload.size,
                sha256,
                added_ms: now_ms(),
            };
            index.insert_file(&file)?;
            index.set_finished(transaction)?;
            index.place(&upload)?;
            Ok(file)
        })
    }

    /// Moves a part to where its content belongs, unless it is there already.
    fn place(&self, upload: &UploadRow) -> Result<(), StorageError> {
        let folder = self.folder();
        let (part, content) = (folder.part(upload.transaction), folder.content(upload.file));
        let is_part = length_if_there(&part)?.is_some();
        let path = if is_part { &part } else { &content };
        match length_if_there(path)? {
            Some(found) if found == upload.size => {}
            Some(found) => {
                return Err(StorageError::WrongSize {
                    path: path.clone(),
                    listed: upload.size,
                    found,
                });
            }
            None => return Err(io::ErrorKind::NotFound.into()).at(&part, "find"),
        }
        if is_part {
            fs::rename(&part, &content).at(&part, "move to its place")?;
        }
        sync_folder(&folder.files())?;
        sync_folder(&folder.uploads())?;
        // Nothing needs it any more: a content in its place is complete.
        remove_if_there(&folder.log(upload.transaction))
    }
}

/// Milliseconds since 1970, UTC; 0 if the clock is before that.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

//! Files as answers, whole or in ranges.

use std::io;
use std::path::PathBuf;

use actix_files::NamedFile;
use actix_web::web;

use super::error::ApiError;

/// Opens a file for an answer. `what` it is stands in the refusal if it is gone.
///
/// # Errors
/// It is not there any more, or can't be read.
pub async fn open(path: PathBuf, what: &str) -> Result<NamedFile, ApiError> {
    let opened = web::block(move || NamedFile::open(path)).await;
    match opened {
        Ok(Ok(file)) => Ok(file),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            Err(ApiError::not_found(format!("{what} is gone")))
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "{what} can't be read");
            Err(ApiError::broken(format!("{what} can't be read")))
        }
        Err(_) => Err(ApiError::internal()),
    }
}

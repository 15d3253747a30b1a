//! What sessions of the console are signed with: random bytes, made once and kept in the data folder. Who
//! removes the file signs everyone out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::house_key::write_whole;

const FILE: &str = "web_secret";
const BYTES: usize = 32;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error(
        "{path}: not {BYTES} bytes; move it away and a new one is made, which signs everyone out"
    )]
    Damaged { path: PathBuf },
}

/// The secret of this house.
pub struct Secret([u8; BYTES]);

impl Secret {
    /// That of `data_dir`, made if there is none.
    ///
    /// # Errors
    /// The file can't be read or written, or is damaged.
    pub fn of(data_dir: &Path) -> Result<Secret, SecretError> {
        let path = data_dir.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => match bytes.try_into() {
                Ok(bytes) => Ok(Secret(bytes)),
                Err(_) => Err(SecretError::Damaged { path }),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let bytes = rand::random::<[u8; BYTES]>();
                write_whole(&path, &bytes).map_err(|source| SecretError::File { path, source })?;
                Ok(Secret(bytes))
            }
            Err(source) => Err(SecretError::File { path, source }),
        }
    }

    /// The beginning of a signature for one `purpose`, of what is added to it.
    pub fn sign(&self, purpose: &'static str) -> Hmac<Sha256> {
        // A key of any length is one; this never fails.
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0)
            .unwrap_or_else(|_| <Hmac<Sha256> as Mac>::new(&Default::default()));
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac
    }

    /// One that no file has.
    #[cfg(test)]
    pub fn new() -> Secret {
        Secret(rand::random())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Secret::of(folder.path()).unwrap();
        assert_eq!(Secret::of(folder.path()).unwrap().0, first.0);
        let path = folder.path().join(FILE);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(&path, "short").unwrap();
        let error = Secret::of(folder.path()).err().unwrap().to_string();
        assert!(error.contains(FILE), "{error}");
    }
}

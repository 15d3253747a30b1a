//! The key pairs of the house, that chatroom greets with and that stand-ins share: made once, kept in the
//! data folder.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPublicKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rsa::rand_core::OsRng;

/// What chatroom greets with.
const GREETING: KeyFile = KeyFile {
    name: "chatroom_key.pem",
    bits: 2048,
};

/// A key pair of the data folder.
#[derive(Debug, Clone, Copy)]
pub struct KeyFile {
    pub name: &'static str,
    /// Of one that has to be made.
    pub bits: usize,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum HouseKeyError {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error(
        "{path}: no RSA private key in PKCS#8 PEM: {reason}; move it away and a new one is made"
    )]
    Damaged { path: PathBuf, reason: String },
    #[error("an RSA key can't be made: {0}")]
    Generate(String),
}

/// The public key of the house as chatroom greets with it: PKCS#1 PEM.
///
/// # Errors
/// The file can't be read, written or understood.
pub fn public_pem(data_dir: &Path) -> Result<Bytes, HouseKeyError> {
    let pem = key(data_dir, GREETING)?
        .to_public_key()
        .to_pkcs1_pem(LineEnding::LF)
        .map_err(|e| HouseKeyError::Generate(e.to_string()))?;
    Ok(pem.into())
}

/// The key pair in `file` of the data folder, which is made if it is missing.
///
/// # Errors
/// The file can't be read, written or understood.
pub fn key(data_dir: &Path, file: KeyFile) -> Result<RsaPrivateKey, HouseKeyError> {
    let path = data_dir.join(file.name);
    match fs::read_to_string(&path) {
        Ok(pem) => RsaPrivateKey::from_pkcs8_pem(&pem).map_err(|e| HouseKeyError::Damaged {
            path,
            reason: e.to_string(),
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            tracing::info!(path = %path.display(), "makes a key");
            generate(&path, file.bits)
        }
        Err(source) => Err(HouseKeyError::File { path, source }),
    }
}

fn generate(path: &Path, bits: usize) -> Result<RsaPrivateKey, HouseKeyError> {
    let failed = |e: &dyn std::fmt::Display| HouseKeyError::Generate(e.to_string());
    let key = RsaPrivateKey::new(&mut OsRng, bits).map_err(|e| failed(&e))?;
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|e| failed(&e))?;
    write_whole(path, pem.as_bytes()).map_err(|source| HouseKeyError::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(key)
}

/// Written beside and renamed, readable by the owner alone: there is never half a key.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_a_damaged_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let first = public_pem(dir.path()).unwrap();
        assert!(first.starts_with(b"-----BEGIN RSA PUBLIC KEY-----\n"));
        assert_eq!(public_pem(dir.path()).unwrap(), first);
        fs::write(dir.path().join(GREETING.name), "no key").unwrap();
        let error = public_pem(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains(GREETING.name) && error.contains("PKCS#8"),
            "{error}"
        );
    }
}

//! SHA-256.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

/// What is read at once: small enough to stay in a core's cache until it is hashed.
const READ: u64 = 64 * 1024;

/// Bytes as hexadecimal digits.
pub(crate) struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The hash of a file's beginning.
#[derive(Debug, Default)]
pub(crate) struct PrefixHash {
    hasher: Sha256,
    done: u64,
}

impl PrefixHash {
    /// How many bytes are hashed.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Hashes on to byte `end`. After an error it can be tried again.
    ///
    /// # Errors
    /// The file's, and its end if that comes too early.
    pub fn advance(&mut self, file: &File, end: u64) -> io::Result<()> {
        let mut buffer = Vec::new();
        while self.done < end {
            let step = (end - self.done).min(READ);
            buffer.resize(usize::try_from(step).map_err(io::Error::other)?, 0);
            file.read_exact_at(&mut buffer, self.done)?;
            self.hasher.update(&buffer);
            self.done += step;
        }
        Ok(())
    }

    /// The hash of the bytes so far.
    pub fn value(&self) -> [u8; 32] {
        self.hasher.clone().finalize().into()
    }
}

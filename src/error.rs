//! Why a house is not open.

use std::fmt;
use std::io;

use crate::config::ConfigError;
use crate::serve::ServeError;

/// Why a house is not open. Its `Debug` is for people, like its `Display`, so that a `main` may just return
/// it.
#[non_exhaustive]
pub enum Error {
    /// What is wrong with the configuration, or with what the program adds to the house: each fault with
    /// its key and where it was set.
    Config(Vec<String>),
    /// A folder, a file, a port or something else of the system that the house needs and can't have.
    Open(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub(crate) fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::Open(Box::new(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(faults) => f.write_str(&faults.join("\n")),
            Error::Open(error) => write!(f, "{error}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for Error {}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Error {
        Error::Config(error.0)
    }
}

impl From<ServeError> for Error {
    fn from(error: ServeError) -> Error {
        Error::other(error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::other(error)
    }
}

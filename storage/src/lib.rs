//! Files that outlive a restart: which there are, their contents, transfers that are under way and the
//! sessions they belong to.
//!
//! An upload's way through this crate: [`Index::insert_upload`] notes it → [`Partial`] takes its chunks in
//! any order and knows after a restart which are there ([`Received`]) → [`Partial::seal`] hashes the whole
//! and syncs it to the disk → [`Index::finish_upload`] moves it to its place and lists it, in one
//! transaction. [`Index::tidy`] removes what a crash left.
//!
//! Under `server.data_dir`:
//!
//! | path | what it is |
//! |---|---|
//! | `house.db` | the [`Index`], a SQLite database in WAL mode |
//! | `lock` | held by the server that is open ([`Folder::lock`]) |
//! | `offer` | what lan_file offers, if a command has said it ([`Offer`]) |
//! | `files/<number>` | contents, by the file's number in 16 hexadecimal digits |
//! | `uploads/<transaction>.part`, `.log` | what an unfinished upload brought, and which chunks that is |
//! | `uploads/<random>.add` | what [`add`] copies, locked as long as it does |
//!
//! A name that a client gave is only a label: no path is ever made of it here. This is the only crate that
//! links SQLite; it knows no actors, no threads and no sockets. A server and any number of commands may
//! work on the same folder at once.

mod error;
mod finish;
mod folder;
mod hash;
mod history;
mod index;
mod label;
mod manage;
mod offer;
mod partial;
mod received;
mod rows;
mod tidy;

pub use error::StorageError;
pub use finish::now_ms;
pub use folder::{Folder, Lock, free_bytes};
pub use history::HistoryRow;
pub use index::{Durability, Index};
pub use manage::{add, extract, remove};
pub use offer::{Offer, Offered, number};
pub use partial::Partial;
pub use received::Received;
pub use rows::{DownloadRow, FILE_OVERHEAD, SessionRow, StoredFile, UploadRow};
pub use tidy::Tidied;

/// Bytes of a transfer's chunk; the last one of a file may be shorter.
pub const CHUNK: u32 = 256;

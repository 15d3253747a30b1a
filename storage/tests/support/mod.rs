//! A folder that goes away, and rows to put into it.

// Each test program uses its own part.
#![allow(dead_code)]

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use playhouse_storage::{CHUNK, Folder, Index, Partial, StoredFile, UploadRow};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

pub const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub struct Place {
    pub dir: TempDir,
    pub folder: Folder,
    pub index: Index,
}

impl Place {
    pub fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(&dir.path().join("data")).unwrap();
        let index = Index::open(&folder).unwrap();
        Place { dir, folder, index }
    }

    /// What is in `files/` and in `uploads/`, sorted.
    pub fn names(&self) -> Vec<String> {
        let data = self.dir.path().join("data");
        let mut names = [names(&data.join("files")), names(&data.join("uploads"))].concat();
        names.sort();
        names
    }

    pub fn path(&self, below: &str) -> std::path::PathBuf {
        self.dir.path().join("data").join(below)
    }

    /// An upload of these bytes, begun and received whole.
    pub fn received(&self, transaction: u64, bytes: &[u8]) -> (UploadRow, Partial) {
        let row = upload(transaction, bytes.len() as u64);
        self.index.insert_upload(&row).unwrap();
        let mut partial = Partial::open(&self.folder, &row).unwrap();
        partial.write(&chunks(bytes)).unwrap();
        (row, partial)
    }

    /// A file of these bytes, added from outside.
    pub fn added(&self, number: u64, name: &[u8], bytes: &[u8]) -> StoredFile {
        let source = self.dir.path().join("source");
        fs::write(&source, bytes).unwrap();
        let draw = &mut || number;
        playhouse_storage::add(&self.index, &source, name, draw, &mut |_, _| {}).unwrap()
    }
}

pub fn names(dir: &Path) -> Vec<String> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Who may do what with it.
pub fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

pub fn upload(transaction: u64, size: u64) -> UploadRow {
    UploadRow {
        transaction,
        session: 7,
        address: HERE,
        file: transaction + 1000,
        size,
        name: b"../../x\xff".to_vec(),
        begun_ms: 1,
        finished: false,
    }
}

/// Bytes in which every chunk is another one.
pub fn content(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i / 256 * 31 + i) as u8).collect()
}

pub fn chunks(bytes: &[u8]) -> Vec<(u32, &[u8])> {
    (0..).zip(bytes.chunks(CHUNK as usize)).collect()
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

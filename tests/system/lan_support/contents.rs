//! Contents of files that are known by their position: whoever reads them sees at once what is wrong,
//! without a second copy to compare with.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Each block begins with bytes that no other has, …
const BLOCK: u64 = 64 * 1024;
/// … so many, and goes on with zeros, which take no place on the disk.
const STAMP: u64 = 4096;

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// In bytes.
    pub size: u64,
    /// Versions have no block in common.
    pub version: u64,
}

impl Content {
    pub fn new(size: u64) -> Content {
        Content { size, version: 1 }
    }

    /// The bytes at `at`, as many as there are up to the end of their block and of the file.
    fn block(self, number: u64) -> Vec<u8> {
        let length = BLOCK.min(self.size - number * BLOCK);
        let words = (0..STAMP / 8).flat_map(|word| {
            let mixed = mix(mix(self.version << 40 | number) ^ word);
            mixed.to_le_bytes()
        });
        let mut block: Vec<u8> = words.collect();
        block.resize(usize::try_from(BLOCK).unwrap(), 0);
        block.truncate(usize::try_from(length).unwrap());
        block
    }

    /// All of it.
    pub fn bytes(self) -> Vec<u8> {
        (0..self.size.div_ceil(BLOCK))
            .flat_map(|number| self.block(number))
            .collect()
    }

    /// Writes it to a file that was changed last long ago.
    pub fn write(self, path: &Path) {
        let file = File::create(path).unwrap();
        self.write_into(&file);
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        file.set_modified(long_ago).unwrap();
    }

    /// Writes it over a file, in place.
    pub fn overwrite(self, path: &Path) {
        self.write_into(&File::options().write(true).open(path).unwrap());
    }

    /// Puts it at `path` as a new file, under a name that has another file until then.
    pub fn replace(self, path: &Path) {
        let beside = path.with_extension("new");
        self.write(&beside);
        fs::rename(beside, path).unwrap();
    }

    fn write_into(self, file: &File) {
        for number in 0..self.size.div_ceil(BLOCK) {
            let block = self.block(number);
            let stamp = &block[..block.len().min(usize::try_from(STAMP).unwrap())];
            file.write_all_at(stamp, number * BLOCK).unwrap();
        }
        file.set_len(self.size).unwrap();
    }
}

/// Splitmix: all that matters is that no two are alike.
pub fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Compares what comes with what has to come, as it comes.
pub struct Comparison {
    content: Content,
    came: u64,
    block: Vec<u8>,
    number: Option<u64>,
}

impl Comparison {
    pub fn new(content: Content) -> Comparison {
        Comparison {
            content,
            came: 0,
            block: Vec::new(),
            number: None,
        }
    }

    pub fn came(&self) -> u64 {
        self.came
    }

    pub fn next(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            assert!(self.came < self.content.size, "more than there is");
            let number = self.came / BLOCK;
            if self.number != Some(number) {
                (self.block, self.number) = (self.content.block(number), Some(number));
            }
            let within = usize::try_from(self.came % BLOCK).unwrap();
            let length = bytes.len().min(self.block.len() - within);
            let same = bytes[..length] == self.block[within..within + length];
            assert!(same, "{:?} differs at {}", self.content, self.came);
            self.came += length as u64;
            bytes = &bytes[length..];
        }
    }
}

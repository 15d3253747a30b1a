//! Pickled pictures: as numpy writes them, as nobody should, and as JPEGs.

mod allocations;
mod arrays;
mod damaged;
mod jpegs;
mod opcodes;
mod real;
mod refused;
mod refusing;
mod round_trip;
mod writer;

use std::fs;
use std::path::Path;

use playhouse_media::{Channels, PickledFrame};

/// What `make_pickles.py` has written to `folder`, by name.
fn fixtures(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/pickles")
        .join(folder);
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut fixtures: Vec<_> = files
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    fixtures.sort();
    assert!(fixtures.len() >= 40);
    fixtures
}

/// The byte of the pictures that `make_pickles.py` writes.
fn pixel(y: usize, x: usize, channel: usize) -> u8 {
    ((37 * y + 11 * x + 101 * channel + 7) % 256) as u8
}

fn picture(height: usize, width: usize, channels: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for y in 0..height {
        for x in 0..width {
            bytes.extend((0..channels).map(|channel| pixel(y, x, channel)));
        }
    }
    bytes
}

/// What holds of every frame, whatever pickle it came out of.
fn check_invariants(frame: &PickledFrame<'_>) {
    let sides = 1..=playhouse_media::MAX_SIDE;
    assert!(sides.contains(&frame.width) && sides.contains(&frame.height));
    let channels = match frame.channels {
        Channels::Grey => 1,
        Channels::Bgr => 3,
    };
    let size = frame.width as usize * frame.height as usize * channels;
    assert_eq!(frame.pixels.len(), size);
}

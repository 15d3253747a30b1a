//! How fast this machine decodes a video and makes JPEGs of it, or of a pickled picture (`*.pickle`):
//! `cargo run --release -p playhouse-media --example speed -- FILE`

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

use playhouse_media::{Clip, ClipDecoder, JpegEncoder, read_pickled_frame};

const QUALITY: u8 = 80;

fn main() -> Result<(), Box<dyn Error>> {
    playhouse_media::init();
    let path = env::args_os().nth(1).ok_or("name a file")?;
    if Path::new(&path)
        .extension()
        .is_some_and(|it| it == "pickle")
    {
        return measure_pickle(&fs::read(path)?);
    }
    let begin = Instant::now();
    let clip = Arc::new(Clip::probe(Path::new(&path))?);
    let (width, height, frames) = (clip.width, clip.height, clip.frame_count());
    println!(
        "{width} × {height}, {frames} frames, probed in {:.1?}",
        begin.elapsed()
    );

    for threads in [1, 2] {
        let mut decoder = ClipDecoder::open(clip.clone(), threads)?;
        let begin = Instant::now();
        let decoded = std::iter::from_fn(|| decoder.next()).count();
        println!(
            "decode, {threads} threads: {:.0} f/s",
            decoded as f64 / begin.elapsed().as_secs_f64()
        );
    }

    let mut decoder = ClipDecoder::open(clip.clone(), 1)?;
    let pictures: Vec<_> = std::iter::from_fn(|| decoder.next()).take(20).collect();
    let mut encoder = JpegEncoder::new(QUALITY)?;
    let (mut encoded, mut bytes, begin) = (0, 0, Instant::now());
    while begin.elapsed().as_secs_f64() < 2.0 {
        for picture in &pictures {
            bytes += encoder.encode(picture)?.len();
            encoded += 1;
        }
    }
    let rate = f64::from(encoded) / begin.elapsed().as_secs_f64();
    println!(
        "JPEG: {rate:.0} f/s, {} bytes each",
        bytes / encoded as usize
    );

    let mut decoder = ClipDecoder::open(clip, 1)?;
    let (sender, pictures) = sync_channel(4);
    let begin = Instant::now();
    let decoding = thread::spawn(move || {
        while let Some(picture) = decoder.next() {
            if sender.send(picture).is_err() {
                break;
            }
        }
    });
    for picture in pictures {
        encoder.encode(&picture)?;
    }
    decoding
        .join()
        .map_err(|_| "the decoder's thread panicked")?;
    let rate = f64::from(frames) / begin.elapsed().as_secs_f64();
    println!("decode and JPEG on two threads: {rate:.0} f/s");
    Ok(())
}

fn measure_pickle(pickle: &[u8]) -> Result<(), Box<dyn Error>> {
    const ROUNDS: u32 = 100;
    let frame = read_pickled_frame(pickle)?;
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        read_pickled_frame(std::hint::black_box(pickle))?;
    }
    let read = begin.elapsed() / ROUNDS;
    let mut encoder = JpegEncoder::new(QUALITY)?;
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        encoder.encode_frame(&frame)?;
    }
    let encoded = begin.elapsed() / ROUNDS;
    let (width, height) = (frame.width, frame.height);
    println!("{width} × {height}: read in {read:.1?}, made a JPEG in {encoded:.1?}");
    Ok(())
}

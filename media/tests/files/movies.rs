//! Recording, and what this crate's own decoder then finds in the file.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use playhouse_media::{Clip, ClipDecoder, MovieWriter};
use tempfile::TempDir;
use turbojpeg::{Compressor, PixelFormat, Subsamp};

use crate::common::*;

pub type Rgb = [u8; 3];

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A JPEG with a colour for each pixel.
pub fn painted(
    width: usize,
    height: usize,
    kind: Subsamp,
    colour: impl Fn(usize, usize) -> Rgb,
) -> Vec<u8> {
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(95).unwrap();
    compressor.set_subsamp(kind).unwrap();
    let rows = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let pixels: Vec<u8> = rows.flat_map(|(x, y)| colour(x, y)).collect();
    let image = turbojpeg::Image {
        pixels: &pixels[..],
        width,
        pitch: width * 3,
        height,
        format: PixelFormat::RGB,
    };
    compressor.compress_to_vec(image).unwrap()
}

fn plain(width: usize, height: usize, colour: Rgb) -> Vec<u8> {
    painted(width, height, Subsamp::Sub2x2, |_, _| colour)
}

/// A slope that moves with `i`.
pub fn slope(width: usize, height: usize, i: usize) -> Vec<u8> {
    painted(width, height, Subsamp::Sub2x2, |x, y| slope_at(x, y, i))
}

fn slope_at(x: usize, y: usize, i: usize) -> Rgb {
    let up_and_down = |n: usize| n.abs_diff(n / 512 * 512 + 256).min(255) as u8;
    [up_and_down(x + i * 3), up_and_down(y * 2 + i), 80]
}

/// A film of these JPEGs, shown at these times.
pub fn film(
    width: u32,
    height: u32,
    pictures: &[(Vec<u8>, u64)],
    end: u64,
) -> (TempDir, Arc<Clip>) {
    playhouse_media::init();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("clip.mp4");
    let mut movie = MovieWriter::create(&path, width, height).unwrap();
    for (jpeg, at) in pictures {
        movie.write(jpeg, ms(*at)).unwrap();
    }
    let (width, height) = (movie.width(), movie.height());
    movie.finish(ms(end)).unwrap();
    let clip = Clip::probe(&path).unwrap();
    assert_eq!((clip.width, clip.height), (width, height));
    assert_eq!(clip.warnings, Vec::<String>::new());
    (dir, Arc::new(clip))
}

pub fn images(clip: &Arc<Clip>) -> Vec<image::RgbImage> {
    let mut decoder = ClipDecoder::open(clip.clone(), 1).unwrap();
    let pictures = std::iter::from_fn(|| decoder.next());
    let images = pictures.map(|picture| {
        assert!(!picture.repeated());
        decoded(&picture)
    });
    images.collect()
}

pub fn times(clip: &Clip) -> Vec<u64> {
    let times = (0..clip.frame_count()).map(|i| clip.frame_time(i).as_millis() as u64);
    times.collect()
}

/// What the file's index says, in milliseconds.
fn promised_length(clip: &Clip) -> u64 {
    let bytes = fs::read(&clip.path).unwrap();
    let at = bytes.windows(4).rposition(|name| name == b"mvhd").unwrap() + 4;
    let word = |i: usize| u32::from_be_bytes(bytes[at + i..at + i + 4].try_into().unwrap());
    assert_eq!((word(0) >> 24, word(12)), (0, 1000));
    word(16).into()
}

fn mean_difference(image: &image::RgbImage, wanted: impl Fn(usize, usize) -> Rgb) -> f64 {
    let pixels = image.enumerate_pixels().flat_map(|(x, y, pixel)| {
        let wanted = wanted(x as usize, y as usize);
        (0..3).map(move |i| f64::from(pixel.0[i].abs_diff(wanted[i])))
    });
    pixels.sum::<f64>() / f64::from(image.width() * image.height() * 3)
}

#[test]
fn a_film_has_the_pictures_that_were_written_at_their_times() {
    let pictures: Vec<_> = (0..60)
        .map(|i| (slope(230, 230, i), i as u64 * 40))
        .collect();
    let (_dir, clip) = film(230, 230, &pictures, 2400);
    assert_eq!(
        (clip.width, clip.height, clip.frame_count()),
        (230, 230, 60)
    );
    assert_eq!(times(&clip), (0..60).map(|i| i * 40).collect::<Vec<_>>());
    assert_eq!((promised_length(&clip), clip.duration), (2400, ms(2400)));
    for (i, image) in images(&clip).iter().enumerate() {
        let difference = mean_difference(image, |x, y| slope_at(x, y, i));
        assert!(difference < 4.0, "{i}: {difference}");
    }
}

#[test]
fn sides_are_even_and_not_below_16() {
    for (width, height, expected) in [
        (231, 229, (230, 228)),
        (230, 229, (230, 228)),
        (33, 64, (32, 64)),
        (17, 16, (16, 16)),
        (1, 1, (16, 16)),
        (1, 40, (16, 40)),
        (15, 3, (16, 16)),
    ] {
        let pictures = [0, 1, 2].map(|i| (slope(width, height, i), i as u64 * 100));
        let (_dir, clip) = film(width as u32, height as u32, &pictures, 300);
        assert_eq!((clip.width, clip.height), expected);
        assert_eq!(clip.frame_count(), 3);
        for (i, image) in images(&clip).iter().enumerate() {
            if width >= 16 && height >= 16 {
                let difference = mean_difference(image, |x, y| slope_at(x, y, i));
                assert!(difference < 5.0, "{width} × {height}: {difference}");
            }
        }
    }
}

#[test]
fn black_stays_black_white_white_and_colours_what_they_are() {
    let colours = [
        [0, 0, 0],
        [255, 255, 255],
        [128, 128, 128],
        [255, 0, 0],
        [0, 255, 0],
        [0, 0, 255],
        [30, 200, 120],
    ];
    for kind in [
        Subsamp::Sub2x2,
        Subsamp::None,
        Subsamp::Sub2x1,
        Subsamp::Sub1x2,
        Subsamp::Sub4x1,
        Subsamp::Sub1x4,
    ] {
        let pictures: Vec<_> = (0..)
            .zip(colours)
            .map(|(i, colour)| (painted(51, 37, kind, |_, _| colour), i * 1000))
            .collect();
        let (_dir, clip) = film(51, 37, &pictures, 7000);
        for (image, colour) in images(&clip).iter().zip(colours) {
            let grey = colour.iter().all(|&channel| channel == colour[0]);
            let limit = if grey { 1.5 } else { 4.0 };
            let difference = mean_difference(image, |_, _| colour);
            assert!(difference <= limit, "{kind:?}, {colour:?}: {difference}");
        }
    }
}

#[test]
fn grey_and_progressive_pictures_are_recorded() {
    let grey = painted(64, 48, Subsamp::Gray, |_, _| [200; 3]);
    let mut compressor = Compressor::new().unwrap();
    compressor.set_progressive(true).unwrap();
    let image = turbojpeg::Image {
        pixels: &[60; 64 * 48 * 3][..],
        width: 64,
        pitch: 64 * 3,
        height: 48,
        format: PixelFormat::RGB,
    };
    let progressive = compressor.compress_to_vec(image).unwrap();
    let (_dir, clip) = film(64, 48, &[(grey, 0), (progressive, 500)], 1000);
    for (image, level) in images(&clip).iter().zip([200, 60]) {
        let difference = mean_difference(image, |_, _| [level; 3]);
        assert!(difference < 2.0, "{level}: {difference}");
    }
}

#[test]
fn pictures_of_other_sizes_are_scaled() {
    let left = |width: usize| move |x: usize, _| if x < width / 2 { [250; 3] } else { [5; 3] };
    let sizes = [
        (230, 230),
        (64, 48),
        (1, 1),
        (640, 480),
        (231, 17),
        (2000, 3),
        (230, 230),
    ];
    let pictures: Vec<_> = (0..)
        .zip(sizes)
        .map(|(i, (width, height))| {
            (
                painted(width, height, Subsamp::Sub2x2, left(width)),
                i * 1000,
            )
        })
        .collect();
    let (_dir, clip) = film(230, 230, &pictures, 7000);
    let images = images(&clip);
    assert_eq!(images.len(), sizes.len());
    for (image, size) in images.iter().zip(sizes) {
        assert_eq!((image.width(), image.height()), (230, 230));
        if size.0 > 1 {
            let difference = mean_difference(image, left(230));
            assert!(difference < 4.0, "{size:?}: {difference}");
        }
    }
}

#[test]
fn times_that_dont_go_on_are_moved_by_a_millisecond() {
    let given = [0, 0, 0, 2, 1, 1000, 1000, 900, 1003, 1002];
    let pictures: Vec<_> = (0..)
        .zip(given)
        .map(|(i, at)| (slope(32, 32, i), at))
        .collect();
    let (_dir, clip) = film(32, 32, &pictures, 1500);
    assert_eq!(times(&clip), [0, 1, 2, 3, 4, 1000, 1001, 1002, 1003, 1004]);
    assert_eq!(promised_length(&clip), 1500);
}

#[test]
fn the_first_picture_is_shown_from_the_start_and_the_last_in_any_case() {
    let pictures = [(slope(32, 32, 0), 700), (slope(32, 32, 1), 900)];
    let (_dir, clip) = film(32, 32, &pictures, 100);
    assert_eq!(times(&clip), [0, 900]);
    assert_eq!(promised_length(&clip), 901);
}

#[test]
fn a_single_picture_stays_until_the_end() {
    for end in [1, 40, 3000, 100_000_000] {
        let (_dir, clip) = film(32, 32, &[(slope(32, 32, 0), 0)], end);
        assert_eq!((clip.frame_count(), promised_length(&clip)), (1, end));
        assert_eq!(images(&clip).len(), 1);
    }
}

#[test]
fn a_key_frame_comes_every_two_seconds_at_any_rate() {
    for gap in [17, 33, 40, 100, 700, 1999, 2000, 2500, 5000] {
        let count = (6500 / gap).max(4);
        let pictures: Vec<_> = (0..count)
            .map(|i| (slope(32, 32, i as usize), i * gap))
            .collect();
        let (_dir, clip) = film(32, 32, &pictures, count * gap);
        assert_eq!(
            times(&clip),
            (0..count).map(|i| i * gap).collect::<Vec<_>>()
        );
        assert_eq!(promised_length(&clip), count * gap);
        for i in 0..clip.frame_count() {
            let key = clip.key_frame_before(i);
            let since = clip.frame_time(i) - clip.frame_time(key);
            assert!(i == key || since < ms(2000), "{gap}: {i}, {since:?}");
        }
        // And not each is one, at usual rates.
        assert!(gap > 1000 || clip.key_frame_before(1) == 0, "{gap}");
    }
}

/// Compresses badly.
pub fn noisy(which: u32) -> Vec<u8> {
    let random = move |x: usize, y: usize| {
        let n = (x as u32)
            .wrapping_add((y as u32) << 10)
            .wrapping_add(which << 20);
        [(n.wrapping_mul(2_654_435_761) >> 13) as u8; 3]
    };
    painted(320, 240, Subsamp::Sub2x2, random)
}

#[test]
fn bytes_are_counted_as_they_are_written() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("clip.mp4");
    fs::write(&path, vec![1; 10_000_000]).unwrap();
    let mut movie = MovieWriter::create(&path, 320, 240).unwrap();
    assert!(movie.bytes() < 1000, "{}", movie.bytes());
    let mut before = movie.bytes();
    for i in 0..20 {
        movie.write(&noisy(i), ms(u64::from(i) * 40)).unwrap();
        // The last one waits for its duration.
        assert!(i < 2 || movie.bytes() > before + 1000);
        before = movie.bytes();
    }
    movie.finish(ms(800)).unwrap();
    let bytes = fs::metadata(&path).unwrap().len();
    assert!(
        bytes > before && bytes < before * 11 / 10 + 2000,
        "{before}, then {bytes}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn one_that_is_dropped_lets_go_of_its_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("clip.mp4");
    let open = || {
        let all = fs::read_dir("/proc/self/fd").unwrap();
        let mut targets = all.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        targets.any(|target| target == fs::canonicalize(&path).unwrap())
    };
    let mut movie = MovieWriter::create(&path, 32, 32).unwrap();
    movie.write(&slope(32, 32, 0), ms(0)).unwrap();
    assert!(open());
    drop(movie);
    assert!(!open());
}

#[test]
fn a_writer_moves_between_threads() {
    fn check<T: Send>() {}
    check::<MovieWriter>();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("clip.mp4");
    let mut movie = MovieWriter::create(&path, 32, 32).unwrap();
    movie.write(&plain(32, 32, [9; 3]), ms(0)).unwrap();
    let finished = std::thread::spawn(move || {
        movie.write(&plain(32, 32, [99; 3]), ms(10)).unwrap();
        movie.finish(ms(20))
    });
    finished.join().unwrap().unwrap();
    assert_eq!(Clip::probe(&path).unwrap().frame_count(), 2);
}

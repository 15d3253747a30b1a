//! Recording what can't be recorded, and where it can't be written.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use playhouse_media::{Clip, MAX_MOVIE, MAX_SIDE, MovieError, MovieWriter, PictureError};
use tempfile::TempDir;
use turbojpeg::{Colorspace, Compressor, PixelFormat, Subsamp};

use crate::common::*;
use crate::movies::{film, images, ms, noisy, slope, times};

#[test]
fn a_bad_picture_leaves_the_film_whole() {
    playhouse_media::init();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("clip.mp4");
    let mut movie = MovieWriter::create(&path, 64, 48).unwrap();
    let good = slope(64, 48, 0);
    let mut huge = good.clone();
    let frame = marker(&good, 0xc0);
    huge[frame + 5..frame + 9].fill(0xff);
    let mut bad_tables = good.clone();
    let tables = marker(&good, 0xc4);
    bad_tables[tables + 5..tables + 21].fill(0xff);
    let mut no_tables = good.clone();
    while let Some(tables) = no_tables.windows(2).position(|bytes| bytes == [0xff, 0xdb]) {
        no_tables[tables + 1] = 0xfe;
    }
    let bad = [
        b"".to_vec(),
        b"GIF89a".to_vec(),
        good[..good.len() - 1].to_vec(),
        bad_tables,
        no_tables,
        many_scans(),
        huge,
        cmyk(),
    ];
    for (i, bad) in (0..).zip(&bad) {
        movie.write(&good, ms(i * 100)).unwrap();
        let error = movie
            .write(bad, ms(i * 100 + 50))
            .expect_err(&format!("picture {i}"));
        let matches = match (i, &error) {
            (0..=5, MovieError::BadPicture { source, .. }) => {
                matches!(source, PictureError::NotJpeg(_))
            }
            (6, MovieError::BadPicture { source, .. }) => {
                matches!(source, PictureError::Dimensions { .. })
            }
            (_, MovieError::BadPicture { source, .. }) => {
                matches!(source, PictureError::Undecodable(_))
            }
            _ => false,
        };
        assert!(matches, "{i}: {error}");
    }
    for at in [MAX_MOVIE + ms(1), Duration::MAX] {
        let error = movie.write(&good, at).unwrap_err();
        let source = PictureError::Late;
        assert_eq!(
            error.to_string(),
            MovieError::BadPicture { at, source }.to_string()
        );
    }
    movie.finish(ms(800)).unwrap();
    let clip = Arc::new(Clip::probe(&path).unwrap());
    assert_eq!(times(&clip), [0, 100, 200, 300, 400, 500, 600, 700]);
    assert_eq!(images(&clip).len(), 8);
}

fn cmyk() -> Vec<u8> {
    let mut compressor = Compressor::new().unwrap();
    compressor.set_subsamp(Subsamp::None).unwrap();
    compressor.set_colorspace(Colorspace::CMYK).unwrap();
    let image = turbojpeg::Image {
        pixels: &[7; 64 * 48 * 4][..],
        width: 64,
        pitch: 64 * 4,
        height: 48,
        format: PixelFormat::CMYK,
    };
    compressor.compress_to_vec(image).unwrap()
}

/// A progressive JPEG whose last scan comes again and again, as no encoder does it.
fn many_scans() -> Vec<u8> {
    let mut compressor = Compressor::new().unwrap();
    compressor.set_progressive(true).unwrap();
    let image = turbojpeg::Image {
        pixels: &[7; 64 * 48 * 3][..],
        width: 64,
        pitch: 64 * 3,
        height: 48,
        format: PixelFormat::RGB,
    };
    let jpeg = compressor.compress_to_vec(image).unwrap();
    let last = jpeg
        .windows(2)
        .rposition(|bytes| bytes == [0xff, 0xda])
        .unwrap();
    let (head, scan) = jpeg[..jpeg.len() - 2].split_at(last);
    [head, &scan.repeat(1000), &[0xff, 0xd9]].concat()
}

#[test]
fn damage_in_a_picture_doesnt_end_the_film() {
    let good = slope(160, 120, 0);
    let mut damaged = good.clone();
    let scan = marker(&good, 0xda);
    for i in (scan + 100..damaged.len() - 20).step_by(31) {
        if !damaged[i - 1..=i].contains(&0xff) {
            damaged[i] ^= u8::from(damaged[i] != 0xaa) * 0x55;
        }
    }
    let pictures = [(good.clone(), 0), (damaged, 100), (good, 200)];
    let (_dir, clip) = film(160, 120, &pictures, 300);
    assert_eq!(images(&clip).len(), 3);
}

#[test]
fn sizes_that_are_none_are_refused() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("clip.mp4");
    for (width, height) in [(0, 10), (10, 0), (MAX_SIDE + 1, 10), (10, u32::MAX)] {
        let error = MovieWriter::create(&path, width, height).err().unwrap();
        assert!(matches!(error, MovieError::Dimensions { .. }), "{error}");
    }
    assert!(!path.exists());
}

#[test]
fn a_file_that_cant_be_made_is_an_error_of_the_file() {
    let dir = TempDir::new().unwrap();
    let missing = dir.path().join("missing/clip.mp4");
    for (path, kind) in [
        (missing.as_path(), ErrorKind::NotFound),
        (dir.path(), ErrorKind::IsADirectory),
    ] {
        match MovieWriter::create(path, 32, 32).err().unwrap() {
            MovieError::File {
                path: named,
                source,
            } => {
                assert_eq!((named.as_path(), source.kind()), (path, kind));
            }
            error => panic!("{error}"),
        }
    }
}

/// `/dev/full` is a disk without room.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_noticed_at_the_end_at_the_latest() {
    let record = |pictures: usize| {
        let mut movie = MovieWriter::create(Path::new("/dev/full"), 320, 240)?;
        for i in 0..pictures {
            movie.write(&noisy(i as u32), ms(i as u64 * 40))?;
        }
        movie.finish(ms(10_000))
    };
    for pictures in [0, 1, 30] {
        match record(pictures).unwrap_err() {
            MovieError::File { source, .. } => assert_eq!(source.kind(), ErrorKind::StorageFull),
            error => panic!("{error}"),
        }
    }
}

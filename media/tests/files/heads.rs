//! `inspect_jpeg` on JPEGs of other people's encoders, whole, cut, and damaged.

use image::{ExtendedColorType, codecs::jpeg::JpegEncoder as ImageEncoder};
use playhouse_media::{ClipDecoder, JpegEncoder, JpegRule, JpegShape, NotJpeg, inspect_jpeg};
use proptest::prelude::*;
use turbojpeg::{Colorspace, Compressor, Subsamp};

use crate::common::*;

const KINDS: [&str; 10] = [
    "ours",
    "ffmpeg",
    "image",
    "image, grey",
    "progressive",
    "optimized",
    "grey",
    "4:4:4",
    "CMYK",
    "restarts",
];

/// A JPEG of 37 × 21 pixels.
pub fn jpeg(kind: &str) -> Vec<u8> {
    match kind {
        "ours" => {
            let (_dir, clip) = clip(&video("testsrc=s=37x21:d=1", &["-c:v", "mpeg4"]));
            let picture = ClipDecoder::open(clip, 1).unwrap().next().unwrap();
            JpegEncoder::new(90)
                .unwrap()
                .encode(&picture)
                .unwrap()
                .to_vec()
        }
        "ffmpeg" => video("testsrc=s=37x21:d=1", &["-frames:v", "1", "-f", "mjpeg"]),
        "image" => by_image(3, ExtendedColorType::Rgb8),
        "image, grey" => by_image(1, ExtendedColorType::L8),
        "restarts" => with_restarts(),
        _ => turbo(kind).unwrap(),
    }
}

fn by_image(channels: usize, colours: ExtendedColorType) -> Vec<u8> {
    let mut jpeg = Vec::new();
    let pixels = noise(37 * 21 * channels);
    let encoded = ImageEncoder::new(&mut jpeg).encode(&pixels, 37, 21, colours);
    encoded.unwrap();
    jpeg
}

fn turbo(kind: &str) -> turbojpeg::Result<Vec<u8>> {
    let mut compressor = Compressor::new()?;
    compressor.set_subsamp(match kind {
        "grey" => Subsamp::Gray,
        "4:4:4" | "CMYK" | "lossless" => Subsamp::None,
        _ => Subsamp::Sub2x2,
    })?;
    let mut format = turbojpeg::PixelFormat::RGB;
    match kind {
        "progressive" => compressor.set_progressive(true)?,
        "optimized" => compressor.set_optimize(true)?,
        "arithmetic" => compressor.set_arithmetic(true)?,
        "lossless" => compressor.set_lossless(true)?,
        "CMYK" => {
            compressor.set_colorspace(Colorspace::CMYK)?;
            format = turbojpeg::PixelFormat::CMYK;
        }
        _ => {}
    }
    let pixels = noise(37 * 21 * format.size());
    compressor.compress_to_vec(turbojpeg::Image {
        pixels: &pixels[..],
        width: 37,
        pitch: 37 * format.size(),
        height: 21,
        format,
    })
}

/// With restart markers in the data: the slices of FFmpeg's encoder.
fn with_restarts() -> Vec<u8> {
    let arguments = [
        "-frames:v",
        "1",
        "-c:v",
        "mjpeg",
        "-slices",
        "2",
        "-f",
        "mjpeg",
    ];
    let jpeg = video("testsrc=s=37x21:d=1", &arguments);
    assert!(jpeg.windows(2).any(|bytes| bytes == [0xff, 0xd0]));
    jpeg
}

/// Pixels that give every kind of coefficient, and stuffed FF bytes.
fn noise(length: usize) -> Vec<u8> {
    let bytes = (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8);
    bytes.collect()
}

pub fn rule(bytes: &[u8]) -> JpegRule {
    inspect_jpeg(bytes).unwrap_err().rule
}

/// With `bytes` put in at `at`.
pub fn inserted(jpeg: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    [&jpeg[..at], bytes, &jpeg[at..]].concat()
}

#[test]
fn the_size_of_every_kind_is_found() {
    let (width, height) = (37, 21);
    for kind in KINDS {
        assert_eq!(
            inspect_jpeg(&jpeg(kind)),
            Ok(JpegShape { width, height }),
            "{kind}"
        );
    }
}

#[test]
fn what_is_cut_off_anywhere_is_refused() {
    for kind in KINDS {
        let jpeg = jpeg(kind);
        for length in 0..jpeg.len() {
            let error = inspect_jpeg(&jpeg[..length]).unwrap_err();
            assert!(error.position <= length, "{kind}: {length}, {error}");
            if length >= 2 {
                assert_eq!(error.rule, JpegRule::End, "{kind}: {length}");
            }
        }
    }
}

#[test]
fn what_lacks_its_beginning_is_refused() {
    for kind in KINDS {
        let jpeg = jpeg(kind);
        for start in 1..jpeg.len() {
            assert!(inspect_jpeg(&jpeg[start..]).is_err(), "{kind}: {start}");
        }
    }
}

#[test]
fn zeros_may_follow_and_nothing_else() {
    let mut bytes = jpeg("image");
    let length = bytes.len();
    bytes.resize(length + 70, 0);
    assert!(inspect_jpeg(&bytes).is_ok());
    bytes[length + 50] = 1;
    let (position, rule) = (length + 50, JpegRule::AfterEnd);
    assert_eq!(inspect_jpeg(&bytes), Err(NotJpeg { position, rule }));
    let twice = [jpeg("image"), jpeg("image")].concat();
    assert_eq!(self::rule(&twice), JpegRule::AfterEnd);
}

#[test]
fn codings_that_viewers_dont_know_are_refused() {
    for kind in ["arithmetic", "lossless"] {
        assert_eq!(rule(&turbo(kind).unwrap()), JpegRule::Coding, "{kind}");
    }
    assert!(inspect_jpeg(&jpeg("progressive")).is_ok());
    let mut jpeg = jpeg("image");
    let frame = marker(&jpeg, 0xc0);
    for coding in [0xc0, 0xc1] {
        jpeg[frame + 1] = coding;
        assert!(inspect_jpeg(&jpeg).is_ok(), "{coding:x}");
    }
    for coding in (0xc3..=0xcf).filter(|&coding| coding != 0xc4) {
        jpeg[frame + 1] = coding;
        assert_eq!(rule(&jpeg), JpegRule::Coding, "{coding:x}");
    }
}

#[test]
fn frame_headers_must_make_sense() {
    let jpeg = jpeg("image");
    let frame = marker(&jpeg, 0xc0);
    let with = |offset: usize, bytes: &[u8]| {
        let mut jpeg = jpeg.clone();
        jpeg[frame + offset..frame + offset + bytes.len()].copy_from_slice(bytes);
        jpeg
    };
    assert_eq!(rule(&with(4, &[12])), JpegRule::Precision);
    assert_eq!(rule(&with(5, &[0, 0])), JpegRule::Size);
    assert_eq!(rule(&with(7, &[0, 0])), JpegRule::Size);
    for components in [0, 2, 5, 255] {
        assert_eq!(rule(&with(9, &[components])), JpegRule::Components);
    }
    assert_eq!(rule(&with(9, &[4])), JpegRule::Length);
    assert_eq!(rule(&with(9, &[1])), JpegRule::Length);
    assert_eq!(rule(&with(2, &[0, 1])), JpegRule::Length);
    let huge = JpegShape {
        width: 65_535,
        height: 65_534,
    };
    assert_eq!(inspect_jpeg(&with(5, &[0xff, 0xfe, 0xff, 0xff])), Ok(huge));
    let again = jpeg[frame..frame + 19].to_vec();
    assert_eq!(rule(&inserted(&jpeg, frame, &again)), JpegRule::OneFrame);
}

#[test]
fn scans_must_make_sense() {
    let jpeg = jpeg("image");
    let (frame, scan) = (marker(&jpeg, 0xc0), marker(&jpeg, 0xda));
    let end = [0xff, 0xd9];
    assert_eq!(rule(&[&jpeg[..scan], &end].concat()), JpegRule::Scan);
    assert_eq!(rule(&[&jpeg[..scan + 14], &end].concat()), JpegRule::Scan);
    assert_eq!(
        rule(&[&jpeg[..scan + 14], &[0xff], &end].concat()),
        JpegRule::Scan
    );
    assert!(inspect_jpeg(&[&jpeg[..scan + 14], &[0], &end].concat()).is_ok());
    assert_eq!(
        rule(&[&jpeg[..frame], &jpeg[scan..]].concat()),
        JpegRule::Scan
    );
    for (components, expected) in [
        (0, JpegRule::Scan),
        (1, JpegRule::Length),
        (4, JpegRule::Scan),
    ] {
        let mut jpeg = jpeg.clone();
        jpeg[scan + 4] = components;
        assert_eq!(rule(&jpeg), expected);
    }
}

#[test]
fn markers_must_follow_one_another() {
    let jpeg = jpeg("image");
    let tables = marker(&jpeg, 0xdb);
    assert_eq!(rule(&inserted(&jpeg, tables, &[0])), JpegRule::Marker);
    for standalone in [0x00, 0x01, 0xd0, 0xd7, 0xd8] {
        let bytes = inserted(&jpeg, tables, &[0xff, standalone]);
        let error = inspect_jpeg(&bytes).unwrap_err();
        assert_eq!((error.position, error.rule), (tables, JpegRule::Marker));
    }
    assert!(inspect_jpeg(&inserted(&jpeg, tables, &[0xff; 9])).is_ok());
    assert!(inspect_jpeg(&inserted(&jpeg, jpeg.len() - 2, &[0xff; 9])).is_ok());
    assert_eq!(rule(&[0xff, 0xd8, 0xff, 0xd9]), JpegRule::Scan);
    assert_eq!(rule(b""), JpegRule::Start);
    assert_eq!(rule(b"\x89PNG\r\n"), JpegRule::Start);
}

#[test]
fn a_thumbnail_with_an_end_of_its_own_is_passed_over() {
    let (outer, inner) = (jpeg("progressive"), jpeg("image, grey"));
    let length = u16::try_from(inner.len() + 2).unwrap().to_be_bytes();
    let segment = [&[0xff, 0xe1], &length[..], &inner].concat();
    let bytes = inserted(&outer, 2, &segment);
    assert!(inspect_jpeg(&bytes).is_ok());
    for length in 0..bytes.len() {
        assert!(inspect_jpeg(&bytes[..length]).is_err(), "{length}");
    }
    // The thumbnail is all there, and its end is the end.
    assert_eq!(rule(&bytes[..2 + segment.len()]), JpegRule::End);
}

#[test]
fn an_error_says_where_and_what() {
    let error = inspect_jpeg(&[0xff, 0xd8, 0xff, 0xc3, 0, 8]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "not a JPEG, at byte 6: cut off; must end with FF D9"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Err(error) = inspect_jpeg(&bytes) {
            prop_assert!(error.position <= bytes.len());
        }
    }

    /// Mostly markers, so that the walk gets further.
    #[test]
    fn any_markers_are_answered(
        words in prop::collection::vec(prop::sample::select(&[
            [0xff, 0xd8], [0xff, 0xc0], [0xff, 0xda], [0xff, 0xd9], [0xff, 0xff], [0xff, 0x00],
            [0xff, 0xd3], [0x00, 0x02], [0x00, 0x0b], [0x08, 0x00], [0x01, 0x00], [0x01, 0x11],
        ][..]), 0..60),
    ) {
        let bytes = [&[0xff, 0xd8], &words.concat()[..]].concat();
        if let Err(error) = inspect_jpeg(&bytes) {
            prop_assert!(error.position <= bytes.len());
        }
    }

    /// What is accepted is what another walker finds, too.
    #[test]
    fn damage_is_refused_or_harmless(
        kind in prop::sample::select(&["image", "progressive", "CMYK", "4:4:4"][..]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut jpeg = jpeg(kind);
        for (index, byte) in damage {
            let at = index.index(jpeg.len());
            jpeg[at] = byte;
        }
        if let (Ok(shape), Ok(header)) = (inspect_jpeg(&jpeg), turbojpeg::read_header(&jpeg)) {
            prop_assert_eq!((shape.width as usize, shape.height as usize), (header.width, header.height));
        }
    }
}

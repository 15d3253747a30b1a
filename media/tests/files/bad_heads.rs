//! `inspect_jpeg` on what is put together like a JPEG, and yet no viewer could decode.

use playhouse_media::{JpegRule, inspect_jpeg};

use crate::common::marker;
use crate::heads::{inserted, jpeg, rule};

const DHT: u8 = 0xc4;
const SOS: u8 = 0xda;
const DQT: u8 = 0xdb;

/// A segment with its length.
fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker], &length[..], content].concat()
}

/// With one more segment at its beginning.
fn with(marker: u8, content: &[u8]) -> Vec<u8> {
    inserted(&jpeg("image"), 2, &segment(marker, content))
}

/// With other bytes at an offset into its first segment of this kind.
fn changed(kind: &str, second: u8, offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut jpeg = jpeg(kind);
    let at = marker(&jpeg, second) + offset;
    jpeg[at..at + bytes.len()].copy_from_slice(bytes);
    jpeg
}

/// With all segments of this kind made comments.
fn without(kind: &str, second: u8) -> Vec<u8> {
    let mut jpeg = jpeg(kind);
    while let Some(at) = jpeg.windows(2).position(|bytes| bytes == [0xff, second]) {
        jpeg[at + 1] = 0xfe;
    }
    jpeg
}

/// A Huffman table: how many codes have each of the first lengths, then as many times the symbol.
fn huffman(kind: u8, counts: &[u8], symbol: u8) -> Vec<u8> {
    let mut table = vec![kind];
    table.extend_from_slice(counts);
    table.resize(17, 0);
    let symbols = counts
        .iter()
        .map(|&count| usize::from(count))
        .sum::<usize>();
    table.resize(17 + symbols, symbol);
    table
}

#[test]
fn reserved_markers_are_refused() {
    for reserved in (0x02..=0xbf).chain([0xde, 0xdf]).chain(0xf0..=0xfd) {
        let rule = rule(&with(reserved, &[1, 2, 3]));
        assert_eq!(rule, JpegRule::Marker, "{reserved:x}");
    }
    for known in (0xe0..=0xef).chain([0xdc, 0xfe]) {
        assert!(inspect_jpeg(&with(known, &[0, 1])).is_ok(), "{known:x}");
    }
    assert!(inspect_jpeg(&with(0xdd, &[0, 0])).is_ok());
    assert_eq!(rule(&with(0xdd, &[0, 0, 1])), JpegRule::Length);
}

#[test]
fn sampling_factors_must_be_ones_that_viewers_can_even_out() {
    for factors in [0x00, 0x01, 0x10, 0x05, 0x51, 0x15, 0xff] {
        for component in 0..3 {
            let jpeg = changed("image", 0xc0, 11 + component * 3, &[factors]);
            assert_eq!(rule(&jpeg), JpegRule::Sampling, "{factors:x}");
        }
    }
    let three = |a, b, c| {
        let mut jpeg = jpeg("image");
        let frame = marker(&jpeg, 0xc0);
        (jpeg[frame + 11], jpeg[frame + 14], jpeg[frame + 17]) = (a, b, c);
        jpeg
    };
    for (a, b, c) in [(0x31, 0x21, 0x11), (0x13, 0x12, 0x11), (0x41, 0x31, 0x11)] {
        assert_eq!(rule(&three(a, b, c)), JpegRule::Sampling);
    }
    // 11 blocks in a scan, and 10.
    assert_eq!(rule(&three(0x42, 0x21, 0x11)), JpegRule::Sampling);
    assert!(inspect_jpeg(&three(0x42, 0x11, 0x11)).is_ok());
    assert!(inspect_jpeg(&changed("image, grey", 0xc0, 11, &[0x44])).is_ok());
}

#[test]
fn tables_must_be_there() {
    for kind in ["image", "progressive", "CMYK"] {
        for tables in [DQT, DHT] {
            let rule = rule(&without(kind, tables));
            assert_eq!(rule, JpegRule::Undefined, "{kind}: {tables:x}");
        }
    }
    // The frame's components and the scan's, with tables that are in another place.
    for place in [2, 4, 255] {
        let jpeg = changed("image", 0xc0, 12, &[place]);
        assert_eq!(rule(&jpeg), JpegRule::Undefined);
    }
    for places in [0x20, 0x02, 0x40, 0x04, 0xff] {
        let jpeg = changed("image", SOS, 6, &[places]);
        assert_eq!(rule(&jpeg), JpegRule::Undefined);
    }
}

#[test]
fn tables_may_come_late_but_before_their_scan() {
    let bytes = jpeg("image");
    let (tables, scan) = (marker(&bytes, DQT), marker(&bytes, SOS));
    let length = usize::from(u16::from_be_bytes([bytes[tables + 2], bytes[tables + 3]])) + 2;
    let (before, table) = (&bytes[..tables], &bytes[tables..tables + length]);
    let between = &bytes[tables + length..scan];
    let late = [before, between, table, &bytes[scan..]].concat();
    assert!(inspect_jpeg(&late).is_ok());
    let end = bytes.len() - 2;
    let later = [before, between, &bytes[scan..end], table, &bytes[end..]].concat();
    assert_eq!(rule(&later), JpegRule::Undefined);
}

#[test]
fn quantisation_tables_must_be_whole() {
    for length in [0, 65, 130] {
        assert!(inspect_jpeg(&with(DQT, &vec![0; length])).is_ok());
    }
    for length in [1, 64, 66, 129, 131] {
        assert_eq!(rule(&with(DQT, &vec![0; length])), JpegRule::Table);
    }
    // Of two bytes a value, in the last place there is.
    let large = [&[0x13][..], &[1; 128]].concat();
    assert!(inspect_jpeg(&with(DQT, &large)).is_ok());
    assert_eq!(rule(&with(DQT, &large[..65])), JpegRule::Table);
    for kind in [0x04, 0x0f, 0x20, 0xf0] {
        let table = [&[kind][..], &[1; 128]].concat();
        assert_eq!(rule(&with(DQT, &table)), JpegRule::Table, "{kind:x}");
    }
}

#[test]
fn huffman_tables_must_be_whole_and_a_code() {
    let good = huffman(0x13, &[1, 1, 1, 1], 255);
    for table in [&good[..], &huffman(0x00, &[1], 15), &good.repeat(3), b""] {
        assert!(inspect_jpeg(&with(DHT, table)).is_ok());
    }
    for length in 1..good.len() {
        assert_eq!(rule(&with(DHT, &good[..length])), JpegRule::Table);
    }
    let longer = [&good[..], &[0]].concat();
    let many = huffman(0x10, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 2], 0);
    let most = huffman(0x10, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 1], 0);
    assert!(inspect_jpeg(&with(DHT, &most)).is_ok());
    for table in [
        longer,
        many,
        huffman(0x00, &[1], 16),
        huffman(0x04, &[1], 0),
        huffman(0x14, &[1], 0),
        huffman(0x20, &[1], 0),
        huffman(0xf0, &[1], 0),
        huffman(0x10, &[2], 0),
        huffman(0x10, &[1, 2], 0),
        huffman(0x10, &[0, 3, 2], 0),
    ] {
        assert_eq!(rule(&with(DHT, &table)), JpegRule::Table, "{table:x?}");
    }
}

#[test]
fn scans_must_name_components_of_the_frame_in_order() {
    for names in [[1, 1, 3], [2, 1, 3], [1, 2, 4], [0, 2, 3]] {
        let mut jpeg = jpeg("ffmpeg");
        let scan = marker(&jpeg, SOS);
        for (i, name) in names.into_iter().enumerate() {
            jpeg[scan + 5 + i * 2] = name;
        }
        assert_eq!(rule(&jpeg), JpegRule::Scan, "{names:?}");
    }
}

#[test]
fn progressive_scans_must_bring_what_can_come_together() {
    // The first scan is of all components and has DC alone.
    for ([first, last], bits) in [
        ([0, 63], 0x00),
        ([1, 5], 0x00),
        ([0, 0], 0x0e),
        ([0, 0], 0x20),
        ([0, 0], 0x11),
    ] {
        let jpeg = changed("progressive", SOS, 11, &[first, last, bits]);
        assert_eq!(
            rule(&jpeg),
            JpegRule::Progression,
            "{first} {last} {bits:x}"
        );
    }
    // A scan of one component.
    let bytes = jpeg("progressive");
    let mut scans = bytes.windows(5).enumerate();
    let one = |(_, bytes): &(usize, &[u8])| bytes == &[0xff, SOS, 0, 8, 1];
    let (scan, _) = scans.find(one).unwrap();
    for band in [[6, 5], [1, 64], [5, 255], [0, 5]] {
        let mut bytes = bytes.clone();
        bytes[scan + 7..scan + 9].copy_from_slice(&band);
        assert_eq!(rule(&bytes), JpegRule::Progression, "{band:?}");
    }
}

#[test]
fn scans_are_bounded() {
    let bytes = jpeg("image");
    let (head, rest) = bytes.split_at(marker(&bytes, SOS));
    let scan = &rest[..rest.len() - 2];
    let of = |scans| [head, &scan.repeat(scans), &[0xff, 0xd9]].concat();
    assert!(inspect_jpeg(&of(100)).is_ok());
    let error = inspect_jpeg(&of(101)).unwrap_err();
    assert_eq!(error.position, head.len() + scan.len() * 100);
    assert!(error.to_string().ends_with("must have at most 100 scans"));
}

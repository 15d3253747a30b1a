use playhouse_media::{ClipDecoder, JpegEncoder, Picture};

use crate::common::*;

/// Left half black, right half white in limited range, unless the arguments say otherwise.
fn first_picture(size: &str, arguments: &[&str]) -> Picture {
    let source = format!(
        "color=gray:s={size}:d=0.2,format=yuv444p,geq=lum='if(lt(X,W/2),16,235)':cb=128:cr=128"
    );
    let (_dir, clip) = clip(&video(&source, arguments));
    ClipDecoder::open(clip, 1).unwrap().next().unwrap()
}

fn check_black_and_white(picture: &Picture) {
    let image = decoded(picture);
    assert_eq!(
        (image.width(), image.height()),
        (picture.width(), picture.height())
    );
    let y = image.height() / 2;
    for channel in 0..3 {
        assert!(
            image.get_pixel(8, y).0[channel] <= 5,
            "black is {:?}",
            image.get_pixel(8, y)
        );
        let white = image.get_pixel(image.width() - 8, y);
        assert!(white.0[channel] >= 250, "white is {white:?}");
    }
}

#[test]
fn every_pixel_format_shows_black_as_black_and_white_as_white() {
    let ten_bit: &[&str] = &["-c:v", "libx264", "-crf", "4", "-pix_fmt", "yuv420p10le"];
    let mut all = vec![ten_bit];
    all.extend([
        &["-c:v", "libx264", "-crf", "4", "-pix_fmt", "yuv420p"][..],
        &["-c:v", "libx264", "-crf", "4", "-pix_fmt", "yuv422p"],
        &["-c:v", "libx264", "-crf", "4", "-pix_fmt", "yuv444p"],
        &["-c:v", "libx264", "-crf", "4", "-pix_fmt", "gray"],
        &["-c:v", "libx264", "-crf", "4", "-pix_fmt", "yuvj420p"],
        &["-c:v", "libx264", "-crf", "4", "-pix_fmt", "yuvj444p"],
        &["-c:v", "libx264rgb", "-crf", "4", "-pix_fmt", "rgb24"],
        &["-c:v", "mpeg4", "-q:v", "1"],
        &["-c:v", "mjpeg", "-q:v", "1", "-pix_fmt", "yuvj420p"],
        &["-c:v", "rawvideo", "-pix_fmt", "yuv411p", "-f", "avi"],
        &["-c:v", "ffv1", "-pix_fmt", "yuv440p", "-f", "matroska"],
    ]);
    for arguments in all {
        eprintln!("{arguments:?}");
        check_black_and_white(&first_picture("64x48", arguments));
    }
}

#[test]
fn odd_sizes_work() {
    for size in ["65x49", "67x48", "64x47", "17x17"] {
        check_black_and_white(&first_picture(size, &["-c:v", "mpeg4", "-q:v", "1"]));
        for format in ["yuvj420p", "yuvj422p"] {
            check_black_and_white(&first_picture(
                size,
                &["-c:v", "mjpeg", "-q:v", "1", "-pix_fmt", format],
            ));
        }
    }
}

#[test]
fn colours_survive() {
    let (_dir, clip) = clip(&video(
        "color=0xE02040:s=64x48:d=0.2",
        &["-c:v", "libx264", "-crf", "4"],
    ));
    let picture = ClipDecoder::open(clip, 1).unwrap().next().unwrap();
    let [red, green, blue] = decoded(&picture).get_pixel(30, 20).0;
    assert!(
        red.abs_diff(0xe0) <= 4 && green.abs_diff(0x20) <= 4 && blue.abs_diff(0x40) <= 4,
        "{red} {green} {blue}"
    );
}

#[test]
fn one_encoder_takes_all_sizes_and_formats_in_turn() {
    let pictures = [
        first_picture("64x48", &["-c:v", "libx264", "-pix_fmt", "yuv420p"]),
        first_picture("320x240", &["-c:v", "libx264", "-pix_fmt", "yuv420p10le"]),
        first_picture("32x32", &["-c:v", "libx264", "-pix_fmt", "gray"]),
        first_picture("128x96", &["-c:v", "libx264", "-pix_fmt", "yuv444p"]),
    ];
    let mut encoder = JpegEncoder::new(80).unwrap();
    for picture in pictures.iter().cycle().take(12) {
        let jpeg = encoder.encode(picture).unwrap();
        let alone = JpegEncoder::new(80).unwrap().encode(picture).unwrap();
        assert_eq!(jpeg, alone);
        assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]));
    }
}

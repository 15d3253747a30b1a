//! JPEGs of pickled pictures, looked at with somebody else's decoder.

use std::borrow::Cow;

use image::{DynamicImage, ImageFormat};
use playhouse_media::{
    Channels, JpegEncoder, JpegError, PickledFrame, inspect_jpeg, read_pickled_frame,
};

use crate::writer::{self, Data};

/// Smooth in all directions, with each channel different, so that little is lost.
fn smooth(height: usize, width: usize, channels: usize) -> Vec<u8> {
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (down, across) = (255 * y / height, 255 * x / width);
            let all = [across, (down + across) / 2, 255 - down];
            pixels.extend(all.iter().take(channels).map(|&value| value as u8));
        }
    }
    pixels
}

/// The mean of what the decoded pixels are off.
fn loss(encoder: &mut JpegEncoder, height: usize, width: usize, channels: usize) -> f64 {
    let pixels = smooth(height, width, channels);
    let shape = [height, width, channels];
    let shape = if channels == 3 { &shape } else { &shape[..2] };
    let pickle = writer::array(4, shape, false, &writer::data(&pixels, Data::Bytes));
    let jpeg = encoder
        .encode_frame(&read_pickled_frame(&pickle).unwrap())
        .unwrap();
    let shape = inspect_jpeg(&jpeg).unwrap();
    assert_eq!(
        (shape.height as usize, shape.width as usize),
        (height, width)
    );
    let decoded = match image::load_from_memory_with_format(&jpeg, ImageFormat::Jpeg).unwrap() {
        DynamicImage::ImageLuma8(image) if channels == 1 => image.into_raw(),
        DynamicImage::ImageRgb8(image) if channels == 3 => {
            let bgr = image.pixels().flat_map(|pixel| pixel.0.into_iter().rev());
            bgr.collect()
        }
        other => panic!("{:?}", other.color()),
    };
    assert_eq!(decoded.len(), pixels.len());
    let off = decoded
        .iter()
        .zip(&pixels)
        .map(|(a, &b)| f64::from(a.abs_diff(b)));
    off.sum::<f64>() / pixels.len() as f64
}

#[test]
fn pictures_of_any_size_survive() {
    let mut encoder = JpegEncoder::new(95).unwrap();
    for (height, width) in [
        (48, 64),
        (49, 65),
        (17, 17),
        (1, 1),
        (1, 33),
        (50, 1),
        (480, 640),
    ] {
        for channels in [3, 1] {
            let loss = loss(&mut encoder, height, width, channels);
            // Few pixels have steep changes, which colours at half the resolution don't follow.
            let bearable = if height.min(width) > 1 { 4.0 } else { 12.0 };
            assert!(loss < bearable, "{height} × {width} × {channels}: {loss}");
        }
    }
}

#[test]
fn an_encoder_takes_turns() {
    let mut encoder = JpegEncoder::new(90).unwrap();
    let frame = |pixels: &'static [u8], channels| PickledFrame {
        width: 2,
        height: 1,
        channels,
        pixels: Cow::Borrowed(pixels),
    };
    let (grey, colour) = (
        frame(b"ab", Channels::Grey),
        frame(b"abcdef", Channels::Bgr),
    );
    let mut encode = |frame| encoder.encode_frame(frame).unwrap();
    let (first_grey, first_colour) = (encode(&grey), encode(&colour));
    assert_eq!(encode(&grey), first_grey);
    assert_eq!(encode(&colour), first_colour);
}

#[test]
fn a_frame_that_is_not_whole_is_refused() {
    let mut encoder = JpegEncoder::new(90).unwrap();
    for (width, height, length) in [(2, 2, 11), (2, 2, 13), (2, 3, 12), (u32::MAX, u32::MAX, 12)] {
        let frame = PickledFrame {
            width,
            height,
            channels: Channels::Bgr,
            pixels: Cow::Owned(vec![0; length]),
        };
        let error = encoder.encode_frame(&frame).unwrap_err();
        assert!(matches!(error, JpegError::Pixels { .. }), "{error}");
    }
    let nothing = PickledFrame {
        width: 0,
        height: 0,
        channels: Channels::Grey,
        pixels: Cow::Borrowed(&[]),
    };
    assert!(encoder.encode_frame(&nothing).is_err());
}

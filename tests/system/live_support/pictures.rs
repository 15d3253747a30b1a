//! JPEGs that can be told apart, and a look at what they show.

use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, Rgb, RgbImage};

/// The largest picture that tumip takes is a square of this side, in pixels.
pub const SIDE: u32 = 230;
/// At this quality a picture of noise is nearly as long as a datagram can be.
const NOISE_QUALITY: u8 = 72;
/// Marker of a comment.
const COMMENT: [u8; 2] = [0xff, 0xfe];

fn encode(image: &RgbImage, quality: u8) -> Vec<u8> {
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, quality);
    image.write_with_encoder(encoder).unwrap();
    jpeg
}

/// The colour of picture `number`: those of any eight in a row are far apart.
pub fn colour(number: u32) -> [u8; 3] {
    [1, 2, 4].map(|bit| if number & bit == 0 { 40 } else { 215 })
}

/// A picture of one colour, with its number.
pub fn plain(number: u32, width: u32, height: u32) -> Vec<u8> {
    let image = RgbImage::from_pixel(width, height, Rgb(colour(number)));
    numbered(&encode(&image, 90), number)
}

/// A picture in which a part moves on with its number, as a camera sees it.
pub fn moving(number: u32, width: u32, height: u32) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| {
        let bar = x + width - number * 3 % width;
        let shade = u8::try_from((x + y) * 200 / (width + height)).unwrap();
        Rgb(if bar % width < 20 {
            [230, 60, 60]
        } else {
            [shade, shade / 2, 120]
        })
    });
    numbered(&encode(&image, 80), number)
}

/// 230 × 230 pixels of noise, some 64,600 bytes; the same for the same number.
pub fn noise(number: u32) -> Vec<u8> {
    let mut state = u64::from(number) + 1;
    let image = RgbImage::from_fn(SIDE, SIDE, |_, _| {
        // Xorshift: all that matters is that it can't be compressed.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let [r, g, b, ..] = state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes();
        Rgb([r, g, b])
    });
    let jpeg = numbered(&encode(&image, NOISE_QUALITY), number);
    assert!((64_000..=65_507).contains(&jpeg.len()), "{}", jpeg.len());
    jpeg
}

/// The same picture with `number` in a comment.
pub fn numbered(jpeg: &[u8], number: u32) -> Vec<u8> {
    let (start, rest) = jpeg.split_at(2);
    [start, &COMMENT, &[0, 6], &number.to_be_bytes(), rest].concat()
}

/// The number in its comment.
pub fn number_of(jpeg: &[u8]) -> u32 {
    let Some(&[255, 216, 255, 254, 0, 6, a, b, c, d]) = jpeg.first_chunk::<10>() else {
        panic!("no number in {:?}", &jpeg[..jpeg.len().min(12)]);
    };
    u32::from_be_bytes([a, b, c, d])
}

/// The same picture, whose header claims another size.
pub fn claiming(jpeg: &[u8], width: u16, height: u16) -> Vec<u8> {
    let mut jpeg = jpeg.to_vec();
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]);
    let size = frame.unwrap() + 5;
    jpeg[size..size + 2].copy_from_slice(&height.to_be_bytes());
    jpeg[size + 2..size + 4].copy_from_slice(&width.to_be_bytes());
    jpeg
}

/// By how much any of its pixels differs from the picture that `plain` makes of `number`, of 255.
pub fn difference(jpeg: &[u8], number: u32) -> u8 {
    let image = image::load_from_memory_with_format(jpeg, ImageFormat::Jpeg).unwrap();
    let off = image
        .to_rgb8()
        .pixels()
        .flat_map(|Rgb(pixel)| {
            let sides = pixel.iter().zip(colour(number));
            sides.map(|(&a, b)| a.abs_diff(b)).collect::<Vec<u8>>()
        })
        .max();
    off.unwrap()
}

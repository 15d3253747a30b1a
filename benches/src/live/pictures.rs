//! What a camera sends: JPEGs of 230 × 230, as large as tumip allows, each with room for a number.

use std::io::Cursor;
use std::ops::Range;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, RgbImage};
use playhouse_protocols::tumip::MAX_PICTURE;
use playhouse_protocols::videochat::ServerMessage;

use crate::server::Server;
use crate::videochat::Reader;
use crate::{Outcome, packetchat, videochat};

/// Of each side, in pixels.
pub const SIDE: u32 = 230;
/// Different pictures; they come again and again.
const COUNT: usize = 25;
const CHOICE: &str = "cells_240p.mp4";
const QUALITY: u8 = 60;

/// A comment segment of 8 bytes, which comes first in each picture: marker and length.
const COMMENT: [u8; 4] = [0xFF, 0xFE, 0, 10];
/// Where it is, and where in a picture its content is: the number.
const PLACE: usize = 2;
const NUMBER: Range<usize> = 6..14;

/// Writes the number of a frame into a picture of this module.
pub fn set_number(jpeg: &mut [u8], number: u64) {
    jpeg[NUMBER].copy_from_slice(&number.to_be_bytes());
}

/// The number in a picture of this module, of which the first bytes are enough.
pub fn number(jpeg: &[u8]) -> Option<u64> {
    if jpeg.get(PLACE..)?.get(..COMMENT.len())? != COMMENT {
        return None;
    }
    let bytes = jpeg.get(NUMBER)?.try_into().ok()?;
    Some(u64::from_be_bytes(bytes))
}

/// The middle of a sample video's frames, which playhouse itself decodes.
pub fn real(playhouse: &Path, videos: &Path) -> Outcome<Vec<Vec<u8>>> {
    let server = Server::playhouse(playhouse, videos, &[("PLAYHOUSE__STREAMING__PACE", "fast")])?;
    let mut stream = videochat::join(server.address, "photographer")?;
    videochat::choose(&mut stream, CHOICE)?;
    let mut reader = Reader::new(stream);
    let mut pictures = vec![];
    while pictures.len() < COUNT {
        match reader.next()? {
            ServerMessage::Frame(jpeg) => pictures.push(middle(&jpeg)?),
            ServerMessage::Json(json) if json["identifier"] == "Error" => {
                return Err(format!("no frames of {CHOICE}: {}", json["message"]).into());
            }
            ServerMessage::Json(_) => {}
        }
    }
    Ok(pictures)
}

fn middle(jpeg: &[u8]) -> Outcome<Vec<u8>> {
    let whole = image::load_from_memory(jpeg)?;
    let (Some(left), Some(top)) = (
        whole.width().checked_sub(SIDE),
        whole.height().checked_sub(SIDE),
    ) else {
        return Err(format!("frames of {CHOICE} are smaller than {SIDE} × {SIDE}").into());
    };
    encode(&whole.crop_imm(left / 2, top / 2, SIDE, SIDE), QUALITY)
}

/// Pictures of noise, as large as a datagram can be.
pub fn noise() -> Outcome<Vec<Vec<u8>>> {
    let size = (SIDE * SIDE * 3) as usize;
    let stock = packetchat::noise(size * COUNT);
    let mut pictures = vec![];
    for pixels in stock.chunks_exact(size).take(COUNT) {
        let pixels = RgbImage::from_raw(SIDE, SIDE, pixels.to_vec()).ok_or("too few pixels")?;
        let pixels = pixels.into();
        // The best quality that fits, found from the best there is.
        let fitting = (1..=100).rev().find_map(|quality| {
            let jpeg = encode(&pixels, quality);
            let fits = jpeg.as_ref().map_or(true, |jpeg| jpeg.len() <= MAX_PICTURE);
            fits.then_some(jpeg)
        });
        pictures.push(fitting.ok_or("noise fits no datagram")??);
    }
    Ok(pictures)
}

fn encode(picture: &DynamicImage, quality: u8) -> Outcome<Vec<u8>> {
    let mut out = Cursor::new(vec![]);
    let encoder = JpegEncoder::new_with_quality(&mut out, quality);
    picture.to_rgb8().write_with_encoder(encoder)?;
    let mut jpeg = out.into_inner();
    let comment = COMMENT.into_iter().chain([0; 8]);
    jpeg.splice(PLACE..PLACE, comment);
    Ok(jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_keeps_its_number_and_stays_a_picture() {
        let picture = DynamicImage::from(RgbImage::new(SIDE, SIDE));
        let mut jpeg = encode(&picture, QUALITY).unwrap();
        for expected in [0, 7, u64::MAX] {
            set_number(&mut jpeg, expected);
            assert_eq!(number(&jpeg), Some(expected));
            assert_eq!(number(&jpeg[..NUMBER.end]), Some(expected));
        }
        assert_eq!(image::load_from_memory(&jpeg).unwrap(), picture);
        assert_eq!(number(&jpeg[..NUMBER.end - 1]), None);
        assert_eq!(number(b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0"), None);
    }

    #[test]
    fn noise_fills_datagrams() {
        for jpeg in noise().unwrap() {
            assert!(
                (60_000..=MAX_PICTURE).contains(&jpeg.len()),
                "{}",
                jpeg.len()
            );
        }
    }
}

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use playhouse_media::{Clip, JpegEncoder, Picture};
use tempfile::TempDir;

pub use crate::support::*;

/// What an `ffmpeg` command line makes, as the bytes of a file.
pub fn video(source: &str, arguments: &[&str]) -> Vec<u8> {
    video_from(&["-f", "lavfi", "-i", source], arguments)
}

pub fn video_from(input: &[&str], arguments: &[&str]) -> Vec<u8> {
    playhouse_media::init();
    let container = if arguments.contains(&"-f") {
        &[][..]
    } else {
        &["-f", "mp4"]
    };
    made_from(input, &[arguments, container].concat())
}

pub const X264: [&str; 10] = [
    "-c:v", "libx264", "-preset", "veryfast", "-crf", "8", "-g", "12", "-bf", "2",
];

/// Two seconds whose left half tells by its brightness which frame of 30 a second it is, 0 to 59.
pub fn ramp(rate: u32) -> String {
    format!(
        "testsrc2=s=160x120:r={rate}:d=2,format=yuv420p,\
         geq=lum='if(lt(X,W/2),16+T*90,lum(X,Y))':cb='if(lt(X,W/4),128,cb(X,Y))':cr='if(lt(X,W/4),128,cr(X,Y))'"
    )
}

/// 60 frames, 30 a second, a group of 12 with B-frames, index in front.
pub fn ramp_30() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        video(
            &ramp(30),
            &[&X264[..], &["-movflags", "+faststart"]].concat(),
        )
    })
}

pub fn write(dir: &Path, file_name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = dir.join(file_name);
    fs::write(&path, bytes).unwrap();
    path
}

/// The clip of a file with these bytes; the file lives as long as the folder.
pub fn clip(bytes: &[u8]) -> (TempDir, Arc<Clip>) {
    let dir = TempDir::new().unwrap();
    let path = write(dir.path(), "clip_120p.mp4", bytes);
    let clip = Clip::probe(&path).unwrap();
    (dir, Arc::new(clip))
}

/// The picture as a browser would show it.
pub fn decoded(picture: &Picture) -> image::RgbImage {
    let jpeg = JpegEncoder::new(95).unwrap().encode(picture).unwrap();
    image::load_from_memory_with_format(&jpeg, image::ImageFormat::Jpeg)
        .unwrap()
        .to_rgb8()
}

/// Which frame of 30 a second a picture of [`ramp`] is.
pub fn identity(picture: &Picture) -> u32 {
    let image = decoded(picture);
    let block = (8..24).flat_map(|x| (40..80).map(move |y| (x, y)));
    let sum: u32 = block
        .map(|(x, y)| u32::from(image.get_pixel(x, y).0[1]))
        .sum();
    let full_range = f64::from(sum) / (16.0 * 40.0);
    (full_range * 219.0 / 255.0 / 3.0).round() as u32
}

/// Offset of a JPEG's first marker `FF second`, found by name alone.
pub fn marker(jpeg: &[u8], second: u8) -> usize {
    let found = jpeg.windows(2).position(|bytes| bytes == [0xff, second]);
    found.unwrap()
}

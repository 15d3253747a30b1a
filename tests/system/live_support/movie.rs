//! Movies, made and looked at with FFmpeg's own programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

use serde_json::Value;

/// What ffprobe says of a file.
#[derive(Debug, PartialEq)]
pub struct Movie {
    pub codec: String,
    pub width: u64,
    pub height: u64,
    /// Counted, not promised.
    pub frames: u64,
    /// In seconds.
    pub duration: f64,
}

/// Reads a file through. `None` if it is no movie.
pub fn probe(path: &Path) -> Option<Movie> {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-count_frames",
            "-of",
            "json",
            "-show_streams",
        ])
        .arg("-show_format")
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .expect("ffprobe is installed");
    let found: Value = serde_json::from_slice(&output.stdout).ok()?;
    let stream = found["streams"].get(0)?;
    // Numbers that ffprobe prints as text.
    let number = |value: &Value| value.as_str()?.parse().ok();
    Some(Movie {
        codec: stream["codec_name"].as_str()?.to_owned(),
        width: stream["width"].as_u64()?,
        height: stream["height"].as_u64()?,
        frames: stream["nb_read_frames"].as_str()?.parse().ok()?,
        duration: number(&found["format"]["duration"])?,
    })
}

/// Makes a clip of so many frames at 25 a second.
pub fn make_clip(path: &Path, frames: u32) {
    let status = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=160x120:rate=25",
        ])
        .args(["-frames:v", &frames.to_string(), "-c:v", "libx264"])
        .args(["-pix_fmt", "yuv420p"])
        .arg(path)
        .stdin(Stdio::null())
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success());
}

/// The files of a folder, hidden ones too, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()
        .unwrap();
    paths.sort();
    paths
}

/// The name of a file.
pub fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// Whether a file is named like a recording of `channel` that is `height` pixels high.
pub fn is_recording(path: &Path, channel: &str, height: u32) -> bool {
    let name = name(path).strip_prefix(channel);
    let digits = |text: &str, count: usize| {
        text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let time = name.and_then(|name| {
        let time = name.strip_suffix(&format!("_{height}p.mp4"))?;
        time.strip_prefix('-')?.split_once('-')
    });
    time.is_some_and(|(date, time)| digits(date, 8) && digits(time, 6))
}

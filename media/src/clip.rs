//! One video file, probed: what it holds, and when each of its frames is due.
//!
//! Probing reads every packet once without decoding it, because only the packets tell how many frames there
//! really are and when; headers lie. It decodes just up to the first good frame, so that a file that can't
//! be shown is refused before someone chooses it.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use thiserror::Error;

use crate::av::{AvError, Decoded, Decoder, Input, Packet, StreamFacts};
use crate::name::ClipName;
use crate::timeline::{Key, Stamp, Timeline};

/// The largest width and height of a picture, in pixels.
pub const MAX_SIDE: u32 = 8192;
/// The most frames a clip may have: over 90 hours at 30 frames a second.
pub const MAX_FRAMES: u32 = 10_000_000;

/// A file whose first so many packets hold no good frame is undecodable.
const MAX_PROBED_PACKETS: usize = 3000;
/// Two clips' times for the same frame differ by their containers' rounding.
const TIME_TOLERANCE: Duration = Duration::from_millis(1);

/// Why a file is refused. Each names the file and the rule it breaks.
#[derive(Debug, Error)]
pub enum ClipError {
    /// The operating system refuses to open or read it.
    #[error("{}: can't be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// A folder, pipe, socket or device.
    #[error("{}: isn't a regular file", path.display())]
    NotAFile { path: PathBuf },
    /// The name isn't one of a video file.
    #[error("{}: the name must be [name]_[resolution].mp4 in UTF-8 without control characters", path.display())]
    Name { path: PathBuf },
    /// No bytes.
    #[error("{}: is empty", path.display())]
    Empty { path: PathBuf },
    /// Not one of the video containers, or too damaged to be recognised.
    #[error("{}: isn't a video container (MP4, Matroska, AVI, MPEG-TS, FLV): {reason}", path.display())]
    NotVideo { path: PathBuf, reason: String },
    /// A container without moving pictures; a cover picture doesn't count.
    #[error("{}: has no video stream", path.display())]
    NoVideoStream { path: PathBuf },
    /// Wider or higher than [`MAX_SIDE`], or nothing.
    #[error("{}: is {width} × {height}; each side must be 1 to {MAX_SIDE} pixels", path.display())]
    Dimensions {
        path: PathBuf,
        width: i32,
        height: i32,
    },
    /// A video stream without a frame to show.
    #[error("{}: has no frames", path.display())]
    NoFrames { path: PathBuf },
    /// More than [`MAX_FRAMES`].
    #[error("{}: has more than {MAX_FRAMES} frames", path.display())]
    TooManyFrames { path: PathBuf },
    /// No decoder, or none of the first frames decodes.
    #[error("{}: no frame can be decoded: {reason}", path.display())]
    Undecodable { path: PathBuf, reason: String },
    /// Another size than when it was probed.
    #[error("{}: has changed since it was probed", path.display())]
    Changed { path: PathBuf },
}

/// One probed file. Frames are counted from 0 in the order of presentation; times are from the first one.
#[derive(Debug)]
pub struct Clip {
    /// Unique in this process for each probing: a changed file gets another.
    pub id: u64,
    /// As it was given to [`probe`](Self::probe).
    pub path: PathBuf,
    /// Last part of the path.
    pub file_name: String,
    /// Name of the video that this is a quality of.
    pub video: String,
    /// The quality as the file name writes it, `source` if it doesn't.
    pub quality: String,
    /// Rows for sorting: what the name claims, else the real height.
    pub rank: u32,
    /// Of the picture, in pixels.
    pub width: u32,
    /// Of the picture, in pixels.
    pub height: u32,
    /// Average, in frames a second; above 0.
    pub frame_rate: f64,
    /// To the end of the last frame.
    pub duration: Duration,
    /// Size of the file.
    pub bytes: u64,
    /// When the file was last written, if the file system knows.
    pub modified: Option<SystemTime>,
    /// Whether there is an audio stream.
    pub has_sound: bool,
    /// What is odd about it, for the operator.
    pub warnings: Vec<String>,
    pub(crate) stream: i32,
    /// Whether frames are told apart by their order alone, because not all have a time stamp.
    pub(crate) counted: bool,
    /// Seconds for each unit of `stamps`, as a fraction.
    time_base: (i64, i64),
    /// Presentation time of each frame in the stream's units, sorted, never empty.
    stamps: Vec<i64>,
    keys: Vec<Key>,
}

impl Clip {
    /// Reads a file through once.
    ///
    /// # Errors
    /// All of [`ClipError`] but `Changed`.
    pub fn probe(path: &Path) -> Result<Clip, ClipError> {
        let metadata = regular_file(path)?;
        let file_name = path.file_name().and_then(|name| name.to_str());
        let Some((file_name, name)) =
            file_name.and_then(|f| Some((f.to_owned(), ClipName::parse(f)?)))
        else {
            return Err(ClipError::Name { path: path.into() });
        };
        let mut input = open(path)?;
        let facts = input
            .video()
            .ok_or_else(|| ClipError::NoVideoStream { path: path.into() })?;
        let (width, height) = dimensions(path, &facts)?;
        input.select(facts.index);
        let packets = read_packets(path, &mut input, &facts)?;
        let timeline = Timeline::new(path, &packets, &facts)?;

        let rank = name.quality.rank.unwrap_or(height);
        let mut clip = Clip {
            id: next_id(),
            path: path.into(),
            file_name,
            video: name.video,
            quality: name.quality.label,
            rank,
            width,
            height,
            frame_rate: timeline.frame_rate,
            duration: Duration::ZERO,
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
            has_sound: input.has_sound(),
            warnings: Vec::new(),
            stream: facts.index,
            counted: timeline.counted,
            time_base: timeline.time_base,
            stamps: timeline.stamps,
            keys: timeline.keys,
        };
        clip.duration = clip
            .frame_time(u32::MAX)
            .saturating_add(Duration::from_secs_f64(clip.frame_rate.recip()));
        clip.warnings = clip.oddities(&facts, packets.len());
        Ok(clip)
    }

    /// How many frames it has; at least 1.
    pub fn frame_count(&self) -> u32 {
        u32::try_from(self.stamps.len()).unwrap_or(MAX_FRAMES)
    }

    /// When frame `i` is due, from the start. Past the end: the time of the last frame.
    pub fn frame_time(&self, i: u32) -> Duration {
        let stamp = self.stamp(i).or(self.stamps.last().copied());
        stamp.map_or(Duration::ZERO, |stamp| self.time(stamp))
    }

    /// The frame that shows at time `t`: the last one that is due at `t` or up to 1 ms later.
    pub fn frame_at(&self, t: Duration) -> u32 {
        let t = t.saturating_add(TIME_TOLERANCE);
        let after = self.stamps.partition_point(|&stamp| self.time(stamp) <= t);
        u32::try_from(after.saturating_sub(1)).unwrap_or(MAX_FRAMES)
    }

    /// The last frame up to `i` from which decoding can start; 0 if there is none.
    pub fn key_frame_before(&self, i: u32) -> u32 {
        self.key_before(i).map_or(0, |key| key.frame)
    }

    pub(crate) fn key_before(&self, i: u32) -> Option<Key> {
        let after = self.keys.partition_point(|key| key.frame <= i);
        self.keys.get(after.checked_sub(1)?).copied()
    }

    /// Presentation time of frame `i` in the stream's units.
    pub(crate) fn stamp(&self, i: u32) -> Option<i64> {
        self.stamps.get(usize::try_from(i).ok()?).copied()
    }

    fn time(&self, stamp: i64) -> Duration {
        let first = self.stamps.first().copied().unwrap_or(stamp);
        let units = i128::from(stamp) - i128::from(first);
        let (numerator, denominator) = self.time_base;
        let micros = units * i128::from(numerator) * 1_000_000 / i128::from(denominator);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    fn oddities(&self, facts: &StreamFacts, packets: usize) -> Vec<String> {
        let mut warnings = Vec::new();
        let claimed_width = self
            .quality
            .split_once(['x', 'X'])
            .and_then(|(width, _)| width.parse::<u32>().ok());
        if self.rank != self.height || claimed_width.is_some_and(|width| width != self.width) {
            let (quality, width, height) = (&self.quality, self.width, self.height);
            warnings.push(format!(
                "the name says {quality}, the picture is {width} × {height}"
            ));
        }
        if usize::try_from(facts.promised).is_ok_and(|promised| promised > packets) {
            let promised = facts.promised;
            warnings.push(format!(
                "the container promises {promised} frames, {packets} are there: cut off?"
            ));
        }
        if self.keys.first().is_none_or(|key| key.frame > 0) {
            warnings
                .push("doesn't start with a key frame: its first frames may be missing".to_owned());
        }
        if self.counted {
            let rate = self.frame_rate;
            warnings.push(format!(
                "not all frames have a time stamp: they are counted, at {rate:.2} a second"
            ));
        }
        if facts.rotation != 0 {
            let degrees = facts.rotation;
            warnings.push(format!(
                "asks to be turned by {degrees}°; it is shown as it is stored"
            ));
        }
        warnings
    }
}

/// Only a regular file may be opened: a pipe would block, a device may do anything.
pub(crate) fn regular_file(path: &Path) -> Result<Metadata, ClipError> {
    let metadata = fs::metadata(path).map_err(|source| ClipError::Unreadable {
        path: path.into(),
        source,
    })?;
    if !metadata.is_file() {
        return Err(ClipError::NotAFile { path: path.into() });
    }
    if metadata.len() == 0 {
        return Err(ClipError::Empty { path: path.into() });
    }
    Ok(metadata)
}

pub(crate) fn open(path: &Path) -> Result<Input, ClipError> {
    Input::open(path, None).map_err(|error| unopened(path, error))
}

/// Why a file couldn't be opened.
pub(crate) fn unopened(path: &Path, error: AvError) -> ClipError {
    match error.io() {
        Some(source) => ClipError::Unreadable {
            path: path.into(),
            source,
        },
        None => ClipError::NotVideo {
            path: path.into(),
            reason: error.to_string(),
        },
    }
}

pub(crate) fn undecodable(path: &Path, error: AvError) -> ClipError {
    ClipError::Undecodable {
        path: path.into(),
        reason: error.to_string(),
    }
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn dimensions(path: &Path, facts: &StreamFacts) -> Result<(u32, u32), ClipError> {
    let side = |n: i32| u32::try_from(n).ok().filter(|n| (1..=MAX_SIDE).contains(n));
    side(facts.width)
        .zip(side(facts.height))
        .ok_or_else(|| ClipError::Dimensions {
            path: path.into(),
            width: facts.width,
            height: facts.height,
        })
}

/// Reads all packets, and decodes until a frame comes out.
fn read_packets(
    path: &Path,
    input: &mut Input,
    facts: &StreamFacts,
) -> Result<Vec<Stamp>, ClipError> {
    let mut packet = Packet::new().map_err(|error| undecodable(path, error))?;
    let decoder = Decoder::open(input, facts.index, 1).map_err(|error| undecodable(path, error))?;
    let mut undecided = Some(decoder);
    let mut packets = Vec::new();
    while input.read(facts.index, &mut packet) {
        if packets.len() == MAX_FRAMES as usize {
            return Err(ClipError::TooManyFrames { path: path.into() });
        }
        packets.push(Stamp {
            pts: packet.pts(),
            dts: packet.dts(),
            key: packet.is_key(),
            hidden: packet.is_hidden(),
        });
        if packets.len() <= MAX_PROBED_PACKETS
            && let Some(decoder) = &mut undecided
        {
            decoder.send(Some(&packet));
            if let Decoded::Frame(_) = decoder.receive() {
                undecided = None;
            }
        }
    }
    if packets.iter().all(|packet| packet.hidden) {
        return Err(ClipError::NoFrames { path: path.into() });
    }
    if let Some(decoder) = &mut undecided {
        decoder.send(None);
        if !matches!(decoder.receive(), Decoded::Frame(_)) {
            let reason = format!(
                "{} packets gave no picture",
                packets.len().min(MAX_PROBED_PACKETS)
            );
            return Err(ClipError::Undecodable {
                path: path.into(),
                reason,
            });
        }
    }
    Ok(packets)
}

//! Where live channels are recorded: the videos folder, how much of it recordings may take, and the
//! files themselves. A recording is a hidden file until it is complete, and then an ordinary video,
//! `[channel]-[date]-[time]_[height]p.mp4`; what a crash leaves is removed at the next start.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Clock};

use playhouse_media::{MAX_SIDE, MovieError, MovieWriter};
use playhouse_storage::{FILE_OVERHEAD, free_bytes};
use tempfile::NamedTempFile;
use tokio::time::Instant;

use crate::live_channel::LiveFrame;
use crate::locks::locked;
use crate::settings::Recording;
use crate::slots::{Slot, Slots};

/// An unfinished recording's file name begins so and …
const UNFINISHED: &str = ".recording-";
/// … ends so.
const PART: &str = ".mp4.part";
/// How often the limits of the disk are looked at.
const CHECK: Duration = Duration::from_secs(1);
/// Bytes of a channel's name in that of its recording.
const MAX_LABEL: usize = 200;
/// Recordings of one channel that begin in the same second.
const NAMESAKES: u32 = 1000;
/// Recordings that are shorter are not kept: who sends a picture now and then would fill the folder.
const SHORTEST: Duration = Duration::from_secs(2);

/// Why a recording ends before its channel does.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error("live.record_quota_mb: recordings take {used} bytes of {quota}")]
    Quota { used: u64, quota: u64 },
    #[error("live.record_min_free_mb: {free} bytes are free on the disk of {}", folder.display())]
    DiskFull { folder: PathBuf, free: u64 },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Movie(#[from] MovieError),
}

impl RecordingError {
    /// Whether it is the operator's will, and nothing is broken.
    pub fn is_limit(&self) -> bool {
        matches!(
            self,
            RecordingError::Quota { .. } | RecordingError::DiskFull { .. }
        )
    }
}

/// All recordings of the house.
pub struct Recordings {
    folder: PathBuf,
    limits: Recording,
    slots: Slots,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Recordings {
    /// Recordings in `folder`, within `limits`.
    pub fn new(folder: PathBuf, limits: Recording) -> Recordings {
        let slots = Slots::new(limits.max_recordings);
        Recordings {
            folder,
            limits,
            slots,
            threads: Mutex::default(),
        }
    }

    /// A place for one more, if there is one.
    pub fn take_slot(&self) -> Option<Slot> {
        self.slots.take()
    }

    /// A recording that has become so long is completed, and another one begun.
    pub fn max_length(&self) -> Duration {
        self.limits.max_length
    }

    /// Waits for this thread when the house closes.
    pub fn wait_for(&self, thread: JoinHandle<()>) {
        let mut threads = locked(&self.threads);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
    }

    /// Waits until all recordings are complete, at most for `patience`. Their recorders must be gone.
    pub fn complete(&self, patience: Duration) {
        let due = Clock::now() + patience;
        let threads = locked(&self.threads);
        while threads.iter().any(|thread| !thread.is_finished()) && Clock::now() < due {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether a movie can have the size of `frame`.
    pub fn takes(&self, frame: &LiveFrame) -> bool {
        frame.width.max(frame.height) <= MAX_SIDE
    }

    /// Begins a recording of `channel` for frames of the size of `first`.
    ///
    /// # Errors
    /// A limit, or the disk's.
    pub fn begin(&self, channel: &str, first: &LiveFrame) -> Result<Movie, RecordingError> {
        self.check()?;
        let at = |source| RecordingError::Io {
            path: self.folder.clone(),
            source,
        };
        let mut builder = tempfile::Builder::new();
        // Made like the other videos, not private as temporary files are.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let part = builder
            .prefix(UNFINISHED)
            .suffix(PART)
            .tempfile_in(&self.folder)
            .map_err(at)?;
        // Tells it from what a crash left.
        part.as_file().lock().map_err(at)?;
        let writer = MovieWriter::create(part.path(), first.width, first.height)?;
        let time = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S");
        Ok(Movie {
            stem: format!("{}-{time}", file_label(channel)),
            writer,
            part,
            began: first.at,
            last: first.at,
            frames: 0,
            checked: Clock::now(),
        })
    }

    /// Whether every channel is recorded, and not only those that an admin wants to be.
    pub fn all(&self) -> bool {
        self.limits.all
    }

    /// Whether there is room for one more.
    ///
    /// # Errors
    /// A limit, or the disk's.
    pub fn check(&self) -> Result<(), RecordingError> {
        let at = |source| RecordingError::Io {
            path: self.folder.clone(),
            source,
        };
        let free = free_bytes(&self.folder).map_err(at)?;
        if free < self.limits.min_free {
            let folder = self.folder.clone();
            return Err(RecordingError::DiskFull { folder, free });
        }
        let (used, quota) = (used(&self.folder).map_err(at)?, self.limits.quota);
        if used >= quota {
            return Err(RecordingError::Quota { used, quota });
        }
        Ok(())
    }
}

/// Removes what servers that were killed have left in `folder`; says how many files that was.
///
/// # Errors
/// The folder can't be read, or a file in it not removed.
pub fn clean_up(folder: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(is_unfinished) || !entry.file_type()?.is_file() {
            continue;
        }
        match File::open(entry.path())?.try_lock() {
            // Another server on the same folder is at it.
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => {
                std::fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// A recording that is being made. One that is dropped leaves nothing.
pub struct Movie {
    /// The file's name without the quality.
    stem: String,
    // Before its file: dropped in this order.
    writer: MovieWriter,
    part: NamedTempFile,
    began: Instant,
    last: Instant,
    frames: u32,
    checked: Clock,
}

impl Movie {
    /// From its first frame to `at`.
    pub fn length_at(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.began)
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// A limit, after which the recording may be finished; or the file's. An undecodable frame is
    /// [`MovieError::BadPicture`], after which it goes on.
    pub fn add(
        &mut self,
        frame: &LiveFrame,
        recordings: &Recordings,
    ) -> Result<(), RecordingError> {
        if self.checked.elapsed() >= CHECK {
            recordings.check()?;
            self.checked = Clock::now();
        }
        let at = self.length_at(frame.at);
        self.writer.write(&frame.jpeg, at)?;
        self.last = frame.at;
        self.frames += 1;
        Ok(())
    }

    /// Completes the file and gives it its name; `None` if it is too short to be kept.
    ///
    /// # Errors
    /// The disk's.
    pub fn finish(self) -> Result<Option<PathBuf>, RecordingError> {
        let Movie {
            stem,
            writer,
            part,
            began,
            last,
            frames,
            ..
        } = self;
        let height = writer.height();
        let length = last.saturating_duration_since(began);
        // The last frame is shown as long as the others were, on average.
        let one = length.checked_div(frames.saturating_sub(1));
        let length = length + one.unwrap_or_default();
        if length < SHORTEST {
            return Ok(None);
        }
        writer.finish(length)?;
        let at = |path: &Path, source| RecordingError::Io {
            path: path.to_owned(),
            source,
        };
        part.as_file().sync_all().map_err(|e| at(part.path(), e))?;
        let folder = part.path().parent().unwrap_or(Path::new("")).to_owned();
        let mut part = part;
        for n in 0..NAMESAKES {
            let again = if n == 0 {
                String::new()
            } else {
                format!("-{n}")
            };
            let path = folder.join(format!("{stem}{again}_{height}p.mp4"));
            match part.persist_noclobber(&path) {
                Ok(_) => return Ok(Some(path)),
                Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => part = e.file,
                Err(e) => return Err(at(&path, e.error)),
            }
        }
        Err(at(&folder.join(stem), io::ErrorKind::AlreadyExists.into()))
    }
}

/// `channel` as the beginning of a file name.
fn file_label(channel: &str) -> String {
    let label: String = channel
        .chars()
        .map(|c| match c {
            '/' | '\\' => '-',
            c if c.is_control() => '-',
            c => c,
        })
        .take(64)
        .collect();
    // A file's name has 255 bytes; date and quality want some.
    let end = (0..=label.len().min(MAX_LABEL))
        .rev()
        .find(|&end| label.is_char_boundary(end));
    let label = label.get(..end.unwrap_or(0)).unwrap_or_default();
    // A hidden file would not be a video.
    label.trim_start_matches('.').to_owned()
}

/// Bytes of all recordings in `folder`, complete or not.
fn used(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name
            .to_str()
            .is_some_and(|name| is_unfinished(name) || is_recording(name))
        {
            // One may just have got its name, or been removed.
            bytes += FILE_OVERHEAD + entry.metadata().map_or(0, |metadata| metadata.len());
        }
    }
    Ok(bytes)
}

fn is_unfinished(name: &str) -> bool {
    name.starts_with(UNFINISHED) && name.ends_with(PART)
}

/// Whether a file is named like a recording.
fn is_recording(name: &str) -> bool {
    let digits = |text: &str, count: usize| {
        text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let Some(stem) = name.strip_suffix("p.mp4") else {
        return false;
    };
    let Some((stem, height)) = stem.rsplit_once('_') else {
        return false;
    };
    let mut parts = stem.rsplit('-');
    let mut last = parts.next().unwrap_or_default();
    if !digits(last, 6) {
        // That of a namesake.
        last = parts.next().unwrap_or_default();
    }
    let date = parts.next().unwrap_or_default();
    digits(last, 6) && digits(date, 8) && digits(height, height.len()) && !height.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_known_by_their_names() {
        for name in [
            "tumip-32-20261121-031500_230p.mp4",
            "tumip-32-20261121-031500-12_230p.mp4",
            "front door-20261121-031500_1080p.mp4",
        ] {
            assert!(is_recording(name), "{name}");
        }
        for name in [
            "wildlife_240p.mp4",
            "tumip-32_230p.mp4",
            "a-2026-0315_230p.mp4",
            "a-20261121-031500_p.mp4",
            "20261121_230p.mp4",
            "",
        ] {
            assert!(!is_recording(name), "{name}");
        }
    }

    #[test]
    fn labels_are_safe_in_file_names() {
        assert_eq!(file_label("../a/b\n"), "-a-b-");
        assert_eq!(file_label(&"ä".repeat(100)).chars().count(), 64);
        assert_eq!(file_label(&"🎭".repeat(100)).len(), 200);
    }

    #[test]
    fn what_a_crash_left_is_removed_and_what_is_being_made_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in [
            ".recording-a.mp4.part",
            ".recording-b.mp4.part",
            "video_10p.mp4",
        ] {
            std::fs::write(path(name), "x").unwrap();
        }
        let held = File::open(path(".recording-b.mp4.part")).unwrap();
        held.lock().unwrap();
        assert_eq!(clean_up(folder.path()).unwrap(), 1);
        assert!(!path(".recording-a.mp4.part").exists());
        assert!(path(".recording-b.mp4.part").exists() && path("video_10p.mp4").exists());
        assert_eq!(used(folder.path()).unwrap(), FILE_OVERHEAD + 1);
    }
}

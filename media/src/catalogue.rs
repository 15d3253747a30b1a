//! Which videos a folder holds, and in which qualities.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clip::Clip;
use crate::name::ClipName;

/// One video in all its qualities.
#[derive(Debug)]
pub struct Video {
    /// What the file names have before the quality.
    pub name: String,
    /// Sorted by rank, then by file name; never empty.
    pub clips: Vec<Arc<Clip>>,
}

impl Video {
    /// N: how many frames a viewing has, the number of the lowest quality.
    pub fn frame_count(&self) -> u32 {
        self.clips.first().map_or(0, |lowest| lowest.frame_count())
    }

    /// Which of the clips is of this quality: as its file's name writes it, or that name itself.
    pub fn quality(&self, name: &str) -> Option<usize> {
        let is_called = |clip: &Arc<Clip>| clip.quality == name || clip.file_name == name;
        self.clips.iter().position(is_called)
    }

    /// Which frame of clip `quality` shows frame `i` of N: the one at the same time of the timeline. For
    /// quality 0 and for one that doesn't exist: `i`.
    pub fn source_frame(&self, quality: usize, i: u32) -> u32 {
        match self.clips.get(quality) {
            Some(clip) if quality > 0 => clip.frame_at(self.due(i)),
            _ => i,
        }
    }

    /// When frame `i` of N is due, from the start.
    pub fn due(&self, i: u32) -> Duration {
        self.clips
            .first()
            .map_or(Duration::ZERO, |lowest| lowest.frame_time(i))
    }
}

/// A file that isn't shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Last part of the path; what isn't UTF-8 in it is replaced.
    pub file_name: String,
    /// For the operator.
    pub reason: String,
    version: Option<Version>,
}

/// Size and time of a file: while they stay, so does what was found in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    bytes: u64,
    modified: SystemTime,
}

impl Version {
    fn of(path: &Path) -> Option<Version> {
        let metadata = fs::metadata(path).ok()?;
        Some(Version {
            bytes: metadata.len(),
            modified: metadata.modified().ok()?,
        })
    }
}

/// A file that is shown but odd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Last part of the path; what isn't UTF-8 in it is replaced.
    pub file_name: String,
    /// For the operator.
    pub reason: String,
}

/// The videos of a folder.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// By name.
    pub videos: BTreeMap<String, Arc<Video>>,
    /// Sorted by file name.
    pub rejected: Vec<Reject>,
    /// What is odd about files that are shown: each clip's own warnings, and qualities that come twice.
    pub warnings: Vec<Warning>,
}

impl Catalogue {
    /// Probes every `[name]_[resolution].mp4` of a folder; hidden files and subfolders' contents don't
    /// count. A file that has the path, size and time of one in `previous` is taken over with its `Arc`.
    /// `progress` hears after each file how many of how many are done.
    ///
    /// # Errors
    /// The folder itself can't be read. A file's trouble is in [`rejected`](Self::rejected).
    pub fn scan(
        dir: &Path,
        previous: Option<&Catalogue>,
        progress: &mut dyn FnMut(usize, usize),
    ) -> io::Result<Catalogue> {
        let names = fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name()));
        let mut names = names.collect::<io::Result<Vec<_>>>()?;
        names.retain(|name| !name.as_encoded_bytes().starts_with(b"."));
        names.sort();
        let known: HashMap<&Path, &Arc<Clip>> = previous
            .into_iter()
            .flat_map(Catalogue::clips)
            .map(|clip| (clip.path.as_path(), clip))
            .collect();

        let refused: HashMap<&str, &Reject> = previous
            .into_iter()
            .flat_map(|previous| &previous.rejected)
            .map(|reject| (reject.file_name.as_str(), reject))
            .collect();

        let mut catalogue = Catalogue::default();
        let mut clips: BTreeMap<String, Vec<Arc<Clip>>> = BTreeMap::new();
        for (done, name) in names.iter().enumerate() {
            progress(done, names.len());
            let file_name = name.to_string_lossy().into_owned();
            let path = dir.join(name);
            // Looked at before the file is read: one that grows meanwhile is read again.
            let version = Version::of(&path);
            if let Some(&reject) = refused.get(file_name.as_str())
                && version.is_some()
                && reject.version == version
            {
                catalogue.rejected.push(reject.clone());
                continue;
            }
            match probe(&path, name.to_str(), version, &known) {
                Ok(clip) => clips.entry(clip.video.clone()).or_default().push(clip),
                Err(reason) => catalogue.rejected.push(Reject {
                    file_name,
                    reason,
                    version,
                }),
            }
        }
        progress(names.len(), names.len());

        for (name, mut clips) in clips {
            clips.sort_by(|a, b| (a.rank, &a.file_name).cmp(&(b.rank, &b.file_name)));
            catalogue.warn(&clips);
            catalogue
                .videos
                .insert(name.clone(), Arc::new(Video { name, clips }));
        }
        Ok(catalogue)
    }

    fn warn(&mut self, clips: &[Arc<Clip>]) {
        for clip in clips {
            self.warnings
                .extend(clip.warnings.iter().map(|reason| Warning {
                    file_name: clip.file_name.clone(),
                    reason: reason.clone(),
                }));
        }
        for (first, second) in clips.iter().zip(clips.iter().skip(1)) {
            if first.rank == second.rank {
                let reason = format!(
                    "has {} rows like {}; both are shown",
                    second.rank, first.file_name
                );
                self.warnings.push(Warning {
                    file_name: second.file_name.clone(),
                    reason,
                });
            }
        }
    }

    /// The video someone chose: by a clip's file name; else by the video's name; else by what comes before
    /// the choice's last underscore.
    pub fn find(&self, choice: &str) -> Option<Arc<Video>> {
        let of_file = || {
            let name = ClipName::parse(choice)?.video;
            self.videos
                .get(&name)
                .filter(|v| v.clips.iter().any(|clip| clip.file_name == choice))
        };
        let before_underscore = || self.videos.get(choice.rsplit_once('_')?.0);
        of_file()
            .or_else(|| self.videos.get(choice))
            .or_else(before_underscore)
            .cloned()
    }

    /// Every clip's file name, by video, lowest quality first.
    pub fn file_names(&self) -> Vec<String> {
        self.clips().map(|clip| clip.file_name.clone()).collect()
    }

    /// Every video's name, sorted.
    pub fn names(&self) -> Vec<String> {
        self.videos.keys().cloned().collect()
    }

    fn clips(&self) -> impl Iterator<Item = &Arc<Clip>> {
        self.videos.values().flat_map(|video| &video.clips)
    }
}

/// The clip at `path`, from `known` if it is unchanged; else why it isn't shown.
fn probe(
    path: &Path,
    name: Option<&str>,
    version: Option<Version>,
    known: &HashMap<&Path, &Arc<Clip>>,
) -> Result<Arc<Clip>, String> {
    if name.and_then(ClipName::parse).is_none() {
        return Err(
            "not a video file: the name must be [name]_[resolution].mp4 in UTF-8".to_owned(),
        );
    }
    if let Some(&clip) = known.get(path)
        && let Some(version) = version
        && version.bytes == clip.bytes
        && Some(version.modified) == clip.modified
    {
        return Ok(clip.clone());
    }
    Clip::probe(path)
        .map(Arc::new)
        .map_err(|error| error.to_string())
}

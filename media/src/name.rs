//! What a file's name says: `wildlife_240p.mp4` is the video `wildlife` in the quality `240p`.

/// A video file's name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClipName {
    /// The video: the stem up to its last underscore if a resolution follows, otherwise the whole stem.
    pub video: String,
    /// The quality that the name claims.
    pub quality: Quality,
}

/// The quality part of a file's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quality {
    /// As it is written: `240p`, `640x360`, `4k`; `source` if the name claims none.
    pub label: String,
    /// The rows it claims; `None` for `source`, which is ranked by the picture's real height.
    pub rank: Option<u32>,
}

impl ClipName {
    /// Takes `[video]_[resolution].mp4` apart. `None` for hidden files, for anything but `.mp4` (in any
    /// case), and for names with control characters.
    pub fn parse(file_name: &str) -> Option<ClipName> {
        let (stem, extension) = file_name.rsplit_once('.')?;
        if stem.is_empty()
            || file_name.starts_with('.')
            || !extension.eq_ignore_ascii_case("mp4")
            || file_name.chars().any(char::is_control)
        {
            return None;
        }
        let claimed = stem
            .rsplit_once('_')
            .filter(|(video, _)| !video.is_empty())
            .and_then(|(video, label)| Some((video, label, rows(label)?)));
        Some(match claimed {
            Some((video, label, rank)) => ClipName {
                video: video.to_owned(),
                quality: Quality {
                    label: label.to_owned(),
                    rank: Some(rank),
                },
            },
            None => ClipName {
                video: stem.to_owned(),
                quality: Quality {
                    label: "source".to_owned(),
                    rank: None,
                },
            },
        })
    }
}

/// A bare number below this is a part or episode (`clip_01.mp4`), no resolution.
const FEWEST_BARE_ROWS: u32 = 100;
const MOST_ROWS: u32 = 8192;

/// The rows a resolution stands for; `None` if the text is no resolution.
fn rows(label: &str) -> Option<u32> {
    let number = |text: &str| -> Option<u32> {
        // `parse` alone would accept a sign.
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse()
            .ok()
            .filter(|n| digits && (1..=MOST_ROWS).contains(n))
    };
    let label = label.to_ascii_lowercase();
    if let Some(rows) = label.strip_suffix('p') {
        return number(rows);
    }
    match label.as_str() {
        "4k" => Some(2160),
        "8k" => Some(4320),
        _ => match label.split_once('x') {
            Some((width, height)) => number(width).and(number(height)),
            None => number(&label).filter(|&rows| rows >= FEWEST_BARE_ROWS),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(file_name: &str) -> Option<(String, String, Option<u32>)> {
        ClipName::parse(file_name).map(|n| (n.video, n.quality.label, n.quality.rank))
    }

    #[test]
    fn names_are_taken_apart_at_the_last_underscore() {
        for (file_name, video, label, rank) in [
            ("wildlife_240p.mp4", "wildlife", "240p", Some(240)),
            ("wildlife_1440P.MP4", "wildlife", "1440P", Some(1440)),
            ("wild_life_240.mp4", "wild_life", "240", Some(240)),
            ("a_640x360.mp4", "a", "640x360", Some(360)),
            ("a_640X360.mp4", "a", "640X360", Some(360)),
            ("a_4k.mp4", "a", "4k", Some(2160)),
            ("a_8K.mp4", "a", "8K", Some(4320)),
            ("a.mp4", "a", "source", None),
            ("a_trailer.mp4", "a_trailer", "source", None),
            ("part_01.mp4", "part_01", "source", None),
            ("a_0p.mp4", "a_0p", "source", None),
            ("a_+240.mp4", "a_+240", "source", None),
            ("a_99999999999999p.mp4", "a_99999999999999p", "source", None),
            ("a_x.mp4", "a_x", "source", None),
            ("_240p.mp4", "_240p", "source", None),
            ("a_.mp4", "a_", "source", None),
            ("ünï cödé_144p.mp4", "ünï cödé", "144p", Some(144)),
            ("dots.in.name_144p.mp4", "dots.in.name", "144p", Some(144)),
        ] {
            let expected = Some((video.to_owned(), label.to_owned(), rank));
            assert_eq!(parsed(file_name), expected, "{file_name}");
        }
    }

    #[test]
    fn what_is_no_video_file_is_none() {
        for file_name in [
            "",
            ".",
            "mp4",
            ".mp4",
            ".hidden_240p.mp4",
            "a.mkv",
            "a.mp4.part",
            "a",
            "a\n_240p.mp4",
            "a\0.mp4",
        ] {
            assert_eq!(parsed(file_name), None, "{file_name:?}");
        }
    }
}

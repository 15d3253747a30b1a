use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use playhouse_media::{Clip, ClipError};

use crate::common::*;

fn refusal(bytes: &[u8]) -> ClipError {
    playhouse_media::init();
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "clip_120p.mp4", bytes);
    let error = Clip::probe(&path).unwrap_err();
    assert!(error.to_string().contains("clip_120p.mp4"), "{error}");
    error
}

#[test]
fn a_clip_tells_what_it_holds() {
    let (_dir, clip) = clip(ramp_30());
    assert_eq!(
        (clip.video.as_str(), clip.quality.as_str(), clip.rank),
        ("clip", "120p", 120)
    );
    assert_eq!((clip.width, clip.height, clip.frame_rate), (160, 120, 30.0));
    assert_eq!(clip.bytes, ramp_30().len() as u64);
    assert!(
        !clip.has_sound && clip.warnings.is_empty(),
        "{:?}",
        clip.warnings
    );
    assert!(
        (clip.duration.as_secs_f64() - 2.0).abs() < 0.001,
        "{:?}",
        clip.duration
    );
    assert_eq!(clip.frame_time(0), Duration::ZERO);
    assert!((clip.frame_time(30).as_secs_f64() - 1.0).abs() < 1e-5);
    assert_eq!(clip.frame_time(1000), clip.frame_time(59));
    for i in 0..60 {
        assert_eq!(clip.frame_at(clip.frame_time(i)), i);
        assert_eq!(
            clip.frame_at(clip.frame_time(i) + Duration::from_millis(30)),
            i
        );
        assert_eq!(clip.key_frame_before(i), i / 12 * 12);
    }
    assert_eq!(clip.frame_at(Duration::MAX), 59);
}

#[test]
fn sound_is_noticed() {
    let inputs = [
        "-f",
        "lavfi",
        "-i",
        &ramp(15),
        "-f",
        "lavfi",
        "-i",
        "sine=d=1",
    ];
    let (_dir, with_sound) = clip(&video_from(
        &inputs,
        &[&X264[..], &["-c:a", "aac"]].concat(),
    ));
    assert!(with_sound.has_sound);
    assert_eq!(with_sound.frame_count(), 30);
}

#[test]
fn what_is_no_video_is_refused() {
    assert!(matches!(refusal(b""), ClipError::Empty { .. }));
    assert!(matches!(
        refusal(b"Dear diary, today I was renamed.\n"),
        ClipError::NotVideo { .. }
    ));
    assert!(matches!(refusal(&[0; 100_000]), ClipError::NotVideo { .. }));
    let noise: Vec<u8> = (0u32..100_000)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    assert!(matches!(refusal(&noise), ClipError::NotVideo { .. }));
    let jpeg = video(&ramp(30), &["-frames:v", "1", "-f", "mjpeg"]);
    assert!(matches!(refusal(&jpeg), ClipError::NotVideo { .. }));
    let sound = video("sine=d=1", &["-c:a", "aac"]);
    assert!(matches!(refusal(&sound), ClipError::NoVideoStream { .. }));
}

#[test]
fn a_playlist_cannot_open_other_files() {
    let dir = tempfile::tempdir().unwrap();
    let other = write(dir.path(), "other_120p.mp4", ramp_30());
    let other = other.display();
    let hls = format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{other}\n#EXT-X-ENDLIST\n");
    let concat = format!("ffconcat version 1.0\nfile {other}\n");
    for playlist in [hls, concat] {
        let path = write(dir.path(), "list_120p.mp4", playlist.as_bytes());
        assert!(
            matches!(Clip::probe(&path), Err(ClipError::NotVideo { .. })),
            "{playlist}"
        );
    }
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("folder_240p.mp4")).unwrap();
    symlink(at("loop_240p.mp4"), at("loop_240p.mp4")).unwrap();
    symlink("/dev/zero", at("device_240p.mp4")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(at("pipe_240p.mp4"))
            .status()
            .unwrap()
            .success()
    );
    for name in ["folder_240p.mp4", "device_240p.mp4", "pipe_240p.mp4"] {
        assert!(
            matches!(Clip::probe(&at(name)), Err(ClipError::NotAFile { .. })),
            "{name}"
        );
    }
    for name in ["loop_240p.mp4", "missing_240p.mp4"] {
        assert!(
            matches!(Clip::probe(&at(name)), Err(ClipError::Unreadable { .. })),
            "{name}"
        );
    }
    let path = write(dir.path(), "clip.mkv", ramp_30());
    assert!(matches!(Clip::probe(&path), Err(ClipError::Name { .. })));
    symlink(&path, at("http:linked ö_120p.mp4")).unwrap();
    assert_eq!(
        Clip::probe(&at("http:linked ö_120p.mp4"))
            .unwrap()
            .frame_count(),
        60
    );
}

#[test]
fn a_truncated_file_counts_what_is_there() {
    let bytes = ramp_30();
    let (_dir, clip) = clip(&bytes[..bytes.len() * 6 / 10]);
    assert!(
        (10..59).contains(&clip.frame_count()),
        "{}",
        clip.frame_count()
    );
    assert!(
        clip.warnings
            .iter()
            .any(|warning| warning.contains("cut off")),
        "{:?}",
        clip.warnings
    );
    assert!(matches!(refusal(&bytes[..500]), ClipError::NotVideo { .. }));
    // Every length is answered, none of them by a panic.
    for length in (0..bytes.len()).step_by(bytes.len() / 40) {
        let dir = tempfile::tempdir().unwrap();
        let _ = Clip::probe(&write(dir.path(), "clip_120p.mp4", &bytes[..length]));
    }
}

#[test]
fn damage_anywhere_is_answered() {
    let bytes = ramp_30();
    let header = bytes.windows(4).position(|w| w == b"mdat").unwrap();
    for i in 0..150 {
        let mut bytes = bytes.to_vec();
        let at = i * header / 150;
        for (k, byte) in bytes[at..at + 4].iter_mut().enumerate() {
            *byte = [0xff, 0x7f, 0x80, 0x00][(i + k) % 4];
        }
        let dir = tempfile::tempdir().unwrap();
        if let Ok(clip) = Clip::probe(&write(dir.path(), "clip_120p.mp4", &bytes)) {
            assert!(clip.frame_count() > 0 && clip.frame_rate > 0.0);
            let count = clip.frame_count();
            if count < 1000
                && let Ok(mut decoder) = playhouse_media::ClipDecoder::open(clip.into(), 1)
            {
                assert_eq!(
                    std::iter::from_fn(|| decoder.next()).count(),
                    count as usize
                );
            }
        }
    }
}

#[test]
fn a_wrong_label_is_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    for (file_name, fine) in [
        ("a_240p.mp4", false),
        ("a_320x120.mp4", false),
        ("a_160x120.mp4", true),
        ("a.mp4", true),
    ] {
        let path = write(dir.path(), file_name, ramp_30());
        let clip = Clip::probe(&path).unwrap();
        assert_eq!(
            clip.warnings.is_empty(),
            fine,
            "{file_name}: {:?}",
            clip.warnings
        );
        if file_name == "a.mp4" {
            assert_eq!((clip.quality.as_str(), clip.rank), ("source", 120));
        }
    }
    assert!(Clip::probe(Path::new("")).is_err());
}

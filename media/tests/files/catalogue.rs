use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use playhouse_media::{Catalogue, ClipDecoder};

use crate::common::*;

fn scan(dir: &Path, previous: Option<&Catalogue>) -> Catalogue {
    playhouse_media::init();
    Catalogue::scan(dir, previous, &mut |_, _| ()).unwrap()
}

#[test]
fn a_folder_becomes_videos_rejects_and_warnings() {
    let dir = tempfile::tempdir().unwrap();
    for file_name in [
        "b_120p.mp4",
        "a_1080p.mp4",
        "a_240.mp4",
        "a_240p.mp4",
        "a_120p.mp4",
        "a_b_120p.mp4",
    ] {
        write(dir.path(), file_name, ramp_30());
    }
    write(dir.path(), ".hidden_240p.mp4", b"");
    write(dir.path(), "notes.txt", b"buy milk");
    write(dir.path(), "empty_240p.mp4", b"");
    fs::write(
        dir.path().join(OsStr::from_bytes(b"\xff_240p.mp4")),
        ramp_30(),
    )
    .unwrap();
    fs::create_dir(dir.path().join("folder_240p.mp4")).unwrap();
    let mut heard = Vec::new();
    let catalogue =
        Catalogue::scan(dir.path(), None, &mut |done, of| heard.push((done, of))).unwrap();

    assert_eq!(heard, (0..=10).map(|done| (done, 10)).collect::<Vec<_>>());
    assert_eq!(catalogue.names(), ["a", "a_b", "b"]);
    let sorted = [
        "a_120p.mp4",
        "a_240.mp4",
        "a_240p.mp4",
        "a_1080p.mp4",
        "a_b_120p.mp4",
        "b_120p.mp4",
    ];
    assert_eq!(catalogue.file_names(), sorted);
    let rejected: Vec<_> = catalogue
        .rejected
        .iter()
        .map(|reject| reject.file_name.as_str())
        .collect();
    assert_eq!(
        rejected,
        [
            "empty_240p.mp4",
            "folder_240p.mp4",
            "notes.txt",
            "\u{fffd}_240p.mp4"
        ]
    );
    let twice = catalogue
        .warnings
        .iter()
        .find(|w| w.reason.contains("a_240.mp4"))
        .unwrap();
    assert_eq!(twice.file_name, "a_240p.mp4");

    let found = |choice| catalogue.find(choice).map(|video| video.name.clone());
    assert_eq!(found("a_240.mp4").as_deref(), Some("a"));
    assert_eq!(found("a_b_120p.mp4").as_deref(), Some("a_b"));
    assert_eq!(found("a_b").as_deref(), Some("a_b"));
    assert_eq!(found("b").as_deref(), Some("b"));
    assert_eq!(found("b_9999p.mp4").as_deref(), Some("b"));
    assert_eq!(found("c"), None);
    assert_eq!(found(""), None);
    assert!(Catalogue::scan(&dir.path().join("missing"), None, &mut |_, _| ()).is_err());
}

#[test]
fn unchanged_files_are_not_probed_again() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a_120p.mp4", ramp_30());
    let path = write(dir.path(), "b_120p.mp4", ramp_30());
    let first = scan(dir.path(), None);
    fs::write(&path, &ramp_30()[..ramp_30().len() - 10]).unwrap();
    let second = scan(dir.path(), Some(&first));
    let clip = |catalogue: &Catalogue, name: &str| catalogue.videos[name].clips[0].clone();
    assert!(Arc::ptr_eq(&clip(&first, "a"), &clip(&second, "a")));
    assert_ne!(clip(&first, "b").id, clip(&second, "b").id);
    fs::remove_file(path).unwrap();
    assert_eq!(scan(dir.path(), Some(&second)).names(), ["a"]);
}

#[test]
fn qualities_of_different_frame_rates_show_the_same_moment() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "v_120p.mp4", &video(&ramp(15), &X264));
    write(dir.path(), "v_240p.mp4", ramp_30());
    write(dir.path(), "v_360p.mp4", &video(&ramp(24), &X264));
    let catalogue = scan(dir.path(), None);
    let video = &catalogue.videos["v"];
    assert_eq!(
        video
            .clips
            .iter()
            .map(|clip| clip.frame_count())
            .collect::<Vec<_>>(),
        [30, 60, 48]
    );
    assert_eq!(video.frame_count(), 30);
    for i in 0..30 {
        assert_eq!(video.source_frame(0, i), i);
        assert_eq!(video.source_frame(1, i), 2 * i);
        assert_eq!(video.source_frame(2, i), i * 24 / 15);
        assert_eq!(video.due(i), video.clips[0].frame_time(i));
    }
    let mut decoders: Vec<_> = video
        .clips
        .iter()
        .map(|clip| ClipDecoder::open(clip.clone(), 1).unwrap())
        .collect();
    for i in [0, 7, 8, 21, 29] {
        for (quality, decoder) in decoders.iter_mut().enumerate() {
            decoder.seek(video.source_frame(quality, i)).unwrap();
            let shown = identity(&decoder.next().unwrap());
            assert!(
                (2 * i).abs_diff(shown) <= 1,
                "frame {i} in quality {quality} shows {shown}"
            );
        }
    }
}

use std::fs;
use std::sync::Arc;

use playhouse_media::{Clip, ClipDecoder, ClipError, Picture};

use crate::common::*;

fn decoder(clip: &Arc<Clip>) -> ClipDecoder {
    ClipDecoder::open(clip.clone(), 2).unwrap()
}

/// All pictures to the end, their indices checked.
fn pictures(mut decoder: ClipDecoder) -> Vec<Picture> {
    let mut all: Vec<Picture> = Vec::new();
    while let Some(picture) = decoder.next() {
        assert_eq!(picture.index() as usize, all.len());
        all.push(picture);
        assert_eq!(decoder.position() as usize, all.len());
    }
    assert!(decoder.next().is_none());
    assert_eq!(all.len(), decoder.clip().frame_count() as usize);
    all
}

/// Seeks to every frame, forwards, backwards and jumping about, `first` being the identity of frame 0.
fn check_every_seek(clip: &Arc<Clip>, first: u32) {
    let count = clip.frame_count();
    let mut decoder = decoder(clip);
    let jumps = (0..count).map(|i| i * 37 % count);
    for i in (0..count).step_by(3).chain((0..count).rev()).chain(jumps) {
        decoder.seek(i).unwrap();
        assert_eq!(decoder.position(), i);
        let picture = decoder.next().unwrap();
        assert_eq!((picture.index(), picture.repeated()), (i, false));
        assert_eq!(identity(&picture), first + i, "frame {i}");
    }
}

#[test]
fn every_frame_comes_once_and_in_order() {
    let (_dir, clip) = clip(ramp_30());
    assert_eq!(clip.frame_count(), 60);
    for (i, picture) in pictures(decoder(&clip)).iter().enumerate() {
        assert_eq!((identity(picture), picture.repeated()), (i as u32, false));
        assert_eq!((picture.width(), picture.height()), (160, 120));
    }
}

#[test]
fn seeking_finds_every_frame() {
    let (_dir, clip) = clip(ramp_30());
    check_every_seek(&clip, 0);
    let mut decoder = decoder(&clip);
    decoder.seek(u32::MAX).unwrap();
    assert_eq!(decoder.position(), 60);
    assert!(decoder.next().is_none());
    decoder.seek(59).unwrap();
    assert_eq!(decoder.next().map(|picture| identity(&picture)), Some(59));
}

#[test]
fn seeking_finds_every_frame_in_open_groups() {
    let options = ["-x264-params", "open-gop=1:scenecut=0", "-bf", "3"];
    let (_dir, clip) = clip(&video(&ramp(30), &[&X264[..], &options].concat()));
    check_every_seek(&clip, 0);
}

#[test]
fn seeking_finds_every_frame_in_tiny_groups() {
    let (_dir, clip) = clip(&video(
        &ramp(30),
        &[&X264[..], &["-g", "3", "-bf", "3"]].concat(),
    ));
    check_every_seek(&clip, 0);
}

#[test]
fn seeking_finds_every_frame_of_other_containers_and_codecs() {
    let mpeg4 = ["-c:v", "mpeg4", "-q:v", "2", "-g", "12", "-bf", "2"];
    let containers = ["mp4", "matroska", "mpegts", "avi", "flv"];
    for arguments in containers
        .map(|c| [&X264[..], &["-f", c]].concat())
        .into_iter()
        .chain([mpeg4.to_vec()])
    {
        let (_dir, clip) = clip(&video(&ramp(30), &arguments));
        assert_eq!(clip.frame_count(), 60, "{arguments:?}");
        check_every_seek(&clip, 0);
    }
}

#[test]
fn frames_hidden_by_an_edit_list_dont_count() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "whole.mp4", ramp_30());
    let cut = video_from(
        &["-ss", "0.5", "-i", path.to_str().unwrap()],
        &["-c", "copy"],
    );
    let (_dir, clip) = clip(&cut);
    let first = identity(&decoder(&clip).next().unwrap());
    assert_eq!((first, clip.frame_count()), (15, 45));
    check_every_seek(&clip, 15);
}

#[test]
fn damaged_bytes_cost_pictures_but_no_frames() {
    let bytes = ramp_30();
    let start = bytes.windows(4).position(|w| w == b"mdat").unwrap() + 4;
    for (from, to, step) in [(0.3, 0.6, 1), (0.1, 1.0, 211), (0.02, 1.0, 1)] {
        let mut bytes = bytes.to_vec();
        let data = bytes.len() - start;
        let range = start + (data as f64 * from) as usize..start + (data as f64 * to) as usize;
        for i in range.step_by(step) {
            bytes[i] = bytes[i].wrapping_mul(31).wrapping_add(i as u8) ^ 0x5a;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), "clip_120p.mp4", &bytes);
        let clip = Arc::new(Clip::probe(&path).unwrap());
        assert_eq!(clip.frame_count(), 60);
        pictures(decoder(&clip));
        for i in [59, 30, 13, 0] {
            let mut decoder = decoder(&clip);
            decoder.seek(i).unwrap();
            assert_eq!(decoder.next().map(|picture| picture.index()), Some(i));
        }
    }
}

#[test]
fn a_group_that_is_wiped_out_repeats_what_was_last() {
    let (dir, whole) = clip(ramp_30());
    let mut bytes = ramp_30().to_vec();
    let start = bytes.windows(4).position(|w| w == b"mdat").unwrap() + 4;
    let length = bytes.len() - start;
    bytes[start + length / 2..].fill(0);
    fs::write(&whole.path, &bytes).unwrap();
    let all = pictures(decoder(&whole));
    let last_good = all.iter().rposition(|picture| !picture.repeated()).unwrap();
    assert!((10..50).contains(&last_good), "{last_good}");
    assert_eq!(identity(&all[59]), identity(&all[last_good]));
    // Nothing good follows a seek to the end: a good frame from before stands in.
    let mut decoder = decoder(&whole);
    decoder.seek(50).unwrap();
    let picture = decoder.next().unwrap();
    assert!(picture.repeated());
    assert!(identity(&picture) as usize <= last_good);
    drop(dir);
}

#[test]
fn a_file_that_vanishes_still_yields_the_promised_frames() {
    let (dir, clip) = clip(ramp_30());
    let mut decoder = decoder(&clip);
    decoder.seek(40).unwrap();
    decoder.next().unwrap();
    drop(dir);
    // Back to the start takes the file to be opened again only if the container can't seek.
    let _ = decoder.seek(0);
    assert_eq!(pictures(decoder).len(), 60);
    assert!(matches!(
        ClipDecoder::open(clip, 1),
        Err(ClipError::Unreadable { .. })
    ));
}

#[test]
fn a_file_that_was_replaced_is_noticed() {
    let (_dir, clip) = clip(ramp_30());
    fs::write(&clip.path, b"something else").unwrap();
    assert!(matches!(
        ClipDecoder::open(clip, 1),
        Err(ClipError::Changed { .. })
    ));
}

#[test]
fn when_nothing_can_be_decoded_a_grey_picture_comes() {
    let (_dir, clip) = clip(ramp_30());
    let mut bytes = ramp_30().to_vec();
    let start = bytes.windows(4).position(|w| w == b"mdat").unwrap() + 4;
    bytes[start..].fill(0);
    fs::write(&clip.path, &bytes).unwrap();
    let all = pictures(decoder(&clip));
    assert!(all.iter().all(Picture::repeated));
    let image = decoded(&all[0]);
    assert_eq!(
        (image.width(), image.height(), image.get_pixel(80, 60).0),
        (160, 120, [128; 3])
    );
}

#[test]
fn pictures_and_decoders_move_between_threads() {
    fn check<T: Send>() {}
    check::<ClipDecoder>();
    check::<Picture>();
    check::<playhouse_media::JpegEncoder>();
    let (_dir, clip) = clip(ramp_30());
    let picture = decoder(&clip).next().unwrap();
    assert_eq!(
        std::thread::spawn(move || identity(&picture))
            .join()
            .unwrap(),
        0
    );
}

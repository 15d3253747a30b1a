//! What a camera can't do to the house: run what it sends, take memory that it only claims, or all places.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use crate::lan_support::cameras::{Camera, Length, plain, wait_on_air};
use crate::lan_support::{text, wait_connections, wait_left, wait_line};
use crate::live_support::pictures::difference;
use crate::live_support::ports::rss_kib;
use crate::live_support::{LONG_LINGER, SHORT_LINGER, next_frame, tune_in, wait_off_air, watcher};
use crate::support::{House, wait_for};

/// After so many frames that are none, the connection is closed.
const MAX_FAULTS: usize = 20;

/// The server closes, and says nothing.
fn assert_let_go(camera: &Camera) {
    match (&camera.stream).read(&mut [0]) {
        Ok(0) => {}
        Err(e) if e.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("{other:?}"),
    }
}

/// One bad message more than are forgiven.
fn send_too_often(camera: &Camera, bad: &[u8]) {
    for _ in 0..=MAX_FAULTS {
        // It may be closed already.
        if (&camera.stream).write_all(bad).is_err() {
            break;
        }
    }
}

/// A text in a pickle.
fn unicode(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    [&[0x8c, length], text.as_bytes()].concat()
}

/// Pickles that would make the file at `proof` where they are run, and what has to be said of them.
fn hostile(proof: &Path) -> Vec<(Vec<u8>, [&'static str; 2])> {
    let command = unicode(&format!("touch {}", text(proof)));
    let code = unicode(&format!("open({:?}, 'w')", text(proof)));
    let frame = plain(1, 8, 8).pickle(4);
    let (start, rest) = frame.split_at(11);
    vec![
        (
            [b"\x80\x02cos\nsystem\n", &command[..], b"\x85R."].concat(),
            ["byte 2", "os.system"],
        ),
        (
            [
                b"\x80\x04",
                &unicode("posix")[..],
                &unicode("system"),
                b"\x93",
                &command,
                b"\x85R.",
            ]
            .concat(),
            ["byte ", "posix.system"],
        ),
        (
            [b"\x80\x03cbuiltins\neval\n", &code[..], b"\x85R."].concat(),
            ["byte 2", "builtins.eval"],
        ),
        (
            [b"\x80\x02(ios\nsystem\n", &command[..], b"."].concat(),
            ["byte ", "INST"],
        ),
        (
            [
                b"\x80\x02c__builtin__\nexec\n",
                &code[..],
                b"\x85R0",
                &frame[..],
            ]
            .concat(),
            ["byte 2", "__builtin__.exec"],
        ),
        // Behind the beginning of an array.
        (
            [start, &unicode("os"), &unicode("system"), b"\x93", rest].concat(),
            ["byte ", "os.system"],
        ),
    ]
}

#[test]
fn pickles_are_read_and_never_run() {
    let folder = tempfile::tempdir().unwrap();
    let proof = folder.path().join("proof");
    let house = House::open_empty(&[LONG_LINGER]);
    let mut anna = watcher(&house);
    let camera = Camera::connect(&house);
    camera.show(&plain(0, 8, 8));
    wait_on_air(&house, "cam-1");
    tune_in(&mut anna, "cam-1");
    for (number, (pickle, words)) in (1..).zip(hostile(&proof)) {
        camera.send_pickle(&pickle);
        // The same connection's next frame arrives.
        camera.show(&plain(number, 8, 8));
        assert!(difference(&next_frame(&mut anna), number) < 12);
        let line = wait_line(&house, camera.address(), &words);
        assert_eq!(line["level"], "WARN", "{line}");
    }
    assert!(!proof.exists(), "something was run");
    drop((camera, anna));
    house.stop();
}

#[test]
fn frames_that_are_none_are_skipped_until_there_are_too_many() {
    let house = House::open_empty(&[LONG_LINGER]);
    let mut anna = watcher(&house);
    let camera = Camera::connect(&house);
    camera.show(&plain(0, 8, 8));
    wait_on_air(&house, "cam-1");
    tune_in(&mut anna, "cam-1");
    let whole = plain(1, 8, 8).pickle(4);
    let bad = &whole[..whole.len() - 20];
    for _ in 0..MAX_FAULTS {
        camera.send_pickle(bad);
    }
    camera.send_pickle(&whole);
    assert!(difference(&next_frame(&mut anna), 1) < 12);
    send_too_often(&camera, &Length::Long.before(bad));
    wait_left(&house, camera.address());
    assert_let_go(&camera);
    // Whoever never sends anything else is no channel.
    let camera = Camera::connect(&house);
    send_too_often(&camera, &Length::Short.before(bad));
    wait_left(&house, camera.address());
    assert!(!house.live_census().contains_key("cam-2"));
    house.stop();
}

#[test]
fn lengths_that_no_frame_has_end_the_connection() {
    let house = House::open_empty(&[("LAN_VIDEO__MAX_FRAME_MB", "1")]);
    let limit = 1_u64 << 20;
    for head in [
        &u64::MAX.to_le_bytes()[..],
        &(1_u64 << 40).to_le_bytes(),
        &(limit + 1).to_le_bytes(),
        &[0; 8],
        b"\xff\xff\xff\xff\x80",
        b"\x01\x00\x10\x00\x80",
        b"\0\0\0\0\x80",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let camera = Camera::connect(&house);
        camera.send(head);
        wait_line(&house, camera.address(), &["WARN", "length at byte 0"]);
        assert_let_go(&camera);
    }
    // The longest one is welcome, as far as it is a picture.
    let mut anna = watcher(&house);
    let camera = Camera::connect(&house);
    let (width, height) = (591, 591);
    let pickle = plain(3, width, height).pickle(4);
    assert!(
        (1_047_000..=1 << 20).contains(&pickle.len()),
        "{}",
        pickle.len()
    );
    camera.send_pickle(&pickle);
    wait_on_air(&house, "cam-1");
    assert!(difference(&tune_in(&mut anna, "cam-1"), 3) < 12);
    drop((camera, anna));
    house.stop();
}

#[test]
fn a_length_that_is_only_claimed_takes_no_memory() {
    const CAMERAS: usize = 200;
    let house = House::open_empty(&[("LAN_VIDEO__MAX_CAMERAS", "300")]);
    let camera = Camera::connect(&house);
    camera.show(&plain(0, 640, 480));
    wait_on_air(&house, "cam-1");
    let before = rss_kib(house.pid());
    let claim = [&(31_u64 << 20).to_le_bytes()[..], b"\x80\x04"].concat();
    let cameras: Vec<Camera> = (0..CAMERAS)
        .map(|_| {
            let camera = Camera::connect(&house);
            camera.send(&claim);
            camera
        })
        .collect();
    wait_for("a look at all claims", || {
        let read = |camera: &Camera| crate::lan_support::unread_from(&camera.stream) == 0;
        cameras.iter().all(read).then_some(())
    });
    assert_eq!(house.census().connections, CAMERAS as u64 + 1);
    let growth = rss_kib(house.pid()).saturating_sub(before);
    assert!(growth < 32 * 1024, "{growth} KiB for {CAMERAS} claims");
    drop((camera, cameras));
    wait_connections(&house, 0);
    house.assert_left_empty();
}

#[test]
fn there_are_as_many_cameras_as_may_be() {
    let house = House::open_empty(&[SHORT_LINGER, ("LAN_VIDEO__MAX_CAMERAS", "2")]);
    // Places that are given back are others'.
    for _ in 0..2 {
        let cameras = [1, 2].map(|number| {
            let camera = Camera::connect(&house);
            camera.show(&plain(number, 8, 8));
            wait_on_air(&house, &format!("cam-{number}"));
            camera
        });
        let late = Camera::connect(&house);
        // It may be closed before it has sent anything.
        let _ = (&late.stream).write_all(&Length::Long.before(&plain(3, 8, 8).pickle(4)));
        wait_line(&house, late.address(), &["lan_video.max_cameras"]);
        assert_let_go(&late);
        assert!(!house.live_census().contains_key("cam-3"));
        drop(cameras);
        wait_connections(&house, 0);
        for name in ["cam-1", "cam-2"] {
            wait_off_air(&house, name);
        }
    }
    house.assert_left_empty();
}

#[test]
fn whoever_sends_nothing_is_let_go() {
    let house = House::open_empty(&[("LIMITS__HANDSHAKE_S", "1")]);
    let silent = Camera::connect(&house);
    let half = Camera::connect(&house);
    half.send(&[0x10, 0, 0]);
    for camera in [&silent, &half] {
        wait_left(&house, camera.address());
        assert_let_go(camera);
    }
    drop((silent, half));
    house.assert_left_empty();
}

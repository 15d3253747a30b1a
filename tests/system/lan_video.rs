//! lan_video: cameras whose pictures are pickled arrays are live channels, and pickles are nothing more.

use std::thread;

use crate::lan_support::cameras::{Camera, Length, plain, wait_on_air};
use crate::lan_support::pickles::Array;
use crate::live_support::pictures::{colour, difference};
use crate::live_support::ports::rss_kib;
use crate::live_support::{
    LONG_LINGER, SHORT_LINGER, hear_begin, hear_frame, next_frame, tune_in, wait_off_air, watcher,
};
use crate::support::{House, OldChatroom, OldVideochat, Told, dimensions, key};

/// A picture may be off by so much, of 255, after it was a JPEG.
const LOSS: u8 = 12;

/// The frame shows the picture with this number.
fn assert_shows(frame: &[u8], number: u32, what: &str) {
    let off = difference(frame, number);
    assert!(off <= LOSS, "{what}: {off} off picture {number}");
}

// What old programs send

#[test]
fn pickles_of_all_protocols_and_lengths_are_watched() {
    let house = House::open_empty(&[LONG_LINGER]);
    let mut anna = watcher(&house);
    assert!(anna.videos().is_empty());
    let camera = Camera::connect(&house);
    // Who sends nothing is no channel.
    assert!(anna.videos().is_empty());
    camera.show(&plain(1, 120, 90));
    wait_on_air(&house, "cam-1");
    assert_eq!(anna.videos(), ["cam-1"]);
    let frame = tune_in(&mut anna, "cam-1");
    assert_shows(&frame, 1, "the first one");
    assert_eq!(dimensions(&frame), (120, 90));
    for protocol in 2..=5 {
        for length in [Length::Long, Length::Short] {
            // Below and above what is in a pickler's frame, and so few bytes that their length is a byte.
            for (width, height) in [(7, 5), (120, 90), (320, 240)] {
                for number in [2, 5, 7] {
                    let what = format!("{protocol} {length:?} {width} × {height} {number}");
                    let pickle = plain(number, width, height).pickle(protocol);
                    camera.send(&length.before(&pickle));
                    let frame = next_frame(&mut anna);
                    assert_shows(&frame, number, &what);
                    let size = (width.try_into().unwrap(), height.try_into().unwrap());
                    assert_eq!(dimensions(&frame), size, "{what}");
                }
                for number in [0, 7] {
                    let what = format!("grey {protocol} {length:?} {width} × {height} {number}");
                    let grey = Array::grey(height, width, colour(number)[0]);
                    camera.send(&length.before(&grey.pickle(protocol)));
                    assert_shows(&next_frame(&mut anna), number, &what);
                }
            }
        }
    }
    drop(camera);
    anna.quit();
    house.stop();
}

#[test]
fn what_is_where_in_a_picture_stays_there() {
    let house = House::open_empty(&[LONG_LINGER]);
    let mut anna = watcher(&house);
    let camera = Camera::connect(&house);
    let (width, height) = (64, 48);
    // Four quarters, each of another colour.
    let quarters = [[220, 30, 30], [30, 220, 30], [30, 30, 220], [220, 220, 30]];
    let quarter = |x: usize, y: usize| quarters[2 * (y * 2 / height) + x * 2 / width];
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let bytes = pixels.flat_map(|(x, y)| {
        let [red, green, blue] = quarter(x, y);
        [blue, green, red]
    });
    let array = Array {
        height,
        width,
        bytes: bytes.collect(),
    };
    camera.show(&array);
    wait_on_air(&house, "cam-1");
    let frame = tune_in(&mut anna, "cam-1");
    let image = image::load_from_memory(&frame).unwrap().to_rgb8();
    for (x, y) in [(8, 8), (56, 8), (8, 40), (56, 40)] {
        let expected = quarter(x, y);
        let shown = image
            .get_pixel(x.try_into().unwrap(), y.try_into().unwrap())
            .0;
        let off = shown.iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max();
        assert!(off <= Some(LOSS), "{shown:?} at {x}, {y}, not {expected:?}");
    }
    house.stop();
}

#[test]
fn frames_come_split_or_joined_as_they_like() {
    let house = House::open_empty(&[LONG_LINGER]);
    let mut anna = watcher(&house);
    let camera = Camera::connect(&house);
    camera.show(&plain(0, 40, 30));
    wait_on_air(&house, "cam-1");
    tune_in(&mut anna, "cam-1");
    for (number, piece) in [(1, 1), (2, 3), (3, 7), (4, 1000), (5, 3000)] {
        let wire = Length::Long.before(&plain(number, 40, 30).pickle(4));
        wire.chunks(piece).for_each(|bytes| camera.send(bytes));
        assert_shows(&next_frame(&mut anna), number, "in pieces");
    }
    // Several in one write, with the end of the last one later: the newest one comes, at least.
    let wires: Vec<u8> = [1, 2, 3]
        .into_iter()
        .zip([Length::Long, Length::Short, Length::Long])
        .flat_map(|(number, length)| length.before(&plain(number, 40, 30).pickle(5)))
        .collect();
    let (most, rest) = wires.split_at(wires.len() - 5);
    camera.send(most);
    camera.send(rest);
    while difference(&next_frame(&mut anna), 3) > LOSS {}
    house.stop();
}

#[test]
fn a_camera_may_change_its_size() {
    let house = House::open_empty(&[LONG_LINGER, ("LIVE__CHATROOM_FRAMES", "6")]);
    let mut anna = watcher(&house);
    let mut ben = OldChatroom::join(&house, "ben", key(1024, 0));
    let camera = Camera::connect(&house);
    camera.show(&plain(0, 64, 48));
    wait_on_air(&house, "cam-1");
    assert_eq!(ben.videos(), ["cam-1"]);
    ben.send(b"cam-1");
    assert_eq!(hear_begin(&mut ben), 6);
    assert_shows(&hear_frame(&mut ben), 0, "in chatroom");
    tune_in(&mut anna, "cam-1");
    for (number, (width, height)) in
        (1..).zip([(640, 480), (1, 1), (3, 200), (1280, 720), (64, 48)])
    {
        let (w, h) = (width.try_into().unwrap(), height.try_into().unwrap());
        camera.show(&plain(number, w, h));
        for frame in [next_frame(&mut anna), hear_frame(&mut ben)] {
            assert_eq!(dimensions(&frame), (width, height));
            assert_shows(&frame, number, "of another size");
        }
    }
    ben.assert_silent();
    drop((anna, ben, camera));
    house.stop();
}

// Channels

#[test]
fn cameras_have_the_smallest_free_numbers() {
    let house = House::open_empty(&[SHORT_LINGER]);
    let mut anna = watcher(&house);
    let cameras: Vec<Camera> = (1..=3)
        .map(|number| {
            let camera = Camera::connect(&house);
            camera.show(&plain(number, 16, 16));
            wait_on_air(&house, &format!("cam-{number}"));
            camera
        })
        .collect();
    let [first, second, third] = cameras.try_into().ok().unwrap();
    drop(second);
    // The others stay on air.
    while house.live_census().get("cam-2").is_some_and(|c| c.on_air) {
        first.show(&plain(1, 16, 16));
        third.show(&plain(3, 16, 16));
    }
    let fourth = Camera::connect(&house);
    fourth.show(&plain(4, 16, 16));
    wait_on_air(&house, "cam-2");
    first.show(&plain(1, 16, 16));
    third.show(&plain(3, 16, 16));
    for (name, number) in [("cam-1", 1), ("cam-2", 4), ("cam-3", 3)] {
        assert_shows(&tune_in(&mut anna, name), number, name);
        // It watches nothing any more.
        anna.choose("nothing");
        while let Told::Frame(_) = anna.next() {}
        anna.hear("Error");
    }
    drop((first, third, fourth, anna));
    house.assert_left_empty();
}

#[test]
fn a_camera_is_on_air_until_a_while_after_its_last_frame() {
    let house = House::open_empty(&[SHORT_LINGER, ("LIMITS__HANDSHAKE_S", "1")]);
    let mut anna = watcher(&house);
    let camera = Camera::connect(&house);
    for number in [1, 2] {
        camera.show(&plain(number, 16, 16));
        wait_on_air(&house, "cam-1");
        assert_shows(&tune_in(&mut anna, "cam-1"), number, "on air");
        // It pauses, and comes back.
        wait_off_air(&house, "cam-1");
        anna.hear("Video Finish");
        assert!(anna.videos().is_empty());
    }
    camera.show(&plain(3, 16, 16));
    wait_on_air(&house, "cam-1");
    assert_shows(&tune_in(&mut anna, "cam-1"), 3, "on air");
    drop(camera);
    anna.hear("Video Finish");
    assert!(anna.videos().is_empty());
    drop(anna);
    house.assert_left_empty();
}

#[test]
fn a_camera_that_sends_slowly_is_alone_with_it() {
    let house = House::open_empty(&[LONG_LINGER]);
    let mut anna = watcher(&house);
    let quick = Camera::connect(&house);
    quick.show(&plain(0, 16, 16));
    wait_on_air(&house, "cam-1");
    tune_in(&mut anna, "cam-1");
    let slow = Camera::connect(&house);
    let wire = Length::Long.before(&plain(5, 8, 8).pickle(4));
    for (n, byte) in wire.iter().enumerate() {
        slow.send(&[*byte]);
        if n % 20 == 0 {
            let number = u32::try_from(n / 20 % 8).unwrap();
            quick.show(&plain(number, 16, 16));
            assert_shows(&next_frame(&mut anna), number, "beside a slow one");
        }
    }
    wait_on_air(&house, "cam-2");
    anna.choose("cam-2");
    loop {
        match anna.next() {
            Told::Frame(frame) if dimensions(&frame) == (8, 8) => {
                assert_shows(&frame, 5, "the slow one");
                break;
            }
            Told::Closed => panic!("closed"),
            _ => {}
        }
    }
    house.stop();
}

#[test]
fn a_flood_of_frames_is_watched_as_far_as_it_can_be() {
    /// 184 MB of pictures, far more than may wait anywhere.
    const FRAMES: u32 = 200;
    let house = House::open_empty(&[LONG_LINGER]);
    let mut anna = watcher(&house);
    let mut ben = OldVideochat::join(&house, "ben", key(2048, 1));
    anna.hear_presence("broadcast_message", "ben");
    let camera = Camera::connect(&house);
    // Pictures that can be told apart by what is said of their size.
    let picture = |number: u32| plain(number % 8, 640, 480 - (number % 100) as usize);
    camera.show(&picture(0));
    wait_on_air(&house, "cam-1");
    tune_in(&mut anna, "cam-1");
    // This one never reads.
    ben.choose("cam-1");
    let before = rss_kib(house.pid());
    let heights = thread::scope(|scope| {
        scope.spawn(|| (1..=FRAMES).for_each(|number| camera.show(&picture(number))));
        let last = picture(FRAMES);
        let mut heights = Vec::new();
        loop {
            let frame = next_frame(&mut anna);
            let height = dimensions(&frame).1 as usize;
            heights.push(height);
            if heights.len() > 1 && height == last.height && difference(&frame, FRAMES % 8) <= LOSS
            {
                break heights;
            }
        }
    });
    assert!(heights.len() <= FRAMES as usize + 1, "{heights:?}");
    let growth = rss_kib(house.pid()).saturating_sub(before);
    assert!(growth < 64 * 1024, "{growth} KiB more");
    drop((camera, anna, ben));
    house.stop();
}

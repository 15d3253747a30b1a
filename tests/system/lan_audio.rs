//! lan_audio: everybody hears the same at the same time, at the pace of the clock; whoever falls behind
//! loses what is old.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::lan_support::listeners::{BUFFER, Listener, open_with_source};
use crate::lan_support::sounds::{RATE, Sound, frequency};
use crate::lan_support::{lines_with, text};
use crate::live_support::ports::rss_kib;
use crate::support::{House, sample_videos};
use tempfile::TempDir;

/// No listener is so far behind another one that this many samples would not tell where it is.
const LENGTH: usize = 1_000_003;
/// Samples after which a tone of 440 Hz comes back to the same ones.
const PERIOD: usize = 2205;

/// A sound in a file that is played in a loop.
fn known_sound() -> (TempDir, PathBuf, Sound) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sound.wav");
    let sound = Sound::new(LENGTH);
    sound.write(&path);
    (folder, path, sound)
}

// The same for all

#[test]
fn whoever_comes_later_hears_the_same_from_there_on() {
    let (_folder, path, sound) = known_sound();
    let house = open_with_source(&path, &[]);
    let mut early = Listener::connect(&house);
    let start = early.place(&sound, 0);
    let mut places = vec![start];
    // What waits for it is read: it is at the present.
    places.extend((0..9).map(|_| early.place(&sound, 0)));
    let now = *places.last().unwrap();
    let mut late = Listener::connect(&house);
    let first = late.place(&sound, start);
    assert!(first >= now, "nothing that is past: {first} after {now}");
    assert!(first <= now + 10 * BUFFER, "from now on: {first} at {now}");
    let mut late_places = vec![first];
    for _ in 0..30 {
        places.push(early.place(&sound, 0));
        late_places.push(late.place(&sound, 0));
    }
    while places.last() < late_places.last() {
        places.push(early.place(&sound, 0));
    }
    let without_gaps = |places: &[usize]| places.windows(2).all(|two| two[1] == two[0] + BUFFER);
    assert!(without_gaps(&places), "{places:?}");
    assert!(without_gaps(&late_places), "{late_places:?}");
    let seam = places.iter().position(|&place| place == first);
    let seam = seam.expect("a buffer that begins where the other's does");
    let both = places[seam..].iter().zip(&late_places);
    assert!(both.clone().count() > 20 && both.clone().all(|(a, b)| a == b));
    drop((early, late));
    house.assert_left_empty();
}

#[test]
fn a_sound_goes_on_without_a_gap_from_its_end_to_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("short.wav");
    let sound = Sound::new(RATE as usize / 2 + 1);
    sound.write(&path);
    let house = open_with_source(&path, &[]);
    let mut listener = Listener::connect(&house);
    let first = listener.place(&sound, 0);
    for n in 1..20 {
        assert_eq!(listener.place(&sound, 0), first + n * BUFFER);
    }
    assert!(19 * BUFFER > 3 * sound.length(), "several rounds");
    house.stop();
}

#[test]
fn nobody_has_a_gap_beside_one_of_many_who_stops() {
    const LISTENERS: usize = 200;
    const BUFFERS: usize = 25;
    let (_folder, path, sound) = known_sound();
    let house = open_with_source(&path, &[]);
    let stopped = Listener::connect_narrow(&house);
    let mut listeners: Vec<Listener> = (1..LISTENERS).map(|_| Listener::connect(&house)).collect();
    let mut last = vec![None; listeners.len()];
    let before = rss_kib(house.pid());
    for _ in 0..BUFFERS {
        for (listener, last) in listeners.iter_mut().zip(&mut last) {
            let place = listener.place(&sound, 0);
            if let Some(last) = last.replace(place) {
                assert_eq!(place, last + BUFFER);
            }
        }
    }
    assert_eq!(house.census().connections, LISTENERS as u64);
    let growth = rss_kib(house.pid()).saturating_sub(before);
    assert!(growth < 32 * 1024, "{growth} KiB more");
    drop((listeners, stopped));
    house.assert_left_empty();
}

#[test]
fn whoever_falls_behind_loses_the_oldest_and_is_at_the_present_again() {
    /// About 8 s, far more than may wait.
    const STOPPED: usize = 86;
    let (_folder, path, sound) = known_sound();
    let house = open_with_source(&path, &[("LAN_AUDIO__BACKLOG_MS", "500")]);
    let mut steady = Listener::connect(&house);
    let mut slow = Listener::connect_narrow(&house);
    let mut heard = steady.place(&sound, 0);
    let mut places = vec![slow.place(&sound, heard)];
    let mut go_on = |heard: &mut usize| {
        let place = steady.place(&sound, 0);
        assert_eq!(place, *heard + BUFFER, "no gap beside a slow one");
        *heard = place;
    };
    for _ in 0..STOPPED {
        go_on(&mut heard);
    }
    // It reads again, until it has heard what the other heard just now.
    while places.last() < Some(&heard) {
        places.push(slow.place(&sound, 0));
    }
    let steps: Vec<usize> = places.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(steps.iter().all(|step| step % BUFFER == 0), "{steps:?}");
    let old = places.len() - 1;
    assert!(old <= STOPPED / 2, "{old} of {STOPPED} buffers waited");
    // What was written before it stopped comes first, what is newest last.
    assert_eq!(steps.first(), Some(&BUFFER), "{steps:?}");
    assert_eq!(steps.last(), Some(&BUFFER), "{steps:?}");
    // From here on it keeps up.
    let caught_up = *places.last().unwrap();
    for n in 1..10 {
        assert_eq!(slow.place(&sound, 0), caught_up + n * BUFFER);
        go_on(&mut heard);
    }
    assert!(heard.abs_diff(caught_up + 9 * BUFFER) <= 4 * BUFFER);
    drop((steady, slow));
    house.assert_left_empty();
}

// The pace

/// When each buffer of so many came.
fn arrivals(listener: &mut Listener, buffers: usize) -> Vec<Duration> {
    let begin = Instant::now();
    let arrival = |_| {
        listener.hear();
        begin.elapsed()
    };
    (0..buffers).map(arrival).collect()
}

/// Samples a second, by the least delayed of the first and of the last few arrivals.
fn rate(arrivals: &[Duration], few: usize) -> f64 {
    let nominal = BUFFER as f64 / f64::from(RATE);
    let late = |(n, came): (usize, &Duration)| (n, came.as_secs_f64() - n as f64 * nominal);
    let least = |range: std::ops::Range<usize>| {
        let all = arrivals.iter().enumerate().map(late);
        let within = all.filter(|(n, _)| range.contains(n));
        within.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
    };
    let (from, to) = (least(0..few), least(arrivals.len() - few..arrivals.len()));
    let buffers = (to.0 - from.0) as f64;
    buffers * BUFFER as f64 / (buffers * nominal + to.1 - from.1)
}

#[test]
fn the_pace_is_that_of_the_clock() {
    /// 5 s and what is needed to find the least delayed.
    const BUFFERS: usize = 64;
    let house = House::open_empty(&[("LAN_AUDIO__SOURCE", "tone")]);
    let mut listener = Listener::connect(&house);
    // What there is at the beginning may come at once.
    listener.record(5);
    let rate = rate(&arrivals(&mut listener, BUFFERS), 10);
    let off = (rate / f64::from(RATE) - 1.0) * 54.0;
    assert!(off.abs() < 1.0, "{off} buffers in 5 s: {rate} a second");
    house.stop();
}

#[test]
#[ignore = "takes ten minutes: cargo test --release --test lan_audio -- --ignored"]
fn ten_minutes_have_no_gap_and_no_drift() {
    const BUFFERS: usize = 600 * RATE as usize / BUFFER;
    /// How much later the other one comes, in buffers.
    const LATER: usize = 37;
    let house = House::open_empty(&[("LAN_AUDIO__SOURCE", "tone")]);
    let record = |skip: usize| {
        let mut listener = Listener::connect(&house);
        let (mut samples, mut came) = (listener.record(skip), Vec::new());
        let begin = Instant::now();
        for _ in 0..BUFFERS {
            samples.extend(listener.hear());
            came.push(begin.elapsed());
        }
        (samples, rate(&came, 100))
    };
    let mut clock = Listener::connect(&house);
    let (early, late) = thread::scope(|scope| {
        let early = scope.spawn(|| record(LATER + 10));
        clock.record(LATER);
        let late = scope.spawn(|| record(10));
        // Whoever is not read loses sound, which is nobody else's affair.
        (early.join().unwrap(), late.join().unwrap())
    });
    for (samples, rate) in [&early, &late] {
        let gap = (0..samples.len() - PERIOD).find(|&n| samples[n] != samples[n + PERIOD]);
        assert_eq!(gap, None, "after so many samples");
        let off = rate / f64::from(RATE) - 1.0;
        assert!(off.abs() < 1e-4, "{rate} samples a second");
        eprintln!("{} samples, {rate:.3} a second", samples.len());
    }
    // The tone comes back to the same samples, and no sooner than 2,205 buffers later at the start of one.
    let seam = (LATER - 5..LATER + 10).find(|n| {
        let after = &early.0[n * BUFFER..];
        let both = after.len().min(late.0.len());
        after[..both] == late.0[..both]
    });
    assert!(seam.is_some(), "sample for sample the same");
    drop(clock);
    house.assert_left_empty();
}

// Sources

#[test]
fn a_tone_is_one_of_440_hertz() {
    let house = House::open_empty(&[("LAN_AUDIO__SOURCE", "tone")]);
    let mut listener = Listener::connect(&house);
    let samples = listener.record(15);
    let hertz = frequency(&samples);
    assert!((hertz - 440.0).abs() < 0.5, "{hertz} Hz");
    let same = samples.iter().zip(&samples[PERIOD..]).all(|(a, b)| a == b);
    assert!(same, "a tone without a break");
    let loudest = samples.iter().map(|s| s.unsigned_abs()).max().unwrap();
    assert!(loudest > 1000, "{loudest} is hardly heard");
    house.stop();
}

#[test]
fn by_default_there_is_something_to_hear() {
    let with_samples = House::open_with(&sample_videos(), &[]);
    let without = House::open_empty(&[]);
    for house in [&with_samples, &without] {
        let mut listener = Listener::connect(house);
        let loud = (0..50).any(|_| listener.hear().iter().any(|s| s.unsigned_abs() > 300));
        assert!(loud, "{}", house.log());
    }
    let hertz = frequency(&Listener::connect(&without).record(11));
    assert!((hertz - 440.0).abs() < 0.5, "{hertz} Hz without a sample");
    with_samples.stop();
    without.stop();
}

#[test]
fn a_device_is_heard() {
    let source = "device:lavfi:sine=frequency=1000:sample_rate=48000";
    let house = House::open_empty(&[("LAN_AUDIO__SOURCE", source)]);
    let mut listener = Listener::connect(&house);
    // Silence until it is open.
    while listener.hear().iter().all(|&sample| sample == 0) {}
    let hertz = frequency(&listener.record(11));
    assert!((hertz - 1000.0).abs() < 1.0, "{hertz} Hz");
    house.stop();
}

#[test]
fn a_source_that_is_not_there_is_silence_until_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("later.wav");
    let house = open_with_source(&path, &[]);
    let mut listener = Listener::connect(&house);
    assert!(listener.record(5).iter().all(|&sample| sample == 0));
    house.wait_log("what is wrong", |line| {
        line["level"] == "WARN" && line.to_string().contains(text(&path))
    });
    let sound = Sound::new(LENGTH);
    sound.write(&path);
    let begin = Instant::now();
    while listener.hear().iter().all(|&sample| sample == 0) {
        assert!(begin.elapsed() < crate::support::PATIENCE, "silence");
    }
    let place = listener.place(&sound, 0);
    assert_eq!(listener.place(&sound, 0), place + BUFFER);
    house.stop();
}

#[test]
fn what_is_no_sound_is_named_and_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let text_file = folder.path().join("words.wav");
    std::fs::write(&text_file, "no sound").unwrap();
    let silent_film = sample_videos().join("cells_240p.mp4");
    for path in [&text_file, &silent_film, &folder.path().to_owned()] {
        let house = open_with_source(path, &[]);
        house.wait_log("what is wrong", |line| {
            line["level"] == "WARN" && line.to_string().contains(text(path))
        });
        let mut listener = Listener::connect(&house);
        assert!(listener.record(3).iter().all(|&sample| sample == 0));
        // It does not try all the time.
        let tries = lines_with(&house, &["WARN", text(path)]).len();
        assert!(tries <= 3, "{tries} lines");
        house.stop();
    }
}

#[test]
fn a_listener_that_talks_is_not_heard_and_hears_on() {
    use std::io::Write;
    let (_folder, path, sound) = known_sound();
    let house = open_with_source(&path, &[]);
    let mut listener = Listener::connect(&house);
    let mut last = listener.place(&sound, 0);
    for _ in 0..5 {
        (&listener.stream).write_all(&[b'x'; 10_000]).unwrap();
        let place = listener.place(&sound, 0);
        assert_eq!(place, last + BUFFER);
        last = place;
    }
    drop(listener);
    house.assert_left_empty();
}

//! What lan_file offers: by the configuration, by a command beside the running server, and when there is
//! nothing to offer.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::lan_support::contents::{Comparison, Content};
use crate::lan_support::fetchers::{
    Fetcher, assert_nothing_offered, does, fails, fetch, open_with_offer,
};
use crate::lan_support::{assert_served, text};
use crate::packetchat_support::Client;
use crate::support::{House, Setup, sample_videos};

const SAMPLE: &str = "mandelbrot_720p.mp4";

/// Puts a file with this content into the library.
fn add(house: &House, name: &str, content: &[u8]) {
    let source = house.folder().join("source");
    fs::write(&source, content).unwrap();
    does(house, &["files", "add", "--name", name, text(&source)]);
}

#[test]
fn the_newest_file_is_on_offer_and_the_sample_video_as_long_as_there_is_none() {
    let house = House::open_with(&sample_videos(), &[]);
    let sample = fs::read(sample_videos().join(SAMPLE)).unwrap();
    assert!(fetch(&house) == sample);
    add(&house, "first.txt", b"first");
    assert_eq!(fetch(&house), b"first");
    // Several within the same moment.
    for n in 0..10 {
        let content = format!("number {n}");
        add(&house, &format!("{n}.txt"), content.as_bytes());
        assert_eq!(fetch(&house), content.as_bytes());
    }
    let mut cleo = Client::join(&house, "cleo");
    cleo.upload(b"holiday.txt", b"sun");
    assert_eq!(fetch(&house), b"sun");
    // The newest one of those that are there.
    does(&house, &["files", "remove", "holiday.txt"]);
    assert_eq!(fetch(&house), b"number 9");
    house.stop();
}

#[test]
fn a_house_with_nothing_offers_nothing_and_says_so() {
    let house = House::open_empty(&[]);
    assert_nothing_offered(&house, &["WARN", SAMPLE]);
    // What comes later is offered then.
    fs::write(house.videos().join(SAMPLE), "no film").unwrap();
    assert_eq!(fetch(&house), b"no film");
    house.assert_left_empty();
}

#[test]
fn a_name_of_the_library_is_its_file() {
    let house = House::open_empty(&[("LAN_FILE__OFFER", "talk.bin")]);
    assert_nothing_offered(&house, &["WARN", "talk.bin"]);
    let content = Content::new(32 << 20);
    let source = house.folder().join("source");
    content.write(&source);
    does(
        &house,
        &["files", "add", "--name", "talk.bin", text(&source)],
    );
    add(&house, "newer.txt", b"newer");
    let client = Fetcher::connect_narrow(&house);
    let mut comparison = Comparison::new(content);
    client.begin(&mut comparison);
    // What is being sent is sent to its end.
    does(&house, &["files", "remove", "talk.bin"]);
    client.finish(comparison, content);
    assert_nothing_offered(&house, &["WARN", "talk.bin"]);
    // Of two with the same name it is the newer one.
    add(&house, "talk.bin", b"older");
    add(&house, "talk.bin", b"younger");
    assert_eq!(fetch(&house), b"younger");
    house.stop();
}

/// A FIFO, which blocks whoever opens it as a file.
fn make_fifo(path: &Path) {
    let path = CString::new(text(path)).unwrap();
    // SAFETY: the path ends with a zero byte and lives until the call is over.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

#[test]
fn what_is_no_file_is_not_offered_and_blocks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("offer");
    let house = open_with_offer(&path, &[]);
    let shown = text(&path);
    assert_nothing_offered(&house, &["WARN", shown]);

    fs::create_dir(&path).unwrap();
    assert_nothing_offered(&house, &["WARN", shown]);
    fs::remove_dir(&path).unwrap();

    make_fifo(&path);
    for _ in 0..20 {
        assert_nothing_offered(&house, &["WARN", shown]);
    }
    assert_served(&house);
    assert!(fails(&house, &["offer", shown]).contains(shown));
    fs::remove_file(&path).unwrap();

    for target in ["/dev/zero", "/nowhere/at/all"] {
        symlink(target, &path).unwrap();
        assert_nothing_offered(&house, &["WARN", shown]);
        fs::remove_file(&path).unwrap();
    }

    fs::write(&path, "secret").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // Some may read everything.
    if fs::File::open(&path).is_err() {
        assert_nothing_offered(&house, &["WARN", shown, "denied"]);
        assert!(fails(&house, &["offer", shown]).contains(shown));
    }
    fs::remove_file(&path).unwrap();

    let file = folder.path().join("file");
    fs::write(&file, "here I am").unwrap();
    symlink(&file, &path).unwrap();
    assert_eq!(fetch(&house), b"here I am");
    assert_served(&house);
    house.assert_left_empty();
}

#[test]
fn the_offer_is_changed_beside_the_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let [by_config, by_command] = ["by config", "by command"].map(|name| {
        let path = folder.path().join(name);
        fs::write(&path, name).unwrap();
        path
    });
    // In the file, as the environment would hold for every command.
    let config = format!("[lan_file]\noffer = '{}'\n", text(&by_config));
    let mut house = House::set_up_empty(Setup {
        config: &config,
        ..Setup::default()
    });
    assert!(does(&house, &["offer"]).contains(text(&by_config)));
    assert_eq!(fetch(&house), b"by config");

    let said = does(&house, &["offer", text(&by_command)]);
    assert!(said.contains(text(&by_command)), "{said}");
    assert_eq!(fetch(&house), b"by command");
    assert!(does(&house, &["offer"]).contains(text(&by_command)));

    // What can't be offered changes nothing.
    let missing = text(folder.path()).to_owned() + "/missing";
    for nonsense in ["nonsense", &missing, text(folder.path()), ""] {
        let said = fails(&house, &["offer", nonsense]);
        assert!(said.contains(nonsense), "{nonsense}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!(fetch(&house), b"by command", "{nonsense}");
    }

    add(&house, "talk.txt", b"by name");
    assert_eq!(fetch(&house), b"by command");
    does(&house, &["offer", "talk.txt"]);
    assert_eq!(fetch(&house), b"by name");
    add(&house, "newer.txt", b"newest");
    assert_eq!(fetch(&house), b"by name");
    does(&house, &["offer", "latest"]);
    assert_eq!(fetch(&house), b"newest");

    // It outlives the server, however that ends.
    does(&house, &["offer", text(&by_command)]);
    house.terminate();
    house.reopen();
    assert_eq!(fetch(&house), b"by command");
    house.kill();
    house.reopen();
    assert_eq!(fetch(&house), b"by command");

    let said = does(&house, &["offer", "--reset"]);
    assert!(said.contains(text(&by_config)), "{said}");
    assert_eq!(fetch(&house), b"by config");
    does(&house, &["offer", "--reset"]);
    house.terminate();
    house.reopen();
    assert_eq!(fetch(&house), b"by config");
    house.stop();
}

//! Videos and live channels over HTTP: frames, files, and streams of pictures.

use std::fs;
use std::io::{Read, Write};
use std::process::Command;

use crate::live_support::pictures::plain;
use crate::live_support::{Camera, SHORT_LINGER, wait_channel, wait_off_air};
use crate::support::{House, connect, dimensions, runs, sample_videos, wait_for};
use crate::web_support::{Request, begin, get, get_with};

/// A stream of pictures as it comes.
struct Pictures {
    request: Request,
    /// Came, and not looked at.
    bytes: Vec<u8>,
    over: bool,
}

impl Pictures {
    fn open(house: &House, path: &str) -> Pictures {
        let mut request = begin(house.web(), "GET", path, &[]);
        let head = request.head();
        assert_eq!(head.status, 200, "{path}");
        let kind = "multipart/x-mixed-replace; boundary=frame";
        assert_eq!(head.header("content-type"), Some(kind));
        assert_eq!(head.header("cache-control"), Some("no-store"));
        Pictures {
            request,
            bytes: Vec::new(),
            over: false,
        }
    }

    /// Takes so many bytes of the stream.
    fn take(&mut self, count: usize) -> Vec<u8> {
        while self.bytes.len() < count {
            let chunk = self.request.chunk().expect("the stream goes on");
            self.bytes.extend(chunk);
        }
        self.bytes.drain(..count).collect()
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(self.take(1));
        }
        line.truncate(line.len() - 2);
        String::from_utf8(line).unwrap()
    }

    /// The next picture, with the boundary after it: a browser shows it then.
    fn next(&mut self) -> Option<Vec<u8>> {
        if self.bytes.is_empty() && !self.over {
            // Only the first one stands alone.
            self.over = true;
            assert_eq!(self.take(7), b"--frame");
        }
        if self.take(2) == b"--" {
            assert_eq!(self.take(2), b"\r\n");
            assert!(self.bytes.is_empty() && self.request.chunk().is_none());
            return None;
        }
        assert_eq!(self.line(), "Content-Type: image/jpeg");
        let length = self.line();
        let length = length.strip_prefix("Content-Length: ").unwrap();
        assert_eq!(self.line(), "");
        let picture = self.take(length.parse().unwrap());
        assert_eq!(self.take(9), b"\r\n--frame");
        Some(picture)
    }

    fn all(mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.next()).collect()
    }
}

fn frame(house: &House, path: &str) -> Vec<u8> {
    get(house.web(), path).assert_status(200).body
}

#[test]
fn videos_are_described() {
    let house = House::open();
    let videos = get(house.web(), "/api/videos").assert_status(200).json();
    let videos = videos.as_array().unwrap();
    let names: Vec<&str> = videos.iter().map(|v| v["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["cells", "mandelbrot", "test_card"]);
    for video in videos {
        let path = format!("/api/videos/{}", video["name"].as_str().unwrap());
        assert_eq!(&get(house.web(), &path).assert_status(200).json(), video);
        let qualities = video["qualities"].as_array().unwrap();
        assert_eq!(video["frames"], qualities[0]["frames"]);
        let heights: Vec<u64> = qualities
            .iter()
            .map(|q| q["height"].as_u64().unwrap())
            .collect();
        assert!(heights.is_sorted(), "lowest first");
        for quality in qualities {
            let file = house.videos().join(quality["file"].as_str().unwrap());
            assert_eq!(quality["bytes"], file.metadata().unwrap().len());
        }
        let seconds = video["duration_ms"].as_f64().unwrap() / 1000.0;
        let frames = video["fps"].as_f64().unwrap() * seconds;
        assert!((frames - video["frames"].as_f64().unwrap()).abs() < 2.0);
    }
    let error = get(house.web(), "/api/videos/x").assert_status(404).json();
    assert!(error["error"].is_string());
    house.stop();
}

#[test]
fn a_frame_is_the_one_that_streams_show() {
    let mut house = House::open();
    let path = |n: u32, quality: &str| format!("/api/videos/test_card/frames/{n}.jpg{quality}");
    let lowest = Pictures::open(&house, "/api/videos/test_card/mjpeg?quality=120p").all();
    for n in [0, 7, lowest.len() as u32 - 1] {
        assert!(frame(&house, &path(n, "")) == lowest[n as usize], "{n}");
        assert!(
            frame(&house, &path(n, "?quality=120p")) == lowest[n as usize],
            "{n}"
        );
        assert_eq!(dimensions(&frame(&house, &path(n, "?quality=480p"))).1, 480);
    }
    let answer = get(house.web(), &path(3, "")).assert_status(200);
    assert_eq!(answer.header("content-type"), Some("image/jpeg"));
    let tag = answer.header("etag").unwrap().to_owned();
    // Also after a restart.
    house.terminate();
    house.reopen();
    let again = |tag: &str| get_with(house.web(), &path(3, ""), &[("If-None-Match", tag)]);
    assert!(again(&tag).assert_status(304).body.is_empty());
    assert_eq!(again("\"other\"").assert_status(200).body, answer.body);
    for wrong in [
        path(lowest.len() as u32, ""),
        path(0, "?quality=1080p"),
        "/api/videos/x/frames/0.jpg".to_owned(),
        "/api/videos/test_card/frames/-1.jpg".to_owned(),
        "/api/videos/test_card/frames/99999999999.jpg".to_owned(),
    ] {
        get(house.web(), &wrong).assert_status(404);
    }
    house.assert_left_empty();
}

#[test]
fn a_file_comes_whole_and_in_ranges() {
    let house = House::open();
    let path = "/api/videos/cells/240p.mp4";
    let content = fs::read(sample_videos().join("cells_240p.mp4")).unwrap();
    let whole = get(house.web(), path).assert_status(200);
    assert!(whole.body == content);
    assert_eq!(whole.header("content-type"), Some("video/mp4"));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let size = content.len();
    for (range, expected) in [
        ("bytes=0-99".to_owned(), 0..100),
        ("bytes=1000-".to_owned(), 1000..size),
        ("bytes=-10".to_owned(), size - 10..size),
        (format!("bytes={}-{}", size - 1, size + 100), size - 1..size),
    ] {
        let part = get_with(house.web(), path, &[("Range", &range)]).assert_status(206);
        assert!(part.body == content[expected.clone()], "{range}");
        let told = format!("bytes {}-{}/{size}", expected.start, expected.end - 1);
        assert_eq!(part.header("content-range"), Some(&*told));
    }
    let past = format!("bytes={size}-");
    get_with(house.web(), path, &[("Range", &past)]).assert_status(416);
    let tag = whole.header("etag").unwrap();
    let head = begin(house.web(), "HEAD", path, &[])
        .answer()
        .assert_status(200);
    assert_eq!(head.header("content-length"), Some(&*size.to_string()));
    get_with(house.web(), path, &[("If-None-Match", tag)]).assert_status(304);
    let range = ("Range", "bytes=0-9");
    get_with(house.web(), path, &[range, ("If-Range", tag)]).assert_status(206);
    get_with(house.web(), path, &[range, ("If-Range", "\"x\"")]).assert_status(200);
    for wrong in ["/api/videos/cells/1p.mp4", "/api/videos/x/240p.mp4"] {
        get(house.web(), wrong).assert_status(404);
    }
}

#[test]
fn a_video_is_a_stream_of_pictures() {
    let house = House::open();
    let open = |query: &str| Pictures::open(&house, &format!("/api/videos/cells/mjpeg{query}"));
    let interleaved = open("").all();
    let runs = runs(&interleaved);
    let heights: Vec<u32> = runs.iter().map(|run| run.2).collect();
    assert_eq!(heights, [240, 720, 1440]);
    assert_eq!(interleaved.len(), 145);
    assert!(open("?quality=interleaved&from=100").all() == interleaved[100..]);
    let high = open("?quality=720p").all();
    assert_eq!(high.len(), 145);
    assert!(high.iter().all(|picture| dimensions(picture).1 == 720));
    assert!(open("?quality=720p&from=144").all() == high[144..]);
    for (query, status) in [
        ("?from=145", 404),
        ("?quality=1p", 404),
        ("?from=x", 400),
        ("?from=-1", 400),
    ] {
        let path = format!("/api/videos/cells/mjpeg{query}");
        let error = get(house.web(), &path).assert_status(status).json();
        assert!(error["error"].is_string());
    }
    house.assert_left_empty();
}

#[test]
fn who_knows_no_chunks_gets_none() {
    let house = House::open();
    let path = "/api/videos/cells/mjpeg?quality=240p";
    let mut stream = connect(house.web());
    let host = house.web();
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|end| end == b"\r\n\r\n");
    let body = answer.split_off(end.unwrap() + 4);
    let head = String::from_utf8(answer).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.0 200 "), "{head}");
    assert!(
        !head.contains("transfer-encoding") && !head.contains("keep-alive"),
        "{head}"
    );
    let chunked = get(house.web(), path);
    assert_eq!(chunked.header("transfer-encoding"), Some("chunked"));
    assert!(body == chunked.body, "{} bytes", body.len());
    house.assert_left_empty();
}

#[test]
fn places_for_viewers_are_limited_and_given_back() {
    let house = House::open_with(
        &sample_videos(),
        &[
            ("STREAMING__PACE", "fast"),
            ("STREAMING__MAX_STREAMS", "1"),
            ("LIMITS__STALL_S", "1"),
        ],
    );
    let (path, short) = (
        "/api/videos/cells/mjpeg?quality=1440p",
        "/api/videos/cells/mjpeg?quality=240p",
    );
    let refused = || get(house.web(), short).assert_status(503).json()["rule"].clone();
    let free = || get(house.web(), short).status == 200;
    let mut first = Pictures::open(&house, path);
    first.next().unwrap();
    assert_eq!(refused(), "streaming.max_streams");
    drop(first);
    wait_for("the place of one who left", || free().then_some(()));
    // One that takes nothing.
    let slow = Pictures::open(&house, path);
    assert_eq!(refused(), "streaming.max_streams");
    wait_for("the place of one who takes nothing", || {
        free().then_some(())
    });
    drop(slow);
    house.assert_left_empty();
}

#[test]
fn a_live_channel_is_listed_and_seen() {
    let house = House::open_empty(&[SHORT_LINGER]);
    let list = || get(house.web(), "/api/live").assert_status(200).json();
    assert_eq!(list(), serde_json::json!([]));
    get(house.web(), "/api/live/tumip-3/latest.jpg").assert_status(404);
    get(house.web(), "/api/live/tumip-3/mjpeg").assert_status(404);
    let camera = Camera::open(&house, 3);
    let picture = |number| plain(number, 160, 90);
    let shown = |number: u32| {
        camera.show(&picture(number));
        picture(number)
    };
    shown(0);
    wait_channel(&house, "tumip-3", |channel| {
        channel.is_some_and(|c| c.on_air)
    });
    let mut pictures = Pictures::open(&house, "/api/live/tumip-3/mjpeg");
    assert_eq!(
        pictures.next(),
        Some(picture(0)),
        "the newest one comes at once"
    );
    for number in 1..20 {
        assert_eq!(Some(shown(number)), pictures.next());
        assert_eq!(
            frame(&house, "/api/live/tumip-3/latest.jpg"),
            picture(number)
        );
    }
    assert_eq!(
        list(),
        serde_json::json!([{
            "name": "tumip-3", "width": 160, "height": 90, "viewers": 1, "frames": 20, "recorded": false,
        }])
    );
    drop(camera);
    assert_eq!(pictures.next(), None);
    wait_off_air(&house, "tumip-3");
    assert_eq!(list(), serde_json::json!([]));
    house.assert_left_empty();
}

#[test]
fn ffmpeg_reads_pictures_and_files() {
    let house = House::open();
    let count = |path: &str| {
        let output = Command::new("ffprobe")
            .args(["-v", "error", "-count_frames", "-of", "csv=p=0"])
            .args(["-select_streams", "v:0", "-show_entries"])
            .args(["stream=codec_name,nb_read_frames"])
            .arg(format!("http://{}{path}", house.web()))
            .output()
            .expect("ffprobe is installed");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(count("/api/videos/cells/mjpeg"), "mjpeg,145");
    assert_eq!(
        count("/api/videos/cells/mjpeg?quality=240p&from=45"),
        "mjpeg,100"
    );
    assert_eq!(count("/api/videos/cells/240p.mp4"), "h264,145");
}

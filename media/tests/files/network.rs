//! Live sources on the network, played by small servers in here.

use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use playhouse_media::{LiveError, LiveImage, LiveInput};

use crate::common::*;
use crate::live::{LONG, dues, identities, jpegs, open, refusal, take};

const SHORT: Duration = Duration::from_millis(300);
/// For a source that does send something.
const SECOND: Duration = Duration::from_secs(1);

fn transport_stream(b_frames: &str) -> Vec<u8> {
    let x264 = ["-c:v", "libx264", "-crf", "8", "-g", "12", "-bf", b_frames];
    video(&ramp(30), &[&x264[..], &["-f", "mpegts"]].concat())
}

#[test]
fn who_says_nothing_is_given_up() {
    for scheme in ["tcp", "http", "rtsp", "rtmp"] {
        let place = serve(wait_for_end);
        let url = format!("{scheme}://anna:secret@{place}/x?key=secret");
        let error = LiveInput::open(&url, Arc::default(), SHORT).err().unwrap();
        assert!(
            matches!(error, LiveError::Silent { .. }),
            "{scheme}: {error}"
        );
        let text = error.to_string();
        assert!(text.contains(&place) && !text.contains("secret"), "{text}");
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let place = socket.local_addr().unwrap();
    drop(socket);
    let error = LiveInput::open(&format!("udp://{place}"), Arc::default(), SHORT)
        .err()
        .unwrap();
    assert!(matches!(error, LiveError::Silent { .. }), "{error}");
}

#[test]
fn stop_ends_waiting() {
    for scheme in ["tcp", "http", "rtsp", "rtmp"] {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let place = serve(move |stream| {
            stopped.store(true, Ordering::Release);
            wait_for_end(stream);
        });
        let error = LiveInput::open(&format!("{scheme}://{place}/x"), stop, LONG)
            .err()
            .unwrap();
        assert!(matches!(error, LiveError::Stopped), "{scheme}: {error}");
    }
}

#[test]
fn stop_and_patience_end_waiting_for_the_next_picture() {
    for patience in [LONG, SECOND] {
        let place = serve_bytes(transport_stream("0"), false);
        let stop = Arc::new(AtomicBool::new(false));
        let mut input = LiveInput::open(&format!("tcp://{place}"), stop.clone(), patience).unwrap();
        assert_eq!(
            identities(&take(&mut input, 50)),
            (0..50).collect::<Vec<_>>()
        );
        // A few more, until all have come whose end is known.
        let waiting = thread::spawn(move || {
            loop {
                if let Err(error) = input.next() {
                    return error;
                }
            }
        });
        if patience == LONG {
            stop.store(true, Ordering::Release);
        }
        let error = waiting.join().unwrap();
        let matches = match error {
            LiveError::Stopped => patience == LONG,
            LiveError::Silent { .. } => patience == SECOND,
            _ => false,
        };
        assert!(matches, "{error}");
    }
}

#[test]
fn a_stream_comes_from_its_first_frame_to_its_last() {
    for b_frames in ["0", "2"] {
        let place = serve_bytes(transport_stream(b_frames), true);
        let mut input = open(&format!("tcp://{place}")).unwrap();
        assert!(!input.is_file());
        let pictures = take(&mut input, 60);
        assert_eq!(
            identities(&pictures),
            (0..60).collect::<Vec<_>>(),
            "{b_frames}"
        );
        assert_eq!(pictures[0].due, Duration::ZERO);
        assert!(pictures.windows(2).all(|two| two[0].due <= two[1].due));
        let error = input.next().err().unwrap();
        assert!(matches!(error, LiveError::Ended { .. }), "{error}");
    }
}

#[test]
fn a_stream_may_begin_between_key_frames() {
    let stream = transport_stream("0");
    let packets = stream.len() / 188;
    let place = serve_bytes(stream[packets / 5 * 188..].to_vec(), true);
    let mut input = open(&format!("tcp://{place}")).unwrap();
    let first = identities(&take(&mut input, 1))[0];
    assert!(first > 0 && first.is_multiple_of(12), "{first}");
}

#[test]
fn jpegs_over_http_go_through_as_they_are() {
    let all = video(
        "testsrc=s=64x48:r=5:d=2",
        &["-c:v", "mjpeg", "-f", "mpjpeg"],
    );
    let raw = video("testsrc=s=64x48:r=5:d=2", &["-c:v", "mjpeg", "-f", "mjpeg"]);
    let head = "Content-Type: multipart/x-mixed-replace;boundary=ffmpeg";
    let mut input = open(&format!("http://{}/camera", serve_http(head, &all, false))).unwrap();
    assert!(!input.is_file());
    // The last one's end is the next boundary.
    let pictures = take(&mut input, 9);
    let sent = jpegs(&pictures);
    assert_eq!(sent, raw[..sent.len()]);
}

#[test]
fn jpegs_without_tables_are_decoded() {
    let arguments = ["-c:v", "mjpeg", "-huffman", "default", "-f", "mjpeg"];
    let mut raw = video("testsrc=s=64x48:r=5:d=2", &arguments);
    let whole = serve_bytes(raw.clone(), true);
    jpegs(&take(&mut open(&format!("tcp://{whole}")).unwrap(), 5));
    while let Some(at) = raw.windows(2).position(|bytes| bytes == [0xff, 0xc4]) {
        let length = usize::from(u16::from_be_bytes([raw[at + 2], raw[at + 3]]));
        raw.drain(at..at + 2 + length);
    }
    let mut input = open(&format!("tcp://{}", serve_bytes(raw, true))).unwrap();
    for picture in take(&mut input, 5) {
        assert!(matches!(picture.image, LiveImage::Decoded(_)));
    }
}

#[test]
fn a_recording_on_the_network_is_for_the_caller_to_wait() {
    let head = format!(
        "Content-Type: video/mp4\r\nContent-Length: {}",
        ramp_30().len()
    );
    let place = serve_http(&head, ramp_30(), true);
    let mut input = open(&format!("http://{place}/film.mp4")).unwrap();
    assert!(input.is_file());
    let pictures = take(&mut input, 60);
    assert_eq!(identities(&pictures), (0..60).collect::<Vec<_>>());
    assert_eq!(dues(&pictures)[30], 1000);
    let error = input.next().err().unwrap();
    assert!(matches!(error, LiveError::Ended { .. }), "{error}");
}

#[test]
fn segments_are_for_the_caller_to_wait() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap();
    thread::spawn(move || {
        let list = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\npart.ts\n";
        let part = transport_stream("0");
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = read_request(&mut stream);
            let body = if request.contains("list.m3u8") {
                list.as_bytes()
            } else {
                &part
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), body].concat());
        }
    });
    let mut input = open(&format!("http://{place}/list.m3u8")).unwrap();
    assert!(input.is_file());
    let pictures = take(&mut input, 50);
    assert_eq!(identities(&pictures), (0..50).collect::<Vec<_>>());
    assert_eq!(dues(&pictures)[30], 1000);
}

#[test]
fn a_playlist_on_the_network_opens_no_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "part.ts", &transport_stream("0"));
    for name in [
        format!("file://{}", path.display()),
        path.display().to_string(),
    ] {
        let list =
            format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{name}\n#EXT-X-ENDLIST\n");
        let head = format!(
            "Content-Type: application/vnd.apple.mpegurl\r\nContent-Length: {}",
            list.len()
        );
        let place = serve_http(&head, list.as_bytes(), true);
        let opened = LiveInput::open(&format!("http://{place}/list.m3u8"), Arc::default(), SHORT);
        assert!(opened.and_then(|mut input| input.next()).is_err(), "{name}");
    }
}

#[test]
fn who_isnt_there_or_sends_nonsense_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut all = vec![
        ("tcp", nobody.clone()),
        ("http", nobody.clone()),
        ("rtsp", nobody),
    ];
    all.extend([
        ("tcp", serve(drop)),
        ("rtmp", serve(drop)),
        ("tcp", serve_bytes(vec![0x5a; 6_000_000], true)),
        ("http", serve_bytes(vec![0x5a; 100_000], true)),
        ("rtsp", serve_bytes(vec![0x5a; 100_000], true)),
    ]);
    for (scheme, place) in all {
        let error = refusal(&format!("{scheme}://anna:secret@{place}/x"));
        assert!(
            matches!(error, LiveError::Unopened { .. }),
            "{scheme}: {error}"
        );
        let text = error.to_string();
        assert!(text.contains(&place) && !text.contains("secret"), "{text}");
    }
    let error = refusal("file:///etc/passwd");
    assert!(matches!(error, LiveError::Scheme { .. }), "{error}");
}

#[test]
fn sound_alone_is_no_source() {
    let sound = video("sine=d=1", &["-c:a", "mp2", "-f", "mpegts"]);
    let error = refusal(&format!("tcp://{}", serve_bytes(sound, true)));
    assert!(matches!(error, LiveError::NoVideo { .. }), "{error}");
}

#[test]
fn cameras_are_asked_for_pictures_over_tcp() {
    let x264 = ["-c:v", "libx264", "-crf", "8", "-g", "12", "-bf", "0"];
    let frames = video(
        &ramp(30),
        &[&x264[..], &["-x264-params", "aud=1", "-f", "h264"]].concat(),
    );
    let place = serve(move |stream| serve_rtsp(stream, &frames));
    let mut input = open(&format!("rtsp://{place}/camera")).unwrap();
    assert!(!input.is_file());
    assert_eq!(
        identities(&take(&mut input, 50)),
        (0..50).collect::<Vec<_>>()
    );
}

/// A camera that sends a stream of H.264 with access unit delimiters, interleaved with its answers.
fn serve_rtsp(mut stream: TcpStream, h264: &[u8]) {
    let sdp = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n\
               a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:v\r\n";
    loop {
        let request = read_request(&mut stream);
        let number = request
            .split("CSeq: ")
            .nth(1)
            .unwrap()
            .lines()
            .next()
            .unwrap();
        let (method, _) = request.split_once(' ').unwrap();
        let (head, body) = match method {
            "OPTIONS" => ("Public: DESCRIBE, SETUP, PLAY, TEARDOWN".to_owned(), ""),
            "DESCRIBE" => {
                let length = sdp.len();
                (
                    format!("Content-Type: application/sdp\r\nContent-Length: {length}"),
                    sdp,
                )
            }
            "SETUP" => {
                let transport = "RTP/AVP/TCP;unicast;interleaved=0-1";
                assert!(request.contains(transport), "{request}");
                (format!("Transport: {transport}\r\nSession: 1"), "")
            }
            "PLAY" => ("Session: 1".to_owned(), ""),
            _ => return,
        };
        let answer = format!("RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{head}\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).unwrap();
        if method == "PLAY" {
            break;
        }
    }
    let (mut sequence, mut time) = (0u16, 0u32);
    for unit in units(h264) {
        if unit[0] & 0x1f == 9 {
            time += 3000;
            continue;
        }
        let is_slice = matches!(unit[0] & 0x1f, 1 | 5);
        let mut packet = vec![0x80, 96 | u8::from(is_slice) << 7];
        packet.extend(sequence.to_be_bytes());
        packet.extend(time.to_be_bytes());
        packet.extend([0, 0, 0, 7]);
        packet.extend(unit);
        let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
        let framed = [&[b'$', 0], &length[..], &packet].concat();
        if stream.write_all(&framed).is_err() {
            return;
        }
        sequence += 1;
    }
    wait_for_end(stream);
}

/// The units between start codes.
fn units(h264: &[u8]) -> Vec<&[u8]> {
    let codes = (0..h264.len() - 3).filter(|&i| h264[i..i + 3] == [0, 0, 1]);
    let starts: Vec<usize> = codes.map(|i| i + 3).collect();
    let ends = starts
        .iter()
        .skip(1)
        .map(|start| start - 3)
        .chain([h264.len()]);
    let units = starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| &h264[start..end]);
    units
        .map(|unit| unit.strip_suffix(&[0]).unwrap_or(unit))
        .collect()
}

//! Files over HTTP: lists, downloads, and uploads that are gone on with (tus 1.0).

use std::fs;
use std::io::Write;
use std::process::Stdio;

use crate::lan_support::fetchers::fetch;
use crate::packetchat_support::{Client, content, paths, run_files, sha256};
use crate::support::{House, playhouse, wait_for};
use crate::web_support::{Answer, Request, begin, get, get_with, send};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const VERSION: (&str, &str) = ("Tus-Resumable", "1.0.0");
const CONTENT: (&str, &str) = ("Content-Type", "application/offset+octet-stream");

fn create(house: &House, size: u64, name: &str) -> Answer {
    let metadata = format!("filename {}", STANDARD.encode(name));
    let headers = [
        VERSION,
        ("Upload-Length", &*size.to_string()),
        ("Upload-Metadata", &metadata),
    ];
    send(house.web(), "POST", "/api/uploads", &headers, b"")
}

/// Begins an upload, and gives where it goes on.
fn begun(house: &House, size: usize, name: &str) -> String {
    let answer = create(house, size as u64, name).assert_status(201);
    assert_eq!(answer.header("upload-offset"), Some("0"));
    answer.header("location").unwrap().to_owned()
}

fn head(house: &House, path: &str) -> Answer {
    begin(house.web(), "HEAD", path, &[VERSION]).answer()
}

/// What the house says to have.
fn offset(answer: &Answer) -> usize {
    assert_eq!(answer.header("tus-resumable"), Some("1.0.0"));
    answer.header("upload-offset").unwrap().parse().unwrap()
}

/// A request that brings so many bytes from `from` on, without them.
fn patching(house: &House, path: &str, from: usize, length: usize) -> Request {
    let (from, length) = (from.to_string(), length.to_string());
    let headers = [
        VERSION,
        CONTENT,
        ("Upload-Offset", &*from),
        ("Content-Length", &*length),
    ];
    begin(house.web(), "PATCH", path, &headers)
}

fn patch(house: &House, path: &str, from: usize, bytes: &[u8]) -> Answer {
    let mut request = patching(house, path, from, bytes.len());
    // It may be refused before all of it is sent.
    request.send(bytes);
    request.answer()
}

/// Bytes that came of the one upload.
fn on_disk(house: &House) -> u64 {
    let parts = fs::read_dir(house.data().join("uploads")).unwrap();
    let sizes = parts.map(|part| part.unwrap().metadata().unwrap().len());
    sizes.max().unwrap_or(0)
}

/// Waits until no part of an upload is there any more.
fn wait_nothing_left(house: &House) {
    wait_for("nothing left", || {
        paths(&house.data().join("uploads"))
            .is_empty()
            .then_some(())
    });
}

fn files(house: &House) -> Vec<Value> {
    let list = get(house.web(), "/api/files").assert_status(200).json();
    list.as_array().unwrap().clone()
}

/// The file of this number is listed, and has this content.
fn assert_file(house: &House, number: &str, name: &str, content: &[u8]) {
    let path = format!("/api/files/{number}");
    let file = get(house.web(), &path).assert_status(200).json();
    assert_eq!(file["name"], name);
    assert_eq!(file["bytes"], content.len());
    assert_eq!(file["sha256"], sha256(content));
    assert!(files(house).contains(&file));
    let body = get(house.web(), &format!("{path}/content")).assert_status(200);
    assert!(body.body == content);
}

#[test]
fn a_file_is_uploaded_in_pieces_and_is_everywhere() {
    let house = House::open_empty(&[]);
    let mut ben = Client::join(&house, "ben");
    let content = content(1, 1_000_001);
    let path = begun(&house, content.len(), "holiday.bin");
    let mut there = 0;
    // Not all of them whole chunks.
    for length in [256, 1000, 300_000, 600_001, 1_000_000] {
        let end = content.len().min(there + length);
        assert!(files(&house).is_empty() && ben.files().is_empty());
        let answer = patch(&house, &path, there, &content[there..end]).assert_status(204);
        let now = offset(&answer);
        assert_eq!(
            now,
            if end == content.len() {
                end
            } else {
                end / 256 * 256
            }
        );
        let state = head(&house, &path).assert_status(200);
        assert_eq!(offset(&state), now);
        assert_eq!(state.header("upload-length"), Some("1000001"));
        assert_eq!(
            state.header("upload-metadata"),
            Some("filename aG9saWRheS5iaW4=")
        );
        assert_eq!(state.header("cache-control"), Some("no-store"));
        assert_eq!(
            state.header("upload-expires").is_some(),
            now < content.len()
        );
        there = now;
    }
    assert_eq!(there, content.len());
    let state = head(&house, &path);
    let number = state.header("playhouse-file").unwrap();
    assert_file(&house, number, "holiday.bin", &content);
    assert_eq!(ben.files(), [number.parse::<u64>().unwrap()]);
    let file = ben.files()[0];
    assert!(ben.download(file) == content);
    assert!(fetch(&house) == content, "the newest file is on offer");
    // Once more, by who did not hear that it is complete.
    patch(&house, &path, there, b"").assert_status(204);
    assert_eq!(files(&house).len(), 1);
    house.stop();
}

#[test]
fn files_of_every_length_come_with_their_creation() {
    let house = House::open_empty(&[]);
    for length in [0, 1, 255, 256, 257, 511, 512, 513, 70_000] {
        for first in [0, 1, 255, 256, 300, length] {
            let content = content(2, length);
            let first = first.min(length);
            let size = length.to_string();
            let headers = [VERSION, CONTENT, ("Upload-Length", &*size)];
            let answer = send(
                house.web(),
                "POST",
                "/api/uploads",
                &headers,
                &content[..first],
            );
            let answer = answer.assert_status(201);
            let there = offset(&answer);
            assert_eq!(
                there,
                if first == length {
                    first
                } else {
                    first / 256 * 256
                }
            );
            let path = answer.header("location").unwrap();
            let answer = match there == length {
                true => answer,
                false => patch(&house, path, there, &content[there..]).assert_status(204),
            };
            assert_file(
                &house,
                answer.header("playhouse-file").unwrap(),
                "upload",
                &content,
            );
        }
    }
    house.stop();
}

#[test]
fn an_upload_goes_on_after_the_server_was_killed() {
    let mut house = House::open_empty(&[]);
    let content = content(3, 20_000_000);
    let path = begun(&house, content.len(), "large");
    let mut there = 0;
    while there < content.len() {
        let mut request = patching(&house, &path, there, content.len() - there);
        let end = content.len().min(there + 7_000_123);
        if end == content.len() {
            assert!(request.send(&content[there..end]));
            there = offset(&request.answer().assert_status(204));
            break;
        }
        assert!(request.send(&content[there..end]));
        // All that was sent before the last block is written some time.
        wait_for("something on the disk", || {
            (on_disk(&house) > there as u64 + 1_000_000).then_some(())
        });
        house.kill();
        house.reopen();
        let now = offset(&head(&house, &path).assert_status(200));
        assert!(
            now > there && now <= end && now.is_multiple_of(256),
            "{there} {now} {end}"
        );
        there = now;
        // packetchat does not take it for one of its own.
        assert_eq!(house.packet_census().uploads, 0);
    }
    assert_eq!(there, content.len());
    let file = files(&house).pop().unwrap();
    assert_file(&house, file["number"].as_str().unwrap(), "large", &content);
    house.stop();
}

#[test]
fn what_came_of_a_request_that_was_cut_off_stays() {
    let house = House::open_empty(&[("LIMITS__STALL_S", "1")]);
    let content = content(4, 100_000);
    let path = begun(&house, content.len(), "cut");
    let mut request = patching(&house, &path, 0, content.len());
    assert!(request.send(&content[..1000]));
    drop(request);
    // Not asked for: that would take it over.
    wait_for("what was sent", || (on_disk(&house) == 768).then_some(()));
    assert_eq!(offset(&head(&house, &path)), 768);
    // One that does not go on.
    let mut request = patching(&house, &path, 768, content.len() - 768);
    assert!(request.send(&content[768..40_000]));
    let answer = request.answer().assert_status(408);
    assert_eq!(answer.json()["rule"], "limits.stall_s");
    assert_eq!(offset(&head(&house, &path)), 40_000 / 256 * 256);
    // One that says too little of what comes, and one that says nothing.
    let there = 40_000 / 256 * 256;
    let headers = [
        VERSION,
        CONTENT,
        ("Upload-Offset", &*there.to_string()),
        ("Transfer-Encoding", "chunked"),
    ];
    let mut request = begin(house.web(), "PATCH", &path, &headers);
    let piece = &content[there..there + 1024];
    assert!(request.send(&[b"400\r\n", piece, b"\r\n0\r\n\r\n"].concat()));
    assert_eq!(offset(&request.answer().assert_status(204)), there + 1024);
    patch(&house, &path, there + 1024, &content[there + 1024..]).assert_status(204);
    let number = files(&house)[0]["number"].as_str().unwrap().to_owned();
    assert_file(&house, &number, "cut", &content);
    house.stop();
}

#[test]
fn a_new_request_takes_an_upload_over() {
    let house = House::open_empty(&[]);
    let content = content(5, 10_000);
    let path = begun(&house, content.len(), "twice");
    let mut first = patching(&house, &path, 0, content.len());
    assert!(first.send(&content[..1024]));
    wait_for("the first request", || {
        let taken = house.uploads();
        (taken == (1, 1)).then_some(())
    });
    let there = offset(&head(&house, &path).assert_status(200));
    assert!(there <= 1024);
    first.answer().assert_status(423);
    patch(&house, &path, there, &content[there..]).assert_status(204);
    assert_eq!(files(&house)[0]["sha256"], sha256(&content));
    house.stop();
}

#[test]
fn wrong_requests_are_told_what_is_wrong() {
    let house = House::open_empty(&[("FILES__MAX_FILE_MB", "1")]);
    let options = begin(house.web(), "OPTIONS", "/api/uploads", &[])
        .answer()
        .assert_status(204);
    assert_eq!(options.header("tus-version"), Some("1.0.0"));
    assert_eq!(options.header("tus-max-size"), Some("1048576"));
    let extensions = "creation,creation-with-upload,termination,expiration";
    assert_eq!(options.header("tus-extension"), Some(extensions));
    let long = format!("filename {}", STANDARD.encode("x".repeat(70_000)));
    for (headers, status) in [
        (vec![("Upload-Length", "1")], 412),
        (
            vec![("Tus-Resumable", "0.2.2"), ("Upload-Length", "1")],
            412,
        ),
        (vec![VERSION], 400),
        (vec![VERSION, ("Upload-Defer-Length", "1")], 400),
        (vec![VERSION, ("Upload-Length", "-1")], 400),
        (
            vec![VERSION, ("Upload-Length", "99999999999999999999")],
            400,
        ),
        (vec![VERSION, ("Upload-Length", "1048577")], 413),
        (
            vec![
                VERSION,
                ("Upload-Length", "1"),
                ("Upload-Metadata", "filename *"),
            ],
            400,
        ),
        (
            vec![VERSION, ("Upload-Length", "1"), ("Upload-Metadata", &long)],
            400,
        ),
    ] {
        let answer = send(house.web(), "POST", "/api/uploads", &headers, b"").assert_status(status);
        assert_eq!(answer.header("tus-resumable"), Some("1.0.0"));
        assert!(answer.json()["error"].is_string());
    }
    let path = begun(&house, 1000, "x");
    let bytes = [7; 2000];
    for (headers, length, status) in [
        (vec![CONTENT, ("Upload-Offset", "0")], 256, 412),
        (vec![VERSION, ("Upload-Offset", "0")], 256, 415),
        (vec![VERSION, CONTENT], 256, 400),
        (vec![VERSION, CONTENT, ("Upload-Offset", "x")], 256, 400),
        (vec![VERSION, CONTENT, ("Upload-Offset", "256")], 256, 409),
        (vec![VERSION, CONTENT, ("Upload-Offset", "1000")], 256, 409),
        (vec![VERSION, CONTENT, ("Upload-Offset", "0")], 1001, 413),
        (vec![VERSION, CONTENT, ("Upload-Offset", "0")], 255, 400),
    ] {
        send(house.web(), "PATCH", &path, &headers, &bytes[..length]).assert_status(status);
        assert_eq!(offset(&head(&house, &path)), 0);
    }
    for path in [
        "/api/uploads/1",
        "/api/uploads/x",
        "/api/uploads/99999999999999999999",
    ] {
        head(&house, path).assert_status(404);
        patch(&house, path, 0, b"").assert_status(404);
    }
    // For those who can't do better.
    let headers = [
        VERSION,
        CONTENT,
        ("Upload-Offset", "0"),
        ("X-HTTP-Method-Override", "PATCH"),
    ];
    send(house.web(), "POST", &path, &headers, &bytes[..512]).assert_status(204);
    assert_eq!(offset(&head(&house, &path)), 512);
    send(house.web(), "POST", &path, &[VERSION], b"").assert_status(405);
    send(house.web(), "DELETE", &path, &[VERSION], b"").assert_status(204);
    head(&house, &path).assert_status(404);
    wait_nothing_left(&house);
    house.stop();
}

#[test]
fn a_full_house_takes_nothing() {
    let house = House::open_empty(&[
        ("FILES__QUOTA_MB", "1"),
        ("FILES__MAX_FILE_MB", "1"),
        ("FILES__TRANSFERS_PER_ADDRESS", "2"),
    ]);
    let first = begun(&house, 800_000, "a");
    // What was only begun takes no room.
    let second = begun(&house, 800_000, "b");
    let answer = create(&house, 1, "c").assert_status(429);
    assert_eq!(answer.json()["rule"], "files.transfers_per_address");
    patch(&house, &first, 0, &[0; 800_000]).assert_status(204);
    let answer = patch(&house, &second, 0, &[0; 800_000]).assert_status(507);
    assert_eq!(answer.json()["rule"], "files.quota_mb");
    assert_eq!(files(&house).len(), 1);
    // Room is made.
    run_files(&house.data(), &["remove", "a"]);
    let there = offset(&head(&house, &second));
    create(&house, 1, "c").assert_status(201);
    assert_eq!(there % 256, 0);
    house.stop();

    let house = House::open_empty(&[("FILES__MIN_FREE_MB", "1000000000")]);
    let answer = create(&house, 1, "c").assert_status(507);
    assert_eq!(answer.json()["rule"], "files.min_free_mb");
}

#[test]
fn uploads_that_nobody_goes_on_with_are_given_up() {
    for packetchat in ["true", "false"] {
        let settings = [
            ("FILES__UPLOAD_EXPIRY_S", "2"),
            ("PACKETCHAT__ENABLED", packetchat),
        ];
        let mut house = House::open_empty(&settings);
        let path = begun(&house, 10_000, "x");
        patch(&house, &path, 0, &[1; 1024]).assert_status(204);
        assert_eq!(paths(&house.data().join("uploads")).len(), 2);
        if packetchat == "true" {
            house.kill();
            house.reopen();
            assert_eq!(house.uploads(), (1, 0));
        }
        house.wait_log("its end", |line| {
            line["message"] == "an upload was given up" && line["rule"] == "files.upload_expiry_s"
        });
        head(&house, &path).assert_status(404);
        wait_nothing_left(&house);
        house.stop();
    }
}

#[test]
fn files_are_attachments_with_their_names() {
    let house = House::open_empty(&[]);
    let source = house.folder().join("source");
    let add = |name: &str, content: &[u8]| {
        fs::write(&source, content).unwrap();
        run_files(
            &house.data(),
            &["add", "--name", name, source.to_str().unwrap()],
        );
        files(&house)[0]["number"].as_str().unwrap().to_owned()
    };
    for (name, label, disposition) in [
        ("a.html", "a.html", "attachment; filename=\"a.html\""),
        (
            "../é\u{202e}.html",
            "../é\\u{202e}.html",
            "attachment; filename=\"__.html\"; filename*=UTF-8''%C3%A9_.html",
        ),
        ("a\"\\.txt", "a\"\\.txt", "attachment; filename=\".txt\""),
    ] {
        let content = format!("<script>{name}</script>");
        let number = add(name, content.as_bytes());
        assert_eq!(files(&house)[0]["name"], label);
        let path = format!("/api/files/{number}/content");
        let answer = get(house.web(), &path).assert_status(200);
        assert_eq!(answer.body, content.as_bytes());
        assert_eq!(
            answer.header("content-type"),
            Some("application/octet-stream")
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        if name != "a\"\\.txt" {
            assert_eq!(answer.header("content-disposition"), Some(disposition));
        }
        let part = get_with(house.web(), &path, &[("Range", "bytes=1-6")]).assert_status(206);
        assert_eq!(part.body, b"script");
        // Nobody is an admin here.
        let path = format!("/api/files/{number}");
        let refused = send(house.web(), "DELETE", &path, &[], b"").assert_status(403);
        assert_eq!(refused.json()["rule"], "web.admin_password");
    }
    assert_eq!(files(&house).len(), 3);
    for wrong in ["/api/files/1", "/api/files/x", "/api/files/1/content"] {
        let error = get(house.web(), wrong).assert_status(404).json();
        assert_eq!(error, json!({"error": "there is no file of this number"}));
    }
    house.stop();
}

/// What the configuration has for a password.
fn hash(password: &str) -> String {
    let mut command = playhouse();
    let command = command.arg("password").stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{password}").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn an_admin_removes_files() {
    let house = House::open_empty(&[("WEB__ADMIN_PASSWORD", &hash("correct horse"))]);
    let mut ben = Client::join(&house, "ben");
    let file = ben.upload(b"old", b"content");
    let path = format!("/api/files/{file}");
    let delete = |headers: &[(&str, &str)]| send(house.web(), "DELETE", &path, headers, b"");
    delete(&[]).assert_status(403);
    let admin = format!("Basic {}", STANDARD.encode("ben:correct horse"));
    let admin = [("Authorization", &*admin)];
    assert_eq!(ben.files(), [file]);
    delete(&admin).assert_status(204);
    assert!(files(&house).is_empty() && ben.files().is_empty());
    get(house.web(), &format!("{path}/content")).assert_status(404);
    delete(&admin).assert_status(404);
    assert!(paths(&house.data().join("files")).is_empty());
    house.stop();
}

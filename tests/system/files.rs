//! `playhouse files`: what an operator puts in, lists, takes out and removes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::overload_support::{playhouse, text};
use playhouse_storage::{Folder, Index, add};
use serde_json::Value;
use tempfile::TempDir;

/// A data folder, and a working directory beside it.
struct Desk(TempDir);

impl Desk {
    fn new() -> Desk {
        let desk = Desk(tempfile::tempdir().unwrap());
        fs::create_dir(desk.path("work")).unwrap();
        desk
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path("work").join(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path("work").join(name)).unwrap()
    }

    fn run(&self, args: &[&str]) -> Output {
        playhouse()
            .arg("files")
            .arg("--data")
            .arg(self.path("data"))
            .args(args)
            .current_dir(self.path("work"))
            .output()
            .unwrap()
    }

    /// What it prints; nothing is said on standard error where no terminal is.
    fn does(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it says when it fails.
    fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        said
    }

    /// Adds a file and gives its number.
    fn add(&self, args: &[&str]) -> String {
        let said = self.does(&[&["add"], args].concat());
        let number = said.split(' ').nth(1).unwrap();
        assert_eq!(number.len(), 16, "{said}");
        number.to_owned()
    }

    fn list(&self) -> Vec<Value> {
        let json: Value = serde_json::from_str(&self.does(&["list", "--json"])).unwrap();
        json["files"].as_array().unwrap().clone()
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn files_are_added_listed_extracted_and_removed() {
    let desk = Desk::new();
    // A typing mistake makes no folder, and nothing in one.
    for _ in 0..2 {
        let said = desk.fails(&["list"]);
        assert!(said.contains("server.data_dir"), "{said}");
        assert!(!desk.path("data/files").exists());
        fs::create_dir_all(desk.path("data")).unwrap();
    }
    desk.write("empty", "");
    let number = desk.add(&["empty"]);
    desk.does(&["remove", &number]);
    assert_eq!(desk.list(), [Value::Null; 0]);
    assert!(desk.does(&["list"]).ends_with("\n0 files, 0 B\n"));

    desk.write("abc.txt", "abc");
    desk.write("empty", "");
    let said = desk.does(&["add", "abc.txt", "empty"]);
    assert_eq!(said.lines().count(), 2, "{said}");
    let files = desk.list();
    let all_names: Vec<&str> = files.iter().map(|file| text(&file["name"])).collect();
    assert_eq!(all_names, ["abc.txt", "empty"], "as they were added");
    let (abc, number) = (&files[0], text(&files[0]["number"]));
    assert!(said.starts_with(&format!("added {number} abc.txt\n")));
    assert_eq!(abc["size"], 3);
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(abc["sha256"], sha256);
    let added = text(&abc["added"]);
    assert!(
        added.len() == 20 && added.starts_with("20") && added.ends_with('Z'),
        "{added}"
    );

    let table = desk.does(&["list"]);
    for part in [
        number,
        "abc.txt",
        "3 B",
        added,
        &sha256[..12],
        "\n2 files, 3 B",
    ] {
        assert!(table.contains(part), "{table} lacks {part}");
    }
    assert!(!table.contains(sha256), "shortened");

    fs::remove_file(desk.path("work/abc.txt")).unwrap();
    assert_eq!(desk.does(&["extract", "abc.txt"]), "abc.txt\n");
    assert_eq!(desk.read("abc.txt"), "abc");
    desk.does(&["extract", number, "-o", "by_number"]);
    desk.does(&["extract", &format!("0x{number}"), "-o", "with_0x"]);
    assert_eq!(desk.read("by_number"), "abc");
    assert_eq!(desk.read("with_0x"), "abc");
    fs::create_dir(desk.path("work/out")).unwrap();
    // The same one twice is one.
    desk.does(&["extract", number, "abc.txt", "empty", "-o", "out"]);
    assert_eq!(names(&desk.path("work/out")), ["abc.txt", "empty"]);

    let removed = desk.does(&["remove", "empty", number]);
    assert_eq!(
        removed.lines().nth(1),
        Some(&*format!("removed {number} abc.txt"))
    );
    assert_eq!(desk.list(), [Value::Null; 0]);
    assert_eq!(names(&desk.path("data/files")), [""; 0]);
    assert_eq!(names(&desk.path("data/uploads")), [""; 0]);
}

#[test]
fn a_name_counts_where_it_is_unique() {
    let desk = Desk::new();
    desk.write("a", "1");
    let one = desk.add(&["a", "--name", "same"]);
    let other = desk.add(&["a", "--name", "same"]);
    for command in ["extract", "remove"] {
        let said = desk.fails(&[command, "same"]);
        assert!(said.contains(&one) && said.contains(&other), "{said}");
        let said = desk.fails(&[command, &one, "absent"]);
        assert!(
            said.contains("absent: no file has this number or this name"),
            "{said}"
        );
    }
    assert_eq!(
        desk.list().len(),
        2,
        "nothing is removed if anything is unclear"
    );

    // A file that is called by another's number is not that.
    let liar = desk.add(&["a", "--name", &one]);
    assert_eq!(
        desk.does(&["remove", &one]),
        format!("removed {one} same\n")
    );
    assert_eq!(
        desk.does(&["remove", "same"]),
        format!("removed {other} same\n")
    );
    assert_eq!(
        desk.does(&["remove", &one]),
        format!("removed {liar} {one}\n")
    );
}

#[test]
fn nothing_is_overwritten_without_force() {
    let desk = Desk::new();
    desk.write("a", "listed");
    desk.add(&["a"]);
    desk.write("a", "outside");
    let said = desk.fails(&["extract", "a"]);
    assert!(said.contains("a: exists already"), "{said}");
    assert_eq!(desk.read("a"), "outside");
    desk.does(&["extract", "a", "--force"]);
    assert_eq!(desk.read("a"), "listed");
    assert_eq!(names(&desk.path("work")), ["a"]);
}

#[test]
fn a_name_is_never_a_way_out_or_an_order_to_the_terminal() {
    let desk = Desk::new();
    desk.write("a", "1");
    for (name, label, file) in [
        ("../../x", "../../x", "x"),
        ("/etc/passwd", "/etc/passwd", "passwd"),
        ("..", "..", "_."),
        (".profile", ".profile", "_profile"),
        ("\x1b[2Jred\n", "\\u{1b}[2Jred\\u{a}", "_[2Jred_"),
    ] {
        let said = desk.does(&["add", "a", "--name", name]);
        assert!(said.ends_with(&format!(" {label}\n")), "{said:?}");
        for listed in [desk.does(&["list"]), desk.does(&["list", "--json"])] {
            assert!(!listed.contains('\x1b'), "{listed:?}");
        }
        assert!(desk.list().iter().any(|file| file["name"] == label));
        // By the name as it is, and as it is shown.
        assert_eq!(desk.does(&["extract", name]), format!("{file}\n"));
        assert_eq!(desk.read(file), "1");
        let said = desk.does(&["remove", label]);
        assert!(said.ends_with(&format!(" {label}\n")), "{said:?}");
        fs::remove_file(desk.path("work").join(file)).unwrap();
    }
    assert_eq!(names(&desk.path("work")), ["a"]);
    assert_eq!(names(desk.0.path()), ["data", "work"]);

    let said = desk.fails(&["extract", "\x1b[2J"]);
    assert!(!said.contains('\x1b'), "{said:?}");
}

#[test]
fn an_empty_argument_means_no_file() {
    let desk = Desk::new();
    let folder = Folder::open(&desk.path("data")).unwrap();
    desk.write("a", "1");
    let source = desk.path("work/a");
    let index = Index::open(&folder).unwrap();
    let file = add(&index, &source, b"", &mut || 1, &mut |_, _| {}).unwrap();
    for command in ["extract", "remove"] {
        let said = desk.fails(&[command, ""]);
        assert!(said.contains("goes by its number"), "{said}");
    }
    assert_eq!(index.files().unwrap(), [file]);
    desk.does(&["remove", "0000000000000001"]);
    assert_eq!(index.files().unwrap(), []);
}

#[test]
fn a_long_name_makes_no_wide_table() {
    let desk = Desk::new();
    desk.write("a", "1");
    let name = "n".repeat(1024);
    desk.add(&["a", "--name", &name]);
    let table = desk.does(&["list"]);
    let widest = table.lines().map(|line| line.chars().count()).max();
    assert!(table.contains("nnn… "), "{table}");
    assert!(widest.unwrap() < 140, "{table}");
    assert_eq!(desk.list()[0]["name"], *name);
    desk.does(&["remove", &name]);
}

#[test]
fn damage_is_found_and_not_given_out() {
    let desk = Desk::new();
    desk.write("a", "content");
    let number = desk.add(&["a", "--name", "b"]);
    assert!(desk.does(&["list"]).ends_with("\n1 file, 7 B\n"));
    let content = desk.path("data/files").join(&number);
    fs::write(&content, "Content").unwrap();
    let said = desk.fails(&["extract", "b"]);
    assert!(said.contains(&number) && said.contains("damaged"), "{said}");
    assert_eq!(names(&desk.path("work")), ["a"]);
}

#[test]
fn what_can_not_be_done_is_said_before_anything_is() {
    let desk = Desk::new();
    desk.write("a", "1");
    desk.write("b", "2");
    for (args, said) in [
        (
            &["add", "a", "b", "--name", "c"][..],
            "--name: can't be given to 2 files",
        ),
        (&["add", "a", "--name", ""], "--name: 0 bytes"),
        (&["add", "a", "missing"], "missing: "),
        (&["add", "a", "."], ".: no regular file"),
    ] {
        let error = desk.fails(args);
        assert!(error.contains(said), "{error} lacks {said}");
        assert_eq!(desk.list(), [Value::Null; 0], "{args:?}");
    }
    let one = desk.add(&["a"]);
    let two = desk.add(&["b", "--name", "dir/a"]);
    for (args, said) in [
        (&["extract", &one, &two][..], "a: several of the files"),
        (
            &["extract", &one, &two, "-o", "nowhere"],
            "--output: nowhere: 2 files",
        ),
        (
            &["extract", &one, "-o", "nowhere/a"],
            "nowhere: can't make a file in it: No such file",
        ),
    ] {
        fs::remove_file(desk.path("work/a")).ok();
        let error = desk.fails(args);
        assert!(error.contains(said), "{error} lacks {said}");
        assert_eq!(names(&desk.path("work")), ["b"]);
    }

    let error = Desk::fails(&desk, &["list", "--data", "b"]);
    assert!(error.contains("server.data_dir: b: "), "{error}");
}

//! `wheeltap image diff` as its users meet it. `tests/diff/` has two small releases in the format of Flatcar's.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;
use test_case::test_case;

#[path = "diff/disks.rs"]
mod disks;

use disks::Tree;

/// A directory with the two releases as `old` and `new`, for a test to change.
fn workshop() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let releases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diff");
    for name in ["old", "new"] {
        copy(&releases.join(name), &directory.path().join(name));
    }
    directory
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn listing(directory: &TempDir, release: &str, name: &str) -> PathBuf {
    directory.path().join(release).join(format!("flatcar_production_image_{name}.txt"))
}

fn append(path: &Path, text: &str) {
    let before = fs::read_to_string(path).unwrap();
    fs::write(path, before + text).unwrap();
}

fn diff(directory: &TempDir, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wheeltap"))
        .args(["image", "diff"])
        .args(args)
        .current_dir(directory.path())
        .env("WHEELTAP_CACHE", directory.path().join("cache"))
        .env("WHEELTAP_STATE", directory.path().join("state"))
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Standard error as one line, so that a message is found however it is wrapped.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_good_release_is_told_on_one_screen() {
    let directory = workshop();
    let output = diff(&directory, &["old", "new"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    insta::assert_snapshot!("good", told(&output));
}

#[test]
fn a_release_is_as_itself() {
    let directory = workshop();
    let output = diff(&directory, &["old", "old"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(told(&output).contains("within the limits; nothing changed"), "{}", told(&output));
}

/// A release with everything that the built-in limits are about.
fn worse(directory: &TempDir) {
    let contents = listing(directory, "new", "contents");
    let kept: String = fs::read_to_string(&contents)
        .unwrap()
        .lines()
        .filter(|line| !line.contains("update-engine.service"))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(&contents, kept).unwrap();
    append(
        &contents,
        "-rwsr-xr-x  1 root    root      30720 2024-12-03 08:51 ./usr/bin/doas\n\
         -rw-r--r--  1 root    root  600000000 2024-12-03 08:51 ./usr/share/big\n\
         lrwxrwxrwx  1 root    root         14 2024-12-03 08:53 ./usr/lib/systemd/system/sockets.target.wants/telnet.socket -> ../telnet.socket\n",
    );
    let edit = |name: &str, from: &str, to: &str| {
        let path = listing(directory, "new", name);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replace(from, to)).unwrap();
    };
    edit("packages", "systemd-255.8-r1", "systemd-255.7-r3");
    edit("disk_usage", "127M   56M   72M", "127M   61M   66M");
}

#[test]
fn a_bad_release_hits_every_built_in_limit() {
    let directory = workshop();
    worse(&directory);
    let output = diff(&directory, &["old", "new"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    insta::assert_snapshot!("bad", told(&output));
}

#[test]
fn without_limits_nothing_is_wrong() {
    let directory = workshop();
    worse(&directory);
    let output = diff(&directory, &["old", "new", "--limits", "none"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn hits_can_be_accepted_until_a_day() {
    let directory = workshop();
    worse(&directory);
    let accept = |expires: &str| {
        let all = [
            "boot-size:*",
            "image-size:*",
            "no-downgrade:*/*",
            "no-new-setuid:**",
            "no-removed-unit:*",
            "no-new-listener:*",
        ];
        let text: String = all
            .iter()
            .map(|id| {
                format!(
                    "[[allow]]\nid = '{id}'\nowner = 'us'\nreason = 'known'\nexpires = {expires}\n"
                )
            })
            .collect();
        fs::write(directory.path().join("limits.toml"), text).unwrap();
        diff(&directory, &["old", "new", "--limits", "limits.toml"])
    };
    let output = accept("9999-12-31");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(told(&output).contains("within the limits, 6 accepted"), "{}", told(&output));
    let output = accept("2020-01-01");
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("6 errors"), "{}", told(&output));
}

#[test]
fn every_form_is_written_to_a_file_whole() {
    let directory = workshop();
    worse(&directory);
    for (format, beginning) in [
        ("text", "old  old (listings"),
        ("md", "## Image diff"),
        ("html", "<!doctype html>"),
        ("json", "{\n  \"version\": 1,"),
        ("sarif", "{\n  \"$schema\""),
        ("junit", "<?xml"),
    ] {
        let output = diff(&directory, &["old", "new", "--format", format, "--out", "out"]);
        assert_eq!(output.status.code(), Some(1), "{format}: {}", said(&output));
        assert_eq!(told(&output), "");
        let text = fs::read_to_string(directory.path().join("out")).unwrap();
        assert!(text.starts_with(beginning), "{format}: {text}");
        assert!(text.contains("no-new-setuid:/usr/bin/doas"), "{format}");
        let printed = diff(&directory, &["old", "new", "--format", format]);
        assert_eq!(told(&printed), text, "{format}");
    }
}

#[test]
fn what_a_release_does_not_tell_is_not_green() {
    let directory = workshop();
    fs::remove_file(listing(&directory, "new", "packages")).unwrap();
    let output = diff(&directory, &["old", "new"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("must-be-comparable:packages"), "{}", told(&output));
    assert!(told(&output).contains("so that no-downgrade can't be checked"), "{}", told(&output));
}

#[test]
fn a_listing_with_control_characters_reaches_no_terminal() {
    let directory = workshop();
    append(
        &listing(&directory, "new", "contents"),
        "-rwsr-xr-x  1 root    root      1 2024-12-03 08:51 ./usr/bin/\u{1b}]0;owned\u{7}\u{9b}2J\n",
    );
    for format in ["text", "md", "html", "json", "sarif", "junit"] {
        let output = diff(&directory, &["old", "new", "--format", format, "--all"]);
        assert_eq!(output.status.code(), Some(1));
        let text = told(&output);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{format}: {text:?}");
        assert!(text.contains("owned"), "{format}");
    }
}

#[test]
fn two_boards_are_not_compared() {
    let directory = workshop();
    let path = listing(&directory, "new", "kernel_config");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text.replace("Linux/x86", "Linux/arm64")).unwrap();
    let output = diff(&directory, &["old", "new"]);
    assert_eq!(output.status.code(), Some(2));
    let expected =
        "old is for amd64-usr and new is for arm64-usr: images of two boards aren't compared";
    assert!(said(&output).contains(expected), "{}", said(&output));
}

#[test_case("[limits.no-downgrades]\n", "limits.toml:1:9: unknown rule `no-downgrades`; did you mean"; "unknown rule")]
#[test_case("[limits.no-downgrade]\nalow = []\n", "limits.toml:2:1: unknown key `alow`; did you mean `allow`?"; "unknown key")]
#[test_case("[limits.x]\nkind = 'partition-used'\npartition = 3\nbelow = '1 MiB'\n", "limits.toml:3:13: `partition` must be text in quotes"; "a key of the wrong type")]
#[test_case("[limits", "limits.toml:1:8:"; "not TOML")]
fn bad_limits(text: &str, message: &str) {
    let directory = workshop();
    fs::write(directory.path().join("limits.toml"), text).unwrap();
    let output = diff(&directory, &["old", "new", "--limits", "limits.toml"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains(message), "{}", said(&output));
    assert_eq!(told(&output), "");
}

#[test_case(&["old"], 2, "<NEW>"; "only one")]
#[test_case(&["old", "nonesuch"], 2, "nonesuch"; "no such image")]
#[test_case(&["old", "empty"], 2, "empty holds no listings of a release"; "a directory without listings")]
#[test_case(&["old", "new", "--limits", "nonesuch.toml"], 2, "nonesuch.toml can't be read"; "no such limits")]
#[test_case(&["old", "new", "--format", "pdf"], 2, "invalid value 'pdf'"; "no such form")]
#[test_case(&["old", "new", "--out", "nonesuch/out"], 3, "nonesuch/out can't be written"; "nowhere to write to")]
#[test_case(&["old", "new", "--out", "empty"], 3, "empty can't be written"; "a directory in its place")]
#[test_case(&["old", "html"], 2, "packages.txt:1: this is no line of such a listing: `<html>not found</html>`"; "a page in the place of a listing")]
#[test_case(&["old", "pipe"], 2, "packages.txt is no regular file"; "a directory in the place of a listing")]
fn bad_arguments(args: &[&str], code: i32, message: &str) {
    let directory = workshop();
    let make = |name: &str| {
        let path = directory.path().join(name);
        fs::create_dir(&path).unwrap();
        path.join("flatcar_production_image_packages.txt")
    };
    fs::create_dir(directory.path().join("empty")).unwrap();
    fs::write(make("html"), "<html>not found</html>\n").unwrap();
    fs::create_dir(make("pipe")).unwrap();
    let output = diff(&directory, args);
    assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    assert!(said(&output).contains(message), "{}", said(&output));
    assert_eq!(told(&output), "");
}

#[test]
fn help_has_an_example() {
    let output = diff(&workshop(), &["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(told(&output).contains("wheeltap image diff releases/4081.2.0 releases/4081.2.1"));
}

/// Disks of a small system, before and after `change`; `None` where none can be made.
fn disks(change: impl FnOnce(&Tree)) -> Option<TempDir> {
    let directory = tempfile::tempdir().unwrap();
    let tree = Tree::new(directory.path().join("tree"));
    tree.disk(&directory.path().join("old.img"))?;
    change(&tree);
    tree.disk(&directory.path().join("new.img"))?;
    Some(directory)
}

#[test]
fn an_image_is_as_itself() {
    let Some(directory) = disks(|_| ()) else { return };
    let output = diff(&directory, &["old.img", "old.img"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    // What it doesn't have can't be compared, and that a limit isn't checked is said.
    let told = told(&output);
    assert!(told.contains("1 error, 0 warnings; nothing changed"), "{told}");
    assert!(told.contains("must-be-comparable:partitions:EFI-SYSTEM"), "{told}");
}

#[test]
fn a_worse_image_hits_every_built_in_limit_about_files() {
    let Some(directory) = disks(Tree::spoil) else { return };
    let output = diff(&directory, &["old.img", "new.img"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let told = told(&output);
    for hit in [
        "no-downgrade:tool: tool went down from 2.0 to 1.9",
        "no-new-setuid:/usr/bin/tool: /usr/bin/tool now runs with the rights of its owner",
        "no-removed-unit:tap.service: the unit tap.service is gone or masked",
        "no-new-listener:open.socket:tcp:23: open.socket listens on tcp 23",
    ] {
        assert!(told.contains(hit), "{hit}\n{told}");
    }
}

#[test]
fn a_disk_that_is_cut_short_or_encrypted_is_refused() {
    let Some(directory) = disks(|_| ()) else { return };
    let path = directory.path().join("new.img");
    let disk = fs::read(&path).unwrap();
    fs::write(&path, &disk[..8 << 20]).unwrap();
    let output = diff(&directory, &["old.img", "new.img"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("it was cut short, so get it again"), "{}", said(&output));
    let mut locked = disk;
    locked[1 << 20..][..4096].fill(0);
    locked[1 << 20..][..8].copy_from_slice(b"LUKS\xba\xbe\0\x02");
    locked[(1 << 20) + 0x400..][..1024].fill(0);
    fs::write(&path, locked).unwrap();
    let output = diff(&directory, &["old.img", "new.img"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("ROOT: encrypted (LUKS)"), "{}", said(&output));
}

//! The command as its users meet it: bad input gets a sentence and the right exit code.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use test_case::test_case;

fn wheeltap(directory: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wheeltap"))
        .args(args)
        .current_dir(directory)
        .env("WHEELTAP_CACHE", directory.join("cache"))
        .env("WHEELTAP_HISTORY", directory.join("history.sqlite"))
        .env("WHEELTAP_STATE", directory.join("state"))
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

/// Standard error as one line, so that a message is found however it is wrapped.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A directory with an image that no machine can boot, but that looks like a disk; and broken files of every kind.
fn workshop() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let file =
        |name: &str, content: &[u8]| fs::write(directory.path().join(name), content).unwrap();
    let mut disk = vec![0; 1 << 20];
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    file("disk.img", &disk);
    file("empty.img", b"");
    file("text.img", b"This is not a disk.\n");
    file("image.img.bz2", b"BZh91AY&SY\x00\x00\x00\x00");
    file("broken.ign", b"{\n  \"ignition\": {\n    \"version\": \"3.3.0\",,\n  }\n}\n");
    file("new.ign", br#"{"ignition":{"version":"3.4.0"}}"#);
    file("butane.ign", b"variant: flatcar\nversion: 1.0.0\n");
    file("good.ign", br#"{"ignition":{"version":"3.3.0"}}"#);
    file("rules.toml", b"[[rule]\nid = 3\n");
    file("profile.toml", b"name = \"x\"\nsummary =\n");
    file("settings.toml", b"[profile.nightly]\nretires = 2\n");
    file("good.toml", b"[profile.nightly]\nretries = 2\n");
    file("not-a-key", b"hello\n");
    file("file", b"");
    directory
}

const BOOTABLE: [&str; 4] = ["--image", "disk.img", "--profile", "reference"];

#[test_case(&["boot.multiuser"], "did you mean `boot.multi-user`?"; "a slip of the pen")]
#[test_case(&["--tag", "smoek"], "no scenario has tag `smoek`; there are: rollback, slow, smoke, update"; "unknown tag")]
#[test_case(&["--skip", "nonesuch.*"], "no scenario matches `nonesuch.*`"; "a skip that skips nothing")]
#[test_case(&["--fault", "nonesuch"], "no fault is named nonesuch; there are:"; "unknown fault")]
#[test_case(&["--ignition", "nonesuch.ign"], "nonesuch.ign can't be read"; "no such config")]
#[test_case(&["--ignition", "broken.ign"], "broken.ign: line 3, column"; "not JSON")]
#[test_case(&["--ignition", "new.ign"], "3.0.0 to 3.3.0"; "a config that the image's Ignition is too old for")]
#[test_case(&["--ignition", "butane.ign"], "Butane"; "Butane given as Ignition")]
#[test_case(&["--console-rules", "rules.toml"], "rules.toml:1:"; "broken rules")]
#[test_case(&["--profile", "profile.toml"], "profile.toml:2:"; "broken profile")]
#[test_case(&["--profile", "nonesuch"], "flatcar"; "unknown profile")]
#[test_case(&["--jobs", "0"], "give a number from 1, or `auto`"; "no machines at all")]
#[test_case(&["--platform", "external"], "--host user@address"; "an external machine without an address")]
#[test_case(&["--host", "core@127.0.0.1"], "--identity FILE"; "an external machine without a key")]
#[test_case(&["--host", "core@127.0.0.1", "--identity", "not-a-key"], "not-a-key"; "a key that is none")]
#[test_case(&["--config", "nonesuch.toml"], "nonesuch.toml can't be read"; "no such settings")]
#[test_case(&["--config", "settings.toml"], "settings.toml:2:1: unknown key `retires`; did you mean `retries`?"; "broken settings")]
#[test_case(&["--config", "good.toml", "--run-profile", "nightyl"], "no profile `nightyl`; did you mean `nightly`?"; "no such profile of settings")]
#[test_case(&["--run-profile", "nightly"], "there is no wheeltap.toml here"; "a profile of no settings")]
#[test_case(&["--partition", "1/3"], "say how to split: hash:1/3 (by name)"; "a partition without its kind")]
#[test_case(&["--partition", "hash:4/3"], "there is no part 4 of 3"; "no such partition")]
fn bad_arguments_of_run(args: &[&str], message: &str) {
    let directory = workshop();
    let mut all = vec!["run"];
    all.extend(BOOTABLE.iter().filter(|_| !args.contains(&"--profile")));
    if args.contains(&"--profile") {
        all.extend(&BOOTABLE[..2]);
    }
    all.extend(args);
    let output = wheeltap(directory.path(), &all);
    assert!(said(&output).contains(message), "{}", said(&output));
    assert_eq!(output.status.code(), Some(2));
    assert!(!directory.path().join("wheeltap-out").exists(), "nothing was begun");
}

#[test]
fn a_partition_has_the_whole_plan_and_runs_its_part() {
    let directory = workshop();
    let mut args = vec!["run", "boot.release", "--partition", "slice:2/2", "-v"];
    args.extend(BOOTABLE);
    let output = wheeltap(directory.path(), &args);
    assert!(
        said(&output).contains("slice:2/2 of the plan is run: 0 of 1 cases"),
        "{}",
        said(&output)
    );
    let latest = directory.path().join("wheeltap-out/latest");
    let read = |name: &str| fs::read_to_string(latest.join(name)).unwrap();
    assert!(read("plan.json").contains("boot.release"));
    assert!(
        !read("events.jsonl").contains("attempt_started"),
        "the only case is in the first part"
    );
    assert_eq!(output.status.code(), Some(0), "it had nothing to do, and did it");
}

#[test]
fn an_override_about_nothing_is_mentioned() {
    let directory = workshop();
    let settings = "[[profile.default.overrides]]\nfilter = 'botany.*'\nretries = 2\n";
    fs::write(directory.path().join("wheeltap.toml"), settings).unwrap();
    let mut args = vec!["run", "boot.release", "--partition", "slice:2/2"];
    args.extend(BOOTABLE);
    let output = wheeltap(directory.path(), &args);
    assert!(
        said(&output).contains("no scenario is matched by the override with filter `botany.*`")
    );
}

#[test_case("nonesuch.img", "nonesuch.img"; "missing")]
#[test_case("empty.img", "empty"; "empty")]
#[test_case("text.img", "text.img"; "not a disk")]
#[test_case("image.img.bz2", "bzip2"; "compressed")]
#[test_case(".", "directory"; "a directory")]
#[test_case("reference:9.9.9", "wheeltap image build --version 9.9.9"; "not built")]
#[test_case("flatcar:stable", "no signing key for flatcar"; "not fetched")]
fn bad_images(image: &str, message: &str) {
    let directory = workshop();
    let output = wheeltap(directory.path(), &["run", "--image", image, "--profile", "reference"]);
    assert!(said(&output).contains(message), "{}", said(&output));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_image_of_no_known_family_asks_for_a_profile() {
    let directory = workshop();
    let output = wheeltap(directory.path(), &["run", "--image", "disk.img"]);
    assert!(said(&output).contains("--profile with one of:"), "{}", said(&output));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn without_qemu_the_package_is_named() {
    let directory = workshop();
    let output = Command::new(env!("CARGO_BIN_EXE_wheeltap"))
        .args(["run", "boot.release"])
        .args(BOOTABLE)
        .current_dir(directory.path())
        .env("PATH", "/nonexistent")
        .output()
        .unwrap();
    assert!(
        said(&output).contains("apt-get install qemu-system-x86 qemu-utils"),
        "{}",
        said(&output)
    );
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn an_output_directory_that_cannot_be_made_is_named() {
    let directory = workshop();
    let mut args = vec!["run", "boot.release", "--out", "file/out"];
    args.extend(BOOTABLE);
    let output = wheeltap(directory.path(), &args);
    assert!(said(&output).contains("file/out"), "{}", said(&output));
    assert!(said(&output).contains("--out"), "{}", said(&output));
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_junit_file_that_cannot_be_written_is_named_before_anything_boots() {
    let directory = workshop();
    let mut args = vec!["run", "boot.release", "--junit", "file/junit.xml"];
    args.extend(BOOTABLE);
    let output = wheeltap(directory.path(), &args);
    assert!(said(&output).contains("file/junit.xml can't be written"), "{}", said(&output));
    assert_eq!(output.status.code(), Some(3));
    assert!(!directory.path().join("wheeltap-out").exists(), "nothing was begun");
}

#[test]
fn a_place_for_sockets_that_is_not_there_is_infrastructure() {
    let directory = workshop();
    let output = Command::new(env!("CARGO_BIN_EXE_wheeltap"))
        .args(["run", "boot.release", "--accel", "tcg"])
        .args(BOOTABLE)
        .current_dir(directory.path())
        .env("TMPDIR", "/nonexistent")
        .env("WHEELTAP_HISTORY", directory.path().join("history.sqlite"))
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("set TMPDIR to a writable directory"), "{stdout}");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_full_disk_is_an_infrastructure_failure() {
    let directory = workshop();
    // A user and mount namespace of its own gives a small file system without root, where the host allows it.
    let script = format!(
        "mkdir small && mount -t tmpfs -o size=64k tmpfs small && head -c 1M /dev/zero > small/fill; \
         '{}' run boot.release --out small/out {}; echo \"code=$?\"",
        env!("CARGO_BIN_EXE_wheeltap"),
        BOOTABLE.join(" ")
    );
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .current_dir(directory.path())
        .env("WHEELTAP_HISTORY", directory.path().join("history.sqlite"))
        .output();
    let Ok(output) = output.inspect_err(|error| eprintln!("skipped: unshare: {error}")) else {
        return;
    };
    let stdout = String::from_utf8_lossy(&output.stdout);
    if !stdout.contains("code=") {
        eprintln!("skipped: no user namespaces here: {}", said(&output));
        return;
    }
    assert!(stdout.contains("code=3"), "{stdout} {}", said(&output));
    assert!(said(&output).contains("space"), "{}", said(&output));
}

#[test]
fn a_report_of_no_run_says_what_a_run_is() {
    let directory = workshop();
    let output = wheeltap(directory.path(), &["report", "."]);
    assert!(said(&output).contains("is not a run directory"), "{}", said(&output));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn console_scan_finds_what_the_rules_name() {
    let directory = workshop();
    let log = "[    1.0] hello\n[    2.0] Kernel panic - not syncing: sysrq triggered crash\n";
    fs::write(directory.path().join("console.log"), log).unwrap();
    let output = wheeltap(directory.path(), &["console-scan", "console.log"]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("sysrq triggered crash"), "{stdout}");
    assert_eq!(output.status.code(), Some(1));

    fs::write(directory.path().join("console.log"), "[    1.0] hello\n").unwrap();
    let output = wheeltap(directory.path(), &["console-scan", "console.log"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "quiet when all is well");

    let output = wheeltap(directory.path(), &["console-scan", "nonesuch.log"]);
    assert!(said(&output).contains("nonesuch.log can't be read"), "{}", said(&output));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_panic() {
    // `head -c 1` goes away with most of the list unread.
    let script = format!(
        "'{}' list --json | head -c 1; echo \"${{PIPESTATUS[0]}}\"",
        env!("CARGO_BIN_EXE_wheeltap")
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "[0\n", "{}", said(&output));
    assert_eq!(said(&output), "");
}

#[test]
fn list_is_json_on_demand() {
    let directory = workshop();
    let output = wheeltap(directory.path(), &["list", "boot.*", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let first = &listed[0];
    assert_eq!(first["name"], "boot.multi-user");
    assert_eq!(first["needs"]["machine"], "shared");
    assert!(first["faults"].as_array().is_some_and(|faults| !faults.is_empty()));
}

#[test_case("run")]
#[test_case("list")]
#[test_case("report")]
#[test_case("doctor")]
#[test_case("image"; "image command")]
#[test_case("console-scan"; "console scan")]
#[test_case("history")]
fn every_command_has_help_with_an_example(command: &str) {
    let output = wheeltap(Path::new("."), &[command, "--help"]);
    let help = String::from_utf8_lossy(&output.stdout);
    assert!(help.contains("Example:"), "{help}");
    assert_eq!(output.status.code(), Some(0));
}

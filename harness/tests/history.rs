//! `wheeltap history` as its users meet it: on run directories that were written here, without machines.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use test_case::test_case;
use wheeltap_reports::{
    CaseId, Cell, EVENTS_FILE, Event, FORMAT_VERSION, Failure, FailureClass, Host, Image, Outcome,
    Phase, Plan, PlannedCase, Record, Verdict,
};

const BIOS: &str = "qemu_bios.amd64";
const UEFI: &str = "qemu_uefi.amd64";

/// Nothing of the environment gets through but what is said here.
fn command(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wheeltap"));
    command
        .args(args)
        .current_dir(directory)
        .env_clear()
        .env("WHEELTAP_CACHE", directory.join("cache"))
        .env("WHEELTAP_HISTORY", directory.join("history.sqlite"))
        .env("NO_COLOR", "1");
    command
}

fn wheeltap(directory: &Path, args: &[&str]) -> Output {
    command(directory, args).output().unwrap()
}

/// Standard error as one line, so that a message is found however it is wrapped.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Standard output of a command that must succeed.
fn told(directory: &Path, args: &[&str]) -> String {
    let output = wheeltap(directory, args);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn panic() -> Failure {
    Failure {
        phase: Phase::Boot,
        class: FailureClass::Product,
        kind: "kernel-panic".into(),
        headline: "Kernel panic - not syncing: VFS: Unable to mount root fs".into(),
        detail: String::new(),
    }
}

/// Writes the directory `runs/NIGHT` of a run of one image, with cases and whether they passed.
fn run_directory(directory: &Path, night: u32, version: &str, cases: &[(&str, &str, bool)]) {
    let first: Timestamp = "2026-01-01T22:00:00Z".parse().unwrap();
    let created = first + SignedDuration::from_hours(24 * i64::from(night));
    let image = Image {
        name: format!("reference:{version}"),
        digest: format!("{night:04x}").repeat(16),
        version: version.into(),
        profile: "reference".into(),
        ..Image::default()
    };
    let cell = |name: &str, firmware: &str| Cell {
        name: name.into(),
        platform: "qemu".into(),
        arch: "amd64".into(),
        firmware: Some(firmware.into()),
        variant: None,
    };
    let plan = Plan {
        version: FORMAT_VERSION,
        run: format!("night-{night}"),
        created,
        image: image.clone(),
        seed: None,
        repeat: None,
        cells: vec![cell(BIOS, "bios"), cell(UEFI, "uefi")],
        cases: cases
            .iter()
            .map(|(scenario, cell, _)| PlannedCase {
                id: CaseId::new(*scenario, *cell),
                summary: "What it is about".into(),
                claims: Vec::new(),
                tags: Vec::new(),
                faults: Vec::new(),
                skip: None,
            })
            .collect(),
    };
    let host = Host {
        name: "builder".into(),
        os: "Debian".into(),
        arch: "x86_64".into(),
        cpus: 2,
        memory_mib: 4096,
        accelerator: "tcg".into(),
    };
    let mut events = vec![Event::RunStarted {
        run: plan.run.clone(),
        wheeltap: "0.1.0".into(),
        command: vec!["wheeltap".into(), "run".into()],
        host,
        image,
        plan: plan.digest(),
        partition: None,
        selected: None,
    }];
    for (scenario, cell, passed) in cases {
        let case = CaseId::new(*scenario, *cell);
        let verdict = if *passed { Verdict::Pass } else { Verdict::Fail };
        let (attempt, seconds) = (1, 40.0 + f64::from(night));
        events.push(Event::AttemptStarted { case: case.clone(), attempt, dir: String::new() });
        events.push(Event::AttemptEnded {
            case: case.clone(),
            attempt,
            verdict,
            failure: (!passed).then(panic),
            seconds,
            evidence: Vec::new(),
        });
        events.push(Event::CaseEnded { case, verdict, reason: None, seconds });
    }
    events.push(Event::RunEnded { outcome: Outcome::AllPassed });
    let path = directory.join(format!("runs/{night}"));
    fs::create_dir_all(&path).unwrap();
    plan.write(&path).unwrap();
    let line =
        |event| serde_json::to_string(&Record { at: created, event, log: None }).unwrap() + "\n";
    fs::write(path.join(EVENTS_FILE), events.into_iter().map(line).collect::<String>()).unwrap();
}

/// Four nights: an update that breaks, a boot that doesn't, and an image that only booted in between.
fn nights() -> TempDir {
    let directory = TempDir::new().unwrap();
    let boot = ("boot.multi-user", UEFI, true);
    let update = |passed| ("update.apply", BIOS, passed);
    run_directory(directory.path(), 0, "4000.0.0", &[boot, update(true)]);
    run_directory(directory.path(), 1, "4000.1.0", &[boot, ("boot.multi-user", BIOS, true)]);
    run_directory(directory.path(), 2, "4000.2.0", &[boot, update(false)]);
    run_directory(directory.path(), 3, "4000.3.0", &[update(false)]);
    directory
}

/// The same, imported.
fn history() -> TempDir {
    let directory = nights();
    let runs = ["runs/0", "runs/1", "runs/2", "runs/3"];
    told(directory.path(), &[&["history", "import"], &runs[..]].concat());
    directory
}

#[test]
fn without_a_scenario_there_is_a_line_for_each() {
    let directory = history();
    insta::assert_snapshot!(told(directory.path(), &["history"]));
    let boots = told(directory.path(), &["history", "--cell", UEFI]);
    assert!(!boots.contains("update.apply"), "{boots}");
    let old = told(directory.path(), &["history", "--image", "reference:4000.[01].0"]);
    assert!(!old.contains("fails since"), "{old}");
}

#[test]
fn with_a_scenario_all_about_it_is_told() {
    let directory = history();
    insta::assert_snapshot!(told(directory.path(), &["history", "update.apply"]));
    let both = told(directory.path(), &["history", "boot.*"]);
    assert!(both.contains(BIOS) && both.contains(UEFI) && !both.contains("update"), "{both}");
}

#[test]
fn sparklines_are_blocks_where_the_locale_has_them() {
    let directory = history();
    let output = command(directory.path(), &["history"]).env("LANG", "C.UTF-8").output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("▁██"), "{stdout}");
}

#[test]
fn json_is_for_programs() {
    let directory = history();
    let parsed = |args: &[&str]| -> serde_json::Value {
        serde_json::from_str(&told(directory.path(), args)).unwrap()
    };
    let overview = parsed(&["history", "--json"]);
    assert_eq!(overview["cases"][2]["scenario"], "update.apply");
    assert_eq!(overview["cases"][2]["failing"]["introduced_by"]["version"], "4000.2.0");
    let details = parsed(&["history", "update.apply", "--json"]);
    assert_eq!(details["cases"][0]["results"].as_array().map(Vec::len), Some(3));
    let bisection = parsed(&["history", "bisect", "update.apply", "--json"]);
    assert_eq!(bisection["last_good"]["version"], "4000.0.0");
    assert_eq!(bisection["first_bad"]["version"], "4000.2.0");
    assert_eq!(bisection["ambiguities"][0]["kind"], "gaps");
}

#[test]
fn the_first_bad_build_is_named() {
    let directory = history();
    insta::assert_snapshot!(told(directory.path(), &["history", "bisect", "update.apply"]));
}

#[test]
fn images_that_are_gone_are_left_out_and_the_answer_is_less_than_asked() {
    let directory = history();
    let output = wheeltap(directory.path(), &["history", "bisect", "update.apply", "--boot"]);
    assert!(said(&output).contains("left out: "), "{}", said(&output));
    assert!(said(&output).contains("4000.1.0"), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("first bad: reference:4000.2.0"));
    assert_eq!(output.status.code(), Some(5));
    assert!(!directory.path().join("wheeltap-out").exists(), "nothing was begun");
}

#[test]
fn importing_again_changes_nothing() {
    let directory = history();
    let before = told(directory.path(), &["history", "update.apply", "--json"]);
    told(directory.path(), &["history", "import", "runs/3", "runs/2"]);
    assert_eq!(told(directory.path(), &["history", "update.apply", "--json"]), before);
}

#[test]
fn bad_directories_are_named_and_the_others_imported() {
    let directory = nights();
    fs::write(directory.path().join("runs/1/plan.json"), "{").unwrap();
    let args = ["history", "import", "runs/0", "runs/1", "runs", "runs/2"];
    let output = wheeltap(directory.path(), &args);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("runs/1/plan.json is damaged"), "{}", said(&output));
    assert!(said(&output).contains("runs is not a run directory"), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("2 runs are in "));
    assert!(told(directory.path(), &["history"]).contains("update.apply"));
}

#[test]
fn several_processes_lose_nothing() {
    let directory = TempDir::new().unwrap();
    for night in 0..12 {
        run_directory(directory.path(), night, "4000.0.0", &[("boot.multi-user", UEFI, true)]);
    }
    // All at once; the first of them also makes the file.
    let processes: Vec<_> = (0..12)
        .map(|night| {
            command(directory.path(), &["history", "import", &format!("runs/{night}")])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    let told = told(directory.path(), &["history", "--json"]);
    let overview: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(overview["cases"][0]["planned"], 12);
}

#[test]
fn the_file_is_the_one_that_was_named_last() {
    let directory = nights();
    let root = directory.path();
    let import = |args: &[&str], unset: &[&str]| {
        let mut command = command(root, &[&["history", "import", "runs/0"], args].concat());
        command.env("XDG_STATE_HOME", root.join("state")).env("HOME", root.join("home"));
        unset.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.output().unwrap()
    };
    let [named, own, xdg, home] = [
        "named.sqlite",
        "history.sqlite",
        "state/wheeltap/history.sqlite",
        "home/.local/state/wheeltap/history.sqlite",
    ]
    .map(|path| root.join(path));
    import(&["--history", "named.sqlite"], &[]);
    assert!(named.exists() && !own.exists());
    import(&[], &[]);
    assert!(own.exists() && !xdg.exists());
    import(&[], &["WHEELTAP_HISTORY"]);
    assert!(xdg.exists() && !home.exists());
    import(&[], &["WHEELTAP_HISTORY", "XDG_STATE_HOME"]);
    assert!(home.exists());
    let output = import(&[], &["WHEELTAP_HISTORY", "XDG_STATE_HOME", "HOME"]);
    assert!(said(&output).contains("give --history FILE"), "{}", said(&output));
    assert_eq!(output.status.code(), Some(2));
}

#[test_case(&["history"], "there is no history in", 2; "nothing recorded yet")]
#[test_case(&["history", "--history", "runs/0/plan.json"], "is damaged, or no history at all", 2; "no history")]
#[test_case(&["history", "import", "runs/0", "--history", "runs/0/plan.json/x"], "choose another file with --history", 3; "no place for it")]
#[test_case(&["history", "import"], "<RUN>", 2; "nothing to import")]
fn bad_files(args: &[&str], message: &str, code: i32) {
    let directory = nights();
    let output = wheeltap(directory.path(), args);
    assert!(said(&output).contains(message), "{}", said(&output));
    assert_eq!(output.status.code(), Some(code));
}

#[test_case(&["update.aply"], "did you mean `update.apply`?"; "a slip of the pen")]
#[test_case(&["zzz"], "`wheeltap history` shows what there is"; "nothing like it")]
#[test_case(&["update.apply", "--cell", UEFI], "there are: qemu_bios.amd64"; "never ran there")]
#[test_case(&["--image", "fcos:*"], "no recorded image matches `fcos:*`"; "no such image")]
#[test_case(&["bisect", "update.aply"], "did you mean `update.apply`?"; "bisect a slip of the pen")]
#[test_case(&["bisect", "boot.multi-user"], "give --cell with one of: qemu_bios.amd64, qemu_uefi.amd64"; "which cell")]
#[test_case(&["bisect", "update.apply", "--image", "fcos:*"], "never ran on an image that matches `fcos:*`"; "bisect no such image")]
fn bad_questions(args: &[&str], message: &str) {
    let directory = history();
    let output = wheeltap(directory.path(), &[&["history"], args].concat());
    assert!(said(&output).contains(message), "{}", said(&output));
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
}

/// A run that ends at once, for want of a place for sockets.
fn failing_run(directory: &Path, args: &[&str]) -> Output {
    let mut disk = vec![0; 1 << 20];
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    fs::write(directory.join("disk.img"), disk).unwrap();
    let run = ["run", "boot.release", "--image", "disk.img", "--profile", "reference"];
    command(directory, &[&run, args].concat())
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        // Below a file there is no directory, and nobody can make one.
        .env("TMPDIR", directory.join("disk.img/tmp"))
        .output()
        .unwrap()
}

#[test]
fn a_run_is_recorded_when_it_has_ended() {
    let directory = TempDir::new().unwrap();
    let output = failing_run(directory.path(), &["--accel", "tcg"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let told = told(directory.path(), &["history", "boot.release"]);
    assert!(told.contains("never judged, 1 infra"), "{told}");
    assert!(told.contains("disk.img"), "{told}");
}

#[test]
fn a_run_is_not_recorded_on_demand() {
    let directory = TempDir::new().unwrap();
    let output = failing_run(directory.path(), &["--no-history"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(!directory.path().join("history.sqlite").exists());
}

#[test]
fn a_history_that_is_damaged_changes_no_verdict() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("history.sqlite");
    fs::write(&file, "not a database at all, I am afraid".repeat(30)).unwrap();
    let output = failing_run(directory.path(), &[]);
    assert!(said(&output).contains("warning: this run is not in the history"), "{}", said(&output));
    assert_eq!(output.status.code(), Some(3));
    assert!(fs::read_to_string(file).unwrap().starts_with("not a database at all"));
}

#[test_case(&["history"])]
#[test_case(&["history", "import"]; "import")]
#[test_case(&["history", "bisect"]; "bisect")]
fn every_command_has_help_with_an_example(command: &[&str]) {
    let help = told(Path::new("."), &[command, &["--help"]].concat());
    assert!(help.contains("Example:"), "{help}");
}

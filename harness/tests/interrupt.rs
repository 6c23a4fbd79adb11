//! Signals at any time: the right exit code, a report that tells the truth, and nothing left behind.
//!
//! The machines have a disk that boots nothing, so they wait for SSH until they are interrupted.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// No test waits this long unless something is broken.
const GUARD: Duration = Duration::from_secs(60);

struct Run {
    directory: tempfile::TempDir,
    child: Child,
}

impl Run {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut disk = vec![0; 1 << 20];
        disk[510..512].copy_from_slice(&[0x55, 0xAA]);
        fs::write(directory.path().join("disk.img"), &disk).unwrap();
        fs::create_dir(directory.path().join("tmp")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_wheeltap"))
            .args(["run", "boot.release", "reboot.clean", "power.off", "--jobs", "2"])
            .args(["--image", "disk.img", "--profile", "reference", "--accel", "tcg"])
            .current_dir(directory.path())
            .env("TMPDIR", directory.path().join("tmp"))
            .env("WHEELTAP_HISTORY", directory.path().join("history.sqlite"))
            .env("WHEELTAP_STATE", directory.path().join("state"))
            .env("WHEELTAP_CACHE", directory.path().join("cache"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { directory, child }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn run_directory(&self) -> Option<PathBuf> {
        fs::canonicalize(self.path().join("wheeltap-out/latest")).ok()
    }

    fn events(&self) -> String {
        self.run_directory()
            .and_then(|directory| fs::read_to_string(directory.join("events.jsonl")).ok())
            .unwrap_or_default()
    }

    /// Processes that have this run's directory on their command line.
    fn machines(&self) -> Vec<i32> {
        let needle = self.path().to_string_lossy().into_owned();
        let is_machine = |entry: &fs::DirEntry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            line.starts_with(b"qemu-system") && String::from_utf8_lossy(&line).contains(&needle)
        };
        fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(is_machine)
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }

    fn wait_until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            assert!(start.elapsed() < GUARD, "{what} did not come; events:\n{}", self.events());
            pause();
        }
    }

    fn wait_until_machines_run(&self) {
        self.wait_until("two machines", |run| {
            run.machines().len() == 2 && run.events().matches(r#""phase":"boot""#).count() == 2
        });
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn end(self) -> (tempfile::TempDir, Output) {
        (self.directory, self.child.wait_with_output().unwrap())
    }
}

/// Between two looks at a process that is none of ours to wait for.
#[expect(clippy::disallowed_methods, reason = "a test without a runtime has a thread to spare")]
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

/// What is left of machines: disks, variables, sockets, private directories.
fn left_behind(directory: &Path) -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|it| it == "qcow2" || it == "fd") {
                found.push(path);
            }
        }
    }
    let mut found: Vec<PathBuf> =
        fs::read_dir(directory.join("tmp")).unwrap().flatten().map(|entry| entry.path()).collect();
    walk(&directory.join("wheeltap-out"), &mut found);
    // The first of machines that are alike is on the way to become a saved state.
    walk(&directory.join("cache/states"), &mut found);
    found
}

fn report(directory: &Path, format: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_wheeltap"))
        .args(["report", "wheeltap-out/latest", "--format", format])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn interrupted_by(signal: Signal, name: &str) {
    let run = Run::start();
    run.wait_until_machines_run();
    run.signal(signal);
    run.wait_until("the end of all machines", |run| run.machines().is_empty());
    let (directory, output) = run.end();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(left_behind(directory.path()), [""; 0].map(PathBuf::from));
    let leases = fs::read_dir(directory.path().join("state/leases")).unwrap();
    assert_eq!(leases.count(), 0, "leases go with what they are about");
    let json = report(directory.path(), "json");
    assert!(json.contains(name), "{json}");
    assert!(json.matches(r#""verdict": "not-run""#).count() >= 3, "{json}");
    let junit = fs::read_to_string(directory.path().join("wheeltap-out/latest/junit.xml")).unwrap();
    assert!(junit.contains("not-run"), "{junit}");
    let page =
        fs::read_to_string(directory.path().join("wheeltap-out/latest/report.html")).unwrap();
    assert!(page.contains("<h1>Interrupted</h1>"), "{page}");
}

#[test]
fn sigint_takes_everything_down() {
    interrupted_by(Signal::INT, "SIGINT");
}

#[test]
fn sigterm_takes_everything_down() {
    interrupted_by(Signal::TERM, "SIGTERM");
}

#[test]
fn a_closed_terminal_takes_everything_down() {
    interrupted_by(Signal::HUP, "SIGHUP");
}

#[test]
fn a_second_signal_kills_at_once() {
    let run = Run::start();
    run.wait_until_machines_run();
    run.signal(Signal::INT);
    run.signal(Signal::TERM);
    let (directory, output) = run.end();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(left_behind(directory.path()), [""; 0].map(PathBuf::from));
}

#[test]
fn machines_die_with_a_killed_wheeltap_and_the_report_says_what_did_not_run() {
    let run = Run::start();
    run.wait_until_machines_run();
    run.signal(Signal::KILL);
    run.wait_until("the end of all machines", |run| run.machines().is_empty());
    let (directory, _) = run.end();
    let disks = left_behind(directory.path());
    assert!(disks.len() >= 4, "two overlays and two private directories: {disks:?}");
    let gc = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wheeltap"));
        command
            .arg("gc")
            .env("TMPDIR", directory.path().join("tmp"))
            .env("WHEELTAP_STATE", directory.path().join("state"))
            .env("WHEELTAP_CACHE", directory.path().join("cache"))
            .output()
            .unwrap()
    };
    let output = gc();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for disk in &disks {
        assert!(said.contains(&disk.display().to_string()), "{} in\n{said}", disk.display());
    }
    assert_eq!(left_behind(directory.path()), [""; 0].map(PathBuf::from));
    assert!(gc().stdout.is_empty(), "nothing is left for a second time");
    let text = report(directory.path(), "text");
    assert!(text.contains("not-run"), "{text}");
    for format in ["junit", "json"] {
        assert!(report(directory.path(), format).contains("not-run"));
    }
}

#[test]
fn a_machine_that_dies_is_infrastructure() {
    let run = Run::start();
    run.wait_until_machines_run();
    // The third case gets a machine when one of the first two is done for, and so on.
    run.wait_until("the end of the run", |run| {
        for pid in run.machines() {
            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        }
        run.events().contains("run_ended")
    });
    let (directory, output) = run.end();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{stdout}");
    assert!(stdout.contains("qemu ended by itself"), "{stdout}");
    assert_eq!(left_behind(directory.path()), [""; 0].map(PathBuf::from));
}

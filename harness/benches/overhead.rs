//! What the harness itself costs, with nothing of the guest's: `cargo bench -p wheeltap`.
//!
//! Figures depend on the host, so each comes with what it is measured against. Nothing here asserts.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark may panic and sleep"
)]

use std::{
    fs,
    ops::Range,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const WHEELTAP: &str = env!("CARGO_BIN_EXE_wheeltap");

/// For how long idle machines are watched.
const WATCHED: Duration = Duration::from_secs(30);

const MACHINES: usize = 8;

/// How often a case is repeated to see what one more costs.
const REPEATED: u32 = 100;

/// Answers in place of a guest, at once.
const ANSWERS: &str = r#"#!/bin/sh
case "$SSH_ORIGINAL_COMMAND" in
*is-system-running*) echo running ;;
*journalctl*) exit 0 ;;
*) exec sh -c "$SSH_ORIGINAL_COMMAND" ;;
esac
"#;

#[path = "../tests/sshd/mod.rs"]
mod sshd;

fn main() {
    // `cargo test --benches` and `cargo bench -- --list` only want to know that this is here.
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return;
    }
    start_up();
    per_case();
    waiting();
}

/// `wheeltap list` against a process that does nothing.
fn start_up() {
    let list = median(|| run(Command::new(WHEELTAP).arg("list")));
    let nothing = median(|| run(&mut Command::new("true")));
    println!(
        "list: {:.1} ms, {:.1} times a process that does nothing ({:.1} ms)",
        millis(list),
        list.as_secs_f64() / nothing.as_secs_f64(),
        millis(nothing)
    );
}

fn run(command: &mut Command) -> Duration {
    let start = Instant::now();
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
    start.elapsed()
}

fn median(mut measure: impl FnMut() -> Duration) -> Duration {
    let mut samples: Vec<Duration> = (0..21).map(|_| measure()).collect();
    samples.sort();
    samples[samples.len() / 2]
}

/// What one more case costs where the guest, an sshd on this host, answers at once: from its attempt's directory to its reports.
fn per_case() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("answers");
    fs::write(&script, ANSWERS).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let force = format!("PasswordAuthentication no\nForceCommand {}", script.display());
    let Some(server) = sshd::Server::start(directory.path(), &force) else { return };
    let user = Command::new("id").arg("-un").output().unwrap().stdout;
    let host = format!("{}@127.0.0.1:{}", String::from_utf8(user).unwrap().trim(), server.port);
    let measure = |repeat: u32| {
        let cpu = children();
        let mut wheeltap = Command::new(WHEELTAP);
        wheeltap
            .args(["run", "security.keys-only", "--profile", "reference", "--identity", "user"])
            .args(["--host", &host, "--no-history", "--repeat", &repeat.to_string()])
            .current_dir(directory.path());
        (run(&mut wheeltap), children() - cpu)
    };
    let (once, many) = (measure(1), measure(1 + REPEATED));
    println!(
        "one more case: {:.0} ms, sshd's own time included; {:.1} ms of CPU",
        millis(many.0 - once.0) / f64::from(REPEATED),
        millis(many.1 - once.1) / f64::from(REPEATED)
    );
}

/// User and system time of all children that have ended: fields 16 and 17 of proc_pid_stat(5).
fn children() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    ticks(&stat, 13..15)
}

/// Memory and CPU of wheeltap while it waits for machines whose disk boots nothing.
fn waiting() {
    let directory = tempfile::tempdir().unwrap();
    let mut disk = vec![0; 1 << 20];
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    fs::write(directory.path().join("disk.img"), &disk).unwrap();
    let mut wheeltap = Command::new(WHEELTAP)
        .args([
            "run",
            "--image",
            "disk.img",
            "--profile",
            "reference",
            "--no-history",
            // Or several would wait for one that boots, to be its forks.
            "--fork",
            "off",
            "--jobs",
            &MACHINES.to_string(),
        ])
        .current_dir(directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let events = directory.path().join("wheeltap-out/latest/events.jsonl");
    let booting =
        || fs::read_to_string(&events).unwrap_or_default().matches(r#""phase":"boot""#).count();
    while booting() < MACHINES - 1 {
        std::thread::sleep(Duration::from_millis(100));
    }
    let before = cpu(&wheeltap);
    std::thread::sleep(WATCHED);
    let used = cpu(&wheeltap) - before;
    let machines = booting();
    let share = used.as_secs_f64() / WATCHED.as_secs_f64() / machines as f64;
    println!(
        "waiting for {machines} machines: {:.3} % of a core for each, {} MiB resident, {} MiB at its peak",
        share * 100.0,
        resident(&wheeltap, "VmRSS:"),
        resident(&wheeltap, "VmHWM:")
    );
    let pid = rustix::process::Pid::from_child(&wheeltap);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let start = Instant::now();
    wheeltap.wait().unwrap();
    println!("from SIGINT to the end of all of them: {:.1} s", start.elapsed().as_secs_f64());
}

/// User and system time so far: fields 14 and 15 of proc_pid_stat(5).
fn cpu(process: &Child) -> Duration {
    ticks(&fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap(), 11..13)
}

/// The sum of some fields after the name, which are in clock ticks of 10 ms on Linux.
fn ticks(stat: &str, places: Range<usize>) -> Duration {
    let after_name = stat.rsplit_once(')').unwrap().1;
    let fields = after_name.split_whitespace().skip(places.start).take(places.len());
    Duration::from_millis(fields.map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>() * 10)
}

/// A size from proc_pid_status(5), in MiB.
fn resident(process: &Child, key: &str) -> u64 {
    let status =
        fs::read_to_string(Path::new("/proc").join(process.id().to_string()).join("status"));
    let status = status.unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

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
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const WHEELTAP: &str = env!("CARGO_BIN_EXE_wheeltap");

/// For how long idle machines are watched.
const WATCHED: Duration = Duration::from_secs(30);

const MACHINES: usize = 8;

fn main() {
    // `cargo test --benches` and `cargo bench -- --list` only want to know that this is here.
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return;
    }
    start_up();
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

/// User and system time so far (proc_pid_stat(5), fields 14 and 15, in clock ticks of 10 ms on Linux).
fn cpu(process: &Child) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
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

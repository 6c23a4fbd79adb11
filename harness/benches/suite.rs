//! What forks save: `cargo bench -p wheeltap --bench suite`. It takes seven minutes without KVM.
//!
//! The scenarios that only look, and don't talk to an update server meanwhile, run on the reference image with every machine
//! booted, with forks of one that is booted and saved first, and with forks of one that an earlier run has saved.
//! `WHEELTAP_IMAGE` names another image, `WHEELTAP_SCENARIO` other scenarios (a glob). Figures depend on the host and on what
//! else it does; nothing here asserts.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark may panic and sleep"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::Value;
use wheeltap_scenarios::{MachineNeed, UpdateNeed, catalogue};

const WHEELTAP: &str = env!("CARGO_BIN_EXE_wheeltap");

/// How often processes are looked at. Reading what a process maps takes the kernel a millisecond.
const SAMPLE: Duration = Duration::from_millis(250);

/// Machines that run at the same time in the measurement of their memory.
const MACHINES: usize = 8;

fn main() {
    // `cargo test --benches` and `cargo bench -- --list` only want to know that this is here.
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return;
    }
    let image = std::env::var("WHEELTAP_IMAGE").unwrap_or_else(|_| "reference".to_owned());
    let digest = wheeltap_images::resolve(&image).unwrap().digest;
    let scenarios = scenarios();
    println!("{} scenarios on {image} {digest}", scenarios.len());
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let cache = tempfile::tempdir_in(place).unwrap();
    // What the update scenarios are made of is no part of the measurement.
    for shared in ["payloads", "images"] {
        let users = std::fs::canonicalize(user_cache().join(shared));
        if let Ok(users) = users {
            std::os::unix::fs::symlink(users, cache.path().join(shared)).unwrap();
        }
    }
    let run = |jobs: Option<usize>, fork: &str| {
        let out = tempfile::tempdir_in(place).unwrap();
        let measured = measure(cache.path(), out, &image, &scenarios, jobs, fork);
        eprintln!("--fork {fork}: {:.1} s", measured.wall.as_secs_f64());
        measured
    };
    let off = run(None, "off");
    let cold = run(None, "auto");
    let warm = run(None, "auto");
    let many = run(Some(MACHINES), "auto");

    println!(
        "{:22} {:>9} {:>9} {:>9} {:>7} {:>7}",
        "", "wall", "CPU", "memory", "booted", "forked"
    );
    let rows = [
        ("every machine boots", &off),
        ("forks, made first", &cold),
        ("forks, there already", &warm),
    ];
    for (name, measured) in rows {
        print(name, measured);
    }
    print(&format!("the same, {MACHINES} at once"), &many);
    for (name, measured) in [("made first", &cold), ("there already", &warm)] {
        println!(
            "{name}: {:.1} times faster, {:.1} times less CPU",
            off.wall.as_secs_f64() / measured.wall.as_secs_f64(),
            off.cpu.as_secs_f64() / measured.cpu.as_secs_f64()
        );
    }
    let (boot, fork) = (off.median("first command"), warm.median("first command"));
    println!(
        "first command done: {boot:.2} s after a boot began, {fork:.2} s after a fork, a {:.1}th",
        boot / fork
    );
    for part in ["machine started", "reached", "body", "taken down"] {
        println!("  a fork, {part}: {:.2} s", warm.median(part));
    }
    println!(
        "wheeltap's own CPU per case: {:.0} ms (forks there already), {:.0} ms (booting)",
        warm.own.as_secs_f64() * 1000.0 / scenarios.len() as f64,
        off.own.as_secs_f64() * 1000.0 / scenarios.len() as f64
    );
}

fn print(name: &str, measured: &Measured) {
    let Measured { wall, cpu, memory_kib, booted, forked, .. } = measured;
    println!(
        "{name:22} {:7.1} s {:7.1} s {:5} MiB {booted:7} {forked:7}",
        wall.as_secs_f64(),
        cpu.as_secs_f64(),
        memory_kib / 1024
    );
}

/// Those that only look and need nothing but the machine, or what was asked for.
fn scenarios() -> Vec<String> {
    let only = std::env::var("WHEELTAP_SCENARIO").ok();
    let is_meant = |scenario: &&wheeltap_scenarios::Scenario| match &only {
        Some(only) => glob_match::glob_match(only, scenario.name),
        None => {
            let needs = &scenario.needs;
            needs.machine == MachineNeed::Shared && needs.update == UpdateNeed::None
        }
    };
    let meant = catalogue().filter(is_meant);
    meant.map(|scenario| scenario.name.to_owned()).collect()
}

fn user_cache() -> std::path::PathBuf {
    let states = wheeltap_images::Cache::of_user().unwrap().states();
    states.parent().unwrap().to_owned()
}

struct Measured {
    wall: Duration,
    /// Of wheeltap and all machines.
    cpu: Duration,
    /// Of wheeltap itself.
    own: Duration,
    /// The most that all machines took together, each with its share of what they have in common.
    memory_kib: u64,
    booted: usize,
    forked: usize,
    /// Seconds that parts of each case took.
    parts: BTreeMap<&'static str, Vec<f64>>,
}

impl Measured {
    fn median(&self, part: &str) -> f64 {
        let mut seconds = self.parts.get(part).cloned().unwrap_or_default();
        seconds.sort_by(f64::total_cmp);
        seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

fn measure(
    cache: &Path,
    out: tempfile::TempDir,
    image: &str,
    scenarios: &[String],
    jobs: Option<usize>,
    fork: &str,
) -> Measured {
    let mut command = Command::new(WHEELTAP);
    command.arg("run").args(scenarios).arg("--image").arg(image).args(["--fork", fork]);
    command.arg("--out").arg(out.path()).env("WHEELTAP_CACHE", cache);
    command.args(jobs.map(|jobs| format!("--jobs={jobs}")));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let before = children_cpu();
    let start = Instant::now();
    let mut wheeltap = command.spawn().unwrap();
    let (mut memory_kib, mut own) = (0, Duration::ZERO);
    let status = loop {
        if let Some(status) = wheeltap.try_wait().unwrap() {
            break status;
        }
        memory_kib = memory_kib.max(machines_memory_kib(wheeltap.id()));
        own = own_cpu(wheeltap.id()).unwrap_or(own);
        std::thread::sleep(SAMPLE);
    };
    let wall = start.elapsed();
    let events = fs::read_to_string(out.path().join("latest/events.jsonl")).unwrap();
    if !status.success() {
        // What fails may wait for something, and that is not what is measured.
        println!("with --fork {fork}: {status}; see {}", out.keep().display());
    }
    let events: Vec<Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let started = |origin: &str| {
        let is = |event: &&Value| event["event"] == "machine_started" && event["origin"] == origin;
        events.iter().filter(is).count()
    };
    let (booted, forked) = (started("boot"), started("fork"));
    let parts = parts(&events);
    Measured { wall, cpu: children_cpu() - before, own, memory_kib, booted, forked, parts }
}

/// How long the parts of each case took; not of those that also booted what the others start from.
fn parts(events: &[Value]) -> BTreeMap<&'static str, Vec<f64>> {
    let mut parts: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    let mut cases: BTreeMap<String, Vec<(String, Timestamp)>> = BTreeMap::new();
    for event in events.iter().filter(|event| event["case"].is_object()) {
        let what = match event["event"].as_str().unwrap() {
            "phase_entered" => event["phase"].as_str().unwrap(),
            other => other,
        };
        let at = event["at"].as_str().unwrap().parse().unwrap();
        cases.entry(event["case"].to_string()).or_default().push((what.to_owned(), at));
    }
    for moments in cases.values() {
        let at = |what: &str| moments.iter().find(|(one, _)| one == what).map(|(_, at)| *at);
        let machines = moments.iter().filter(|(what, _)| what == "machine_started").count();
        let (Some(began), Some(started), Some(act), Some(teardown), Some(ended), 1) = (
            at("attempt_started"),
            at("machine_started"),
            at("act"),
            at("teardown"),
            at("attempt_ended"),
            machines,
        ) else {
            continue;
        };
        let mut add = |part, from: Timestamp, to: Timestamp| {
            parts.entry(part).or_default().push(to.duration_since(from).as_secs_f64());
        };
        add("first command", began, act);
        add("machine started", began, started);
        add("reached", started, act);
        add("body", act, teardown);
        add("taken down", teardown, ended);
    }
    parts
}

/// Fields of proc_pid_stat(5) after the name, from the third on.
fn stat(pid: &str) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// Clock ticks are of 10 ms on Linux.
fn ticks(fields: &[String]) -> Duration {
    let ticks: u64 = fields.iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// User and system time of the children that have ended, and of theirs (fields 16 and 17).
fn children_cpu() -> Duration {
    ticks(&stat("self").unwrap()[13..15])
}

/// User and system time of a process itself (fields 14 and 15).
fn own_cpu(pid: u32) -> Option<Duration> {
    Some(ticks(&stat(&pid.to_string())?[11..13]))
}

/// The proportional set sizes of all QEMU processes that this process has started.
fn machines_memory_kib(wheeltap: u32) -> u64 {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let children = pids.filter(|pid| {
        let parent = stat(pid).and_then(|fields| fields.get(1)?.parse::<u32>().ok());
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        parent == Some(wheeltap) && name.starts_with("qemu-system")
    });
    let size = |pid: String| {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?.to_owned();
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    children.filter_map(size).sum()
}

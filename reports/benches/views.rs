//! What it costs to load a large run and to render its views: `cargo bench -p wheeltap-reports --bench views`.
//!
//! Figures depend on the host. Nothing here asserts.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use wheeltap_reports::{
    CaseId, Cell, EVENTS_FILE, Event, Failure, FailureClass, Format, Host, Image, JunitOptions,
    Outcome, Paint, Phase, Plan, PlannedCase, Record, Run, Verdict, render, render_junit,
};

const CASES: usize = 100_000;
const CELLS: usize = 10;
/// One case of so many fails.
const FAILING: usize = 20;
/// The length of a failure's detail, in bytes: the console around the fatal line.
const DETAIL: usize = 4000;

fn main() {
    // `cargo test --benches` and `cargo bench -- --list` only want to know that this is here.
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let log = fs::metadata(dir.path().join(EVENTS_FILE)).unwrap().len();
    println!("{CASES} cases, one of {FAILING} fails; events.jsonl: {:.0} MiB", mib(log));
    let run = measured("load", || Run::load(dir.path()).unwrap());
    for (name, format) in [
        ("junit", Format::Junit),
        ("json", Format::Json),
        ("text", Format::Text(Paint::Plain)),
        ("md", Format::Markdown),
        ("tap", Format::Tap),
    ] {
        let report = measured(name, || render(&run, format).unwrap());
        println!("    {:.1} MiB", mib(report.len() as u64));
    }
    let options = JunitOptions { max_bytes: Some(25_000_000), ..JunitOptions::default() };
    let parts = measured("junit in files of 25 MB", || render_junit(&run, &options).unwrap());
    println!("    {} files", parts.len());
}

/// Prints how long it took, what the process had before, and the most that it had meanwhile.
fn measured<T>(what: &str, work: impl FnOnce() -> T) -> T {
    // Resets the high-water mark, proc_pid_clear_refs(5).
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS:");
    let start = Instant::now();
    let result = work();
    let took = start.elapsed().as_secs_f64();
    let most = memory("VmHWM:");
    println!("{what}: {took:.2} s, {before} MiB before, at most {most} MiB");
    result
}

/// A line of `/proc/self/status`, in MiB.
fn memory(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

fn write(dir: &Path) {
    let cell = |number: usize| format!("qemu_uefi-{number}.amd64");
    let id = |at: usize| CaseId::new(format!("group-{}.case-{at}", at % 50), cell(at % CELLS));
    let image = Image {
        name: "reference".into(),
        digest: "5e".repeat(32),
        version: "4000.0.0".into(),
        profile: "reference".into(),
        ..Image::default()
    };
    let plan = Plan {
        version: wheeltap_reports::FORMAT_VERSION,
        run: "20260131-120000-7f3a".into(),
        created: "2026-01-31T12:00:00Z".parse().unwrap(),
        image: image.clone(),
        seed: None,
        repeat: None,
        cells: (0..CELLS)
            .map(|number| Cell {
                name: cell(number),
                platform: "qemu".into(),
                arch: "amd64".into(),
                firmware: Some("uefi".into()),
                variant: None,
            })
            .collect(),
        cases: (0..CASES)
            .map(|at| PlannedCase {
                id: id(at),
                summary: "The machine reaches multi-user.target without failed units".into(),
                claims: vec!["C-1".into()],
                tags: vec!["smoke".into()],
                faults: Vec::new(),
                skip: None,
            })
            .collect(),
    };
    plan.write(dir).unwrap();
    let mut log = BufWriter::new(File::create(dir.join(EVENTS_FILE)).unwrap());
    let mut at: Timestamp = plan.created;
    let mut push = |event: Event| {
        at += SignedDuration::from_millis(1);
        serde_json::to_writer(&mut log, &Record { at, event, log: None }).unwrap();
        log.write_all(b"\n").unwrap();
    };
    push(Event::RunStarted {
        run: plan.run.clone(),
        wheeltap: "0.1.0".into(),
        command: vec!["wheeltap".into(), "run".into()],
        host: Host {
            name: "builder".into(),
            os: "Debian".into(),
            arch: "amd64".into(),
            cpus: 2,
            memory_mib: 7950,
            accelerator: "kvm".into(),
        },
        image,
        plan: plan.digest(),
        partition: None,
        selected: None,
    });
    let detail = "  812  [    2.2] usb 1-1: new high-speed USB device number 2 using xhci_hcd\n";
    let detail = detail.repeat(DETAIL / detail.len());
    for number in 0..CASES {
        case(&mut push, &id(number), number, &detail);
    }
    push(Event::RunEnded { outcome: Outcome::ProductFailure });
}

fn case(push: &mut impl FnMut(Event), id: &CaseId, number: usize, detail: &str) {
    let (attempt, dir) = (1, format!("cells/{}/{}/attempt-1", id.cell, id.scenario));
    let console = format!("{dir}/m1/console.log");
    push(Event::AttemptStarted { case: id.clone(), attempt, dir });
    for phase in [Phase::Boot, Phase::Reach, Phase::Check] {
        push(Event::PhaseEntered { case: id.clone(), attempt, phase });
    }
    for text in ["m1: SSH login after 12.3 s", "systemctl is-system-running: running"] {
        push(Event::Step { case: id.clone(), attempt, text: text.into() });
    }
    let failure = number.is_multiple_of(FAILING).then(|| Failure {
        phase: Phase::Check,
        class: FailureClass::Product,
        kind: "check".into(),
        headline: format!("docker-{number}.service failed: exit 1"),
        detail: detail.to_owned(),
    });
    let verdict = if failure.is_some() { Verdict::Fail } else { Verdict::Pass };
    let evidence = vec![console.clone(), console.replace("console", "journal")];
    push(Event::AttemptEnded {
        case: id.clone(),
        attempt,
        verdict,
        failure,
        seconds: 41.25,
        evidence,
    });
    push(Event::CaseEnded { case: id.clone(), verdict, reason: None, seconds: 42.0 });
}

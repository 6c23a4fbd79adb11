//! What it costs to plan a large run, and to decide when each of its tasks starts:
//! `cargo bench -p wheeltap --bench schedule`.
//!
//! Figures depend on the host. Nothing here asserts.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::{
    fs,
    path::Path,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use wheeltap::{
    Setup,
    engine::{Capacity, Engine, ForkMode, Request, Task},
};
use wheeltap_scenarios::catalogue;

#[path = "../tests/schedule/simulation.rs"]
mod simulation;

const CASES: usize = 10_000;

fn main() {
    // `cargo test --benches` and `cargo bench -- --list` only want to know that this is here.
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return;
    }
    for fork in [ForkMode::Off, ForkMode::Auto] {
        println!("{CASES} cases planned, {fork:?}: {:.0} ms", millis(plan(fork)));
    }
    for (what, machines, kinds) in
        [("alike", 8, 1), ("of 40 kinds", 8, 40), ("of 40 kinds", 200, 40)]
    {
        let (took, over) = schedule(machines, kinds);
        println!(
            "{CASES} tasks {what} scheduled on {machines} machines: {:.0} ms ({:.1} % over the lower bound)",
            millis(took),
            over * 100.0
        );
    }
}

/// All that is decided and written before the first boot.
fn plan(fork: ForkMode) -> Duration {
    let directory = tempfile::tempdir().unwrap();
    let disk = directory.path().join("disk.img");
    let mut sectors = vec![0; 1 << 20];
    sectors[510..512].copy_from_slice(&[0x55, 0xAA]);
    fs::write(&disk, &sectors).unwrap();
    let engine = engine(&disk, directory.path());
    let scenarios = std::iter::repeat_with(catalogue).flatten().take(CASES).collect();
    let request = Request { scenarios, fork, ..Request::default() };
    let start = Instant::now();
    let prepared = engine.prepare(&request).unwrap();
    let took = start.elapsed();
    assert!(prepared.plan().cases.len() == CASES);
    took
}

fn engine(disk: &Path, out: &Path) -> Engine {
    let setup =
        Setup { profile: Some("reference".to_owned()), ..Setup::new(disk.to_string_lossy()) };
    let (world, image) =
        setup.world(CancellationToken::new(), &AtomicBool::new(false), &mut |_| ()).unwrap();
    Engine::new(world, image, out.to_owned())
}

/// All decisions of a run, and by how much that is longer than it must be.
fn schedule(machines: u64, kinds: u64) -> (Duration, f64) {
    let capacity = Capacity {
        machines: Some(machines),
        memory_mib: Some(machines * 1_280),
        groups: [("updates".to_owned(), 2)].into(),
        ..Capacity::default()
    };
    let tasks: Vec<Task> = (0..CASES as u64)
        .map(|index| Task {
            name: format!("task-{index}"),
            machines: 1 + usize::from(index % 10 == 9),
            memory_mib: 1_280 + index % kinds * 16,
            groups: if index % 50 == 0 { vec!["updates".to_owned()] } else { Vec::new() },
            cases: 1,
            expected: Some(Duration::from_secs(20 + index * 7_919 % 600)),
            ..Task::default()
        })
        .collect();
    let takes: Vec<Duration> = tasks.iter().filter_map(|task| task.expected).collect();
    let start = Instant::now();
    let run = simulation::simulate(&capacity, &tasks, &takes, |_, _, _| ());
    let took = start.elapsed();
    assert!(run.starts.len() == CASES);
    let bound = simulation::lower_bound(&capacity, &tasks, &takes);
    (took, run.makespan.as_secs_f64() / bound.as_secs_f64() - 1.0)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

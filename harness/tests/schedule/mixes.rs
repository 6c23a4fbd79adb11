//! Runs as they are: what a matrix has in it, and on what it runs.

use std::time::Duration;

use wheeltap::engine::{Capacity, Task};

/// A run to simulate.
pub(crate) struct Mix {
    /// What it is.
    pub(crate) name: &'static str,
    /// What it runs on.
    pub(crate) capacity: Capacity,
    /// What is run, with what is expected.
    pub(crate) tasks: Vec<Task>,
    /// How long each really takes.
    pub(crate) takes: Vec<Duration>,
}

/// Numbers that look random and are the same every time (SplitMix64).
pub(crate) struct Numbers(u64);

impl Numbers {
    /// A sequence of its own for each seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One of `from` to `to`, both included.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        from + mixed % (to - from + 1)
    }
}

/// One kind of task: how many there are, and for how many seconds they run.
struct Kind {
    count: usize,
    seconds: (u64, u64),
    machines: usize,
    memory_mib: u64,
    group: Option<&'static str>,
}

const KIND: Kind = Kind { count: 0, seconds: (0, 0), machines: 1, memory_mib: 1024, group: None };

/// Tasks in the order that a catalogue may have: mixed.
fn tasks(seed: u64, kinds: &[Kind]) -> (Vec<Task>, Vec<Duration>) {
    let mut numbers = Numbers::new(seed);
    let mut tasks = Vec::new();
    for kind in kinds {
        for _ in 0..kind.count {
            let seconds = numbers.between(kind.seconds.0 * 10, kind.seconds.1 * 10);
            let task = Task {
                name: format!("task-{}", tasks.len()),
                machines: kind.machines,
                memory_mib: kind.machines as u64 * (kind.memory_mib + 256),
                cpus: kind.machines as u64,
                disk_mib: kind.machines as u64 * 512,
                groups: kind.group.iter().map(|&name| name.to_owned()).collect(),
                cases: 1,
                expected: Some(Duration::from_millis(seconds * 100)),
            };
            let place = numbers.between(0, tasks.len() as u64) as usize;
            tasks.insert(place, task);
        }
    }
    let takes = tasks.iter().filter_map(|task| task.expected).collect();
    (tasks, takes)
}

fn on(machines: u64, memory_gib: u64) -> Capacity {
    Capacity {
        machines: Some(machines),
        memory_mib: Some(memory_gib * 1024),
        disk_mib: Some(100 * 1024),
        ..Capacity::default()
    }
}

fn mix(name: &'static str, seed: u64, capacity: Capacity, kinds: &[Kind]) -> Mix {
    let (tasks, takes) = tasks(seed, kinds);
    Mix { name, capacity, tasks, takes }
}

/// The mixes whose makespan is within a tenth of the lower bound.
pub(crate) fn all() -> Vec<Mix> {
    let short = Kind { count: 200, seconds: (20, 60), ..KIND };
    let long = Kind { count: 20, seconds: (300, 900), ..KIND };
    let with_groups = |capacity: Capacity, groups: &[(&str, u64)]| Capacity {
        groups: groups.iter().map(|&(name, machines)| (name.to_owned(), machines)).collect(),
        ..capacity
    };
    let mut inexact =
        mix("200 short, 20 long, 30 % off", 2, on(8, 64), &[Kind { ..short }, Kind { ..long }]);
    let mut numbers = Numbers::new(3);
    for takes in &mut inexact.takes {
        *takes = takes.mul_f64(numbers.between(70, 130) as f64 / 100.0);
    }
    let auto = Capacity { machines: None, cpus: Some(2), ..on(1, 8) };
    vec![
        mix("200 short, 20 long", 1, on(8, 64), &[Kind { ..short }, Kind { ..long }]),
        inexact,
        mix(
            "a laptop: 2 CPUs, 8 GiB",
            4,
            auto,
            &[
                Kind { count: 20, seconds: (40, 90), ..KIND },
                Kind { count: 4, seconds: (200, 300), ..KIND },
                Kind { count: 2, seconds: (100, 200), machines: 2, ..KIND },
            ],
        ),
        mix(
            "pairs: every fifth has 2 machines",
            5,
            on(8, 64),
            &[
                Kind { count: 120, seconds: (30, 120), ..KIND },
                Kind { count: 30, seconds: (120, 400), machines: 2, ..KIND },
            ],
        ),
        mix(
            "clusters of 3 and 5 machines",
            6,
            on(8, 64),
            &[
                Kind { count: 100, seconds: (30, 120), ..KIND },
                Kind { count: 12, seconds: (60, 300), machines: 3, ..KIND },
                Kind { count: 6, seconds: (60, 300), machines: 5, ..KIND },
            ],
        ),
        mix(
            "a group of 2 for 30 updates",
            7,
            with_groups(on(12, 64), &[("update", 2)]),
            &[
                Kind { ..short },
                Kind { count: 30, seconds: (100, 300), group: Some("update"), ..KIND },
            ],
        ),
        mix(
            "two groups of 1, both long chains",
            8,
            with_groups(on(6, 64), &[("serial", 1), ("slow", 1)]),
            &[
                Kind { count: 150, seconds: (20, 60), ..KIND },
                Kind { count: 40, seconds: (20, 40), group: Some("serial"), ..KIND },
                Kind { count: 8, seconds: (100, 200), group: Some("slow"), ..KIND },
            ],
        ),
        mix(
            "memory-heavy: 4 and 8 GiB",
            9,
            on(16, 24),
            &[
                Kind { count: 150, seconds: (20, 90), ..KIND },
                Kind { count: 20, seconds: (60, 300), memory_mib: 4096, ..KIND },
                Kind { count: 6, seconds: (60, 300), memory_mib: 8192, ..KIND },
            ],
        ),
        mix(
            "some need more than half of the memory",
            10,
            on(16, 16),
            &[
                Kind { count: 200, seconds: (20, 60), ..KIND },
                Kind { count: 20, seconds: (20, 60), memory_mib: 10_240, ..KIND },
            ],
        ),
        mix(
            "64 machines, 2,000 short, 50 long",
            11,
            on(64, 256),
            &[
                Kind { count: 2_000, seconds: (5, 60), ..KIND },
                Kind { count: 50, seconds: (300, 900), ..KIND },
            ],
        ),
    ]
}

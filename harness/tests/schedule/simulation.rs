//! Runs that take no time: tasks end when they end, and the scheduler is asked as the engine asks it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::Duration,
};

use wheeltap::engine::{Capacity, Scheduler, Task, TaskId};

/// What came of a simulated run.
#[derive(Debug)]
pub(crate) struct Simulated {
    /// When each task started, in the order of starting.
    pub(crate) starts: Vec<(TaskId, Duration)>,
    /// When the last task ended.
    pub(crate) makespan: Duration,
}

/// Runs everything. Each task takes as long as `takes` says, whatever was expected; `look` sees the scheduler each time it has
/// nothing more to start, with what runs.
pub(crate) fn simulate(
    capacity: &Capacity,
    tasks: &[Task],
    takes: &[Duration],
    mut look: impl FnMut(&Scheduler, &BTreeMap<TaskId, Duration>, Duration),
) -> Simulated {
    let mut scheduler = Scheduler::new(capacity.clone(), tasks.to_vec());
    let mut now = Duration::ZERO;
    let mut starts = Vec::new();
    let mut ends = BinaryHeap::new();
    let mut running = BTreeMap::new();
    loop {
        while let Some(id) = scheduler.next(now) {
            starts.push((id, now));
            running.insert(id, now);
            ends.push(Reverse((now + takes[id.0], id)));
        }
        look(&scheduler, &running, now);
        let Some(Reverse((end, id))) = ends.pop() else { break };
        now = end;
        running.remove(&id);
        scheduler.finished(id);
    }
    Simulated { starts, makespan: now }
}

/// No schedule can be shorter: the longest task; and for everything that is limited, the work that it takes divided by how much
/// of it there is, and all tasks that each need more than half of it, one after the other.
pub(crate) fn lower_bound(capacity: &Capacity, tasks: &[Task], takes: &[Duration]) -> Duration {
    let longest = takes.iter().max().copied().unwrap_or_default();
    let every = |of: fn(&Task) -> u64| tasks.iter().map(of).collect::<Vec<u64>>();
    let pool = [
        (every(|task| task.machines as u64), capacity.machines),
        (every(|task| task.memory_mib), capacity.memory_mib),
        (every(|task| task.cpus), capacity.cpus),
        (every(|task| task.disk_mib), capacity.disk_mib),
    ];
    let pool = pool.into_iter().filter_map(|(needs, total)| Some((needs, total?)));
    let groups = capacity.groups.iter().map(|(name, &total)| {
        let of = |task: &Task| if task.groups.contains(name) { task.machines as u64 } else { 0 };
        (tasks.iter().map(of).collect::<Vec<u64>>(), total)
    });
    let bounds = pool.chain(groups).map(|(needs, total)| {
        let each = || needs.iter().map(|&need| need.min(total)).zip(takes);
        let work: f64 = each().map(|(need, takes)| need as f64 * takes.as_secs_f64()).sum();
        let alone: Duration =
            each().filter(|&(need, _)| need > total / 2).map(|(_, takes)| *takes).sum();
        alone.max(Duration::from_secs_f64(work / total as f64))
    });
    bounds.max().unwrap_or_default().max(longest)
}

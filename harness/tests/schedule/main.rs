//! The scheduler, on simulated runs.

mod mixes;
mod simulation;

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use test_case::test_case;
use wheeltap::engine::{Capacity, Scheduler, Task, TaskId};

use crate::{
    mixes::Mix,
    simulation::{lower_bound, simulate},
};

/// `cargo test -p wheeltap --test schedule mixes -- --nocapture` shows the figures.
#[test]
fn the_makespan_of_the_mixes_is_within_a_tenth_of_the_lower_bound() {
    println!("{:<42} {:>6} {:>10} {:>10} {:>7}", "mix", "tasks", "bound", "makespan", "over");
    let mut worst: f64 = 0.0;
    for Mix { name, capacity, tasks, takes } in mixes::all() {
        let bound = lower_bound(&capacity, &tasks, &takes).as_secs_f64();
        let makespan = simulate(&capacity, &tasks, &takes, |_, _, _| ()).makespan.as_secs_f64();
        let over = makespan / bound - 1.0;
        let count = tasks.len();
        println!("{name:<42} {count:>6} {bound:>8.0} s {makespan:>8.0} s {:>5.1} %", over * 100.0);
        worst = worst.max(over);
    }
    assert!(worst <= 0.1, "the worst is {:.1} % over", worst * 100.0);
}

/// What happens without history: nobody knows better, but everything runs.
#[test]
fn without_expectations_large_ones_still_go_first() {
    for Mix { name, capacity, mut tasks, takes } in mixes::all() {
        tasks.iter_mut().for_each(|task| task.expected = None);
        let bound = lower_bound(&capacity, &tasks, &takes);
        let run = simulate(&capacity, &tasks, &takes, |_, _, _| ());
        let over = run.makespan.as_secs_f64() / bound.as_secs_f64() - 1.0;
        println!("{name:<42} without history {:>5.1} % over", over * 100.0);
        assert_eq!(run.starts.len(), tasks.len());
    }
}

fn capacity() -> impl Strategy<Value = Capacity> {
    let limit = |range: std::ops::Range<u64>| proptest::option::of(range);
    let groups = proptest::collection::btree_map("[ab]", 1..4_u64, 0..3);
    (limit(0..8), limit(0..10_000), limit(1..8), limit(0..5_000), groups).prop_map(
        |(machines, memory_mib, cpus, disk_mib, groups)| Capacity {
            machines,
            memory_mib,
            cpus,
            disk_mib,
            groups,
        },
    )
}

/// Tasks, and how long they really take: what was expected, or something else.
fn tasks() -> impl Strategy<Value = (Vec<Task>, Vec<Duration>)> {
    let one =
        (1..4_usize, 0..4_000_u64, 0..1_000_u64, "[abc]{0,2}", 1..100_u64, 1..100_u64, 0..4_u8);
    let one = one.prop_map(|(machines, memory_mib, disk_mib, groups, expected, other, kind)| {
        let task = Task {
            name: "a task".to_owned(),
            machines,
            memory_mib: memory_mib / 500 * 500,
            cpus: machines as u64,
            disk_mib: disk_mib / 200 * 200,
            groups: groups.chars().map(String::from).collect(),
            cases: 1,
            expected: (kind > 0).then_some(Duration::from_secs(expected)),
        };
        (task, Duration::from_secs(if kind > 1 { expected } else { other }))
    });
    proptest::collection::vec(one, 0..60).prop_map(|tasks| tasks.into_iter().unzip())
}

/// What of everything the tasks need, and how much there is: one line for each thing that is limited.
fn needs(capacity: &Capacity, tasks: &[&Task]) -> Vec<(u64, u64)> {
    let sum = |of: &dyn Fn(&Task) -> u64| tasks.iter().map(|task| of(task)).sum();
    let machines = |task: &Task| task.machines as u64;
    let mut needs = vec![
        (sum(&machines), capacity.machines.unwrap_or(u64::MAX)),
        (sum(&|task| task.memory_mib), capacity.memory_mib.unwrap_or(u64::MAX)),
        (sum(&|task| task.cpus), capacity.cpus.unwrap_or(u64::MAX)),
        (sum(&|task| task.disk_mib), capacity.disk_mib.unwrap_or(u64::MAX)),
    ];
    for (name, &total) in &capacity.groups {
        let in_group = |task: &Task| if task.groups.contains(name) { machines(task) } else { 0 };
        needs.push((sum(&in_group), total));
    }
    needs
}

proptest! {
    #[test]
    fn everything_runs_and_nothing_is_promised_twice(
        capacity in capacity(),
        (tasks, takes) in tasks(),
    ) {
        let mut overcommitted = None;
        let run = simulate(&capacity, &tasks, &takes, |_, running, now| {
            let all: Vec<&Task> = running.keys().map(|id| &tasks[id.0]).collect();
            for (place, (needed, total)) in needs(&capacity, &all).into_iter().enumerate() {
                // Of what there isn't enough for a task at all, it has everything: nobody else has any.
                let users = all.iter().filter(|&&task| needs(&capacity, &[task])[place].0 > 0);
                if needed > total && users.count() > 1 {
                    overcommitted = Some((place, needed, total, now));
                }
            }
        });
        prop_assert_eq!(overcommitted, None);
        let mut started: Vec<usize> = run.starts.iter().map(|(id, _)| id.0).collect();
        started.sort_unstable();
        prop_assert_eq!(started, (0..tasks.len()).collect::<Vec<_>>());
    }

    /// Who has a reservation starts at the latest when everything has ended that should have by then, however long that takes
    /// and whoever overtakes.
    #[test]
    fn nobody_starves(mut capacity in capacity(), (tasks, takes) in tasks()) {
        // With groups, a task with a reservation may have to let one go first whose group has become free.
        capacity.groups.clear();
        let longest = takes.iter().max().copied().unwrap_or_default();
        let mut latest: BTreeMap<TaskId, Duration> = BTreeMap::new();
        let run = simulate(&capacity, &tasks, &takes, |scheduler, running, _| {
            for waiting in scheduler.waiting() {
                if let Some(at) = waiting.reserved {
                    // What overtakes in good time, and then takes however long.
                    let overtaking = at + longest;
                    let ends = running.iter().map(|(id, start)| *start + takes[id.0]);
                    let end = ends.max().unwrap_or_default().max(overtaking);
                    latest.entry(waiting.task).or_insert(end);
                }
            }
        });
        for (id, start) in run.starts {
            if let Some(latest) = latest.get(&id) {
                prop_assert!(start <= *latest, "{id:?} started at {start:?}, not by {latest:?}");
            }
        }
    }

    /// If all takes as long as was expected, nobody who has a reservation starts later than promised.
    #[test]
    fn promises_are_kept_if_expectations_are(
        machines in 1..6_u64,
        memory_mib in 1_000..6_000_u64,
        (mut tasks, _) in tasks(),
    ) {
        let capacity = Capacity {
            machines: Some(machines),
            memory_mib: Some(memory_mib),
            ..Capacity::default()
        };
        let takes: Vec<Duration> = tasks
            .iter_mut()
            .map(|task| *task.expected.get_or_insert(Duration::from_secs(50)))
            .collect();
        let mut promised: BTreeMap<TaskId, Duration> = BTreeMap::new();
        let run = simulate(&capacity, &tasks, &takes, |scheduler, _, _| {
            for waiting in scheduler.waiting() {
                if let Some(at) = waiting.reserved {
                    let promise = promised.entry(waiting.task).or_insert(at);
                    *promise = (*promise).min(at);
                }
            }
        });
        for (id, start) in run.starts {
            if let Some(promise) = promised.get(&id) {
                prop_assert!(start <= *promise, "{id:?} started at {start:?}, promised {promise:?}");
            }
        }
    }

    /// As long as something waits, something runs.
    #[test]
    fn no_time_is_wasted(capacity in capacity(), (tasks, takes) in tasks()) {
        let mut idle = false;
        simulate(&capacity, &tasks, &takes, |scheduler, running, _| {
            idle |= running.is_empty() && !scheduler.waiting().is_empty();
        });
        prop_assert!(!idle);
    }
}

fn task(machines: usize, seconds: u64) -> Task {
    Task { machines, cases: 1, expected: Some(Duration::from_secs(seconds)), ..Task::default() }
}

fn started(scheduler: &mut Scheduler, seconds: u64) -> Vec<usize> {
    let now = Duration::from_secs(seconds);
    std::iter::from_fn(|| scheduler.next(now).map(|id| id.0)).collect()
}

/// A pair waits for a machine that is busy until 200 s, and at 60 s the other is free.
#[test_case(130 => vec![3]; "done in time")]
#[test_case(170 => Vec::<usize>::new(); "not done in time")]
fn who_overtakes_must_be_done_in_time(seconds: u64) -> Vec<usize> {
    let capacity = Capacity { machines: Some(2), ..Capacity::default() };
    let tasks = vec![task(1, 200), task(1, 195), task(2, 190), task(1, seconds)];
    let mut scheduler = Scheduler::new(capacity, tasks);
    assert_eq!(started(&mut scheduler, 0), [0, 1]);
    scheduler.finished(TaskId(1));
    started(&mut scheduler, 60)
}

#[test]
fn who_fits_beside_the_first_may_take_its_time() {
    let capacity = Capacity { machines: Some(4), ..Capacity::default() };
    let tasks = vec![task(3, 200), task(3, 195), task(1, 190)];
    let mut scheduler = Scheduler::new(capacity, tasks);
    assert_eq!(started(&mut scheduler, 0), [0, 2]);
}

#[test]
fn when_the_promised_moment_has_passed_nobody_overtakes() {
    let capacity = Capacity { machines: Some(2), ..Capacity::default() };
    let tasks = vec![task(1, 100), task(2, 90), task(1, 30), task(1, 30), task(1, 30), task(1, 30)];
    let mut scheduler = Scheduler::new(capacity, tasks);
    assert_eq!(started(&mut scheduler, 0), [0, 2]);
    scheduler.finished(TaskId(2));
    assert_eq!(started(&mut scheduler, 60), [3], "which should have ended by 100 s");
    scheduler.finished(TaskId(3));
    assert_eq!(
        started(&mut scheduler, 110),
        Vec::<usize>::new(),
        "the first has been late since 100 s"
    );
    scheduler.finished(TaskId(0));
    assert_eq!(started(&mut scheduler, 300), [1]);
}

#[test]
fn a_promise_never_moves_back() {
    let capacity = Capacity { machines: Some(4), ..Capacity::default() };
    let tasks =
        vec![task(1, 100), task(1, 150), task(3, 90), task(1, 80), task(1, 80), task(1, 80)];
    let mut scheduler = Scheduler::new(capacity, tasks);
    assert_eq!(started(&mut scheduler, 0), [1, 0, 3, 4]);
    scheduler.finished(TaskId(3));
    scheduler.finished(TaskId(4));
    assert_eq!(started(&mut scheduler, 80), Vec::<usize>::new());
    // By now both that still run are late. Whichever ends first: the one that waits must fit then.
    assert_eq!(started(&mut scheduler, 160), Vec::<usize>::new());
    scheduler.finished(TaskId(1));
    assert_eq!(started(&mut scheduler, 170), [2]);
}

#[test]
fn what_is_larger_than_all_there_is_runs_alone() {
    let capacity = Capacity { machines: Some(2), memory_mib: Some(1_000), ..Capacity::default() };
    let huge = Task { memory_mib: 9_000, ..task(1, 100) };
    let small = Task { memory_mib: 10, ..task(1, 10) };
    let mut scheduler = Scheduler::new(capacity, vec![small, huge, task(5, 50)]);
    assert_eq!(started(&mut scheduler, 0), [1]);
    scheduler.finished(TaskId(1));
    assert_eq!(started(&mut scheduler, 100), [2]);
    scheduler.finished(TaskId(2));
    assert_eq!(started(&mut scheduler, 150), [0]);
}

#[test]
fn who_waits_for_its_group_holds_up_nobody_else() {
    let groups = [("serial".to_owned(), 1)].into();
    let capacity = Capacity { machines: Some(2), groups, ..Capacity::default() };
    let serial = |seconds| Task { groups: vec!["serial".to_owned()], ..task(1, seconds) };
    let mut scheduler =
        Scheduler::new(capacity, vec![serial(100), serial(90), task(1, 80), task(1, 10)]);
    assert_eq!(started(&mut scheduler, 0), [0, 2]);
    scheduler.finished(TaskId(2));
    assert_eq!(started(&mut scheduler, 80), [3]);
    assert!(scheduler.waiting()[0].reason.to_string().contains("group `serial` (none is free)"));
}

#[test]
fn who_is_done_twice_or_never_began_frees_nothing() {
    let capacity = Capacity { machines: Some(1), ..Capacity::default() };
    let mut scheduler = Scheduler::new(capacity, vec![task(1, 10); 3]);
    scheduler.finished(TaskId(2));
    scheduler.finished(TaskId(7));
    assert_eq!(started(&mut scheduler, 0), [0]);
    scheduler.finished(TaskId(0));
    scheduler.finished(TaskId(0));
    assert_eq!(started(&mut scheduler, 10), [1]);
}

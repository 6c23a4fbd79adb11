//! Who comes first.
//!
//! The longest expected, since what is short fills the gaps at the end. Tasks that can only run a few at a time are a *chain*: a
//! limited test group, or all tasks that each need more than half of something. However short each is, the run can't end before
//! the chain has, so each counts as long as all that is left of its chain with it.

use std::{cmp::Reverse, time::Duration};

use super::task::{Amounts, GROUPS, Task};

/// What is expected of a case when nothing is known about any. It only matters that it's the same for all.
const UNKNOWN: Duration = Duration::from_secs(60);

/// The shortest that is expected, so that a task always takes some time.
const SHORTEST: Duration = Duration::from_millis(1);

/// How long a case is taken to run of which nothing is known: twice the median of the known ones. If it's long, it had better
/// start early, and if it isn't, little is lost.
pub(crate) fn unknown(mut known: Vec<Duration>) -> Duration {
    known.sort_unstable();
    known.get(known.len() / 2).map_or(UNKNOWN, |&median| median.saturating_mul(2))
}

/// How long each task is taken to run.
pub(super) fn assumed(tasks: &[Task]) -> Vec<Duration> {
    let per_case = |task: &Task| Some(task.expected? / cases(task));
    let unknown = unknown(tasks.iter().filter_map(per_case).collect());
    tasks
        .iter()
        .map(|task| {
            let guessed = || unknown.saturating_mul(cases(task));
            task.expected.unwrap_or_else(guessed).max(SHORTEST)
        })
        .collect()
}

fn cases(task: &Task) -> u32 {
    u32::try_from(task.cases.max(1)).unwrap_or(u32::MAX)
}

/// The tasks, first things first. Of tasks with the same demand, the longer comes first.
pub(super) fn order(assumed: &[Duration], demands: &[Amounts], total: &Amounts) -> Vec<usize> {
    let mut longest_first: Vec<usize> = (0..assumed.len()).collect();
    longest_first.sort_by_key(|&task| Reverse(assumed[task]));

    let mut urgency = assumed.to_vec();
    for place in 0..total.len() {
        // In a group, machines run side by side. What needs more than half of something has it to itself.
        let weight = |demand: u64| match place < GROUPS {
            true if demand > total[place] / 2 => Some((1, 1)),
            true => None,
            false => Some((demand, total[place])).filter(|_| demand > 0),
        };
        let mut left = Duration::ZERO;
        for &task in longest_first.iter().rev() {
            if let Some((machines, at_once)) = weight(demands[task][place]) {
                left = left.saturating_add(share(assumed[task], machines, at_once));
                urgency[task] = urgency[task].max(left);
            }
        }
    }

    let mut order = longest_first;
    order.sort_by_key(|&task| {
        (
            Reverse(urgency[task]),
            Reverse(assumed[task]),
            Reverse(size(&demands[task], total)),
            // The plan's order, so that a run can be repeated.
            task,
        )
    });
    order
}

fn share(duration: Duration, part: u64, whole: u64) -> Duration {
    duration.mul_f64(part as f64 / whole as f64)
}

/// The largest part of anything that a demand takes, in millionths: what is large is hardest to fit in.
fn size(demand: &Amounts, total: &Amounts) -> u128 {
    let parts = demand.iter().zip(total);
    let part = |(&part, &whole): (&u64, &u64)| u128::from(part) * 1_000_000 / u128::from(whole);
    parts.take(GROUPS).map(part).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::schedule::Capacity;

    fn task(machines: usize, groups: &[&str], seconds: Option<u64>) -> Task {
        Task {
            machines,
            groups: groups.iter().map(|&name| name.to_owned()).collect(),
            cases: 1,
            expected: seconds.map(Duration::from_secs),
            ..Task::default()
        }
    }

    fn order_of(capacity: &Capacity, tasks: &[Task]) -> Vec<usize> {
        let demands: Vec<Amounts> = tasks.iter().map(|task| capacity.demand(task)).collect();
        order(&assumed(tasks), &demands, &capacity.amounts())
    }

    #[test]
    fn the_longest_comes_first_and_of_equals_the_largest() {
        let capacity = Capacity { machines: Some(8), ..Capacity::default() };
        let tasks = [
            task(1, &[], Some(10)),
            task(1, &[], Some(30)),
            task(1, &[], Some(20)),
            task(2, &[], Some(20)),
        ];
        assert_eq!(order_of(&capacity, &tasks), [1, 3, 2, 0]);
    }

    #[test]
    fn the_unknown_is_taken_for_long() {
        let tasks = [task(1, &[], Some(10)), task(1, &[], None), task(1, &[], Some(30))];
        assert_eq!(assumed(&tasks), [10, 60, 30].map(Duration::from_secs));
        let several = Task { cases: 5, ..task(1, &[], None) };
        assert_eq!(assumed(&[several, task(1, &[], None)]), [300, 60].map(Duration::from_secs));
    }

    #[test]
    fn what_runs_one_after_the_other_counts_as_one() {
        let capacity = Capacity {
            machines: Some(8),
            memory_mib: Some(1000),
            groups: [("narrow".to_owned(), 1)].into(),
            ..Capacity::default()
        };
        let tasks = [
            task(1, &[], Some(25)),
            task(1, &["narrow"], Some(10)),
            task(1, &["narrow"], Some(20)),
            task(1, &["wide"], Some(22)),
        ];
        assert_eq!(
            order_of(&capacity, &tasks),
            [2, 0, 3, 1],
            "30 s are left of the group, then 10"
        );

        let large = |seconds| Task { memory_mib: 501, ..task(1, &[], Some(seconds)) };
        assert_eq!(order_of(&capacity, &[task(1, &[], Some(25)), large(10), large(20)]), [2, 0, 1]);
    }
}

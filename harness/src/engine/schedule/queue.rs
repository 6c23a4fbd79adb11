//! The queue for people: what waits and why, with `-v`.

use std::{collections::BTreeMap, time::Duration};

use super::{Scheduler, Waiting};

/// Shows the queue when it has changed.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    shown: Vec<String>,
}

impl Queue {
    /// With `-v` a line for each reason, with `-vv` one for each task.
    pub(crate) fn show(&mut self, scheduler: &Scheduler, now: Duration) {
        if !tracing::enabled!(tracing::Level::INFO) {
            return;
        }
        let waiting = scheduler.waiting();
        let lines = lines(scheduler, &waiting, now);
        if lines != self.shown {
            lines.iter().for_each(|line| tracing::info!("{line}"));
            self.shown = lines;
        }
        for Waiting { task, reason, .. } in waiting {
            if let Some(task) = scheduler.task(task) {
                tracing::debug!("{}: {reason}", task.name);
            }
        }
    }
}

/// How much runs, and how many wait for what. Those that something is reserved for are named.
fn lines(scheduler: &Scheduler, waiting: &[Waiting], now: Duration) -> Vec<String> {
    if waiting.is_empty() {
        return Vec::new();
    }
    let name = |waiting: &Waiting| {
        scheduler.task(waiting.task).map_or("unknown", |task| &task.name).to_owned()
    };
    let mut lines = vec![format!("{} running, {} waiting", scheduler.running(), waiting.len())];
    let mut others: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for task in waiting {
        match task.reserved {
            Some(at) => {
                let expected = match at.saturating_sub(now).as_secs() {
                    // A guess is good enough to choose by, but not to be told.
                    _ if !scheduler.ends_are_known() => "it comes first".to_owned(),
                    0 => "expected at any moment".to_owned(),
                    seconds => format!("expected in {seconds} s"),
                };
                lines.push(format!("{}: {}; {expected}", name(task), task.reason));
            }
            None => {
                let count = others.entry(task.reason.to_string());
                count.or_insert_with(|| (0, name(task))).0 += 1;
            }
        }
    }
    for (reason, (count, first)) in others {
        let more = if count == 1 { String::new() } else { format!(" and {} more", count - 1) };
        lines.push(format!("{first}{more}: {reason}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::schedule::{Capacity, Task, TaskId};

    fn task(name: &str, machines: usize, memory_mib: u64, seconds: u64) -> Task {
        Task {
            name: name.to_owned(),
            machines,
            cpus: machines as u64,
            memory_mib,
            cases: 1,
            expected: Some(Duration::from_secs(seconds)),
            ..Task::default()
        }
    }

    /// Starts what may start at the beginning, and says what the others wait for ten seconds later.
    fn after_ten_seconds(capacity: Capacity, tasks: Vec<Task>) -> String {
        let mut scheduler = Scheduler::new(capacity, tasks);
        while scheduler.next(Duration::ZERO).is_some() {}
        lines(&scheduler, &scheduler.waiting(), Duration::from_secs(10)).join("\n")
    }

    #[test]
    fn each_reason_is_a_sentence() {
        let grouped = |name: &str, seconds| Task {
            groups: vec!["update".to_owned()],
            ..task(name, 1, 1280, seconds)
        };
        let capacity = Capacity {
            machines: Some(4),
            memory_mib: Some(4_440),
            disk_mib: Some(100_000),
            groups: [("update".to_owned(), 1)].into(),
            ..Capacity::default()
        };
        let tasks = vec![
            task("huge", 1, 40_000, 1),
            grouped("update.full", 100),
            grouped("update.again", 90),
            task("pair", 2, 2_560, 80),
            task("boot", 1, 1280, 40),
            task("small", 1, 600, 200),
            task("wide", 3, 600, 30),
            task("other", 1, 1280, 40),
        ];
        insta::assert_snapshot!(after_ten_seconds(capacity, tasks));
    }

    #[test]
    fn what_holds_others_back_is_named() {
        let capacity = Capacity { cpus: Some(3), disk_mib: Some(1_500), ..Capacity::default() };
        let on_disk = |name: &str| Task { disk_mib: 1_000, ..task(name, 1, 1280, 90) };
        let tasks = vec![
            task("pair", 2, 1, 100),
            on_disk("disk.first"),
            task("another pair", 2, 1, 95),
            on_disk("disk.second"),
            task("triple", 3, 1, 50),
        ];
        insta::assert_snapshot!(after_ten_seconds(capacity, tasks));
    }

    #[test]
    fn who_would_fit_and_waits_is_told_for_whom() {
        let capacity = Capacity { machines: Some(3), ..Capacity::default() };
        let mut tasks = vec![task("long", 1, 1, 200), task("pair", 3, 1, 190)];
        tasks.extend((0..3).map(|_| task("not short", 1, 1, 189)));
        let mut scheduler = Scheduler::new(capacity, tasks);
        while scheduler.next(Duration::ZERO).is_some() {}
        scheduler.finished(TaskId(2));
        assert_eq!(scheduler.next(Duration::from_secs(50)), None);
        let lines = lines(&scheduler, &scheduler.waiting(), Duration::from_secs(50));
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn what_is_only_guessed_is_not_told() {
        let capacity = Capacity { machines: Some(1), ..Capacity::default() };
        let unknown = Task { expected: None, ..task("unknown", 1, 1, 1) };
        let said = after_ten_seconds(capacity, vec![unknown.clone(), unknown]);
        assert_eq!(
            said,
            "1 running, 1 waiting\nunknown: waits for 1 machine; none is free; it comes first"
        );
    }

    #[test]
    fn an_empty_queue_says_nothing() {
        assert_eq!(after_ten_seconds(Capacity::default(), vec![task("one", 1, 1, 1)]), "");
    }
}

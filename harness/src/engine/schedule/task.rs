//! What tasks need, and what there is.

use std::{collections::BTreeMap, ops::Range, time::Duration};

/// What runs from its start to its end without a break, and holds what it needs all the time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// Who it is, for people.
    pub name: String,
    /// Machines that run at the same time.
    pub machines: usize,
    /// Memory of all its machines in MiB, with what QEMU needs for itself.
    pub memory_mib: u64,
    /// Virtual CPUs of all its machines.
    pub cpus: u64,
    /// By how much all its files may grow, in MiB.
    pub disk_mib: u64,
    /// Test groups that it is in. Those that [`Capacity::groups`] doesn't know limit nothing.
    pub groups: Vec<String>,
    /// Cases that it runs one after the other, of which an unknown duration is guessed.
    pub cases: usize,
    /// For how long it will run; `None` if nobody knows.
    pub expected: Option<Duration>,
}

/// The place of a task in the list that the scheduler was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub usize);

/// How much there is for all tasks together; `None` is without limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Machines at the same time.
    pub machines: Option<u64>,
    /// Memory in MiB.
    pub memory_mib: Option<u64>,
    /// CPUs.
    pub cpus: Option<u64>,
    /// Disk in MiB.
    pub disk_mib: Option<u64>,
    /// Machines at the same time in each test group.
    pub groups: BTreeMap<String, u64>,
}

/// Amounts of everything that is limited, by place: machines, memory, CPUs, disk, and then the machines of each group.
pub(super) type Amounts = Vec<u64>;

pub(super) const MACHINES: usize = 0;
pub(super) const MEMORY: usize = 1;
pub(super) const CPUS: usize = 2;
pub(super) const DISK: usize = 3;
/// The place of the first group.
pub(super) const GROUPS: usize = 4;

impl Capacity {
    /// Everything there is. Of what there is nothing of, there is one unit, so that somebody can hold all of it.
    pub(super) fn amounts(&self) -> Amounts {
        let pool = [self.machines, self.memory_mib, self.cpus, self.disk_mib];
        let pool = pool.into_iter().map(|limit| limit.unwrap_or(u64::MAX));
        pool.chain(self.groups.values().copied()).map(|amount| amount.max(1)).collect()
    }

    /// What a task needs; of nothing more than there is.
    pub(super) fn demand(&self, task: &Task) -> Amounts {
        let total = self.amounts();
        let wanted = self.wanted(task).into_iter();
        wanted.zip(total).map(|(wanted, total)| wanted.min(total)).collect()
    }

    /// What a task needs, even if that is more than there is.
    pub(super) fn wanted(&self, task: &Task) -> Amounts {
        let machines = u64::try_from(task.machines).unwrap_or(u64::MAX);
        let groups =
            self.groups.keys().map(|name| if task.groups.contains(name) { machines } else { 0 });
        [machines, task.memory_mib, task.cpus, task.disk_mib].into_iter().chain(groups).collect()
    }
}

/// What is reserved as one: machines, memory, CPUs and disk (the first lane), or a group (those after it).
pub(super) fn lane(lane: usize) -> Range<usize> {
    match lane {
        0 => 0..GROUPS,
        group => GROUPS + group - 1..GROUPS + group,
    }
}

/// Whether there is room for a demand, of what one lane consists of.
pub(super) fn fits(demand: &[u64], room: &[u64], lane: Range<usize>) -> bool {
    lane.into_iter().all(|place| demand[place] <= room[place])
}

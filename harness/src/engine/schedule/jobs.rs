//! How many machines run at the same time.

use super::Capacity;

/// How many machines run at the same time. Memory is never promised twice, whatever is asked for; but one always runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jobs {
    /// What memory and CPUs allow: as many virtual CPUs as the host has.
    Auto,
    /// At most this many, also on fewer CPUs.
    Count(usize),
}

impl Jobs {
    /// What there is on a host with so many CPUs and so much memory to spare, in MiB; 0 if that is unknown.
    #[must_use]
    pub fn capacity(self, cpus: usize, memory_mib: u64) -> Capacity {
        let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let (machines, cpus) = match self {
            Self::Auto => (None, Some(number(cpus))),
            Self::Count(count) => (Some(number(count)), None),
        };
        Capacity { machines, cpus, memory_mib: Some(memory_mib), ..Capacity::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use test_case::test_case;

    use super::*;
    use crate::engine::schedule::{Scheduler, Task};

    const MACHINE: u64 = 1024 + 256;

    #[test_case(Jobs::Auto, 8, 32_768 => 8; "CPUs decide")]
    #[test_case(Jobs::Auto, 64, 4_096 => 3; "memory decides")]
    #[test_case(Jobs::Auto, 2, 100 => 1; "one always runs")]
    #[test_case(Jobs::Auto, 2, 0 => 1; "memory is unknown")]
    #[test_case(Jobs::Count(5), 2, 32_768 => 5; "the user decides, not the CPUs")]
    #[test_case(Jobs::Count(5), 2, 4_096 => 3; "and not against memory")]
    #[test_case(Jobs::Count(0), 2, 4_096 => 1; "none is one")]
    fn at_the_same_time(jobs: Jobs, cpus: usize, memory_mib: u64) -> usize {
        let task = Task { machines: 1, cpus: 1, memory_mib: MACHINE, ..Task::default() };
        let mut scheduler = Scheduler::new(jobs.capacity(cpus, memory_mib), vec![task; 100]);
        while scheduler.next(Duration::ZERO).is_some() {}
        scheduler.running()
    }
}

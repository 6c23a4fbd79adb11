//! Why a task waits, in words.

use std::{fmt, time::Duration};

use super::task::{CPUS, DISK, GROUPS, MACHINES, MEMORY, TaskId};

/// A task that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub task: TaskId,
    /// Why.
    pub reason: Reason,
    /// If what it needs is reserved for it: for when. It starts at the latest when all that should have ended by then has.
    pub reserved: Option<Duration>,
}

/// Why a task waits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// There isn't enough of these; at least one.
    Lacks(Vec<Lack>),
    /// It would fit, but be in the way of the task with this name, which comes first.
    Behind(String),
    /// It can start, and has not been asked to.
    Next,
}

/// What there isn't enough of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lack {
    /// Of what.
    pub resource: Resource,
    /// How much the task needs.
    pub needed: u64,
    /// How much of it is free.
    pub free: u64,
    /// How much there is.
    pub total: u64,
}

/// What is limited.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Machines (`-j`).
    Machines,
    /// Memory in MiB.
    Memory,
    /// CPUs.
    Cpus,
    /// Disk in MiB.
    Disk,
    /// Machines of this test group.
    Group(String),
}

impl Resource {
    pub(super) fn at(place: usize, groups: &[&String]) -> Self {
        match place {
            MACHINES => Self::Machines,
            MEMORY => Self::Memory,
            CPUS => Self::Cpus,
            DISK => Self::Disk,
            group => Self::Group(groups[group - GROUPS].clone()),
        }
    }

    /// So much of it.
    fn amount(&self, amount: u64) -> String {
        let number = Grouped(amount);
        let s = if amount == 1 { "" } else { "s" };
        match self {
            Self::Machines => format!("{number} machine{s}"),
            Self::Memory => format!("{number} MiB of memory"),
            Self::Cpus => format!("{number} CPU{s}"),
            Self::Disk => format!("{number} MiB of disk"),
            Self::Group(name) => format!("{number} machine{s} in group `{name}`"),
        }
    }
}

impl Lack {
    fn rest(&self) -> String {
        match self.free {
            _ if self.needed > self.total => {
                format!("there are only {}, so it runs alone", Grouped(self.total))
            }
            0 => "none is free".to_owned(),
            1 => "1 is free".to_owned(),
            free => format!("{} are free", Grouped(free)),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lacks(lacks) => match lacks.as_slice() {
                [lack] => {
                    write!(f, "waits for {}; {}", lack.resource.amount(lack.needed), lack.rest())
                }
                lacks => {
                    let part = |lack: &Lack| {
                        format!("{} ({})", lack.resource.amount(lack.needed), lack.rest())
                    };
                    let parts: Vec<String> = lacks.iter().map(part).collect();
                    write!(f, "waits for {}", parts.join(" and "))
                }
            },
            Self::Behind(name) => write!(f, "would be in the way of {name}, which comes first"),
            Self::Next => f.write_str("is next"),
        }
    }
}

/// A number with commas between thousands.
struct Grouped(u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

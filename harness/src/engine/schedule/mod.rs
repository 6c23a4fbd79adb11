//! When each task of a run starts. No clock, no threads: given what runs and what time it is, the scheduler names the next
//! task, or says what each waits for.
//!
//! `task` says what a task needs and what there is, `priority` who comes first, `scheduler` who starts, `reason` why the others
//! don't, `queue` shows that. `jobs` asks the host what there is, and `admission` makes tasks of the plan's units.
//!
//! # The rule
//!
//! 1. Nothing starts unless all it needs is free. What needs more of something than there is runs when all of that is free.
//! 2. The longest expected comes first. What must run one after the other, because its group or its size wants it so, counts as
//!    long as all of it that is left. See `priority`.
//! 3. The first task that doesn't fit *reserves* what it needs for the moment at which, by expectation, that is free. Others may
//!    overtake it if they are expected to have ended by then, or if both fit.
//! 4. That moment never moves back, however long something takes: when it has passed, others may overtake only if both fit. So
//!    a task waits at most for those that should have ended by then, and nobody starves.
//!
//! Rules 3 and 4 hold for machines, memory, CPUs and disk together, and for each test group by itself: a task that waits for its
//! group holds up nobody outside of it.

mod admission;
mod jobs;
mod priority;
mod queue;
mod reason;
mod scheduler;
mod task;

pub use admission::Expected;
pub(crate) use admission::{capacity, tasks};
pub use jobs::Jobs;
pub(crate) use priority::unknown;
pub(crate) use queue::Queue;
pub use reason::{Lack, Reason, Resource, Waiting};
pub use scheduler::Scheduler;
pub use task::{Capacity, Task, TaskId};

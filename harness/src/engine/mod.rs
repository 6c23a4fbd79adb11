//! The engine: from a plan to verdicts. It knows nothing about the command line or about `cargo test`; both drive it.
//!
//! `plan` decides what will run, `partition` which part of that runs here, `forks` what it starts from, `schedule` when each part
//! of it starts, `unit` runs the cases that share a machine (or one that has its own), again where `retry` says so and as long as
//! `budget` allows it, `attempt` runs one case once, `record` turns what happens into events.

mod attempt;
mod budget;
mod forks;
mod host;
mod partition;
mod plan;
mod record;
mod retry;
mod run;
mod schedule;
mod unit;

pub use partition::{Partition, PartitionKind};
pub(crate) use plan::arch;
pub use plan::{Case, ForkMode, Planned, Request};
pub use run::{Engine, EngineError, Prepared, Progress, Silent};
pub use schedule::{
    Capacity, Expected, Jobs, Lack, Reason, Resource, Scheduler, Task, TaskId, Waiting,
};

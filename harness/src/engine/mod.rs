//! The engine: from a plan to verdicts. It knows nothing about the command line or about `cargo test`; both drive it.
//!
//! `plan` decides what will run, `schedule` how many machines run at once, `unit` runs the cases that share a machine (or one
//! that has its own), `attempt` runs one case once, `record` turns what happens into events.

mod attempt;
mod host;
mod plan;
mod record;
mod run;
mod schedule;
mod unit;

pub use attempt::Ended;
pub(crate) use plan::arch;
pub use plan::{Case, ForkMode, Planned, Request};
pub use run::{Engine, EngineError, Prepared, Progress, Silent};
pub use schedule::Jobs;

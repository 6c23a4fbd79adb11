//! Leases: written records of what exists outside the process, so that it can be found when the process can't tell any
//! more. A lease is written *before* what it is about is made, and withdrawn after that is gone.
//!
//! In the order of a lease's life:
//!
//! - [`place`](mod@place): where leases are kept
//! - `owner`: which process made something, and whether it lives
//! - `record`: what a lease says
//! - `ledger`: writing and withdrawing leases
//! - `held`: directories, files and processes that a lease is held for
//! - `remove`, `stray`: taking away what nobody holds, and nothing else
//! - `collect`: doing so for everything that killed processes left

mod collect;
mod held;
mod ledger;
mod owner;
mod place;
mod record;
mod remove;
mod stray;

pub use collect::{Collection, Collector, Failed, Found, Left};
pub use held::{LeasedDirectory, LeasedFiles, LeasedProcess};
pub use ledger::Leases;
pub use place::{NoPlace, state_directory};

pub(crate) use collect::sweep;
pub(crate) use owner::PrivateName;
pub(crate) use stray::leave_no_orphan;
#[cfg(test)]
pub(crate) use stray::parse_command_line;

/// How the names of temporary files begin that lie beside what they become; six letters or digits follow.
pub(crate) const TEMPORARY_PREFIX: &str = ".wheeltap-";

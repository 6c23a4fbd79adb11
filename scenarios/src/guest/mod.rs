//! The guest as a scenario sees it: commands, and a vocabulary of units, files, users, sockets, mounts and slots.

mod command;
mod files;
mod network;
mod power;
mod reach;
mod storage;
mod units;
mod update_attempt;
mod update_status;
mod updates;

pub use command::{Guest, Run};
pub use files::{FileFacts, User};
pub use network::Listener;
pub use reach::{Reached, Way};
pub use storage::{CommandLine, Mount, SlotBits};
pub use units::{FailedUnit, UnitState};
pub use update_attempt::{UpdateAttempt, UpdateEnd};
pub use update_status::{Operation, UpdateStatus};

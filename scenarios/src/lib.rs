//! What is checked: the guest vocabulary, the console watch, the catalogue and its faults.
//!
//! A [`Scenario`] is a named story. Its body gets a [`Context`], boots machines with it, drives each [`Guest`], and gives
//! back a [`Failure`] if a promise was broken. Faults ([`Fault`]) prove that it can.

mod catalogue;
mod context;
mod failure;
mod fault;
mod fork;
pub mod guest;
pub mod ignition;
mod journal;
mod limits;
mod live;
mod observer;
pub mod profile;
mod scenario;
mod shared;
mod targets;
pub mod updates;
pub mod watch;

pub use catalogue::catalogue;
pub use context::{Context, World};
pub use failure::{Checks, Failure, LISTED, Phase, Result};
pub use fault::{DiskFault, Fault, FaultError};
pub use fork::{ForkKey, ForkPoint, ForkPolicy};
pub use guest::Guest;
pub use limits::Limits;
pub use live::LiveMachine;
pub use observer::Observer;
pub use scenario::{MachineNeed, Needs, Proof, Scenario, Story};
pub use shared::SharedMachine;
pub use targets::{KeyPair, Payload, Signer, Targets, UpdateNeed, Updates};

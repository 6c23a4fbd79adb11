//! Where machines come from: power, console, QMP and SSH transport.
//!
//! A [`Platform`] makes [`Machine`]s. It knows nothing about scenarios: what runs on a machine, and what its console
//! means, is decided above. Whatever makes waiting on a machine pointless is raised on its [`Interrupter`], and every
//! wait ([`wait_for`], [`poll_until`]) ends at once with it.

mod accel;
mod class;
pub mod external;
pub mod lease;
mod lock_file;
mod machine;
mod private;
pub mod qemu;
pub mod ssh;
pub mod states;
mod wait;

pub use accel::{Accelerator, HostFacts};
pub use class::Class;
pub use machine::{
    Capability, DiskPatch, ExtraDisk, Firmware, Hardware, Machine, MachineExit, MachineSpec,
    Origin, Platform, PlatformError,
};
pub use private::{PrivateDirectory, private_directory};
pub use wait::{Interrupt, Interrupter, Interruption, WaitError, poll_until, wait_for};

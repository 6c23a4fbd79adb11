//! QEMU on this host: `args` (the command line), `disk` (overlays), `process` (one machine's life), `qmp`, `state` (saved
//! states and forks), `facts` (what those depend on).

mod args;
mod disk;
mod facts;
mod firmware;
mod platform;
mod process;
mod qmp;
mod state;

pub use firmware::find_ovmf;
pub use platform::{Qemu, QemuOptions, missing_programs};
pub use state::{SavedMemory, SavedState};

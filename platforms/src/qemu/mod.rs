//! QEMU on this host: `args` (the command line), `disk` (overlays), `process` (one machine's life), `qmp`.

mod args;
mod disk;
mod firmware;
mod platform;
mod process;
mod qmp;

pub use firmware::find_ovmf;
pub use platform::{Qemu, QemuOptions, missing_programs};

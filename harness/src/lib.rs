//! The engine behind the `wheeltap` command: plan, schedule, run a case, watch, judge.
//!
//! Two faces drive it: the command line (`cli`), and `cargo test -p wheeltap --test catalogue`.

pub mod cli;
pub mod engine;
mod error;
mod exit;
mod published;
mod select;
pub mod settings;
mod setup;
pub mod states;
mod updates;

pub use error::UserError;
pub use exit::ExitCode;
pub use select::{SelectError, Selection};
pub use setup::{ExternalHost, Setup, UpdateSetup, World};

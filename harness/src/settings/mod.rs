//! Settings of a run: `wheeltap.toml`. Its words are those of cargo-nextest, and its built-in default (`default.toml`) is its
//! documentation.
//!
//! `file` is what such a file may hold, `values` how single values are written, `load` finds and reads it, `error` says where
//! one is wrong, `types` is what comes of it.

mod error;
mod file;
mod load;
#[cfg(test)]
mod tests;
mod types;
mod values;

pub use types::{Backoff, CaseSettings, FamilySettings, Flaky, ImageSettings, Retries, Settings};
pub use values::parse_duration;

/// The built-in file, which every other one is based on.
pub const DEFAULT: &str = include_str!("default.toml");

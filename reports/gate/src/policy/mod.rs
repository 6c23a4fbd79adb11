//! The policy: what must be known and good before an image may leave.

mod file;
mod values;

#[cfg(test)]
mod tests;

pub use file::Policy;
pub use values::PolicyError;

pub(crate) use file::{Cell, Severity};
pub(crate) use values::{Graver, Weight, hint};

/// A policy in which every key is explained.
pub const DEFAULT_POLICY: &str = include_str!("default.toml");

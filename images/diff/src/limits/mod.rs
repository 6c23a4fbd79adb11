//! Limits: what a new image must and must not do beside the old one.
//!
//! ```text
//! limits.toml ─▶ Limits::parse ─▶ Limits::judge(diff, day) ─▶ Judgement
//! ```
//! `file` reads the file with the help of `values`, `rule` has the kinds, `check` finds what hits them, and `judge` applies
//! what was accepted. `default.toml` is the reference.

mod check;
mod file;
mod judge;
mod rule;
#[cfg(test)]
mod tests;
mod values;

pub use file::{LimitsError, Problem};
pub use judge::{Allowed, Hit, JudgedRule, Judgement};
pub use rule::{Limits, Severity};

/// The limits that are used where none are given.
pub const DEFAULT: &str = include_str!("default.toml");

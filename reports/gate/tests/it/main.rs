//! Decisions about runs as they lie on a disk.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

mod damage;
mod files;
mod fixture;
mod property;
mod rules;

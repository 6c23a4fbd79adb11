//! File systems that their own tools made are read back, whole and damaged.

#![expect(clippy::unwrap_used, reason = "a test says what it expected by panicking")]

mod damaged;
mod disks;
mod make;
mod sample;
mod trees;

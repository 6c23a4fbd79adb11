//! File systems that their own tools made are read back, whole and damaged.

mod damaged;
mod disks;
mod make;
mod sample;
mod trees;

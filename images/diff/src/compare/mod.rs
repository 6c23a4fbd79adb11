//! What changed between two inventories.

pub(crate) mod units;
mod versions;

pub use versions::Scheme;
pub(crate) use versions::gentoo;

//! btrfs on one device, plain or compressed with zlib or Zstandard.

mod chunks;
mod files;
mod nodes;
mod reader;

pub(crate) use reader::Btrfs;

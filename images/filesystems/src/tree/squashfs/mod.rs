//! squashfs 4.0, compressed with gzip, xz, LZ4, Zstandard or not at all.

mod files;
mod metadata;
mod reader;

pub(crate) use reader::Squashfs;

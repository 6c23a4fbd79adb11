//! erofs, as `mkfs.erofs` makes it: in one piece, plain, in chunks, or compressed with LZ4, deflate or Zstandard.

mod compressed;
mod plain;
mod reader;

pub(crate) use reader::Erofs;

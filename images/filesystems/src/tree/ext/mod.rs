//! ext2, ext3 and ext4.

mod blocks;
mod reader;
mod xattrs;

pub(crate) use reader::Ext;

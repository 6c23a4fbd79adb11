//! What every file system is to whoever reads it: inodes with numbers. One file system a file.

pub(crate) mod btrfs;
pub(crate) mod erofs;
pub(crate) mod ext;
pub(crate) mod fat;
mod inode;
pub(crate) mod squashfs;

pub(crate) use inode::{
    Chunk, Chunks, MOST_OF_A_DIRECTORY, MOST_OF_A_FILE, MOST_OF_A_TARGET, Tree, all, xattr_name,
};
pub use inode::{Inode, NodeKind, Xattr};

//! Reads disks without root and without mounting: partitions, and the file systems in them.
//!
//! Every reader here is our own, small and read-only: an image may be damaged or hostile, so whatever it says is checked
//! before it is believed, and nothing is allocated before it is known that the image has the bytes for it.

mod bytes;
mod capabilities;
mod compression;
mod detect;
mod disk;
mod error;
mod filesystem;
mod qcow2;
mod source;
mod tree;
mod walk;

pub use capabilities::capabilities;
pub use detect::Kind;
pub use disk::{Disk, Partition};
pub use error::{DiskError, FileSystemError};
pub use filesystem::{Contents, FileSystem, Usage};
pub use source::Source;
pub use tree::{Inode, NodeKind, Xattr};
pub use walk::{Node, Walk};

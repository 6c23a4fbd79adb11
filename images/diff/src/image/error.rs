//! Why an image can't be read, in sentences.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use wheeltap_filesystems::{DiskError, FileSystemError};

/// What an image holds can't be learned.
#[derive(Debug, Error)]
pub enum InventoryError {
    /// The image is no disk that can be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A file system is damaged.
    #[error("{} of {}: {source}", what, image.display())]
    FileSystem {
        /// The image.
        image: PathBuf,
        /// The partition, and the file in it if it is about one.
        what: String,
        /// What is wrong.
        source: FileSystemError,
    },
    /// The disk holds no operating system.
    #[error(
        "{} holds no operating system that can be read: none of its partitions ({found}) has a file system with \
         usr/lib/os-release. Compare disk images of an OS",
        image.display()
    )]
    NoSystem {
        /// The image.
        image: PathBuf,
        /// The partitions, with what is in them.
        found: String,
    },
    /// No temporary file could be written.
    #[error("cannot write a temporary file for {what}: {source}; make room in $TMPDIR")]
    Temporary {
        /// What it was for.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// Somebody doesn't want to know any more.
    #[error("reading the image was cancelled")]
    Cancelled,
}

//! Why a disk or a file system can't be read, in sentences.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::Kind;

/// A disk can't be read.
#[derive(Debug, Error)]
pub enum DiskError {
    /// The system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The image.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no image of that name, but a directory.
    #[error("{} is a directory: name the image file in it", .0.display())]
    Directory(PathBuf),
    /// The file has no bytes.
    #[error("{} is empty: get the image again", .0.display())]
    Empty(PathBuf),
    /// The qcow2 file can't be read.
    #[error("{} is a qcow2 image that cannot be read: {problem}", path.display())]
    Qcow2 {
        /// The image.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A partition ends behind the end of the disk.
    #[error(
        "{} ends before the end of its partition {label:?}: it was cut short, so get it again",
        path.display()
    )]
    CutShort {
        /// The image.
        path: PathBuf,
        /// The label of the partition.
        label: String,
    },
    /// Neither partitions nor a file system.
    #[error(
        "{} has neither a partition table nor a file system that is known: give it a raw or qcow2 disk image, unpacked",
        .0.display()
    )]
    Nothing(PathBuf),
}

/// A file system can't be read.
#[derive(Debug, Error)]
pub enum FileSystemError {
    /// The system refused.
    #[error("the image cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Nothing that is known is there.
    #[error("it holds no file system that is known")]
    Unknown,
    /// It takes a key.
    #[error("it is {0}: give it an image that isn't, or decrypt it first")]
    Encrypted(Kind),
    /// It is known by name only.
    #[error(
        "it holds {0}, which is not read: only ext2, ext3, ext4, squashfs, erofs, btrfs and vfat are"
    )]
    Foreign(Kind),
    /// It uses what the reader doesn't know.
    #[error("it is {kind} with {feature}, which is not read")]
    Unsupported {
        /// The file system.
        kind: Kind,
        /// What is not known.
        feature: String,
    },
    /// What it says can't be.
    #[error("it is a damaged {kind}: {problem}; get the image again")]
    Damaged {
        /// The file system.
        kind: Kind,
        /// What is wrong.
        problem: String,
    },
    /// It points behind its end.
    #[error(
        "byte {offset} is needed, but there are only {size}: the image is cut short or damaged; get it again"
    )]
    Outside {
        /// The byte that is needed.
        offset: u64,
        /// How many there are.
        size: u64,
    },
    /// It holds more than an OS image does.
    #[error("it has more than {0}: no OS image has, so it is taken for a damaged one")]
    TooMuch(String),
}

impl FileSystemError {
    pub(crate) fn damaged(kind: Kind, problem: impl Into<String>) -> Self {
        Self::Damaged { kind, problem: problem.into() }
    }

    pub(crate) fn unsupported(kind: Kind, feature: impl Into<String>) -> Self {
        Self::Unsupported { kind, feature: feature.into() }
    }
}

//! Why an image can't be made into a payload, in sentences.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use wheeltap_formats::payload::PayloadError;

use crate::error::{CacheError, LockError, ResolveError};

/// No payload could be made from an image.
#[derive(Debug, Error)]
pub enum CreatePayloadError {
    /// The file is no disk image.
    #[error(transparent)]
    Image(#[from] ResolveError),
    /// The disk has no partitions that could be found by name.
    #[error(
        "{} has no GUID partition table ({problem}): it is no disk of an OS with update slots, or was cut short",
        image.display()
    )]
    NoPartitionTable {
        /// The image.
        image: PathBuf,
        /// What the reader of the table says.
        problem: String,
    },
    /// One partition isn't there.
    #[error(
        "{} has no partition {label:?}; it has {}. Does the profile fit the image?",
        image.display(), list(found)
    )]
    NoPartition {
        /// The image.
        image: PathBuf,
        /// The GPT label that was looked for.
        label: String,
        /// The GPT labels that there are.
        found: Vec<String>,
    },
    /// The table knows more than the file holds.
    #[error(
        "{} ends before the end of its partition {label:?}: it was cut short, so get it again",
        image.display()
    )]
    CutShort {
        /// The image.
        image: PathBuf,
        /// The partition's GPT label.
        label: String,
    },
    /// The slot was never written.
    #[error(
        "the partition {label:?} of {} is empty: there is no system in it to update to",
        image.display()
    )]
    EmptySlot {
        /// The image.
        image: PathBuf,
        /// The GPT label of the slot.
        label: String,
    },
    /// The partition with the kernels can't be read.
    #[error("the partition {label:?} of {} can't be read as FAT: {source}", image.display())]
    BootPartition {
        /// The image.
        image: PathBuf,
        /// Its GPT label.
        label: String,
        /// Why not.
        source: io::Error,
    },
    /// The slot's kernel isn't there.
    #[error("the partition {label:?} of {} has no kernel {kernel:?}", image.display())]
    NoKernel {
        /// The image.
        image: PathBuf,
        /// The GPT label of the partition that was looked in.
        label: String,
        /// The path in it.
        kernel: String,
    },
    /// The program that reads qcow2 is not installed.
    #[error("reading a qcow2 image needs qemu-img: apt-get install qemu-utils")]
    NoQemuImg,
    /// The program that reads qcow2 failed.
    #[error("qemu-img can't read {}: {output}", image.display())]
    QemuImg {
        /// The image.
        image: PathBuf,
        /// What it said.
        output: String,
    },
    /// The file system is full.
    #[error(
        "there is no room left in {}: making a payload needs up to twice the size of /usr there, and for a qcow2 \
         image the size of its data as well",
        directory.display()
    )]
    NoSpace {
        /// Where the temporary files are.
        directory: PathBuf,
    },
    /// A file can't be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// What is in the image can't be packed or signed.
    #[error("no payload can be made from {}: {source}", image.display())]
    Payload {
        /// The image.
        image: PathBuf,
        /// Why not.
        source: PayloadError,
    },
    /// The caller asked for it.
    #[error("making the payload was cancelled")]
    Cancelled,
    /// The cache can't be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl CreatePayloadError {
    /// An error of reading or writing `path`; what fills a disk is said in its own words.
    pub(super) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull => {
                let directory = path.parent().map_or_else(PathBuf::new, Into::into);
                Self::NoSpace { directory }
            }
            _ => Self::Io { doing, path, source },
        }
    }
}

impl From<LockError> for CreatePayloadError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Cancelled => Self::Cancelled,
            LockError::Cache(error) => error.into(),
        }
    }
}

fn list(labels: &[String]) -> String {
    match labels {
        [] => "no partitions".to_owned(),
        _ => labels.join(", "),
    }
}

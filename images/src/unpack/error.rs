//! What can be wrong with a compressed image, in sentences.

use std::io;

use thiserror::Error;

/// A file could not be decompressed.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// Nothing in it.
    #[error("the file is empty, or nothing is in it; get it again")]
    Empty,
    /// It stops somewhere.
    #[error("the {format} file ends too early: part of it is missing; get it again")]
    Truncated {
        /// How it is compressed.
        format: &'static str,
    },
    /// It is not what was compressed.
    #[error("the {format} file is damaged: {problem}; get it again")]
    Corrupt {
        /// How it is compressed.
        format: &'static str,
        /// What the decompressor says.
        problem: String,
    },
    /// Two files in one.
    #[error("the {format} file goes on after its end with something else; get it again")]
    Trailing {
        /// How it is compressed.
        format: &'static str,
    },
    /// A decompression bomb, or a very large disk.
    #[error(
        "the image is larger than {} GiB when decompressed; if it is meant to be, decompress it yourself",
        *limit as f64 / f64::from(1 << 30)
    )]
    TooLarge {
        /// Bytes that are allowed.
        limit: u64,
    },
    /// It takes too much memory.
    #[error(
        "decompressing the {format} file needs more than 128 MiB of memory; compress it with a smaller window"
    )]
    Window {
        /// How it is compressed.
        format: &'static str,
    },
    /// A feature that no image needs.
    #[error("the {format} file can't be unpacked: {problem}; unpack it yourself")]
    Unsupported {
        /// How it is compressed.
        format: &'static str,
        /// What is not known.
        problem: &'static str,
    },
    /// An archive with several files, or none.
    #[error(
        "the ZIP file holds {what}, and exactly one disk image is needed; unpack the right one yourself"
    )]
    NotOneImage {
        /// What is in it.
        what: &'static str,
    },
    /// What comes before can't be read.
    #[error("reading the file failed: {0}")]
    Read(#[source] io::Error),
    /// The disk.
    #[error("writing the image failed: {0}{hint}", hint = hint(.0))]
    Write(#[source] io::Error),
    /// The caller asked for it.
    #[error("unpacking was cancelled")]
    Cancelled,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room, or set WHEELTAP_CACHE to a directory elsewhere"
        }
        _ => "",
    }
}

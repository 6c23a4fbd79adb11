//! What can go wrong with published images, in sentences.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::error::{CacheError, LockError, ResolveError};

/// A published image could not be fetched or verified.
#[derive(Debug, Error)]
pub enum PublishedError {
    /// No name of a published image.
    #[error("{name:?} names no published image: {problem}")]
    BadName {
        /// What was given.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Not the beginning of an address.
    #[error(
        "{url:?} is no mirror: give what addresses begin with, such as https://mirror.example/{{channel}}"
    )]
    BadMirror {
        /// What was given.
        url: String,
    },
    /// Nothing says whose signature is good.
    #[error(
        "no signing key for {family} is configured, so nothing can say whether its images are genuine: get the key from \
         {key_from}, compare its fingerprint with one from another place, and give --key FILE --fingerprint HEX, or put \
         both below [images.{family}] of wheeltap.toml; never take the key from the server that has the images"
    )]
    NoKey {
        /// The family.
        family: String,
        /// Where its key is.
        key_from: String,
    },
    /// The key is none, or not the one that was meant.
    #[error("{problem}")]
    Key {
        /// In words.
        problem: String,
    },
    /// The server can't be talked to, or stopped in the middle, and did so each time.
    #[error(
        "getting {url} failed: {problem}; check the address, the network and the proxy (https_proxy)"
    )]
    Transfer {
        /// What was asked for.
        url: String,
        /// What went wrong.
        problem: String,
    },
    /// The server answers with something else.
    #[error("getting {url} failed: the server answers with HTTP status {status}{}", status_hint(*status))]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// Each of several mirrors failed.
    #[error("no mirror could be used:\n{}", problems.join("\n"))]
    Mirrors {
        /// Why not, in their order.
        problems: Vec<String>,
    },
    /// The server has no such image.
    #[error("{server} has no image {name}: it was looked for in {}; is there such a version?", tried.join(", "))]
    NoSuchImage {
        /// What was asked for.
        name: String,
        /// Where.
        server: String,
        /// In which places.
        tried: Vec<String>,
    },
    /// What describes the images can't be understood.
    #[error(
        "{url} doesn't say what it should: {problem}; is it really the release server that answers?"
    )]
    Metadata {
        /// The address.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// There is no signature.
    #[error(
        "{url} is not signed: there is no {signature}; nothing was kept. If you know where the image is from, fetch it \
         with --insecure, which every report will say"
    )]
    Unsigned {
        /// The image.
        url: String,
        /// Where its signature should be.
        signature: String,
    },
    /// The signature is not good.
    #[error(
        "the signature of {url} is not good: {problem}; nothing was kept, and no other mirror was tried"
    )]
    BadSignature {
        /// The image.
        url: String,
        /// Why not.
        problem: String,
    },
    /// What came is not what was published.
    #[error(
        "what came from {url} is corrupt: its {kind} is {found}, the server says {expected}; nothing was kept, and no \
         other mirror was tried: try again"
    )]
    Corrupt {
        /// The image.
        url: String,
        /// The kind of digest.
        kind: &'static str,
        /// The published digest, in hex.
        expected: String,
        /// The digest of what came, in hex.
        found: String,
    },
    /// It can't be unpacked.
    #[error("what came from {url} can't be unpacked: {problem}")]
    Unpack {
        /// The image.
        url: String,
        /// Why not.
        problem: String,
    },
    /// The disk is full.
    #[error(
        "there is no room for the image in {}: {source}; what had come of it was removed, so that nothing else lacks it. \
         Make room (`wheeltap image gc --keep 1` removes older images) or set WHEELTAP_CACHE to a directory elsewhere",
        path.display()
    )]
    NoSpace {
        /// Where it was written.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// An image that a run or a command has open.
    #[error("{name} is in use by another process; it was not removed")]
    InUse {
        /// The image.
        name: String,
    },
    /// It isn't what its sidecar says.
    #[error(
        "{} is not what was fetched: its SHA-256 is {found}, and was {expected}; remove it with `wheeltap image rm`, and \
         fetch it again",
        path.display()
    )]
    Changed {
        /// The image.
        path: PathBuf,
        /// The digest that was noted.
        expected: String,
        /// The digest now.
        found: String,
    },
    /// There is no such image, or it is none.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The caller asked for it.
    #[error("it was cancelled; what had come is kept, and the next fetch goes on there")]
    Cancelled,
    /// The cache can't be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl PublishedError {
    /// What writing a file of the cache came to.
    pub(crate) fn writing(path: PathBuf, source: io::Error) -> Self {
        match source.kind() {
            // Quotas and limits of a process are as full as a full disk.
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::NoSpace { path, source },
            _ => CacheError::io("write to", path)(source).into(),
        }
    }

    /// Whether another server, or the same one later, may do better. A bad signature is no accident, so nothing is tried
    /// after it.
    #[must_use]
    pub fn is_of_server(&self) -> bool {
        matches!(
            self,
            Self::Transfer { .. }
                | Self::Status { .. }
                | Self::Mirrors { .. }
                | Self::NoSuchImage { .. }
        )
    }

    /// Whether the user asked for something that can't be, as opposed to a server or a disk that failed.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::BadName { .. }
            | Self::BadMirror { .. }
            | Self::NoKey { .. }
            | Self::Key { .. } => true,
            Self::Resolve(error) => !matches!(error, ResolveError::Cache(_)),
            _ => false,
        }
    }
}

impl From<LockError> for PublishedError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Cancelled => Self::Cancelled,
            LockError::Cache(error) => error.into(),
        }
    }
}

fn status_hint(status: u16) -> &'static str {
    match status {
        404 | 410 => "; is there such a version?",
        401 | 403 | 407 => "; may you read it, and is there such a version?",
        500.. => "; try again later, or give another --mirror",
        _ => "",
    }
}

//! What can go wrong with a payload, in sentences.

use std::fmt;
use std::io;

use thiserror::Error;

use super::manifest::{Part, Sha256Hash};

/// One operation of a payload, counted from 1 within its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The part that it writes.
    pub part: Part,
    /// Its number.
    pub number: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operation {} of the {}", self.number, self.part)
    }
}

/// A payload could not be read, checked, applied or made.
#[derive(Debug, Error)]
pub enum PayloadError {
    /// Reading or writing failed.
    #[error("{doing} failed: {source}")]
    Io {
        /// What was done, as a noun phrase.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The magic is not there.
    #[error("this is not an update payload: it begins with {found:?} instead of \"CrAU\"")]
    NotAPayload {
        /// Up to four bytes, escaped.
        found: String,
    },
    /// The format is another one.
    #[error("the payload has format version {found}; only version 1 is supported")]
    Version {
        /// The version in the header.
        found: u64,
    },
    /// The manifest's length is nonsense.
    #[error("the header announces a manifest of {size} bytes; it must have between 1 and {max}")]
    ManifestSize {
        /// Bytes announced.
        size: u64,
        /// Bytes allowed.
        max: u64,
    },
    /// The manifest is no protobuf message, or says something impossible.
    #[error("the payload's manifest is invalid: {problem}")]
    Manifest {
        /// What is wrong with it.
        problem: String,
    },
    /// The payload ends too early.
    #[error(
        "the payload is cut short: {missing} bytes are missing in {what}; \
         the download or copy was probably interrupted, so repeat it"
    )]
    Truncated {
        /// Where it ends.
        what: String,
        /// Bytes that would be needed to go on.
        missing: u64,
    },
    /// Something follows the last byte that the manifest knows.
    #[error("more data follows the end of the payload; the file was appended to, or is not whole")]
    TrailingData,
    /// The data of an operation is not what the manifest says.
    #[error("the data of {place} is corrupt: its SHA-256 is {found}, the manifest says {expected}")]
    OperationHash {
        /// Which operation.
        place: Place,
        /// The digest in the manifest.
        expected: Sha256Hash,
        /// The digest of the data.
        found: Sha256Hash,
    },
    /// An operation cannot be carried out.
    #[error("{place} cannot be carried out: {problem}")]
    Operation {
        /// Which operation.
        place: Place,
        /// Why not.
        problem: String,
    },
    /// A delta needs the image that it starts from.
    #[error("the payload is a delta: it needs the old {part}, and none was given")]
    NoOldImage {
        /// Of which part.
        part: Part,
    },
    /// A delta does not start from this image.
    #[error(
        "the old {part} is not the one that this delta starts from: \
         it has {found}, and must have {expected}"
    )]
    OldImage {
        /// Of which part.
        part: Part,
        /// Size and digest in the manifest.
        expected: String,
        /// Size and digest of what is there.
        found: String,
    },
    /// Nothing says where the partition goes.
    #[error("no target was given for the partition")]
    NoTarget,
    /// The update does not result in what it promises.
    #[error(
        "the updated {part} is not what the manifest promises: \
         its SHA-256 is {found}, it must be {expected}"
    )]
    Result {
        /// Of which part.
        part: Part,
        /// The digest in the manifest.
        expected: Sha256Hash,
        /// The digest of the result.
        found: Sha256Hash,
    },
    /// A full update leaves something unwritten.
    #[error("the payload writes only {written} of the {size} bytes of the {part}")]
    Incomplete {
        /// Of which part.
        part: Part,
        /// Bytes written, from the start.
        written: u64,
        /// Bytes in the manifest.
        size: u64,
    },
    /// No signature that update_engine would accept.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What is to be packed cannot be.
    #[error("the {part} cannot be put into a payload: {problem}")]
    Content {
        /// Which part.
        part: Part,
        /// Why not.
        problem: String,
    },
}

/// A payload's signature was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// There is none.
    #[error("the payload is not signed; update_engine refuses it")]
    Unsigned,
    /// The signatures message is broken.
    #[error("the payload's signatures cannot be read: {0}")]
    Malformed(String),
    /// There are signatures, but none for this client.
    #[error(
        "the payload has signatures of version {} only; Flatcar's update_engine needs one of version 2",
        list(versions)
    )]
    OtherVersions {
        /// The versions that there are.
        versions: Vec<u32>,
    },
    /// The signature does not fit key and data.
    #[error(
        "the payload's signature is wrong for this key: it was signed with another key, \
         or changed after it was signed"
    )]
    Mismatch,
    /// A signature fits that the client does not look at.
    #[error(
        "the payload's first signature of version 2, the only one that Flatcar's update_engine \
         looks at, is wrong for this key; one of version {version} would fit"
    )]
    OnlyIgnoredFits {
        /// The version of the one that fits.
        version: u32,
    },
}

/// A key is not usable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not a PEM file, or not one of a key.
    #[error("this is not a PEM key: it has no line \"-----BEGIN {wanted}-----\"")]
    NotPem {
        /// The label that was looked for.
        wanted: &'static str,
    },
    /// PEM, of something else.
    #[error("the key file holds {found:?}, where {wanted:?} is needed{hint}")]
    Label {
        /// The label in the file.
        found: String,
        /// The label needed.
        wanted: &'static str,
        /// What to do, or nothing.
        hint: &'static str,
    },
    /// A key for another algorithm, or a broken one.
    #[error("the {wanted} is not a usable RSA key: {problem}; payloads are signed with RSA")]
    NotRsa {
        /// The label in the file.
        wanted: &'static str,
        /// What the decoder says.
        problem: String,
    },
    /// Too small or too large.
    #[error(
        "the RSA key has {bits} bits; it must have between 2048 and 4096, and Flatcar uses 2048"
    )]
    Size {
        /// Bits of the modulus.
        bits: usize,
    },
    /// RSA itself failed.
    #[error("signing failed: {0}")]
    Signing(String),
}

impl PayloadError {
    pub(super) fn reading(source: io::Error) -> Self {
        Self::io("reading the payload")(source)
    }

    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    pub(super) fn manifest(problem: impl Into<String>) -> Self {
        Self::Manifest { problem: problem.into() }
    }
}

/// What stops an operation: what it asks for, or the device that it runs on.
#[derive(Debug)]
pub(super) enum Fault {
    Asked(String),
    Device(io::Error),
}

impl Fault {
    pub(super) fn at(self, place: Place) -> PayloadError {
        match self {
            Self::Asked(problem) => PayloadError::Operation { place, problem },
            Self::Device(source) => {
                PayloadError::Io { doing: format!("carrying out {place}"), source }
            }
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Device(error)
    }
}

fn list(versions: &[u32]) -> String {
    versions.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

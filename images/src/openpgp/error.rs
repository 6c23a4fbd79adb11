//! What can be wrong with a key or a signature, in sentences.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use thiserror::Error;

/// The trusted key can't be used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file can't be read.
    #[error(
        "cannot read the key {}: {source}{}",
        path.display(),
        if source.kind() == io::ErrorKind::NotFound { "; give the path of a public OpenPGP key" } else { "" }
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A directory, or a device.
    #[error("the key {} is no file: give the path of a public OpenPGP key", path.display())]
    NotAFile {
        /// What was given.
        path: PathBuf,
    },
    /// No key is that large.
    #[error(
        "the key {} is larger than 1 MiB: give a file with only the key, from `gpg --armor --export FINGERPRINT`",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A key that signs.
    #[error(
        "{} holds a secret key: give the public one, from `gpg --armor --export FINGERPRINT`, and keep the secret one to yourself",
        path.display()
    )]
    Secret {
        /// The file.
        path: PathBuf,
    },
    /// Something else.
    #[error(
        "{} is no OpenPGP key: it is {what}; give a public key, from `gpg --armor --export FINGERPRINT`",
        path.display()
    )]
    OtherType {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A key that can't be understood.
    #[error("the key {} is damaged: {problem}; get the file again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The fingerprint that was configured is none.
    #[error(
        "{given:?} is no fingerprint: {problem}; `gpg --show-keys FILE` shows the fingerprint of a key"
    )]
    Fingerprint {
        /// What was given.
        given: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The file holds other keys.
    #[error(
        "{} does not hold the key {wanted}, but {}: give the file of that key, or trust this one by its fingerprint",
        path.display(),
        found.join(" and ")
    )]
    NotInFile {
        /// The file.
        path: PathBuf,
        /// The fingerprint that was asked for.
        wanted: String,
        /// Those of the primary keys in the file.
        found: Vec<String>,
    },
}

/// A file isn't signed as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// Nothing in the file.
    #[error("the signature is empty; get it again")]
    Empty,
    /// No signature is that large.
    #[error("the signature is larger than 64 KiB, so it is something else; get it again")]
    TooLarge,
    /// Another file.
    #[error("the signature is none: it is {what}; a detached OpenPGP signature is needed")]
    NotASignature {
        /// What it is.
        what: &'static str,
    },
    /// A signature that can't be understood.
    #[error("the signature is damaged: {problem}; get it again")]
    Damaged {
        /// What is wrong with it.
        problem: String,
    },
    /// The trusted key has signed nothing.
    #[error(
        "the file is not signed by the trusted key {trusted}, but by {}; if that key is the right one, trust it by its fingerprint",
        signers.join(" and ")
    )]
    OtherKey {
        /// The fingerprint of the primary key.
        trusted: String,
        /// Fingerprints or ids of the keys that made the signatures.
        signers: Vec<String>,
    },
    /// Other data were signed.
    #[error(
        "the signature by {key} does not fit the file: one of them was changed or is damaged; get both again"
    )]
    Bad {
        /// The key.
        key: String,
    },
    /// The key was no longer valid.
    #[error(
        "the signature was made at {made} by {key}, which had expired at {expired}; if the key was extended, get the new public key"
    )]
    Expired {
        /// The key.
        key: String,
        /// When the signature was made.
        made: Timestamp,
        /// When the key was no longer to be used.
        expired: Timestamp,
    },
    /// The key was not there yet.
    #[error(
        "the signature claims to be made at {made}, but its key {key} was only created at {created}"
    )]
    BeforeKey {
        /// The key.
        key: String,
        /// When the signature was made.
        made: Timestamp,
        /// When the key was made.
        created: Timestamp,
    },
    /// The owner of the key says that it must not be used.
    #[error(
        "the signature is by {key}, which is revoked ({reason}); get a newer release, or one that is signed by another key"
    )]
    Revoked {
        /// The key, or the primary key of it.
        key: String,
        /// Why.
        reason: String,
    },
    /// The key is for something else.
    #[error("the signature is by {key}, and that key may not sign files: its flags don't say so")]
    NotForSigning {
        /// The key.
        key: String,
    },
    /// The key isn't part of the trusted one, whatever the file says.
    #[error(
        "the signature is by {key}, which the key file does not bind to the trusted key: {problem}"
    )]
    Unbound {
        /// The key.
        key: String,
        /// What is missing.
        problem: &'static str,
    },
    /// One of two clocks is wrong.
    #[error(
        "the signature claims to be made at {made}, and now is {now}; is the clock of this host right?"
    )]
    Future {
        /// When the signature was made.
        made: Timestamp,
        /// The host's time.
        now: Timestamp,
    },
    /// The signature itself has an end.
    #[error("the signature by {key} was only meant to hold until {expired}; get a newer one")]
    Ended {
        /// The key.
        key: String,
        /// When the signature expired.
        expired: Timestamp,
    },
    /// Others can make a file with the same hash.
    #[error(
        "the signature by {key} uses {hash}, which can be forged; ask for one with SHA-256 or SHA-512"
    )]
    WeakHash {
        /// The key.
        key: String,
        /// The hash function.
        hash: String,
    },
    /// Signatures of text leave out how lines end, those of keys say nothing about files.
    #[error(
        "the signature by {key} is {kind}, not one of a binary file; ask for `gpg --detach-sign`"
    )]
    NotBinary {
        /// The key.
        key: String,
        /// What it is.
        kind: &'static str,
    },
    /// Something new, or very old.
    #[error("the signature by {key} can't be checked: {problem}")]
    Unsupported {
        /// The key.
        key: String,
        /// What is not understood.
        problem: String,
    },
}

//! Whose signature is good, and what has been checked of a download.

use std::io::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256, Sha512};

use super::error::PublishedError;
use super::source::Place;
use super::transfer::Listener;
use crate::openpgp::{TrustedKey, Verifier};
use crate::sidecar::{Published, Signature};

/// Whose images are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Those that this key signed.
    Key {
        /// A public OpenPGP key, or several.
        file: PathBuf,
        /// Which one is meant, in hex.
        fingerprint: String,
    },
    /// Everybody's, which is said wherever the image is.
    Insecure,
    /// Nothing was said: nothing new is fetched.
    Unknown,
}

impl Trust {
    /// Reads the key, if there is one.
    pub(super) fn load(&self) -> Result<Trusted, PublishedError> {
        match self {
            Self::Insecure => Ok(Trusted::Everybody),
            Self::Unknown => Ok(Trusted::Nobody),
            Self::Key { file, fingerprint } => TrustedKey::load(file, fingerprint)
                .map(|key| Trusted::Key(Box::new(key)))
                .map_err(|error| PublishedError::Key { problem: error.to_string() }),
        }
    }
}

/// The same with its key.
#[derive(Debug)]
pub(super) enum Trusted {
    Key(Box<TrustedKey>),
    Everybody,
    Nobody,
}

impl Trusted {
    /// Whether an image of the cache is good enough. Without a key, what was fetched is used as it is: reports say how.
    pub(super) fn accepts(&self, about: &Published) -> bool {
        match self {
            Self::Key(key) => {
                about.signature.as_ref().is_some_and(|by| by.trusted == key.fingerprint())
            }
            Self::Everybody | Self::Nobody => true,
        }
    }

    pub(super) fn key(&self) -> Option<&TrustedKey> {
        match self {
            Self::Key(key) => Some(key),
            Self::Everybody | Self::Nobody => None,
        }
    }
}

/// What is found out about a download while it passes by.
pub(super) struct Checks<'a> {
    key: Option<(&'a TrustedKey, Vec<u8>)>,
    place: &'a Place,
    /// The published one.
    sha512: Option<String>,
    verifier: Option<Verifier>,
    hash256: Sha256,
    hash512: Sha512,
}

/// What was found out.
#[derive(Debug)]
pub(super) struct Checked {
    /// SHA-256 of the download.
    pub(super) sha256: String,
    pub(super) signature: Option<Signature>,
}

impl<'a> Checks<'a> {
    /// Refuses at once a signature that can't be good, whatever is downloaded.
    pub(super) fn new(
        key: Option<(&'a TrustedKey, Vec<u8>)>,
        place: &'a Place,
        sha512: Option<String>,
    ) -> Result<Self, PublishedError> {
        let (hash256, hash512) = (Sha256::new(), Sha512::new());
        let mut checks = Self { key, place, sha512, verifier: None, hash256, hash512 };
        checks.restart()?;
        Ok(checks)
    }

    /// The digests first: what is only damaged is not called forged.
    pub(super) fn finish(self) -> Result<Checked, PublishedError> {
        let url = &self.place.image;
        let sha256 = hex::encode(self.hash256.finalize());
        if let Some(expected) = &self.sha512 {
            same(url, "SHA-512", expected, &hex::encode(self.hash512.finalize()))?;
        }
        if let Some(expected) = &self.place.sha256 {
            same(url, "SHA-256", expected, &sha256)?;
        }
        let signature = match (self.verifier, &self.key) {
            (Some(verifier), Some((key, _))) => {
                let by = verifier.finish().map_err(|error| bad(url, &error))?;
                Some(Signature {
                    trusted: key.fingerprint(),
                    fingerprint: by.fingerprint,
                    by: by.user_id,
                    made: by.made,
                    expired_since: by.expired_since,
                })
            }
            _ => None,
        };
        Ok(Checked { sha256, signature })
    }
}

impl Listener for Checks<'_> {
    fn restart(&mut self) -> Result<(), PublishedError> {
        self.hash256 = Sha256::new();
        self.hash512 = Sha512::new();
        if let Some((key, signature)) = &self.key {
            let verifier = Verifier::new(key, signature, Timestamp::now());
            self.verifier = Some(verifier.map_err(|error| bad(&self.place.image, &error))?);
        }
        Ok(())
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.hash256.update(bytes);
        if self.sha512.is_some() {
            self.hash512.update(bytes);
        }
        if let Some(verifier) = &mut self.verifier {
            // It only hashes, which can't fail.
            let _ = verifier.write_all(bytes);
        }
    }
}

pub(super) fn same(
    url: &str,
    kind: &'static str,
    expected: &str,
    found: &str,
) -> Result<(), PublishedError> {
    if expected.eq_ignore_ascii_case(found) {
        return Ok(());
    }
    let (expected, found) = (expected.to_owned(), found.to_owned());
    Err(PublishedError::Corrupt { url: url.to_owned(), kind, expected, found })
}

fn bad(url: &str, error: &impl ToString) -> PublishedError {
    PublishedError::BadSignature { url: url.to_owned(), problem: error.to_string() }
}

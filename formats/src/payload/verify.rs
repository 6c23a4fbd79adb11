//! Checks a payload without a place to write it to.

use std::fmt;
use std::io::{self, Read};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::error::{PayloadError, Place};
use super::extents::PutAt;
use super::manifest::{Manifest, Procedure, Sha256Hash};
use super::operation::replace;
use super::reader::{Reader, Tail};
use super::signature::{self, PublicKey};
use super::summary::Summary;

/// Whether the digests of the new images were compared with what the payload makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResultCheck {
    /// They match.
    Matches,
    /// That takes the old image, or a target: the payload is a delta, or not written in order.
    NotChecked,
}

/// What is known about a payload without a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// What it holds.
    pub summary: Summary,
    /// Bytes of the whole payload, as the update server announces them.
    pub size: u64,
    /// Digest of the whole payload, as the update server announces it.
    pub sha256: Sha256Hash,
    /// What is known about the images that it makes.
    pub result: ResultCheck,
}

impl Verification {
    pub(super) fn new(
        manifest: &Manifest,
        metadata_size: u64,
        tail: &Tail,
        result: ResultCheck,
    ) -> Self {
        let summary = Summary::new(manifest, metadata_size, &tail.signatures);
        Self { summary, size: tail.size, sha256: tail.sha256, result }
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.summary)?;
        writeln!(f, "whole       {} bytes, SHA-256 {}", self.size, self.sha256)
    }
}

/// Reads a whole payload and checks all that can be checked without the old image: structure,
/// digests of the data, bzip2 data and where it goes, the signature if there is a key, and of full
/// updates the digests of the new images.
///
/// # Errors
/// Anything wrong with the payload.
pub fn verify(payload: impl Read, key: Option<&PublicKey>) -> Result<Verification, PayloadError> {
    let (manifest, mut reader) = Reader::open(payload)?;
    let mut images = Vec::new();
    for procedure in &manifest.procedures {
        let mut image = Image::default();
        for (operation, number) in procedure.operations.iter().zip(1..) {
            let place = Place { part: procedure.part, number };
            let data = reader.blob(operation, place)?;
            replace(operation, &data, procedure.new.size, &mut image)
                .map_err(|fault| fault.at(place))?;
        }
        images.push(image);
    }
    let metadata_size = reader.metadata_size;
    let tail = reader.finish(&manifest)?;
    // A tampered payload is to be called so, and not by the first digest that is off because of it.
    if let Some(key) = key {
        signature::verify(&tail.signatures, key, tail.signed)?;
    }
    let mut result = ResultCheck::Matches;
    for (procedure, image) in manifest.procedures.iter().zip(images) {
        if image.check(procedure)? == ResultCheck::NotChecked {
            result = ResultCheck::NotChecked;
        }
    }
    Ok(Verification::new(&manifest, metadata_size, &tail, result))
}

/// An image that is hashed while it is written, and kept nowhere. That works as long as it is
/// written from start to end, as in all full updates.
#[derive(Default)]
struct Image {
    digest: Sha256,
    written: u64,
    out_of_order: bool,
}

impl PutAt for Image {
    fn put_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset == self.written {
            self.digest.update(bytes);
            self.written += bytes.len() as u64;
        } else {
            self.out_of_order = true;
        }
        Ok(())
    }
}

impl Image {
    fn check(self, procedure: &Procedure) -> Result<ResultCheck, PayloadError> {
        let Procedure { part, new, .. } = *procedure;
        if self.out_of_order || !procedure.is_full() {
            return Ok(ResultCheck::NotChecked);
        }
        if self.written < new.size {
            return Err(PayloadError::Incomplete { part, written: self.written, size: new.size });
        }
        let found = Sha256Hash(self.digest.finalize().into());
        if found != new.sha256 {
            return Err(PayloadError::Result { part, expected: new.sha256, found });
        }
        Ok(ResultCheck::Matches)
    }
}

//! Reads a payload as a stream: manifest, then one blob after the other, then signatures.

use std::io::{self, Read};

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::error::{PayloadError, Place, SignatureError};
use super::header::{self, HEADER_SIZE};
use super::manifest::{Manifest, Operation, Sha256Hash};
use super::{validate, wire};

/// The most data that one operation may bring, in bytes. It is held in memory, as update_engine
/// does, so that it is checked before it is used. Full updates stay near 1 MiB.
const MAX_BLOB: u64 = 128 << 20;

/// A payload whose manifest has been read. The blobs come next.
pub(super) struct Reader<R> {
    payload: Hashing<R>,
    /// Bytes of header and manifest.
    pub(super) metadata_size: u64,
}

/// What comes after the blobs.
pub(super) struct Tail {
    /// Empty for an unsigned payload.
    pub(super) signatures: wire::Signatures,
    /// Digest of all before the signatures: what is signed.
    pub(super) signed: Sha256Hash,
    /// Digest of the whole payload.
    pub(super) sha256: Sha256Hash,
    /// Bytes of the whole payload.
    pub(super) size: u64,
}

impl<R: Read> Reader<R> {
    /// Reads header and manifest.
    pub(super) fn open(payload: R) -> Result<(Manifest, Self), PayloadError> {
        let mut payload = Hashing { inner: payload, digest: Sha256::new(), position: 0 };
        let manifest_size = header::read(&mut payload)?;
        let manifest = validate::decode(&payload.take_exactly(manifest_size, "the manifest")?)?;
        let metadata_size = HEADER_SIZE + manifest_size;
        Ok((manifest, Self { payload, metadata_size }))
    }

    /// The data of the next operation; must be called for each, in order.
    pub(super) fn blob(
        &mut self,
        operation: &Operation,
        place: Place,
    ) -> Result<Vec<u8>, PayloadError> {
        let Some(blob) = operation.kind.blob() else {
            return Ok(Vec::new());
        };
        if blob.length > MAX_BLOB {
            let problem = format!("it brings {} bytes, and {MAX_BLOB} are possible", blob.length);
            return Err(PayloadError::Operation { place, problem });
        }
        let data = self.payload.take_exactly(blob.length, &format!("the data of {place}"))?;
        let found = Sha256Hash(Sha256::digest(&data).into());
        if found != blob.sha256 {
            return Err(PayloadError::OperationHash { place, expected: blob.sha256, found });
        }
        Ok(data)
    }

    /// Passes over all blobs without a look at them. What `finish` returns has no digests then.
    pub(super) fn skip_blobs(&mut self, manifest: &Manifest) -> Result<(), PayloadError> {
        let length = manifest.data_size();
        let skipped = io::copy(&mut self.payload.inner.by_ref().take(length), &mut io::sink())
            .map_err(PayloadError::reading)?;
        self.payload.position += skipped;
        complete(skipped, length, "the data")
    }

    /// Reads the signatures, and makes sure that nothing follows.
    pub(super) fn finish(mut self, manifest: &Manifest) -> Result<Tail, PayloadError> {
        let signed = self.payload.digest_so_far();
        let signatures = match manifest.signatures {
            Some(span) => {
                let bytes = self.payload.take_exactly(span.size, "the signatures")?;
                wire::Signatures::decode(&*bytes)
                    .map_err(|error| SignatureError::Malformed(error.to_string()))?
            }
            None => wire::Signatures::default(),
        };
        let size = self.payload.position;
        let sha256 = self.payload.digest_so_far();
        let mut rest = self.payload.inner.take(1);
        if io::copy(&mut rest, &mut io::sink()).map_err(PayloadError::reading)? > 0 {
            return Err(PayloadError::TrailingData);
        }
        Ok(Tail { signatures, signed, sha256, size })
    }
}

/// Reads and hashes.
struct Hashing<R> {
    inner: R,
    digest: Sha256,
    position: u64,
}

impl<R: Read> Hashing<R> {
    /// The next `length` bytes. Memory grows with what is really there, not with what is announced.
    fn take_exactly(&mut self, length: u64, what: &str) -> Result<Vec<u8>, PayloadError> {
        let mut bytes = Vec::new();
        self.by_ref().take(length).read_to_end(&mut bytes).map_err(PayloadError::reading)?;
        complete(bytes.len() as u64, length, what)?;
        Ok(bytes)
    }

    fn digest_so_far(&self) -> Sha256Hash {
        Sha256Hash(self.digest.clone().finalize().into())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.digest.update(&buffer[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

fn complete(found: u64, length: u64, what: &str) -> Result<(), PayloadError> {
    match length.checked_sub(found) {
        None | Some(0) => Ok(()),
        Some(missing) => Err(PayloadError::Truncated { what: what.into(), missing }),
    }
}

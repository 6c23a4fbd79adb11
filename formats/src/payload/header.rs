//! The 20 bytes in front of the manifest: magic, format version, length of the manifest.

use std::io::Read;

use super::error::PayloadError;

pub(super) const MAGIC: [u8; 4] = *b"CrAU";
/// The only format version that update_engine ever wrote (Android's later ones are other formats).
pub(super) const VERSION: u64 = 1;
/// Bytes of the header.
pub(super) const HEADER_SIZE: u64 = 20;
/// The manifest of a full update takes 60 bytes for each MiB, that of a delta a few MiB at most.
pub(super) const MAX_MANIFEST_SIZE: u64 = 16 << 20;

/// Reads the header and returns the length of the manifest in bytes.
pub(super) fn read(mut payload: impl Read) -> Result<u64, PayloadError> {
    let mut bytes = Vec::new();
    payload.by_ref().take(HEADER_SIZE).read_to_end(&mut bytes).map_err(PayloadError::reading)?;
    if !bytes.starts_with(&MAGIC) {
        let found = bytes.get(..4).unwrap_or(&bytes);
        return Err(PayloadError::NotAPayload { found: found.escape_ascii().to_string() });
    }
    let (Some(version), Some(size)) = (number(&bytes, 4), number(&bytes, 12)) else {
        let missing = HEADER_SIZE - bytes.len() as u64;
        return Err(PayloadError::Truncated { what: "the header".into(), missing });
    };
    // update_engine does not look at the version; a later format would fail further on, in words
    // that help nobody.
    if version != VERSION {
        return Err(PayloadError::Version { found: version });
    }
    if size == 0 || size > MAX_MANIFEST_SIZE {
        return Err(PayloadError::ManifestSize { size, max: MAX_MANIFEST_SIZE });
    }
    Ok(size)
}

/// The header in front of a manifest of `manifest_size` bytes.
pub(super) fn encode(manifest_size: u64) -> Vec<u8> {
    [&MAGIC[..], &VERSION.to_be_bytes(), &manifest_size.to_be_bytes()].concat()
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?;
    Some(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

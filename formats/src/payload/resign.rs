//! Signs a payload anew.

use std::io::{Read, Write};

use prost::Message as _;

use super::create::{self, Created};
use super::error::PayloadError;
use super::header;
use super::signature::PrivateKey;
use super::validate::{self, SPARSE_HOLE};
use super::wire;

/// Copies a payload with other signatures, or with none, and its operations and data as they are. The old signatures are
/// not checked. With several keys, the last is the one for Flatcar's clients.
///
/// # Errors
/// What comes in is no payload, or reading, writing or signing fails; what is in `out` is of no use then.
pub fn resign(
    mut payload: impl Read,
    keys: &[PrivateKey],
    out: impl Write,
) -> Result<Created, PayloadError> {
    let manifest_size = header::read(&mut payload)?;
    let mut bytes = Vec::new();
    payload.by_ref().take(manifest_size).read_to_end(&mut bytes).map_err(PayloadError::reading)?;
    let missing = manifest_size - bytes.len() as u64;
    if missing > 0 {
        return Err(PayloadError::Truncated { what: "the manifest".into(), missing });
    }
    let data_size = validate::decode(&bytes)?.data_size();
    let mut manifest = wire::DeltaArchiveManifest::decode(&*bytes)
        .map_err(|error| PayloadError::manifest(error.to_string()))?;
    // Old clients pass over the signatures by an operation that has them as its data.
    if let Some(signatures) = manifest.signatures_offset {
        manifest.noop_operations.retain(|operation| {
            operation.data_offset.map(u64::from) != Some(signatures)
                || !operation.dst_extents.iter().all(|it| it.start_block == Some(SPARSE_HOLE))
        });
    }
    create::announce_signatures(&mut manifest, keys, data_size)?;
    create::write(&manifest, keys, &mut payload.take(data_size), out)
}

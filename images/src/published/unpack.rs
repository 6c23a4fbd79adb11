//! Takes the disk out of a download.

use std::fs::File;
use std::path::Path;

use super::error::PublishedError;
use super::transfer::Transfer;
use crate::error::CacheError;
use crate::unpack::{self, DEFAULT_LIMIT, UnpackError};

/// Unpacks what was downloaded, whatever it is packed with, and gives the digest of the disk.
pub(super) fn unpack(
    from: &Path,
    to: &Path,
    url: &str,
    transfer: &mut Transfer<'_>,
) -> Result<String, PublishedError> {
    let mut packed = File::open(from).map_err(CacheError::io("read", from))?;
    let disk = File::options().create_new(true).read(true).write(true).open(to);
    let disk = disk.map_err(|error| PublishedError::writing(to.to_owned(), error))?;
    let mut told = 0;
    let mut progress = |_, written: u64| {
        // Each 256 MiB is news enough.
        if written >> 28 > told {
            told = written >> 28;
            (transfer.step)(&format!("unpack: {} MiB", written >> 20));
        }
    };
    let unpacked =
        unpack::unpack(&mut packed, &disk, DEFAULT_LIMIT, transfer.cancel, &mut progress);
    match unpacked {
        Ok(unpacked) => Ok(unpacked.digest),
        Err(UnpackError::Cancelled) => Err(PublishedError::Cancelled),
        Err(UnpackError::Read(error)) => Err(CacheError::io("read", from)(error).into()),
        Err(UnpackError::Write(error)) => Err(PublishedError::writing(to.to_owned(), error)),
        Err(error) => {
            Err(PublishedError::Unpack { url: url.to_owned(), problem: error.to_string() })
        }
    }
}

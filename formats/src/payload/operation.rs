//! Carries out one operation.

use std::io::Read;

use bzip2::bufread::BzDecoder;

use super::bspatch::bspatch;
use super::error::Fault;
use super::extents::{self, ExtentWriter, PutAt, Target};
use super::manifest::{Extent, Kind, Operation};

/// The most that MOVE and BSDIFF may read, in bytes. What they read and write may overlap, so
/// update_engine, too, holds all of it in memory.
const MAX_SOURCE: u64 = 128 << 20;

/// Carries out an operation on a target that holds the old image, in place. `size` is that of the
/// new image, in bytes.
pub(super) fn perform(
    operation: &Operation,
    data: &[u8],
    size: u64,
    mut target: &mut dyn Target,
) -> Result<(), Fault> {
    match operation.kind {
        Kind::Replace(_) | Kind::ReplaceBz(_) => replace(operation, data, size, &mut target),
        Kind::Move => {
            let length = operation.source.iter().map(Extent::bytes).sum();
            let moved = source(target, operation, length)?;
            let mut writer = ExtentWriter::new(&mut target, &operation.destination, size);
            writer.write(&moved)?;
            writer.finish()
        }
        Kind::Bsdiff { source_length, length, .. } => {
            let old = source(target, operation, source_length)?;
            let mut writer = ExtentWriter::new(&mut target, &operation.destination, size);
            bspatch(&old, data, length, |piece| writer.write(piece))?;
            writer.finish()
        }
    }
}

fn source(target: &mut dyn Target, operation: &Operation, length: u64) -> Result<Vec<u8>, Fault> {
    if length > MAX_SOURCE {
        return Err(Fault::Asked(format!(
            "it reads {length} bytes at once, and {MAX_SOURCE} are possible"
        )));
    }
    extents::read(target, &operation.source, length)
}

/// Carries out an operation that needs nothing but its data; the others do nothing here.
pub(super) fn replace(
    operation: &Operation,
    data: &[u8],
    size: u64,
    to: &mut dyn PutAt,
) -> Result<(), Fault> {
    let mut writer = ExtentWriter::new(to, &operation.destination, size);
    match operation.kind {
        Kind::Replace(_) => writer.write(data)?,
        Kind::ReplaceBz(_) => decompress(data, |piece| writer.write(piece))?,
        Kind::Move | Kind::Bsdiff { .. } => {}
    }
    writer.finish()
}

/// Decompresses piece by piece: a bomb is stopped by the writer when the extents are full.
fn decompress(data: &[u8], mut write: impl FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
    let mut decoder = BzDecoder::new(data);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = decoder
            .read(&mut buffer)
            .map_err(|error| Fault::Asked(format!("its data is not bzip2: {error}")))?;
        if count == 0 {
            break;
        }
        write(&buffer[..count])?;
    }
    // update_engine stops at the end of the first stream, and aborts if that is not the end.
    match decoder.into_inner() {
        [] => Ok(()),
        rest => Err(Fault::Asked(format!("{} bytes follow its bzip2 data", rest.len()))),
    }
}

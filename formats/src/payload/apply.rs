//! Writes an update.

use std::io::{self, Read, SeekFrom, Write};

use sha2::{Digest as _, Sha256};

pub use super::extents::Target;

use super::error::{PayloadError, Place};
use super::manifest::{Info, Manifest, Part, Procedure, Sha256Hash};
use super::operation::perform;
use super::reader::Reader;
use super::signature::{self, PublicKey};
use super::verify::{ResultCheck, Verification};

/// Where one part of an update is written.
pub struct Slot<'a> {
    /// Which part.
    pub part: Part,
    /// Where it is written, from offset 0. A file that is longer than the new part stays as long:
    /// cut it to [`Info::size`] afterwards. A device is as large as it is.
    pub target: &'a mut dyn Target,
    /// The image that a delta starts from; not read for a full update.
    pub old: Option<&'a mut dyn Read>,
}

/// Writes an update, as update_engine does: copies the old image to the target if the payload is a
/// delta, carries out all operations in place, checks the signature if there is a key, and reads the
/// target again to compare it with the manifest. Parts without a slot are skipped, and slots for
/// parts that the payload does not hold stay as they are.
///
/// Until this returns `Ok`, the target must not be booted: signature and result are known only at
/// the end of the stream.
///
/// # Errors
/// Anything wrong with the payload, the old image or the targets; the targets are half written then.
pub fn apply(
    payload: impl Read,
    key: Option<&PublicKey>,
    slots: &mut [Slot<'_>],
) -> Result<Verification, PayloadError> {
    let (manifest, mut reader) = Reader::open(payload)?;
    prepare(&manifest, slots)?;
    for procedure in &manifest.procedures {
        let part = procedure.part;
        let mut slot = slots.iter_mut().find(|slot| slot.part == part);
        for (operation, number) in procedure.operations.iter().zip(1..) {
            let place = Place { part, number };
            let data = reader.blob(operation, place)?;
            if let Some(slot) = &mut slot {
                perform(operation, &data, procedure.new.size, slot.target)
                    .map_err(|fault| fault.at(place))?;
            }
        }
    }
    let metadata_size = reader.metadata_size;
    let tail = reader.finish(&manifest)?;
    if let Some(key) = key {
        signature::verify(&tail.signatures, key, tail.signed)?;
    }
    for slot in slots {
        if let Some(procedure) = find(&manifest, slot.part) {
            check_result(procedure, slot)?;
        }
    }
    Ok(Verification::new(&manifest, metadata_size, &tail, ResultCheck::Matches))
}

fn find(manifest: &Manifest, part: Part) -> Option<&Procedure> {
    manifest.procedures.iter().find(|procedure| procedure.part == part)
}

/// Copies old images to the targets, after a look that everything is there.
fn prepare(manifest: &Manifest, slots: &mut [Slot<'_>]) -> Result<(), PayloadError> {
    if slots.iter().all(|slot| slot.part != Part::Partition) {
        return Err(PayloadError::NoTarget);
    }
    for slot in slots {
        let expected = find(manifest, slot.part).and_then(|procedure| procedure.old);
        let Some(expected) = expected else {
            continue;
        };
        let part = slot.part;
        let old = slot.old.as_deref_mut().ok_or(PayloadError::NoOldImage { part })?;
        slot.target
            .seek(SeekFrom::Start(0))
            .map_err(PayloadError::io(format!("writing the {part}")))?;
        let found = copy_and_hash(&mut old.take(expected.size), slot.target)
            .map_err(PayloadError::io(format!("copying the old {part}")))?;
        if found != expected {
            let [expected, found] = [expected, found].map(describe);
            return Err(PayloadError::OldImage { part, expected, found });
        }
    }
    Ok(())
}

fn check_result(procedure: &Procedure, slot: &mut Slot<'_>) -> Result<(), PayloadError> {
    let Procedure { part, new, .. } = *procedure;
    let reading = || PayloadError::io(format!("reading back the {part}"));
    slot.target.flush().map_err(PayloadError::io(format!("writing the {part}")))?;
    slot.target.seek(SeekFrom::Start(0)).map_err(reading())?;
    let found = copy_and_hash(&mut (&mut *slot.target).take(new.size), &mut io::sink())
        .map_err(reading())?;
    if found.size < new.size {
        return Err(PayloadError::Incomplete { part, written: found.size, size: new.size });
    }
    if found.sha256 != new.sha256 {
        return Err(PayloadError::Result { part, expected: new.sha256, found: found.sha256 });
    }
    Ok(())
}

fn describe(info: Info) -> String {
    format!("{} bytes with SHA-256 {}", info.size, info.sha256)
}

fn copy_and_hash<W: Write + ?Sized>(from: &mut dyn Read, to: &mut W) -> io::Result<Info> {
    let mut digest = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                digest.update(&buffer[..count]);
                to.write_all(&buffer[..count])?;
                size += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Info { size, sha256: Sha256Hash(digest.finalize().into()) })
}

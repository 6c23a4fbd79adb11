//! From the messages on the wire to the checked manifest.

use prost::Message as _;

use super::error::{PayloadError, Place};
use super::manifest::{
    BLOCK_SIZE, Blob, CHUNK_BLOCKS, Extent, Info, Kind, Manifest, Operation, Part, Procedure,
    Sha256Hash, SignatureSpan,
};
use super::wire;

/// A signature of RSA-4096 takes 520 bytes; this leaves room for a hundred.
const MAX_SIGNATURES_SIZE: u64 = 64 << 10;

/// Start block of a hole (`kSparseHole`).
pub(super) const SPARSE_HOLE: u64 = u64::MAX;

type Checked<T> = Result<T, String>;

/// Decodes and checks a manifest.
pub(super) fn decode(bytes: &[u8]) -> Result<Manifest, PayloadError> {
    wire::check_limits(bytes).map_err(PayloadError::manifest)?;
    let manifest = wire::DeltaArchiveManifest::decode(bytes)
        .map_err(|error| PayloadError::manifest(error.to_string()))?;
    check(&manifest).map_err(PayloadError::manifest)
}

/// Checks a manifest. `noop_operations` are for clients older than Flatcar and ignored, as
/// `update_metadata.proto` demands.
pub(super) fn check(manifest: &wire::DeltaArchiveManifest) -> Checked<Manifest> {
    let block_size = manifest.block_size.unwrap_or(4096);
    if u64::from(block_size) != BLOCK_SIZE {
        return Err(format!("its block size is {block_size} bytes instead of {BLOCK_SIZE}"));
    }
    // Blobs lie one after the other in the order of the operations, and the signatures after them:
    // that is what lets a client work on a stream.
    let mut end_of_data = 0;
    let mut procedures = vec![procedure(
        Part::Partition,
        &manifest.partition_operations,
        manifest.old_partition_info.as_ref(),
        manifest.new_partition_info.as_ref(),
        &mut end_of_data,
    )?];
    for message in &manifest.procedures {
        let part = match message.kind {
            Some(0) => Part::Kernel,
            Some(1) => Part::PcrPolicy,
            Some(other) => Part::Unknown(other),
            None => return Err("a procedure has no type".into()),
        };
        if procedures.iter().any(|earlier| earlier.part == part) {
            return Err(format!("there are two procedures for the {part}"));
        }
        procedures.push(procedure(
            part,
            &message.operations,
            message.old_info.as_ref(),
            message.new_info.as_ref(),
            &mut end_of_data,
        )?);
    }
    Ok(Manifest { procedures, signatures: signatures(manifest, end_of_data)? })
}

fn signatures(
    manifest: &wire::DeltaArchiveManifest,
    end_of_data: u64,
) -> Checked<Option<SignatureSpan>> {
    let (Some(offset), Some(size)) = (manifest.signatures_offset, manifest.signatures_size) else {
        return Ok(None);
    };
    if offset != end_of_data {
        return Err(format!("the signatures are at {offset}, but the data ends at {end_of_data}"));
    }
    if size == 0 || size > MAX_SIGNATURES_SIZE {
        return Err(format!(
            "the signatures take {size} bytes; between 1 and {MAX_SIGNATURES_SIZE} are possible"
        ));
    }
    Ok(Some(SignatureSpan { offset, size }))
}

fn procedure(
    part: Part,
    operations: &[wire::InstallOperation],
    old: Option<&wire::InstallInfo>,
    new: Option<&wire::InstallInfo>,
    end_of_data: &mut u64,
) -> Checked<Procedure> {
    let new = new.ok_or_else(|| format!("size and digest of the new {part} are missing"))?;
    let new = info(new).map_err(|problem| format!("the new {part}: {problem}"))?;
    let old = old.map(info).transpose().map_err(|problem| format!("the old {part}: {problem}"))?;
    let bounds = Bounds::new(new, old);
    let operations = operations.iter().enumerate().map(|(index, message)| {
        operation(message, &bounds, end_of_data)
            .map_err(|problem| format!("{}: {problem}", Place { part, number: index + 1 }))
    });
    let operations: Vec<_> = operations.collect::<Checked<_>>()?;
    if old.is_none() && operations.iter().any(|operation| !operation.kind.is_full()) {
        return Err(format!("it reads the old {part}, whose size and digest are missing"));
    }
    Ok(Procedure { part, operations, old, new })
}

fn info(message: &wire::InstallInfo) -> Checked<Info> {
    let size = message.size.ok_or("its size is missing")?;
    // Offsets into files and devices are signed 64-bit numbers.
    if size > i64::MAX as u64 {
        return Err(format!("it has {size} bytes, more than any device"));
    }
    Ok(Info { size, sha256: hash(message.hash.as_deref().unwrap_or_default())? })
}

fn hash(bytes: &[u8]) -> Checked<Sha256Hash> {
    let hash = bytes
        .try_into()
        .map_err(|_| format!("its SHA-256 has {} bytes instead of 32", bytes.len()))?;
    Ok(Sha256Hash(hash))
}

/// How far extents may reach, in blocks.
struct Bounds {
    /// For data that is written.
    new: u64,
    /// For data that is read: the target holds the old image, which may be larger or smaller.
    source: u64,
}

impl Bounds {
    fn new(new: Info, old: Option<Info>) -> Self {
        let new = new.size.div_ceil(BLOCK_SIZE);
        let old = old.map_or(0, |old| old.size.div_ceil(BLOCK_SIZE));
        Self { new, source: old.max(new) }
    }

    /// `delta_generator` gives the last operation of a full update a whole chunk of blocks, even if
    /// the image ends before. update_engine writes only as much as there is data for.
    fn replaced(&self) -> u64 {
        self.new.next_multiple_of(CHUNK_BLOCKS)
    }
}

fn operation(
    message: &wire::InstallOperation,
    bounds: &Bounds,
    end_of_data: &mut u64,
) -> Checked<Operation> {
    let blob = blob(message, end_of_data)?;
    let needed = || blob.ok_or("it has no data");
    let kind = match message.kind {
        Some(0) => Kind::Replace(needed()?),
        Some(1) => Kind::ReplaceBz(needed()?),
        Some(2) if blob.is_some() => return Err("a MOVE has no data, this one does".into()),
        Some(2) => Kind::Move,
        Some(3) => Kind::Bsdiff {
            patch: needed()?,
            source_length: message.src_length.ok_or("the length of its source is missing")?,
            length: message.dst_length.ok_or("the length of its result is missing")?,
        },
        Some(other) => return Err(format!("operation type {other} is unknown")),
        None => return Err("its type is missing".into()),
    };
    let reach = if kind.is_full() { bounds.replaced() } else { bounds.new };
    let source = extents(&message.src_extents, bounds.source)
        .map_err(|problem| format!("where it reads: {problem}"))?;
    let destination = extents(&message.dst_extents, reach)
        .map_err(|problem| format!("where it writes: {problem}"))?;
    check_extents(&kind, &source, &destination)?;
    Ok(Operation { kind, source, destination })
}

fn blob(message: &wire::InstallOperation, end_of_data: &mut u64) -> Checked<Option<Blob>> {
    let length = u64::from(message.data_length.unwrap_or(0));
    if length == 0 {
        return Ok(None);
    }
    let offset = u64::from(message.data_offset.unwrap_or(0));
    if offset != *end_of_data {
        return Err(format!("its data is at {offset}, but the data before ends at {end_of_data}"));
    }
    *end_of_data += length;
    let sha256 = hash(message.data_sha256_hash.as_deref().unwrap_or_default())
        .map_err(|problem| format!("its data: {problem}"))?;
    Ok(Some(Blob { offset, length, sha256 }))
}

fn extents(messages: &[wire::Extent], reach: u64) -> Checked<Vec<Extent>> {
    let extents = messages.iter().map(|message| {
        let blocks = message.num_blocks.unwrap_or(0);
        let start = message.start_block.unwrap_or(0);
        if blocks == 0 {
            return Err(format!("the extent at block {start} is empty"));
        }
        if start == SPARSE_HOLE {
            // A hole is nowhere, but no file on the part has more blocks than the part.
            return match blocks <= reach {
                true => Ok(Extent { start: None, blocks }),
                false => Err(format!("a hole of {blocks} blocks is larger than the whole part")),
            };
        }
        match start.checked_add(blocks) {
            Some(end) if end <= reach => Ok(Extent { start: Some(start), blocks }),
            _ => Err(format!(
                "the extent of {blocks} blocks at block {start} reaches beyond the end at block {reach}"
            )),
        }
    });
    extents.collect()
}

/// Adds up blocks. Each extent is within the part, but thousands of them may name the same blocks, so
/// the sum in bytes could overflow.
fn blocks(extents: &[Extent]) -> Checked<u64> {
    let sum = extents.iter().try_fold(0_u64, |sum, extent| sum.checked_add(extent.blocks));
    sum.filter(|sum| *sum <= u64::MAX / BLOCK_SIZE).ok_or("its extents add up to too much".into())
}

fn check_extents(kind: &Kind, source: &[Extent], destination: &[Extent]) -> Checked<()> {
    let (read, written) = (blocks(source)?, blocks(destination)?);
    if written == 0 {
        return Err("it writes nowhere".into());
    }
    match *kind {
        Kind::Replace(blob) if blob.length.div_ceil(BLOCK_SIZE) > written => {
            Err(format!("its {} bytes of data do not fit in {written} blocks", blob.length))
        }
        Kind::Replace(_) | Kind::ReplaceBz(_) if read > 0 => {
            Err("it replaces blocks, so it must not read any".into())
        }
        Kind::Replace(_) | Kind::ReplaceBz(_) => Ok(()),
        Kind::Move if read != written => Err(format!("it moves {read} blocks to {written} blocks")),
        // update_engine would seek to the all-ones block, and fail.
        Kind::Move if source.iter().chain(destination).any(|extent| extent.start.is_none()) => {
            Err("it moves a sparse hole, which update_engine cannot".into())
        }
        Kind::Move => Ok(()),
        Kind::Bsdiff { source_length, .. } if source_length.div_ceil(BLOCK_SIZE) > read => {
            Err(format!("it reads {source_length} bytes from {read} blocks"))
        }
        Kind::Bsdiff { length, .. } if length.div_ceil(BLOCK_SIZE) != written => {
            Err(format!("it writes {length} bytes to {written} blocks"))
        }
        Kind::Bsdiff { .. } => Ok(()),
    }
}

//! Makes full updates, with the operations that `delta_generator` makes.

use std::io::{self, Read, SeekFrom, Write};
use std::panic;
use std::thread;

use bzip2::Compression;
use bzip2::write::BzEncoder;
use prost::Message as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::apply::Target;
use super::error::PayloadError;
use super::manifest::{BLOCK_SIZE, CHUNK_BLOCKS, Part, Sha256Hash};
use super::signature::{self, PrivateKey};
use super::summary::Summary;
use super::{header, validate, wire};

const CHUNK: u64 = CHUNK_BLOCKS * BLOCK_SIZE;

/// Each thread holds a chunk, its compressed form and 8 MiB of bzip2's tables.
const MAX_THREADS: usize = 4;

/// How many times smaller compression must make a chunk; clients take any mixture. Undoing bzip2 is the slowest part of
/// an update by far, all the more in a guest without KVM, and the file systems of `/usr` are compressed themselves. For
/// the reference image (110 MB) any gain at all makes 83 MB that take 4.2 s to verify, a quarter less 93 MB and
/// 1.8 s, and this 110 MB and 0.2 s.
const WORTH_IT: usize = 2;

/// What goes into a payload.
pub struct Content<'a> {
    /// The file system of `/usr` with its verity data; whole blocks of 4096 bytes.
    pub partition: &'a mut dyn Read,
    /// The kernel, of any size.
    pub kernel: Option<&'a mut dyn Read>,
}

/// A payload that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Created {
    /// What it holds.
    pub summary: Summary,
    /// Bytes.
    pub size: u64,
    /// Digest of all of it, as the update server announces it.
    pub sha256: Sha256Hash,
}

/// Makes a full update.
///
/// The manifest comes before the data but knows its size, so the compressed data goes to `scratch`
/// (an empty temporary file) first. With several keys, the last is the one for Flatcar's clients;
/// with none, the payload is unsigned, and clients refuse it.
///
/// # Errors
/// An image is empty or too large, the partition is not made of whole blocks, or reading, writing or
/// signing fails; what is in `out` is of no use then.
pub fn create(
    content: Content<'_>,
    keys: &[PrivateKey],
    mut scratch: impl Target,
    out: impl Write,
) -> Result<Created, PayloadError> {
    let mut manifest = wire::DeltaArchiveManifest {
        block_size: Some(BLOCK_SIZE as u32),
        ..wire::DeltaArchiveManifest::default()
    };
    let mut data_size = 0;
    let (operations, info) =
        pack(Part::Partition, content.partition, &mut scratch, &mut data_size)?;
    manifest.partition_operations = operations;
    manifest.new_partition_info = Some(info);
    if let Some(kernel) = content.kernel {
        let (operations, info) = pack(Part::Kernel, kernel, &mut scratch, &mut data_size)?;
        manifest.noop_operations = operations.iter().map(noop).collect();
        manifest.procedures.push(wire::InstallProcedure {
            kind: Some(0),
            operations,
            old_info: None,
            new_info: Some(info),
        });
    }
    announce_signatures(&mut manifest, keys, data_size)?;
    scratch.seek(SeekFrom::Start(0)).map_err(PayloadError::io("reading the scratch file"))?;
    write(&manifest, keys, &mut scratch.take(data_size), out)
}

/// Says in the manifest that signatures with all keys follow the data, or that none do.
pub(super) fn announce_signatures(
    manifest: &mut wire::DeltaArchiveManifest,
    keys: &[PrivateKey],
    data_size: u64,
) -> Result<(), PayloadError> {
    (manifest.signatures_offset, manifest.signatures_size) = (None, None);
    if keys.is_empty() {
        return Ok(());
    }
    let size = signature::signed_size(keys);
    manifest.signatures_offset = Some(data_size);
    manifest.signatures_size = Some(size as u64);
    manifest.noop_operations.push(noop(&wire::InstallOperation {
        data_offset: Some(offset(data_size)?),
        data_length: Some(size as u32),
        ..wire::InstallOperation::default()
    }));
    Ok(())
}

/// Clients older than Flatcar know no procedures and take data only for operations: these write it
/// to a hole, that is, nowhere.
fn noop(operation: &wire::InstallOperation) -> wire::InstallOperation {
    let blocks = u64::from(operation.data_length.unwrap_or(0)).div_ceil(BLOCK_SIZE);
    let hole = wire::Extent { start_block: Some(validate::SPARSE_HOLE), num_blocks: Some(blocks) };
    wire::InstallOperation {
        kind: Some(0),
        data_offset: operation.data_offset,
        data_length: operation.data_length,
        dst_extents: vec![hole],
        ..wire::InstallOperation::default()
    }
}

/// Compresses an image into the scratch file.
fn pack(
    part: Part,
    image: &mut dyn Read,
    scratch: &mut impl Write,
    data_size: &mut u64,
) -> Result<(Vec<wire::InstallOperation>, wire::InstallInfo), PayloadError> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let mut digest = Sha256::new();
    let mut size = 0;
    let mut operations = Vec::new();
    loop {
        let chunks = (0..threads).map(|_| read_chunk(image));
        let mut chunks: Vec<_> = chunks
            .collect::<io::Result<_>>()
            .map_err(PayloadError::io(format!("reading the {part}")))?;
        chunks.retain(|chunk| !chunk.is_empty());
        if chunks.is_empty() {
            break;
        }
        let compressed = thread::scope(|scope| {
            let spawn = |chunk| scope.spawn(move || compress(chunk));
            let running: Vec<_> = chunks.iter().map(Vec::as_slice).map(spawn).collect();
            chunks.iter().for_each(|chunk| digest.update(chunk));
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
            };
            running.into_iter().map(join).collect::<io::Result<Vec<_>>>()
        });
        let compressed = compressed.map_err(PayloadError::io(format!("compressing the {part}")))?;
        for (chunk, compressed) in chunks.iter().zip(&compressed) {
            let pays = compressed.len() * WORTH_IT <= chunk.len();
            let (kind, data) = if pays { (1, compressed) } else { (0, chunk) };
            scratch.write_all(data).map_err(PayloadError::io("writing the scratch file"))?;
            operations.push(wire::InstallOperation {
                kind: Some(kind),
                data_offset: Some(offset(*data_size)?),
                data_length: Some(data.len() as u32),
                dst_extents: vec![wire::Extent {
                    start_block: Some(size / BLOCK_SIZE),
                    num_blocks: Some((chunk.len() as u64).div_ceil(BLOCK_SIZE)),
                }],
                data_sha256_hash: Some(Sha256::digest(data).to_vec()),
                ..wire::InstallOperation::default()
            });
            *data_size += data.len() as u64;
            size += chunk.len() as u64;
        }
    }
    check_size(part, size)?;
    let hash = Some(digest.finalize().to_vec());
    Ok((operations, wire::InstallInfo { size: Some(size), hash }))
}

fn check_size(part: Part, size: u64) -> Result<(), PayloadError> {
    let problem = match size {
        0 => "it is empty".into(),
        // update_engine writes whole blocks, and a partition cannot be cut afterwards.
        size if part == Part::Partition && size % BLOCK_SIZE != 0 => {
            format!("it has {size} bytes, which is not a multiple of {BLOCK_SIZE}")
        }
        _ => return Ok(()),
    };
    Err(PayloadError::Content { part, problem })
}

/// Offsets of data have 32 bits.
fn offset(data_size: u64) -> Result<u32, PayloadError> {
    u32::try_from(data_size).map_err(|_| PayloadError::Content {
        part: Part::Partition,
        problem: "compressed, the images have more than 4 GiB, the limit of the format".into(),
    })
}

fn read_chunk(image: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut chunk = Vec::with_capacity(CHUNK as usize);
    image.take(CHUNK).read_to_end(&mut chunk)?;
    Ok(chunk)
}

fn compress(chunk: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = BzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(chunk)?;
    encoder.finish()
}

/// Writes header, manifest, data and signatures.
pub(super) fn write(
    manifest: &wire::DeltaArchiveManifest,
    keys: &[PrivateKey],
    data: &mut impl Read,
    out: impl Write,
) -> Result<Created, PayloadError> {
    let checked = validate::check(manifest).map_err(PayloadError::manifest)?;
    let manifest = manifest.encode_to_vec();
    let header = header::encode(manifest.len() as u64);
    let metadata_size = (header.len() + manifest.len()) as u64;
    let writing = || PayloadError::io("writing the payload");

    let mut out = Hashing { inner: out, digest: Sha256::new(), size: 0 };
    out.write_all(&header).map_err(writing())?;
    out.write_all(&manifest).map_err(writing())?;
    io::copy(data, &mut out).map_err(writing())?;
    let mut signatures = wire::Signatures::default();
    if !keys.is_empty() {
        let message = signature::sign(keys, out.digest_so_far())?;
        out.write_all(&message).map_err(writing())?;
        signatures = wire::Signatures::decode(&*message)
            .map_err(|error| PayloadError::manifest(error.to_string()))?;
    }
    out.flush().map_err(writing())?;
    let summary = Summary::new(&checked, metadata_size, &signatures);
    Ok(Created { summary, size: out.size, sha256: out.digest_so_far() })
}

/// Writes and hashes.
struct Hashing<W> {
    inner: W,
    digest: Sha256,
    size: u64,
}

impl<W> Hashing<W> {
    fn digest_so_far(&self) -> Sha256Hash {
        Sha256Hash(self.digest.clone().finalize().into())
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.digest.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

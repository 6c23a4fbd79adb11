//! The checked manifest: what a payload does, in types that cannot hold nonsense.

use std::fmt;

use serde::{Serialize, Serializer};

/// Bytes of a block. The format could name others; neither update_engine nor mantle takes them.
pub const BLOCK_SIZE: u64 = 4096;

/// What `delta_generator` puts into one operation of a full update, in blocks (1 MiB).
pub(super) const CHUNK_BLOCKS: u64 = 256;

/// A SHA-256 digest. Displayed and serialised in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256Hash(pub [u8; 32]);

impl fmt::Display for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Sha256Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a procedure writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The `/usr` partition of the other slot.
    Partition,
    /// The kernel on the boot partition (procedure type 0).
    Kernel,
    /// The PCR policy for TPM unlocking (procedure type 1).
    PcrPolicy,
    /// A type that update_engine does not know either, and skips.
    Unknown(i32),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition => f.pad("partition"),
            Self::Kernel => f.pad("kernel"),
            Self::PcrPolicy => f.pad("PCR policy"),
            Self::Unknown(kind) => f.pad(&format!("type {kind}")),
        }
    }
}

/// Size and digest of a partition or file, before or after the update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Info {
    /// Bytes.
    pub size: u64,
    /// Digest of these bytes.
    pub sha256: Sha256Hash,
}

/// A run of blocks, or a hole: blocks of a sparse file that exist nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// The first block; `None` is a hole, from which zeros are read and to which nothing is written.
    pub(super) start: Option<u64>,
    /// How many blocks, at least one.
    pub(super) blocks: u64,
}

impl Extent {
    /// Bytes of the extent. Checked not to overflow when the manifest was read.
    pub(super) fn bytes(&self) -> u64 {
        self.blocks * BLOCK_SIZE
    }
}

/// Data of an operation in the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    /// Bytes from the end of the manifest.
    pub(super) offset: u64,
    /// Bytes, at least one.
    pub(super) length: u64,
    /// Digest of the data as it is in the payload, so compressed.
    pub(super) sha256: Sha256Hash,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Writes its data.
    Replace(Blob),
    /// Decompresses its data with bzip2 and writes it.
    ReplaceBz(Blob),
    /// Copies blocks.
    Move,
    /// Reads `source_length` bytes of blocks, patches them and writes `length` bytes.
    Bsdiff {
        /// The patch, in the format BSDIFF40.
        patch: Blob,
        /// Bytes read from the source extents.
        source_length: u64,
        /// Bytes written to the destination extents, followed by zeros up to the end of a block.
        length: u64,
    },
}

impl Kind {
    /// The data of the operation, which all but MOVE have.
    pub(super) fn blob(&self) -> Option<&Blob> {
        match self {
            Self::Replace(blob) | Self::ReplaceBz(blob) | Self::Bsdiff { patch: blob, .. } => {
                Some(blob)
            }
            Self::Move => None,
        }
    }

    /// Whether the operation writes what it brings, and so needs nothing of the old image.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Replace(_) | Self::ReplaceBz(_))
    }
}

/// One step of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    /// What it does.
    pub(super) kind: Kind,
    /// Where it reads, in this order.
    pub(super) source: Vec<Extent>,
    /// Where it writes, in this order.
    pub(super) destination: Vec<Extent>,
}

/// All steps for one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Procedure {
    /// What is written.
    pub(super) part: Part,
    /// The steps, in order.
    pub(super) operations: Vec<Operation>,
    /// What must be there before; only in deltas.
    pub(super) old: Option<Info>,
    /// What must be there after.
    pub(super) new: Info,
}

impl Procedure {
    /// Whether the procedure needs nothing of the old image.
    pub(super) fn is_full(&self) -> bool {
        self.old.is_none() && self.operations.iter().all(|operation| operation.kind.is_full())
    }
}

/// Where the signatures message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SignatureSpan {
    /// Bytes from the end of the manifest, which is where the blobs end.
    pub(super) offset: u64,
    /// Bytes.
    pub(super) size: u64,
}

/// What a payload does, checked: data is used in the order in which it comes, extents are within
/// the part that they belong to, and digests have their length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The partition first, then the rest as in the file. A part comes at most once.
    pub(super) procedures: Vec<Procedure>,
    /// Where the signatures are; `None` for an unsigned payload.
    pub(super) signatures: Option<SignatureSpan>,
}

impl Manifest {
    /// Bytes of all blobs together.
    pub(super) fn data_size(&self) -> u64 {
        let operations = self.procedures.iter().flat_map(|procedure| &procedure.operations);
        operations.filter_map(|operation| operation.kind.blob()).map(|blob| blob.length).sum()
    }
}

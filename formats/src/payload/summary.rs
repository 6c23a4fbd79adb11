//! What a payload holds, for people and programs.

use std::fmt;
use std::io::Read;

use serde::Serialize;

use super::error::PayloadError;
use super::header;
use super::manifest::{Info, Kind, Manifest, Part, Procedure};
use super::reader::Reader;
use super::wire;

/// What a payload holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Format version in the header.
    pub version: u64,
    /// Bytes of header and manifest together.
    pub metadata_size: u64,
    /// Bytes of all data.
    pub data_size: u64,
    /// Whether the payload needs nothing of the old image.
    pub full: bool,
    /// The partition, then the others.
    pub parts: Vec<PartSummary>,
    /// None for an unsigned payload.
    pub signatures: Vec<SignatureSummary>,
}

/// What a payload holds for one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartSummary {
    /// Which part.
    pub part: Part,
    /// The image that a delta starts from.
    pub old: Option<Info>,
    /// The image that results.
    pub new: Info,
    /// How many operations of each type.
    pub operations: OperationCounts,
    /// Bytes of data.
    pub data_size: u64,
}

/// How many operations there are of each type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OperationCounts {
    /// REPLACE.
    pub replace: usize,
    /// REPLACE_BZ.
    pub replace_bz: usize,
    /// MOVE.
    #[serde(rename = "move")]
    pub moves: usize,
    /// BSDIFF.
    pub bsdiff: usize,
}

/// A signature, not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SignatureSummary {
    /// For which version of the client it is; Flatcar's looks at the first of version 2.
    pub version: u32,
    /// Bytes of the signature, which is the size of the key.
    pub size: usize,
}

/// Reads a payload and says what it holds. Neither data nor signatures are checked.
///
/// # Errors
/// The payload is none, is not whole, or its manifest is invalid.
pub fn inspect(payload: impl Read) -> Result<Summary, PayloadError> {
    let (manifest, mut reader) = Reader::open(payload)?;
    reader.skip_blobs(&manifest)?;
    let metadata_size = reader.metadata_size;
    let tail = reader.finish(&manifest)?;
    Ok(Summary::new(&manifest, metadata_size, &tail.signatures))
}

impl Summary {
    pub(super) fn new(
        manifest: &Manifest,
        metadata_size: u64,
        signatures: &wire::Signatures,
    ) -> Self {
        let signature = |message: &wire::Signature| SignatureSummary {
            version: message.version.unwrap_or(0),
            size: message.data.as_ref().map_or(0, Vec::len),
        };
        Self {
            version: header::VERSION,
            metadata_size,
            data_size: manifest.data_size(),
            full: manifest.procedures.iter().all(Procedure::is_full),
            parts: manifest.procedures.iter().map(PartSummary::new).collect(),
            signatures: signatures.signatures.iter().map(signature).collect(),
        }
    }
}

impl PartSummary {
    fn new(procedure: &Procedure) -> Self {
        let mut operations = OperationCounts::default();
        let mut data_size = 0;
        for operation in &procedure.operations {
            let count = match operation.kind {
                Kind::Replace(_) => &mut operations.replace,
                Kind::ReplaceBz(_) => &mut operations.replace_bz,
                Kind::Move => &mut operations.moves,
                Kind::Bsdiff { .. } => &mut operations.bsdiff,
            };
            *count += 1;
            data_size += operation.kind.blob().map_or(0, |blob| blob.length);
        }
        let Procedure { part, old, new, .. } = *procedure;
        Self { part, old, new, operations, data_size }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.full { "full update" } else { "delta" };
        writeln!(f, "CrAU payload, version {}, {kind}", self.version)?;
        writeln!(f, "metadata    {} bytes", self.metadata_size)?;
        writeln!(f, "data        {} bytes", self.data_size)?;
        for part in &self.parts {
            write!(f, "{part}")?;
        }
        if self.signatures.is_empty() {
            writeln!(f, "signatures  none")?;
        }
        for signature in &self.signatures {
            writeln!(f, "signature   version {}, RSA-{}", signature.version, signature.size * 8)?;
        }
        Ok(())
    }
}

impl fmt::Display for PartSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<12}", self.part)?;
        writeln!(f, "{} bytes of data, {}", self.data_size, self.operations)?;
        if let Some(old) = self.old {
            writeln!(f, "{:<12}from {} bytes, SHA-256 {}", "", old.size, old.sha256)?;
        }
        writeln!(f, "{:<12}to {} bytes, SHA-256 {}", "", self.new.size, self.new.sha256)
    }
}

impl fmt::Display for OperationCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.replace, "REPLACE"),
            (self.replace_bz, "REPLACE_BZ"),
            (self.moves, "MOVE"),
            (self.bsdiff, "BSDIFF"),
        ];
        let used = counts.iter().filter(|(count, _)| *count > 0);
        let used: Vec<_> = used.map(|(count, name)| format!("{count} {name}")).collect();
        match used.is_empty() {
            true => f.write_str("no operations"),
            false => f.write_str(&used.join(", ")),
        }
    }
}

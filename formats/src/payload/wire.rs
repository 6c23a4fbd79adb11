//! The protobuf messages of a payload as they are on the wire (`update_metadata.proto`, proto2).
//!
//! Written by hand so that no build needs `protoc`. Nothing here is checked: see `validate`.

/// What the payload does, with which data.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DeltaArchiveManifest {
    #[prost(message, repeated, tag = "1")]
    pub(super) partition_operations: Vec<InstallOperation>,
    #[prost(message, repeated, tag = "2")]
    pub(super) noop_operations: Vec<InstallOperation>,
    #[prost(uint32, optional, tag = "3")]
    pub(super) block_size: Option<u32>,
    #[prost(uint64, optional, tag = "4")]
    pub(super) signatures_offset: Option<u64>,
    #[prost(uint64, optional, tag = "5")]
    pub(super) signatures_size: Option<u64>,
    #[prost(message, optional, tag = "8")]
    pub(super) old_partition_info: Option<InstallInfo>,
    #[prost(message, optional, tag = "9")]
    pub(super) new_partition_info: Option<InstallInfo>,
    #[prost(message, repeated, tag = "10")]
    pub(super) procedures: Vec<InstallProcedure>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct InstallOperation {
    // An enum on the wire; a number here, because an unknown one must be an error and not a default.
    #[prost(int32, optional, tag = "1")]
    pub(super) kind: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    pub(super) data_offset: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    pub(super) data_length: Option<u32>,
    #[prost(message, repeated, tag = "4")]
    pub(super) src_extents: Vec<Extent>,
    #[prost(uint64, optional, tag = "5")]
    pub(super) src_length: Option<u64>,
    #[prost(message, repeated, tag = "6")]
    pub(super) dst_extents: Vec<Extent>,
    #[prost(uint64, optional, tag = "7")]
    pub(super) dst_length: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "8")]
    pub(super) data_sha256_hash: Option<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Extent {
    #[prost(uint64, optional, tag = "1")]
    pub(super) start_block: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) num_blocks: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct InstallInfo {
    #[prost(uint64, optional, tag = "1")]
    pub(super) size: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(super) hash: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct InstallProcedure {
    #[prost(int32, optional, tag = "1")]
    pub(super) kind: Option<i32>,
    #[prost(message, repeated, tag = "2")]
    pub(super) operations: Vec<InstallOperation>,
    #[prost(message, optional, tag = "3")]
    pub(super) old_info: Option<InstallInfo>,
    #[prost(message, optional, tag = "4")]
    pub(super) new_info: Option<InstallInfo>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Signatures {
    #[prost(message, repeated, tag = "1")]
    pub(super) signatures: Vec<Signature>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Signature {
    #[prost(uint32, optional, tag = "1")]
    pub(super) version: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(super) data: Option<Vec<u8>>,
}

/// The most operations, extents and procedures that a manifest may hold.
///
/// An empty operation takes 2 bytes on the wire and over 100 in memory, so a limit on the manifest's
/// size alone would let a small file ask for gigabytes. A 2 GiB partition has 524,288 blocks, hence
/// no need for more extents than that; a full update of it has 2,048 operations.
const LIMITS: Counts = Counts { operations: 1 << 16, extents: 1 << 19, procedures: 16 };

#[derive(Default)]
struct Counts {
    operations: usize,
    extents: usize,
    procedures: usize,
}

#[derive(Clone, Copy)]
enum Message {
    Manifest,
    Procedure,
    Operation,
}

/// Counts what decoding `manifest` would allocate, and says what is over the limit.
pub(super) fn check_limits(manifest: &[u8]) -> Result<(), String> {
    let mut counts = Counts::default();
    count(Message::Manifest, manifest, &mut counts)
}

fn count(message: Message, mut bytes: &[u8], counts: &mut Counts) -> Result<(), String> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let skipped = match key & 7 {
            0 => varint(&mut bytes).map(|_| 0)?,
            1 => 8,
            2 => varint(&mut bytes)?,
            5 => 4,
            other => return Err(format!("wire type {other} is not used in payloads")),
        };
        let (field, rest) = bytes.split_at_checked(skipped).ok_or("a field is cut short")?;
        bytes = rest;
        let (counter, limit, inner) = match (message, key >> 3) {
            (Message::Manifest, 1 | 2) | (Message::Procedure, 2) => {
                (&mut counts.operations, LIMITS.operations, Some(Message::Operation))
            }
            (Message::Manifest, 10) => {
                (&mut counts.procedures, LIMITS.procedures, Some(Message::Procedure))
            }
            (Message::Operation, 4 | 6) => (&mut counts.extents, LIMITS.extents, None),
            _ => continue,
        };
        *counter += 1;
        if *counter > limit {
            return Err(format!(
                "it holds more than {} operations, {} extents or {} procedures",
                LIMITS.operations, LIMITS.extents, LIMITS.procedures
            ));
        }
        if let Some(inner) = inner {
            count(inner, field, counts)?;
        }
    }
    Ok(())
}

// prost's name for it is narrower than what it does: any varint.
fn varint(bytes: &mut &[u8]) -> Result<usize, String> {
    prost::decode_length_delimiter(bytes).map_err(|error| error.to_string())
}

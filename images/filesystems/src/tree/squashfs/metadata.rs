//! Everything but the contents of files is in blocks of 8 KiB, compressed one by one, and runs on from one into the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::reader::damaged;
use crate::bytes::u16_at;
use crate::{FileSystemError, Kind, Source, compression};

/// What a block of metadata is unpacked to, at most.
pub(super) const METADATA: usize = 8192;

/// How many unpacked blocks are kept: 4 MiB of metadata.
const KEPT: usize = 512;

/// How things are compressed.
#[derive(Clone, Copy)]
pub(super) enum Compressor {
    Gzip,
    Xz,
    Lz4,
    Zstd,
}

impl Compressor {
    pub(super) fn of_number(number: u16) -> Result<Self, FileSystemError> {
        Ok(match number {
            1 => Self::Gzip,
            4 => Self::Xz,
            5 => Self::Lz4,
            6 => Self::Zstd,
            other => {
                let name = match other {
                    2 => "LZMA",
                    3 => "LZO",
                    _ => "unknown",
                };
                let feature =
                    format!("{name} compression (repack it with `mksquashfs -comp zstd`)");
                return Err(FileSystemError::unsupported(Kind::Squashfs, feature));
            }
        })
    }

    pub(super) fn unpack(self, packed: &[u8], most: usize) -> Result<Vec<u8>, FileSystemError> {
        let unpacked = match self {
            Self::Gzip => compression::zlib(packed, most),
            Self::Xz => compression::xz(packed, most),
            Self::Lz4 => compression::lz4(packed, most),
            Self::Zstd => compression::zstd(packed, most),
        };
        unpacked.map_err(|_| damaged("a block does not unpack"))
    }
}

/// A block of metadata, and where the next one is.
type Block = (Arc<Vec<u8>>, u64);

/// Reads blocks of metadata, each once while it is needed often.
pub(super) struct Metadata {
    source: Source,
    compressor: Compressor,
    kept: Mutex<HashMap<u64, Block>>,
}

impl Metadata {
    pub(super) fn new(source: Source, compressor: Compressor) -> Self {
        Self { source, compressor, kept: Mutex::default() }
    }

    fn block(&self, at: u64) -> Result<Block, FileSystemError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = kept.get(&at) {
            return Ok(block.clone());
        }
        let head = u16_at(&self.source.read(at, 2)?, 0);
        // The upper bit is set for a block that is not compressed.
        let count = usize::from(head & 0x7fff);
        if count == 0 || count > METADATA {
            return Err(damaged("a block of metadata has no size"));
        }
        let stored = self.source.read(at + 2, count)?;
        let bytes =
            if head & 0x8000 != 0 { stored } else { self.compressor.unpack(&stored, METADATA)? };
        let block = (Arc::new(bytes), at + 2 + count as u64);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(at, block.clone());
        Ok(block)
    }

    /// Bytes from somewhere in the block at `at` on.
    pub(super) fn cursor(&self, at: u64, offset: usize) -> Result<Cursor<'_>, FileSystemError> {
        let (block, next) = self.block(at)?;
        if offset > block.len() {
            return Err(damaged("something is behind its block of metadata"));
        }
        Ok(Cursor { metadata: self, block, next, offset })
    }
}

/// Reads on over the borders of blocks.
pub(super) struct Cursor<'a> {
    metadata: &'a Metadata,
    block: Arc<Vec<u8>>,
    next: u64,
    offset: usize,
}

impl Cursor<'_> {
    pub(super) fn take(&mut self, count: usize) -> Result<Vec<u8>, FileSystemError> {
        // It may be less than was asked for, so nothing is allocated ahead.
        let mut bytes = Vec::new();
        while bytes.len() < count {
            if self.offset == self.block.len() {
                (self.block, self.next) = self.metadata.block(self.next)?;
                self.offset = 0;
                if self.block.is_empty() {
                    return Err(damaged("a block of metadata is empty"));
                }
            }
            let ready = &self.block[self.offset..];
            let now = ready.len().min(count - bytes.len());
            bytes.extend_from_slice(&ready[..now]);
            self.offset += now;
        }
        Ok(bytes)
    }
}

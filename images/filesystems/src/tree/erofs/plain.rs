//! Files that are not compressed.

use super::reader::{Erofs, Raw, damaged};
use crate::bytes::u32_at;
use crate::tree::{Chunk, Chunks};
use crate::{FileSystemError, Kind};

/// How much is read at a time.
const PIECE: u64 = 1 << 20;

/// A file in one piece, whose end may be beside its inode.
pub(super) struct Flat<'a> {
    erofs: &'a Erofs,
    start: u64,
    /// Where the end of the file is that is not with the rest, and how long it is.
    tail: (u64, u64),
    at: u64,
    size: u64,
}

impl<'a> Flat<'a> {
    pub(super) fn open(erofs: &'a Erofs, raw: &Raw) -> Result<Self, FileSystemError> {
        let block = 1_u64 << erofs.block_bits;
        let size = raw.inode.size;
        let inline = if raw.layout == 2 { size % block } else { 0 };
        // A full last block can be beside the inode, too.
        let inline =
            if raw.layout == 2 && inline == 0 && size > 0 { block.min(size) } else { inline };
        if size > erofs.source.size() {
            return Err(damaged("a file is larger than the image"));
        }
        let start = u64::from(raw.location) << erofs.block_bits;
        Ok(Self { erofs, start, tail: (raw.end, inline), at: 0, size })
    }
}

impl Chunks for Flat<'_> {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Chunk>, FileSystemError> {
        let body = self.size - self.tail.1;
        let (from, count) = if self.at < body {
            (self.start + self.at, (body - self.at).min(PIECE))
        } else if self.at < self.size {
            (self.tail.0, self.tail.1)
        } else {
            return Ok(None);
        };
        *buffer = self.erofs.source.read(from, count as usize)?;
        self.at += count;
        Ok(Some(Chunk::Data))
    }
}

/// A file in chunks of one size, each of which can be anywhere or nowhere.
pub(super) struct Chunked<'a> {
    erofs: &'a Erofs,
    /// Where the places of the chunks are.
    table: u64,
    /// Bytes of one place: 8, or 4 if it is no more than a block number.
    entry: u64,
    chunk_bits: u32,
    at: u64,
    size: u64,
}

impl<'a> Chunked<'a> {
    pub(super) fn open(erofs: &'a Erofs, raw: &Raw) -> Result<Self, FileSystemError> {
        let chunk_bits = erofs.block_bits + (raw.location & 0x1f);
        let entry = if raw.location & 0x20 != 0 { 8 } else { 4 };
        if chunk_bits > 47 {
            return Err(damaged("chunks of more than 2^47 bytes"));
        }
        let table = raw.end.next_multiple_of(entry);
        Ok(Self { erofs, table, entry, chunk_bits, at: 0, size: raw.inode.size })
    }
}

impl Chunks for Chunked<'_> {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Chunk>, FileSystemError> {
        if self.at >= self.size {
            return Ok(None);
        }
        let offset = (self.at >> self.chunk_bits) * self.entry;
        let entry =
            self.erofs.source.read(self.table.saturating_add(offset), self.entry as usize)?;
        let (device, block) = if self.entry == 8 {
            (u32_at(&entry, 0) >> 16, u32_at(&entry, 4))
        } else {
            (0, u32_at(&entry, 0))
        };
        let inside = self.at & ((1 << self.chunk_bits) - 1);
        let left = ((1 << self.chunk_bits) - inside).min(self.size - self.at);
        if block == u32::MAX {
            self.at += left;
            return Ok(Some(Chunk::Zeros(left)));
        }
        if device != 0 {
            return Err(FileSystemError::unsupported(Kind::Erofs, "data on another device"));
        }
        let count = left.min(PIECE);
        let from = (u64::from(block) << self.erofs.block_bits) + inside;
        *buffer = self.erofs.source.read(from, count as usize)?;
        self.at += count;
        Ok(Some(Chunk::Data))
    }
}

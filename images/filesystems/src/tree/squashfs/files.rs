//! Contents: blocks one after the other, and an end that several files may share a block for.

use std::sync::{Arc, PoisonError};

use super::metadata::{Cursor, METADATA};
use super::reader::{NONE, Squashfs, damaged};
use crate::FileSystemError;
use crate::bytes::{u32_at, u64_at};
use crate::tree::{Chunk, Chunks};

/// In the size of a block: that it is not compressed.
const STORED: u32 = 1 << 24;

/// How many blocks with ends of files are kept; at most 1 MiB each.
const KEPT: usize = 8;

pub(super) struct File<'a> {
    squashfs: &'a Squashfs,
    sizes: Cursor<'a>,
    /// Where the next block is.
    place: u64,
    fragment: u32,
    offset: u32,
    left: u64,
}

impl<'a> File<'a> {
    pub(super) fn new(
        squashfs: &'a Squashfs,
        sizes: Cursor<'a>,
        size: u64,
        start: u64,
        fragment: u32,
        offset: u32,
    ) -> Self {
        Self { squashfs, sizes, place: start, fragment, offset, left: size }
    }
}

impl Squashfs {
    fn data(&self, place: u64, size: u32) -> Result<Vec<u8>, FileSystemError> {
        let count = size & (STORED - 1);
        if count > self.block || size >= STORED << 1 {
            return Err(damaged("a block is larger than it may be"));
        }
        let stored = self.source.read(place, count as usize)?;
        if size & STORED != 0 {
            Ok(stored)
        } else {
            self.compressor.unpack(&stored, self.block as usize)
        }
    }

    fn fragment(&self, number: u32) -> Result<Arc<Vec<u8>>, FileSystemError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = kept.iter().find(|(kept, _)| *kept == number) {
            return Ok(Arc::clone(bytes));
        }
        if number >= self.fragment_count {
            return Err(damaged("the end of a file is nowhere"));
        }
        // A table of 16 bytes each.
        let byte = u64::from(number) * 16;
        let (block, offset) = (byte / METADATA as u64, (byte % METADATA as u64) as usize);
        let place = self.source.read(self.fragments.saturating_add(block * 8), 8)?;
        let entry = self.metadata.cursor(u64_at(&place, 0), offset)?.take(16)?;
        let bytes = Arc::new(self.data(u64_at(&entry, 0), u32_at(&entry, 8))?);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((number, Arc::clone(&bytes)));
        Ok(bytes)
    }
}

impl Chunks for File<'_> {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Chunk>, FileSystemError> {
        let block = u64::from(self.squashfs.block);
        if self.left == 0 {
            return Ok(None);
        }
        let count = self.left.min(block);
        if count < block && self.fragment != NONE {
            let bytes = self.squashfs.fragment(self.fragment)?;
            let start = self.offset as usize;
            let part = bytes.get(start..start + count as usize);
            *buffer = part.ok_or_else(|| damaged("the end of a file is cut short"))?.to_owned();
            self.left = 0;
            return Ok(Some(Chunk::Data));
        }
        let size = u32_at(&self.sizes.take(4)?, 0);
        self.left -= count;
        // A block of size 0 is a hole.
        if size == 0 {
            return Ok(Some(Chunk::Zeros(count)));
        }
        *buffer = self.squashfs.data(self.place, size)?;
        self.place = self.place.saturating_add((size & (STORED - 1)).into());
        if buffer.len() as u64 != count {
            return Err(damaged("a block of a file has the wrong length"));
        }
        Ok(Some(Chunk::Data))
    }
}

//! Addresses in btrfs are logical; chunks say where on the device they are.

use super::reader::damaged;
use crate::bytes::{u16_at, u64_at};
use crate::{FileSystemError, Kind};

/// Types of chunks whose bytes lie in one piece on the one device: single, RAID1 of any kind and DUP have none of these bits.
const STRIPED: u64 = 0x8 | 0x40 | 0x80 | 0x100;

/// The most chunks; each is at least some megabytes long.
const MOST_CHUNKS: usize = 1 << 16;

#[derive(Clone, Copy)]
struct Chunk {
    logical: u64,
    length: u64,
    physical: u64,
}

#[derive(Default)]
pub(super) struct Chunks(Vec<Chunk>);

impl Chunks {
    /// Adds the chunk of an item, and gives the length of the item.
    pub(super) fn add(&mut self, logical: u64, item: &[u8]) -> Result<usize, FileSystemError> {
        let stripes = usize::from(u16_at(item, 44));
        let length = 48 + stripes * 32;
        if stripes == 0 || item.len() < length || self.0.len() >= MOST_CHUNKS {
            return Err(damaged("a chunk is nowhere"));
        }
        if u64_at(item, 24) & STRIPED != 0 {
            return Err(FileSystemError::unsupported(Kind::Btrfs, "stripes over several devices"));
        }
        let chunk = Chunk { logical, length: u64_at(item, 0), physical: u64_at(item, 56) };
        let at = self.0.partition_point(|other| other.logical < logical);
        // The first chunks are in the superblock, too.
        if self.0.get(at).is_none_or(|other| other.logical != logical) {
            self.0.insert(at, chunk);
        }
        Ok(length)
    }

    /// Where on the device so many bytes from a logical address are.
    pub(super) fn physical(&self, logical: u64, count: u64) -> Result<u64, FileSystemError> {
        let after = self.0.partition_point(|chunk| chunk.logical <= logical);
        let chunk = after.checked_sub(1).and_then(|index| self.0.get(index));
        let place = chunk.and_then(|chunk| {
            let inside = logical - chunk.logical;
            let fits = inside.checked_add(count)? <= chunk.length;
            chunk.physical.checked_add(inside).filter(|_| fits)
        });
        place.ok_or_else(|| damaged("something is in no chunk"))
    }
}

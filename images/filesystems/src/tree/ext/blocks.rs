//! Where the blocks of a file are: a tree of extents, or the older maps of block numbers.

use super::reader::{EXTENTS, Ext};
use crate::FileSystemError;
use crate::bytes::{u16_at, u32_at};
use crate::tree::{Chunk, Chunks};

/// How much is read at a time.
const PIECE: u64 = 1 << 20;

/// The most blocks that say where the blocks of one file are. Enough for a terabyte in pieces.
const MOST_MAPS: usize = 1 << 18;

/// The most extents of one file, so that they fit into memory.
const MOST_EXTENTS: usize = 1 << 20;

/// A run of blocks of a file.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    /// The first block in the file.
    logical: u64,
    /// The first block on the disk; `None` for what was never written.
    physical: Option<u64>,
    count: u64,
}

/// Collects extents in the order of the file.
struct Collector<'a> {
    ext: &'a Ext,
    extents: Vec<Extent>,
    maps: usize,
}

/// Where a file with this inode is, in order and without overlaps.
pub(super) fn extents(ext: &Ext, raw: &[u8], size: u64) -> Result<Vec<Extent>, FileSystemError> {
    let mut collector = Collector { ext, extents: Vec::new(), maps: 0 };
    if u32_at(raw, 32) & EXTENTS != 0 {
        collector.tree(&raw[40..100], None)?;
    } else {
        let blocks = size.div_ceil(ext.block);
        let numbers: Vec<_> = (0..15).map(|index| u32_at(raw, 40 + index * 4)).collect();
        let mut logical = 0;
        for number in &numbers[..12] {
            collector.map(*number, 0, &mut logical, blocks)?;
        }
        for (level, number) in (1..).zip(&numbers[12..]) {
            collector.map(*number, level, &mut logical, blocks)?;
        }
    }
    Ok(collector.extents)
}

impl Collector<'_> {
    fn count_map(&mut self) -> Result<(), FileSystemError> {
        self.maps += 1;
        if self.maps > MOST_MAPS {
            return Err(self.ext.damaged("the map of a file has no end"));
        }
        Ok(())
    }

    /// A node of a tree of extents. Levels only go down, so a loop ends; places only go up, so none is followed twice.
    fn tree(&mut self, node: &[u8], level: Option<u16>) -> Result<(), FileSystemError> {
        let (magic, count, depth) = (u16_at(node, 0), u16_at(node, 2), u16_at(node, 6));
        if magic != 0xf30a || depth > 5 || level.is_some_and(|level| level != depth) {
            return Err(self.ext.damaged("a tree of extents is none"));
        }
        let entries = node[12..].chunks_exact(12).take(count.into());
        if entries.len() < usize::from(count) {
            return Err(self.ext.damaged("a tree of extents is larger than its block"));
        }
        for entry in entries {
            if depth > 0 {
                self.count_map()?;
                let block = u64::from(u32_at(entry, 4)) | u64::from(u16_at(entry, 8)) << 32;
                let block = self.ext.block(block)?;
                self.tree(&block, Some(depth - 1))?;
                continue;
            }
            let length = u64::from(u16_at(entry, 4));
            let physical = u64::from(u32_at(entry, 8)) | u64::from(u16_at(entry, 6)) << 32;
            // Longer than possible means: reserved, but never written.
            let (count, physical) = if length > 1 << 15 {
                (length - (1 << 15), None)
            } else {
                (length, Some(physical))
            };
            self.push(Extent { logical: u32_at(entry, 0).into(), physical, count })?;
        }
        Ok(())
    }

    /// A block of a file without extents, or a block of the numbers of such blocks. `logical` is where in the file it is.
    fn map(
        &mut self,
        number: u32,
        level: u32,
        logical: &mut u64,
        blocks: u64,
    ) -> Result<(), FileSystemError> {
        let numbers = self.ext.block / 4;
        if *logical >= blocks {
            return Ok(());
        }
        if number == 0 {
            *logical += numbers.pow(level);
            return Ok(());
        }
        if level == 0 {
            self.push(Extent { logical: *logical, physical: Some(number.into()), count: 1 })?;
            *logical += 1;
            return Ok(());
        }
        self.count_map()?;
        let block = self.ext.block(number.into())?;
        for index in 0..numbers as usize {
            self.map(u32_at(&block, index * 4), level - 1, logical, blocks)?;
        }
        Ok(())
    }

    fn push(&mut self, extent: Extent) -> Result<(), FileSystemError> {
        if let Some(last) = self.extents.last_mut() {
            let end = last.logical + last.count;
            if extent.logical < end {
                return Err(self.ext.damaged("extents of a file overlap"));
            }
            let follows =
                last.physical.is_some_and(|first| Some(first + last.count) == extent.physical);
            if extent.logical == end && follows {
                last.count += extent.count;
                return Ok(());
            }
        }
        if self.extents.len() >= MOST_EXTENTS {
            return Err(self.ext.damaged("a file is in too many pieces"));
        }
        self.extents.push(extent);
        Ok(())
    }
}

/// A file in extents.
pub(super) struct Blocks<'a> {
    ext: &'a Ext,
    extents: std::vec::IntoIter<Extent>,
    now: Option<Extent>,
    at: u64,
    size: u64,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(ext: &'a Ext, extents: Vec<Extent>, size: u64) -> Self {
        Self { ext, extents: extents.into_iter(), now: None, at: 0, size }
    }
}

impl Chunks for Blocks<'_> {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Chunk>, FileSystemError> {
        if self.at >= self.size {
            return Ok(None);
        }
        let block = self.ext.block;
        let ends = |extent: &Extent| (extent.logical + extent.count) * block;
        while self.now.as_ref().is_none_or(|extent| ends(extent) <= self.at) {
            self.now = self.extents.next();
            if self.now.is_none() {
                break;
            }
        }
        let (end, physical) = match &self.now {
            // A hole up to the next extent, or to the end.
            None => (self.size, None),
            Some(extent) if extent.logical * block > self.at => (extent.logical * block, None),
            Some(extent) => {
                let inside = self.at - extent.logical * block;
                let start =
                    extent.physical.map(|first| first.saturating_mul(block).saturating_add(inside));
                (ends(extent), start)
            }
        };
        let count = end.min(self.size) - self.at;
        let Some(start) = physical else {
            self.at += count;
            return Ok(Some(Chunk::Zeros(count)));
        };
        let count = count.min(PIECE);
        *buffer = self.ext.source.read(start, count as usize)?;
        self.at += count;
        Ok(Some(Chunk::Data))
    }
}

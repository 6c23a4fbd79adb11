//! Contents: extents, each in its item, or somewhere on the device.

use super::nodes::{Item, Nodes};
use super::reader::damaged;
use crate::bytes::{u8_at, u64_at};
use crate::compression;
use crate::tree::{Chunk, Chunks};
use crate::{FileSystemError, Kind};

/// How much of a plain extent is read at a time.
const PIECE: u64 = 1 << 20;

/// The most bytes of a compressed extent, packed or not. Linux makes none of more than 128 KiB.
const MOST_COMPRESSED: u64 = 1 << 20;

pub(super) struct File<'a> {
    nodes: &'a Nodes,
    extents: std::vec::IntoIter<Item>,
    now: Option<Item>,
    at: u64,
    size: u64,
}

impl<'a> File<'a> {
    pub(super) fn new(nodes: &'a Nodes, extents: Vec<Item>, size: u64) -> Self {
        let mut extents = extents.into_iter();
        Self { nodes, now: extents.next(), extents, at: 0, size }
    }

    /// A piece of an extent, from `inside` on, of at most `most` bytes.
    fn piece(
        &self,
        item: &[u8],
        inside: u64,
        most: u64,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Chunk>, FileSystemError> {
        let (unpacked, compression) = (u64_at(item, 8), u8_at(item, 16));
        if u8_at(item, 17) != 0 {
            return Err(FileSystemError::unsupported(Kind::Btrfs, "encrypted files"));
        }
        let (packed, offset) = if u8_at(item, 20) == 0 {
            (item.get(21..).unwrap_or_default().to_owned(), 0)
        } else {
            let (logical, stored, offset) = (u64_at(item, 21), u64_at(item, 29), u64_at(item, 37));
            // What was reserved but never written, and holes, are zeros.
            if logical == 0 || u8_at(item, 20) == 2 {
                return Ok(Some(Chunk::Zeros(most)));
            }
            let inside = offset.checked_add(inside).filter(|inside| *inside < 1 << 50);
            let inside = inside.ok_or_else(|| damaged("an extent has an absurd place"))?;
            if compression == 0 {
                let count = most.min(PIECE);
                let place = self.nodes.chunks.physical(logical.saturating_add(inside), count)?;
                *buffer = self.nodes.source.read(place, count as usize)?;
                return Ok(Some(Chunk::Data));
            }
            if stored > MOST_COMPRESSED {
                return Err(damaged("a compressed extent is too long"));
            }
            let place = self.nodes.chunks.physical(logical, stored)?;
            (self.nodes.source.read(place, stored as usize)?, offset)
        };
        if unpacked > MOST_COMPRESSED {
            return Err(damaged("a compressed extent is too long"));
        }
        let unpacked = unpacked as usize;
        let bytes = match compression {
            0 => packed,
            1 => compression::zlib(&packed, unpacked)
                .map_err(|_| damaged("an extent does not unpack"))?,
            3 => compression::zstd(&packed, unpacked)
                .map_err(|_| damaged("an extent does not unpack"))?,
            2 => {
                return Err(FileSystemError::unsupported(
                    Kind::Btrfs,
                    "LZO compression (use zstd)",
                ));
            }
            other => {
                let feature = format!("compression number {other}");
                return Err(FileSystemError::unsupported(Kind::Btrfs, feature));
            }
        };
        // The rest of the last block may have been left out.
        let start = (offset.saturating_add(inside)).min(bytes.len() as u64) as usize;
        let end = start.saturating_add(most as usize).min(bytes.len());
        if start == end {
            return Ok(Some(Chunk::Zeros(most)));
        }
        *buffer = bytes[start..end].to_owned();
        Ok(Some(Chunk::Data))
    }
}

/// How much of the file an extent is.
fn length(item: &[u8]) -> u64 {
    if u8_at(item, 20) == 0 { u64_at(item, 8) } else { u64_at(item, 45) }
}

impl Chunks for File<'_> {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Chunk>, FileSystemError> {
        while self.at < self.size {
            let Some((key, item)) = &self.now else {
                let count = self.size - self.at;
                self.at = self.size;
                return Ok(Some(Chunk::Zeros(count)));
            };
            let end = key.offset.saturating_add(length(item));
            if key.offset > self.at {
                let count = key.offset.min(self.size) - self.at;
                self.at += count;
                return Ok(Some(Chunk::Zeros(count)));
            }
            if end <= self.at {
                self.now = self.extents.next();
                continue;
            }
            let most = end.min(self.size) - self.at;
            let chunk = self.piece(item, self.at - key.offset, most, buffer)?;
            self.at += match &chunk {
                Some(Chunk::Zeros(count)) => *count,
                _ => buffer.len() as u64,
            };
            return Ok(chunk);
        }
        Ok(None)
    }
}

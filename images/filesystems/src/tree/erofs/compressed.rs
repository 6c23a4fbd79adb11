//! Compressed files: an index says of each *cluster* of a file whether a compressed piece begins in it, and where that is.

use super::reader::{Erofs, Raw, ZERO_PADDING, damaged};
use crate::bytes::{u8_at, u16_at, u32_at};
use crate::compression;
use crate::tree::{Chunk, Chunks};
use crate::{FileSystemError, Kind};

/// The largest piece that is unpacked at a time. Linux allows 12 MiB unpacked, and 1 MiB packed.
const MOST_UNPACKED: u64 = 16 << 20;
const MOST_PACKED: u64 = 2 << 20;

/// In the header of an index.
const PACKS_OF_TWO_BYTES: u16 = 0x1;
const BIG_FIRST: u16 = 0x2;
const BIG_SECOND: u16 = 0x4;
const INLINE: u16 = 0x8;
const INTERLACED: u16 = 0x10;
const FRAGMENT: u16 = 0x20;

/// In the distance of a cluster: that it is the number of blocks of the piece before it.
const IS_BLOCKS: u32 = 1 << 11;

/// What the index says of one cluster.
#[derive(Clone, Copy, Debug)]
enum Cluster {
    /// A piece begins there, so many bytes behind the start of the cluster.
    Head { plain: bool, second: bool, offset: u64, block: u64 },
    /// None does. If it is the first after a head, it may say how many blocks the piece takes.
    Inner { blocks: Option<u64> },
}

pub(super) struct Compressed<'a> {
    erofs: &'a Erofs,
    advice: u16,
    /// By first and second head.
    algorithms: [u8; 2],
    cluster_bits: u32,
    full: bool,
    /// Where the index begins, and how many clusters it is about.
    index: u64,
    clusters: u64,
    /// The last cluster with a head, if its piece is beside the index; and how long that is.
    inline: Option<u64>,
    /// Where in the packed inode the end of the file is, and where in the file that begins.
    fragment: Option<u64>,
    whole_is_fragment: bool,
    /// The next cluster to look at, and where the file was read to.
    cluster: u64,
    at: u64,
    size: u64,
}

impl<'a> Compressed<'a> {
    pub(super) fn open(erofs: &'a Erofs, raw: &Raw) -> Result<Self, FileSystemError> {
        let start = raw.end.next_multiple_of(8);
        let header = erofs.source.read(start, 8)?;
        let (advice, bits) = (u16_at(&header, 4), u8_at(&header, 7));
        let full = raw.layout == 1;
        let size = raw.inode.size;
        let cluster_bits = erofs.block_bits + u32::from(bits & 7);
        let whole_is_fragment = bits & 0x80 != 0;
        if !full && cluster_bits > 14 {
            return Err(damaged(format!("clusters of 2^{cluster_bits} bytes")));
        }
        let fragment = whole_is_fragment || advice & FRAGMENT != 0;
        let inline = (advice & INLINE != 0).then(|| u64::from(u16_at(&header, 2)));
        Ok(Self {
            erofs,
            advice,
            algorithms: [u8_at(&header, 6) & 15, u8_at(&header, 6) >> 4],
            cluster_bits,
            full,
            index: start + if full { 16 } else { 8 },
            clusters: size.div_ceil(1 << cluster_bits),
            inline,
            fragment: fragment.then(|| u64::from(u32_at(&header, 0))),
            whole_is_fragment,
            cluster: 0,
            at: 0,
            size,
        })
    }

    /// What the index says of a cluster, and where the index goes on behind it.
    fn cluster(&self, number: u64) -> Result<(Cluster, u64), FileSystemError> {
        if self.full { self.full_cluster(number) } else { self.packed_cluster(number) }
    }

    fn big(&self) -> bool {
        self.advice & (BIG_FIRST | BIG_SECOND) != 0
    }

    fn full_cluster(&self, number: u64) -> Result<(Cluster, u64), FileSystemError> {
        let at = self.index + number * 8;
        let entry = self.erofs.source.read(at, 8)?;
        let kind = u16_at(&entry, 0) & 3;
        let cluster = if kind == 2 {
            let distance = u32::from(u16_at(&entry, 4));
            let blocks = (distance & IS_BLOCKS != 0).then(|| u64::from(distance & !IS_BLOCKS));
            Cluster::Inner { blocks }
        } else {
            let (offset, block) = (u16_at(&entry, 2).into(), u32_at(&entry, 4).into());
            Cluster::Head { plain: kind == 0, second: kind == 3, offset, block }
        };
        Ok((cluster, at + 8))
    }

    /// Entries are in packs that share one block number: of two in 8 bytes, or of 16 in 32 bytes.
    fn packed_cluster(&self, number: u64) -> Result<(Cluster, u64), FileSystemError> {
        // The packs of 32 bytes are aligned; before and behind them are packs of 8.
        let before = ((32 - self.index % 32) / 4) & 7;
        let dense = if self.advice & PACKS_OF_TWO_BYTES != 0 && before < self.clusters {
            (self.clusters - before) / 16 * 16
        } else {
            0
        };
        let (at, width) = if number < before {
            (self.index + number * 4, 4)
        } else if number - before < dense {
            (self.index + before * 4 + (number - before) * 2, 2)
        } else {
            (self.index + before * 4 + dense * 2 + (number - before - dense) * 4, 4)
        };
        let entries: u64 = if width == 4 { 2 } else { 16 };
        let bytes = entries * width;
        let start = at / bytes * bytes;
        let pack = self.erofs.source.read(start, bytes as usize)?;
        let bits = self.cluster_bits.max(12);
        let entry_bits = ((bytes - 4) * 8 / entries) as usize;
        let entry = |index: usize| {
            let position = index * entry_bits;
            let word = u32_at(&pack, position / 8) >> (position % 8);
            (word & ((1 << bits) - 1), word >> bits & 3)
        };
        let mut index = ((at - start) / width) as usize;
        let (low, kind) = entry(index);
        let next = start + bytes;
        if kind == 2 {
            let blocks = (low & IS_BLOCKS != 0).then(|| u64::from(low & !IS_BLOCKS));
            return Ok((Cluster::Inner { blocks }, next));
        }
        // The number in the pack is of the block before its first piece: count those that begin before this one.
        let mut before_it = 0_u64;
        let wrong = || damaged("an index of compressed pieces contradicts itself");
        if self.big() {
            while index > 0 {
                index -= 1;
                let (low, kind) = entry(index);
                if kind != 2 {
                    before_it += 1;
                } else if low & IS_BLOCKS != 0 {
                    index = index.saturating_sub(1);
                    before_it += u64::from(low & !IS_BLOCKS);
                } else {
                    let back = (low as usize).checked_sub(2).ok_or_else(wrong)?;
                    index = index.saturating_sub(back);
                }
            }
        } else {
            before_it = 1;
            while index > 0 {
                index -= 1;
                let (low, kind) = entry(index);
                let Some(head) = index.checked_sub(if kind == 2 { low as usize } else { 0 }) else {
                    break;
                };
                index = head;
                before_it += 1;
            }
        }
        let block = u64::from(u32_at(&pack, bytes as usize - 4)) + before_it;
        let (plain, second) = (kind == 0, kind == 3);
        Ok((Cluster::Head { plain, second, offset: low.into(), block }, next))
    }

    /// The end of the file that is kept in another inode, with the ends of other files.
    fn fragment(&self, start: u64, buffer: &mut Vec<u8>) -> Result<(), FileSystemError> {
        let lost = || damaged("the end of a file is nowhere");
        let packed = self.erofs.raw(self.erofs.packed.ok_or_else(lost)?)?;
        let count = self.size - self.at;
        let end = start.checked_add(count).ok_or_else(lost)?;
        if end > packed.inode.size || count > MOST_UNPACKED {
            return Err(lost());
        }
        let mut pieces: Box<dyn Chunks + '_> = match packed.layout {
            0 | 2 => Box::new(super::plain::Flat::open(self.erofs, &packed)?),
            _ => {
                let mut pieces = Compressed::open(self.erofs, &packed)?;
                // The ends of files have no ends elsewhere, or this would never end.
                if pieces.fragment.is_some() {
                    return Err(damaged("the ends of files have ends elsewhere"));
                }
                pieces.skip_to(start)?;
                Box::new(pieces)
            }
        };
        let mut at = match packed.layout {
            0 | 2 => 0,
            _ => start,
        };
        buffer.clear();
        let mut piece = Vec::new();
        while at < end {
            match pieces.next(&mut piece)? {
                Some(Chunk::Data) => {}
                Some(Chunk::Zeros(_)) | None => return Err(lost()),
            }
            let skip = start.saturating_sub(at).min(piece.len() as u64) as usize;
            let stop = (end - at).min(piece.len() as u64) as usize;
            buffer.extend_from_slice(&piece[skip..stop.max(skip)]);
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Makes the piece that holds this byte the next, without what is before it.
    fn skip_to(&mut self, at: u64) -> Result<(), FileSystemError> {
        let mut number = at >> self.cluster_bits;
        let inside = at & ((1 << self.cluster_bits) - 1);
        loop {
            if let (Cluster::Head { offset, .. }, _) = self.cluster(number)?
                && (number < at >> self.cluster_bits || offset <= inside)
            {
                break;
            }
            number = number.checked_sub(1).ok_or_else(|| damaged("a file begins nowhere"))?;
        }
        (self.cluster, self.at) = (number, at);
        Ok(())
    }
}

impl Chunks for Compressed<'_> {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Chunk>, FileSystemError> {
        if self.at >= self.size {
            return Ok(None);
        }
        if self.whole_is_fragment {
            self.fragment(self.fragment.unwrap_or(0), buffer)?;
            self.at = self.size;
            return Ok(Some(Chunk::Data));
        }
        let (Cluster::Head { plain, second, offset, block }, _) = self.cluster(self.cluster)?
        else {
            return Err(damaged("a compressed piece begins nowhere"));
        };
        let start = (self.cluster << self.cluster_bits) + offset;
        // The piece ends where the next begins.
        let mut next = self.cluster + 1;
        let mut blocks = None;
        let (mut end, mut last) = (self.size, true);
        while next < self.clusters {
            match self.cluster(next)?.0 {
                Cluster::Head { offset, .. } => {
                    end = (next << self.cluster_bits) + offset;
                    last = false;
                    break;
                }
                Cluster::Inner { blocks: count } if next == self.cluster + 1 => blocks = count,
                Cluster::Inner { .. } => {}
            }
            next += 1;
            if (next - self.cluster) << self.cluster_bits > MOST_UNPACKED + (1 << self.cluster_bits)
            {
                return Err(FileSystemError::TooMuch("16 MiB in a compressed piece".to_owned()));
            }
        }
        // A head at the very end of a file begins nothing.
        end = end.min(self.size);
        last |= end == self.size;
        if start > self.at || end <= self.at {
            return Err(damaged("compressed pieces are not in order"));
        }
        let length = (end - start) as usize;
        if last && self.fragment.is_some() && self.advice & FRAGMENT != 0 {
            // The number of a full index is longer than the header has room for.
            let high = if self.full { block << 32 } else { 0 };
            let place = self.fragment.unwrap_or(0) | high;
            self.fragment(place.saturating_add(self.at - start), buffer)?;
            self.at = self.size;
            return Ok(Some(Chunk::Data));
        }
        let packed = match self.inline {
            Some(count) if last => {
                let (_, behind) = self.cluster(self.clusters - 1)?;
                self.erofs.source.read(behind, count as usize)?
            }
            _ => {
                let big = self.advice & if second { BIG_SECOND } else { BIG_FIRST } != 0;
                let count = match blocks.filter(|_| big) {
                    Some(count) => count << self.erofs.block_bits,
                    None => 1 << self.cluster_bits,
                };
                if count > MOST_PACKED {
                    return Err(FileSystemError::TooMuch("2 MiB in a packed piece".to_owned()));
                }
                self.erofs.source.read(block << self.erofs.block_bits, count as usize)?
            }
        };
        *buffer = if plain {
            self.plain(&packed, length, offset)?
        } else {
            self.unpack(&packed, length, self.algorithms[usize::from(second)])?
        };
        if start < self.at {
            buffer.drain(..(self.at - start) as usize);
        }
        (self.cluster, self.at) = (next, end);
        Ok(Some(Chunk::Data))
    }
}

impl Compressed<'_> {
    /// A piece that didn't get smaller.
    fn plain(&self, stored: &[u8], length: usize, offset: u64) -> Result<Vec<u8>, FileSystemError> {
        if length > stored.len() {
            return Err(damaged("a plain piece is longer than its blocks"));
        }
        let inline = !stored.len().is_multiple_of(1 << self.erofs.block_bits);
        if self.advice & INTERLACED == 0 || inline {
            return Ok(stored[..length].to_owned());
        }
        // Each byte is where it is in its cluster, too, and what is over comes first.
        let turn = (offset as usize) % stored.len();
        Ok(stored[turn..].iter().chain(&stored[..turn]).take(length).copied().collect())
    }

    fn unpack(
        &self,
        packed: &[u8],
        length: usize,
        algorithm: u8,
    ) -> Result<Vec<u8>, FileSystemError> {
        let padded = algorithm != 0 || self.erofs.features & ZERO_PADDING != 0;
        let first = packed.iter().position(|byte| *byte != 0).unwrap_or(packed.len());
        let packed = if padded { &packed[first..] } else { packed };
        let unpacked = match algorithm {
            0 => compression::lz4(packed, length),
            2 => compression::deflate(packed, length),
            3 => compression::zstd(packed, length),
            1 => return Err(FileSystemError::unsupported(Kind::Erofs, "LZMA (use lz4hc or zstd)")),
            other => {
                let feature = format!("compression number {other}");
                return Err(FileSystemError::unsupported(Kind::Erofs, feature));
            }
        };
        match unpacked {
            Ok(unpacked) if unpacked.len() == length => Ok(unpacked),
            _ => Err(damaged("a compressed piece does not unpack")),
        }
    }
}

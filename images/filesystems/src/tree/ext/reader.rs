//! Superblock, inodes and directories.

use super::blocks::{Blocks, extents};
use super::xattrs::{self, xattrs};
use crate::bytes::{u8_at, u16_at, u32_at};
use crate::tree::{
    Chunk, Chunks, Inode, MOST_OF_A_DIRECTORY, MOST_OF_A_FILE, NodeKind, Tree, Xattr, all,
};
use crate::{FileSystemError, Kind, Source, Usage};

/// Features without which things are read wrongly, by their bits.
const RECOVER: u32 = 0x4;
const WIDE: u32 = 0x80;
const KNOWN: u32 =
    0x2 | 0x40 | WIDE | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x1_0000 | 0x2_0000;

/// Flags of an inode.
const ENCRYPTED: u32 = 0x800;
pub(super) const EXTENTS: u32 = 0x8_0000;
pub(super) const INLINE_DATA: u32 = 0x1000_0000;

/// Where block numbers are in an inode; also small contents.
const BLOCK_AREA: std::ops::Range<usize> = 40..100;

const ROOT: u64 = 2;

pub(crate) struct Ext {
    pub(super) source: Source,
    pub(super) kind: Kind,
    pub(super) block: u64,
    blocks: u64,
    free: u64,
    inodes: u64,
    inodes_per_group: u64,
    inode_size: u64,
    /// Where the descriptors of the groups are, and how long each is.
    descriptors: (u64, u64),
}

impl Ext {
    pub(crate) fn open(source: Source, kind: Kind) -> Result<Self, FileSystemError> {
        let superblock = source.read(1024, 1024)?;
        let number = |at: usize| u64::from(u32_at(&superblock, at));
        let damaged = |problem: &str| FileSystemError::damaged(kind, problem);
        let incompatible = u32_at(&superblock, 96);
        if incompatible & RECOVER != 0 {
            let feature = "a journal that was not replayed (run `e2fsck -p` on a copy)";
            return Err(FileSystemError::unsupported(kind, feature));
        }
        if incompatible & !KNOWN != 0 {
            let feature = format!("features {:#x}", incompatible & !KNOWN);
            return Err(FileSystemError::unsupported(kind, feature));
        }
        let block_bits = u32_at(&superblock, 24);
        if block_bits > 6 {
            return Err(damaged("its blocks are too large"));
        }
        let block = 1024_u64 << block_bits;
        let wide = incompatible & WIDE != 0;
        let high = |at: usize| if wide { number(at) << 32 } else { 0 };
        let descriptor = if wide { u64::from(u16_at(&superblock, 254)) } else { 32 };
        // The first version has no field for it.
        let inode_size = if number(76) == 0 { 128 } else { u64::from(u16_at(&superblock, 88)) };
        if !(32..=1024).contains(&descriptor)
            || !(128..=block).contains(&inode_size)
            || number(40) == 0
        {
            return Err(damaged("its sizes cannot be"));
        }
        let blocks = number(4) | high(0x150);
        if blocks.checked_mul(block).is_none_or(|bytes| bytes > source.size()) {
            return Err(FileSystemError::Outside {
                offset: blocks.saturating_mul(block),
                size: source.size(),
            });
        }
        Ok(Self {
            kind,
            block,
            blocks,
            free: (number(12) | high(0x158)).min(blocks),
            inodes: number(0),
            inodes_per_group: number(40),
            inode_size,
            descriptors: ((number(20) + 1) * block, descriptor),
            source,
        })
    }

    pub(super) fn damaged(&self, problem: impl Into<String>) -> FileSystemError {
        FileSystemError::damaged(self.kind, problem)
    }

    /// The bytes of one block. Its number may be any.
    pub(super) fn block(&self, number: u64) -> Result<Vec<u8>, FileSystemError> {
        let offset = number.saturating_mul(self.block);
        self.source.read(offset, self.block as usize)
    }

    /// The bytes of an inode.
    pub(super) fn raw(&self, id: u64) -> Result<Vec<u8>, FileSystemError> {
        let index = id.checked_sub(1).filter(|_| id <= self.inodes);
        let index = index.ok_or_else(|| self.damaged(format!("there is no inode {id}")))?;
        let (start, length) = self.descriptors;
        let group = start + index / self.inodes_per_group * length;
        let descriptor = self.source.read(group, length as usize)?;
        let high = if length >= 64 { u64::from(u32_at(&descriptor, 40)) << 32 } else { 0 };
        let table = u64::from(u32_at(&descriptor, 8)) | high;
        let table = table.saturating_mul(self.block);
        let offset = table.saturating_add(index % self.inodes_per_group * self.inode_size);
        self.source.read(offset, self.inode_size as usize)
    }

    /// The contents of a small file that are in the inode itself. mke2fs leaves files of zeros so, too, however long they
    /// are; Linux reads zeros for what isn't there, and so is it here.
    fn inline(&self, raw: &[u8], size: u64) -> Result<Box<dyn Chunks>, FileSystemError> {
        let mut bytes = raw[BLOCK_AREA].to_owned();
        if size > bytes.len() as u64 {
            let rest = xattrs::of_inode(self, raw)?;
            let rest = rest.into_iter().find(|(name, _)| name == b"system.data");
            bytes.extend(rest.map(|(_, rest)| rest).unwrap_or_default());
        }
        bytes.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        let zeros = size - bytes.len() as u64;
        Ok(Box::new(Inline { bytes, zeros }))
    }

    /// Adds what is in a run of entries.
    fn list(
        &self,
        mut bytes: &[u8],
        entries: &mut Vec<(Vec<u8>, u64)>,
    ) -> Result<(), FileSystemError> {
        while bytes.len() >= 8 {
            // Entries of 64 KiB are stored as 0 or 65535, since 65536 is one too many.
            let length = match u16_at(bytes, 4) {
                0 | u16::MAX if bytes.len() == 1 << 16 => 1 << 16,
                length => usize::from(length),
            };
            let (id, name) = (u32_at(bytes, 0), bytes.get(8..8 + usize::from(u8_at(bytes, 6))));
            if length < 8 || length > bytes.len() {
                return Err(self.damaged("a directory's entries are longer than it is"));
            }
            let name = name.ok_or_else(|| self.damaged("a name is longer than its directory"))?;
            if id != 0 && name != b"." && name != b".." {
                entries.push((name.to_owned(), id.into()));
            }
            bytes = &bytes[length..];
        }
        Ok(())
    }
}

impl Tree for Ext {
    fn root(&self) -> u64 {
        ROOT
    }

    fn inode(&self, id: u64) -> Result<Inode, FileSystemError> {
        let raw = self.raw(id)?;
        let half = |at: usize| u32::from(u16_at(&raw, at));
        let mode = u16_at(&raw, 0);
        let kind = NodeKind::of_mode(self.kind, mode)?;
        let size = u64::from(u32_at(&raw, 4)) | u64::from(u32_at(&raw, 108)) << 32;
        if size > MOST_OF_A_FILE {
            return Err(self.damaged("a file of more bytes than any disk has"));
        }
        let holds = matches!(kind, NodeKind::File | NodeKind::Directory | NodeKind::Symlink);
        Ok(Inode {
            id,
            kind,
            mode: mode & 0o7777,
            uid: half(2) | half(120) << 16,
            gid: half(24) | half(122) << 16,
            size: if holds { size } else { 0 },
            mtime: u32_at(&raw, 16).cast_signed().into(),
            links: half(26),
        })
    }

    fn entries(&self, directory: &Inode) -> Result<Vec<(Vec<u8>, u64)>, FileSystemError> {
        let bytes = all(self, directory, MOST_OF_A_DIRECTORY)?;
        let mut entries = Vec::new();
        if u32_at(&self.raw(directory.id)?, 32) & INLINE_DATA != 0 {
            // The first four bytes are the number of the parent, and entries don't cross from the inode to its attributes.
            let border = bytes.len().min(BLOCK_AREA.len());
            self.list(bytes.get(4..border).unwrap_or_default(), &mut entries)?;
            self.list(&bytes[border..], &mut entries)?;
        } else {
            // The blocks of an index look like deleted entries, so that it needs no care.
            for block in bytes.chunks(self.block as usize) {
                self.list(block, &mut entries)?;
            }
        }
        Ok(entries)
    }

    fn contents(&self, inode: &Inode) -> Result<Box<dyn Chunks + '_>, FileSystemError> {
        let raw = self.raw(inode.id)?;
        let flags = u32_at(&raw, 32);
        if flags & ENCRYPTED != 0 {
            return Err(FileSystemError::unsupported(self.kind, "encrypted files"));
        }
        let in_blocks = flags & EXTENTS != 0 || u32_at(&raw, 28) != 0;
        if flags & INLINE_DATA != 0 {
            return self.inline(&raw, inode.size);
        }
        if inode.kind == NodeKind::Symlink && inode.size < 60 && flags & EXTENTS == 0 {
            return self.inline(&raw, inode.size);
        }
        let extents = if in_blocks { extents(self, &raw, inode.size)? } else { Vec::new() };
        Ok(Box::new(Blocks::new(self, extents, inode.size)))
    }

    fn xattrs(&self, inode: &Inode) -> Result<Vec<Xattr>, FileSystemError> {
        let mut all = xattrs(self, &self.raw(inode.id)?)?;
        all.retain(|(name, _)| name != b"system.data");
        Ok(all)
    }

    fn usage(&self) -> Usage {
        let (total, free) = (self.blocks * self.block, self.free * self.block);
        Usage { total, used: total - free }
    }
}

/// Contents that were read at once, and zeros behind them.
struct Inline {
    bytes: Vec<u8>,
    zeros: u64,
}

impl Chunks for Inline {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Chunk>, FileSystemError> {
        if !self.bytes.is_empty() {
            *buffer = std::mem::take(&mut self.bytes);
            return Ok(Some(Chunk::Data));
        }
        let zeros = std::mem::take(&mut self.zeros);
        Ok((zeros > 0).then_some(Chunk::Zeros(zeros)))
    }
}

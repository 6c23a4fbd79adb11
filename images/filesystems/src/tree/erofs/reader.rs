//! Superblock, inodes, directories and attributes.

use super::compressed::Compressed;
use super::plain::{Chunked, Flat};
use crate::bytes::{u8_at, u16_at, u32_at, u64_at};
use crate::tree::{
    Chunks, Inode, MOST_OF_A_DIRECTORY, MOST_OF_A_FILE, NodeKind, Tree, Xattr, all, xattr_name,
};
use crate::{FileSystemError, Kind, Source, Usage};

const SUPERBLOCK: u64 = 1024;

/// Features that change how things are read. The first is where the zeros of a compressed block are.
pub(super) const ZERO_PADDING: u32 = 0x1;
const COMPRESSION_CONFIGS: u32 = 0x2;
const CHUNKED_FILE: u32 = 0x4;
const DEVICES_OR_SECOND_HEAD: u32 = 0x8;
const TAIL_PACKING: u32 = 0x10;
const FRAGMENTS_OR_DEDUPE: u32 = 0x20;
const KNOWN: u32 = ZERO_PADDING
    | COMPRESSION_CONFIGS
    | CHUNKED_FILE
    | DEVICES_OR_SECOND_HEAD
    | TAIL_PACKING
    | FRAGMENTS_OR_DEDUPE;

/// An inode is in a slot of so many bytes, and its number is that of the slot.
const SLOT: u64 = 32;

pub(crate) struct Erofs {
    pub(super) source: Source,
    pub(super) block_bits: u32,
    pub(super) features: u32,
    root: u64,
    meta: u64,
    shared_xattrs: u64,
    blocks: u64,
    /// The inode that holds the ends of files, if there is one.
    pub(super) packed: Option<u64>,
}

/// An inode with what only erofs needs of it.
pub(super) struct Raw {
    pub(super) inode: Inode,
    pub(super) layout: u16,
    /// Where its data is, or how it is cut.
    pub(super) location: u32,
    /// Where its attributes are.
    xattrs: u64,
    /// Where what follows the attributes is.
    pub(super) end: u64,
}

pub(super) fn damaged(problem: impl Into<String>) -> FileSystemError {
    FileSystemError::damaged(Kind::Erofs, problem)
}

impl Erofs {
    pub(crate) fn open(source: Source) -> Result<Self, FileSystemError> {
        let superblock = source.read(SUPERBLOCK, 128)?;
        let block_bits = u32::from(u8_at(&superblock, 12));
        if !(9..=16).contains(&block_bits) {
            return Err(damaged(format!("blocks of 2^{block_bits} bytes")));
        }
        let features = u32_at(&superblock, 80);
        if features & !KNOWN != 0 {
            let feature = format!("features {:#x}", features & !KNOWN);
            return Err(FileSystemError::unsupported(Kind::Erofs, feature));
        }
        if u8_at(&superblock, 90) != 0 {
            return Err(FileSystemError::unsupported(Kind::Erofs, "larger blocks of directories"));
        }
        let block = |at: usize| u64::from(u32_at(&superblock, at)) << block_bits;
        let packed = u64_at(&superblock, 96);
        Ok(Self {
            root: u64::from(u16_at(&superblock, 14)),
            blocks: u64::from(u32_at(&superblock, 36)),
            meta: block(40),
            shared_xattrs: block(44),
            packed: (features & FRAGMENTS_OR_DEDUPE != 0 && packed != 0).then_some(packed),
            block_bits,
            features,
            source,
        })
    }

    pub(super) fn raw(&self, id: u64) -> Result<Raw, FileSystemError> {
        let start = id.checked_mul(SLOT).and_then(|offset| self.meta.checked_add(offset));
        let start = start.ok_or_else(|| damaged(format!("there is no inode {id}")))?;
        let mut bytes = self.source.read(start, 32)?;
        let format = u16_at(&bytes, 0);
        let extended = format & 1 == 1;
        if extended {
            bytes = self.source.read(start, 64)?;
        }
        let mode = u16_at(&bytes, 4);
        let kind = NodeKind::of_mode(Kind::Erofs, mode)?;
        let (size, uid, gid, links, mtime) = if extended {
            let (uid, gid) = (u32_at(&bytes, 24), u32_at(&bytes, 28));
            (u64_at(&bytes, 8), uid, gid, u32_at(&bytes, 44), u64_at(&bytes, 32))
        } else {
            let (uid, gid) = (u16_at(&bytes, 24).into(), u16_at(&bytes, 26).into());
            (u32_at(&bytes, 8).into(), uid, gid, u16_at(&bytes, 6).into(), 0)
        };
        if size > MOST_OF_A_FILE {
            return Err(damaged("a file of more bytes than any disk has"));
        }
        let holds = matches!(kind, NodeKind::File | NodeKind::Directory | NodeKind::Symlink);
        let xattrs = start + bytes.len() as u64;
        let count = u64::from(u16_at(&bytes, 2));
        Ok(Raw {
            inode: Inode {
                id,
                kind,
                mode: mode & 0o7777,
                uid,
                gid,
                size: if holds { size } else { 0 },
                mtime: mtime.cast_signed(),
                links,
            },
            layout: format >> 1 & 7,
            location: u32_at(&bytes, 16),
            xattrs,
            end: xattrs + if count == 0 { 0 } else { 12 + (count - 1) * 4 },
        })
    }

    /// Name and value of the attribute at the start of the bytes, and how many bytes it takes.
    fn xattr(bytes: &[u8]) -> Result<(Xattr, usize), FileSystemError> {
        let name_end = 4 + usize::from(u8_at(bytes, 0));
        let end = name_end + usize::from(u16_at(bytes, 2));
        let prefix = u8_at(bytes, 1);
        let (Some(name), Some(value)) = (bytes.get(4..name_end), bytes.get(name_end..end)) else {
            return Err(damaged("an attribute is longer than all of them"));
        };
        if prefix & 0x80 != 0 {
            return Err(FileSystemError::unsupported(Kind::Erofs, "long prefixes of attributes"));
        }
        Ok(((xattr_name(prefix, name), value.to_owned()), end.next_multiple_of(4)))
    }
}

impl Tree for Erofs {
    fn root(&self) -> u64 {
        self.root
    }

    fn inode(&self, id: u64) -> Result<Inode, FileSystemError> {
        Ok(self.raw(id)?.inode)
    }

    fn entries(&self, directory: &Inode) -> Result<Vec<(Vec<u8>, u64)>, FileSystemError> {
        let bytes = all(self, directory, MOST_OF_A_DIRECTORY)?;
        let mut entries = Vec::new();
        for block in bytes.chunks(1 << self.block_bits) {
            let name_at = |entry: usize| usize::from(u16_at(block, entry * 12 + 8));
            let count = name_at(0) / 12;
            if count == 0 || name_at(0) > block.len() {
                return Err(damaged("a block of a directory has no entries"));
            }
            for entry in 0..count {
                let end = if entry + 1 < count { name_at(entry + 1) } else { block.len() };
                let name = block.get(name_at(entry)..end);
                let name = name.ok_or_else(|| damaged("a name is behind its directory"))?;
                // The last name of a block ends with it or with a zero.
                let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                if name != b"." && name != b".." {
                    entries.push((name.to_owned(), u64_at(block, entry * 12)));
                }
            }
        }
        Ok(entries)
    }

    fn contents(&self, inode: &Inode) -> Result<Box<dyn Chunks + '_>, FileSystemError> {
        let raw = self.raw(inode.id)?;
        Ok(match raw.layout {
            0 | 2 => Box::new(Flat::open(self, &raw)?),
            1 | 3 => Box::new(Compressed::open(self, &raw)?),
            4 => Box::new(Chunked::open(self, &raw)?),
            other => {
                return Err(FileSystemError::unsupported(Kind::Erofs, format!("layout {other}")));
            }
        })
    }

    fn xattrs(&self, inode: &Inode) -> Result<Vec<Xattr>, FileSystemError> {
        let raw = self.raw(inode.id)?;
        let mut xattrs = Vec::new();
        if raw.end == raw.xattrs {
            return Ok(xattrs);
        }
        // At most 256 KiB, since it is counted in 16 bits.
        let bytes = self.source.read(raw.xattrs, (raw.end - raw.xattrs) as usize)?;
        let shared = usize::from(u8_at(&bytes, 4));
        let mut at = 12 + shared * 4;
        if at > bytes.len() {
            return Err(damaged("a file has more shared attributes than it has room for"));
        }
        for index in 0..shared {
            let offset = u64::from(u32_at(&bytes, 12 + index * 4)) * 4;
            let offset = self.shared_xattrs.saturating_add(offset);
            let head = self.source.read(offset, 4)?;
            let count = 4 + usize::from(u8_at(&head, 0)) + usize::from(u16_at(&head, 2));
            xattrs.push(Self::xattr(&self.source.read(offset, count)?)?.0);
        }
        while at + 4 <= bytes.len() && u32_at(&bytes, at) != 0 {
            let (xattr, count) = Self::xattr(&bytes[at..])?;
            xattrs.push(xattr);
            at += count;
        }
        Ok(xattrs)
    }

    fn usage(&self) -> Usage {
        let used = self.blocks << self.block_bits;
        Usage { total: used, used }
    }
}

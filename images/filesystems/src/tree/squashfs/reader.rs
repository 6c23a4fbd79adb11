//! Superblock, inodes, directories and attributes.

use std::sync::{Arc, Mutex};

use super::files::File;
use super::metadata::{Compressor, Cursor, METADATA, Metadata};
use crate::bytes::{u16_at, u32_at, u64_at};
use crate::tree::{
    Chunk, Chunks, Inode, MOST_OF_A_DIRECTORY, MOST_OF_A_FILE, MOST_OF_A_TARGET, NodeKind, Tree,
    Xattr,
};
use crate::{FileSystemError, Kind, Source, Usage};

/// What stands for no fragment, no attributes, and no table.
pub(super) const NONE: u32 = u32::MAX;

/// The longest value of an attribute that Linux takes.
const MOST_OF_A_VALUE: usize = 1 << 16;
const MOST_XATTRS: u32 = 1024;

pub(crate) struct Squashfs {
    pub(super) source: Source,
    pub(super) compressor: Compressor,
    pub(super) metadata: Metadata,
    pub(super) block: u32,
    pub(super) fragments: u64,
    pub(super) fragment_count: u32,
    /// The fragments that were read last: several files in a row are in one.
    pub(super) kept: Mutex<Vec<(u32, Arc<Vec<u8>>)>>,
    used: u64,
    root: u64,
    ids: Vec<u8>,
    inodes: u64,
    directories: u64,
    /// Where the lists of attributes are, the places of the tables of these lists, and how many lists there are.
    xattrs: Option<(u64, u64, u32)>,
}

/// An inode with what only squashfs needs of it.
pub(super) struct Raw {
    pub(super) inode: Inode,
    pub(super) place: Place,
    xattrs: u32,
}

/// Where contents are.
pub(super) enum Place {
    /// So many sizes of blocks follow the inode.
    File {
        start: u64,
        fragment: u32,
        offset: u32,
    },
    /// In the table of directories.
    Directory {
        block: u32,
        offset: u16,
    },
    Target(Vec<u8>),
    Nothing,
}

pub(super) fn damaged(problem: impl Into<String>) -> FileSystemError {
    FileSystemError::damaged(Kind::Squashfs, problem)
}

impl Squashfs {
    pub(crate) fn open(source: &Source) -> Result<Self, FileSystemError> {
        let superblock = source.read(0, 96)?;
        if u16_at(&superblock, 28) != 4 {
            let feature = format!("version {}", u16_at(&superblock, 28));
            return Err(FileSystemError::unsupported(Kind::Squashfs, feature));
        }
        let compressor = Compressor::of_number(u16_at(&superblock, 20))?;
        let block = u32_at(&superblock, 12);
        if !block.is_power_of_two() || !(4096..=1 << 20).contains(&block) {
            return Err(damaged(format!("blocks of {block} bytes")));
        }
        let used = u64_at(&superblock, 40);
        // What is behind it may be padding or dm-verity hashes, but it must be there itself.
        let Some(source) = source.slice(0, used) else {
            return Err(FileSystemError::Outside { offset: used, size: source.size() });
        };
        let metadata = Metadata::new(source.clone(), compressor);
        let ids = table(&source, &metadata, u64_at(&superblock, 48), u16_at(&superblock, 26))?;
        let xattr_table = u64_at(&superblock, 56);
        let xattrs = if xattr_table == u64::MAX {
            None
        } else {
            let head = source.read(xattr_table, 16)?;
            Some((u64_at(&head, 0), xattr_table + 16, u32_at(&head, 8)))
        };
        Ok(Self {
            root: u64_at(&superblock, 32),
            inodes: u64_at(&superblock, 64),
            directories: u64_at(&superblock, 72),
            fragments: u64_at(&superblock, 80),
            fragment_count: u32_at(&superblock, 16),
            kept: Mutex::default(),
            xattrs,
            ids,
            used,
            block,
            metadata,
            compressor,
            source,
        })
    }

    /// The inode, and the bytes behind it.
    pub(super) fn raw(&self, id: u64) -> Result<(Raw, Cursor<'_>), FileSystemError> {
        let at = self.inodes.saturating_add(id >> 16);
        let mut cursor = self.metadata.cursor(at, (id & 0xffff) as usize)?;
        let head = cursor.take(16)?;
        let number = u16_at(&head, 0);
        let owner = |at: usize| {
            let index = usize::from(u16_at(&head, at)) * 4;
            if index < self.ids.len() {
                Ok(u32_at(&self.ids, index))
            } else {
                Err(damaged("an owner is nobody"))
            }
        };
        let mut xattrs = NONE;
        let (kind, size, links, place) = match number {
            1 => {
                let rest = cursor.take(16)?;
                let place = Place::Directory { block: u32_at(&rest, 0), offset: u16_at(&rest, 10) };
                (NodeKind::Directory, u16_at(&rest, 8).into(), u32_at(&rest, 4), place)
            }
            8 => {
                let rest = cursor.take(24)?;
                xattrs = u32_at(&rest, 20);
                let place = Place::Directory { block: u32_at(&rest, 8), offset: u16_at(&rest, 18) };
                (NodeKind::Directory, u32_at(&rest, 4).into(), u32_at(&rest, 0), place)
            }
            2 => {
                let rest = cursor.take(16)?;
                let (start, fragment, offset) =
                    (u32_at(&rest, 0).into(), u32_at(&rest, 4), u32_at(&rest, 8));
                (
                    NodeKind::File,
                    u32_at(&rest, 12).into(),
                    1,
                    Place::File { start, fragment, offset },
                )
            }
            9 => {
                let rest = cursor.take(40)?;
                xattrs = u32_at(&rest, 36);
                let (start, fragment, offset) =
                    (u64_at(&rest, 0), u32_at(&rest, 28), u32_at(&rest, 32));
                let place = Place::File { start, fragment, offset };
                (NodeKind::File, u64_at(&rest, 8), u32_at(&rest, 24), place)
            }
            3 | 10 => {
                let rest = cursor.take(8)?;
                let size = u32_at(&rest, 4);
                if u64::from(size) > MOST_OF_A_TARGET {
                    return Err(damaged("a link is longer than a path can be"));
                }
                let target = cursor.take(size as usize)?;
                if number == 10 {
                    xattrs = u32_at(&cursor.take(4)?, 0);
                }
                (NodeKind::Symlink, size.into(), u32_at(&rest, 0), Place::Target(target))
            }
            4 | 5 | 11 | 12 => {
                let rest = cursor.take(if number > 8 { 12 } else { 8 })?;
                if number > 8 {
                    xattrs = u32_at(&rest, 8);
                }
                let kind = if matches!(number, 4 | 11) {
                    NodeKind::BlockDevice
                } else {
                    NodeKind::CharDevice
                };
                (kind, 0, u32_at(&rest, 0), Place::Nothing)
            }
            6 | 7 | 13 | 14 => {
                let rest = cursor.take(if number > 8 { 8 } else { 4 })?;
                if number > 8 {
                    xattrs = u32_at(&rest, 4);
                }
                let kind = if matches!(number, 6 | 13) { NodeKind::Fifo } else { NodeKind::Socket };
                (kind, 0, u32_at(&rest, 0), Place::Nothing)
            }
            other => return Err(damaged(format!("there is an inode of type {other}"))),
        };
        if size > MOST_OF_A_FILE {
            return Err(damaged("a file of more bytes than any disk has"));
        }
        let inode = Inode {
            id,
            kind,
            mode: u16_at(&head, 2) & 0o7777,
            uid: owner(4)?,
            gid: owner(6)?,
            size,
            mtime: u32_at(&head, 8).into(),
            links,
        };
        Ok((Raw { inode, place, xattrs }, cursor))
    }

    /// Where in the metadata a reference from the lists of attributes points.
    fn xattr_cursor(&self, start: u64, reference: u64) -> Result<Cursor<'_>, FileSystemError> {
        let at = start.saturating_add(reference >> 16);
        self.metadata.cursor(at, (reference & 0xffff) as usize)
    }
}

/// A table of 4 bytes each in metadata, whose blocks are where another table says.
fn table(
    source: &Source,
    metadata: &Metadata,
    at: u64,
    count: u16,
) -> Result<Vec<u8>, FileSystemError> {
    let bytes = usize::from(count) * 4;
    let mut all = Vec::new();
    for index in 0..bytes.div_ceil(METADATA) {
        let place = source.read(at.saturating_add(index as u64 * 8), 8)?;
        let left = (bytes - all.len()).min(METADATA);
        all.extend(metadata.cursor(u64_at(&place, 0), 0)?.take(left)?);
    }
    Ok(all)
}

impl Tree for Squashfs {
    fn root(&self) -> u64 {
        self.root
    }

    fn inode(&self, id: u64) -> Result<Inode, FileSystemError> {
        Ok(self.raw(id)?.0.inode)
    }

    fn entries(&self, directory: &Inode) -> Result<Vec<(Vec<u8>, u64)>, FileSystemError> {
        let (Raw { place: Place::Directory { block, offset }, .. }, _) = self.raw(directory.id)?
        else {
            return Err(damaged("a directory is none"));
        };
        let mut entries = Vec::new();
        // The size counts `.` and `..`, which are not stored.
        let mut left = directory.size.saturating_sub(3);
        if left > MOST_OF_A_DIRECTORY {
            return Err(FileSystemError::TooMuch(format!(
                "{MOST_OF_A_DIRECTORY} bytes in one directory"
            )));
        }
        if left == 0 {
            return Ok(entries);
        }
        let at = self.directories.saturating_add(block.into());
        let mut cursor = self.metadata.cursor(at, offset.into())?;
        let mut take = |count: usize| {
            let rest = left.checked_sub(count as u64);
            left = rest.ok_or_else(|| damaged("a directory is longer than its size"))?;
            Ok::<_, FileSystemError>((cursor.take(count)?, left))
        };
        loop {
            let (head, _) = take(12)?;
            let start = u64::from(u32_at(&head, 4)) << 16;
            let mut more = 0;
            for _ in 0..=u32_at(&head, 0) {
                let (entry, _) = take(8)?;
                let (name, rest) = take(usize::from(u16_at(&entry, 6)) + 1)?;
                entries.push((name, start | u64::from(u16_at(&entry, 0))));
                more = rest;
            }
            if more == 0 {
                return Ok(entries);
            }
        }
    }

    fn contents(&self, inode: &Inode) -> Result<Box<dyn Chunks + '_>, FileSystemError> {
        let (raw, sizes) = self.raw(inode.id)?;
        Ok(match raw.place {
            Place::Target(target) => Box::new(Target(Some(target))),
            Place::File { start, fragment, offset } => {
                Box::new(File::new(self, sizes, raw.inode.size, start, fragment, offset))
            }
            Place::Directory { .. } | Place::Nothing => Box::new(Target(None)),
        })
    }

    fn xattrs(&self, inode: &Inode) -> Result<Vec<Xattr>, FileSystemError> {
        let (raw, _) = self.raw(inode.id)?;
        let Some((start, tables, count)) = self.xattrs.filter(|_| raw.xattrs != NONE) else {
            return Ok(Vec::new());
        };
        if raw.xattrs >= count {
            return Err(damaged("attributes are in a list that there is not"));
        }
        // A table of 16 bytes each.
        let byte = u64::from(raw.xattrs) * 16;
        let (block, offset) = (byte / METADATA as u64, (byte % METADATA as u64) as usize);
        let place = self.source.read(tables.saturating_add(block * 8), 8)?;
        let list = self.metadata.cursor(u64_at(&place, 0), offset)?.take(16)?;
        if u32_at(&list, 8) > MOST_XATTRS {
            return Err(damaged("a file has too many attributes"));
        }
        let mut cursor = self.xattr_cursor(start, u64_at(&list, 0))?;
        let mut xattrs = Vec::new();
        for _ in 0..u32_at(&list, 8) {
            let head = cursor.take(4)?;
            let name = cursor.take(u16_at(&head, 2).into())?;
            let prefix: &[u8] = match u16_at(&head, 0) & 0xff {
                0 => b"user.",
                1 => b"trusted.",
                2 => b"security.",
                _ => b"",
            };
            let value = |cursor: &mut Cursor<'_>| {
                let size = u32_at(&cursor.take(4)?, 0) as usize;
                if size > MOST_OF_A_VALUE {
                    return Err(damaged("an attribute is too long"));
                }
                cursor.take(size)
            };
            let mut found = value(&mut cursor)?;
            // Values that several files have are stored once, elsewhere.
            if u16_at(&head, 0) & 0x100 != 0 {
                found = value(&mut self.xattr_cursor(start, u64_at(&found, 0))?)?;
            }
            xattrs.push(([prefix, &name].concat(), found));
        }
        Ok(xattrs)
    }

    fn usage(&self) -> Usage {
        Usage { total: self.used, used: self.used }
    }
}

/// Where a symbolic link points, which is in the inode.
struct Target(Option<Vec<u8>>);

impl Chunks for Target {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Chunk>, FileSystemError> {
        Ok(self.0.take().filter(|target| !target.is_empty()).map(|target| {
            *buffer = target;
            Chunk::Data
        }))
    }
}

//! Superblock, inodes, directories, subvolumes and attributes.

use std::sync::Mutex;

use super::chunks::Chunks as Map;
use super::files::File;
use super::nodes::{Item, Key, Nodes, Root};
use crate::bytes::{u8_at, u16_at, u32_at, u64_at};
use crate::tree::{Chunks, Inode, MOST_OF_A_FILE, NodeKind, Tree, Xattr};
use crate::{FileSystemError, Kind, Source, Usage};

const SUPERBLOCK: u64 = 0x1_0000;

/// Kinds of items.
const INODE: u8 = 1;
const XATTR: u8 = 24;
const DIRECTORY: u8 = 84;
const DIRECTORY_INDEX: u8 = 96;
pub(super) const EXTENT: u8 = 108;
const ROOT: u8 = 132;
const CHUNK: u8 = 228;

/// Objects with numbers of their own.
const CHUNK_OBJECT: u64 = 256;
const FIRST_TREE: u64 = 5;
const TREES: u64 = 6;

/// The bits of a file's number that are its inode; those above are its subvolume, by its place in the list of them.
const INODE_BITS: u32 = 44;

/// The most subvolumes that are followed.
const MOST_SUBVOLUMES: usize = 4096;

pub(crate) struct Btrfs {
    pub(super) nodes: Nodes,
    /// Number, tree and root directory of each subvolume.
    subvolumes: Vec<(u64, Root, u64)>,
    /// The place in this list of what is mounted if nobody says anything.
    default: usize,
    usage: Usage,
}

pub(super) fn damaged(problem: impl Into<String>) -> FileSystemError {
    FileSystemError::damaged(Kind::Btrfs, problem)
}

/// Whatever is named in an item: where it points, its name, and what belongs to it.
type Named<'a> = (Key, &'a [u8], &'a [u8]);

/// The names in an item of a directory or of attributes, of which there are several if their hashes are the same.
fn named(mut item: &[u8]) -> Result<Vec<Named<'_>>, FileSystemError> {
    let mut all = Vec::new();
    while !item.is_empty() {
        let name_end = 30 + usize::from(u16_at(item, 27));
        let end = name_end + usize::from(u16_at(item, 25));
        let (Some(name), Some(value)) = (item.get(30..name_end), item.get(name_end..end)) else {
            return Err(damaged("a name is longer than its item"));
        };
        all.push((Key::at(item, 0), name, value));
        item = &item[end..];
    }
    Ok(all)
}

impl Btrfs {
    pub(crate) fn open(source: Source) -> Result<Self, FileSystemError> {
        let superblock = source.read(SUPERBLOCK, 4096)?;
        let node_size = u32_at(&superblock, 148) as usize;
        if !node_size.is_power_of_two() || !(4096..=1 << 16).contains(&node_size) {
            return Err(damaged(format!("nodes of {node_size} bytes")));
        }
        if u64_at(&superblock, 136) != 1 {
            return Err(FileSystemError::unsupported(Kind::Btrfs, "several devices"));
        }
        if u64_at(&superblock, 96) != 0 {
            let feature = "a log that was not replayed (mount a copy once)";
            return Err(FileSystemError::unsupported(Kind::Btrfs, feature));
        }
        let total = u64_at(&superblock, 112);
        if total > source.size() {
            return Err(FileSystemError::Outside { offset: total, size: source.size() });
        }
        let usage = Usage { total, used: u64_at(&superblock, 120).min(total) };
        let first = superblock.get(811..811 + (u32_at(&superblock, 160) as usize).min(2048));
        let mut first = first.unwrap_or_default();
        let mut chunks = Map::default();
        while first.len() > 17 {
            let length = chunks.add(Key::at(first, 0).offset, &first[17..])?;
            first = &first[17 + length..];
        }
        let mut nodes = Nodes { source, chunks, node_size, kept: Mutex::default() };
        let root = |logical, level| Root {
            logical: u64_at(&superblock, logical),
            level: u8_at(&superblock, level),
        };
        for (key, item) in nodes.items(root(88, 199), CHUNK_OBJECT, CHUNK)? {
            nodes.chunks.add(key.offset, &item)?;
        }
        let trees = root(80, 198);
        // The item has the latest state; older ones are snapshots' affair.
        let any = |object| Key { object, kind: ROOT, offset: 0 };
        let mut subvolumes = Vec::new();
        for (key, item) in nodes.between(trees, any(FIRST_TREE), any(u64::MAX - 255))? {
            // Trees with numbers from 6 to 255 are of btrfs itself.
            if key.kind != ROOT || (key.object != FIRST_TREE && key.object < 256) {
                continue;
            }
            if item.len() < 239 || subvolumes.len() >= MOST_SUBVOLUMES {
                return Err(damaged("a subvolume is nowhere"));
            }
            let root = Root { logical: u64_at(&item, 176), level: u8_at(&item, 238) };
            subvolumes.push((key.object, root, u64_at(&item, 168)));
        }
        let mut default = FIRST_TREE;
        for (_, item) in nodes.items(trees, TREES, DIRECTORY)? {
            let found = named(&item)?.into_iter().find(|(_, name, _)| *name == b"default");
            default = found.map_or(default, |(key, ..)| key.object);
        }
        let default = subvolumes.iter().position(|(number, ..)| *number == default);
        let default = default.ok_or_else(|| damaged("the subvolume to mount is not there"))?;
        Ok(Self { nodes, subvolumes, default, usage })
    }

    fn id(subvolume: usize, inode: u64) -> Result<u64, FileSystemError> {
        if inode >> INODE_BITS != 0 {
            return Err(damaged("an inode has an absurd number"));
        }
        Ok((subvolume as u64) << INODE_BITS | inode)
    }

    /// The tree that a file is in, and its number there.
    pub(super) fn place(&self, id: u64) -> Result<(Root, u64), FileSystemError> {
        let subvolume = self.subvolumes.get((id >> INODE_BITS) as usize);
        let (_, root, _) = subvolume.ok_or_else(|| damaged("a file is in no subvolume"))?;
        Ok((*root, id & ((1 << INODE_BITS) - 1)))
    }

    pub(super) fn items(&self, id: u64, kind: u8) -> Result<Vec<Item>, FileSystemError> {
        let (root, object) = self.place(id)?;
        self.nodes.items(root, object, kind)
    }
}

impl Tree for Btrfs {
    fn root(&self) -> u64 {
        let (_, _, directory) = self.subvolumes[self.default];
        (self.default as u64) << INODE_BITS | directory
    }

    fn inode(&self, id: u64) -> Result<Inode, FileSystemError> {
        let items = self.items(id, INODE)?;
        let Some((_, item)) = items.first().filter(|(_, item)| item.len() >= 160) else {
            return Err(damaged(format!("there is no inode {}", id & ((1 << INODE_BITS) - 1))));
        };
        let mode = u32_at(item, 52) as u16;
        let kind = NodeKind::of_mode(Kind::Btrfs, mode)?;
        let size = u64_at(item, 16);
        if size > MOST_OF_A_FILE {
            return Err(damaged("a file of more bytes than any disk has"));
        }
        let holds = matches!(kind, NodeKind::File | NodeKind::Symlink);
        Ok(Inode {
            id,
            kind,
            mode: mode & 0o7777,
            uid: u32_at(item, 44),
            gid: u32_at(item, 48),
            size: if holds { size } else { 0 },
            mtime: u64_at(item, 136).cast_signed(),
            links: u32_at(item, 40),
        })
    }

    fn entries(&self, directory: &Inode) -> Result<Vec<(Vec<u8>, u64)>, FileSystemError> {
        let subvolume = (directory.id >> INODE_BITS) as usize;
        let mut entries = Vec::new();
        for (_, item) in self.items(directory.id, DIRECTORY_INDEX)? {
            for (key, name, _) in named(&item)? {
                let id = if key.kind == ROOT {
                    // One that is not there any more is an empty directory to Linux; here it is nothing.
                    let found =
                        self.subvolumes.iter().position(|(number, ..)| *number == key.object);
                    let Some(subvolume) = found else { continue };
                    Self::id(subvolume, self.subvolumes[subvolume].2)?
                } else {
                    Self::id(subvolume, key.object)?
                };
                entries.push((name.to_owned(), id));
            }
        }
        Ok(entries)
    }

    fn contents(&self, inode: &Inode) -> Result<Box<dyn Chunks + '_>, FileSystemError> {
        let extents = self.items(inode.id, EXTENT)?;
        Ok(Box::new(File::new(&self.nodes, extents, inode.size)))
    }

    fn xattrs(&self, inode: &Inode) -> Result<Vec<Xattr>, FileSystemError> {
        let mut xattrs = Vec::new();
        for (_, item) in self.items(inode.id, XATTR)? {
            xattrs.extend(
                named(&item)?
                    .into_iter()
                    .map(|(_, name, value)| (name.to_owned(), value.to_owned())),
            );
        }
        Ok(xattrs)
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}

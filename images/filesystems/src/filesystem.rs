//! A file system, whichever it is.

use std::io::{self, Read};

use crate::detect::detect;
use crate::tree::{self, Chunk, Chunks, MOST_OF_A_TARGET, Tree, Xattr};
use crate::{FileSystemError, Inode, Kind, NodeKind, Source, Walk};

/// A file system that can be read.
pub struct FileSystem {
    kind: Kind,
    tree: Box<dyn Tree>,
}

/// How full a file system is, by what it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes that it spans.
    pub total: u64,
    /// Bytes of it that are in use.
    pub used: u64,
}

impl FileSystem {
    /// What is there, also if it can't be read; `None` if it is nothing that is known.
    ///
    /// # Errors
    ///
    /// If the image can't be read.
    pub fn detect(source: &Source) -> Result<Option<Kind>, FileSystemError> {
        detect(source)
    }

    /// Opens whatever file system is there.
    ///
    /// # Errors
    ///
    /// If there is none that is known, if it is encrypted, if it isn't one that is read here, or if it is damaged.
    pub fn open(source: Source) -> Result<Self, FileSystemError> {
        let kind = detect(&source)?.ok_or(FileSystemError::Unknown)?;
        let tree: Box<dyn Tree> = match kind {
            Kind::Ext2 | Kind::Ext3 | Kind::Ext4 => Box::new(tree::ext::Ext::open(source, kind)?),
            Kind::Squashfs => Box::new(tree::squashfs::Squashfs::open(&source)?),
            Kind::Erofs => Box::new(tree::erofs::Erofs::open(source)?),
            Kind::Btrfs => Box::new(tree::btrfs::Btrfs::open(source)?),
            Kind::Vfat => Box::new(tree::fat::Fat::open(source)?),
            Kind::Luks | Kind::BitLocker => return Err(FileSystemError::Encrypted(kind)),
            Kind::Verity
            | Kind::Swap
            | Kind::Xfs
            | Kind::Iso9660
            | Kind::Ntfs
            | Kind::F2fs
            | Kind::Lvm => {
                return Err(FileSystemError::Foreign(kind));
            }
        };
        Ok(Self { kind, tree })
    }

    /// Which it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How full it is.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.tree.usage()
    }

    /// Everything in it, each directory before what is in it, in the order of bytes of the names.
    #[must_use]
    pub fn walk(&self) -> Walk<'_> {
        Walk::new(self.tree.as_ref(), self.kind)
    }

    /// What is at a path, such as `usr/lib/os-release`. Links aren't followed.
    ///
    /// # Errors
    ///
    /// If what the file system says of it can't be.
    pub fn find(&self, path: &str) -> Result<Option<Inode>, FileSystemError> {
        let mut inode = self.tree.inode(self.tree.root())?;
        for wanted in path.split('/').filter(|name| !name.is_empty()) {
            if inode.kind != NodeKind::Directory {
                return Ok(None);
            }
            let entries = self.tree.entries(&inode)?;
            let Some((_, id)) = entries.iter().find(|(name, _)| name == wanted.as_bytes()) else {
                return Ok(None);
            };
            inode = self.tree.inode(*id)?;
        }
        Ok(Some(inode))
    }

    /// What a file holds.
    ///
    /// # Errors
    ///
    /// If what the file system says of it can't be.
    pub fn contents(&self, inode: &Inode) -> Result<Contents<'_>, FileSystemError> {
        let chunks = self.tree.contents(inode)?;
        Ok(Contents { chunks, buffer: Vec::new(), at: 0, zeros: 0, left: inode.size })
    }

    /// Where a symbolic link points.
    ///
    /// # Errors
    ///
    /// If what the file system says of it can't be.
    pub fn target(&self, inode: &Inode) -> Result<Vec<u8>, FileSystemError> {
        if inode.kind != NodeKind::Symlink {
            return Err(FileSystemError::damaged(self.kind, "a link is none"));
        }
        tree::all(self.tree.as_ref(), inode, MOST_OF_A_TARGET)
    }

    /// Extended attributes: full names and values.
    ///
    /// # Errors
    ///
    /// If what the file system says of them can't be.
    pub fn xattrs(&self, inode: &Inode) -> Result<Vec<Xattr>, FileSystemError> {
        self.tree.xattrs(inode)
    }
}

/// What a file holds, as it is read.
pub struct Contents<'a> {
    chunks: Box<dyn Chunks + 'a>,
    buffer: Vec<u8>,
    /// How much of the buffer was given out.
    at: usize,
    /// How many zeros come before anything else.
    zeros: u64,
    /// How much of the file there is still to come, by its size.
    left: u64,
}

impl Read for Contents<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        while self.at == self.buffer.len() && self.zeros == 0 {
            match self.chunks.next(&mut self.buffer).map_err(io::Error::other)? {
                Some(Chunk::Data) => self.at = 0,
                Some(Chunk::Zeros(count)) => {
                    self.buffer.clear();
                    self.at = 0;
                    self.zeros = count;
                }
                None if self.left > 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                None => return Ok(0),
            }
        }
        let count = if self.zeros > 0 {
            let count = out.len().min(usize::try_from(self.zeros).unwrap_or(usize::MAX));
            out[..count].fill(0);
            self.zeros -= count as u64;
            count
        } else {
            let ready = &self.buffer[self.at..];
            let count = out.len().min(ready.len());
            out[..count].copy_from_slice(&ready[..count]);
            self.at += count;
            count
        };
        let left = self.left.checked_sub(count as u64);
        self.left = left.ok_or_else(|| io::Error::other("a file holds more than its size says"))?;
        Ok(count)
    }
}

//! An inode, and what a file system has to tell of one.

use crate::{FileSystemError, Kind, Usage};

/// The most bytes that the entries of one directory take. More than a million files take less.
pub(crate) const MOST_OF_A_DIRECTORY: u64 = 64 << 20;

/// The most bytes that a file can have, with its holes: no disk is that large, and sums of such numbers don't overflow.
pub(crate) const MOST_OF_A_FILE: u64 = 1 << 50;

/// The most bytes of the target of a symbolic link; Linux follows none that is longer.
pub(crate) const MOST_OF_A_TARGET: u64 = 4096;

/// A file, directory or other node, without its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inode {
    /// What the file system knows it by: the same for all names of a file, and for nothing else.
    pub id: u64,
    /// What it is.
    pub kind: NodeKind,
    /// Permission bits with setuid, setgid and sticky: `0o4755`.
    pub mode: u16,
    /// Number of the owner.
    pub uid: u32,
    /// Number of the group.
    pub gid: u32,
    /// Bytes of what it holds.
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: i64,
    /// How many names it has.
    pub links: u32,
}

/// What an [`Inode`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device that is read in blocks.
    BlockDevice,
    /// A device that is read in bytes.
    CharDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl NodeKind {
    /// From the upper bits of `st_mode`.
    pub(crate) fn of_mode(kind: Kind, mode: u16) -> Result<Self, FileSystemError> {
        Ok(match mode >> 12 {
            0o01 => Self::Fifo,
            0o02 => Self::CharDevice,
            0o04 => Self::Directory,
            0o06 => Self::BlockDevice,
            0o10 => Self::File,
            0o12 => Self::Symlink,
            0o14 => Self::Socket,
            _ => return Err(FileSystemError::damaged(kind, format!("a file has mode {mode:#o}"))),
        })
    }
}

/// What a file holds next.
pub(crate) enum Chunk {
    /// What is in the buffer.
    Data,
    /// So many zeros that are stored nowhere.
    Zeros(u64),
}

/// What a file holds, piece by piece, in order. Together the pieces are exactly as long as the file.
pub(crate) trait Chunks {
    /// The next piece, of at most a few MiB; `None` at the end.
    fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Chunk>, FileSystemError>;
}

/// Full name and value of an extended attribute.
pub type Xattr = (Vec<u8>, Vec<u8>);

/// A file system that can be read.
pub(crate) trait Tree: Send + Sync {
    /// The number of the root directory.
    fn root(&self) -> u64;
    /// What a number stands for.
    fn inode(&self, id: u64) -> Result<Inode, FileSystemError>;
    /// Names and numbers in a directory, without `.` and `..`.
    fn entries(&self, directory: &Inode) -> Result<Vec<(Vec<u8>, u64)>, FileSystemError>;
    /// What a file holds, or where a symbolic link points.
    fn contents(&self, inode: &Inode) -> Result<Box<dyn Chunks + '_>, FileSystemError>;
    /// Extended attributes with the full name.
    fn xattrs(&self, inode: &Inode) -> Result<Vec<Xattr>, FileSystemError>;
    /// How full it is.
    fn usage(&self) -> Usage;
}

/// All that an inode holds, if it is no more than `most`.
pub(crate) fn all(
    tree: &(impl Tree + ?Sized),
    inode: &Inode,
    most: u64,
) -> Result<Vec<u8>, FileSystemError> {
    if inode.size > most {
        let what = if inode.kind == NodeKind::Directory { "directory" } else { "file" };
        return Err(FileSystemError::TooMuch(format!("{most} bytes in one {what}")));
    }
    let mut all = Vec::new();
    let mut buffer = Vec::new();
    let mut chunks = tree.contents(inode)?;
    while let Some(chunk) = chunks.next(&mut buffer)? {
        match chunk {
            Chunk::Data => all.extend_from_slice(&buffer),
            Chunk::Zeros(count) => {
                let count = count.min(most.saturating_sub(all.len() as u64));
                all.resize(all.len() + count as usize, 0);
            }
        }
        if all.len() as u64 > most {
            return Err(FileSystemError::TooMuch(format!("{most} bytes in one file")));
        }
    }
    Ok(all)
}

/// The full name of an attribute whose prefix is a number, as ext4 and erofs store it.
pub(crate) fn xattr_name(prefix: u8, name: &[u8]) -> Vec<u8> {
    let prefix: &[u8] = match prefix {
        1 => b"user.",
        2 => b"system.posix_acl_access",
        3 => b"system.posix_acl_default",
        4 => b"trusted.",
        6 => b"security.",
        7 => b"system.",
        _ => b"",
    };
    [prefix, name].concat()
}

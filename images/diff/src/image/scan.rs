//! Everything in one file system, with the digest of each file.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest as _, Sha256};
use wheeltap_filesystems::{
    Contents, FileSystem, FileSystemError, Inode, Kind, NodeKind, capabilities,
};

use super::InventoryError;
use super::kernel::is_config;
use super::layout::is_lack;
use super::listeners::is_about_sockets;
use super::names::{ACCOUNTS, DPKG_STATUS, EXTENSIONS, RELEASES};
use crate::{Component, Entry, EntryKind, FileKey, Unread};

/// What single files hold, by path, for whoever understands them.
pub(super) type Kept = BTreeMap<String, Vec<u8>>;

/// The longest file that is kept. Kernel configurations and lists of packages are the longest.
const MOST_KEPT: u64 = 32 << 20;

/// The most bytes that are kept of all files together.
const MOST_KEPT_OF_ALL: u64 = 128 << 20;

/// The most bytes of an extension; it is written to a temporary file.
const MOST_OF_AN_EXTENSION: u64 = 8 << 30;

/// The most bytes that are hashed of an image. A few holes can promise any number, and no OS image has a tenth of it.
const MOST_HASHED: u64 = 128 << 30;

const BUFFER: usize = 1 << 17;

/// What was found so far.
pub(super) struct Scan<'a> {
    pub(super) cancel: &'a AtomicBool,
    pub(super) files: BTreeMap<FileKey, Entry>,
    pub(super) kept: Kept,
    /// Extensions by their path, each with its bytes.
    pub(super) extensions: Vec<(String, File)>,
    pub(super) unread: Vec<Unread>,
    hashed: u64,
    kept_bytes: u64,
}

/// Why a scan ended early: about which file, and what.
pub(super) type Stop = (String, StopReason);

pub(super) enum StopReason {
    FileSystem(FileSystemError),
    Whole(InventoryError),
}

impl From<FileSystemError> for StopReason {
    fn from(error: FileSystemError) -> Self {
        Self::FileSystem(error)
    }
}

/// A path as text: bytes that are no UTF-8 are escaped.
fn text(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '\\' {
                text.push('\\');
            }
            text.push(character);
        }
        for byte in chunk.invalid() {
            text.extend(['\\', 'x']);
            text.extend(
                [byte >> 4, byte & 15]
                    .into_iter()
                    .filter_map(|nibble| char::from_digit(nibble.into(), 16)),
            );
        }
    }
    text
}

fn is_kept(path: &str) -> bool {
    let account = |path: &str| {
        let (directory, name) = path.rsplit_once('/').unwrap_or_default();
        ACCOUNTS.contains(&directory) && matches!(name, "passwd" | "group" | "shadow")
    };
    RELEASES.contains(&path)
        || DPKG_STATUS.contains(&path)
        || account(path)
        || is_config(path)
        || is_about_sockets(path)
}

fn is_extension(path: &str) -> bool {
    path.ends_with(".raw") && EXTENSIONS.iter().any(|directory| path.starts_with(directory))
}

fn kind(kind: NodeKind) -> EntryKind {
    match kind {
        NodeKind::File => EntryKind::File,
        NodeKind::Directory => EntryKind::Directory,
        NodeKind::Symlink => EntryKind::Symlink,
        NodeKind::BlockDevice => EntryKind::BlockDevice,
        NodeKind::CharDevice => EntryKind::CharDevice,
        NodeKind::Fifo => EntryKind::Fifo,
        NodeKind::Socket => EntryKind::Socket,
    }
}

impl<'a> Scan<'a> {
    pub(super) fn new(cancel: &'a AtomicBool) -> Self {
        Self {
            cancel,
            files: BTreeMap::new(),
            kept: Kept::new(),
            extensions: Vec::new(),
            unread: Vec::new(),
            hashed: 0,
            kept_bytes: 0,
        }
    }

    fn go_on(&self) -> Result<(), StopReason> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(StopReason::Whole(InventoryError::Cancelled));
        }
        Ok(())
    }

    /// Adds everything in a file system that is mounted at `mount`.
    pub(super) fn add(
        &mut self,
        filesystem: &FileSystem,
        component: &Component,
        mount: &str,
    ) -> Result<(), Stop> {
        let about_all = |error: FileSystemError| (mount.to_owned(), error.into());
        // A mount covers what is below it.
        let below = format!("{mount}/");
        if !mount.is_empty() && *component == Component::Base {
            self.files
                .retain(|key, _| key.component != *component || !key.path.starts_with(&below));
            self.kept.retain(|path, _| !path.starts_with(&below));
        }
        let unix = filesystem.kind() != Kind::Vfat;
        // Each file is hashed once, however many names it has.
        let mut digests: HashMap<u64, Option<String>> = HashMap::new();
        for node in filesystem.walk() {
            let node = node.map_err(about_all)?;
            let inner = text(&node.path);
            let path = match (&*inner, mount) {
                ("/", "") => "/".to_owned(),
                ("/", _) => mount.to_owned(),
                _ => format!("{mount}{inner}"),
            };
            let inode = &node.inode;
            let about = |reason: StopReason| (path.clone(), reason);
            self.go_on().map_err(about)?;
            let known = digests.get(&inode.id).cloned();
            let digest = match known {
                Some(digest) => digest,
                None if inode.kind == NodeKind::File => {
                    let digest = self.file(filesystem, inode, component, &path).map_err(about)?;
                    if inode.links > 1 {
                        digests.insert(inode.id, digest.clone());
                    }
                    digest
                }
                None => None,
            };
            let target = match inode.kind {
                NodeKind::Symlink => {
                    Some(filesystem.target(inode).map_err(|error| about(error.into()))?)
                }
                _ => None,
            };
            let has = match inode.kind {
                NodeKind::File if unix => {
                    let xattrs = filesystem.xattrs(inode).map_err(|error| about(error.into()))?;
                    let value = xattrs.iter().find(|(name, _)| name == b"security.capability");
                    Some(value.and_then(|(_, value)| capabilities(value)).unwrap_or_default())
                }
                _ => None,
            };
            let entry = Entry {
                kind: kind(inode.kind),
                mode: inode.mode,
                owner: unix.then(|| inode.uid.to_string()),
                group: unix.then(|| inode.gid.to_string()),
                size: (inode.kind == NodeKind::File).then_some(inode.size),
                links: unix.then_some(inode.links),
                capabilities: has,
                digest,
                target: target.map(|target| text(&target)),
            };
            self.files.insert(FileKey { component: component.clone(), path }, entry);
        }
        Ok(())
    }

    /// Hashes a file, and keeps what it holds if somebody needs it.
    fn file(
        &mut self,
        filesystem: &FileSystem,
        inode: &Inode,
        component: &Component,
        path: &str,
    ) -> Result<Option<String>, StopReason> {
        self.hashed = self.hashed.saturating_add(inode.size);
        if self.hashed > MOST_HASHED {
            return Err(FileSystemError::TooMuch("128 GiB in its files".to_owned()).into());
        }
        let contents = match filesystem.contents(inode) {
            Ok(contents) => contents,
            Err(error) if is_lack(&error) => return Ok(self.lacks(path, &error)),
            Err(error) => return Err(error.into()),
        };
        let keep = is_kept(path)
            && !self.kept.contains_key(path)
            && inode.size <= MOST_KEPT
            && self.kept_bytes + inode.size <= MOST_KEPT_OF_ALL;
        let mut copy = None;
        if *component == Component::Base && is_extension(path) {
            if inode.size <= MOST_OF_AN_EXTENSION {
                copy = Some(tempfile::tempfile().map_err(|source| temporary(path, source))?);
            } else {
                let why = "it has more than 8 GiB; no extension has".to_owned();
                self.unread.push(Unread { what: path.to_owned(), why });
            }
        }
        let mut kept = Vec::new();
        match self.digest(contents, path, keep.then_some(&mut kept), copy.as_mut())? {
            Ok(digest) => {
                if keep {
                    self.kept_bytes += kept.len() as u64;
                    self.kept.insert(path.to_owned(), kept);
                }
                self.extensions.extend(copy.map(|copy| (path.to_owned(), copy)));
                Ok(Some(digest))
            }
            Err(error) => Ok(self.lacks(path, &error)),
        }
    }

    fn lacks(&mut self, path: &str, error: &FileSystemError) -> Option<String> {
        self.unread.push(Unread { what: path.to_owned(), why: error.to_string() });
        None
    }

    /// The digest of what a file holds; or why the reader can't read it.
    fn digest(
        &self,
        mut contents: Contents<'_>,
        path: &str,
        mut kept: Option<&mut Vec<u8>>,
        mut copy: Option<&mut File>,
    ) -> Result<Result<String, FileSystemError>, StopReason> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            self.go_on()?;
            let count = match contents.read(&mut buffer) {
                Ok(0) => return Ok(Ok(hex::encode(hasher.finalize()))),
                Ok(count) => count,
                Err(error) => {
                    let error = cause(error);
                    return if is_lack(&error) { Ok(Err(error)) } else { Err(error.into()) };
                }
            };
            let bytes = &buffer[..count];
            hasher.update(bytes);
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(bytes);
            }
            if let Some(copy) = &mut copy {
                copy.write_all(bytes).map_err(|source| temporary(path, source))?;
            }
        }
    }
}

fn temporary(path: &str, source: io::Error) -> StopReason {
    StopReason::Whole(InventoryError::Temporary { what: path.to_owned(), source })
}

/// What the reader of the file system said, without what `Read` has put around it.
fn cause(error: io::Error) -> FileSystemError {
    match error.downcast::<FileSystemError>() {
        Ok(error) => error,
        Err(error) => FileSystemError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn paths_are_escaped_so_that_no_two_are_the_same() {
        assert_eq!(text("/größe".as_bytes()), "/größe");
        assert_eq!(text(b"/a\\xff"), "/a\\\\xff");
        assert_eq!(text(b"/a\xff\x0ab"), "/a\\xff\nb");
    }
}

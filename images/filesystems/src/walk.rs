//! Everything in a file system, one after the other.

use std::collections::HashSet;

use crate::tree::Tree;
use crate::{FileSystemError, Inode, Kind, NodeKind};

/// The most entries of a file system. The largest OS images have a tenth of it.
const MOST_ENTRIES: u64 = 4_000_000;

/// The most bytes that all paths take together, so that few long names can't make a walk endless.
const MOST_PATH_BYTES: u64 = 1 << 30;

/// The most directories in one another.
const MOST_DEPTH: usize = 1024;

/// The longest name that Linux knows.
const MOST_NAME: usize = 255;

/// A name in a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// From the root, such as `/usr/bin/su`; the root itself is `/`. Any bytes but 0.
    pub path: Vec<u8>,
    /// What has this name.
    pub inode: Inode,
}

/// Names in a directory, and the numbers of what has them.
type Names = Vec<(Vec<u8>, u64)>;

/// Everything in a file system. It ends after the first error.
pub struct Walk<'a> {
    tree: &'a dyn Tree,
    kind: Kind,
    /// Directories that are being read: the path, and what is still to come, the last first.
    open: Vec<(Vec<u8>, Names)>,
    /// Directories that were met: a second name for one is a loop.
    met: HashSet<u64>,
    entries: u64,
    path_bytes: u64,
    started: bool,
    failed: bool,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(tree: &'a dyn Tree, kind: Kind) -> Self {
        Self {
            tree,
            kind,
            open: Vec::new(),
            met: HashSet::new(),
            entries: 0,
            path_bytes: 0,
            started: false,
            failed: false,
        }
    }

    fn step(&mut self) -> Result<Option<Node>, FileSystemError> {
        if !self.started {
            self.started = true;
            return self.node(b"/".to_vec(), self.tree.root()).map(Some);
        }
        while let Some((path, left)) = self.open.last_mut() {
            let Some((name, id)) = left.pop() else {
                self.open.pop();
                continue;
            };
            let path = if path == b"/" {
                [b"/", &name[..]].concat()
            } else {
                [path, &b"/"[..], &name].concat()
            };
            return self.node(path, id).map(Some);
        }
        Ok(None)
    }

    fn node(&mut self, path: Vec<u8>, id: u64) -> Result<Node, FileSystemError> {
        self.path_bytes += path.len() as u64;
        if self.path_bytes > MOST_PATH_BYTES {
            return Err(FileSystemError::TooMuch(format!("{MOST_PATH_BYTES} bytes of paths")));
        }
        let inode = self.tree.inode(id)?;
        if inode.kind == NodeKind::Directory {
            if !self.met.insert(inode.id) {
                let problem = format!("the directory {} is in itself", path.escape_ascii());
                return Err(FileSystemError::damaged(self.kind, problem));
            }
            if self.open.len() >= MOST_DEPTH {
                return Err(FileSystemError::TooMuch(format!(
                    "{MOST_DEPTH} directories in one another"
                )));
            }
            let mut entries = self.tree.entries(&inode)?;
            // Counted as they are listed: what is still to come takes memory, too.
            self.entries += entries.len() as u64;
            if self.entries > MOST_ENTRIES {
                return Err(FileSystemError::TooMuch(format!("{MOST_ENTRIES} files")));
            }
            for (name, _) in &entries {
                let bad = |byte: &u8| *byte == b'/' || *byte == 0;
                if name.is_empty() || name.len() > 4 * MOST_NAME || name.iter().any(bad) {
                    let problem =
                        format!("{} has a file without a proper name", path.escape_ascii());
                    return Err(FileSystemError::damaged(self.kind, problem));
                }
            }
            entries.sort_unstable_by(|a, b| b.0.cmp(&a.0));
            if entries.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                let problem = format!("{} has two files of one name", path.escape_ascii());
                return Err(FileSystemError::damaged(self.kind, problem));
            }
            self.open.push((path.clone(), entries));
        } else if self.open.is_empty() {
            return Err(FileSystemError::damaged(self.kind, "its root is no directory"));
        }
        Ok(Node { path, inode })
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Node, FileSystemError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}

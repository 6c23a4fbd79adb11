//! The trees that everything is in: items in the order of their keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::chunks::Chunks;
use super::reader::damaged;
use crate::bytes::{u8_at, u32_at, u64_at};
use crate::{FileSystemError, Source};

/// The length of the head of a node.
const HEAD: usize = 101;

/// The highest level of a tree.
const MOST_LEVELS: u8 = 8;

/// How many nodes are kept: 4 MiB of the usual ones.
const KEPT: usize = 256;

/// The most nodes that one look-up visits. A file of a terabyte needs fewer.
const MOST_VISITS: usize = 1 << 16;

/// The most items that one look-up gives.
const MOST_ITEMS: usize = 1 << 21;

/// What an item is about, in the order of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) object: u64,
    pub(super) kind: u8,
    pub(super) offset: u64,
}

impl Key {
    pub(super) fn at(bytes: &[u8], at: usize) -> Self {
        Self {
            object: u64_at(bytes, at),
            kind: u8_at(bytes, at + 8),
            offset: u64_at(bytes, at + 9),
        }
    }
}

/// Where a tree begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Root {
    pub(super) logical: u64,
    pub(super) level: u8,
}

pub(super) type Item = (Key, Vec<u8>);

pub(super) struct Nodes {
    pub(super) source: Source,
    pub(super) chunks: Chunks,
    pub(super) node_size: usize,
    pub(super) kept: Mutex<HashMap<u64, Arc<Vec<u8>>>>,
}

/// A look-up of all items between two keys.
struct Search<'a> {
    nodes: &'a Nodes,
    first: Key,
    last: Key,
    visits: usize,
    found: Vec<Item>,
}

impl Nodes {
    fn node(&self, logical: u64) -> Result<Arc<Vec<u8>>, FileSystemError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = kept.get(&logical) {
            return Ok(Arc::clone(node));
        }
        let place = self.chunks.physical(logical, self.node_size as u64)?;
        let node = Arc::new(self.source.read(place, self.node_size)?);
        if u64_at(&node, 48) != logical {
            return Err(damaged("a node is not where it says"));
        }
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(logical, Arc::clone(&node));
        Ok(node)
    }

    /// All items of a tree between two keys, both included, in order.
    pub(super) fn between(
        &self,
        root: Root,
        first: Key,
        last: Key,
    ) -> Result<Vec<Item>, FileSystemError> {
        if root.level >= MOST_LEVELS {
            return Err(damaged("a tree is too high"));
        }
        let mut search = Search { nodes: self, first, last, visits: 0, found: Vec::new() };
        search.visit(root.logical, root.level)?;
        Ok(search.found)
    }

    /// All items of one kind that are about one object.
    pub(super) fn items(
        &self,
        root: Root,
        object: u64,
        kind: u8,
    ) -> Result<Vec<Item>, FileSystemError> {
        let key = |offset| Key { object, kind, offset };
        self.between(root, key(0), key(u64::MAX))
    }
}

impl Search<'_> {
    /// Levels only go down, so that a loop ends, and keys only go up, so that nothing is found twice.
    fn visit(&mut self, logical: u64, level: u8) -> Result<(), FileSystemError> {
        self.visits += 1;
        if self.visits > MOST_VISITS {
            return Err(damaged("a tree has no end"));
        }
        let node = self.nodes.node(logical)?;
        let count = u32_at(&node, 96) as usize;
        if u8_at(&node, 100) != level {
            return Err(damaged("a tree has a node of the wrong level"));
        }
        let width = if level == 0 { 25 } else { 33 };
        let entries = node.get(HEAD..).unwrap_or_default().chunks_exact(width).take(count);
        if entries.len() < count {
            return Err(damaged("a node has more items than room"));
        }
        if level == 0 {
            for entry in entries {
                let key = Key::at(entry, 0);
                if key < self.first || key > self.last {
                    continue;
                }
                let start = HEAD + u32_at(entry, 17) as usize;
                let bytes = node.get(start..start + u32_at(entry, 21) as usize);
                let bytes = bytes.ok_or_else(|| damaged("an item is behind its node"))?;
                if self.found.last().is_some_and(|last| last.0 >= key)
                    || self.found.len() >= MOST_ITEMS
                {
                    return Err(damaged("items are not in order"));
                }
                self.found.push((key, bytes.to_owned()));
            }
            return Ok(());
        }
        let mut entries = entries.peekable();
        while let Some(entry) = entries.next() {
            // A child has what is from its key up to the next one's.
            let after = entries.peek().is_some_and(|next| Key::at(next, 0) <= self.first);
            if after {
                continue;
            }
            if Key::at(entry, 0) > self.last {
                break;
            }
            self.visit(u64_at(entry, 17), level - 1)?;
        }
        Ok(())
    }
}

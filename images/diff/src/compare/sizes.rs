//! What the files below directories take.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::kernel::Kernels;
use super::{Change, Diff};
use crate::{Component, Entry, EntryKind, FileKey, Inventory};

/// How deep directories are told apart: `/usr/share/locale`. Deeper ones count for these.
const DEPTH: usize = 3;

pub(super) fn compare(diff: &mut Diff<'_>) {
    let (Some(old), Some(new)) = (&diff.old.files, &diff.new.files) else { return };
    let tells = |files: &BTreeMap<FileKey, Entry>, component: &Component| {
        files.keys().any(|key| key.component == *component)
    };
    // An extension may come and go; what every image has is only told or not.
    let one_sided: Vec<_> = [Component::Base, Component::Initrd, Component::FullInitrd]
        .into_iter()
        .filter(|component| tells(old, component) != tells(new, component))
        .collect();
    let told = |files| {
        let mut directories = directories(files);
        directories.retain(|(component, _), _| !one_sided.contains(component));
        directories
    };
    let (mut before, after) = (told(old), told(new));
    for ((component, path), new) in after {
        let old = before.remove(&(component, path.clone())).unwrap_or(0);
        if old != new {
            diff.changes.push(Change::Directory { component, path, old, new });
        }
    }
    for ((component, path), old) in before {
        diff.changes.push(Change::Directory { component, path, old, new: 0 });
    }
    if let (Some(old), Some(new)) = (content_size(diff.old), content_size(diff.new))
        && old != new
    {
        diff.changes.push(Change::ContentSize { old, new });
    }
}

/// Bytes of all files of the image itself.
pub(crate) fn content_size(inventory: &Inventory) -> Option<u64> {
    directory_size(inventory, &Component::Base, "/")
}

/// Bytes of all files below a directory of a component; `None` if nothing is known of the component.
pub(crate) fn directory_size(
    inventory: &Inventory,
    component: &Component,
    dir: &str,
) -> Option<u64> {
    let files = inventory.files.as_ref()?;
    files.keys().any(|key| key.component == *component).then_some(())?;
    let dir = dir.trim_end_matches('/');
    let is_below = |path: &str| path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'));
    let below = sizes(files).filter(|(key, _)| key.component == *component && is_below(&key.path));
    Some(below.map(|(_, size)| size).fold(0, u64::saturating_add))
}

fn directories(files: &BTreeMap<FileKey, Entry>) -> BTreeMap<(&Component, Cow<'_, str>), u64> {
    // By their own names first: there are far fewer directories than files to make names without a version for.
    let mut named: HashMap<(&Component, &str), u64> = HashMap::new();
    for (key, size) in sizes(files).filter(|(_, size)| *size > 0) {
        for (end, _) in key.path.match_indices('/').skip(1).take(DEPTH) {
            let sum = named.entry((&key.component, &key.path[..end])).or_default();
            *sum = sum.saturating_add(size);
        }
    }
    let kernels = Kernels::of(files);
    let mut directories: BTreeMap<(&Component, Cow<'_, str>), u64> = BTreeMap::new();
    for ((component, path), size) in named {
        let sum = directories.entry((component, kernels.normal(component, path))).or_default();
        *sum = sum.saturating_add(size);
    }
    directories
}

/// Files and what they add: one that has several names counts at the first of them.
///
/// Inodes aren't known. But all names of a file are there, so that of `k` names that have `n` links, one size and one content,
/// `k / n` are files.
fn sizes(files: &BTreeMap<FileKey, Entry>) -> impl Iterator<Item = (&FileKey, u64)> {
    let mut seen: HashMap<(&Component, u32, u64, Option<&str>), u64> = HashMap::new();
    files.iter().filter(|(_, entry)| entry.kind == EntryKind::File).map(move |(key, entry)| {
        let size = entry.size.unwrap_or(0);
        let links = entry.links.unwrap_or(1);
        if links <= 1 {
            return (key, size);
        }
        let names = seen.entry((&key.component, links, size, entry.digest.as_deref())).or_default();
        let is_first = (*names).is_multiple_of(u64::from(links));
        *names += 1;
        (key, if is_first { size } else { 0 })
    })
}

//! Paths without the kernel's version, so that a new kernel doesn't look like thousands of files that came and went.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::{Component, Entry, FileKey};

/// What stands in the place of the version.
const KERNEL: &str = "<kernel>";

/// The kernel's version in each component.
pub(super) struct Kernels<'a>(BTreeMap<&'a Component, &'a str>);

impl<'a> Kernels<'a> {
    pub(super) fn of(files: &'a BTreeMap<FileKey, Entry>) -> Self {
        let mut versions: BTreeMap<&Component, BTreeSet<&str>> = BTreeMap::new();
        for key in files.keys() {
            if let Some(version) = version(&key.path) {
                versions.entry(&key.component).or_default().insert(version);
            }
        }
        // With two kernels, two files would get one name.
        let single = |(component, versions): (&'a Component, BTreeSet<&'a str>)| {
            Some((component, versions.first().copied().filter(|_| versions.len() == 1)?))
        };
        Self(versions.into_iter().filter_map(single).collect())
    }

    /// A path, or the target of a link, without the version.
    pub(super) fn normal<'p>(&self, component: &Component, path: &'p str) -> Cow<'p, str> {
        let Some(kernel) = self.0.get(component).or_else(|| self.0.get(&Component::Base)) else {
            return Cow::Borrowed(path);
        };
        // `6.1.0` alone may be the version of anything else.
        let is_telling = kernel.contains(|c: char| c.is_ascii_alphabetic());
        if path.contains(kernel) && (is_telling || version(path) == Some(kernel)) {
            return Cow::Owned(path.replace(kernel, KERNEL));
        }
        Cow::Borrowed(path)
    }
}

/// The version in `/usr/lib/modules/6.6.50-flatcar/…`.
fn version(path: &str) -> Option<&str> {
    let (_, rest) =
        path.split_once("/lib/modules/").or_else(|| path.split_once("/lib64/modules/"))?;
    let version = rest.split('/').next()?;
    (version.starts_with(|c: char| c.is_ascii_digit()) && version.contains('.')).then_some(version)
}

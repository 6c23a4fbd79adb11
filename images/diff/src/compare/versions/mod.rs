//! Orders of versions: each family of packages has a rule of its own.

mod debian;
pub(crate) mod gentoo;
mod rpm;

#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use serde::Serialize;

use crate::{Component, Inventory};

/// Whose packages they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// Portage's, ordered as in the Package Manager Specification, 3.3.
    Gentoo,
    /// dpkg's, ordered as in the Debian Policy, 5.6.12.
    Debian,
    /// RPM's, ordered as in rpm-version(7).
    Rpm,
}

impl Scheme {
    /// The scheme of an inventory's packages, if there are any.
    pub(crate) fn of(inventory: &Inventory) -> Option<Self> {
        let packages = inventory.packages.as_ref()?;
        let (_, first) = packages.keys().next()?;
        // Only Portage has categories.
        if first.contains('/') {
            return Some(Self::Gentoo);
        }
        let has_rpm = inventory.files.as_ref().is_some_and(|files| {
            ["/var/lib/rpm", "/usr/lib/sysimage/rpm", "/usr/share/rpm"].iter().any(|path| {
                let key = crate::FileKey { component: Component::Base, path: (*path).to_owned() };
                files.contains_key(&key)
            })
        });
        Some(if has_rpm { Self::Rpm } else { Self::Debian })
    }

    /// How two versions are ordered; `None` if one of them is no version. Versions that are equal may be written differently.
    #[must_use]
    pub fn compare(self, one: &str, other: &str) -> Option<Ordering> {
        match self {
            Self::Gentoo => gentoo::compare(one, other),
            Self::Debian => Some(debian::compare(one, other)),
            Self::Rpm => Some(rpm::compare(one, other)),
        }
    }
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gentoo => "Gentoo",
            Self::Debian => "Debian",
            Self::Rpm => "RPM",
        })
    }
}

/// Compares epochs, then versions and revisions (RPM: releases) by `part`. Debian and RPM write the three alike.
fn by_parts(one: &str, other: &str, part: fn(&str, &str) -> Ordering) -> Ordering {
    let (one, other) = (parts(one), parts(other));
    numbers(one.0, other.0).then_with(|| part(one.1, other.1)).then_with(|| part(one.2, other.2))
}

/// Epoch, version and revision.
fn parts(version: &str) -> (&str, &str, &str) {
    let (epoch, rest) = version
        .split_once(':')
        .filter(|(epoch, _)| !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit()))
        .unwrap_or(("", version));
    let (version, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch, version, revision)
}

/// What comes before the first character that ends it, and the rest.
fn until(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(is_end).unwrap_or(text.len()))
}

/// Compares two numbers of any length.
fn numbers(one: &str, other: &str) -> Ordering {
    let (one, other) = (one.trim_start_matches('0'), other.trim_start_matches('0'));
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

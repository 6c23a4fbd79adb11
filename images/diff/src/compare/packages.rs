//! Packages that came, went, and moved up or down.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::versions::Scheme;
use super::{Aspect, Change, Diff, Incomparable, PackageChange, PackageMove};
use crate::{Component, Inventory};

type Packages<'a> = BTreeMap<(&'a Component, &'a str), &'a BTreeSet<String>>;

pub(super) fn compare(diff: &mut Diff<'_>) {
    let (old, new) = (diff.old, diff.new);
    if !diff.known(Aspect::Packages, old.packages.is_some(), new.packages.is_some()) {
        return;
    }
    let schemes = (Scheme::of(old), Scheme::of(new));
    if let (Some(old), Some(new)) = schemes
        && old != new
    {
        let why = format!("the old image has packages of {old}, the new one of {new}");
        diff.incomparable.push(Incomparable::new(Aspect::Packages, why));
        return;
    }
    let scheme = schemes.1.or(schemes.0).unwrap_or(Scheme::Debian);

    let components = |inventory: &Inventory| -> BTreeSet<Component> {
        inventory.packages.iter().flatten().map(|((component, _), _)| component.clone()).collect()
    };
    let (in_old, in_new) = (components(old), components(new));
    let mut left_out = BTreeSet::new();
    for component in in_old.symmetric_difference(&in_new) {
        let (is_old, is_new) = (in_old.contains(component), in_new.contains(component));
        // An extension that came or went did so with its packages. What is there without packages has them untold.
        let has_gone = matches!(component, Component::Sysext(_))
            && !(has_files(old, component) && has_files(new, component));
        if !has_gone {
            diff.known_of(Aspect::Packages, Some(component), is_old, is_new);
            left_out.insert(component.clone());
        }
    }
    let wanted = |inventory| -> Packages<'_> { packages(inventory, &left_out) };
    let (mut old, new) = (wanted(old), wanted(new));
    for ((component, name), versions) in new {
        let change = match old.remove(&(component, name)) {
            None => PackageChange {
                component,
                name,
                change: PackageMove::Added,
                old: Vec::new(),
                new: versions.iter().map(String::as_str).collect(),
            },
            Some(before) if before == versions => continue,
            Some(before) => PackageChange {
                component,
                name,
                change: direction(scheme, before, versions),
                old: before.difference(versions).map(String::as_str).collect(),
                new: versions.difference(before).map(String::as_str).collect(),
            },
        };
        diff.changes.push(Change::Package(change));
    }
    for ((component, name), versions) in old {
        diff.changes.push(Change::Package(PackageChange {
            component,
            name,
            change: PackageMove::Removed,
            old: versions.iter().map(String::as_str).collect(),
            new: Vec::new(),
        }));
    }
}

fn has_files(inventory: &Inventory, component: &Component) -> bool {
    inventory
        .files
        .as_ref()
        .is_some_and(|files| files.keys().any(|key| key.component == *component))
}

fn packages<'a>(inventory: &'a Inventory, left_out: &BTreeSet<Component>) -> Packages<'a> {
    inventory
        .packages
        .iter()
        .flatten()
        .filter(|((component, _), _)| !left_out.contains(component))
        .map(|((component, name), versions)| ((component, &**name), versions))
        .collect()
}

/// Which way a package went, by the newest of its versions.
fn direction(scheme: Scheme, old: &BTreeSet<String>, new: &BTreeSet<String>) -> PackageMove {
    let order = newest(scheme, old)
        .zip(newest(scheme, new))
        .and_then(|(old, new)| scheme.compare(new, old));
    match order {
        None => PackageMove::Unordered,
        Some(Ordering::Less) => PackageMove::Down,
        Some(Ordering::Equal) => PackageMove::Same,
        Some(Ordering::Greater) => PackageMove::Up,
    }
}

fn newest(scheme: Scheme, versions: &BTreeSet<String>) -> Option<&str> {
    let mut versions = versions.iter();
    let mut newest = versions.next()?;
    for version in versions {
        if scheme.compare(version, newest)? == Ordering::Greater {
            newest = version;
        }
    }
    Some(newest)
}

//! The kernel's config, partitions, listeners, users and the size of the disk.

use std::collections::{BTreeMap, BTreeSet};

use super::{Aspect, Change, Diff, Incomparable, Presence, UserChange};
use crate::Listener;

pub(super) fn compare(diff: &mut Diff<'_>) {
    kernel_config(diff);
    partitions(diff);
    listeners(diff);
    users(diff);
    let (old, new) = (diff.old.size, diff.new.size);
    if diff.known(Aspect::ImageSize, old.is_some(), new.is_some())
        && let (Some(old), Some(new)) = (old, new)
        && old != new
    {
        diff.changes.push(Change::ImageSize { old, new });
    }
}

/// The values of each key in two maps that differ.
fn differing<'a, V: PartialEq>(
    old: &'a BTreeMap<String, V>,
    new: &'a BTreeMap<String, V>,
) -> impl Iterator<Item = (&'a str, Option<&'a V>, Option<&'a V>)> {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    keys.into_iter()
        .map(|key| (&**key, old.get(key), new.get(key)))
        .filter(|(_, old, new)| old != new)
}

fn kernel_config(diff: &mut Diff<'_>) {
    let (old, new) = (&diff.old.kernel_config, &diff.new.kernel_config);
    diff.known(Aspect::KernelConfig, old.is_some(), new.is_some());
    let (Some(old), Some(new)) = (old, new) else { return };
    let changes = differing(old, new).map(|(option, old, new)| Change::KernelOption {
        option,
        old: old.map(String::as_str),
        new: new.map(String::as_str),
    });
    diff.changes.extend(changes);
}

fn partitions(diff: &mut Diff<'_>) {
    let (old, new) = (&diff.old.partitions, &diff.new.partitions);
    diff.known(Aspect::Partitions, old.is_some(), new.is_some());
    let (Some(old), Some(new)) = (old, new) else { return };
    if diff.old.origin != diff.new.origin {
        let why =
            "listings have rounded sizes of file systems, and images exact ones of partitions"
                .to_owned();
        diff.incomparable.push(Incomparable::new(Aspect::Partitions, why));
        return;
    }
    let changes =
        differing(old, new).map(|(label, old, new)| Change::Partition { label, old, new });
    diff.changes.extend(changes);
}

fn listeners(diff: &mut Diff<'_>) {
    let (old, new) = (&diff.old.listeners, &diff.new.listeners);
    diff.known(Aspect::Listeners, old.is_some(), new.is_some());
    let (Some(old), Some(new)) = (old, new) else { return };
    // Listings know the unit only.
    let by_unit = old.iter().chain(new).any(|listener| listener.address == Listener::UNKNOWN);
    let is_in = |one: &Listener, others: &BTreeSet<Listener>| {
        if by_unit {
            others.iter().any(|other| other.unit == one.unit)
        } else {
            others.contains(one)
        }
    };
    let gone = old.iter().filter(|one| !is_in(one, new)).map(|one| (one, Presence::Removed));
    let come = new.iter().filter(|one| !is_in(one, old)).map(|one| (one, Presence::Added));
    let changes = gone.chain(come).map(|(listener, change)| Change::Listener { listener, change });
    diff.changes.extend(changes);
}

fn users(diff: &mut Diff<'_>) {
    let (old, new) = (&diff.old.users, &diff.new.users);
    diff.known(Aspect::Users, old.is_some(), new.is_some());
    let (Some(old), Some(new)) = (old, new) else { return };
    let changes = differing(old, new).map(|(name, old, new)| {
        let change = match (old, new) {
            (None, _) => Presence::Added,
            (Some(_), None) => Presence::Removed,
            (Some(_), Some(_)) => Presence::Changed,
        };
        Change::User(UserChange { name, change, old, new })
    });
    let changes: Vec<_> = changes.collect();
    // A hash that can't be read on one side may be there.
    let is_unknown = old.iter().any(|(name, old)| {
        new.get(name).is_some_and(|new| old.password.is_some() != new.password.is_some())
    });
    if is_unknown {
        let why = "whether passwords let users in is known of one image only".to_owned();
        diff.incomparable.push(Incomparable::new(Aspect::Users, why));
    }
    diff.changes.extend(changes);
}

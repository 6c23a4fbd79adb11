//! Files that came, went and changed; extensions; units.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::kernel::Kernels;
use super::units::unit;
use super::{Aspect, Change, Diff, Difference, FileChange, Incomparable, Presence};
use crate::{Component, Entry, EntryKind, FileKey};

/// A file by its path without the kernel's version.
type Named<'a> = (&'a Component, Cow<'a, str>, &'a Entry);

pub(super) fn compare(diff: &mut Diff<'_>) {
    let (Some(old), Some(new)) = (&diff.old.files, &diff.new.files) else {
        diff.known(Aspect::Files, diff.old.files.is_some(), diff.new.files.is_some());
        return;
    };
    let left_out = components(diff, old, new);
    let kernels = (Kernels::of(old), Kernels::of(new));
    let (old_files, new_files) =
        (named(old, &kernels.0, &left_out), named(new, &kernels.1, &left_out));
    let mut unknown = Unknown::default();
    let mut changes = Vec::new();
    let (mut before, mut after) = (old_files.iter().peekable(), new_files.iter().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => (old.0, &old.1).cmp(&(new.0, &new.1)),
        };
        let old = if order.is_le() { before.next() } else { None };
        let new = if order.is_ge() { after.next() } else { None };
        let Some((component, path, _)) = new.or(old) else { break };
        let (old, new) = (old.map(|(_, _, entry)| *entry), new.map(|(_, _, entry)| *entry));
        let (change, differences) = match (old, new) {
            (Some(old), Some(new)) => {
                let differences = unknown.differences(component, &kernels, old, new);
                if differences.is_empty() {
                    continue;
                }
                (Presence::Changed, differences)
            }
            (None, new) => {
                unknown.added(new);
                (Presence::Added, Vec::new())
            }
            (Some(_), None) => (Presence::Removed, Vec::new()),
        };
        let path = path.clone();
        changes.push(Change::File(FileChange { component, path, change, differences, old, new }));
    }
    diff.changes.extend(changes);
    unknown.note(diff);
    let changed = changed_units(old, new, &left_out);
    diff.changes.extend(changed);
}

/// Notes extensions that came or went, and gives the components that only one side tells about.
fn components<'a>(
    diff: &mut Diff<'a>,
    old: &'a BTreeMap<FileKey, Entry>,
    new: &'a BTreeMap<FileKey, Entry>,
) -> BTreeSet<&'a Component> {
    let components = |files: &'a BTreeMap<FileKey, Entry>| -> BTreeSet<&'a Component> {
        files.keys().map(|key| &key.component).collect()
    };
    let (old, new) = (components(old), components(new));
    let mut left_out = BTreeSet::new();
    for component in old.symmetric_difference(&new).copied() {
        let is_new = new.contains(component);
        match component {
            Component::Sysext(_) => {
                let change = if is_new { Presence::Added } else { Presence::Removed };
                diff.changes.push(Change::Component { component, change });
            }
            // Every image has these; only not every inventory.
            Component::Base => {
                diff.known_of(Aspect::Files, Some(component), !is_new, is_new);
                left_out.insert(component);
            }
            Component::Initrd | Component::FullInitrd => {
                diff.known_of(Aspect::Initrd, Some(component), !is_new, is_new);
                left_out.insert(component);
            }
        }
    }
    // The small one, or the only one; whether there is another can't be told.
    if !old.union(&new).any(|component| **component == Component::Initrd) {
        diff.known(Aspect::Initrd, false, false);
    }
    left_out
}

fn named<'a>(
    files: &'a BTreeMap<FileKey, Entry>,
    kernels: &Kernels<'_>,
    left_out: &BTreeSet<&Component>,
) -> Vec<Named<'a>> {
    let mut named: Vec<Named<'a>> = files
        .iter()
        .filter(|(key, _)| !left_out.contains(&key.component))
        .map(|(key, entry)| (&key.component, kernels.normal(&key.component, &key.path), entry))
        .collect();
    named.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    named
}

/// How often something was known of one file, and how often not.
#[derive(Default)]
struct Unknown(BTreeMap<Aspect, Count>);

#[derive(Clone, Copy, Default)]
struct Count {
    compared: u64,
    /// Of those: how many are unknown in the old image, in the new one, and in both.
    old: u64,
    new: u64,
    both: u64,
    /// Where one side has a name and the other a number.
    forms: u64,
}

impl Unknown {
    fn differences(
        &mut self,
        component: &Component,
        kernels: &(Kernels<'_>, Kernels<'_>),
        old: &Entry,
        new: &Entry,
    ) -> Vec<Difference> {
        if old.kind != new.kind {
            return vec![Difference::Kind];
        }
        let mut differences = Vec::new();
        let mut note = |difference, is_other| {
            if is_other {
                differences.push(difference);
            }
        };
        note(Difference::Mode, old.mode != new.mode && old.kind != EntryKind::Symlink);
        note(Difference::Owner, self.owner(old.owner.as_ref(), new.owner.as_ref()));
        note(Difference::Group, self.owner(old.group.as_ref(), new.group.as_ref()));
        match old.kind {
            EntryKind::File => {
                let capabilities = (old.capabilities.as_ref(), new.capabilities.as_ref());
                let is_other = self.text(Aspect::Capabilities, capabilities.0, capabilities.1);
                note(Difference::Capabilities, is_other);
                note(Difference::Size, old.size != new.size);
                note(
                    Difference::Digest,
                    self.text(Aspect::Digests, old.digest.as_ref(), new.digest.as_ref()),
                );
            }
            EntryKind::Symlink => {
                let old = old.target.as_ref().map(|target| kernels.0.normal(component, target));
                let new = new.target.as_ref().map(|target| kernels.1.normal(component, target));
                note(Difference::Target, self.text(Aspect::Targets, old.as_ref(), new.as_ref()));
            }
            _ => {}
        }
        differences
    }

    /// A file that came has the capabilities it has, and nothing to compare them with.
    fn added(&mut self, new: Option<&Entry>) {
        if new.is_some_and(|new| new.kind == EntryKind::File && new.capabilities.is_none()) {
            self.text(Aspect::Capabilities, Some(""), None);
        }
    }

    fn text<T: PartialEq>(&mut self, aspect: Aspect, old: Option<T>, new: Option<T>) -> bool {
        let count = self.0.entry(aspect).or_default();
        count.compared += 1;
        match (old, new) {
            (Some(old), Some(new)) => return old != new,
            (None, Some(_)) => count.old += 1,
            (Some(_), None) => count.new += 1,
            (None, None) => count.both += 1,
        }
        false
    }

    fn owner(&mut self, old: Option<&String>, new: Option<&String>) -> bool {
        let is_other = self.text(Aspect::Owners, old, new);
        let (Some(old), Some(new)) = (old, new) else { return false };
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if is_other && is_number(old) != is_number(new) {
            let name = |text: &str| if text == "0" { "root".to_owned() } else { text.to_owned() };
            let (old, new) = (name(old), name(new));
            if is_number(&old) == is_number(&new) || old == "root" || new == "root" {
                return old != new;
            }
            self.0.entry(Aspect::Owners).or_default().forms += 1;
            return false;
        }
        is_other
    }

    /// What was unknown, once for all files.
    fn note(&self, diff: &mut Diff<'_>) {
        for (&aspect, count) in &self.0 {
            if count.forms > 0 {
                let why = format!(
                    "one image has names of owners and the other numbers; of {} they can't be compared",
                    files(count.forms)
                );
                diff.incomparable.push(Incomparable::new(aspect, why));
            }
            let unknown = count.old + count.new + count.both;
            if unknown == count.compared {
                let old = count.new > 0;
                let new = count.old > 0;
                diff.known(aspect, old, new && !old);
            } else if unknown > 0 {
                let why = format!("{} are not known of {}", aspect.words(), files(unknown));
                diff.incomparable.push(Incomparable::new(aspect, why));
            }
        }
    }
}

fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

/// Units that came or went. One that has moved, also into an extension, is neither.
fn changed_units<'a>(
    old: &'a BTreeMap<FileKey, Entry>,
    new: &'a BTreeMap<FileKey, Entry>,
    left_out: &BTreeSet<&Component>,
) -> Vec<Change<'a>> {
    let units = |files: &'a BTreeMap<FileKey, Entry>| -> BTreeSet<(Component, &'a str)> {
        let mut there = BTreeSet::new();
        let mut masked = BTreeSet::new();
        for (key, entry) in files.iter().filter(|(key, _)| !left_out.contains(&key.component)) {
            let Some(name) = unit(&key.path) else { continue };
            let realm = match &key.component {
                Component::Sysext(_) => Component::Base,
                component => component.clone(),
            };
            let is_masked = entry.target.as_deref() == Some("/dev/null");
            (if is_masked { &mut masked } else { &mut there }).insert((realm, name));
        }
        // A unit that is masked never starts, wherever else its file is.
        there.difference(&masked).cloned().collect()
    };
    let (old, new) = (units(old), units(new));
    let gone = old.difference(&new).map(|unit| (unit, Presence::Removed));
    let come = new.difference(&old).map(|unit| (unit, Presence::Added));
    gone.chain(come)
        .map(|((realm, name), change)| Change::Unit { realm: realm.clone(), name, change })
        .collect()
}

//! What is shown first.

use serde::Serialize;

use super::{Change, FileChange, PackageMove, Presence};
use crate::EntryKind;

/// How alarming a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alarm {
    /// Somebody can do more than before: setuid, capabilities, a password.
    Rights,
    /// Somebody will miss it, or it can be reached: a unit that is gone, a listener, a downgrade.
    Loss,
    /// Worth a look: kinds, modes and owners of files, users, packages that are gone.
    Look,
    /// What a release is for.
    Ordinary,
}

impl Change<'_> {
    /// How alarming it is.
    #[must_use]
    pub fn alarm(&self) -> Alarm {
        match self {
            Self::File(file) => of_file(file),
            Self::User(user) if user.is_alarming() => Alarm::Rights,
            Self::User(_) => Alarm::Look,
            Self::Unit { change: Presence::Removed, .. }
            | Self::Component { change: Presence::Removed, .. }
            | Self::Listener { change: Presence::Added, .. } => Alarm::Loss,
            Self::Package(package) => match package.change {
                PackageMove::Down => Alarm::Loss,
                PackageMove::Unordered | PackageMove::Removed => Alarm::Look,
                PackageMove::Added | PackageMove::Up | PackageMove::Same => Alarm::Ordinary,
            },
            Self::Listener { .. } | Self::Component { .. } => Alarm::Look,
            Self::Partition { old: Some(_), new: None, .. } => Alarm::Look,
            Self::Unit { .. }
            | Self::KernelOption { .. }
            | Self::Partition { .. }
            | Self::Directory { .. }
            | Self::ImageSize { .. }
            | Self::ContentSize { .. } => Alarm::Ordinary,
        }
    }
}

fn of_file(file: &FileChange<'_>) -> Alarm {
    use super::Difference::{Group, Kind, Mode, Owner};

    if file.gained_setid() || file.gained_capabilities() {
        return Alarm::Rights;
    }
    // Whoever may write may change it; links have no modes, and in a directory with the sticky bit only its own.
    let is_open = file.new.is_some_and(|new| {
        new.mode & 0o002 != 0 && new.kind != EntryKind::Symlink && new.mode & 0o1000 == 0
    });
    let was_open = file.old.is_some_and(|old| old.mode & 0o002 != 0);
    let is_telling =
        file.differences.iter().any(|what| matches!(what, Kind | Mode | Owner | Group));
    if is_telling || (is_open && !was_open) { Alarm::Look } else { Alarm::Ordinary }
}

/// The order of changes: by alarm, by kind, and the largest first. Names decide the rest, so that it is always the same.
pub(super) fn key(change: &Change<'_>) -> (Alarm, u8, std::cmp::Reverse<u128>, String) {
    let (group, weight, name) = match change {
        Change::File(file) => {
            (0, file.growth().unsigned_abs(), format!("{} {}", file.component, file.path))
        }
        Change::User(user) => (1, 0, user.name.to_owned()),
        Change::Unit { realm, name, .. } => (2, 0, format!("{realm} {name}")),
        Change::Listener { listener, .. } => {
            (3, 0, format!("{} {} {}", listener.unit, listener.protocol, listener.address))
        }
        Change::Component { component, .. } => (4, 0, component.to_string()),
        Change::Package(package) => {
            let order = match package.change {
                PackageMove::Down => 5,
                PackageMove::Unordered => 4,
                PackageMove::Removed => 3,
                PackageMove::Added => 2,
                PackageMove::Up => 1,
                PackageMove::Same => 0,
            };
            (5, order, format!("{} {}", package.component, package.name))
        }
        Change::ContentSize { .. } => (6, 0, String::new()),
        Change::ImageSize { .. } => (7, 0, String::new()),
        Change::Partition { label, .. } => (8, 0, (*label).to_owned()),
        Change::Directory { component, path, old, new } => {
            (9, u128::from(old.abs_diff(*new)), format!("{component} {path}"))
        }
        Change::KernelOption { option, .. } => (10, 0, (*option).to_owned()),
    };
    (change.alarm(), group, std::cmp::Reverse(weight), name)
}

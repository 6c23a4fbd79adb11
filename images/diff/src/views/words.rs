//! Changes in words.

use crate::{
    Change, Component, Difference, Entry, EntryKind, FileChange, Listener, PackageMove, Partition,
    Presence, User, UserChange, visible,
};

/// `61.0 MiB`, exact below one KiB.
pub(crate) fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let mut tenths = u128::from(size) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

pub(super) fn bytes_of_disk(size: u64) -> String {
    format!("disk of {}", bytes(size))
}

/// `+1.0 MiB`.
pub(super) fn growth(old: u64, new: u64) -> String {
    let sign = if new < old { '-' } else { '+' };
    format!("{sign}{}", bytes(old.abs_diff(new)))
}

/// What happened in one word, and to what.
pub(super) fn of(change: &Change<'_>) -> (&'static str, String) {
    match change {
        Change::Component { component, change } => {
            (presence(*change), format!("extension {}", visible(&component.to_string())))
        }
        Change::Package(package) => {
            let word = match package.change {
                PackageMove::Down => "down",
                PackageMove::Up => "up",
                PackageMove::Added => "new",
                PackageMove::Removed => "gone",
                PackageMove::Unordered | PackageMove::Same => "other",
            };
            let (old, new) = (package.old.join(", "), package.new.join(", "));
            let versions = [visible(&old), visible(&new)];
            let versions: Vec<_> =
                versions.iter().map(|one| &**one).filter(|one| !one.is_empty()).collect();
            (
                word,
                format!(
                    "{} {}{}",
                    visible(package.name),
                    versions.join(" → "),
                    of_component(package.component)
                ),
            )
        }
        Change::File(file) => {
            let what = file_words(file);
            let word = match file.change {
                _ if file.gained_setid() => "setuid",
                _ if file.gained_capabilities() => "rights",
                change => presence(change),
            };
            (word, format!("{}{}{what}", visible(&file.path), of_component(file.component)))
        }
        Change::Unit { realm, name, change } => {
            (presence(*change), format!("unit {}{}", visible(name), of_component(realm)))
        }
        Change::Listener { listener, change } => {
            let Listener { unit, protocol, address } = listener;
            let unit = visible(unit);
            let what = match &**address {
                Listener::UNKNOWN => format!("listener {unit}"),
                address => format!("listener {unit} on {} {}", visible(protocol), visible(address)),
            };
            (presence(*change), what)
        }
        Change::User(user) => (presence(user.change), user_words(user)),
        Change::KernelOption { option, old, new } => {
            let value = |value: &Option<&str>| visible(value.unwrap_or("n")).into_owned();
            ("config", format!("{} {} → {}", visible(option), value(old), value(new)))
        }
        Change::Partition { label, old, new } => partition(label, *old, *new),
        Change::Directory { component, path, old, new } => (
            "dir",
            format!(
                "{} {} to {}{}",
                visible(path),
                growth(*old, *new),
                bytes(*new),
                of_component(component)
            ),
        ),
        Change::ImageSize { old, new } => {
            ("disk", format!("the disk: {} to {}", growth(*old, *new), bytes(*new)))
        }
        Change::ContentSize { old, new } => {
            ("sum", format!("all files: {} to {}", growth(*old, *new), bytes(*new)))
        }
    }
}

fn presence(change: Presence) -> &'static str {
    match change {
        Presence::Added => "new",
        Presence::Removed => "gone",
        Presence::Changed => "other",
    }
}

fn of_component(component: &Component) -> String {
    match component {
        Component::Base => String::new(),
        component => format!(" ({})", visible(&component.to_string())),
    }
}

fn file_words(file: &FileChange<'_>) -> String {
    match (file.old, file.new) {
        (Some(old), Some(new)) => {
            let words: Vec<_> =
                file.differences.iter().map(|what| difference(*what, old, new)).collect();
            format!(": {}", words.join(", "))
        }
        (None, Some(entry)) | (Some(entry), None) => {
            let size = entry.size.map(|size| format!(", {}", bytes(size))).unwrap_or_default();
            let telling = entry.mode & 0o7000 != 0 || entry.mode & 0o002 != 0;
            let mode = if telling && entry.kind != EntryKind::Symlink {
                let owner = owner(entry);
                format!(", mode {:04o}{owner}", entry.mode)
            } else {
                String::new()
            };
            let given = entry.capabilities.as_deref().filter(|given| !given.is_empty());
            let given = given.map(|given| format!(", {}", visible(given))).unwrap_or_default();
            format!(": {}{size}{mode}{given}", kind(entry.kind))
        }
        (None, None) => String::new(),
    }
}

fn owner(entry: &Entry) -> String {
    match (&entry.owner, &entry.group) {
        (Some(owner), Some(group)) => format!(" of {}:{}", visible(owner), visible(group)),
        _ => String::new(),
    }
}

fn difference(what: Difference, old: &Entry, new: &Entry) -> String {
    let shown = |text: &Option<String>| match text.as_deref() {
        None => "unknown".to_owned(),
        Some("") => "none".to_owned(),
        Some(text) => visible(text).into_owned(),
    };
    match what {
        Difference::Kind => format!("{} → {}", kind(old.kind), kind(new.kind)),
        Difference::Mode => format!("mode {:04o} → {:04o}", old.mode, new.mode),
        Difference::Owner => format!("owner {} → {}", shown(&old.owner), shown(&new.owner)),
        Difference::Group => format!("group {} → {}", shown(&old.group), shown(&new.group)),
        Difference::Capabilities => {
            format!("capabilities {} → {}", shown(&old.capabilities), shown(&new.capabilities))
        }
        Difference::Target => format!("→ {} (was {})", shown(&new.target), shown(&old.target)),
        Difference::Size => {
            let (old, new) = (old.size.unwrap_or(0), new.size.unwrap_or(0));
            format!("{} to {}", growth(old, new), bytes(new))
        }
        Difference::Digest => "content".to_owned(),
    }
}

fn kind(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Directory => "directory",
        EntryKind::Symlink => "link",
        EntryKind::BlockDevice => "block device",
        EntryKind::CharDevice => "character device",
        EntryKind::Fifo => "named pipe",
        EntryKind::Socket => "socket",
    }
}

fn user_words(user: &UserChange<'_>) -> String {
    let name = visible(user.name);
    let password = |user: &User| match user.password {
        Some(true) => "with a password",
        Some(false) => "no password",
        None => "password unknown",
    };
    match (user.old, user.new) {
        (None, Some(one)) | (Some(one), None) => {
            format!("user {name}: uid {}, {}, {}", one.uid, visible(&one.shell), password(one))
        }
        (Some(old), Some(new)) => {
            let mut words = Vec::new();
            let mut note = |what: &str, old: &str, new: &str| {
                if old != new {
                    words.push(format!("{what} {} → {}", visible(old), visible(new)));
                }
            };
            note("uid", &old.uid.to_string(), &new.uid.to_string());
            note("gid", &old.gid.to_string(), &new.gid.to_string());
            note("home", &old.home, &new.home);
            note("shell", &old.shell, &new.shell);
            let lets_in = |user: &User| match user.password {
                Some(true) => "yes",
                Some(false) => "no",
                None => "unknown",
            };
            note("password", lets_in(old), lets_in(new));
            let groups = |user: &User| user.groups.iter().cloned().collect::<Vec<_>>().join(",");
            note("groups", &groups(old), &groups(new));
            format!("user {name}: {}", words.join(", "))
        }
        (None, None) => format!("user {name}"),
    }
}

fn partition(
    label: &str,
    old: Option<&Partition>,
    new: Option<&Partition>,
) -> (&'static str, String) {
    let label = visible(label);
    match (old, new) {
        (Some(old), Some(new)) => {
            let mut words = Vec::new();
            if old.size != new.size {
                words.push(format!("{} to {}", growth(old.size, new.size), bytes(new.size)));
            }
            match (old.used, new.used) {
                (Some(old), Some(new)) if old != new => {
                    words.push(format!("in use {} to {}", growth(old, new), bytes(new)));
                }
                (old, new) if old.is_some() != new.is_some() => {
                    words.push("what is in use is known of one only".into());
                }
                _ => {}
            }
            let name = |partition: &Partition| {
                visible(partition.filesystem.as_deref().unwrap_or("unknown")).into_owned()
            };
            if old.filesystem != new.filesystem {
                words.push(format!("{} → {}", name(old), name(new)));
            }
            ("part", format!("partition {label}: {}", words.join(", ")))
        }
        (None, Some(new)) => ("new", format!("partition {label}: {}", bytes(new.size))),
        (Some(old), None) => ("gone", format!("partition {label}: {}", bytes(old.size))),
        (None, None) => ("part", format!("partition {label}")),
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    #[test_case(0 => "0 B")]
    #[test_case(1023 => "1023 B")]
    #[test_case(1024 => "1.0 KiB")]
    #[test_case(62 << 20 => "62.0 MiB")]
    #[test_case((6 << 30) + (1 << 29) => "6.5 GiB")]
    #[test_case(u64::MAX => "16383.9 PiB")]
    fn bytes(size: u64) -> String {
        super::bytes(size)
    }
}

//! What listens from boot on: socket units that something wants.

use std::collections::{BTreeMap, BTreeSet};

use super::names::UNITS;
use super::scan::Kept;
use crate::{Entry, FileKey, Listener};

/// Whether a file says something of sockets.
pub(super) fn is_about_sockets(path: &str) -> bool {
    let unit = UNITS.iter().find_map(|directory| path.strip_prefix(directory));
    let Some(unit) = unit.and_then(|unit| unit.strip_prefix('/')) else { return false };
    match unit.split_once('/') {
        None => unit.ends_with(".socket"),
        Some((directory, name)) => {
            name.ends_with(".conf")
                && (directory.ends_with(".socket.d") || directory.ends_with(".target.d"))
        }
    }
}

/// The values of a key in a unit. One that is empty forgets those before it.
fn values<'a>(text: &'a str, keys: &[&str]) -> Vec<(&'a str, &'a str)> {
    let mut found = Vec::new();
    for (key, value) in text.lines().filter_map(|line| line.trim().split_once('=')) {
        let (key, value) = (key.trim_end(), value.trim_start());
        if keys.contains(&key) {
            if value.is_empty() {
                found.retain(|(other, _)| *other != key);
            }
            found.push((key, value));
        }
    }
    found
}

/// The sockets that something wants.
fn enabled(kept: &Kept, files: &BTreeMap<FileKey, Entry>) -> BTreeSet<String> {
    let mut enabled = BTreeSet::new();
    for path in files.keys().map(|key| &key.path) {
        let unit = UNITS.iter().find_map(|directory| path.strip_prefix(directory));
        let Some((by, unit)) = unit.and_then(|unit| unit.rsplit_once('/')) else { continue };
        if unit.ends_with(".socket") && (by.ends_with(".wants") || by.ends_with(".requires")) {
            enabled.insert(unit.to_owned());
        }
    }
    // Extensions have no links, but say what upholds their units.
    for (_, bytes) in kept.iter().filter(|(path, _)| path.contains(".target.d/")) {
        let text = String::from_utf8_lossy(bytes);
        let units = values(&text, &["Upholds", "Wants", "Requires"]);
        let units = units.iter().flat_map(|(_, units)| units.split_whitespace());
        enabled.extend(units.filter(|unit| unit.ends_with(".socket")).map(str::to_owned));
    }
    enabled
}

/// Everything that listens from boot on.
pub(super) fn listeners(kept: &Kept, files: &BTreeMap<FileKey, Entry>) -> BTreeSet<Listener> {
    let mut listeners = BTreeSet::new();
    for unit in enabled(kept, files) {
        // An instance is made from its template.
        let template = unit.split_once('@').map(|(name, _)| format!("{name}@.socket"));
        let names = [Some(unit.clone()), template];
        let paths = names
            .iter()
            .flatten()
            .flat_map(|name| UNITS.iter().map(move |directory| format!("{directory}/{name}")));
        let masked = |path: &String| {
            files.iter().any(|(key, entry)| {
                key.path == *path && entry.target.as_deref() == Some("/dev/null")
            })
        };
        let mut paths = paths.skip_while(|path| !masked(path) && !kept.contains_key(path));
        let Some(text) = paths.next().and_then(|path| kept.get(&path)) else { continue };
        let mut text = String::from_utf8_lossy(text).into_owned();
        for (path, bytes) in kept.iter().filter(|(path, _)| path.contains(&format!("/{unit}.d/"))) {
            if is_about_sockets(path) {
                text.push('\n');
                text.push_str(&String::from_utf8_lossy(bytes));
            }
        }
        let keys = [
            "ListenStream",
            "ListenDatagram",
            "ListenSequentialPacket",
            "ListenFIFO",
            "ListenNetlink",
        ];
        for (key, address) in values(&text, &keys) {
            if address.is_empty() {
                continue;
            }
            let protocol = match key {
                "ListenFIFO" => "fifo",
                "ListenNetlink" => "netlink",
                _ if address.starts_with(['/', '@', '%']) => "unix",
                _ if address.starts_with("vsock:") => "vsock",
                "ListenDatagram" => "udp",
                _ => "tcp",
            };
            listeners.insert(Listener {
                unit: unit.clone(),
                protocol: protocol.to_owned(),
                address: address.to_owned(),
            });
        }
    }
    listeners
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::listeners;
    use crate::image::scan::Kept;
    use crate::{Component, Entry, EntryKind, FileKey};

    fn link(path: &str, target: &str) -> (FileKey, Entry) {
        let key = FileKey { component: Component::Base, path: path.to_owned() };
        let target = Some(target.to_owned());
        let (owner, group, size, links, capabilities, digest) =
            (None, None, None, None, None, None);
        (
            key,
            Entry {
                kind: EntryKind::Symlink,
                mode: 0o777,
                owner,
                group,
                size,
                links,
                capabilities,
                digest,
                target,
            },
        )
    }

    #[test]
    fn only_what_is_wanted_and_not_masked_listens() {
        let file = |path: &str, text: &str| (path.to_owned(), text.as_bytes().to_vec());
        let kept = Kept::from([
            file(
                "/usr/lib/systemd/system/sshd.socket",
                "[Socket]\nListenStream=22\nListenStream=/run/ssh\n",
            ),
            file(
                "/etc/systemd/system/sshd.socket.d/port.conf",
                "[Socket]\nListenStream=\nListenStream=2222\n",
            ),
            file(
                "/usr/lib/systemd/system/docker.socket",
                "[Socket]\nListenStream = /run/docker.sock\n",
            ),
            file(
                "/usr/lib/systemd/system/sockets.target.d/10.conf",
                "[Unit]\nUpholds=docker.socket\n",
            ),
            file("/usr/lib/systemd/system/rpc.socket", "[Socket]\nListenDatagram=111\n"),
            file("/usr/lib/systemd/system/idle.socket", "[Socket]\nListenDatagram=7\n"),
        ]);
        let files: BTreeMap<_, _> = [
            link("/usr/lib/systemd/system/sockets.target.wants/sshd.socket", "../sshd.socket"),
            link("/usr/lib/systemd/system/sockets.target.wants/rpc.socket", "../rpc.socket"),
            link("/etc/systemd/system/rpc.socket", "/dev/null"),
        ]
        .into();
        let found = listeners(&kept, &files);
        let found: Vec<_> = found.iter().map(|l| (&*l.unit, &*l.protocol, &*l.address)).collect();
        assert_eq!(
            found,
            [("docker.socket", "unix", "/run/docker.sock"), ("sshd.socket", "tcp", "2222")]
        );
    }
}

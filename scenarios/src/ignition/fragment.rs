//! Small configs that scenarios add to the user's own.

use serde_json::{Map, Value, json};

use super::{SpecVersion, data_url};

/// A config of spec 3.x without its version, which is filled in when it is merged.
///
/// Two entries of one kind must not have the same path or name: Ignition refuses duplicates within a config.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fragment(Map<String, Value>);

impl Fragment {
    /// A fragment with these entries.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        entries.into_iter().fold(Self::default(), Self::with)
    }

    /// Adds an entry.
    #[must_use]
    pub fn with(mut self, entry: Entry) -> Self {
        let section = self.0.entry(entry.section).or_insert_with(|| json!({}));
        // Only a fragment made from foreign JSON can have something else here, and Ignition then says so.
        if let Some(list) = section
            .as_object_mut()
            .map(|section| section.entry(entry.list).or_insert_with(|| json!([])))
            && let Some(list) = list.as_array_mut()
        {
            list.push(Value::Object(entry.value));
        }
        self
    }

    /// The config as bytes, of this spec version.
    pub(super) fn render(&self, version: SpecVersion) -> Vec<u8> {
        let mut config = self.0.clone();
        let ignition = config.entry("ignition").or_insert_with(|| json!({}));
        if let Some(ignition) = ignition.as_object_mut() {
            ignition.insert("version".into(), version.to_string().into());
        }
        Value::Object(config).to_string().into_bytes()
    }
}

impl From<Map<String, Value>> for Fragment {
    /// A fragment from the JSON object of a config.
    fn from(config: Map<String, Value>) -> Self {
        Self(config)
    }
}

/// One file, unit, user and so on. Made by the functions of this module.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    section: &'static str,
    list: &'static str,
    value: Map<String, Value>,
}

impl Entry {
    fn new(section: &'static str, list: &'static str, key: &str, name: &str) -> Self {
        Self { section, list, value: Map::new() }.set(key, name)
    }

    /// Sets a field by its name in the spec.
    #[must_use]
    pub fn set(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.value.insert(field.to_owned(), value.into());
        self
    }

    /// Gives a file, directory or link to a user and a group.
    #[must_use]
    pub fn owner(self, user: &str, group: &str) -> Self {
        self.set("user", json!({ "name": user })).set("group", json!({ "name": group }))
    }
}

/// A file that doesn't exist yet, with permission bits as `0o644`.
#[must_use]
pub fn file(path: &str, contents: impl AsRef<[u8]>, mode: u32) -> Entry {
    Entry::new("storage", "files", "path", path)
        .set("contents", json!({ "source": data_url(contents.as_ref()) }))
        .set("mode", mode)
}

/// A directory, with permission bits as `0o755`.
#[must_use]
pub fn directory(path: &str, mode: u32) -> Entry {
    Entry::new("storage", "directories", "path", path).set("mode", mode)
}

/// A symbolic link.
#[must_use]
pub fn link(path: &str, target: &str) -> Entry {
    Entry::new("storage", "links", "path", path).set("target", target)
}

/// A systemd unit, enabled or not.
#[must_use]
pub fn unit(name: &str, contents: &str, enabled: bool) -> Entry {
    Entry::new("systemd", "units", "name", name).set("contents", contents).set("enabled", enabled)
}

/// A drop-in for a systemd unit that exists.
#[must_use]
pub fn dropin(unit: &str, name: &str, contents: &str) -> Entry {
    Entry::new("systemd", "units", "name", unit)
        .set("dropins", json!([{ "name": name, "contents": contents }]))
}

/// A user: made if it doesn't exist, changed if it does.
#[must_use]
pub fn user(name: &str, ssh_keys: &[&str], groups: &[&str]) -> Entry {
    let user = Entry::new("passwd", "users", "name", name);
    let user =
        if ssh_keys.is_empty() { user } else { user.set("sshAuthorizedKeys", ssh_keys.to_vec()) };
    if groups.is_empty() { user } else { user.set("groups", groups.to_vec()) }
}

/// A file system on a whole device, made new. A unit has to mount it; `swap` needs one too.
#[must_use]
pub fn filesystem(device: &str, format: &str) -> Entry {
    Entry::new("storage", "filesystems", "device", device)
        .set("format", format)
        .set("wipeFilesystem", true)
}

/// A disk with a new partition table; set `partitions` as the spec describes them.
#[must_use]
pub fn disk(device: &str) -> Entry {
    Entry::new("storage", "disks", "device", device).set("wipeTable", true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ignition::Config, profile::Profile};

    #[test]
    fn every_entry_is_valid_in_every_spec_that_the_harness_emits() {
        let fragment = Fragment::new([
            file("/etc/foo", "hello\n", 0o640).owner("core", "core").set("overwrite", true),
            directory("/opt/data", 0o755),
            link("/etc/bar", "/etc/foo"),
            unit("a.service", "[Service]\nExecStart=/bin/true\n", true),
            dropin("sshd@.service", "10-x.conf", "[Service]\n"),
            user("core", &["ssh-ed25519 AAAA"], &["wheel"]),
            user("plain", &[], &[]),
            filesystem("/dev/disk/by-id/virtio-data", "ext4").set("path", "/data"),
            disk("/dev/disk/by-id/virtio-disk").set("partitions", json!([{ "number": 1 }])),
        ]);
        for name in Profile::names() {
            let emits = Profile::builtin(name).unwrap().ignition.emits;
            let config = Config::parse(fragment.render(emits)).unwrap();
            assert_eq!(config.warnings(), [""; 0], "{name}");
        }
        let version = SpecVersion { major: 3, minor: 3, patch: 0 };
        let value: Value = serde_json::from_slice(&fragment.render(version)).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&value).unwrap());
    }
}

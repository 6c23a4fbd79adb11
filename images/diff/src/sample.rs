//! Small inventories for tests.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Component, Entry, EntryKind, FileKey, Inventory, Listener, Origin, Partition, User};

/// An image of which all is known.
pub(crate) fn image() -> Inventory {
    let mut image = Inventory {
        name: "image".into(),
        origin: Origin::Image,
        board: Some("amd64-usr".into()),
        version: Some("4081.2.0".into()),
        size: Some(8 << 30),
        packages: Some(BTreeMap::new()),
        files: Some(BTreeMap::new()),
        kernel_config: Some(BTreeMap::from([("CONFIG_A".into(), "y".into())])),
        partitions: Some(BTreeMap::from([(
            "EFI-SYSTEM".into(),
            Partition { size: 128 << 20, used: Some(50 << 20), filesystem: Some("vfat".into()) },
        )])),
        listeners: Some(BTreeSet::new()),
        users: Some(BTreeMap::from([("root".into(), user(0, false))])),
        unread: Vec::new(),
    };
    put(&mut image, (Component::Base, "/".into()), dir());
    put(&mut image, (Component::Initrd, "/".into()), dir());
    put(&mut image, (Component::Base, "/usr/bin/true".into()), file(0o755, 1 << 20));
    put(&mut image, (Component::Base, "/bin".into()), link("usr/bin"));
    package(&mut image, &Component::Base, "app-a/base", "1.0");
    image
}

/// The same from listings, which know less.
pub(crate) fn listings() -> Inventory {
    let mut listings = image();
    listings.name = "listings".into();
    listings.origin = Origin::Listings;
    (listings.size, listings.users) = (None, None);
    for entry in listings.files.iter_mut().flat_map(BTreeMap::values_mut) {
        (entry.digest, entry.capabilities) = (None, None);
    }
    listings
}

pub(crate) fn put(
    inventory: &mut Inventory,
    (component, path): (Component, String),
    mut entry: Entry,
) {
    if inventory.origin == Origin::Listings {
        (entry.digest, entry.capabilities) = (None, None);
    }
    inventory.files.get_or_insert_default().insert(FileKey { component, path }, entry);
}

/// A version of a package; none if it is empty.
pub(crate) fn package(inventory: &mut Inventory, component: &Component, name: &str, version: &str) {
    if version.is_empty() {
        return;
    }
    let packages = inventory.packages.get_or_insert_default();
    packages.entry((component.clone(), name.into())).or_default().insert(version.into());
}

pub(crate) fn file(mode: u16, size: u64) -> Entry {
    Entry {
        kind: EntryKind::File,
        mode,
        owner: Some("root".into()),
        group: Some("root".into()),
        size: Some(size),
        links: Some(1),
        capabilities: Some(String::new()),
        digest: Some("00".repeat(32)),
        target: None,
    }
}

pub(crate) fn dir() -> Entry {
    Entry { kind: EntryKind::Directory, size: None, digest: None, ..file(0o755, 0) }
}

pub(crate) fn link(target: &str) -> Entry {
    Entry {
        kind: EntryKind::Symlink,
        size: None,
        digest: None,
        target: Some(target.into()),
        ..file(0o777, 0)
    }
}

pub(crate) fn user(uid: u32, has_password: bool) -> User {
    User {
        uid,
        gid: uid,
        home: "/".into(),
        shell: "/bin/bash".into(),
        password: Some(has_password),
        groups: BTreeSet::new(),
    }
}

pub(crate) fn listener(unit: &str, address: &str) -> Listener {
    Listener { unit: unit.into(), protocol: "tcp".into(), address: address.into() }
}

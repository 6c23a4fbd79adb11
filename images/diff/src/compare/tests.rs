use std::collections::BTreeMap;

use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

use super::{
    Alarm, Aspect, Change, CompareError, Diff, Difference, PackageMove, Presence, compare,
    content_size, directory_size,
};
use crate::sample::{dir, file, image, link, listings, package, put, user};
use crate::{Component, Inventory, Listener, Partition, Unread};

fn files(diff: &Diff<'_>) -> Vec<(String, Presence, Vec<Difference>)> {
    let of = |change: &Change<'_>| match change {
        Change::File(file) => Some((file.path.to_string(), file.change, file.differences.clone())),
        _ => None,
    };
    diff.changes.iter().filter_map(of).collect()
}

fn aspects(diff: &Diff<'_>) -> Vec<String> {
    diff.incomparable.iter().map(super::Incomparable::name).collect()
}

#[test]
fn an_image_is_as_itself() {
    let image = image();
    let diff = compare(&image, &image).unwrap();
    assert_eq!(diff.changes, []);
    assert_eq!(diff.incomparable, []);
}

#[test]
fn images_of_two_boards_are_not_compared() {
    let old = Inventory { board: Some("amd64-usr".into()), name: "a\u{1b}".into(), ..image() };
    let new = Inventory { board: Some("arm64-usr".into()), name: "b".into(), ..image() };
    let error = compare(&old, &new).unwrap_err();
    assert!(matches!(error, CompareError::Boards { .. }));
    assert!(
        error.to_string().starts_with(r"a\x1b is for amd64-usr and b is for arm64-usr"),
        "{error}"
    );
}

#[test]
fn packages_go_up_down_come_and_go() {
    let mut old = listings();
    let mut new = listings();
    for (name, before, after) in [
        ("sys-apps/systemd", "255.8", "255.7-r1"),
        ("net-misc/openssh", "9.7_p1-r6", "9.8_p1"),
        ("app-a/gone", "1", ""),
        ("app-a/new", "", "1"),
        ("app-a/same", "1", "1-r0"),
        ("app-a/odd", "1", "1.x"),
    ] {
        package(&mut old, &Component::Base, name, before);
        package(&mut new, &Component::Base, name, after);
    }
    let diff = compare(&old, &new).unwrap();
    let of = |change: &Change<'_>| match change {
        Change::Package(package) => Some((package.name.to_owned(), package.change)),
        _ => None,
    };
    let moves: Vec<_> = diff.changes.iter().filter_map(of).collect();
    let expected = [
        ("sys-apps/systemd", PackageMove::Down),
        ("app-a/odd", PackageMove::Unordered),
        ("app-a/gone", PackageMove::Removed),
        ("app-a/new", PackageMove::Added),
        ("net-misc/openssh", PackageMove::Up),
        ("app-a/same", PackageMove::Same),
    ];
    assert_eq!(moves, expected.map(|(name, change)| (name.to_owned(), change)));
}

#[test]
fn of_several_versions_the_newest_counts() {
    let versions = |inventory: &mut Inventory, all: &[&str]| {
        all.iter().for_each(|version| package(inventory, &Component::Base, "a/b", version));
    };
    for (before, after, expected) in [
        (["1", "3"], ["2", "3"], PackageMove::Same),
        (["1", "3"], ["1", "2"], PackageMove::Down),
        (["1", "2"], ["1", "10"], PackageMove::Up),
    ] {
        let (mut old, mut new) = (listings(), listings());
        versions(&mut old, &before);
        versions(&mut new, &after);
        let diff = compare(&old, &new).unwrap();
        let Change::Package(package) = &diff.changes[0] else { panic!("{:?}", diff.changes) };
        assert_eq!(package.change, expected, "{before:?} to {after:?}");
    }
}

#[test]
fn files_differ_in_everything_that_is_known() {
    let (mut old, mut new) = (image(), image());
    let base = |path: &str| (Component::Base, path.to_owned());
    put(&mut old, base("/usr/bin/a"), file(0o755, 10));
    put(&mut new, base("/usr/bin/a"), file(0o4755, 11));
    put(&mut old, base("/usr/bin/b"), file(0o755, 10));
    put(&mut new, base("/usr/bin/b"), link("a"));
    put(&mut old, base("/usr/bin/c"), link("a"));
    put(&mut new, base("/usr/bin/c"), link("b"));
    put(&mut old, base("/usr/bin/d"), file(0o755, 10));
    let mut owned = file(0o755, 10);
    owned.owner = Some("500".into());
    owned.group = Some("500".into());
    owned.capabilities = Some("cap_net_raw=ep".into());
    owned.digest = Some("ff".repeat(32));
    put(&mut new, base("/usr/bin/d"), owned);
    put(&mut old, base("/usr/bin/e"), file(0o755, 10));
    put(&mut new, base("/usr/bin/f"), file(0o755, 10));
    let diff = compare(&old, &new).unwrap();
    let mut found = files(&diff);
    found.sort();
    use Difference::{Capabilities, Digest, Group, Kind, Mode, Owner, Size, Target};
    let expected = [
        ("/usr/bin/a", Presence::Changed, vec![Mode, Size]),
        ("/usr/bin/b", Presence::Changed, vec![Kind]),
        ("/usr/bin/c", Presence::Changed, vec![Target]),
        ("/usr/bin/d", Presence::Changed, vec![Owner, Group, Capabilities, Digest]),
        ("/usr/bin/e", Presence::Removed, vec![]),
        ("/usr/bin/f", Presence::Added, vec![]),
    ];
    assert_eq!(found, expected.map(|(path, change, what)| (path.to_owned(), change, what)));
    let rights: Vec<_> =
        diff.changes.iter().take_while(|change| change.alarm() == Alarm::Rights).collect();
    assert_eq!(rights.len(), 2, "the new setuid and the new capability come first: {rights:?}");
}

#[test]
fn a_new_kernel_is_not_thousands_of_files() {
    let (mut old, mut new) = (listings(), listings());
    for (inventory, version) in [(&mut old, "6.6.50-flatcar"), (&mut new, "6.6.54-flatcar")] {
        let base = |path: String| (Component::Base, path);
        put(inventory, base(format!("/usr/lib/modules/{version}")), dir());
        put(inventory, base(format!("/usr/lib/modules/{version}/kernel/a.ko")), file(0o644, 10));
        put(inventory, base(format!("/usr/boot/config-{version}")), file(0o644, 10));
        put(inventory, base("/usr/boot/config".into()), link(&format!("config-{version}")));
    }
    put(
        &mut new,
        (Component::Base, "/usr/lib/modules/6.6.54-flatcar/kernel/b.ko".into()),
        file(0o644, 1),
    );
    let diff = compare(&old, &new).unwrap();
    let expected = ("/usr/lib/modules/<kernel>/kernel/b.ko".to_owned(), Presence::Added, vec![]);
    assert_eq!(files(&diff), [expected]);
}

#[test]
fn units_that_move_are_not_gone() {
    let (mut old, mut new) = (image(), image());
    let at = |component: &Component, path: &str| (component.clone(), path.to_owned());
    let docker = Component::Sysext("docker-flatcar".into());
    put(&mut old, at(&Component::Base, "/usr/lib/systemd/system/a.service"), file(0o644, 1));
    put(&mut new, at(&docker, "/usr/lib/systemd/system/a.service"), file(0o644, 1));
    put(&mut old, at(&Component::Base, "/usr/lib/systemd/system/b.timer"), file(0o644, 1));
    put(&mut old, at(&Component::Base, "/usr/lib/systemd/system/c.service"), file(0o644, 1));
    put(&mut new, at(&Component::Base, "/usr/lib/systemd/system/c.service"), file(0o644, 1));
    put(&mut new, at(&Component::Base, "/etc/systemd/system/c.service"), link("/dev/null"));
    let diff = compare(&old, &new).unwrap();
    let of = |change: &Change<'_>| match change {
        Change::Unit { name, change, .. } => Some(((*name).to_owned(), *change)),
        _ => None,
    };
    let units: Vec<_> = diff.changes.iter().filter_map(of).collect();
    let gone = |name: &str| (name.to_owned(), Presence::Removed);
    assert_eq!(units, [gone("b.timer"), gone("c.service")], "one that is masked is gone");
    assert!(
        diff.changes.contains(&Change::Component { component: &docker, change: Presence::Added })
    );
}

#[test]
fn what_one_side_does_not_tell_is_said() {
    let (old, new) = (listings(), image());
    let diff = compare(&old, &new).unwrap();
    let expected = ["capabilities", "digests", "partitions", "image-size", "users"];
    assert_eq!(aspects(&diff), expected);
    assert_eq!(
        diff.incomparable[0].why,
        "the old image's listings don't tell capabilities of files"
    );
    let nothing = Inventory::default();
    let diff = compare(&nothing, &image()).map(|diff| aspects(&diff)).unwrap();
    assert_eq!(
        diff,
        ["packages", "files", "kernel-config", "partitions", "image-size", "listeners", "users"]
    );
}

#[test]
fn a_component_that_one_side_does_not_tell_is_neither_new_nor_gone() {
    let mut new = image();
    put(&mut new, (Component::Initrd, "/usr/bin/init".into()), file(0o6755, 1));
    package(&mut new, &Component::Initrd, "a", "1");
    let mut old = image();
    old.files.as_mut().unwrap().retain(|key, _| key.component != Component::Initrd);
    let diff = compare(&old, &new).unwrap();
    assert_eq!(diff.changes, []);
    assert_eq!(aspects(&diff), ["packages:initrd", "initrd:initrd"]);
    let neither = compare(&old, &old).unwrap();
    assert_eq!(aspects(&neither), ["initrd"]);
}

#[test]
fn what_could_not_be_read_is_not_the_same() {
    let unread = Unread { what: "USR-A".into(), why: "it is encrypted".into() };
    let old = image();
    let new = Inventory { unread: vec![unread], ..image() };
    let diff = compare(&old, &new).unwrap();
    assert_eq!(aspects(&diff), ["packages:USR-A", "files:USR-A", "listeners:USR-A"]);
    assert!(diff.incomparable[0].why.ends_with("USR-A: it is encrypted"));
}

#[test]
fn names_and_numbers_of_owners_are_not_mixed_up() {
    let (mut old, mut new) = (image(), image());
    for (path, before, after) in [("/a", "root", "0"), ("/b", "root", "500"), ("/c", "core", "500")]
    {
        for (inventory, owner) in [(&mut old, before), (&mut new, after)] {
            let mut entry = file(0o644, 1);
            entry.owner = Some(owner.into());
            put(inventory, (Component::Base, path.into()), entry);
        }
    }
    let diff = compare(&old, &new).unwrap();
    assert_eq!(files(&diff), [("/b".to_owned(), Presence::Changed, vec![Difference::Owner])]);
    assert_eq!(aspects(&diff), ["owners"]);
}

#[test]
fn listeners_users_options_partitions_and_size() {
    let old = image();
    let mut new = image();
    let listener = |address: &str| Listener {
        unit: "a.socket".into(),
        protocol: "tcp".into(),
        address: address.into(),
    };
    new.listeners = Some([listener("22")].into());
    new.size = Some(1);
    new.users.as_mut().unwrap().insert("eve".into(), user(1000, true));
    new.kernel_config = Some(BTreeMap::from([("CONFIG_A".into(), "m".into())]));
    let partition = Partition { size: 9, used: Some(1), filesystem: Some("vfat".into()) };
    new.partitions = Some(BTreeMap::from([("EFI-SYSTEM".into(), partition)]));
    let diff = compare(&old, &new).unwrap();
    let Change::User(eve) = &diff.changes[0] else { panic!("{:?}", diff.changes) };
    assert!(eve.is_alarming());
    assert!(matches!(&diff.changes[1], Change::Listener { change: Presence::Added, .. }));
    let has = |wanted: &dyn Fn(&Change<'_>) -> bool| diff.changes.iter().any(wanted);
    assert!(has(&|change| matches!(change, Change::ImageSize { new: 1, .. })));
    let option = Change::KernelOption { option: "CONFIG_A", old: Some("y"), new: Some("m") };
    assert!(has(&|change| *change == option));
    assert!(has(&|change| matches!(change, Change::Partition { label: "EFI-SYSTEM", .. })));
}

#[test]
fn listeners_of_listings_are_compared_by_unit() {
    let known = |address: &str| Listener {
        unit: "a.socket".into(),
        protocol: "tcp".into(),
        address: address.into(),
    };
    let old = Inventory { listeners: Some([known(Listener::UNKNOWN)].into()), ..image() };
    let new = Inventory { listeners: Some([known("22"), known("23")].into()), ..image() };
    assert_eq!(compare(&old, &new).unwrap().changes, []);
}

#[test]
fn a_file_with_many_names_counts_once() {
    let mut inventory = listings();
    for name in 0..6 {
        let mut entry = file(0o755, 100);
        entry.links = Some(3);
        put(&mut inventory, (Component::Base, format!("/usr/libexec/{name}")), entry);
    }
    // Six names with three links each are two files.
    assert_eq!(directory_size(&inventory, &Component::Base, "/usr/libexec"), Some(200));
    let rest = content_size(&listings()).unwrap();
    assert_eq!(content_size(&inventory), Some(rest + 200));
    assert_eq!(
        directory_size(&inventory, &Component::Base, "/usr/lib"),
        Some(0),
        "no prefix of a name"
    );
    assert_eq!(directory_size(&inventory, &Component::FullInitrd, "/"), None);
    let old = listings();
    let diff = compare(&old, &inventory).unwrap();
    let grown = |wanted: &str| {
        diff.changes.iter().any(|change| {
            matches!(change, Change::Directory { path, old: 0, new: 200, .. } if path == wanted)
        })
    };
    assert!(grown("/usr/libexec"), "{:?}", diff.changes);
}

proptest! {
    #[test]
    fn what_came_one_way_went_the_other(
        paths in prop::collection::vec(("/[a-c]{1,2}(/[a-c]{1,2})?", 0_u16..0o10000, 0_u64..3, 1_u32..3), 0..12), split in 0_usize..12,
    ) {
        let (mut one, mut other) = (image(), image());
        for (index, (path, mode, size, links)) in paths.into_iter().enumerate() {
            let mut entry = file(mode, size);
            entry.links = Some(links);
            let inventory = if index < split { &mut one } else { &mut other };
            put(inventory, (Component::Base, path), entry);
        }
        let there = compare(&one, &other).unwrap();
        let back = compare(&other, &one).unwrap();
        let turned = |(path, change, what)| (path, match change {
            Presence::Added => Presence::Removed,
            Presence::Removed => Presence::Added,
            Presence::Changed => Presence::Changed,
        }, what);
        let mut there_files = files(&there);
        let mut back_files: Vec<_> = files(&back).into_iter().map(turned).collect();
        there_files.sort();
        back_files.sort();
        prop_assert_eq!(there_files, back_files);
        // The order is by alarm, and always the same.
        prop_assert!(there.changes.is_sorted_by_key(Change::alarm));
        prop_assert_eq!(&there.changes, &compare(&one, &other).unwrap().changes);
        prop_assert!(there.incomparable.iter().all(|one| Aspect::ALL.contains(&one.aspect)));
    }
}

use std::collections::BTreeMap;

use jiff::civil::{Date, date};
use proptest::prelude::{any, prop_assert, proptest};
use test_case::test_case;

use super::{Limits, Severity};
use crate::sample::{file, image, link, listener, listings, package, put, user};
use crate::{Component, Entry, Inventory, Partition, Unread, compare};

const TODAY: Date = date(2026, 1, 31);

/// The ids of what hits these limits, where the two images first are the same.
fn hits(limits: &str, change: impl FnOnce(&mut Inventory, &mut Inventory)) -> Vec<String> {
    let (mut old, mut new) = (image(), image());
    change(&mut old, &mut new);
    ids(&Limits::parse("limits.toml", limits).unwrap(), &old, &new)
}

fn ids(limits: &Limits, old: &Inventory, new: &Inventory) -> Vec<String> {
    let diff = compare(old, new).unwrap();
    let judgement = limits.judge(&diff, TODAY);
    // The same in, the same out.
    assert_eq!(format!("{judgement:?}"), format!("{:?}", limits.judge(&diff, TODAY)));
    judgement.hits().map(|(_, hit)| hit.id.clone()).collect()
}

fn base(path: &str) -> (Component, String) {
    (Component::Base, path.to_owned())
}

fn with(entry: Entry, change: impl FnOnce(&mut Entry)) -> Entry {
    let mut entry = entry;
    change(&mut entry);
    entry
}

#[test]
fn the_built_in_limits_hold_for_an_image_and_itself() {
    let limits = Limits::builtin().unwrap();
    let names: Vec<_> = limits.rules.iter().map(|rule| &*rule.name).collect();
    let expected = [
        "boot-size",
        "image-size",
        "no-downgrade",
        "no-new-setuid",
        "no-removed-unit",
        "no-new-listener",
        "must-be-comparable",
    ];
    assert_eq!(names, expected);
    assert_eq!(ids(&limits, &image(), &image()), [""; 0]);
}

#[test]
fn the_built_in_limits_hold_for_listings_too() {
    assert_eq!(ids(&Limits::builtin().unwrap(), &listings(), &listings()), [""; 0]);
}

#[test]
fn what_the_built_in_file_shows_in_comments_is_right() {
    let text: String = super::DEFAULT
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| {
            line.starts_with("[limits.") || line.starts_with("[[allow") || line.contains(" = ")
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let limits = Limits::parse("comments", &text).unwrap();
    let names: Vec<_> = limits.rules.iter().map(|rule| &*rule.name).collect();
    let expected = [
        "usr-size",
        "firmware",
        "no-new-capability",
        "no-new-user",
        "no-removed-file",
        "kernel-config",
    ];
    assert_eq!((&*names, limits.allows.len()), (&expected[..], 1));
}

const BOOT: &str =
    "[limits.boot]\nkind = 'partition-used'\npartition = 'EFI-SYSTEM'\nbelow = '60 MiB'";

fn boot(used: Option<u64>) -> impl Fn(&mut Inventory, &mut Inventory) {
    move |_, new| {
        let partition = Partition { size: 128 << 20, used, filesystem: Some("vfat".into()) };
        new.partitions = Some(BTreeMap::from([("EFI-SYSTEM".into(), partition)]));
    }
}

#[test]
fn a_partition_may_be_used_up_to_a_limit() {
    assert_eq!(hits(BOOT, boot(Some((60 << 20) - 1))), [""; 0]);
    assert_eq!(hits(BOOT, boot(Some(60 << 20))), ["boot:EFI-SYSTEM"]);
}

#[test]
fn what_is_used_is_the_sum_of_files_where_nothing_else_is_known() {
    let full = |size| {
        move |_: &mut Inventory, new: &mut Inventory| {
            new.partitions = None;
            put(new, base("/boot/flatcar/vmlinuz-a"), file(0o644, size));
        }
    };
    assert_eq!(hits(BOOT, full(61 << 20)), ["boot:EFI-SYSTEM"]);
    assert_eq!(hits(BOOT, full(59 << 20)), [""; 0]);
    let unknown = hits(BOOT, |_, new| new.partitions = None);
    assert_eq!(unknown, ["must-be-comparable:partitions:EFI-SYSTEM"]);
}

#[test]
fn a_partition_may_have_a_size_up_to_a_limit() {
    let limits =
        "[limits.usr]\nkind = 'partition-size'\npartition = 'EFI-SYSTEM'\nbelow = 134217728";
    assert_eq!(hits(limits, |_, _| {}), ["usr:EFI-SYSTEM"]);
    assert_eq!(hits(&limits.replace("728", "729"), |_, _| {}), [""; 0]);
}

#[test]
fn an_image_may_grow_and_shrink_within_a_limit() {
    let limits = "[limits.image-size]\nkind = 'image-size-change'\nwithin = '500 MB'";
    let grow = |size| {
        move |_: &mut Inventory, new: &mut Inventory| put(new, base("/usr/a"), file(0o644, size))
    };
    let shrink = |size| {
        move |old: &mut Inventory, _: &mut Inventory| put(old, base("/usr/a"), file(0o644, size))
    };
    assert_eq!(hits(limits, grow(500_000_000)), [""; 0]);
    assert_eq!(hits(limits, grow(500_000_001)), ["image-size:content"]);
    assert_eq!(hits(limits, shrink(500_000_001)), ["image-size:content"]);
    assert_eq!(hits(limits, |_, new| new.size = Some(1)), ["image-size:disk"]);
    let unknown = hits(limits, |_, new| (new.size, new.files) = (None, None));
    assert_eq!(unknown, ["must-be-comparable:files", "must-be-comparable:image-size"]);
}

#[test]
fn a_directory_may_be_so_large_and_grow_so_much() {
    let limits = "[limits.firmware]\nkind = 'directory-size'\npath = '/usr/lib/firmware'\nbelow = 100\ngrowth-below = 10";
    let sizes = |before, after| {
        move |old: &mut Inventory, new: &mut Inventory| {
            put(old, base("/usr/lib/firmware/a"), file(0o644, before));
            put(new, base("/usr/lib/firmware/a"), file(0o644, after));
        }
    };
    assert_eq!(hits(limits, sizes(90, 99)), [""; 0]);
    assert_eq!(
        hits(limits, sizes(90, 100)),
        ["firmware:/usr/lib/firmware", "firmware:/usr/lib/firmware:growth"]
    );
    assert_eq!(hits(limits, sizes(80, 90)), ["firmware:/usr/lib/firmware:growth"]);
    assert_eq!(hits(limits, sizes(500, 99)), [""; 0]);
    let elsewhere = format!("{limits}\ncomponent = 'docker-flatcar'");
    assert_eq!(hits(&elsewhere, sizes(0, 0)), ["must-be-comparable:files:docker-flatcar"]);
}

#[test]
fn packages_must_not_go_down() {
    let versions = |before: &'static str, after: &'static str| {
        move |old: &mut Inventory, new: &mut Inventory| {
            package(old, &Component::Base, "systemd", before);
            package(new, &Component::Base, "systemd", after);
        }
    };
    let limits = "[limits.no-downgrade]";
    assert_eq!(hits(limits, versions("255.8", "255.7")), ["no-downgrade:systemd"]);
    assert_eq!(hits(limits, versions("255.8", "255.10")), [""; 0]);
    assert_eq!(hits(limits, versions("255.8", "")), [""; 0]);
    assert_eq!(hits("[limits.no-downgrade]\nallow = ['system*']", versions("2", "1")), [""; 0]);
    let unknown = hits(limits, |_, new| new.packages = None);
    assert_eq!(unknown, ["must-be-comparable:packages"]);
}

#[test_case(None, Some(0o4755) => 1; "a new file")]
#[test_case(Some(0o755), Some(0o4755) => 1; "an old file")]
#[test_case(Some(0o4755), Some(0o6755) => 1; "one bit more")]
#[test_case(Some(0o4755), Some(0o4755) => 0; "as before")]
#[test_case(Some(0o4755), Some(0o755) => 0; "one that lost it")]
#[test_case(Some(0o4755), None => 0; "one that is gone")]
#[test_case(None, Some(0o755) => 0; "a file like any other")]
fn setuid(before: Option<u16>, after: Option<u16>) -> usize {
    let found = hits("[limits.no-new-setuid]", |old, new| {
        for (inventory, mode) in [(old, before), (new, after)] {
            if let Some(mode) = mode {
                put(inventory, base("/usr/bin/a"), file(mode, 1));
            }
        }
    });
    assert!(found.iter().all(|id| id == "no-new-setuid:/usr/bin/a"), "{found:?}");
    found.len()
}

#[test]
fn a_setuid_file_that_gets_another_owner_is_new() {
    let found = hits("[limits.no-new-setuid]", |old, new| {
        put(old, base("/a"), with(file(0o4755, 1), |entry| entry.owner = Some("core".into())));
        put(new, base("/a"), file(0o4755, 1));
    });
    assert_eq!(found, ["no-new-setuid:/a"]);
}

#[test]
fn a_setgid_directory_gives_nobody_rights() {
    let found = hits("[limits.no-new-setuid]", |_, new| {
        put(new, base("/var/log/journal"), Entry { mode: 0o2755, ..crate::sample::dir() });
    });
    assert_eq!(found, [""; 0]);
}

#[test]
fn an_extension_is_part_of_the_id() {
    let found = hits("[limits.no-new-setuid]", |_, new| {
        put(
            new,
            (Component::Sysext("docker-flatcar".into()), "/usr/bin/a".into()),
            file(0o4755, 1),
        );
    });
    assert_eq!(found, ["no-new-setuid:docker-flatcar:/usr/bin/a"]);
}

#[test]
fn an_id_that_is_shown_can_be_accepted() {
    let (old, mut new) = (image(), image());
    put(&mut new, base("/a\u{1b}[b]"), file(0o4755, 1));
    let text = "[limits.no-new-setuid]\n[[allow]]\nid = 'no-new-setuid:/a\\x1b[b]'\nowner = 'us'\nreason = 'x'\nexpires = 2030-01-01";
    let judgement = Limits::parse("f", text).unwrap().judge(&compare(&old, &new).unwrap(), TODAY);
    assert_eq!((judgement.allowed(), judgement.count(Severity::Error)), (1, 0));
}

#[test]
fn capabilities_must_not_be_new() {
    let limits = "[limits.no-new-capability]";
    let raw = || with(file(0o755, 1), |entry| entry.capabilities = Some("cap_net_raw=ep".into()));
    assert_eq!(hits(limits, |_, new| put(new, base("/a"), raw())), ["no-new-capability:/a"]);
    let both = |old: &mut Inventory, new: &mut Inventory| {
        put(old, base("/a"), raw());
        put(new, base("/a"), raw());
    };
    assert_eq!(hits(limits, both), [""; 0]);
    let unknown = with(file(0o755, 1), |entry| entry.capabilities = None);
    assert_eq!(
        hits(limits, |_, new| put(new, base("/a"), unknown)),
        ["must-be-comparable:capabilities"]
    );
}

#[test]
fn units_must_not_be_gone() {
    let unit = || (base("/usr/lib/systemd/system/a.service"), file(0o644, 1));
    let gone = hits("[limits.no-removed-unit]", |old, _| put(old, unit().0, unit().1));
    assert_eq!(gone, ["no-removed-unit:a.service"]);
    let masked = hits("[limits.no-removed-unit]", |old, new| {
        put(old, unit().0, unit().1);
        put(new, unit().0, link("/dev/null"));
    });
    assert_eq!(masked, ["no-removed-unit:a.service"]);
    let moved = hits("[limits.no-removed-unit]", |old, new| {
        put(old, unit().0, unit().1);
        put(new, base("/etc/systemd/system/a.service"), unit().1);
    });
    assert_eq!(moved, [""; 0]);
}

#[test]
fn files_must_not_be_gone() {
    let limits =
        "[limits.no-removed-file]\nfiles = ['/usr/bin/*', '/usr/lib/**']\nallow = ['/usr/bin/c']";
    let found = hits(limits, |old, _| {
        for path in ["/usr/bin/a", "/usr/lib/b/c", "/usr/share/d", "/usr/bin/c"] {
            put(old, base(path), file(0o755, 1));
        }
    });
    assert_eq!(found, ["no-removed-file:/usr/bin/a", "no-removed-file:/usr/lib/b/c"]);
}

#[test]
fn nothing_must_listen_that_did_not() {
    let limits = "[limits.no-new-listener]";
    let found = hits(limits, |_, new| new.listeners = Some([listener("a.socket", "22")].into()));
    assert_eq!(found, ["no-new-listener:a.socket:tcp:22"]);
    let gone = hits(limits, |old, _| old.listeners = Some([listener("a.socket", "22")].into()));
    assert_eq!(gone, [""; 0]);
}

#[test]
fn users_must_not_be_new_or_more_than_they_were() {
    let set = |inventory: &mut Inventory, name: &str, user| {
        inventory.users.get_or_insert_default().insert(name.to_owned(), user);
    };
    let limits = "[limits.no-new-user]";
    assert_eq!(hits(limits, |_, new| set(new, "eve", user(1000, false))), ["no-new-user:eve"]);
    assert_eq!(hits(limits, |_, new| set(new, "root", user(0, true))), ["no-new-user:root"]);
    assert_eq!(hits(limits, |old, _| set(old, "eve", user(1000, true))), [""; 0]);
    let became_root = hits(limits, |old, new| {
        set(old, "eve", user(1000, false));
        set(new, "eve", user(0, false));
    });
    assert_eq!(became_root, ["no-new-user:eve"]);
    assert_eq!(hits(limits, |_, new| new.users = None), ["must-be-comparable:users"]);
}

#[test]
fn the_kernel_must_have_options_and_keep_others() {
    let set = |inventory: &mut Inventory, option: &str, value: &str| {
        inventory.kernel_config.get_or_insert_default().insert(option.into(), value.into());
    };
    let limits = "[limits.kernel-config]\nmust = { CONFIG_A = 'y', CONFIG_B = 'n' }\nunchanged = ['CONFIG_SEC*']";
    assert_eq!(hits(limits, |_, new| set(new, "CONFIG_X", "y")), [""; 0]);
    let found = hits(limits, |_, new| {
        set(new, "CONFIG_A", "m");
        set(new, "CONFIG_B", "y");
        set(new, "CONFIG_SECURITY", "y");
    });
    assert_eq!(
        found,
        ["kernel-config:CONFIG_SECURITY", "kernel-config:CONFIG_A", "kernel-config:CONFIG_B"]
    );
    assert_eq!(
        hits(limits, |_, new| new.kernel_config = None),
        ["must-be-comparable:kernel-config"]
    );
}

#[test]
fn what_nobody_needs_may_be_unknown_unless_it_must_not() {
    let forget = |_: &mut Inventory, new: &mut Inventory| new.users = None;
    assert_eq!(hits("[limits.no-downgrade]", forget), [""; 0]);
    let limits = "[limits.must-be-comparable]\naspects = ['users']";
    assert_eq!(hits(limits, forget), ["must-be-comparable:users"]);
    assert_eq!(hits(&format!("{limits}\nallow = ['users']"), forget), [""; 0]);
    assert_eq!(hits("[limits]", forget), [""; 0]);
}

#[test]
fn what_could_not_be_read_is_not_green() {
    let found = hits("[limits.no-new-setuid]", |_, new| {
        new.unread.push(Unread { what: "USR-A".into(), why: "it is encrypted".into() });
    });
    assert_eq!(found, ["must-be-comparable:files:USR-A"]);
}

#[test]
fn severities_and_accepted_hits() {
    let limits = |expires: &str| {
        format!(
            "[limits.no-new-setuid]\n[limits.no-new-user]\nseverity = 'warn'\n
            [[allow]]\nid = 'no-new-setuid:/usr/bin/*'\nowner = 'us'\nreason = 'known'\nexpires = {expires}
            [[allow]]\nid = 'no-downgrade:a'\nowner = 'us'\nreason = 'known'\nexpires = 2030-01-01"
        )
    };
    let (old, mut new) = (image(), image());
    put(&mut new, base("/usr/bin/a"), file(0o4755, 1));
    new.users.as_mut().unwrap().insert("eve".into(), user(1000, false));
    let diff = compare(&old, &new).unwrap();
    let judge = |expires| Limits::parse("f", &limits(expires)).unwrap().judge(&diff, TODAY);

    let accepted = judge("2026-01-31");
    assert_eq!(
        (accepted.count(Severity::Error), accepted.count(Severity::Warn), accepted.allowed()),
        (0, 1, 1)
    );
    assert_eq!(
        accepted.remarks,
        ["no-downgrade:a is accepted, and hits nothing any more: take it out"]
    );

    let expired = judge("2026-01-30");
    assert_eq!((expired.count(Severity::Error), expired.allowed()), (1, 0));
    assert_eq!(
        expired.remarks[0],
        "no-new-setuid:/usr/bin/* was accepted until 2026-01-30 only (us: known)"
    );
}

#[test]
fn who_only_accepts_hits_has_the_built_in_limits() {
    let text =
        "[[allow]]\nid = 'no-downgrade:a'\nowner = 'us'\nreason = 'known'\nexpires = '2030-01-01'";
    let limits = Limits::parse("f", text).unwrap();
    assert_eq!((limits.rules.len(), &*limits.source), (7, "built-in, with f"));
}

#[test]
fn everything_that_is_wrong_is_said_with_its_place() {
    let text = "\
[limits.boot-size]
kind = 'partition-used'
partitoin = 'EFI-SYSTEM'
below = 'much'
severity = 'fatal'

[limits.no-downgrades]

[limits.mine]
allow = 'x'

[limits.other]
kind = 'no-new-suid'

[limits.one]
kind = 3

[limits.'a b']

[limits.firmware]
kind = 'directory-size'
path = 'usr'

[limits.no-removed-file]
files = ['/usr/[', '']

[limits.kernel-config]
must = { EXT4 = 'y' }

[limits.comparable]
kind = 'must-be-comparable'
aspects = ['user', 'zzz']

[limit.x]

[[allow]]
id = '*'
expires = 2026-01-31T00:00:00Z
ticket = 1
";
    let error = Limits::parse("limits.toml", text).unwrap_err();
    insta::assert_snapshot!(error);
}

#[test_case("[limits" ; "a table that isn't closed")]
#[test_case("limits = 3"; "limits that are none")]
#[test_case("allow = 3"; "accepted hits that are none")]
#[test_case("allow = [3]"; "an accepted hit that is none")]
#[test_case("[limits]\nx = 3"; "a rule that is none")]
#[test_case("[limits.no-downgrade]\nallow = [3]"; "a glob that is none")]
#[test_case("[limits.kernel-config]\nmust = []"; "options that are none")]
#[test_case("[limits.image-size]\nkind = 'image-size-change'\nwithin = -1"; "a size below nothing")]
#[test_case("[limits.image-size]\nkind = 'image-size-change'\nwithin = '99999999999999 TiB'"; "a size beyond everything")]
fn wrong_files(text: &str) {
    let error = Limits::parse("f", text).unwrap_err();
    assert!(error.to_string().starts_with("f:"), "{error}");
}

#[test_case("60 MiB" => Some(60 << 20))]
#[test_case("500MB" => Some(500_000_000))]
#[test_case("1 tib" => Some(1 << 40))]
#[test_case("7 B" => Some(7))]
#[test_case("MiB" => None)]
#[test_case("60" => None; "no unit")]
#[test_case("6é" => None)]
fn sizes(text: &str) -> Option<u64> {
    super::values::parse_size(text)
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>()) {
        let _ = Limits::parse("f", &text);
    }

    #[test]
    fn nearly_good_text_is_read_without_a_panic(
        lines in "(\\[limits\\.(no-downgrade|mine)\\]\n)?((kind|below|allow|path|must|files|severity|aspects) = ('[a-z -]{0,12}'|\\[.{0,5}\\]|[0-9]{1,20}|\\{\\})\n){0,5}",
    ) {
        if let Err(error) = Limits::parse("f", &lines) {
            prop_assert!(error.problems.iter().all(|problem| problem.line > 0 && problem.column > 0));
        }
    }
}

use std::collections::BTreeMap;

use proptest::prelude::{
    Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use test_case::test_case;

use super::normalise;
use crate::{Failure, FailureClass, Phase};

fn failure(headline: &str) -> Failure {
    Failure {
        phase: Phase::Check,
        class: FailureClass::Product,
        kind: "check".into(),
        headline: headline.into(),
        detail: String::new(),
    }
}

/// Headlines as the catalogue, the console watch and the platforms write them.
const HEADLINES: &str = include_str!("headlines.txt");

#[test]
fn headlines_of_the_catalogue() {
    let normal: Vec<_> = HEADLINES.lines().map(normalise).collect();
    insta::assert_snapshot!(normal.join("\n"));
}

#[test]
fn different_failures_have_different_signatures() {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for headline in HEADLINES.lines() {
        if let Some(other) = seen.insert(failure(headline).signature(), headline) {
            panic!("these are two failures:\n{other}\n{headline}");
        }
    }
}

/// Two sightings of one failure.
#[test_case(
    "timed out after 120 s waiting for SSH to core@127.0.0.1:37121; last seen: connection refused (61 attempts)",
    "timed out after 1200 s waiting for SSH to core@127.0.0.1:40441; last seen: connection refused (7 attempts)";
    "limits, ports and tries")]
#[test_case(
    "both machines have machine id 3c80dba1f984437bbe72b238317c014e",
    "both machines have machine id 99999999999999999999999999999999"; "machine ids")]
#[test_case(
    "/usr runs from /dev/vda3, slot USR-A with PARTUUID e03dd35c-7c2d-4a47-b3fe-27f15780a57c",
    "/usr runs from /dev/vda3, slot USR-A with PARTUUID 7130c94a-213a-4e5a-8e26-6cce9662f132"; "UUIDs")]
#[test_case(
    "kernel bug: kernel NULL pointer dereference, address: 0000000000000008",
    "kernel bug: kernel NULL pointer dereference, address: ffff8880a1b2c3d4"; "addresses")]
#[test_case(
    "kernel bug: Bad page state in process kworker/0:1  pfn:3f1c2",
    "kernel bug: Bad page state in process kworker/3:0 pfn:40001"; "page frames and workers")]
#[test_case(
    "os-release says VERSION_ID=4000.0.0, the image is 4000.1.0",
    "os-release says VERSION_ID=4593.2.3+nightly-20260131-2100, the image is 4593.3.0"; "versions")]
#[test_case(
    "no SSH connection to 10.0.2.15:22 from [fe80::5054:ff:fe12:3456]",
    "no SSH connection to 192.0.2.1:2222 from [2001:db8::7]"; "addresses of every kind")]
#[test_case(
    "can't make /srv/a/wheeltap-out/20261126-062009-18229/cells/qemu_uefi.arm64/boot.release/attempt-2/m1: Permission denied",
    "can't make /home/me/out/20261127-000000-7/cells/qemu_bios.amd64/reboot.clean/attempt-1/m1: Permission denied";
    "run directories")]
#[test_case(
    "can't write /tmp/.tmpAbC12d/socket: No space left on device",
    "can't write /tmp/.tmpxyzQWE/socket: No space left on device"; "temporary directories")]
#[test_case(
    "the update is installed, and /run/reboot-required is not there (5 more)",
    "the update is installed, and /run/reboot-required is not there"; "others beside it")]
#[test_case(
    "the run took 3 min 12 s, from 2026-11-26T03:00:03.776295534Z to 03:03:15",
    "the run took 42.0 s, from 2027-01-01T23:59:59Z to 23:59:59.5"; "durations and times")]
#[test_case(
    "downloading stopped at 33 % of 88000000 bytes",
    "downloading stopped at 7 % of 1.5 GiB"; "sizes")]
#[test_case(
    "the SSH host key of 127.0.0.1:2222 changed from ssh-ed25519 SHA256:uNiVztksCsDhcc0u9e8BrrRZjYXaJ7nnfqN6Qh3N1Ks to x",
    "the SSH host key of 127.0.0.1:3333 changed from ssh-ed25519 SHA256:47DEQpj8HBSa/TImW+5JCeuQeRkm5NMpJWZG3hSuFUU to x";
    "fingerprints")]
#[test_case(
    "task jbd2/vda9-8:231 blocked for more than 120 seconds",
    "task jbd2/vda9-8:1231 blocked for more than 241 seconds"; "PIDs")]
fn the_same_failure(one: &str, other: &str) {
    assert_eq!(normalise(one), normalise(other));
    assert_eq!(failure(one).signature(), failure(other).signature());
}

/// Two failures that are alike.
#[test_case("foo.service failed (exit-code, status 1)", "bar.service failed (exit-code, status 1)"; "units")]
#[test_case("foo-1.service failed", "foo-2.service failed"; "numbered units")]
#[test_case("getty@tty1.service failed", "getty@tty2.service failed"; "instances")]
#[test_case("foo.service failed (exit-code, status 1)", "foo.service failed (exit-code, status 203)"; "exit codes")]
#[test_case("a server that fails (HTTP 500)", "a server that fails (HTTP 404)"; "HTTP codes")]
#[test_case("/etc/foo: no such user", "/etc/bar: no such user"; "paths")]
#[test_case("/etc/foo.d/10-a.conf is missing", "/etc/foo.d/20-a.conf is missing"; "paths with numbers")]
#[test_case("/etc/foo: Permission denied", "/etc/foo: No such file or directory"; "errno words")]
#[test_case("can't read root device: error -6", "can't read root device: error -2"; "errno numbers")]
#[test_case("file system error: EXT4-fs error (device vda9)", "file system error: EXT4-fs error (device vda3)"; "devices")]
#[test_case("after the update the machine still runs USR-A", "after the update the machine still runs USR-B"; "slots")]
fn different_failures(one: &str, other: &str) {
    assert_ne!(failure(one).signature(), failure(other).signature());
}

#[test]
fn class_and_kind_count_and_the_phase_does_not() {
    let one = failure("x");
    assert_eq!(one.signature(), Failure { phase: Phase::Boot, ..one.clone() }.signature());
    assert_eq!(one.signature(), Failure { detail: "y".into(), ..one.clone() }.signature());
    assert_ne!(one.signature(), Failure { kind: "y".into(), ..one.clone() }.signature());
    let class = FailureClass::Test;
    assert_ne!(one.signature(), Failure { class, ..one.clone() }.signature());
    // Waiver files hold signatures, so they don't change from one version to the next.
    assert_eq!(one.signature(), "d0118040703d");
}

#[test]
fn a_long_headline_has_one_signature_whether_it_was_cut_or_not() {
    let whole = format!("pid 4711: {}", "some words that go on ".repeat(20));
    let cut = crate::clean::line(&whole, 200);
    let later = crate::clean::line(&whole.replace("4711", "9"), 200);
    assert!(cut.ends_with('…') && cut != later);
    assert_eq!(failure(&whole).signature(), failure(&cut).signature());
    assert_eq!(failure(&whole).signature(), failure(&later).signature());
}

#[test]
fn a_failure_of_several_checks_names_each() {
    let mut several = failure("one is 1 (2 more)");
    several.detail = "- one is 1\n- two\n- three\n- and this is a journal".into();
    assert_eq!(several.headlines().unwrap(), ["one is 1", "two", "three"]);
    assert_eq!(several.signature(), failure("one is 2").signature());
    several.detail = "- one is 1\n- two".into();
    assert_eq!(several.headlines(), None, "one is missing");
    several.headline = "one (99999999999999999999 more)".into();
    assert_eq!(several.headlines(), None);
    assert_eq!(failure("only one").headlines().unwrap(), ["only one"]);
}

/// Text that looks like a headline: words, ids, times, and what stands between.
fn headline() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(HEADLINES.split_whitespace().collect::<Vec<_>>())
            .prop_map(str::to_owned),
        "[0-9]{1,10}",
        "[0-9a-f]{4,40}",
        "[0-9]{1,3}(\\.[0-9]{1,3}){1,4}",
        "[a-z]{1,6}[-_.@:/#+][0-9a-fA-F]{1,9}",
        "(error|status|HTTP|code)",
        "(ns|ms|s|min|h|MiB|bytes|%)",
        "(<n>|<time>|<version>|<ip>|<size>|<key>|…|\\([0-9] more\\))",
        "[-+~#:./@]{0,3}",
        any::<String>(),
    ];
    let gap =
        prop_oneof![Just(" "), Just(" "), Just(""), Just("="), Just(": "), Just(", "), Just("(")];
    prop::collection::vec((piece, gap), 0..20)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, gap)| piece + gap).collect())
}

proptest! {
    #[test]
    fn normalising_again_changes_nothing(headline in headline()) {
        let once = normalise(&headline);
        prop_assert_eq!(normalise(&once), once);
    }

    #[test]
    fn any_text_has_a_signature(headline in any::<String>()) {
        let signature = failure(&headline).signature();
        prop_assert!(signature.len() == 12 && signature.chars().all(|c| c.is_ascii_hexdigit()));
    }

    #[test]
    fn digits_of_times_do_not_count(
        hour in 0..24, minute in 0..60, second in 0..60, millis in 0..1000, seconds in 0..100_000,
    ) {
        let text = |hour: i32, minute: i32, second: i32, millis: i32, seconds: i32| format!(
            "at 2026-01-{:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z, {hour:02}:{minute:02}:{second:02}, \
             after {seconds} s, {millis}ms and {minute}min{second}s ({seconds}.{millis} s): foo.service is gone",
            hour + 1,
        );
        let one = failure(&text(hour, minute, second, millis, seconds)).signature();
        prop_assert_eq!(one, failure(&text(1, 2, 3, 4, 5)).signature());
    }
}

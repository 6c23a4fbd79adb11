use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::watch::{Severity, Source};

fn scan(chunks: &[&[u8]]) -> Scanner {
    static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::builtin().for_source(Source::Console));
    let mut scanner = Scanner::new(&RULES);
    chunks.iter().for_each(|chunk| scanner.feed(chunk));
    scanner.finish();
    scanner
}

fn rules(scanner: &Scanner) -> Vec<&str> {
    scanner.hits().iter().map(|hit| &*hit.rule).collect()
}

const PANIC: &[u8] = b"[   31.0] Kernel panic - not syncing: sysrq triggered crash\n";

#[test]
fn a_hit_knows_its_place_and_its_surroundings() {
    let mut log: Vec<String> = (1..=30).map(|n| format!("line {n}\r\n")).collect();
    log.push("\x1b[31m[   31.0] Kernel panic - not syncing: \x1b[0mno init\r\n".into());
    log.extend((32..=60).map(|n| format!("line {n}\r\n")));
    let scanner = scan(&[log.concat().as_bytes()]);
    let [hit] = scanner.hits() else { panic!("{:?}", rules(&scanner)) };
    assert_eq!((hit.line.number, hit.line.boot), (31, 1));
    assert_eq!(hit.headline, "kernel panic: no init");
    assert_eq!(hit.severity, Severity::Fatal);
    let numbers = |lines: &[Line]| lines.iter().map(|line| line.number).collect::<Vec<_>>();
    assert_eq!(numbers(&hit.before), (11..=30).collect::<Vec<_>>());
    assert_eq!(numbers(&hit.after), (32..=51).collect::<Vec<_>>());
    assert_eq!(&*scanner.tail(1)[0].text, "line 60");
}

#[test]
fn a_match_at_the_cut_of_a_very_long_line_is_found_once() {
    for padding in (8192 - 70..8192 + 10).step_by(5) {
        let log = [&b"x".repeat(padding)[..], PANIC, PANIC].concat();
        assert_eq!(rules(&scan(&[&log])), ["kernel-panic", "kernel-panic"], "{padding}");
    }
    let twice = [
        &b"Kernel panic - not syncing: a"[..],
        &b"x".repeat(9000),
        b"Kernel panic - not syncing: b\n",
    ];
    assert_eq!(rules(&scan(&twice)), ["kernel-panic"]);
}

#[test]
fn invalid_utf8_hides_nothing() {
    let log = [b"\xff\xfe", PANIC].concat();
    assert_eq!(rules(&scan(&[&log])), ["kernel-panic"]);
}

#[test]
fn boots_are_counted() {
    let log = b"Linux version 6.1.0\nx\n[ 31.0] Kernel panic - not syncing: a\n[ 31.1] Rebooting in 1 seconds..\n\
        Linux version 6.1.0\n[ 4.0] Kernel panic - not syncing: b\n";
    let boots: Vec<_> = scan(&[log]).hits().iter().map(|hit| hit.line.boot).collect();
    assert_eq!(boots, [1, 2]);
    let mut scanner = scan(&[b"x\n"]);
    scanner.new_boot();
    scanner.feed(PANIC);
    assert_eq!(scanner.hits()[0].line.boot, 2);
}

#[test]
fn an_expected_hit_is_recorded_but_not_fatal() {
    let mut scanner = scan(&[]);
    let expectation = scanner.expect(&["kernel-panic", "kernel-oops"]).unwrap();
    scanner.feed(PANIC);
    assert_eq!(scanner.fatal_headline(0), None);
    assert!(scanner.hits()[0].expected);
    assert_eq!(scanner.unmet(expectation), ["kernel-oops".into()]);
    scanner.unexpect(expectation);
    scanner.feed(PANIC);
    assert_eq!(scanner.fatal_headline(0), Some("kernel panic: sysrq triggered crash"));
    assert!(scanner.expect(&["kernel-panik"]).is_err());
}

#[test]
fn a_rule_with_repeat_ignores_the_first_matches_of_a_boot() {
    let line = b"bond0: link status up for interface eth0, enabling it in 0 ms\n";
    let mut scanner = scan(&[&line.repeat(9)]);
    assert_eq!(rules(&scanner), [""; 0]);
    scanner.feed(&line.repeat(5));
    assert_eq!(rules(&scanner), ["bonding-flood"]);
    scanner.new_boot();
    scanner.feed(&line.repeat(9));
    assert_eq!(rules(&scanner), ["bonding-flood"]);
    scanner.feed(line);
    assert_eq!(rules(&scanner), ["bonding-flood"; 2]);
    assert_eq!(scanner.count("bonding-flood").unwrap(), 24);
}

#[test]
fn a_flood_of_one_rule_keeps_memory_bounded_and_hides_no_other() {
    let mut scanner = scan(&[&b"avc:  denied  { read }\n".repeat(10_000)]);
    scanner.feed(PANIC);
    assert_eq!(scanner.hits().len(), 101);
    assert_eq!(scanner.count("selinux-denial").unwrap(), 10_000);
    assert_eq!(scanner.fatal_headline(0), Some("kernel panic: sysrq triggered crash"));
}

#[test]
fn the_cause_may_come_before_or_after_the_fatal_line() {
    let unit =
        "systemd[1]: ignition-files.service: Main process exited, code=exited, status=1/FAILURE\n";
    let cause = "ignition[345]: Ignition failed: failed to create files: error creating /sysroot/etc/x: error creating file \"/sysroot/etc/x\": A file exists there already and overwrite is false\n";
    let headline = Some(
        "Ignition failed in stage files: /etc/x: A file exists there already and overwrite is false",
    );
    let filler = "audit: nothing to see\n";
    for log in [
        format!("{cause}{unit}"),
        format!("{unit}{cause}"),
        format!("{unit}{}{cause}", filler.repeat(50)),
    ] {
        let scanner = scan(&[log.as_bytes()]);
        assert_eq!(scanner.fatal_headline(0), headline, "{log}");
    }
}

#[test]
fn an_ignition_failure_of_another_boot_explains_nothing() {
    let log = b"Linux version 6.1.0\nignition[1]: Ignition failed: config is not valid\nreboot: Restarting system\n\
        Linux version 6.1.0\nYou are in emergency mode.\n";
    let scanner = scan(&[log]);
    assert_eq!(scanner.fatal_headline(1), Some("emergency shell: You are in emergency mode"));
}

#[test]
fn a_prompt_without_a_line_break_is_seen_once() {
    let mut scanner = scan(&[]);
    scanner.feed(b"Press Enter for emergency shell or wait 5 min");
    scanner.look_at_partial_line();
    scanner.look_at_partial_line();
    scanner.feed(b"utes for reboot.      \rPress Enter for emergency shell or wait 4 minutes 45 seconds for reboot. \r");
    assert_eq!(rules(&scanner), ["emergency-shell"]);
    assert_eq!(
        &*scanner.hits()[0].line.text,
        "Press Enter for emergency shell or wait 5 minutes for reboot."
    );
}

#[test]
fn line_numbers_restart_with_the_log_and_hits_stay() {
    let mut scanner = scan(&[b"a\nb\n", PANIC]);
    scanner.restart_log();
    scanner.feed(PANIC);
    let numbers: Vec<_> = scanner.hits().iter().map(|hit| hit.line.number).collect();
    assert_eq!(numbers, [3, 1]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn cutting_the_bytes_differently_changes_nothing(
        parts in proptest::collection::vec(prop_oneof![
            Just("[ 31.0] Kernel panic - not syncing: x".to_owned()),
            Just("ignition[1]: Ignition failed: config is not valid".to_owned()),
            Just("Linux version 6.1.0".to_owned()),
            Just("Rebooting in 1 seconds..".to_owned()),
            Just("\x1b[0;32m".to_owned()),
            Just("Failed to start x.service".to_owned()),
            Just("\r\n".to_owned()), Just("\r".to_owned()), Just("\n".to_owned()),
            Just("ä".repeat(1500)),
        ], 0..60),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let text = parts.concat();
        let bytes = text.as_bytes();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let chunks: Vec<_> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let (cut, whole) = (scan(&chunks), scan(&[bytes]));
        prop_assert_eq!(cut.hits(), whole.hits());
    }
}

/// Not a test of time: prints a rate for people. `cargo test --release -p wheeltap-scenarios rate -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, for people"]
fn rate() {
    let lines: String = (0..200_000)
        .map(|n| format!("[{:5}.{:06}] systemd[1]: Started unit-{n}.service - Some unit “with” a description…\r\n", n / 1000, n % 1000))
        .collect();
    let start = std::time::Instant::now();
    let scanner = scan(&[lines.as_bytes()]);
    let seconds = start.elapsed().as_secs_f64();
    assert!(scanner.hits().is_empty());
    println!("{:.0} MB/s", lines.len() as f64 / 1e6 / seconds);
}

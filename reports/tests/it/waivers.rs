//! What waivers make of a run.

use crate::fixture::{BIOS, Fixture, UEFI, failure};
use crate::reports::golden;
use proptest::prelude::{any, prop_assert_eq, proptest};
use test_case::test_case;
use wheeltap_reports::{
    Event, Failure, FailureClass, Outcome, Phase, Run, Verdict, WaiverState, Waivers,
};

const A: (&str, &str) = ("update.a", UEFI);
const B: (&str, &str) = ("update.b", BIOS);

fn check(headline: &str) -> Failure {
    failure(FailureClass::Product, Phase::Check, "check", headline)
}

/// A waiver for `update.*` whose headline has `slot` in it, with these lines instead or besides.
fn waiver(lines: &[&str]) -> String {
    let defaults = [
        "id = 'W-1'",
        "scenario = 'update.*'",
        "signature = 'slot USR-[AB]'",
        "owner = 'release team'",
        "tracker = 'https://example.org/1'",
        "expires = 2026-03-31",
        "reason = 'fixed in 4100'",
    ];
    let key = |line: &str| line.split(' ').next().map(str::to_owned);
    let mut all: Vec<&str> = defaults
        .into_iter()
        .filter(|line| !lines.iter().any(|other| key(other) == key(line)))
        .collect();
    all.extend(lines);
    format!("[[waiver]]\n{}\n", all.join("\n"))
}

/// Judges a run by a file of waivers.
fn judge(fixture: &Fixture, waivers: &str) -> Run {
    let mut run = fixture.load();
    let today = run.day();
    Waivers::parse("waivers.toml", waivers).unwrap().apply(&mut run, today);
    run
}

/// The remarks on waivers.
fn remarks(run: &Run) -> Vec<String> {
    let remark = |status: &wheeltap_reports::WaiverStatus| {
        status.remark.as_ref().map(|remark| format!("{} {remark}", status.waiver.id))
    };
    run.waivers.iter().filter_map(remark).collect()
}

/// A run of which the first case failed by this, and the second passed.
fn failed(cause: Failure) -> Fixture {
    let mut fixture = Fixture::new(&[A, B]);
    fixture.start().fail(A, cause).pass(B);
    fixture
}

#[test]
fn a_waived_failure_does_not_fail_the_run() {
    let run = judge(&failed(check("slot USR-B has tries 5")), &waiver(&[]));
    assert_eq!(run.cases[0].verdict, Verdict::Fail, "it did fail");
    assert_eq!(run.cases[0].waived.as_ref().unwrap().id, "W-1");
    assert_eq!(run.outcome(), Outcome::AllPassed);
    let counts = run.counts();
    assert_eq!((counts.fail, counts.waived, counts.pass, counts.planned), (0, 1, 1, 2));
    assert_eq!(run.waivers[0].state, WaiverState::Used);
    assert!(remarks(&run).is_empty());
}

/// Why a waiver doesn't cover the failure, by what is noted.
#[test_case(&["signature = 'slot USR-C'"], &[]; "a new failure mode")]
#[test_case(&["scenario = 'boot.*'"], &[]; "another scenario")]
#[test_case(&["signature = '000000000000'"], &[]; "another signature")]
#[test_case(&["expires = 2026-01-30"],
    &["W-1 expired on 2026-01-30, and would have covered update.a [qemu_uefi.amd64]"]; "expired")]
#[test_case(&["platform = 'aws'"],
    &["W-1 does not apply: it is for platform aws, not qemu; it would have covered update.a [qemu_uefi.amd64]"]; "platform")]
#[test_case(&["arch = ['arm64', 'riscv64']"],
    &["W-1 does not apply: it is for arch arm64 or riscv64, not amd64; it would have covered update.a [qemu_uefi.amd64]"]; "architecture")]
#[test_case(&["channel = 'stable'"],
    &["W-1 does not apply: the channel of the image reference is unknown; it would have covered update.a [qemu_uefi.amd64]"]; "unknown channel")]
#[test_case(&["version = '<4000'"],
    &["W-1 does not apply: it is for version <4000, not 4000.0.0; it would have covered update.a [qemu_uefi.amd64]"]; "version")]
#[test_case(&["channel = 'stable'", "version = '<4000'", "expires = 2026-01-30"],
    &["W-1 does not apply: it is for version <4000, not 4000.0.0; it would have covered update.a [qemu_uefi.amd64]"]; "what is certain goes first")]
fn what_does_not_apply(lines: &[&str], expected: &[&str]) {
    let run = judge(&failed(check("slot USR-B has tries 5")), &waiver(lines));
    assert_eq!(run.cases[0].waived, None);
    assert_eq!(run.outcome(), Outcome::ProductFailure);
    assert_eq!(remarks(&run), expected);
}

#[test_case(&["expires = 2026-01-31"]; "on its last day")]
#[test_case(&["platform = 'qemu'", "arch = 'amd64'", "version = '>=4000.0.0, <4100'"]; "all scopes")]
#[test_case(&["scenario = 'update.a'"]; "by name")]
#[test_case(&["scenario = '*'"]; "any scenario")]
#[test_case(&["signature = '^slot USR-B has tries [0-9]+$'"]; "the whole headline")]
fn what_applies(lines: &[&str]) {
    let run = judge(&failed(check("slot USR-B has tries 5")), &waiver(lines));
    assert_eq!(run.outcome(), Outcome::AllPassed, "{:?}", remarks(&run));
}

#[test]
fn a_channel_is_known_by_the_name_of_the_image() {
    let mut fixture = failed(check("slot USR-B"));
    fixture.plan.image.name = "flatcar:stable".into();
    fixture.restart();
    let outcome = |channel: &str| judge(&fixture, &waiver(&[channel])).outcome();
    assert_eq!(outcome("channel = ['stable', 'lts']"), Outcome::AllPassed);
    assert_eq!(outcome("channel = 'beta'"), Outcome::ProductFailure);
}

#[test]
fn a_version_that_is_no_number_is_unknown() {
    let mut fixture = failed(check("slot USR-B"));
    fixture.plan.image.version = "unknown".into();
    fixture.restart();
    let run = judge(&fixture, &waiver(&["version = '>0'"]));
    assert_eq!(run.outcome(), Outcome::ProductFailure);
    assert!(remarks(&run)[0].contains("the image's version \"unknown\" is no number"));
}

#[test]
fn a_signature_stands_for_a_failure() {
    let seen = check("slot USR-B has tries 5 at 12:00:01");
    let line = format!("signature = '{}'", seen.signature());
    let again = check("slot USR-B has tries 3 at 23:59:59");
    assert_eq!(judge(&failed(again), &waiver(&[&line])).outcome(), Outcome::AllPassed);
    let new = check("slot USR-A has tries 3 at 23:59:59");
    assert_eq!(judge(&failed(new), &waiver(&[&line])).outcome(), Outcome::ProductFailure);
}

#[test_case(FailureClass::Infra, Outcome::InfraFailure)]
#[test_case(FailureClass::Harness, Outcome::HarnessDefect)]
#[test_case(FailureClass::Test, Outcome::AllPassed; "a scenario's known fault can be waived")]
fn infrastructure_cannot_be_waived(class: FailureClass, expected: Outcome) {
    let cause = failure(class, Phase::Act, "check", "slot USR-B");
    assert_eq!(judge(&failed(cause), &waiver(&[])).outcome(), expected);
}

#[test]
fn every_failed_attempt_must_be_covered() {
    let slot = || Some(check("slot USR-B"));
    let other = || Some(check("something new"));
    let infra = || Some(failure(FailureClass::Infra, Phase::Reach, "ssh", "connection refused"));
    let outcome = |attempts: [Option<Failure>; 2], waivers: &str| {
        let mut fixture = Fixture::new(&[A]);
        let verdicts: Vec<_> =
            attempts.iter().flatten().map(|failure| failure.class.verdict()).collect();
        let [one, two] = attempts;
        fixture.start().attempt(A, 1, one).attempt(A, 2, two);
        fixture.end(A, Verdict::of_attempts(&verdicts).unwrap());
        judge(&fixture, waivers).outcome()
    };
    assert_eq!(outcome([slot(), slot()], &waiver(&[])), Outcome::AllPassed);
    assert_eq!(outcome([slot(), other()], &waiver(&[])), Outcome::ProductFailure);
    assert_eq!(outcome([other(), slot()], &waiver(&[])), Outcome::ProductFailure);
    // An attempt that says nothing about the image isn't in the way.
    assert_eq!(outcome([infra(), slot()], &waiver(&[])), Outcome::AllPassed);
    assert_eq!(outcome([infra(), other()], &waiver(&[])), Outcome::ProductFailure);
    assert_eq!(outcome([infra(), infra()], &waiver(&[])), Outcome::InfraFailure);
    let both = waiver(&[]) + &waiver(&["id = 'W-2'", "signature = 'new'"]);
    assert_eq!(outcome([slot(), other()], &both), Outcome::AllPassed, "each by its own");
}

#[test]
fn a_new_check_beside_a_known_one_stays_red() {
    let mut several = check("slot USR-B has tries 5 (1 more)");
    several.detail = "- slot USR-B has tries 5\n- /usr is writable\nits journal".into();
    let known = waiver(&[]);
    assert_eq!(judge(&failed(several.clone()), &known).outcome(), Outcome::ProductFailure);
    let both = known.clone() + &waiver(&["id = 'W-2'", "signature = 'writable'"]);
    let run = judge(&failed(several.clone()), &both);
    assert_eq!(run.outcome(), Outcome::AllPassed);
    assert!(run.waivers.iter().all(|status| status.cases.len() == 1), "{:?}", run.waivers);
    several.detail = "lost".into();
    assert_eq!(
        judge(&failed(several), &both).outcome(),
        Outcome::ProductFailure,
        "it can't be told"
    );
}

#[test]
fn a_flaky_case_is_not_waived_but_needs_its_waiver() {
    let mut fixture = Fixture::new(&[A]);
    fixture.start().attempt(A, 1, Some(check("slot USR-B"))).attempt(A, 2, None);
    fixture.end(A, Verdict::Flaky);
    let run = judge(&fixture, &waiver(&[]));
    assert_eq!((run.outcome(), run.counts().flaky), (Outcome::FlakyOnly, 1));
    assert_eq!(run.waivers[0].state, WaiverState::Used);
}

#[test]
fn what_is_no_longer_needed_is_said() {
    let mut fixture = Fixture::new(&[A, B, ("update.c", UEFI)]).skip("no disk");
    fixture.start().pass(A).pass(B);
    let run = judge(&fixture, &waiver(&[]));
    assert_eq!(
        remarks(&run),
        ["W-1 is no longer needed: update.a [qemu_uefi.amd64], update.b [qemu_bios.amd64] passed"]
    );
    assert_eq!(run.waivers[0].state, WaiverState::Unneeded);
    // One that failed of something else may have missed the failure.
    let run = judge(&failed(check("something new")), &waiver(&[]));
    assert_eq!((remarks(&run).len(), run.waivers[0].state), (0, WaiverState::Idle));
    // What isn't in force isn't judged, and what didn't run isn't either.
    for lines in [["expires = 2026-01-30"], ["arch = 'arm64'"], ["scenario = 'update.c'"]] {
        assert_eq!(judge(&fixture, &waiver(&lines)).waivers[0].state, WaiverState::Idle);
    }
}

#[test]
fn a_second_look_forgets_the_first() {
    let mut run = judge(&failed(check("slot USR-B")), &waiver(&[]));
    let later = "2026-04-01".parse().unwrap();
    Waivers::parse("waivers.toml", &waiver(&[])).unwrap().apply(&mut run, later);
    assert_eq!((run.outcome(), run.waivers.len()), (Outcome::ProductFailure, 1));
    Waivers::parse("waivers.toml", "").unwrap().apply(&mut run, later);
    assert_eq!(run.waivers.len(), 0);
}

#[test]
fn the_waivers_of_a_run_lie_in_its_directory() {
    let fixture = failed(check("slot USR-B"));
    Waivers::parse("w.toml", &waiver(&[])).unwrap().write(fixture.dir.path()).unwrap();
    assert_eq!(fixture.load().outcome(), Outcome::AllPassed);
    let bare = Run::load_unwaived(fixture.dir.path()).unwrap();
    assert_eq!(bare.outcome(), Outcome::ProductFailure);
    std::fs::write(fixture.dir.path().join("waivers.toml"), "[[waver]]").unwrap();
    let error = Run::load(fixture.dir.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("waivers.toml:1:3: unknown key `waver`; did you mean `waiver`?"),
        "{error}"
    );
}

#[test]
fn waivers_in_every_report() {
    let cases = [A, B, ("update.c", UEFI), ("boot.a", UEFI), ("boot.b", BIOS)];
    let mut fixture = Fixture::new(&cases);
    fixture.start().fail(A, check("slot USR-B has tries 5")).fail(B, check("something new"));
    fixture.fail(cases[2], check("no reboot")).pass(cases[3]).pass(cases[4]);
    fixture.push(Event::RunEnded { outcome: Outcome::ProductFailure });
    let waivers = [
        waiver(&[]),
        waiver(&["id = 'W-2'", "signature = 'no reboot'", "expires = 2025-12-31"]),
        waiver(&["id = 'W-3'", "scenario = 'boot.*'"]),
    ];
    fixture.plan.write(fixture.dir.path()).unwrap();
    Waivers::parse("w.toml", &waivers.concat()).unwrap().write(fixture.dir.path()).unwrap();
    golden("waivers", &fixture);

    let mut fixture = failed(check("slot USR-B has tries 5"));
    fixture.finish(Outcome::AllPassed);
    Waivers::parse("w.toml", &waiver(&[])).unwrap().write(fixture.dir.path()).unwrap();
    golden("waived", &fixture);
}

proptest! {
    /// Whatever the attempts, a waiver changes a case from red to accepted only if all that failed
    /// of the image is known.
    #[test]
    fn only_what_is_known_is_waived(kinds in proptest::collection::vec(0_u8..4, 1..5), end in any::<bool>()) {
        let cause = |kind: u8| match kind {
            0 => Some(check("slot USR-B")),
            1 => Some(check("something new")),
            2 => Some(failure(FailureClass::Infra, Phase::Reach, "ssh", "slot USR-B")),
            _ => None,
        };
        let mut fixture = Fixture::new(&[A]);
        fixture.start();
        for (number, kind) in (1..).zip(&kinds) {
            fixture.attempt(A, number, cause(*kind));
        }
        let verdicts: Vec<_> = kinds
            .iter()
            .map(|kind| cause(*kind).map_or(Verdict::Pass, |failure| failure.class.verdict()))
            .collect();
        let verdict = Verdict::of_attempts(&verdicts).unwrap();
        if end {
            fixture.end(A, verdict);
        }
        let run = judge(&fixture, &waiver(&[]));
        let known = end && verdict == Verdict::Fail && !kinds.contains(&1) && kinds.contains(&0);
        prop_assert_eq!(run.cases[0].waived.is_some(), known);
        prop_assert_eq!(run.counts().planned, 1);
    }
}

//! Runs that were cut off or damaged, and what a run amounts to as a whole.

use std::fs::{self, OpenOptions};
use std::process::Command;

use crate::fixture::{BIOS, Fixture, UEFI, failure};
use quick_junit::Report;
use test_case::test_case;
use wheeltap_reports::{
    CaseId, EVENTS_FILE, Error, Event, EventLog, FailureClass, Format, Outcome, PLAN_FILE, Paint,
    Phase, Plan, Run, State, Verdict, render,
};

const A: (&str, &str) = ("boot.a", BIOS);
const B: (&str, &str) = ("boot.b", UEFI);

#[test]
fn a_run_killed_at_any_byte_can_be_reported() {
    let flaky = ("boot.flaky", UEFI);
    let cause = failure(FailureClass::Product, Phase::Boot, "panic", "Kernel panic 🚂");
    let mut fixture = Fixture::new(&[A, flaky, B]);
    fixture.start().pass(A).attempt(flaky, 1, Some(cause)).attempt(flaky, 2, None);
    fixture.end(flaky, Verdict::Flaky).pass(B).finish(Outcome::FlakyOnly).write();
    let log = fixture.log();
    let file = OpenOptions::new().write(true).open(fixture.dir.path().join(EVENTS_FILE)).unwrap();
    for length in (0..=log.len()).rev() {
        file.set_len(length as u64).unwrap();
        let run = Run::load(fixture.dir.path()).unwrap();
        // A line that only lacks its newline is whole.
        let whole = log.as_bytes()[..length]
            .split(|byte| *byte == b'\n')
            .filter(|line| line.ends_with(b"}") && is_json(line));
        let ended = whole.filter(|line| contains(line, r#""event":"case_ended""#)).count();
        for (index, case) in run.cases.iter().enumerate() {
            assert_eq!(case.verdict == Verdict::NotRun, index >= ended, "{length} {case:?}");
            assert_eq!(case.reason.is_some(), index >= ended, "{length}");
        }
        let expected = if ended < 3 { Outcome::LessThanPlanned } else { Outcome::FlakyOnly };
        assert_eq!(run.outcome(), expected, "{length}");
        Report::deserialize_from_str(&render(&run, Format::Junit).unwrap()).unwrap();
        render(&run, Format::Json).unwrap();
        render(&run, Format::Text(Paint::Plain)).unwrap();
    }
    fs::remove_file(fixture.dir.path().join(EVENTS_FILE)).unwrap();
    let run = Run::load(fixture.dir.path()).unwrap();
    assert_eq!(run.counts().not_run, 3, "killed before the first event");
}

fn is_json(line: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(line).is_ok()
}

fn contains(line: &[u8], text: &str) -> bool {
    line.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_run_that_goes_on_is_not_called_killed() {
    let fixture = Fixture::new(&[A, B]);
    fixture.plan.write(fixture.dir.path()).unwrap();
    let log = EventLog::create(fixture.dir.path()).unwrap();
    let case = CaseId::new(A.0, A.1);
    log.append(Event::AttemptStarted { case, attempt: 1, dir: "a".into() }).unwrap();
    let reasons = |state| {
        let run = Run::load(fixture.dir.path()).unwrap();
        assert_eq!(run.state, state);
        run.cases.into_iter().map(|case| case.reason.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(
        reasons(State::Running),
        [
            "it was running when this report was written",
            "it had not started when this report was written"
        ]
    );
    drop(log);
    assert_eq!(
        reasons(State::Killed),
        [
            "the run was killed while this case was running",
            "never started: the run was killed before"
        ]
    );
}

fn fault(class: FailureClass) -> Option<wheeltap_reports::Failure> {
    Some(failure(class, Phase::Act, "kind", "headline"))
}

/// The precedence of outcomes: each row has everything graver than what it demands left out.
#[test_case(&["interrupt", "harness", "product", "infra", "lost", "flaky"], Outcome::Interrupted)]
#[test_case(&["harness", "product", "infra", "lost", "flaky"], Outcome::HarnessDefect)]
#[test_case(&["defect", "pass"], Outcome::HarnessDefect; "a defect outside of any case")]
#[test_case(&["product", "infra", "lost", "flaky"], Outcome::ProductFailure)]
#[test_case(&["test", "infra", "lost", "flaky"], Outcome::ProductFailure; "a scenario's fault")]
#[test_case(&["infra", "lost", "flaky", "pass"], Outcome::InfraFailure)]
#[test_case(&["lost", "flaky", "pass"], Outcome::LessThanPlanned)]
#[test_case(&["flaky", "pass"], Outcome::FlakyOnly)]
#[test_case(&["pass"], Outcome::AllPassed)]
#[test_case(&["skip", "pass"], Outcome::AllPassed; "a skipped case is no failure")]
#[test_case(&["skip"], Outcome::NothingRan; "nothing but skipped cases is no pass")]
#[test_case(&[], Outcome::NothingRan; "nothing was selected")]
fn outcomes(kinds: &[&str], expected: Outcome) {
    let cases: Vec<_> = kinds.iter().map(|kind| (*kind, UEFI)).collect();
    let mut fixture = Fixture::new(&cases);
    fixture.start();
    for case in cases {
        match case.0 {
            "interrupt" => {
                fixture.pass(case).push(Event::RunInterrupted { signal: "SIGTERM".into() });
            }
            "defect" => {
                fixture.pass(case).push(Event::HarnessDefect { text: "task panicked".into() });
            }
            "harness" => {
                fixture.fail(case, fault(FailureClass::Harness).unwrap());
            }
            "product" => {
                fixture.fail(case, fault(FailureClass::Product).unwrap());
            }
            "test" => {
                fixture.fail(case, fault(FailureClass::Test).unwrap());
            }
            "infra" => {
                fixture.fail(case, fault(FailureClass::Infra).unwrap());
            }
            "flaky" => {
                fixture.attempt(case, 1, fault(FailureClass::Harness)).attempt(case, 2, None);
                fixture.end(case, Verdict::Flaky);
            }
            "skip" => {
                fixture.end(case, Verdict::Skip);
            }
            "pass" => {
                fixture.pass(case);
            }
            _ => {}
        }
    }
    assert_eq!(fixture.load().outcome(), expected);
}

#[test]
fn a_case_that_contradicts_its_attempts_is_no_pass() {
    let mut fixture = Fixture::new(&[A]);
    fixture.start().attempt(A, 1, fault(FailureClass::Product)).end(A, Verdict::Pass);
    assert_eq!(fixture.load().cases[0].verdict, Verdict::Fail);
}

fn load_error(fixture: &Fixture) -> Error {
    Run::load(fixture.dir.path()).unwrap_err()
}

#[test]
fn damage_is_named() {
    let mut fixture = Fixture::new(&[A]);
    assert!(matches!(load_error(&fixture), Error::NotARun { .. }));

    fixture.start().pass(A).write();
    let log = fixture.log().replacen("phase_entered", "phase_ent\u{0}red", 1);
    fs::write(fixture.dir.path().join(EVENTS_FILE), log).unwrap();
    assert!(matches!(load_error(&fixture), Error::BadEvent { line: 3, .. }));

    fixture.pass(("boot.unknown", UEFI)).write();
    assert!(matches!(load_error(&fixture), Error::NotPlanned { line: 7, .. }));

    fixture.plan.seed = Some(8);
    fixture.write();
    assert!(matches!(load_error(&fixture), Error::OtherPlan { .. }));

    fixture.plan.cases.push(fixture.plan.cases[0].clone());
    fixture.write();
    assert!(matches!(load_error(&fixture), Error::PlannedTwice { .. }));

    let plan = fixture.dir.path().join(PLAN_FILE);
    fs::write(&plan, r#"{"version": 2, "cases": "quite different"}"#).unwrap();
    let error = load_error(&fixture).to_string();
    assert!(error.contains("format version 2, and this wheeltap reads up to version 1"), "{error}");
    fs::write(&plan, "{").unwrap();
    assert!(matches!(load_error(&fixture), Error::BadPlan { .. }));
}

/// A plan's digest as a shell would compute it.
fn digest_by_hand(plan: &std::path::Path) -> String {
    let script = r#"grep -Ev '^  "(run|created)": ' "$0" | sha256sum | cut -d ' ' -f 1"#;
    let output = Command::new("sh").args(["-c", script]).arg(plan).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_plans_digest_is_that_of_its_promise() {
    let mut fixture = Fixture::new(&[A]);
    // What looks like one of the two keys elsewhere counts.
    fixture.plan.cases[0].summary = "\n  \"run\": it".into();
    let run = fixture.load();
    assert_eq!(Plan::read(fixture.dir.path()).unwrap(), fixture.plan);
    assert_eq!(run.cases[0].planned.summary, "\"run\": it", "what is shown has no lines");
    assert_eq!(run.plan_digest, fixture.plan.digest());
    assert_eq!(run.plan_digest, digest_by_hand(&fixture.dir.path().join(PLAN_FILE)));

    let mut other = fixture.plan.clone();
    (other.run, other.created) = ("another".into(), "2027-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(other.digest(), run.plan_digest, "another worker that plans the same");
    other.cases[0].summary = "\n  \"run\": that".into();
    assert_ne!(other.digest(), run.plan_digest);
    other.clone_from(&fixture.plan);
    other.image.digest = "00".repeat(32);
    assert_ne!(other.digest(), run.plan_digest);
}

/// A partition with these of the cases a, b and c.
fn partition(selected: &[usize]) -> Fixture {
    let mut fixture = Fixture::new(&[A, B, ("boot.c", UEFI), ("boot.d", BIOS)]).skip("no disk");
    fixture.partition = Some(("hash:2/3".into(), selected.to_vec()));
    fixture.start();
    fixture
}

#[test]
fn a_partition_is_judged_by_its_own_cases() {
    let mut fixture = partition(&[0]);
    fixture.pass(A).finish(Outcome::AllPassed);
    let run = fixture.load();
    assert_eq!(run.partition.as_deref(), Some("hash:2/3"));
    assert_eq!(run.outcome(), Outcome::AllPassed);
    let counts = run.counts();
    assert_eq!((counts.pass, counts.elsewhere, counts.not_run, counts.skip), (1, 2, 0, 1));
    assert_eq!(run.cases[1].verdict, Verdict::NotRun);
    assert_eq!(run.cases[1].reason.as_deref(), Some("not in partition hash:2/3"));
    assert_eq!(run.cases[3].reason.as_deref(), Some("no disk"));

    assert_eq!(partition(&[0]).load().outcome(), Outcome::LessThanPlanned, "its own is missing");
    assert_eq!(partition(&[]).load().outcome(), Outcome::AllPassed, "it has nothing to do");

    let mut stray = partition(&[0]);
    stray.pass(A).fail(B, fault(FailureClass::Product).unwrap());
    assert_eq!(stray.load().outcome(), Outcome::ProductFailure, "what ran, counts");

    let error = load_error(partition(&[0, 4]).write()).to_string();
    assert!(error.contains("case 4 is selected, and plan.json has only 4"), "{error}");
}

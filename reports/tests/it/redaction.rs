//! No report holds a secret, wherever in a run it stood.

use crate::fixture::{Fixture, UEFI, failure};
use wheeltap_reports::{CaseId, Event, FailureClass, Format, Outcome, Paint, Phase, Severity};

/// What must be in no report. Each stands in a place of its own.
const SECRETS: [&str; 12] = [
    "hunter-arg",
    "hunter-origin",
    "hunter-host",
    "hunter-headline",
    "hunter-detail",
    "hunter-step",
    "hunter-console",
    "hunter-note",
    "hunter-defect",
    "hunter-trouble",
    "hunter-kind",
    "hunter-summary",
];

fn run() -> Fixture {
    let case = ("boot.secrets", UEFI);
    let mut run = Fixture::new(&[case]);
    run.plan.image.origin = Some("https://me:hunter-origin@release.example/disk.img".into());
    run.plan.cases[0].summary = "with password=hunter-summary".into();
    let mut cause = failure(
        FailureClass::Product,
        Phase::Reach,
        "token=hunter-kind",
        "login failed: https://core:hunter-headline@10.0.2.15/",
    );
    cause.detail =
        "  12  -----BEGIN PRIVATE KEY-----\n  13  hunter-detail\n  14  -----END PRIVATE KEY-----"
            .into();
    run.start().fail(case, cause);
    let id = || CaseId::new(case.0, case.1);
    let (case, attempt) = (id(), 1);
    run.push(Event::Step { case, attempt, text: r#"sent {"password":"hunter-step"}"#.into() });
    run.push(Event::ConsoleHit {
        case: id(),
        attempt,
        rule: "oops".into(),
        severity: Severity::Warn,
        text: "systemd.set_credential=x password=hunter-console".into(),
        line: 1,
        boot: 1,
    });
    run.push(Event::TeardownTrouble {
        case: id(),
        attempt,
        text: "rm --token hunter-trouble".into(),
    });
    run.push(Event::Note { text: "Authorization: Bearer hunter-note".into() });
    run.push(Event::HarnessDefect { text: "secret: hunter-defect".into() });
    run.finish(Outcome::HarnessDefect);
    run.each_event(|event| {
        if let Event::RunStarted { command, host, .. } = event {
            command.extend(["--password", "hunter-arg"].map(str::to_owned));
            host.name = "token=hunter-host".into();
        }
    });
    run
}

#[test]
fn no_report_holds_a_secret() {
    let fixture = run();
    let log = fixture.log() + &serde_json::to_string(&fixture.plan).unwrap();
    for secret in SECRETS {
        assert!(log.contains(secret), "{secret} must be planted, or this shows nothing");
    }
    let text = Format::Text(Paint::Plain);
    for format in [Format::Junit, Format::Json, text, Format::Markdown, Format::Tap] {
        let report = fixture.render(format);
        assert!(report.contains("[redacted]"), "{report}");
        assert!(!report.contains("hunter"), "{report}");
    }
}

/// Runs that are resumed need what was given.
#[test]
fn the_command_is_kept_as_it_was_for_those_who_run_it_again() {
    let run = run().load();
    let started = run.started.unwrap();
    assert_eq!(started.command.last().unwrap(), "[redacted]");
    assert_eq!(started.asked.last().unwrap(), "hunter-arg");
}

/// Who computes a signature from the event log and who does from a report get the same.
#[test]
fn redaction_leaves_signatures_alone() {
    let headline = "login failed: https://core:hunter2@10.0.2.15/";
    let raw = failure(FailureClass::Product, Phase::Reach, "ssh", headline);
    let case = ("boot.secrets", UEFI);
    let mut fixture = Fixture::new(&[case]);
    fixture.start().fail(case, raw.clone()).finish(Outcome::ProductFailure);
    let run = fixture.load();
    let shown = run.cases[0].attempts[0].failure.as_ref().unwrap();
    assert_ne!(shown.headline, raw.headline);
    assert_eq!(shown.signature(), raw.signature());
}

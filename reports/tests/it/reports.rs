//! Every view of every kind of run, as golden files. `INSTA_UPDATE=always` renews them.

use crate::fixture::{BIOS, Fixture, UEFI, failure};
use crate::html;
use quick_junit::Report;
use wheeltap_attestation::TestResult;
use wheeltap_reports::{
    CaseId, Error, Event, FailureClass, Format, JUNIT_FILE, Origin, Outcome, Paint, Phase, Verdict,
    statement, write_all,
};

/// Compares all views with their golden files, and demands that the XML can be read back.
pub(crate) fn golden(name: &str, fixture: &Fixture) {
    let junit = fixture.render(Format::Junit);
    Report::deserialize_from_str(&junit).unwrap();
    crate::schema::hold(fixture);
    insta::assert_snapshot!(format!("{name}.junit"), junit);
    insta::assert_snapshot!(format!("{name}.json"), fixture.render(Format::Json));
    insta::assert_snapshot!(format!("{name}.text"), fixture.render(Format::Text(Paint::Plain)));
    insta::assert_snapshot!(format!("{name}.md"), fixture.render(Format::Markdown));
    insta::assert_snapshot!(format!("{name}.tap"), fixture.render(Format::Tap));
    insta::assert_snapshot!(format!("{name}.html"), html::golden(&fixture.load(), None));
}

#[test]
fn all_pass() {
    let mut run = Fixture::new(&[("boot.multi-user", BIOS), ("boot.multi-user", UEFI)]);
    run.start().pass(("boot.multi-user", UEFI)).pass(("boot.multi-user", BIOS));
    run.finish(Outcome::AllPassed);
    golden("all_pass", &run);
}

/// What passed is told from what was flaky, accepted, or not judged; skipped cases are nowhere.
#[test]
fn a_statement_for_those_who_verify() {
    let cases =
        ["a.passes", "b.flaky", "c.fails", "d.infra", "e.skipped"].map(|scenario| (scenario, BIOS));
    let mut run = Fixture::new(&cases).skip("no TPM");
    let result = |run: &Fixture| statement(&run.load()).unwrap().predicate.result;
    let broken = || failure(FailureClass::Product, Phase::Check, "unit", "foo.service failed");
    run.start().pass(cases[0]);
    run.attempt(cases[1], 1, Some(broken())).attempt(cases[1], 2, None);
    run.end(cases[1], Verdict::Flaky).fail(cases[2], broken());
    run.fail(cases[3], failure(FailureClass::Infra, Phase::Provision, "quota", "no room"));
    run.finish(Outcome::ProductFailure);
    let bytes = statement(&run.load()).unwrap().bytes();
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&value).unwrap());

    let mut run = Fixture::new(&cases[..2]);
    run.start().pass(cases[0]).attempt(cases[1], 1, Some(broken())).attempt(cases[1], 2, None);
    assert_eq!(result(&run), TestResult::Failed, "it was killed");
    run.end(cases[1], Verdict::Flaky).finish(Outcome::FlakyOnly);
    assert_eq!(result(&run), TestResult::Warned);
    let mut run = Fixture::new(&cases[..1]);
    run.start().pass(cases[0]).finish(Outcome::AllPassed);
    assert_eq!(result(&run), TestResult::Passed);
    run.plan.image.digest.clear();
    run.restart();
    let error = statement(&run.load()).unwrap_err();
    assert!(matches!(error, Error::NoDigest { .. }), "{error}");
}

/// Where an image was fetched and who vouches for it stands in every view.
#[test]
fn published_images() {
    for (name, signed_by) in [("signed_image", Some("AB".repeat(20))), ("insecure_image", None)] {
        let mut run = Fixture::new(&[("boot.multi-user", BIOS)]);
        let image = &mut run.plan.image;
        image.name = "flatcar:stable".to_owned();
        image.version = "4593.2.3".to_owned();
        image.origin = Some("https://release.example/amd64-usr/4593.2.3/disk.img.bz2".to_owned());
        (image.insecure, image.signed_by) = (signed_by.is_none(), signed_by);
        run.start().pass(("boot.multi-user", BIOS)).finish(Outcome::AllPassed);
        golden(name, &run);
    }
}

#[test]
fn machines_that_boot_and_machines_that_are_forks() {
    let id = ("reboot.clean", BIOS);
    let mut run = Fixture::new(&[id]);
    run.start();
    let case = || CaseId::new(id.0, id.1);
    let dir = format!("cells/{BIOS}/reboot.clean/attempt-1");
    run.push(Event::AttemptStarted { case: case(), attempt: 1, dir });
    let mut start = |machine: &str, from: Option<&str>| {
        let origin = if from.is_some() { Origin::Fork } else { Origin::Boot };
        let (machine, from) = (machine.to_owned(), from.map(str::to_owned));
        run.push(Event::MachineStarted { case: case(), attempt: 1, machine, origin, from });
    };
    start("boot-1", None);
    start("m1", Some("boot-1"));
    let failure = failure(FailureClass::Product, Phase::Act, "no-reboot", "boot_id is the same");
    run.push(Event::AttemptEnded {
        case: case(),
        attempt: 1,
        verdict: Verdict::Fail,
        failure: Some(failure),
        seconds: 3.5,
        evidence: Vec::new(),
    });
    run.end(id, Verdict::Fail).finish(Outcome::ProductFailure);
    golden("machines", &run);
}

fn failures_of_each_kind() -> Fixture {
    let cases = [
        ("boot.panic", UEFI),
        ("ignition.files", UEFI),
        ("test.wrong", UEFI),
        ("cloud.quota", UEFI),
        ("engine.lost", UEFI),
        ("reboot.clean", BIOS),
        ("power.off", BIOS),
        ("update.late", BIOS),
        ("storage.swap", BIOS),
    ];
    let mut run = Fixture::new(&cases).skip("needs a second disk, and the platform has none");
    let panic = "Kernel panic - not syncing: VFS: Unable to mount root fs";
    run.start()
        .fail(cases[0], failure(FailureClass::Product, Phase::Boot, "kernel-panic", panic))
        .fail(
            cases[1],
            failure(
                FailureClass::Product,
                Phase::Ignite,
                "ignition-files",
                "Ignition failed in stage files: /etc/foo: no such user",
            ),
        )
        .fail(cases[2], failure(FailureClass::Test, Phase::Check, "assertion", "expected 3, got 4"))
        .fail(cases[3], failure(FailureClass::Infra, Phase::Provision, "quota", "quota exceeded"))
        .fail(cases[4], failure(FailureClass::Harness, Phase::Act, "panic", "index out of bounds"));
    // Infrastructure first, then the product, then the infrastructure again: the product's fault.
    run.attempt(
        cases[5],
        1,
        Some(failure(FailureClass::Infra, Phase::Provision, "no-port", "no free port")),
    )
    .attempt(
        cases[5],
        2,
        Some(failure(FailureClass::Product, Phase::Act, "no-reboot", "boot_id is the same")),
    )
    .attempt(
        cases[5],
        3,
        Some(failure(FailureClass::Infra, Phase::Reach, "ssh", "connection refused")),
    )
    .push(Event::TeardownTrouble {
        case: CaseId::new(cases[5].0, cases[5].1),
        attempt: 3,
        text: "the process 4711 is still there; `wheeltap gc qemu` removes it".into(),
    })
    .end(cases[5], Verdict::Fail);
    run.push(Event::CaseEnded {
        case: CaseId::new(cases[6].0, cases[6].1),
        verdict: Verdict::Skip,
        reason: Some("the guest has no ACPI".into()),
        seconds: 1.5,
    });
    run.push(Event::CaseEnded {
        case: CaseId::new(cases[7].0, cases[7].1),
        verdict: Verdict::NotRun,
        reason: Some("the run's budget was spent".into()),
        seconds: 0.0,
    });
    run.push(Event::Note { text: "KVM is not usable here; TCG is about 10 times slower".into() });
    run.finish(Outcome::HarnessDefect);
    run
}

#[test]
fn each_kind_of_failure() {
    let run = failures_of_each_kind();
    golden("failures", &run);
    insta::assert_snapshot!("failures.colour", run.render(Format::Text(Paint::Colour)));
}

#[test]
fn a_partition() {
    let cases = [("boot.multi-user", UEFI), ("boot.multi-user", BIOS), ("reboot.clean", UEFI)];
    let mut run = Fixture::new(&cases);
    run.partition = Some(("slice:1/2".into(), vec![0, 2]));
    run.start().pass(cases[0]).pass(cases[2]).finish(Outcome::AllPassed);
    golden("partition", &run);
}

#[test]
fn flaky() {
    let case = ("reboot.clean", UEFI);
    let mut run = Fixture::new(&[case]);
    let cause = failure(FailureClass::Product, Phase::Reach, "ssh", "connection refused");
    run.start().attempt(case, 1, Some(cause)).attempt(case, 2, None);
    // Whatever the writer claims, an attempt that failed isn't hidden.
    run.end(case, Verdict::Pass).finish(Outcome::FlakyOnly);
    golden("flaky", &run);
}

#[test]
fn killed() {
    let cases =
        [("boot.multi-user", UEFI), ("boot.slow", UEFI), ("boot.late", UEFI), ("boot.later", UEFI)];
    let mut run = Fixture::new(&cases);
    run.start().pass(cases[0]);
    let case = CaseId::new(cases[1].0, cases[1].1);
    run.push(Event::AttemptStarted { case, attempt: 1, dir: "cells/x/attempt-1".into() });
    golden("killed", &run);
}

#[test]
fn interrupted() {
    let cases = [("boot.multi-user", UEFI), ("boot.slow", UEFI)];
    let mut run = Fixture::new(&cases);
    run.start().pass(cases[0]);
    run.push(Event::RunInterrupted { signal: "SIGINT".into() }).finish(Outcome::Interrupted);
    golden("interrupted", &run);
}

#[test]
fn nothing_was_planned() {
    let mut run = Fixture::new(&[]);
    run.start().finish(Outcome::NothingRan);
    golden("nothing", &run);
}

#[test]
fn junit_lies_in_the_run_directory() {
    let run = failures_of_each_kind();
    let loaded = write_all(run.write().dir.path()).unwrap();
    assert_eq!(loaded.counts().fail, 4);
    let xml = std::fs::read_to_string(run.dir.path().join(JUNIT_FILE)).unwrap();
    let report = Report::deserialize_from_str(&xml).unwrap();
    assert_eq!((report.tests, report.failures, report.errors, report.skipped), (9, 4, 3, 2));
}

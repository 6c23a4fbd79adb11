//! JUnit's options, for consumers that read it differently.

use std::collections::BTreeSet;

use crate::fixture::{BIOS, Fixture, UEFI, failure};
use quick_junit::Report;
use wheeltap_reports::{
    Event, FailureClass, JunitAttachments, JunitFlaky, JunitOptions, JunitOutput, Outcome, Phase,
    Verdict, render_junit,
};

/// A pass, a pass after retries, and a failure at each of two attempts.
fn run() -> Fixture {
    let cases = [("boot.pass", BIOS), ("boot.flaky", UEFI), ("boot.fail", UEFI)];
    let mut run = Fixture::new(&cases);
    let cause = |headline| failure(FailureClass::Product, Phase::Reach, "ssh", headline);
    run.start()
        .pass(cases[0])
        .attempt(cases[1], 1, Some(cause("refused once")))
        .attempt(cases[1], 2, None)
        .end(cases[1], Verdict::Flaky)
        .attempt(cases[2], 1, Some(cause("refused")))
        .attempt(cases[2], 2, Some(cause("refused again")))
        .end(cases[2], Verdict::Fail)
        .finish(Outcome::ProductFailure);
    run
}

fn rendered(run: &Fixture, options: &JunitOptions) -> Vec<String> {
    let documents = render_junit(&run.load(), options).unwrap();
    let dir = run.dir.path().to_str().unwrap();
    documents.into_iter().map(|document| document.replace(dir, "/RUN")).collect()
}

#[test]
fn each_option() {
    let fixture = run();
    let options = [
        ("surefire", JunitOptions::default()),
        ("failure", JunitOptions { flaky: JunitFlaky::Failure, ..JunitOptions::default() }),
        ("plain", JunitOptions { flaky: JunitFlaky::Plain, ..JunitOptions::default() }),
        ("all", JunitOptions { output: JunitOutput::All, ..JunitOptions::default() }),
        (
            "relative",
            JunitOptions {
                attachments: JunitAttachments::RelativeTo(fixture.dir.path().join("cells/other")),
                ..JunitOptions::default()
            },
        ),
        (
            "unattached",
            JunitOptions { attachments: JunitAttachments::None, ..JunitOptions::default() },
        ),
    ];
    for (name, options) in options {
        let [document] = &*rendered(&fixture, &options) else { panic!("{name} is one document") };
        Report::deserialize_from_str(document).unwrap();
        insta::assert_snapshot!(format!("options.{name}"), document);
    }
}

/// By default it is what the run directory has.
#[test]
fn defaults_are_todays() {
    let fixture = run();
    let junit = fixture.render(wheeltap_reports::Format::Junit);
    assert_eq!(rendered(&fixture, &JunitOptions::default()), [junit]);
}

/// Many cases of two cells, whose order in the plan is mixed.
#[test]
fn long_reports_are_split() {
    let names: Vec<String> = (0..40).map(|number| format!("boot.case-{number}")).collect();
    let cases: Vec<_> =
        names.iter().enumerate().map(|(n, name)| (&**name, [BIOS, UEFI][n % 2])).collect();
    let mut fixture = Fixture::new(&cases);
    fixture.start();
    for case in &cases[1..] {
        fixture.pass(*case);
    }
    let mut cause = failure(FailureClass::Product, Phase::Boot, "chatty", "it talks");
    cause.detail = "x".repeat(6000);
    fixture.fail(cases[0], cause).push(Event::RunEnded { outcome: Outcome::ProductFailure });
    let whole = &render_junit(&fixture.load(), &JunitOptions::default()).unwrap()[0];
    for max_bytes in [whole.len(), whole.len() - 1, 5000, 3000, 1] {
        let options = JunitOptions { max_bytes: Some(max_bytes), ..JunitOptions::default() };
        let documents = render_junit(&fixture.load(), &options).unwrap();
        let mut seen = BTreeSet::new();
        for document in &documents {
            let report = Report::deserialize_from_str(document).unwrap();
            assert!(report.tests == 1 || document.len() <= max_bytes, "{}", document.len());
            let mut tests = 0;
            for suite in &report.test_suites {
                for case in &suite.test_cases {
                    assert!(seen.insert((suite.name.to_string(), case.name.to_string())), "twice");
                    tests += 1;
                }
            }
            assert_eq!(report.tests, tests, "counts are those of the file");
        }
        assert_eq!(seen.len(), cases.len(), "every case is in one of {} files", documents.len());
        assert_eq!(documents.len() == 1, max_bytes == whole.len());
    }
    let options = JunitOptions { max_bytes: Some(whole.len() - 1), ..JunitOptions::default() };
    let [first, second] = &*render_junit(&fixture.load(), &options).unwrap() else {
        panic!("a suite for each")
    };
    assert!(first.contains(BIOS) && !first.contains(UEFI), "suites stay whole where they can");
    assert!(second.contains(UEFI) && !second.contains(BIOS));
}

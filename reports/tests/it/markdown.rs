//! Markdown of runs that are too large for it: what goes first, and what always stays.

use test_case::test_case;
use wheeltap_reports::{FailureClass, Format, Outcome, Phase};

use crate::fixture::{BIOS, Fixture, failure};

/// A run with so many cases that pass, and failures, each of another kind and with so long a detail.
fn rendered(passing: usize, failing: usize, detail: usize) -> String {
    let names: Vec<String> = (0..passing + failing).map(|at| format!("boot.case-{at}")).collect();
    let cases: Vec<_> = names.iter().map(|name| (&**name, BIOS)).collect();
    let mut fixture = Fixture::new(&cases);
    fixture.start();
    for (at, case) in cases.iter().enumerate() {
        if at < passing {
            fixture.pass(*case);
            continue;
        }
        let kind = format!("kind-{}", names[at].replace('-', ""));
        let mut cause = failure(FailureClass::Product, Phase::Boot, &kind, "it fails");
        cause.detail = "é`|@x\n".repeat(detail / 7);
        fixture.fail(*case, cause);
    }
    fixture.finish(Outcome::ProductFailure);
    let report = fixture.render(Format::Markdown);
    assert!(report.len() <= 65_535, "{} bytes", report.len());
    crate::hostile::markdown(&report);
    report
}

/// The number before these words, or 0 if they aren't there.
fn left_out(report: &str, what: &str) -> usize {
    let line = report.lines().find(|line| line.contains(what) && line.contains("left out"));
    line.map_or(0, |line| line.split(' ').nth(1).unwrap().parse().unwrap())
}

#[test_case(5, 0, 0; "few")]
#[test_case(1500, 0, 0; "many that passed")]
#[test_case(1500, 3, 5000; "and some that failed")]
fn what_passed_goes_first(passing: usize, failing: usize, detail: usize) {
    let report = rendered(passing, failing, detail);
    let shown = report.lines().filter(|line| line.starts_with("| `boot.case-")).count();
    assert_eq!(shown + left_out(&report, "cases that passed"), passing);
    assert_eq!(report.matches("\n#### ").count(), failing, "every failure is there");
    assert!(!report.contains("bytes of each detail"), "and its detail");
    assert!(shown > passing.min(100) / 2, "there is room for some: {shown}");
}

#[test_case(20, "at most 1024 bytes of each detail"; "20")]
#[test_case(60, "at most 256 bytes of each detail"; "60")]
#[test_case(200, "at most 0 bytes of each detail"; "200")]
fn then_details_are_shortened(failing: usize, said: &str) {
    let report = rendered(300, failing, 5000);
    assert!(report.contains(said), "{report}");
    assert_eq!(report.matches("\n#### ").count(), failing, "every failure is there");
}

#[test]
fn then_failures_go() {
    let report = rendered(10, 600, 5000);
    let shown = report.matches("\n#### ").count();
    assert_eq!(shown + left_out(&report, "failures"), 600);
    assert!(shown > 100, "{shown}");
    assert!(
        report.starts_with("## ❌ product failure\n\n**10 pass, 600 fail** of 610"),
        "{report}"
    );
    assert_eq!(left_out(&report, "cases that passed"), 10);
}

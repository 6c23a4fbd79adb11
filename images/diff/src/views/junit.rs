//! JUnit XML: the limits as a suite. A rule that holds is a test that passed; each hit is a test of its own, named by its id.
//!
//! | hit | element | why |
//! | --- | --- | --- |
//! | error | `failure` | it must turn the job red |
//! | warning | `skipped` with the message | JUnit has no warnings; skipped tests are seen, and green |
//! | accepted | `skipped` with who accepted it | as for waivers of runs |
//!
//! Texts are [`visible`] before they get here, so no character is left that XML can't hold.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::RenderError;
use crate::limits::{Hit, JudgedRule, Judgement, Severity};
use crate::{Diff, visible};

const NAME: &str = "wheeltap.image-diff";

pub(super) fn render(diff: &Diff<'_>, judgement: &Judgement) -> Result<String, RenderError> {
    let mut suite = TestSuite::new(NAME);
    suite.add_properties([
        ("image.old", &*visible(&diff.old.name)),
        ("image.new", &*visible(&diff.new.name)),
        ("limits", &*visible(&judgement.limits)),
    ]);
    for rule in &judgement.rules {
        if rule.hits.is_empty() {
            let mut test = TestCase::new(&*rule.name, TestCaseStatus::success());
            test.set_classname(format!("{NAME}.{}", rule.name));
            suite.add_test_case(test);
        }
        for hit in &rule.hits {
            let mut test = TestCase::new(&*hit.id, status(rule, hit));
            test.set_classname(format!("{NAME}.{}", rule.name));
            suite.add_test_case(test);
        }
    }
    let mut report = Report::new(NAME);
    report.add_test_suite(suite);
    report.to_string().map_err(|error| RenderError::new("JUnit", error))
}

fn status(rule: &JudgedRule, hit: &Hit) -> TestCaseStatus {
    let mut status = match (&hit.allowed, rule.severity) {
        (None, Severity::Error) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            // GitLab doesn't read `message`.
            status.set_description(&*hit.message);
            status.set_type(rule.kind);
            status
        }
        (None, Severity::Warn) | (Some(_), _) => TestCaseStatus::skipped(),
    };
    let message = match (&hit.allowed, rule.severity) {
        (Some(allowed), _) => {
            let by = format!(
                "accepted until {} ({}: {})",
                allowed.expires, allowed.owner, allowed.reason
            );
            format!("{}: {}", visible(&by), hit.message)
        }
        (None, Severity::Warn) => format!("warning: {}", hit.message),
        (None, Severity::Error) => hit.message.clone(),
    };
    status.set_message(message);
    status
}

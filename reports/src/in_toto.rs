//! The in-toto view: a statement about the image, with the predicate test-result v0.1.
//!
//! | verdict | is listed in |
//! | --- | --- |
//! | `pass` | `passedTests` |
//! | `flaky`, and `fail` that is waived | `warnedTests` |
//! | `fail`, `infra`, `not-run` | `failedTests` |
//! | `skip`; cases of other partitions | nowhere |
//!
//! A test is named `CELL/SCENARIO`, so that whoever verifies can ask for those of one cell. The result is `PASSED` or `WARNED`
//! only if the run's outcome is a pass; what was accepted or flaky makes it `WARNED`.

use wheeltap_attestation::{Resource, Statement, Subject, TestResult, Tested};

use crate::{Error, Outcome, PLAN_FILE, Result, Run, Verdict};

/// The statement about a run.
///
/// # Errors
/// [`Error::NoDigest`] if the image has none: nobody could tell what the statement is about.
pub fn statement(run: &Run) -> Result<Statement> {
    let image = &run.plan.image;
    if image.digest.is_empty() {
        return Err(Error::NoDigest { dir: run.dir.clone() });
    }
    let (mut passed_tests, mut warned_tests, mut failed_tests) = (vec![], vec![], vec![]);
    for case in run.cases.iter().filter(|case| !case.elsewhere) {
        let tests = match case.verdict {
            Verdict::Pass => &mut passed_tests,
            Verdict::Flaky => &mut warned_tests,
            Verdict::Fail if case.waived.is_some() => &mut warned_tests,
            Verdict::Fail | Verdict::Infra | Verdict::NotRun => &mut failed_tests,
            Verdict::Skip => continue,
        };
        tests.push(format!("{}/{}", case.planned.id.cell, case.planned.id.scenario));
    }
    let result = match run.outcome() {
        Outcome::AllPassed | Outcome::FlakyOnly if warned_tests.is_empty() => TestResult::Passed,
        Outcome::AllPassed | Outcome::FlakyOnly => TestResult::Warned,
        _ => TestResult::Failed,
    };
    let plan = Resource::new(PLAN_FILE, &run.plan_digest).with("run", &run.plan.run);
    let plan = match &run.partition {
        Some(partition) => plan.with("partition", partition),
        None => plan,
    };
    let configuration = vec![plan];
    let tested = Tested { result, configuration, passed_tests, warned_tests, failed_tests };
    let name = if image.version.is_empty() {
        image.name.clone()
    } else {
        format!("{} {}", image.name, image.version)
    };
    Ok(Statement::new(vec![Subject::new(&name, &image.digest)], tested))
}

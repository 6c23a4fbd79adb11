//! JUnit XML, in the dialect that Jenkins, GitLab, GitHub's reporters and Azure DevOps all read.
//!
//! | case | element | why |
//! | --- | --- | --- |
//! | `pass` | none | |
//! | `flaky` | `flakyFailure` per attempt that didn't pass | old consumers see a pass; nobody reads `flakyError` |
//! | `fail` | `failure`, then `rerunFailure` per further attempt | consumers read the first failure only |
//! | `fail`, waived | `skipped` with the waiver and the headline | it is accepted, and must not turn the job red; never a failure beside it, since consumers disagree which of the two counts; the cause is in `system-out` |
//! | `infra` | `error`, then `rerunFailure` | it isn't the product's failure |
//! | `skip` | `skipped` with the reason | |
//! | `not-run` | `error type="not-run"` | `skipped` is green everywhere and a missing case is a hole nobody sees; what was promised and didn't end must turn the job red |
//! | in another partition | no test case | the partition that runs it reports it; GitLab keeps the first of a name, and whatever stood here could hide the result |
//!
//! Suites are flat, one per cell: nested ones are lost in some consumers. A case is one `testcase`,
//! never one per attempt, since GitLab keeps the first of a name and a failed first attempt would
//! hide the pass. GitLab doesn't read `message`, so the text begins with it; it tracks failures by
//! name, so names hold no versions. `system-out` ends with `[[ATTACHMENT|path]]`, one on a line,
//! since Jenkins looks for them after it has cut the middle out. A failure's signature is a property
//! of the test case: Jenkins reads those on demand, and nobody else looks at them.

use std::fmt::Write;
use std::time::Duration;

use jiff::Timestamp;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};

use crate::clean::{self, HEADLINE};
use crate::{Attempt, CaseResult, Error, Happening, Result, Run, Severity, Verdict};

/// Renders `junit.xml`.
pub(crate) fn render(run: &Run) -> Result<String> {
    let mut report = Report::new("wheeltap");
    report.set_time(duration(run.seconds));
    for cell in cells(run) {
        report.add_test_suite(suite(run, cell));
    }
    report.to_string().map_err(|source| Error::Render { format: "JUnit", source: source.into() })
}

/// The cells that have cases, in the plan's order.
fn cells(run: &Run) -> Vec<&str> {
    let mut cells: Vec<&str> = Vec::new();
    for case in own_cases(run) {
        if !cells.contains(&&*case.planned.id.cell) {
            cells.push(&case.planned.id.cell);
        }
    }
    cells
}

/// The cases that are this run's.
fn own_cases(run: &Run) -> impl Iterator<Item = &CaseResult> {
    run.cases.iter().filter(|case| !case.elsewhere)
}

fn suite(run: &Run, cell: &str) -> TestSuite {
    let mut suite = TestSuite::new(cell);
    let cases: Vec<_> = own_cases(run).filter(|case| case.planned.id.cell == cell).collect();
    suite.set_time(duration(cases.iter().map(|case| case.seconds).sum()));
    let started = cases.iter().flat_map(|case| &case.attempts).map(|attempt| attempt.started).min();
    let started = started.or(run.started.as_ref().map(|started| started.at));
    suite.extra.insert("timestamp".into(), iso(started.unwrap_or(run.plan.created)).into());
    if let Some(started) = &run.started {
        suite.extra.insert("hostname".into(), (&started.host.name).into());
        suite.add_property(("wheeltap.version", &*started.wheeltap));
    }
    let image = &run.plan.image;
    suite.add_properties([
        ("run.id", &*run.plan.run),
        ("plan.sha256", &run.plan_digest),
        ("image.name", &image.name),
        ("image.version", &image.version),
        ("image.sha256", &image.digest),
        ("image.profile", &image.profile),
    ]);
    let optional = [("image.origin", &image.origin), ("image.signed-by", &image.signed_by)];
    for (name, value) in optional {
        if let Some(value) = value {
            suite.add_property((name, &**value));
        }
    }
    if image.insecure {
        suite.add_property(("image.insecure", "true"));
    }
    if let Some(partition) = &run.partition {
        suite.add_property(("run.partition", &**partition));
    }
    if let Some(seed) = run.plan.seed {
        suite.add_property(("run.seed", &*seed.to_string()));
    }
    for case in cases {
        suite.add_test_case(test_case(run, case));
    }
    suite
}

fn test_case(run: &Run, case: &CaseResult) -> TestCase {
    let id = &case.planned.id;
    let mut test = TestCase::new(&id.scenario, status(case));
    test.set_classname(format!("{}.{}", id.cell, id.group()));
    test.set_time(duration(case.seconds));
    let telling = case.telling_attempt().and_then(|attempt| attempt.failure.as_ref());
    if let Some(failure) = telling {
        test.add_property(("failure.signature", &*failure.signature()));
    }
    let output = output(run, case);
    if !output.is_empty() {
        test.set_system_out(output);
    }
    test
}

fn status(case: &CaseResult) -> TestCaseStatus {
    let reason = case.reason.as_deref().unwrap_or_default();
    let unsuccessful = |kind| {
        let mut status = TestCaseStatus::non_success(kind);
        let telling = case.telling_attempt();
        if let Some(attempt) = telling {
            status.set_message(attempt.headline()).set_type(slug(attempt));
            status.set_description(description(attempt));
        } else {
            let message = "no attempt explains this verdict, which is a defect of wheeltap";
            status.set_message(message).set_type("harness").set_description(message);
        }
        let number = telling.map(|attempt| attempt.number);
        status.add_reruns(reruns(case).filter(|(of, _)| Some(*of) != number).map(|(_, run)| run));
        status
    };
    if let Some(waiver) = &case.waived {
        let failure = case.telling_attempt().and_then(|attempt| attempt.failure.as_ref());
        let mut status = TestCaseStatus::skipped();
        // Not cut to a headline's length: it would lose the cause to a long URL.
        status.set_message(waiver.sentence(failure));
        return status;
    }
    match case.verdict {
        Verdict::Pass => TestCaseStatus::success(),
        Verdict::Flaky => {
            let mut status = TestCaseStatus::success();
            status.add_reruns(reruns(case).map(|(_, run)| run));
            status
        }
        Verdict::Fail => unsuccessful(NonSuccessKind::Failure),
        Verdict::Infra => unsuccessful(NonSuccessKind::Error),
        Verdict::Skip => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(clean::line(reason, HEADLINE));
            status
        }
        Verdict::NotRun => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            let message = clean::line(&format!("not run: {reason}"), HEADLINE);
            status.set_description(&message).set_message(message).set_type("not-run");
            status.add_reruns(reruns(case).map(|(_, run)| run));
            status
        }
    }
}

/// The attempts that failed, with their numbers. They are failures whatever their class, since no
/// consumer reads `flakyError` or `rerunError`; the `type` tells the class.
fn reruns(case: &CaseResult) -> impl Iterator<Item = (u32, TestRerun)> {
    let failed = |attempt: &&Attempt| !matches!(attempt.verdict, Verdict::Pass | Verdict::NotRun);
    case.attempts.iter().filter(failed).map(|attempt| {
        let mut rerun = TestRerun::new(NonSuccessKind::Failure);
        rerun.set_time(duration(attempt.seconds));
        rerun.set_message(attempt.headline()).set_type(slug(attempt));
        rerun.set_stack_trace(description(attempt));
        (attempt.number, rerun)
    })
}

fn slug(attempt: &Attempt) -> String {
    match &attempt.failure {
        Some(failure) => failure.slug(),
        None => attempt.verdict.to_string(),
    }
}

/// The text of a failure. It begins with the message.
fn description(attempt: &Attempt) -> String {
    let mut text = attempt.headline().to_owned();
    if let Some(failure) = &attempt.failure {
        let _ = write!(text, "\n\nphase {}, class {}", failure.phase, failure.class);
        if !failure.detail.is_empty() {
            let _ = write!(text, "\n\n{}", failure.detail);
        }
    }
    text
}

/// Timelines and attachments of the attempts that didn't pass; troubles of all.
fn output(run: &Run, case: &CaseResult) -> String {
    let mut out = String::new();
    let mut attachments = String::new();
    for attempt in &case.attempts {
        let passed = attempt.verdict == Verdict::Pass;
        let mut moments = attempt
            .timeline
            .iter()
            .filter(|moment| !passed || matches!(moment.what, Happening::Trouble { .. }))
            .peekable();
        if moments.peek().is_some() || !passed {
            let _ = writeln!(out, "attempt {}: {}", attempt.number, attempt.verdict);
        }
        if case.waived.is_some() && !passed {
            let _ = writeln!(out, "{}\n", description(attempt));
        }
        for moment in moments {
            let seconds = moment.at.duration_since(attempt.started).as_secs_f64();
            let _ = writeln!(out, "{seconds:9.3} s  {}", tell(&moment.what));
        }
        for path in attempt.evidence.iter().filter(|_| !passed) {
            // These would end the line or the path early.
            if !path.contains(['|', '[', ']', '\n', '\r']) {
                let path = run.path_of(attempt, path);
                let _ = writeln!(attachments, "[[ATTACHMENT|{}]]", path.display());
            }
        }
    }
    out + &attachments
}

fn tell(what: &Happening) -> String {
    match what {
        Happening::Phase { phase } => format!("── {phase}"),
        Happening::Machine { machine, from: Some(from), .. } => {
            format!("machine {machine}: a fork of {from}")
        }
        Happening::Machine { machine, .. } => format!("machine {machine} boots"),
        Happening::Step { text } => text.clone(),
        Happening::Console { rule, severity, text, line, boot } => {
            let severity = match severity {
                Severity::Fatal => "fatal",
                Severity::Warn => "warning",
            };
            format!("console, boot {boot}, line {line}: {text} ({severity}: {rule})")
        }
        Happening::Slow { seconds } => format!("slow: it has run for {seconds} s"),
        Happening::Trouble { text } => format!("teardown trouble: {text}"),
    }
}

/// `2026-01-31T12:00:00Z`: Azure DevOps and Jenkins read it; not all read fractions.
fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

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

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use quick_junit::{
    FlakyOrRerun, NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite,
};

use crate::clean::{self, HEADLINE};
use crate::{Attempt, CaseResult, Error, Happening, Result, Run, Severity, Verdict};

/// How JUnit is written for consumers that read it differently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JunitOptions {
    /// What a case is that passed only after retries.
    pub flaky: JunitFlaky,
    /// Whose timeline is in `system-out`.
    pub output: JunitOutput,
    /// How evidence is attached.
    pub attachments: JunitAttachments,
    /// The most that a file should have, in bytes; none if everything goes into one. GitLab takes 30
    /// MB. A single case that is longer gets a file of its own.
    pub max_bytes: Option<usize>,
}

/// What a case is that passed only after retries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JunitFlaky {
    /// It passed, with a `flakyFailure` for each attempt that didn't, as Surefire has it.
    #[default]
    Surefire,
    /// It failed, with a `flakyFailure` for each further attempt that did: for consumers that should
    /// turn red.
    Failure,
    /// It passed. Neither `flakyFailure` nor `rerunFailure` is used; attempts are told in `system-out`.
    Plain,
}

/// Whose timeline is in `system-out`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JunitOutput {
    /// That of attempts that didn't pass.
    #[default]
    Failed,
    /// That of all attempts, and their evidence.
    All,
}

/// How evidence is attached, by `[[ATTACHMENT|path]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum JunitAttachments {
    /// By absolute paths: Jenkins, Azure DevOps.
    #[default]
    Absolute,
    /// By paths relative to a directory, such as GitLab's `$CI_PROJECT_DIR`.
    RelativeTo(PathBuf),
    /// Not at all.
    None,
}

/// Renders `junit.xml`.
pub(crate) fn render(run: &Run) -> Result<String> {
    document(run, &own_cases(run), &JunitOptions::default())
}

/// Renders JUnit XML: one document, or several if one would be longer than [`JunitOptions::max_bytes`].
/// They are split between suites where that is possible, and within a suite where it isn't; every case
/// is in exactly one.
///
/// # Errors
/// Only [`Error::Render`], when a serializer refuses the data, which is a defect of wheeltap.
pub fn render_junit(run: &Run, options: &JunitOptions) -> Result<Vec<String>> {
    let mut cases = own_cases(run);
    // Suites in the order in which they are written.
    let order: HashMap<&str, usize> = cells(&cases).into_iter().zip(0..).collect();
    cases.sort_by_key(|case| order[&*case.planned.id.cell]);
    let mut documents = Vec::new();
    split(run, &cases, options, &mut documents)?;
    Ok(documents)
}

fn split(
    run: &Run,
    cases: &[&CaseResult],
    options: &JunitOptions,
    documents: &mut Vec<String>,
) -> Result<()> {
    let document = document(run, cases, options)?;
    if cases.len() < 2 || options.max_bytes.is_none_or(|most| document.len() <= most) {
        documents.push(document);
        return Ok(());
    }
    let cell = |at: usize| &cases[at].planned.id.cell;
    let middle = cases.len() / 2;
    let borders = (1..cases.len()).filter(|at| cell(*at - 1) != cell(*at));
    let at = borders.min_by_key(|at| at.abs_diff(middle)).unwrap_or(middle);
    split(run, &cases[..at], options, documents)?;
    split(run, &cases[at..], options, documents)
}

fn document(run: &Run, cases: &[&CaseResult], options: &JunitOptions) -> Result<String> {
    let mut report = Report::new("wheeltap");
    report.set_time(duration(run.seconds));
    let mut suites: Vec<(&str, Vec<&CaseResult>)> =
        cells(cases).into_iter().map(|cell| (cell, Vec::new())).collect();
    let places: HashMap<&str, usize> =
        suites.iter().enumerate().map(|(place, (cell, _))| (*cell, place)).collect();
    for case in cases {
        suites[places[&*case.planned.id.cell]].1.push(case);
    }
    let writer = Writer { run, options };
    for (cell, cases) in suites {
        report.add_test_suite(writer.suite(cell, &cases));
    }
    report.to_string().map_err(|source| Error::Render { format: "JUnit", source: source.into() })
}

/// The cells that these cases are in, in the plan's order.
fn cells<'a>(cases: &[&'a CaseResult]) -> Vec<&'a str> {
    let mut seen = HashSet::new();
    cases.iter().map(|case| &*case.planned.id.cell).filter(|cell| seen.insert(*cell)).collect()
}

/// The cases that are this run's.
fn own_cases(run: &Run) -> Vec<&CaseResult> {
    run.cases.iter().filter(|case| !case.elsewhere).collect()
}

/// What every part of a document needs to know.
struct Writer<'a> {
    run: &'a Run,
    options: &'a JunitOptions,
}

impl Writer<'_> {
    fn suite(&self, cell: &str, cases: &[&CaseResult]) -> TestSuite {
        let run = self.run;
        let mut suite = TestSuite::new(cell);
        suite.set_time(duration(cases.iter().map(|case| case.seconds).sum()));
        let started =
            cases.iter().flat_map(|case| &case.attempts).map(|attempt| attempt.started).min();
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
            suite.add_test_case(self.test_case(case));
        }
        suite
    }

    fn test_case(&self, case: &CaseResult) -> TestCase {
        let id = &case.planned.id;
        let mut test = TestCase::new(&id.scenario, self.status(case));
        test.set_classname(format!("{}.{}", id.cell, id.group()));
        test.set_time(duration(case.seconds));
        let telling = case.telling_attempt().and_then(|attempt| attempt.failure.as_ref());
        if let Some(failure) = telling {
            test.add_property(("failure.signature", &*failure.signature()));
        }
        let output = self.output(case);
        if !output.is_empty() {
            test.set_system_out(output);
        }
        test
    }

    fn status(&self, case: &CaseResult) -> TestCaseStatus {
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
            let reruns = self.reruns(case).filter(|(of, _)| Some(*of) != number);
            status.add_reruns(reruns.map(|(_, run)| run));
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
            Verdict::Flaky if self.options.flaky == JunitFlaky::Failure => {
                let mut status = unsuccessful(NonSuccessKind::Failure);
                status.set_rerun_kind(FlakyOrRerun::Flaky);
                status
            }
            Verdict::Flaky => {
                let mut status = TestCaseStatus::success();
                status.add_reruns(self.reruns(case).map(|(_, run)| run));
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
                status.add_reruns(self.reruns(case).map(|(_, run)| run));
                status
            }
        }
    }

    /// The attempts that failed, with their numbers. They are failures whatever their class, since no
    /// consumer reads `flakyError` or `rerunError`; the `type` tells the class.
    fn reruns(&self, case: &CaseResult) -> impl Iterator<Item = (u32, TestRerun)> {
        let is_plain = self.options.flaky == JunitFlaky::Plain;
        let failed = move |attempt: &&Attempt| {
            !is_plain && !matches!(attempt.verdict, Verdict::Pass | Verdict::NotRun)
        };
        case.attempts.iter().filter(failed).map(|attempt| {
            let mut rerun = TestRerun::new(NonSuccessKind::Failure);
            rerun.set_time(duration(attempt.seconds));
            rerun.set_message(attempt.headline()).set_type(slug(attempt));
            rerun.set_stack_trace(description(attempt));
            (attempt.number, rerun)
        })
    }

    /// Timelines and attachments of the attempts that didn't pass, or of all; troubles of all.
    fn output(&self, case: &CaseResult) -> String {
        let mut out = String::new();
        let mut attachments = String::new();
        for attempt in &case.attempts {
            let failed = attempt.verdict != Verdict::Pass;
            let shown = failed || self.options.output == JunitOutput::All;
            let mut moments = attempt
                .timeline
                .iter()
                .filter(|moment| shown || matches!(moment.what, Happening::Trouble { .. }))
                .peekable();
            if moments.peek().is_some() || shown {
                let _ = writeln!(out, "attempt {}: {}", attempt.number, attempt.verdict);
            }
            if failed && !self.has_element(case, attempt) {
                let _ = writeln!(out, "{}\n", description(attempt));
            }
            for moment in moments {
                let seconds = moment.at.duration_since(attempt.started).as_secs_f64();
                let _ = writeln!(out, "{seconds:9.3} s  {}", tell(&moment.what));
            }
            for path in attempt.evidence.iter().filter(|_| shown) {
                if let Some(path) = self.attachment(attempt, path) {
                    let _ = writeln!(attachments, "[[ATTACHMENT|{path}]]");
                }
            }
        }
        out + &attachments
    }

    /// Whether an element of its own tells how an attempt failed.
    fn has_element(&self, case: &CaseResult, attempt: &Attempt) -> bool {
        let is_telling = || {
            matches!(case.verdict, Verdict::Fail | Verdict::Infra)
                && case.telling_attempt().is_some_and(|telling| telling.number == attempt.number)
        };
        case.waived.is_none() && (self.options.flaky != JunitFlaky::Plain || is_telling())
    }

    /// How a file is named, if it is to be attached.
    fn attachment(&self, attempt: &Attempt, file: &str) -> Option<String> {
        let path = self.run.path_of(attempt, file);
        let path = match &self.options.attachments {
            JunitAttachments::Absolute => path,
            JunitAttachments::RelativeTo(dir) => relative(&path, dir),
            JunitAttachments::None => return None,
        };
        let path = path.display().to_string();
        // These would end the line or the path early.
        (!path.contains(['|', '[', ']', '\n', '\r'])).then_some(path)
    }
}

/// How a path is reached from a directory; both absolute, or relative to the same place.
fn relative(path: &Path, dir: &Path) -> PathBuf {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let common = path.components().zip(dir.components()).take_while(|(one, other)| one == other);
    let common = common.count();
    let up = dir.components().skip(common).map(|_| Component::ParentDir);
    up.chain(path.components().skip(common)).collect()
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

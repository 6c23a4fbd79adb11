//! TAP, version 14 (<https://testanything.org/tap-version-14-specification.html>).
//!
//! | case | test point | why |
//! | --- | --- | --- |
//! | `pass` | `ok` | |
//! | `flaky` | `ok`, and a diagnostic | it passed in the end |
//! | `fail`, `infra` | `not ok` | |
//! | `fail`, waived | `not ok … # TODO` | the word for failures that are known; they don't fail the test |
//! | `skip` | `ok … # SKIP` | |
//! | `not-run` | `not ok` | what was promised and didn't end must turn the job red |
//! | in another partition | none | the partition that runs it reports it |
//!
//! A run that was cut off, that found a defect of wheeltap itself, or in which nothing ran, ends with
//! `Bail out!`: consumers take that for a failure whatever the test points say.
//!
//! Diagnostics are YAML of the simplest kind, which Perl's YAMLish reads as well: keys with a string in
//! double quotes, or a list of such strings.

use std::fmt::Write as _;

use crate::{Attempt, CaseResult, Outcome, Run, State, Verdict};

/// Renders the TAP, with a newline at its end.
pub(crate) fn render(run: &Run) -> String {
    let cases: Vec<_> = run.cases.iter().filter(|case| !case.elsewhere).collect();
    let mut out = format!("TAP version 14\n1..{}", cases.len());
    match &run.partition {
        Some(partition) if cases.is_empty() => {
            let _ = write!(out, " # SKIP nothing is in partition {}", escaped(partition));
        }
        _ => {}
    }
    out.push('\n');
    let image = &run.plan.image;
    for comment in
        [format!("image {} {}", image.name, image.version), format!("run {}", run.plan.run)]
            .iter()
            .chain(&run.notes)
    {
        let _ = writeln!(out, "# {comment}");
    }
    for (number, case) in (1..).zip(cases) {
        point(&mut out, run, number, case);
    }
    if let Some(why) = bail_out(run) {
        let _ = writeln!(out, "Bail out! {}", escaped(&why));
    }
    out
}

fn point(out: &mut String, run: &Run, number: usize, case: &CaseResult) {
    let reason = case.reason.as_deref().unwrap_or_default();
    let failure = case.telling_attempt().and_then(|attempt| attempt.failure.as_ref());
    let (ok, directive) = match (&case.waived, case.verdict) {
        (Some(waiver), _) => (false, format!(" # TODO {}", escaped(&waiver.sentence(failure)))),
        (None, Verdict::Pass | Verdict::Flaky) => (true, String::new()),
        (None, Verdict::Skip) => (true, format!(" # SKIP {}", escaped(reason))),
        (None, Verdict::Fail | Verdict::Infra | Verdict::NotRun) => (false, String::new()),
    };
    let ok = if ok { "ok" } else { "not ok" };
    let name = escaped(&case.planned.id.to_string());
    let _ = writeln!(out, "{ok} {number} - {name}{directive}");
    if case.verdict == Verdict::Skip {
        return;
    }
    out.push_str("  ---\n");
    let telling = case.telling_attempt().filter(|_| case.verdict != Verdict::Pass);
    if case.verdict == Verdict::NotRun {
        key(out, "message", &format!("not run: {reason}"));
    } else if let Some(attempt) = telling {
        key(out, "message", attempt.headline());
    }
    key(out, "verdict", case.verdict.word());
    if let Some(attempt) = telling {
        explain(out, run, case, attempt);
    }
    let _ = writeln!(out, "  duration_ms: \"{:.0}\"", case.seconds * 1000.0);
    out.push_str("  ...\n");
}

fn explain(out: &mut String, run: &Run, case: &CaseResult, attempt: &Attempt) {
    if case.attempts.len() > 1 {
        key(out, "attempt", &format!("{} of {}", attempt.number, case.attempts.len()));
    }
    if let Some(failure) = &attempt.failure {
        key(out, "class", &failure.class.to_string());
        key(out, "phase", &failure.phase.to_string());
        key(out, "kind", &failure.kind);
        key(out, "signature", &failure.signature());
        // Lines end there for YAML, too.
        list(
            out,
            "detail",
            failure.detail.split(['\n', '\u{2028}', '\u{2029}']).map(str::to_owned),
        );
    }
    let evidence = attempt.evidence.iter();
    list(out, "evidence", evidence.map(|file| run.path_of(attempt, file).display().to_string()));
}

fn key(out: &mut String, key: &str, value: &str) {
    let _ = writeln!(out, "  {key}: {}", string(value));
}

fn list(out: &mut String, key: &str, values: impl Iterator<Item = String>) {
    let mut values = values.peekable();
    if values.peek().is_some_and(|first| !first.is_empty()) {
        let _ = writeln!(out, "  {key}:");
        for value in values {
            let _ = writeln!(out, "    - {}", string(&value));
        }
    }
}

/// A string of YAML, of which JSON's are a kind.
fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text in which `#` begins no directive.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('#', r"\#")
}

/// Why nobody should rely on the test points alone.
fn bail_out(run: &Run) -> Option<String> {
    if let Some(defect) = run.defects.first() {
        return Some(format!("a defect of wheeltap itself: {defect}"));
    }
    match &run.state {
        State::Interrupted { signal } => Some(format!("{signal} ended the run")),
        State::Killed => Some("the run was killed".to_owned()),
        State::Running | State::Ended if run.outcome() == Outcome::NothingRan => {
            Some("nothing ran".to_owned())
        }
        State::Running | State::Ended => None,
    }
}

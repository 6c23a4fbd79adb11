//! The short summary for people: one line when all is well, and the cause first when it isn't.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use crate::history::{Interval, wilson};
use crate::{
    CaseResult, HTML_FILE, Happening, JUNIT_FILE, Outcome, Run, State, Verdict, WaiverStatus,
    WaiverUse,
};

/// Whether text has ANSI colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paint {
    /// No escapes at all.
    #[default]
    Plain,
    /// For a terminal.
    Colour,
}

impl Paint {
    /// Text in the colour of a verdict.
    #[must_use]
    pub fn apply(self, verdict: Verdict, text: impl Display) -> String {
        let code = match verdict {
            Verdict::Pass => 32,
            Verdict::Flaky => 33,
            Verdict::Fail => 31,
            Verdict::Infra => 35,
            Verdict::Skip => 36,
            Verdict::NotRun => 90,
        };
        match self {
            Self::Plain => text.to_string(),
            Self::Colour => format!("\x1b[1;{code}m{text}\x1b[0m"),
        }
    }
}

/// Renders the summary, with a newline at its end.
pub(crate) fn render(run: &Run, paint: Paint) -> String {
    let mut out = String::new();
    let of = |verdict| run.cases.iter().filter(move |case| case.verdict == verdict);
    let (waived, fail): (Vec<_>, Vec<_>) =
        of(Verdict::Fail).partition(|case| case.waived.is_some());
    // The worst last, where it is seen.
    for case in of(Verdict::Flaky).chain(waived).chain(of(Verdict::Infra)).chain(fail) {
        failing(&mut out, run, case, paint);
    }
    grouped(&mut out, run, Verdict::Skip, paint);
    grouped(&mut out, run, Verdict::NotRun, paint);
    for (case, text) in troubles(run) {
        let _ = writeln!(out, "teardown of {}: {text}", case.planned.id);
    }
    for WaiverStatus { waiver, remark, .. } in &run.waivers {
        if let Some(remark) = remark {
            let _ = writeln!(out, "waiver {} {remark}", waiver.id);
        }
    }
    let image = &run.plan.image;
    if image.insecure {
        let _ = writeln!(
            out,
            "insecure: nobody checked who signed {} {}, which was fetched from {}",
            image.name,
            image.version,
            image.origin.as_deref().unwrap_or("an unknown place")
        );
    }
    for note in &run.notes {
        let _ = writeln!(out, "note: {note}");
    }
    for defect in &run.defects {
        let _ = writeln!(out, "defect of wheeltap: {defect}");
    }
    for case in run.cases.iter().filter(|_| run.plan.repeat.is_some()) {
        repeated(&mut out, case);
    }
    out.push_str(&last_line(run, paint));
    out
}

/// How often a case passed that was repeated to find that out. Attempts that judged nothing don't count.
fn repeated(out: &mut String, case: &CaseResult) {
    let verdicts = || case.attempts.iter().map(|attempt| attempt.verdict);
    let passed = verdicts().filter(|verdict| *verdict == Verdict::Pass).count();
    let judged = verdicts().filter(|it| matches!(it, Verdict::Pass | Verdict::Fail)).count();
    let Some(Interval { rate, low, high }) = wilson(passed, judged) else { return };
    let [rate, low, high] = [rate, low, high].map(|share| share * 100.0);
    let _ = writeln!(
        out,
        "{}: {passed} of {judged} attempts passed: {rate:.1} % (95 % confidence: {low:.1} to {high:.1} %)",
        case.planned.id
    );
}

/// A case that has something to explain: its name, the cause, where to look.
fn failing(out: &mut String, run: &Run, case: &CaseResult, paint: Paint) {
    let word = match case.waived {
        Some(_) => paint.apply(Verdict::Skip, "waived"),
        None => paint.apply(case.verdict, format_args!("{:5}", case.verdict)),
    };
    let _ = writeln!(out, "{word}  {} ({})", case.planned.id, human(case.seconds));
    let Some(attempt) = case.telling_attempt() else { return };
    let _ = write!(out, "       {}", attempt.headline());
    if let Some(failure) = &attempt.failure {
        let _ = write!(out, " ({}, {})", failure.class, failure.phase);
    }
    if case.attempts.len() > 1 {
        let _ = write!(out, " in attempt {} of {}", attempt.number, case.attempts.len());
    }
    if let Some(failure) = &attempt.failure {
        let _ = write!(out, " [{}]", failure.signature());
    }
    if let Some(WaiverUse { id, owner, tracker, expires, reason }) = &case.waived {
        let _ = write!(out, "\n       by {id} until {expires} ({owner}, {tracker}): {reason}");
    }
    // The whole path, so that it can be pasted.
    let path = run.path_of(attempt, attempt.evidence.first().unwrap_or(&attempt.dir));
    let _ = writeln!(out, "\n       {}", path.display());
}

/// Cases with one verdict, by reason, the most frequent reason first.
fn grouped(out: &mut String, run: &Run, verdict: Verdict, paint: Paint) {
    /// Names listed per reason; beyond them a number says more.
    const NAMES: usize = 3;

    let mut reasons: BTreeMap<&str, Vec<&CaseResult>> = BTreeMap::new();
    for case in run.cases.iter().filter(|case| case.verdict == verdict && !case.elsewhere) {
        reasons.entry(case.reason.as_deref().unwrap_or_default()).or_default().push(case);
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, cases)| std::cmp::Reverse(cases.len()));
    for (reason, cases) in reasons {
        let names: Vec<_> =
            cases.iter().take(NAMES).map(|case| case.planned.id.to_string()).collect();
        let more = match cases.len().saturating_sub(NAMES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let word = paint.apply(verdict, format_args!("{verdict:7}"));
        let _ = writeln!(out, "{word}  {}{more}: {reason}", names.join(", "));
    }
}

pub(crate) fn troubles(run: &Run) -> impl Iterator<Item = (&CaseResult, &str)> {
    run.cases.iter().flat_map(|case| {
        let moments = case.attempts.iter().flat_map(|attempt| &attempt.timeline);
        moments.filter_map(move |moment| match &moment.what {
            Happening::Trouble { text } => Some((case, &**text)),
            _ => None,
        })
    })
}

/// `all passed, 2 waived: 12 pass, 1 skip in 3 min 12 s; image …; …/report.html`.
pub(crate) fn last_line(run: &Run, paint: Paint) -> String {
    let outcome = run.outcome();
    let colour = match outcome {
        Outcome::AllPassed => Verdict::Pass,
        Outcome::FlakyOnly => Verdict::Flaky,
        Outcome::InfraFailure => Verdict::Infra,
        _ => Verdict::Fail,
    };
    let counts = run.counts();
    let waived = match counts.waived {
        0 => String::new(),
        count => format!(", {count} waived"),
    };
    let mut words: Vec<_> = Verdict::ALL
        .into_iter()
        .filter(|verdict| counts.get(*verdict) > 0)
        .map(|verdict| format!("{} {verdict}", counts.get(verdict)))
        .collect();
    if counts.elsewhere > 0 {
        let own = run
            .partition
            .as_deref()
            .map_or("not selected".to_owned(), |partition| format!("not in partition {partition}"));
        words.push(format!("{} {own}", counts.elsewhere));
    }
    let words = if words.is_empty() && counts.waived > 0 {
        "nothing else ran".to_owned()
    } else if words.is_empty() {
        "no case was planned".to_owned()
    } else {
        words.join(", ")
    };
    format!(
        "{}: {words} in {}; {} {}; {}\n",
        paint.apply(colour, format_args!("{outcome}{waived}")),
        human(run.seconds),
        run.plan.image.name,
        run.plan.image.version,
        place(run)
    )
}

/// Where there is more to read.
fn place(run: &Run) -> String {
    match run.parts().len() {
        0 => {
            // The page comes when a run ends, and is no use before.
            let has_page = matches!(run.state, State::Ended | State::Interrupted { .. });
            let file = if has_page { HTML_FILE } else { JUNIT_FILE };
            run.dir.join(file).display().to_string()
        }
        parts => format!("{parts} runs merged"),
    }
}

/// A duration as people say it: `4.2 s`, `3 min 12 s`, `2 h 5 min`.
pub(crate) fn human(seconds: f64) -> String {
    // Saturating, so that nonsense in a log can't do worse than look odd.
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

//! Lines that stay on the screen.

use wheeltap_reports::{CaseId, FailureClass, Paint, Phase, Verdict, clean_line};

/// The longest text from a guest in one line, in characters: a headline.
const TEXT: usize = 200;
/// The longest path, in characters (Linux's PATH_MAX), so that a path is never cut where it can be used.
const PATH: usize = 4096;
/// Columns of the verdict, and of the time between brackets.
const WORD: usize = 8;
const TIME: usize = 8;

/// How much is shown. A line is shown from its own level on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) enum Level {
    /// What went wrong.
    Quiet,
    /// And how each case ended.
    Normal,
    /// And what each case does.
    Verbose,
}

/// Something that is worth a line, or for a failure a few.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line {
    /// An attempt that is not its case's only one ended.
    Attempt { case: CaseId, number: u32, verdict: Verdict, seconds: f64, cause: Option<Cause> },
    /// A case ended. The causes of several attempts have been said with each.
    Case {
        case: CaseId,
        verdict: Verdict,
        seconds: f64,
        attempts: u32,
        cause: Option<Cause>,
        reason: Option<String>,
    },
    /// Something happened in an attempt, so many seconds after its beginning.
    Moment { level: Level, word: String, case: CaseId, seconds: f64, text: String },
    /// Something was left behind.
    Trouble { case: CaseId, text: String },
    /// What a reader should know.
    Note(String),
    /// wheeltap itself went wrong.
    Defect(String),
}

/// Why an attempt didn't pass, and where to look.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cause {
    pub(super) headline: String,
    pub(super) class: FailureClass,
    pub(super) phase: Phase,
    /// Directory of the attempt.
    pub(super) directory: String,
}

impl Line {
    /// The least level at which it is shown.
    pub(super) fn level(&self) -> Level {
        match self {
            Self::Attempt { verdict, .. } => level_of(*verdict),
            // A case that was never begun is counted, and explained at the end with all others like it.
            Self::Case { attempts: 0, .. } => Level::Verbose,
            Self::Case { verdict, .. } => level_of(*verdict),
            Self::Moment { level, .. } => *level,
            Self::Note(_) => Level::Normal,
            // What is left behind somewhere is never hidden.
            Self::Trouble { .. } | Self::Defect(_) => Level::Quiet,
        }
    }

    /// The line, or lines, without a line break at the end. Whatever a guest put into it, there are no more of them.
    pub(super) fn text(&self, paint: Paint) -> String {
        match self {
            Self::Attempt { case, number, verdict, seconds, cause } => {
                let word = format!("TRY {number} {}", upper(*verdict));
                let head = head(&word, *seconds, Some((*verdict, paint)));
                format!("{head} {}{}", name(case), below(cause.as_ref()))
            }
            Self::Case { case, verdict, seconds, attempts, cause, reason } => {
                let head = head(&upper(*verdict), *seconds, Some((*verdict, paint)));
                let attempts = match attempts {
                    0 | 1 => String::new(),
                    attempts => format!(" ({attempts} attempts)"),
                };
                let reason = reason.as_deref().map(|it| format!(": {}", clean_line(it, TEXT)));
                let reason = reason.unwrap_or_default();
                format!("{head} {}{attempts}{reason}{}", name(case), below(cause.as_ref()))
            }
            Self::Moment { word, case, seconds, text, .. } => {
                let text = clean_line(text, TEXT);
                let space = if text.is_empty() { "" } else { " " };
                format!("{} {}{space}{text}", head(word, *seconds, None), name(case))
            }
            Self::Trouble { case, text } => {
                let word = paint.apply(Verdict::Infra, format_args!("{:>WORD$}", "TROUBLE"));
                format!("{word} teardown of {}: {}", name(case), clean_line(text, TEXT))
            }
            Self::Note(text) => format!("{:>WORD$} {}", "NOTE", clean_line(text, TEXT)),
            Self::Defect(text) => {
                let word = paint.apply(Verdict::Infra, format_args!("{:>WORD$}", "DEFECT"));
                format!("{word} of wheeltap: {}", clean_line(text, TEXT))
            }
        }
    }
}

fn level_of(verdict: Verdict) -> Level {
    match verdict {
        Verdict::Fail | Verdict::Infra | Verdict::Flaky => Level::Quiet,
        Verdict::Pass | Verdict::Skip | Verdict::NotRun => Level::Normal,
    }
}

fn upper(verdict: Verdict) -> String {
    verdict.word().to_uppercase()
}

/// A case's name. Names come from files that people write, too.
pub(super) fn name(case: &CaseId) -> String {
    clean_line(&case.to_string(), TEXT)
}

/// `    PASS [    4.2s]`. A longer word takes its columns from the time's, so that names stay below each other.
fn head(word: &str, seconds: f64, paint: Option<(Verdict, Paint)>) -> String {
    bracketed(word, &format!("{seconds:.1}s"), paint)
}

/// As [`head`], with a time that is in words already.
pub(super) fn bracketed(word: &str, time: &str, paint: Option<(Verdict, Paint)>) -> String {
    let width = TIME.saturating_sub(word.chars().count().saturating_sub(WORD));
    let word = match paint {
        Some((verdict, paint)) => paint.apply(verdict, format_args!("{word:>WORD$}")),
        None => format!("{word:>WORD$}"),
    };
    format!("{word} [{time:>width$}]")
}

/// The lines below the first: the cause, and where to look.
fn below(cause: Option<&Cause>) -> String {
    let Some(cause) = cause else { return String::new() };
    let (headline, directory) =
        (clean_line(&cause.headline, TEXT), clean_line(&cause.directory, PATH));
    let indent = " ".repeat(WORD + 1);
    format!("\n{indent}{headline} ({}, {})\n{indent}{directory}", cause.class, cause.phase)
}

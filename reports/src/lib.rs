//! What is said: the event log, and every report as a view of it.
//!
//! A run directory holds `plan.json` (what the run promised, written before anything boots) and
//! `events.jsonl` (what happened, append-only). [`Run::load`] folds the two, and every report is
//! rendered from the result, so a run that was killed at any instant can still be reported.
//!
//! ```text
//! Plan::write, EventLog::append ─▶ plan.json, events.jsonl ─▶ Run::load ─▶ render(Junit | Json | Markdown | Tap | Text),
//!                                                                           html::render, statement
//! ```
//!
//! [`Run::merge`] makes one run of several, such as partitions of one plan.
//! [`Waivers`] judge a run: failures that somebody has accepted don't fail it.
//!
//! This crate knows nothing about machines: cells and evidence are names and paths here.

mod atomic;
mod case;
mod clean;
mod error;
mod event;
pub mod history;
pub mod html;
mod in_toto;
mod json;
mod junit;
mod log;
mod md;
mod merge;
mod outcome;
mod plan;
pub mod redact;
mod run;
mod schema;
mod signature;
mod tap;
mod text;
mod verdict;
mod waivers;

use std::path::Path;

pub use case::{Attempt, CaseResult, Happening, Moment};
pub use clean::line as clean_line;
pub use error::{Error, Result};
pub use event::{CaseId, Event, Host, Image, Origin, Record, UpdateTarget};
pub use in_toto::statement;
pub use junit::{JunitAttachments, JunitFlaky, JunitOptions, JunitOutput, render_junit};
pub use log::EventLog;
pub use outcome::{Counts, Outcome};
pub use plan::{Cell, Plan, PlannedCase};
pub use run::{Run, Started, State};
pub use schema::Schema;
pub use text::Paint;
pub use verdict::{Failure, FailureClass, Phase, Severity, Verdict};
pub use waivers::{LimitWaiver, Problem, WaiverState, WaiverStatus, WaiverUse, Waivers};

/// The version of `plan.json`, `events.jsonl` and the JSON report. A reader refuses newer ones.
pub const FORMAT_VERSION: u32 = 1;

/// The plan's file name in a run directory.
pub const PLAN_FILE: &str = "plan.json";
/// The event log's file name in a run directory.
pub const EVENTS_FILE: &str = "events.jsonl";
/// The file name in a run directory of the waivers that the run was judged by.
pub const WAIVERS_FILE: &str = "waivers.toml";
/// The JUnit report's file name in a run directory.
pub const JUNIT_FILE: &str = "junit.xml";
/// The HTML report's file name in a run directory.
pub const HTML_FILE: &str = "report.html";

/// A view of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JUnit XML, for CI systems; with options by [`render_junit`].
    Junit,
    /// The JSON report, for programs.
    Json,
    /// Markdown, for a comment or a job's summary; at most 65,535 bytes.
    Markdown,
    /// TAP 14, for whoever reads that.
    Tap,
    /// The short summary, for people; plain or coloured.
    Text(Paint),
    /// The last line of that: outcome and counts.
    Summary(Paint),
}

/// Renders one view of a run.
///
/// # Errors
/// Only [`Error::Render`], when a serializer refuses the data, which is a defect of wheeltap.
pub fn render(run: &Run, format: Format) -> Result<String> {
    match format {
        Format::Junit => junit::render(run),
        Format::Json => json::render(run),
        Format::Markdown => Ok(md::render(run)),
        Format::Tap => Ok(tap::render(run)),
        Format::Text(paint) => Ok(text::render(run, paint)),
        Format::Summary(paint) => Ok(text::last_line(run, paint)),
    }
}

/// Loads the run in `dir`, writes the reports that live in it (`junit.xml`), and returns the run.
///
/// The harness calls this after every case, so that a run that is killed has left a report behind.
/// Each file is replaced atomically.
///
/// # Errors
/// Whatever [`Run::load`] and [`render`] say, and [`Error::Write`].
pub fn write_all(dir: &Path) -> Result<Run> {
    let run = Run::load(dir)?;
    atomic::write(&dir.join(JUNIT_FILE), junit::render(&run)?.as_bytes())?;
    Ok(run)
}

/// The same at a run's end, with what is too large to be written after every case (`report.html`).
///
/// # Errors
/// As [`write_all`].
pub fn write_last(dir: &Path) -> Result<Run> {
    let run = write_all(dir)?;
    let options = html::HtmlOptions { place: Some(dir), ..html::HtmlOptions::default() };
    atomic::write(&dir.join(HTML_FILE), html::render(&run, &options).as_bytes())?;
    Ok(run)
}

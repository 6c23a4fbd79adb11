//! The history for programs.
//!
//! ```text
//! overview   { "version": 1, "cases": [ CASE ] }
//! details    { "version": 1, "cases": [ CASE with "results": [ RESULT ], oldest first ] }
//! CASE       { scenario, cell, planned, first_pass: { passed, judged, infra, rate, low, high },
//!              last: [ verdict ], durations: { accelerator, attempts, median, p95 } | null,
//!              failing: { since: RUN, failures, headline, signature, introduced_by: IMAGE | null,
//!                         last_good: RUN | null, unjudged_between } | null }
//! RESULT     RUN with { verdict, reason, seconds, headline, signature, attempts }
//! RUN        { run, started, host, accelerator, image: IMAGE, bisecting }
//! IMAGE      { name, digest, version, profile }
//! bisection  { "version": 1, scenario, cell, order: "version" | "first-seen",
//!              builds: [ IMAGE with { first_seen, verdict, pass, flaky, fail, unjudged } ],
//!              finding: "broke" | "mended" | "always-good" | "always-bad" | "unsteady" | "unjudged",
//!              last_good, first_bad, last_bad, first_good: IMAGE (if broke, or mended),
//!              ambiguities: [ { kind: "unsteady" | "gaps" | "earlier" | "no-versions",
//!                               images: [ IMAGE ] } ] }
//! ```
//! `rate`, `low` and `high` are missing if nothing was judged. Rates are between 0 and 1, durations
//! in seconds, times in UTC. Keys may be added within a version.

use serde::Serialize;

use super::summary::SHOWN;
use super::{
    Ambiguity, Bisection, Build, BuildOrder, BuildVerdict, CaseHistory, Finding, HistoryError,
    HistoryResult, PastAttempt, PastResult, PastRun, Summary,
};
use crate::{CaseId, Image, Verdict};

/// The version of these documents; it grows when a reader would break.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Cases<T> {
    version: u32,
    cases: T,
}

#[derive(Serialize)]
struct CaseDetails<'a> {
    #[serde(flatten)]
    summary: Summary,
    results: Vec<ResultDetails<'a>>,
}

#[derive(Serialize)]
struct ResultDetails<'a> {
    #[serde(flatten)]
    run: &'a PastRun,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    seconds: f64,
    headline: Option<&'a str>,
    signature: Option<&'a str>,
    attempts: &'a [PastAttempt],
}

#[derive(Serialize)]
struct BisectionDetails<'a> {
    version: u32,
    #[serde(flatten)]
    case: &'a CaseId,
    order: BuildOrder,
    builds: Vec<BuildDetails<'a>>,
    finding: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_good: Option<&'a Image>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_bad: Option<&'a Image>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_bad: Option<&'a Image>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_good: Option<&'a Image>,
    ambiguities: Vec<AmbiguityDetails<'a>>,
}

#[derive(Serialize)]
struct BuildDetails<'a> {
    #[serde(flatten)]
    build: &'a Build,
    verdict: BuildVerdict,
}

#[derive(Serialize)]
struct AmbiguityDetails<'a> {
    kind: &'static str,
    images: Vec<&'a Image>,
}

/// Renders the summaries, indented, with a newline at the end.
///
/// # Errors
/// Only [`HistoryError::Render`], which is a defect of wheeltap.
pub fn overview(summaries: &[Summary]) -> HistoryResult<String> {
    render(&Cases { version: VERSION, cases: summaries })
}

/// Renders all about some cases, with the last 20 results of each.
///
/// # Errors
/// Only [`HistoryError::Render`], which is a defect of wheeltap.
pub fn details(cases: &[CaseHistory]) -> HistoryResult<String> {
    let cases: Vec<_> = cases
        .iter()
        .map(|case| {
            let shown = case.results.len().saturating_sub(SHOWN);
            let results = case.results[shown..].iter().map(result).collect();
            CaseDetails { summary: Summary::of(case), results }
        })
        .collect();
    render(&Cases { version: VERSION, cases })
}

fn result(result: &PastResult) -> ResultDetails<'_> {
    let telling = result.telling_attempt();
    ResultDetails {
        run: &result.run,
        verdict: result.verdict,
        reason: result.reason.as_deref(),
        seconds: result.seconds,
        headline: telling.and_then(|attempt| attempt.headline.as_deref()),
        signature: telling.and_then(|attempt| attempt.signature.as_deref()),
        attempts: &result.attempts,
    }
}

/// Renders which build broke a case.
///
/// # Errors
/// Only [`HistoryError::Render`], which is a defect of wheeltap.
pub fn bisection(bisection: &Bisection) -> HistoryResult<String> {
    let image = |place: usize| &bisection.builds[place].image;
    let images = |places: &[usize]| places.iter().map(|&place| image(place)).collect();
    let finding = match bisection.finding {
        Finding::Broke { .. } => "broke",
        Finding::Mended { .. } => "mended",
        Finding::AlwaysGood => "always-good",
        Finding::AlwaysBad => "always-bad",
        Finding::Unsteady { .. } => "unsteady",
        Finding::Unjudged => "unjudged",
    };
    let ambiguities = bisection.ambiguities.iter().map(|ambiguity| match ambiguity {
        Ambiguity::Unsteady(places) => {
            AmbiguityDetails { kind: "unsteady", images: images(places) }
        }
        Ambiguity::Gaps(places) => AmbiguityDetails { kind: "gaps", images: images(places) },
        Ambiguity::Earlier(places) => AmbiguityDetails { kind: "earlier", images: images(places) },
        Ambiguity::NoVersions => AmbiguityDetails { kind: "no-versions", images: Vec::new() },
    });
    let mut document = BisectionDetails {
        version: VERSION,
        case: &bisection.case,
        order: bisection.order,
        builds: bisection
            .builds
            .iter()
            .map(|build| BuildDetails { build, verdict: build.verdict() })
            .collect(),
        finding,
        last_good: None,
        first_bad: None,
        last_bad: None,
        first_good: None,
        ambiguities: ambiguities.collect(),
    };
    match bisection.finding {
        Finding::Broke { last_good, first_bad } => {
            document.last_good = Some(image(last_good));
            document.first_bad = Some(image(first_bad));
        }
        Finding::Mended { last_bad, first_good } => {
            document.last_bad = Some(image(last_bad));
            document.first_good = Some(image(first_good));
        }
        Finding::AlwaysGood | Finding::AlwaysBad | Finding::Unsteady { .. } | Finding::Unjudged => {
        }
    }
    render(&document)
}

fn render(document: &impl Serialize) -> HistoryResult<String> {
    let mut json = serde_json::to_string_pretty(document).map_err(HistoryError::Render)?;
    json.push('\n');
    Ok(json)
}

//! What a case's history comes to. Pure.

use std::sync::Arc;

use serde::Serialize;

use super::{CaseHistory, Interval, PastResult, PastRun, median, percentile, wilson};
use crate::{CaseId, Image, Verdict};

/// Results that are shown one by one: about three weeks of nights.
pub(super) const SHOWN: usize = 20;

/// A case's history in a few numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The case.
    #[serde(flatten)]
    pub id: CaseId,
    /// In how many runs it was planned; at least one unless all were bisections.
    pub planned: usize,
    /// How often it passes at the first attempt.
    pub first_pass: FirstPass,
    /// The last verdicts, at most 20, oldest first.
    pub last: Vec<Verdict>,
    /// How long it takes; none if it never passed.
    pub durations: Option<Timing>,
    /// Since when it fails; none if it passed the last time it was judged, or never was.
    pub failing: Option<Trouble>,
}

/// First attempts. What infrastructure cut short says nothing about the product and isn't in the
/// rate, but is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct FirstPass {
    /// First attempts that passed.
    pub passed: usize,
    /// First attempts that passed or failed.
    pub judged: usize,
    /// First attempts that ended with `infra`.
    pub infra: usize,
    /// The rate; none if nothing was judged.
    #[serde(flatten)]
    pub interval: Option<Interval>,
}

/// How long passing attempts took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// On the accelerator that ran the case last; times of others aren't comparable.
    pub accelerator: String,
    /// How many passed on it.
    pub attempts: usize,
    /// In seconds.
    pub median: f64,
    /// 95 % of them took at most this long, in seconds.
    pub p95: f64,
}

/// A case that fails.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trouble {
    /// The first failing run since it last passed.
    pub since: Arc<PastRun>,
    /// Failing runs since then.
    pub failures: usize,
    /// The latest failure in one line.
    pub headline: Option<String>,
    /// The latest failure's signature.
    pub signature: Option<String>,
    /// The image of the first failing run, if another one passed before.
    pub introduced_by: Option<Image>,
    /// The last run before that passed.
    pub last_good: Option<Arc<PastRun>>,
    /// Images that were tried between the two without a judgement; each of them may have introduced
    /// it as well.
    pub unjudged_between: usize,
}

impl Summary {
    /// Summarises a case. Runs of bisections are left out: an older image that passes is no news.
    #[must_use]
    pub fn of(case: &CaseHistory) -> Self {
        let results: Vec<_> = case.results.iter().filter(|result| !result.run.bisecting).collect();
        let results = &results[..];
        let last = &results[results.len().saturating_sub(SHOWN)..];
        Self {
            id: case.id.clone(),
            planned: results.len(),
            first_pass: first_pass(results),
            last: last.iter().map(|result| result.verdict).collect(),
            durations: timing(results),
            failing: trouble(results),
        }
    }
}

fn first_pass(results: &[&PastResult]) -> FirstPass {
    let mut found = FirstPass::default();
    for first in results.iter().filter_map(|result| result.attempts.first()) {
        // What is left of a log that was cut in front has no first attempt.
        match first.verdict {
            _ if first.number != 1 => {}
            Verdict::Pass => {
                found.passed += 1;
                found.judged += 1;
            }
            Verdict::Fail => found.judged += 1,
            Verdict::Infra => found.infra += 1,
            Verdict::Flaky | Verdict::Skip | Verdict::NotRun => {}
        }
    }
    FirstPass { interval: wilson(found.passed, found.judged), ..found }
}

fn timing(results: &[&PastResult]) -> Option<Timing> {
    let last = results.iter().rev().find(|result| !result.attempts.is_empty())?;
    let accelerator = &last.run.accelerator;
    let seconds: Vec<f64> = results
        .iter()
        .filter(|result| result.run.accelerator == *accelerator)
        .flat_map(|result| &result.attempts)
        .filter(|attempt| attempt.verdict == Verdict::Pass)
        .map(|attempt| attempt.seconds)
        .collect();
    Some(Timing {
        accelerator: accelerator.clone(),
        attempts: seconds.len(),
        median: median(&seconds)?,
        p95: percentile(&seconds, 95)?,
    })
}

/// A case fails if it failed the last time it was judged. A flaky result ends a streak of failures:
/// it passed in the end.
fn trouble(results: &[&PastResult]) -> Option<Trouble> {
    let is_pass = |result: &&PastResult| matches!(result.verdict, Verdict::Pass | Verdict::Flaky);
    let good = results.iter().rposition(is_pass);
    let since = results.iter().skip(good.map_or(0, |good| good + 1));
    let streak: Vec<_> = since.filter(|result| result.verdict == Verdict::Fail).collect();
    let (first, latest) = (streak.first()?, streak.last()?);
    let telling = latest.telling_attempt();
    let last_good = good.map(|good| Arc::clone(&results[good].run));
    let other = last_good.as_ref().filter(|run| !same_image(&run.image, &first.run.image));
    let mut between: Vec<&Image> = Vec::new();
    for result in results.iter().skip(good.map_or(results.len(), |good| good + 1)) {
        let image = &result.run.image;
        if same_image(image, &first.run.image) {
            break;
        }
        let is_good = other.is_some_and(|run| same_image(image, &run.image));
        if !is_good && !between.iter().any(|known| same_image(known, image)) {
            between.push(image);
        }
    }
    Some(Trouble {
        since: Arc::clone(&first.run),
        failures: streak.len(),
        headline: telling.and_then(|attempt| attempt.headline.clone()),
        signature: telling.and_then(|attempt| attempt.signature.clone()),
        introduced_by: other.is_some().then(|| first.run.image.clone()),
        unjudged_between: if other.is_some() { between.len() } else { 0 },
        last_good,
    })
}

/// An image is what its digest says; a machine that exists has none, and is what its name says.
pub(super) fn same_image(one: &Image, other: &Image) -> bool {
    one.digest == other.digest
        && (!one.digest.is_empty() || (&one.name, &one.version) == (&other.name, &other.version))
}

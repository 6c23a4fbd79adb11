//! What failed, by cause: failures with one signature are one cause.

use std::collections::BTreeMap;

use maud::{Markup, PreEscaped, html};

use super::BUDGET;
use super::baseline::{Baseline, Delta};
use super::case::Teller;
use super::page::{plural, verdict_class};
use crate::{Attempt, CaseResult, Run, Verdict};

/// What the cases of a cause that has no signature have in its place.
const UNKNOWN: &str = "unknown";

/// Failures with one signature.
pub(super) struct Cause {
    pub(super) signature: String,
    pub(super) headline: String,
    /// Of the case that tells most, the first of the worst.
    gravity: u8,
    /// How all of its cases compare with the baseline, if they do so alike.
    delta: Option<Delta>,
    /// Places in the run's cases, the gravest first.
    pub(super) cases: Vec<usize>,
}

/// The causes, the gravest first; of these what is new, and then the most frequent.
pub(super) fn causes(run: &Run, baseline: Option<&Baseline<'_>>) -> Vec<Cause> {
    let mut by_signature: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, case) in run.cases.iter().enumerate().filter(|(_, case)| is_told(case)) {
        let signature = super::baseline::signature(case).unwrap_or_else(|| UNKNOWN.to_owned());
        by_signature.entry(signature).or_default().push(index);
    }
    let mut causes: Vec<_> = by_signature
        .into_iter()
        .map(|(signature, mut cases)| {
            cases.sort_by_key(|index| (gravity(&run.cases[*index]), *index));
            let first = &run.cases[cases[0]];
            let headline = telling(first).map_or("no attempt tells why", |it| it.headline());
            Cause {
                signature,
                headline: headline.to_owned(),
                gravity: gravity(first),
                delta: baseline.and_then(|baseline| common(run, baseline, &cases)),
                cases,
            }
        })
        .collect();
    causes.sort_by(|one, other| {
        one.gravity
            .cmp(&other.gravity)
            .then((one.delta == Some(Delta::Known)).cmp(&(other.delta == Some(Delta::Known))))
            .then(other.cases.len().cmp(&one.cases.len()))
            .then(one.cases[0].cmp(&other.cases[0]))
    });
    causes
}

/// Whether a case has a place of its own in the page: it ended, and not with a pass, or was cut off.
fn is_told(case: &CaseResult) -> bool {
    match case.verdict {
        Verdict::Fail | Verdict::Infra | Verdict::Flaky => true,
        Verdict::NotRun => !case.attempts.is_empty(),
        Verdict::Pass | Verdict::Skip => false,
    }
}

/// The attempt that tells why; of a case that was cut off, what is known.
pub(super) fn telling(case: &CaseResult) -> Option<&Attempt> {
    case.telling_attempt().or(case.attempts.last())
}

/// The anchor of a case that has a place of its own.
pub(super) fn case_anchor(run: &Run, index: usize) -> Option<String> {
    is_told(&run.cases[index]).then(|| format!("c{index}"))
}

/// The delta of all of these cases, if it is one.
fn common(run: &Run, baseline: &Baseline<'_>, cases: &[usize]) -> Option<Delta> {
    let mut deltas = cases.iter().map(|index| baseline.delta(&run.cases[*index]));
    let first = deltas.next()??;
    deltas.all(|delta| delta == Some(first)).then_some(first)
}

fn gravity(case: &CaseResult) -> u8 {
    match case.verdict {
        _ if case.waived.is_some() => 3,
        Verdict::Fail => 0,
        Verdict::Infra => 1,
        Verdict::NotRun => 4,
        _ => 2,
    }
}

pub(super) fn section(causes: &[Cause], teller: &mut Teller<'_>) -> Markup {
    let run = teller.run;
    let told = tell(causes, teller);
    let count = causes.iter().map(|cause| cause.cases.len()).sum::<usize>();
    html! {
        section #causes {
            h2 {
                @if causes.is_empty() { "Nothing failed" }
                @else {
                    (causes.len()) (plural(causes.len(), " cause of ", " causes of "))
                    (count) (plural(count, " case that didn't pass", " cases that didn't pass"))
                }
            }
            @for (cause, told) in causes.iter().zip(&told) {
                article.cause id={ "s-" (cause.signature) } data-signature=(cause.signature) {
                    h3 { (cause.headline) }
                    (meta(run, cause))
                    @for case in told { (PreEscaped(case)) }
                }
            }
            @if teller.is_spent() {
                p.note {
                    "Not all evidence is in this page: it would be too large. What explains most is; the rest "
                    "lies in the run's directory, under the paths that are given."
                }
            }
        }
    }
}

fn meta(run: &Run, cause: &Cause) -> Markup {
    let first = &run.cases[cause.cases[0]];
    let failure = telling(first).and_then(|attempt| attempt.failure.as_ref());
    html! {
        p.meta {
            span class={ "badge v-" (verdict_class(first)) } { (super::page::verdict_word(first)) }
            @if let Some(failure) = failure {
                span { (failure.class) } span { (failure.phase) } span { (failure.kind) }
            }
            span { (cause.cases.len()) (plural(cause.cases.len(), " case", " cases")) }
            code title="The failure's signature, for waivers" { (cause.signature) }
            @if let Some(delta) = cause.delta {
                span class={ "badge " (delta.class()) } { (delta.word()) }
            }
        }
    }
}

/// Every case of every cause. A case of each cause comes first where room is scarce, then a second.
fn tell(causes: &[Cause], teller: &mut Teller<'_>) -> Vec<Vec<String>> {
    let mut told: Vec<Vec<String>> = causes.iter().map(|_| Vec::new()).collect();
    let longest = causes.iter().map(|cause| cause.cases.len()).max().unwrap_or_default();
    teller.room = BUDGET;
    for rank in 0..longest {
        for (cause, told) in causes.iter().zip(&mut told) {
            if let Some(index) = cause.cases.get(rank) {
                told.push(teller.case(*index));
            }
        }
    }
    told
}

//! Judging a run by waivers.
//!
//! A case is waived if its verdict is `fail` and every attempt that failed was accepted: each of its
//! headlines by a waiver that is about the scenario, in force, and in scope. An attempt that ended
//! with `infra` is neither: infrastructure can't be waived, since such an attempt says nothing about
//! the image that somebody could accept; and it doesn't stand in the way either.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde::Serialize;

use super::scope::Place;
use super::{Waiver, Waivers};
use crate::clean::{self, LINE};
use crate::{Attempt, CaseId, CaseResult, Failure, Run, Verdict};

/// The waiver that covers a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaiverUse {
    /// Its id.
    pub id: String,
    /// Who answers for it.
    pub owner: String,
    /// Where the failure is tracked, a URL.
    pub tracker: String,
    /// The last day on which it holds.
    pub expires: Date,
    /// Why the failure is accepted.
    pub reason: String,
}

/// A waiver and what it did in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaiverStatus {
    /// The waiver.
    #[serde(flatten)]
    pub waiver: WaiverUse,
    /// What it did.
    pub state: WaiverState,
    /// The cases that it covers, alone or with others; or would have covered, if it isn't in force.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<CaseId>,
    /// What somebody should know or do about it: a sentence without its beginning `waiver ID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// What a waiver did in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaiverState {
    /// It covers a failure, also one of a case that stays red for another.
    Used,
    /// What it is about ran and passed, so it can go.
    Unneeded,
    /// What it is about didn't run, or it can't be told whether it would still fail.
    Idle,
    /// It has expired, and would have covered a failure.
    Expired,
    /// It would have covered a failure elsewhere.
    OutOfScope,
}

impl Waivers {
    /// Marks the cases that are waived, and notes what became of each waiver. What was applied before
    /// is forgotten. `today` decides what has expired: a waiver holds until its day has ended.
    pub fn apply(&self, run: &mut Run, today: Date) {
        let verdicts: Vec<Judgement> =
            run.cases.iter().map(|case| self.judge(run, case, today)).collect();
        run.waivers =
            (0..self.waivers.len()).map(|index| self.status(index, run, &verdicts)).collect();
        for (case, judgement) in run.cases.iter_mut().zip(verdicts) {
            case.waived = judgement.waived.map(|index| self.waivers[index].describe());
        }
    }

    /// What the waivers say about one case.
    fn judge(&self, run: &Run, case: &CaseResult, today: Date) -> Judgement {
        let about = |waiver: &&Waiver| waiver.scope.is_about(case);
        let standing = |waiver: &Waiver| match waiver.scope.place(&run.plan, case) {
            Place::Outside(why) | Place::Unknown(why) => Standing::Outside(why),
            Place::Inside if today > waiver.expires => Standing::Expired,
            Place::Inside => Standing::InForce,
        };
        let standings: Vec<Option<Standing>> =
            self.waivers.iter().map(|waiver| Some(waiver).filter(about).map(standing)).collect();
        let in_force = |index: &usize| standings[*index] == Some(Standing::InForce);
        let any = |index: &usize| standings[*index].is_some();

        let failed = || case.attempts.iter().filter(|attempt| attempt.verdict == Verdict::Fail);
        let matching = |allowed: &dyn Fn(&usize) -> bool| -> BTreeSet<usize> {
            failed().flat_map(|attempt| self.matching(attempt, allowed)).collect()
        };
        let covered = |allowed: &dyn Fn(&usize) -> bool| {
            case.verdict == Verdict::Fail
                && failed().next().is_some()
                && failed().all(|attempt| self.covers(attempt, allowed))
        };
        let used = matching(&in_force);
        let waived = covered(&in_force)
            // The first to expire is what somebody must look at first.
            .then(|| {
                used.iter().copied().min_by_key(|index| (self.waivers[*index].expires, *index))
            })
            .flatten();
        // Those that aren't in force, and would have made the difference.
        let missed = if waived.is_none() && covered(&any) {
            matching(&any).into_iter().filter(|index| !in_force(index)).collect()
        } else {
            BTreeSet::new()
        };
        Judgement { standings, used, waived, missed }
    }

    /// Whether each of an attempt's headlines is accepted by one of these waivers.
    fn covers(&self, attempt: &Attempt, allowed: &dyn Fn(&usize) -> bool) -> bool {
        let Some(failure) = &attempt.failure else { return false };
        // What can't be listed may be new.
        let Some(headlines) = failure.headlines() else { return false };
        let accepted = |headline: &str| {
            (0..self.waivers.len())
                .filter(allowed)
                .any(|index| self.waivers[index].signature.matches(failure, headline))
        };
        headlines.into_iter().all(accepted)
    }

    /// Those of these waivers that accept any of an attempt's headlines.
    fn matching(&self, attempt: &Attempt, allowed: &dyn Fn(&usize) -> bool) -> BTreeSet<usize> {
        let Some(failure) = &attempt.failure else { return BTreeSet::new() };
        let headlines = failure.headlines().unwrap_or_else(|| vec![&failure.headline]);
        let accepts = |index: &usize| {
            let matcher = &self.waivers[*index].signature;
            headlines.iter().any(|headline| matcher.matches(failure, headline))
        };
        (0..self.waivers.len()).filter(allowed).filter(accepts).collect()
    }

    fn status(&self, index: usize, run: &Run, cases: &[Judgement]) -> WaiverStatus {
        let waiver = &self.waivers[index];
        let all = || run.cases.iter().zip(cases);
        let names = |wanted: &dyn Fn(&Judgement) -> bool| -> Vec<CaseId> {
            all().filter(|(_, it)| wanted(it)).map(|(case, _)| case.planned.id.clone()).collect()
        };
        let used = all().any(|(_, it)| it.used.contains(&index));
        let covers = names(&|it| it.waived.is_some() && it.used.contains(&index));
        let missed = names(&|it| it.missed.contains(&index));
        let in_force = || all().filter(|(_, it)| it.standings[index] == Some(Standing::InForce));
        let passed = || in_force().filter(|(case, _)| case.verdict == Verdict::Pass);
        // A case that didn't pass may have missed the failure by failing of something else.
        let all_passed =
            in_force().all(|(case, _)| matches!(case.verdict, Verdict::Pass | Verdict::Skip));

        let mut status = WaiverStatus {
            waiver: waiver.describe(),
            state: WaiverState::Idle,
            cases: Vec::new(),
            remark: None,
        };
        if !missed.is_empty() {
            let why = all()
                .filter(|(_, it)| it.missed.contains(&index))
                .find_map(|(_, it)| it.standings[index].as_ref());
            let would = format!("would have covered {}", listed(&missed));
            (status.state, status.remark) = match why {
                Some(Standing::Outside(why)) => {
                    (WaiverState::OutOfScope, Some(format!("does not apply: {why}; it {would}")))
                }
                _ => (
                    WaiverState::Expired,
                    Some(format!("expired on {}, and {would}", waiver.expires)),
                ),
            };
            status.cases = missed;
        }
        if used {
            status.state = WaiverState::Used;
            status.cases = covers;
        } else if status.state == WaiverState::Idle && passed().next().is_some() && all_passed {
            let passed: Vec<_> = passed().map(|(case, _)| case.planned.id.clone()).collect();
            status.state = WaiverState::Unneeded;
            status.remark = Some(format!("is no longer needed: {} passed", listed(&passed)));
            status.cases = passed;
        }
        status
    }
}

/// How a waiver stands to a case that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    InForce,
    Expired,
    /// It is for other places, or it can't be told; and why.
    Outside(String),
}

/// What the waivers say about one case; waivers by their place in the file.
struct Judgement {
    /// Of each waiver; none if it is about other scenarios.
    standings: Vec<Option<Standing>>,
    /// Those in force that accept one of its failures.
    used: BTreeSet<usize>,
    /// The one that covers it, if it is covered.
    waived: Option<usize>,
    /// Those not in force that would have covered it.
    missed: BTreeSet<usize>,
}

impl Waiver {
    fn describe(&self) -> WaiverUse {
        WaiverUse {
            id: self.id.clone(),
            owner: clean::line(&self.owner, LINE),
            tracker: clean::line(&self.tracker, LINE),
            expires: self.expires,
            reason: clean::line(&self.reason, LINE),
        }
    }
}

/// `boot.a [x], boot.b [x] and 3 more`.
fn listed(cases: &[CaseId]) -> String {
    /// Names listed; beyond them a number says more.
    const NAMES: usize = 3;

    let names: Vec<_> = cases.iter().take(NAMES).map(CaseId::to_string).collect();
    match cases.len().saturating_sub(NAMES) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

impl WaiverUse {
    /// `waived by W-12 until 2026-03-31 (release team, https://…): the headline`.
    pub(crate) fn sentence(&self, failure: Option<&Failure>) -> String {
        let Self { id, owner, tracker, expires, .. } = self;
        let headline = failure.map_or("no cause was recorded", |failure| &failure.headline);
        format!("waived by {id} until {expires} ({owner}, {tracker}): {headline}")
    }
}

//! The release before: what was tested then, and how often it passed at the first attempt.

use wheeltap_reports::{CaseResult, Run, Verdict};

use super::results::{self, Tested};
use super::{Judge, cases, find, fisher, is_judged, weigh};
use crate::views::probability;
use crate::{Effect, Finding, Flakes, Rate};

/// The runs of the release before; none if there are none.
pub(super) fn check(
    judge: &Judge<'_>,
    tested: &Tested,
    findings: &mut Vec<Finding>,
) -> Option<Vec<Run>> {
    let policy = &judge.inputs.policy;
    // What isn't required can't block.
    let effect = if policy.baseline.required { Effect::Incomplete } else { Effect::Warns };
    if judge.inputs.baseline.is_empty() {
        if policy.baseline.required {
            let text = "the policy requires a baseline, and none is given (--baseline)";
            findings.push(Finding::new(effect, "baseline.missing", "baseline", text));
        }
        return None;
    }
    let runs = results::whole(judge, &judge.inputs.baseline, "baseline", effect, findings);
    results::count(policy.baseline.runs, &runs, "baseline", effect, findings);
    let runs = results::merge(runs);
    let mut found = |effect, rule: &str, id: &str, text: String, run: &Run| {
        findings.push(Finding::new(effect, rule, id, text).seen_in([judge.events(run)]));
    };
    for run in &runs {
        let digest = &run.plan.image.digest;
        if tested.images.iter().any(|image| image.digest == *digest) {
            let text = format!(
                "the baseline is of the image that is judged ({digest}), so that nothing is compared"
            );
            found(effect, "baseline.identity", &judge.place.name_of(&run.dir), text, run);
        }
    }
    for (run, case) in cases(&runs).filter(|(_, case)| judge.is_required(&case.planned.id.cell)) {
        let id = &case.planned.id;
        if matches!(case.verdict, Verdict::Infra | Verdict::NotRun) {
            let why = case.reason.as_deref().unwrap_or("it couldn't be judged");
            found(
                effect,
                "baseline.open",
                &id.to_string(),
                format!("{} in the baseline: {why}", case.verdict),
                run,
            );
        }
        let now = find(&tested.candidate, id).filter(|case| case.verdict != Verdict::Skip);
        if now.is_some() || !is_judged(case) {
            continue;
        }
        let removed = policy
            .removed
            .iter()
            .find(|it| it.scenario.matches(&id.scenario) && it.cell.matches(&id.cell));
        match removed {
            Some(removed) => {
                let text = format!("gone on purpose: {}", removed.reason);
                found(Effect::Fine, "baseline.removed", &id.to_string(), text, run);
            }
            None => {
                let text = "the baseline tested it, and these results don't; if it is gone on purpose, add a `[[removed]]` with the reason";
                found(effect, "baseline.scenarios", &id.to_string(), text.to_owned(), run);
            }
        }
    }
    Some(runs)
}

/// Failures have rules of their own, and one that was accepted must not come back by a rate.
fn has_passed(case: &CaseResult) -> bool {
    matches!(case.verdict, Verdict::Pass | Verdict::Flaky)
}

/// Compares first-pass rates in required cells.
pub(super) fn flakes(
    judge: &Judge<'_>,
    tested: &Tested,
    baseline: Option<&[Run]>,
    findings: &mut Vec<Finding>,
) -> Option<Flakes> {
    let policy = &judge.inputs.policy.flakes;
    let required = || {
        cases(&tested.candidate)
            .map(|(_, case)| case)
            .filter(|case| judge.is_required(&case.planned.id.cell) && has_passed(case))
    };
    let (mut all, mut flaky) = (Rate::default(), 0);
    for case in required() {
        all.add(case.verdict);
        flaky += usize::from(case.verdict == Verdict::Flaky);
    }
    if all.all == 0 {
        return None;
    }
    if let Some(budget) = policy.budget {
        let share = flaky as f64 / all.all as f64;
        let text = format!(
            "{flaky} of {} cases passed only after retries ({:.1} %); the budget is {:.1} %",
            all.all,
            share * 100.0,
            budget.0 * 100.0
        );
        let effect = if share > budget.0 { Effect::Blocks } else { Effect::Fine };
        findings.push(Finding::new(effect, "flakes.budget", "flakes", text));
    }
    let compared = baseline.and_then(|baseline| {
        let (mut now, mut before) = (Rate::default(), Rate::default());
        for case in required() {
            if let Some(old) = find(baseline, &case.planned.id).filter(|case| has_passed(case)) {
                now.add(case.verdict);
                before.add(old.verdict);
            }
        }
        (now.all > 0).then(|| (now, before, fisher::worse(now, before)))
    });
    if let Some((now, before, p)) = compared {
        let is_worse = p <= *policy.significance.get_ref();
        let effect = if is_worse { weigh(*policy.worse.get_ref()) } else { Effect::Fine };
        let text = format!(
            "{now} passed at the first attempt, and {before} in the baseline: {} (p = {}, Fisher's exact test, one-sided)",
            if is_worse { "significantly worse" } else { "no worse than chance explains" },
            probability(p),
        );
        findings.push(Finding::new(effect, "flakes.worse", "flakes", text));
    }
    Some(Flakes { all, compared })
}

impl Rate {
    fn add(&mut self, verdict: Verdict) {
        self.all += 1;
        self.passed += usize::from(verdict == Verdict::Pass);
    }
}

//! The matrix: what must have run, and what came of it.

use std::collections::BTreeMap;

use wheeltap_reports::{CaseResult, Run, Verdict};

use super::results::Tested;
use super::{Judge, cases, is_judged};
use crate::policy::Cell;
use crate::{CellSummary, Effect, Finding};

pub(super) fn check(
    judge: &Judge<'_>,
    tested: &Tested,
    findings: &mut Vec<Finding>,
) -> Vec<CellSummary> {
    let mut cells: BTreeMap<&str, Vec<(&Run, &CaseResult)>> = BTreeMap::new();
    for (run, case) in cases(&tested.candidate) {
        cells.entry(&case.planned.id.cell).or_default().push((run, case));
    }
    let mut summaries = Vec::new();
    for (name, cases) in &cells {
        let policy = judge.cell(name);
        summaries.push(summarize(name, policy, cases.iter().map(|(_, case)| *case)));
        match policy {
            Some(cell) if cell.required => {
                findings.extend(
                    cases.iter().map(|(run, case)| {
                        judge.case(run, case, "cell.verdict", Some(&cell.owner))
                    }),
                );
                required(cell, name, cases, findings);
            }
            Some(cell) => findings.extend(cases.iter().map(|(run, case)| {
                let effect = match case.verdict {
                    Verdict::Pass => Effect::Fine,
                    _ => Effect::Warns,
                };
                judge.describe(run, case, effect, "cell.optional").owned_by(Some(&cell.owner))
            })),
            None => {
                let text = "the policy has no `[[cell]]` for it, so that it doesn't count";
                findings.push(Finding::new(Effect::Warns, "cell.unknown", *name, text));
            }
        }
    }
    for cell in judge.inputs.policy.cell.iter().filter(|cell| cell.required) {
        let glob = &cell.name.get_ref().0;
        let ran = cells.iter().any(|(name, cases)| {
            judge.cell(name).is_some_and(|it| std::ptr::eq(it, cell))
                && cases.iter().any(|(_, case)| is_judged(case))
        });
        if !ran {
            let text = "this required cell did not run: no case of it was judged";
            let finding = Finding::new(Effect::Incomplete, "cell.missing", glob, text);
            findings.push(finding.owned_by(Some(&cell.owner)));
            if !cells.contains_key(&**glob) {
                summaries.push(summarize(glob, Some(cell), std::iter::empty()));
            }
        }
    }
    summaries.sort_by(|one, other| (!one.required, &one.name).cmp(&(!other.required, &other.name)));
    summaries
}

/// Whether what must have been judged in a required cell was.
fn required(cell: &Cell, name: &str, cases: &[(&Run, &CaseResult)], findings: &mut Vec<Finding>) {
    let mut missing = |what: String, found: &[&CaseResult]| {
        // What was planned and wasn't judged for another reason is said with its case.
        if found.iter().any(|case| case.verdict != Verdict::Skip) {
            return;
        }
        let why = match found.iter().find_map(|case| case.reason.as_deref()) {
            Some(reason) => format!("was skipped: {reason}"),
            None => "isn't in any plan".to_owned(),
        };
        let text = format!("the policy wants {what} in {name}, and it {why}");
        let finding = Finding::new(Effect::Incomplete, "cell.scenarios", name, text);
        findings.push(finding.owned_by(Some(&cell.owner)));
    };
    for glob in &cell.scenarios {
        let found: Vec<_> = cases
            .iter()
            .map(|(_, case)| *case)
            .filter(|case| glob.matches(&case.planned.id.scenario))
            .collect();
        missing(format!("the scenario {}", glob.0), &found);
    }
    for tag in &cell.tags {
        let found: Vec<_> = cases
            .iter()
            .map(|(_, case)| *case)
            .filter(|case| case.planned.tags.contains(tag))
            .collect();
        missing(format!("a scenario with the tag {tag}"), &found);
    }
}

fn summarize<'a>(
    name: &str,
    policy: Option<&Cell>,
    cases: impl Iterator<Item = &'a CaseResult>,
) -> CellSummary {
    let mut summary = CellSummary {
        name: name.to_owned(),
        required: policy.is_some_and(|cell| cell.required),
        owner: policy.map(|cell| cell.owner.clone()),
        planned: 0,
        passed: 0,
        flaky: 0,
        failed: 0,
        waived: 0,
        open: 0,
        skipped: 0,
        baseline: None,
    };
    for case in cases {
        summary.planned += 1;
        *match case.verdict {
            Verdict::Pass => &mut summary.passed,
            Verdict::Flaky => &mut summary.flaky,
            Verdict::Fail if case.waived.is_some() => &mut summary.waived,
            Verdict::Fail => &mut summary.failed,
            Verdict::Infra | Verdict::NotRun => &mut summary.open,
            Verdict::Skip => &mut summary.skipped,
        } += 1;
    }
    summary
}

/// Says how much was judged in each cell before.
pub(super) fn compare(summaries: &mut [CellSummary], baseline: Option<&[Run]>) {
    let Some(baseline) = baseline else { return };
    for summary in summaries {
        let before = cases(baseline)
            .filter(|(_, case)| case.planned.id.cell == summary.name && is_judged(case));
        summary.baseline = Some(before.count());
    }
}

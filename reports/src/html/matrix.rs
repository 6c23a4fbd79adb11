//! Every case at a glance: scenarios down, cells across.

use std::collections::{HashMap, HashSet};

use maud::{Markup, html};

use super::baseline::Baseline;
use super::causes::case_anchor;
use super::page::{ran_in, verdict_class, verdict_word};
use crate::text::human;
use crate::{CaseResult, Run, Verdict};

pub(super) fn section(run: &Run, baseline: Option<(&Run, &Baseline<'_>)>) -> Markup {
    let cells = cells(run);
    let rows = rows(run, &cells);
    html! {
        section #matrix {
            h2 { "Matrix" }
            @if let Some((then, baseline)) = baseline { (compared(run, then, baseline)) }
            div.scroll tabindex="0" role="region" aria-label="Scenarios by cell" {
                table.matrix {
                    thead {
                        tr {
                            th scope="col" { "Scenario" }
                            @for cell in &cells { th scope="col" { (cell) } }
                        }
                    }
                    tbody {
                        @for (scenario, cases) in rows { (row(run, baseline.map(|it| it.1), scenario, &cases)) }
                    }
                }
            }
        }
    }
}

/// What the baseline was, and what has changed.
fn compared(run: &Run, then: &Run, baseline: &Baseline<'_>) -> Markup {
    html! {
        p.compared {
            "Against " b { (then.plan.run) } " ("
            (then.plan.image.name) " " (then.plan.image.version) "): "
            (baseline.summary(run)) "."
        }
    }
}

/// A scenario's name, and the place of its case in each cell.
type Row<'a> = (&'a str, Vec<Option<usize>>);

/// The cells in the plan's order, and whatever else cases name.
pub(super) fn cells(run: &Run) -> Vec<&str> {
    let planned = run.plan.cells.iter().map(|cell| &*cell.name);
    let named = run.cases.iter().map(|case| &*case.planned.id.cell);
    let used: HashSet<&str> = named.clone().collect();
    let mut seen = HashSet::new();
    planned.chain(named).filter(|cell| used.contains(cell) && seen.insert(*cell)).collect()
}

/// Scenarios in the plan's order.
fn rows<'a>(run: &'a Run, cells: &[&str]) -> Vec<Row<'a>> {
    let cells: HashMap<&str, usize> = cells.iter().zip(0..).map(|(cell, at)| (*cell, at)).collect();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (index, case) in run.cases.iter().enumerate() {
        let scenario = &*case.planned.id.scenario;
        let row = *places.entry(scenario).or_insert_with(|| {
            rows.push((scenario, vec![None; cells.len()]));
            rows.len() - 1
        });
        if let Some(cell) = cells.get(&*case.planned.id.cell) {
            rows[row].1[*cell] = Some(index);
        }
    }
    rows
}

fn row(
    run: &Run,
    baseline: Option<&Baseline<'_>>,
    scenario: &str,
    cases: &[Option<usize>],
) -> Markup {
    let summary = cases.iter().flatten().next().map(|index| &*run.cases[*index].planned.summary);
    html! {
        tr {
            th scope="row" title=(summary.unwrap_or_default()) { (scenario) }
            @for case in cases {
                @match case {
                    Some(index) => (cell(run, baseline, *index)),
                    None => td {},
                }
            }
        }
    }
}

fn cell(run: &Run, baseline: Option<&Baseline<'_>>, index: usize) -> Markup {
    let case = &run.cases[index];
    let what = html! { (symbol(case)) " " (says(case)) };
    let delta = baseline.and_then(|baseline| baseline.delta(case));
    let slower = baseline.and_then(|baseline| baseline.slower(case));
    html! {
        td class={ "v-" (verdict_class(case)) } {
            @match case_anchor(run, index) {
                Some(anchor) => a href={ "#" (anchor) } { (what) },
                None => (what),
            }
            @if let Some(delta) = delta { " " small class=(delta.class()) { (delta.word()) } }
            @if let Some(seconds) = slower {
                " " small.same { @if seconds > 0.0 { "+" } @else { "−" } (human(seconds.abs())) }
            }
        }
    }
}

/// Shapes tell verdicts apart, not only colours.
fn symbol(case: &CaseResult) -> &'static str {
    match case.verdict {
        _ if case.waived.is_some() => "◌",
        Verdict::Pass => "✓",
        Verdict::Flaky => "≈",
        Verdict::Fail => "✗",
        Verdict::Infra => "!",
        Verdict::Skip => "–",
        Verdict::NotRun => "·",
    }
}

/// What a reader wants to know first: of what passed, how long it took.
fn says(case: &CaseResult) -> String {
    match case.verdict {
        Verdict::Pass => ran_in(case.seconds),
        _ => verdict_word(case).to_owned(),
    }
}

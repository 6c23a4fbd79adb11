//! The rules: one file for each area. Each looks at the inputs, and says what it found.
//!
//! No finding takes another away. That, and that what isn't required can't block, is why nothing that is removed or damaged
//! turns a NO-GO or an INCOMPLETE into a GO.

mod baseline;
mod cells;
mod diff;
mod fisher;
mod results;
mod updates;

use wheeltap_reports::{CaseId, CaseResult, Run, Verdict as CaseVerdict, WaiverState};

use crate::decision::{FORMAT_VERSION, state_word};
use crate::policy::{Cell, Graver, Weight};
use crate::{Checkbox, Decision, Effect, Finding, Inputs, Place, Verdict, WaiverSummary};

/// Decides.
#[must_use]
pub fn decide(inputs: &Inputs, place: &Place) -> Decision {
    let judge = Judge { inputs, place };
    let mut findings = Vec::new();
    let tested = results::sort(&judge, &mut findings);
    let baseline = baseline::check(&judge, &tested, &mut findings);
    let mut cells = cells::check(&judge, &tested, &mut findings);
    cells::compare(&mut cells, baseline.as_deref());
    let flakes = baseline::flakes(&judge, &tested, baseline.as_deref(), &mut findings);
    updates::check(&judge, &tested, &mut findings);
    diff::check(&judge, &tested, baseline.as_deref(), &mut findings);
    let waivers = waivers(&judge, &tested, &mut findings);

    findings.sort_by(|one, other| {
        let key = |finding: &Finding| (finding.effect, finding.rule.clone(), finding.id.clone());
        key(one).cmp(&key(other)).then_with(|| one.text.cmp(&other.text))
    });
    findings.dedup();
    let mut evidence: Vec<_> =
        findings.iter().flat_map(|finding| finding.evidence.iter().cloned()).collect();
    evidence.sort();
    evidence.dedup();
    Decision {
        version: FORMAT_VERSION,
        verdict: Verdict::of(&findings),
        as_of: inputs.as_of,
        images: tested.images,
        checklist: checklist(&judge, &findings),
        findings,
        cells,
        waivers,
        flakes,
        inputs: inputs.listed(place, &evidence),
    }
}

/// What all rules need.
#[derive(Clone, Copy)]
struct Judge<'a> {
    inputs: &'a Inputs,
    place: &'a Place,
}

impl<'a> Judge<'a> {
    /// The entry of the policy that a cell belongs to.
    fn cell(&self, name: &str) -> Option<&'a Cell> {
        self.inputs.policy.cell.iter().find(|cell| cell.name.get_ref().matches(name))
    }

    fn is_required(&self, cell: &str) -> bool {
        self.cell(cell).is_some_and(|cell| cell.required)
    }

    /// What a case in a required cell means.
    fn case(&self, run: &Run, case: &CaseResult, rule: &str, owner: Option<&str>) -> Finding {
        let verdicts = &self.inputs.policy.verdicts;
        let effect = match case.verdict {
            CaseVerdict::Pass => Effect::Fine,
            CaseVerdict::Flaky => weigh(verdicts.flaky),
            CaseVerdict::Fail if case.waived.is_some() => Effect::Accepted,
            CaseVerdict::Fail => Effect::Blocks,
            CaseVerdict::Infra => weigh_graver(verdicts.infra),
            CaseVerdict::NotRun => weigh_graver(verdicts.not_run),
            CaseVerdict::Skip => weigh(verdicts.skip),
        };
        self.describe(run, case, effect, rule).owned_by(owner)
    }

    /// A case and its evidence.
    fn describe(&self, run: &Run, case: &CaseResult, effect: Effect, rule: &str) -> Finding {
        /// Files named for each case; its directory has the rest.
        const FILES: usize = 2;

        let attempt = case.telling_attempt();
        let why = match (&case.reason, attempt) {
            (Some(reason), _) => reason.clone(),
            (None, Some(attempt)) => attempt.headline().to_owned(),
            (None, None) => "it has no attempt".to_owned(),
        };
        let mut finding = Finding::new(
            effect,
            rule,
            case.planned.id.to_string(),
            format!("{}: {why}", case.verdict),
        );
        if case.verdict == CaseVerdict::Pass {
            "pass".clone_into(&mut finding.text);
            return finding;
        }
        if let Some(waived) = &case.waived {
            finding.waiver = Some(waived.id.clone());
            finding.text =
                format!("{}; accepted by {} until {}", finding.text, waived.id, waived.expires);
        }
        let files = attempt.into_iter().flat_map(|attempt| {
            attempt.evidence.iter().take(FILES).map(|file| run.path_of(attempt, file))
        });
        let names: Vec<_> = files.map(|path| self.place.name_of(&path)).collect();
        finding.seen_in(names).seen_in([self.events(run)])
    }

    fn events(&self, run: &Run) -> String {
        self.place.name_of(&run.dir.join(wheeltap_reports::EVENTS_FILE))
    }
}

fn weigh(weight: Weight) -> Effect {
    match weight {
        Weight::Warn => Effect::Warns,
        Weight::Incomplete => Effect::Incomplete,
        Weight::Block => Effect::Blocks,
    }
}

fn weigh_graver(weight: Graver) -> Effect {
    match weight {
        Graver::Incomplete => Effect::Incomplete,
        Graver::Block => Effect::Blocks,
    }
}

fn is_judged(case: &CaseResult) -> bool {
    matches!(case.verdict, CaseVerdict::Pass | CaseVerdict::Flaky | CaseVerdict::Fail)
}

/// All cases of several runs.
fn cases(runs: &[Run]) -> impl Iterator<Item = (&Run, &CaseResult)> {
    runs.iter().flat_map(|run| run.cases.iter().map(move |case| (run, case)))
}

fn find<'a>(runs: &'a [Run], id: &CaseId) -> Option<&'a CaseResult> {
    cases(runs).map(|(_, case)| case).find(|case| case.planned.id == *id)
}

/// What became of the waivers in all runs, and in the comparison.
fn waivers(
    judge: &Judge<'_>,
    tested: &results::Tested,
    findings: &mut Vec<Finding>,
) -> Vec<WaiverSummary> {
    /// The first that any run says counts: a waiver that one run needs isn't unneeded.
    const ORDER: [WaiverState; 5] = [
        WaiverState::Used,
        WaiverState::Expired,
        WaiverState::OutOfScope,
        WaiverState::Unneeded,
        WaiverState::Idle,
    ];

    let Some(waivers) = &judge.inputs.waivers else { return Vec::new() };
    let rank = |state| ORDER.iter().position(|it| *it == state);
    let mut all: Vec<WaiverSummary> = Vec::new();
    let mut states: Vec<WaiverState> = Vec::new();
    let mut remarks = Vec::new();
    for status in tested.candidate.iter().chain(&tested.updates).flat_map(|run| &run.waivers) {
        let accepts = status.cases.iter().map(ToString::to_string);
        let accepts: Vec<_> =
            if status.state == WaiverState::Used { accepts.collect() } else { Vec::new() };
        match all.iter().position(|it| it.id == status.waiver.id) {
            Some(at) => {
                all[at].accepts.extend(accepts);
                if rank(status.state) < rank(states[at]) {
                    states[at] = status.state;
                }
            }
            None => {
                states.push(status.state);
                all.push(summary(&status.waiver, accepts));
            }
        }
        if let Some(remark) = &status.remark {
            let text = format!("waiver {} {remark}", status.waiver.id);
            let owner = Some(&*status.waiver.owner);
            let finding = Finding::new(Effect::Warns, "waiver.remark", &status.waiver.id, text);
            remarks.push((status.state, finding.owned_by(owner)));
        }
    }
    // What one run doesn't need another may.
    let stands = |(state, finding): &(WaiverState, Finding)| {
        all.iter().position(|it| it.id == finding.id).is_some_and(|at| states[at] == *state)
    };
    findings.extend(remarks.into_iter().filter(stands).map(|(_, finding)| finding));
    for (waiver, state) in all.iter_mut().zip(&states) {
        state_word(*state).clone_into(&mut waiver.state);
        waiver.accepts.sort();
        waiver.accepts.dedup();
    }
    for limit in waivers.limits() {
        let used = findings.iter().any(|finding| finding.waiver.as_ref() == Some(&limit.waiver.id));
        let expired = judge.inputs.as_of > limit.waiver.expires;
        let state = match (used, expired) {
            (true, _) => WaiverState::Used,
            (false, true) => WaiverState::Expired,
            (false, false) => WaiverState::Idle,
        };
        let accepts = if used { vec![limit.limit.clone()] } else { Vec::new() };
        let summary = WaiverSummary {
            state: state_word(state).to_owned(),
            ..summary(&limit.waiver, accepts)
        };
        all.push(summary);
    }
    all
}

fn summary(waiver: &wheeltap_reports::WaiverUse, accepts: Vec<String>) -> WaiverSummary {
    WaiverSummary {
        id: waiver.id.clone(),
        owner: waiver.owner.clone(),
        tracker: waiver.tracker.clone(),
        expires: waiver.expires,
        reason: waiver.reason.clone(),
        state: String::new(),
        accepts,
    }
}

/// The boxes that follow from what was found, and those that a person has to tick.
fn checklist(judge: &Judge<'_>, findings: &[Finding]) -> Vec<Checkbox> {
    let policy = &judge.inputs.policy;
    let areas = [
        ("results", true, "results are whole, recent, and of one image"),
        ("cell", true, "every required cell ran and is good"),
        ("baseline", policy.baseline.required, "nothing is tested no more that was tested before"),
        (
            "flakes",
            policy.flakes.budget.is_some() || policy.baseline.required,
            "cases pass at the first attempt as often as before",
        ),
        ("update-path", !policy.update_path.is_empty(), "every update path was tested"),
        (
            "image-diff",
            policy.image_diff.required,
            "the image differs from the one before within limits",
        ),
    ];
    let mut boxes: Vec<_> = areas
        .into_iter()
        .filter(|(_, asked, _)| *asked)
        .map(|(area, _, text)| {
            let open = findings
                .iter()
                .any(|finding| finding.area() == area && finding.effect <= Effect::Incomplete);
            Checkbox { text: text.to_owned(), done: Some(!open), owner: None }
        })
        .collect();
    boxes.extend(policy.manual.iter().map(|manual| Checkbox {
        text: manual.text.clone(),
        done: None,
        owner: manual.owner.clone(),
    }));
    boxes
}

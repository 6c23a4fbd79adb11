//! Update paths: from which versions, in which cells, an update to the image was tested.

use wheeltap_reports::{Run, Verdict};

use super::Judge;
use super::results::Tested;
use crate::{Effect, Finding};

pub(super) fn check(judge: &Judge<'_>, tested: &Tested, findings: &mut Vec<Finding>) {
    for run in &tested.updates {
        target(judge, run, tested, findings);
    }
    for path in &judge.inputs.policy.update_path {
        let runs = || tested.updates.iter().filter(|run| run.plan.image.version == path.from);
        for cell in path.cells.get_ref() {
            let id = format!("{} [{cell}]", path.from);
            for glob in path.scenarios.get_ref() {
                let found: Vec<_> = runs()
                    .flat_map(|run| run.cases.iter().map(move |case| (run, case)))
                    .filter(|(_, case)| {
                        case.planned.id.cell == *cell && glob.matches(&case.planned.id.scenario)
                    })
                    .collect();
                let owner = path.owner.as_deref();
                if found.iter().all(|(_, case)| case.verdict == Verdict::Skip) {
                    let why = match found.first().and_then(|(_, case)| case.reason.as_deref()) {
                        Some(reason) => format!("was skipped: {reason}"),
                        None => "wasn't tested".to_owned(),
                    };
                    let text =
                        format!("the update from {} in {cell} ({}) {why}", path.from, glob.0);
                    let finding =
                        Finding::new(Effect::Incomplete, "update-path.missing", &id, text);
                    findings.push(finding.owned_by(owner));
                }
                findings.extend(found.into_iter().map(|(run, case)| {
                    let mut finding = judge.case(run, case, "update-path.verdict", owner);
                    // The case alone doesn't say from where.
                    finding.id = format!("{} from {}", case.planned.id, path.from);
                    finding
                }));
            }
        }
    }
}

/// Whether a run of an earlier version was updated to the image that is judged.
fn target(judge: &Judge<'_>, run: &Run, tested: &Tested, findings: &mut Vec<Finding>) {
    let from = &run.plan.image.version;
    let wrong = match &run.plan.image.update {
        None => Some("plan.json doesn't say what it was updated to; an older wheeltap ran it, or nothing in it updates".to_owned()),
        Some(target) => {
            let is_version = tested.images.iter().any(|image| image.version == target.version);
            let is_image = target
                .digest
                .as_ref()
                .is_none_or(|digest| tested.images.iter().any(|image| image.digest == *digest));
            let to = match &target.digest {
                Some(digest) => format!("{} (image {digest})", target.version),
                None => target.version.clone(),
            };
            (!is_version || !is_image)
                .then(|| format!("it was updated to {to}, which isn't the image that is judged"))
        }
    };
    if let Some(wrong) = wrong {
        let dir = judge.place.name_of(&run.dir);
        let plan = judge.place.name_of(&run.dir.join(wheeltap_reports::PLAN_FILE));
        let text = format!("a run of {from}: {wrong}");
        let finding = Finding::new(Effect::Incomplete, "update-path.target", dir, text);
        findings.push(finding.seen_in([plan]));
    }
}

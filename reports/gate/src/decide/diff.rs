//! The comparison with the image before.

use wheeltap_reports::{Run, Waivers};

use super::Judge;
use super::results::Tested;
use crate::inputs::{DiffHit, ImageDiff, Side};
use crate::{Effect, Finding};

pub(super) fn check(
    judge: &Judge<'_>,
    tested: &Tested,
    baseline: Option<&[Run]>,
    findings: &mut Vec<Finding>,
) {
    let policy = &judge.inputs.policy.image_diff;
    // What isn't required can't block.
    let weighed = |effect| if policy.required { effect } else { Effect::Warns };
    let Some((path, diff)) = &judge.inputs.image_diff else {
        if policy.required {
            let text =
                "the policy requires a comparison of images, and none is given (--image-diff)";
            let finding =
                Finding::new(Effect::Incomplete, "image-diff.missing", "image-diff", text);
            findings.push(finding);
        }
        return;
    };
    let file = judge.place.name_of(path);
    let mut found = |effect, rule: &str, id: &str, text: String| {
        findings.push(Finding::new(effect, rule, id, text).seen_in([file.clone()]));
    };
    let open = weighed(Effect::Incomplete);
    let diff = match diff {
        Ok(diff) => diff,
        Err(why) => {
            found(open, "image-diff.damaged", "image-diff", format!("{} {why}", path.display()));
            return;
        }
    };
    let versions: Vec<_> = tested.images.iter().map(|image| &*image.version).collect();
    if let Some(wrong) = other_image("new", "judged", &diff.new, &versions) {
        found(open, "image-diff.identity", "image-diff", wrong);
    }
    if let Some(baseline) = baseline {
        let versions: Vec<_> = baseline.iter().map(|run| &*run.plan.image.version).collect();
        if let Some(wrong) = other_image("old", "in the baseline", &diff.old, &versions) {
            found(open, "image-diff.identity", "image-diff", wrong);
        }
    }
    if diff.rules().next().is_none() {
        let text = "the images were compared without limits, so that nothing was checked";
        found(open, "image-diff.rules", "image-diff", text.to_owned());
    }
    for rule in &policy.rules {
        if !diff.rules().any(|checked| checked == rule) {
            let text = format!("the policy wants the limit {rule}, and it wasn't checked");
            found(open, "image-diff.rules", rule, text);
        }
    }
    hits(judge, diff, &file, findings);
}

fn hits(judge: &Judge<'_>, diff: &ImageDiff, file: &str, findings: &mut Vec<Finding>) {
    let policy = &judge.inputs.policy.image_diff;
    for (severity, hit) in diff.graded() {
        let blocks = policy.severities.contains(&severity) && policy.required;
        let (effect, text, waiver) = match accepted(judge, hit) {
            Some(Ok((who, waiver))) if blocks => (Effect::Accepted, Some(who), waiver),
            Some(Ok((who, waiver))) => (Effect::Warns, Some(who), waiver),
            Some(Err(why)) => {
                (if blocks { Effect::Blocks } else { Effect::Warns }, Some(why), None)
            }
            None => (if blocks { Effect::Blocks } else { Effect::Warns }, None, None),
        };
        let text = match text {
            Some(text) => format!("{}; {text}", hit.message),
            None => hit.message.clone(),
        };
        let mut finding = Finding::new(effect, "image-diff.limit", &hit.id, text);
        finding.waiver = waiver;
        findings.push(finding.seen_in([file.to_owned()]));
    }
}

/// Who accepts a hit and under which id, or why that doesn't hold.
fn accepted(judge: &Judge<'_>, hit: &DiffHit) -> Option<Result<(String, Option<String>), String>> {
    let as_of = judge.inputs.as_of;
    let waivers = judge.inputs.waivers.iter().flat_map(Waivers::limits);
    let mut expired = None;
    for limit in waivers.filter(|limit| limit.limit == hit.id) {
        let waiver = &limit.waiver;
        if as_of <= waiver.expires {
            let who =
                format!("accepted by {} until {} ({})", waiver.id, waiver.expires, waiver.owner);
            return Some(Ok((who, Some(waiver.id.clone()))));
        }
        expired = Some(format!("waiver {} expired on {}", waiver.id, waiver.expires));
    }
    if let Some(allowed) = &hit.allowed {
        if as_of <= allowed.expires {
            let who = format!(
                "accepted until {} ({}: {})",
                allowed.expires, allowed.owner, allowed.reason
            );
            return Some(Ok((who, None)));
        }
        expired = Some(format!("{} accepted it until {} only", allowed.owner, allowed.expires));
    }
    expired.map(Err)
}

/// What is wrong if a side of the comparison is another image.
fn other_image(side: &str, what: &str, image: &Side, versions: &[&str]) -> Option<String> {
    match &image.version {
        None => Some(format!(
            "the {side} image of the comparison, {}, says no version, so that nobody can tell whether it is the one {what}",
            image.name
        )),
        Some(version) if versions.contains(&&**version) => None,
        Some(version) => Some(format!(
            "the {side} image of the comparison has version {version}, and the image {what} has {}",
            if versions.is_empty() { "none".to_owned() } else { versions.join(", ") }
        )),
    }
}

//! Why one thing did or didn't block.

use std::fmt;

use crate::policy::hint;
use crate::{Decision, Finding, WaiverSummary};

/// What each rule asks for.
pub(crate) const RULES: [(&str, &str); 33] = [
    ("results.none", "results must be given"),
    ("results.damaged", "every run that is given must be readable"),
    ("results.state", "every run that is given must have gone to its end"),
    ("results.seal", "every event log must end with the digest of its lines"),
    ("results.defect", "wheeltap itself must not have gone wrong"),
    ("results.insecure", "somebody must vouch for the image"),
    ("results.fault", "no fault may have been put in on purpose"),
    ("results.identity", "all runs must be of the same image"),
    ("results.age", "runs must be recent, and not younger than the decision"),
    ("results.runs", "as many runs as the policy says must be given"),
    ("results.duplicate", "no case may be in runs of two plans"),
    ("cell.verdict", "every case in a required cell must be good"),
    ("cell.optional", "cases in optional cells inform"),
    ("cell.unknown", "cells that the policy doesn't name inform"),
    ("cell.missing", "every required cell must have run"),
    ("cell.scenarios", "what the policy wants in a cell must have been judged"),
    ("baseline.missing", "the baseline must be given"),
    ("baseline.damaged", "every run of the baseline must be readable"),
    ("baseline.state", "every run of the baseline must have gone to its end"),
    ("baseline.seal", "every event log of the baseline must end with the digest of its lines"),
    ("baseline.defect", "wheeltap itself must not have gone wrong in the baseline"),
    ("baseline.insecure", "somebody must vouch for the image of the baseline"),
    ("baseline.fault", "no fault may have been put into the baseline on purpose"),
    ("baseline.identity", "the baseline must be of another image"),
    ("baseline.runs", "as many runs as the policy says must be in the baseline"),
    ("baseline.open", "what the baseline planned must have been judged in it"),
    ("baseline.scenarios", "what the baseline tested must be tested now"),
    ("baseline.removed", "what is gone on purpose needn't be tested"),
    ("flakes.budget", "not more than the budget may pass only after retries"),
    ("flakes.worse", "cases must pass at the first attempt as often as in the baseline"),
    ("update-path.missing", "every update path must have been tested"),
    ("update-path.verdict", "every case of an update path must be good"),
    ("update-path.target", "updates must have led to the image that is judged"),
];

/// The same for the comparison of images and for waivers.
pub(crate) const MORE_RULES: [(&str, &str); 6] = [
    ("image-diff.missing", "the comparison of images must be given"),
    ("image-diff.damaged", "the comparison of images must be readable"),
    ("image-diff.identity", "the images that were compared must be those that were tested"),
    ("image-diff.rules", "the limits that the policy names must have been checked"),
    ("image-diff.limit", "no limit may be hit"),
    ("waiver.remark", "waivers should be needed and in force"),
];

/// What there is to say about an id.
#[derive(Clone, Debug)]
pub struct Explanation<'a> {
    /// The verdict as a whole.
    decision: &'a Decision,
    /// What was found about it.
    pub findings: Vec<&'a Finding>,
    /// The waivers of this name.
    pub waivers: Vec<&'a WaiverSummary>,
}

/// Looks up a case (`SCENARIO [CELL]`, `CELL/SCENARIO` or a scenario in all cells), a cell, the id of a limit's hit, a waiver, or
/// whatever else a finding is about. Capitals don't matter.
///
/// # Errors
/// If there is no such thing: with the nearest.
pub fn explain<'a>(decision: &'a Decision, id: &str) -> Result<Explanation<'a>, String> {
    let wanted = match id.split_once('/') {
        Some((cell, scenario)) if !id.starts_with(['.', '/']) && !id.contains(':') => {
            format!("{scenario} [{cell}]")
        }
        _ => id.to_owned(),
    }
    .to_lowercase();
    let is_meant = |found: &str| {
        let found = found.to_lowercase();
        found == wanted
            || found.starts_with(&format!("{wanted} ["))
            || found.starts_with(&format!("{wanted} from "))
    };
    let is_waiver = |waiver: Option<&str>| waiver.is_some_and(|it| it.to_lowercase() == wanted);
    let findings: Vec<_> = decision
        .findings
        .iter()
        .filter(|finding| is_meant(&finding.id) || is_waiver(finding.waiver.as_deref()))
        .collect();
    let waivers: Vec<_> =
        decision.waivers.iter().filter(|waiver| is_waiver(Some(&waiver.id))).collect();
    if findings.is_empty() && waivers.is_empty() {
        let ids = decision.findings.iter().map(|finding| &*finding.id);
        let mut known: Vec<_> =
            ids.chain(decision.waivers.iter().map(|waiver| &*waiver.id)).collect();
        known.sort_unstable();
        known.dedup();
        // Hundreds of names help nobody.
        let hint = match hint(id, &known) {
            hint if hint.starts_with("did you mean") => hint,
            _ => "gate.json lists what there is under `findings` and `waivers`".to_owned(),
        };
        return Err(format!("this decision says nothing about `{id}`; {hint}"));
    }
    Ok(Explanation { decision, findings, waivers })
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let Finding { effect, rule, id, text, .. } = finding;
            writeln!(f, "{effect}: {id}\n  {text}")?;
            let asks = RULES.iter().chain(&MORE_RULES).find(|(name, _)| name == rule);
            let asks = asks.map_or(String::new(), |(_, asks)| format!(": {asks}"));
            writeln!(f, "  rule {rule}{asks}")?;
            if let Some(owner) = &finding.owner {
                writeln!(f, "  owner {owner}")?;
            }
            for path in &finding.evidence {
                writeln!(f, "  see {path}")?;
            }
        }
        for waiver in &self.waivers {
            let WaiverSummary { id, owner, tracker, expires, reason, state, accepts } = waiver;
            writeln!(f, "waiver {id} is {state}: until {expires}, {owner}, {tracker}\n  {reason}")?;
            for accepted in accepts {
                writeln!(f, "  accepts {accepted}")?;
            }
        }
        writeln!(f, "the decision as of {} is {}", self.decision.as_of, self.decision.verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::{MORE_RULES, RULES};

    /// Whoever reads a rule's name finds it in the reference.
    #[test]
    fn every_rule_is_documented() {
        let docs = include_str!("../../../docs/gate.md");
        for (rule, _) in RULES.iter().chain(&MORE_RULES) {
            let name = rule.replace("baseline.damaged", "results.damaged");
            assert!(docs.contains(&format!("`{name}`")), "{rule} is not in docs/gate.md");
        }
    }
}

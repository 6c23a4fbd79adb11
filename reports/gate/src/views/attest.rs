//! The decision as an in-toto statement about the image, signed.

use wheeltap_attestation::{
    Envelope, Resource, SigningKey, Statement, Subject, TestResult, Tested,
};

use crate::write::{GATE_FILE, SUMS_FILE};
use crate::{Decision, Effect, Role, Verdict};

/// A signed statement in one line; none if no image is known, since it would be about nothing.
pub(super) fn attest(
    decision: &Decision,
    gate: &str,
    sums: &str,
    key: &SigningKey,
) -> Option<String> {
    let subject: Vec<_> = decision
        .images
        .iter()
        .filter(|image| !image.digest.is_empty())
        .map(|image| Subject::new(&format!("{} {}", image.name, image.version), &image.digest))
        .collect();
    if subject.is_empty() {
        return None;
    }
    let mut configuration = vec![
        Resource::new(GATE_FILE, gate)
            .with("verdict", &decision.verdict.to_string())
            .with("as-of", &decision.as_of.to_string()),
        Resource::new(SUMS_FILE, sums),
    ];
    configuration.extend(
        decision
            .inputs
            .iter()
            .filter(|file| matches!(file.role, Role::Policy | Role::Waivers | Role::ImageDiff))
            .filter_map(|file| Some(Resource::new(&file.path, file.sha256.as_ref()?))),
    );
    let tests = |wanted: &[Effect]| {
        decision
            .findings
            .iter()
            .filter(|finding| wanted.contains(&finding.effect))
            .map(|finding| format!("{}: {}", finding.rule, finding.id))
            .collect()
    };
    let tested = Tested {
        result: match decision.verdict {
            Verdict::Go => TestResult::Passed,
            Verdict::GoWithWaivers => TestResult::Warned,
            Verdict::NoGo | Verdict::Incomplete => TestResult::Failed,
        },
        configuration,
        passed_tests: tests(&[Effect::Fine]),
        warned_tests: tests(&[Effect::Accepted, Effect::Warns]),
        failed_tests: tests(&[Effect::Blocks, Effect::Incomplete]),
    };
    let statement = Statement::new(subject, tested);
    Some(Envelope::sign(&statement.bytes(), std::slice::from_ref(key)).line())
}

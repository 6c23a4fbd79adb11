//! Every scenario can fail: each of its faults turns it red with the cause that was announced, and it is green without.
//!
//! Ignored by default, since it boots some twenty machines; `ci/test` runs it.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use tokio_util::sync::CancellationToken;
use wheeltap::{
    Setup, UpdateSetup,
    engine::{Engine, Request},
};
use wheeltap_reports::{CaseResult, Verdict};
use wheeltap_scenarios::{Fault, LISTED, Scenario, catalogue};

#[test]
#[ignore = "boots some twenty machines; run by ci/test"]
fn every_fault_turns_its_scenarios_red_and_without_it_they_are_green() {
    let image = std::env::var("WHEELTAP_IMAGE").unwrap_or_else(|_| "reference".to_owned());
    let only = std::env::var("WHEELTAP_SCENARIO").ok();
    let scenarios: Vec<&'static Scenario> = catalogue()
        .filter(|scenario| {
            only.as_ref().is_none_or(|only| glob_match::glob_match(only, scenario.name))
        })
        .collect();
    let updates = UpdateSetup::own_if_used(&scenarios, None);
    let setup = Setup { updates, ..Setup::new(image) };
    let mut step = |step: &str| eprintln!("updates: {step}");
    let (world, image) =
        setup.world(CancellationToken::new(), &AtomicBool::new(false), &mut step).unwrap();
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("faults");
    let mut engine = Engine::new(world, image, out);
    // No history is at hand; the longest limit first leaves what is short for the end.
    engine.expected = Arc::new(|case| {
        catalogue().find(|scenario| scenario.name == case.scenario).map(|found| found.timeout)
    });
    let proofs = scenarios
        .iter()
        .flat_map(|scenario| scenario.proofs.iter().map(|proof| (*scenario, proof)))
        .map(|(scenario, proof)| (scenario, Fault::find(proof.fault).unwrap()))
        .collect();
    let request = Request { scenarios: scenarios.clone(), proofs, ..Request::default() };
    let prepared = engine.prepare(&request).unwrap();
    eprintln!("evidence: {}", prepared.directory.display());
    let run = tokio::runtime::Runtime::new().unwrap().block_on(engine.run(&prepared)).unwrap();

    let wrong: Vec<String> = run.cases.iter().filter_map(wrong).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What is wrong with a case, if anything.
fn wrong(case: &CaseResult) -> Option<String> {
    let id = &case.planned.id;
    let headline = case
        .telling_attempt()
        .and_then(|attempt| attempt.failure.as_ref())
        .map_or("no headline", |failure| failure.headline.as_str());
    let Some(fault) = case.planned.faults.first() else {
        let is_green = matches!(case.verdict, Verdict::Pass);
        return (!is_green)
            .then(|| format!("{id} is {}, though nothing is wrong: {headline}", case.verdict));
    };
    let scenario = catalogue().find(|scenario| scenario.name == id.scenario)?;
    let proof = scenario.proofs.iter().find(|proof| proof.fault == fault)?;
    if case.verdict != Verdict::Fail {
        return Some(format!(
            "{id} is {}, though {fault} should turn it red: {headline}",
            case.verdict
        ));
    }
    let told = told(case);
    let missing: Vec<_> = proof
        .headline
        .iter()
        .filter(|words| !told.iter().any(|cause| cause.contains(**words)))
        .collect();
    (!missing.is_empty()).then(|| format!("{id} is red, but not for {missing:?}: {told:#?}"))
}

/// The causes that a case gives: its headline, and each of several failed checks.
fn told(case: &CaseResult) -> Vec<&str> {
    let failure = case.telling_attempt().and_then(|attempt| attempt.failure.as_ref());
    failure.map_or_else(Vec::new, |failure| {
        let listed = failure.detail.lines().filter_map(|line| line.strip_prefix(LISTED));
        std::iter::once(&*failure.headline).chain(listed).collect()
    })
}

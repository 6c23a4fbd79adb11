//! The catalogue: one file per group.

mod boot;
mod ignition;
mod power;
mod reboot;
mod rollback;
mod security;
mod storage;
mod update;

use std::time::Duration;

use crate::scenario::{Needs, Scenario};

/// Every scenario, in the order of their groups.
pub fn catalogue() -> impl Iterator<Item = &'static Scenario> {
    [
        boot::SCENARIOS,
        ignition::SCENARIOS,
        storage::SCENARIOS,
        security::SCENARIOS,
        reboot::SCENARIOS,
        power::SCENARIOS,
        update::SCENARIOS,
        rollback::SCENARIOS,
    ]
    .into_iter()
    .flatten()
}

/// What most scenarios have in common; each names what it adds.
const LOOK: Scenario = Scenario {
    name: "",
    summary: "",
    claims: &[],
    tags: &[],
    needs: Needs::SHARED,
    ignition: |_| None,
    expects: &[],
    proofs: &[],
    // A handful of commands; the boot has a limit of its own, smaller than this.
    timeout: Duration::from_secs(120),
    body: |_| Box::pin(async { Ok(()) }),
};

/// A scenario with a machine of its own, which it may reboot or break.
const ACT: Scenario = Scenario { needs: Needs::OWN, timeout: Duration::from_secs(300), ..LOOK };

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::fault::Fault;

    #[test]
    fn names_are_unique_and_dotted() {
        let names: Vec<_> = catalogue().map(|scenario| scenario.name).collect();
        let unique: BTreeSet<_> = names.iter().collect();
        assert_eq!(names.len(), unique.len());
        assert!(names.iter().all(|name| name.split('.').count() >= 2), "{names:?}");
    }

    #[test]
    fn every_scenario_says_what_it_proves_and_how_it_fails() {
        for scenario in catalogue() {
            assert!(!scenario.summary.is_empty(), "{}: no summary", scenario.name);
            assert!(
                !scenario.summary.ends_with('.'),
                "{}: summary ends in a period",
                scenario.name
            );
            assert!(!scenario.proofs.is_empty(), "{}: no fault turns it red", scenario.name);
        }
    }

    #[test]
    fn every_proof_names_a_fault_and_every_fault_is_used() {
        let faults: BTreeSet<_> = Fault::builtin().unwrap().into_iter().map(|f| f.name).collect();
        let used: BTreeSet<_> = catalogue()
            .flat_map(|scenario| scenario.proofs)
            .map(|proof| Fault::find(proof.fault).unwrap())
            .flat_map(|fault| [vec![fault.name], fault.parts].concat())
            .collect();
        assert_eq!(faults, used);
    }

    #[test]
    fn a_fault_of_several_parts_does_what_each_of_them_does() {
        for fault in Fault::builtin().unwrap() {
            let whole = Fault::find(&fault.name).unwrap().guest.unwrap_or_default();
            for part in fault.parts {
                let part = Fault::find(&part).unwrap();
                assert!(whole.contains(&part.guest.clone().unwrap()), "{}", fault.name);
                let others = [part.ignition.is_some(), part.config.is_some(), part.disk.is_some()];
                assert!(!others.contains(&true), "{}: part {} is more", fault.name, part.name);
            }
        }
    }
}

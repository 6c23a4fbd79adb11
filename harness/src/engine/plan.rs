//! What will run: cases, and which of them share a machine.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    time::Duration,
};

use wheeltap_platforms::{Capability, Firmware};
use wheeltap_reports::{CaseId, Cell, Image, Plan, PlannedCase};
use wheeltap_scenarios::{Fault, ForkKey, MachineNeed, Scenario, World};

use super::{partition::Partition, schedule::Expected};

/// What a run is asked to do.
#[derive(Clone, Debug)]
pub struct Request {
    /// Scenarios, in order.
    pub scenarios: Vec<&'static Scenario>,
    /// Firmware; each makes a cell.
    pub firmware: Vec<Firmware>,
    /// Faults: each scenario runs once with each of these. Without any it runs once, sound.
    pub faults: Vec<Fault>,
    /// Further cases, each with its own fault; for the proof that every scenario can fail.
    pub proofs: Vec<(&'static Scenario, Fault)>,
    /// Whether machines start where others had booted.
    pub fork: ForkMode,
    /// Of all these cases, only those that are named here.
    pub only: Option<BTreeSet<CaseId>>,
    /// The part of the plan that is run here; all of it without.
    pub partition: Option<Partition>,
}

impl Default for Request {
    /// Nothing, by BIOS.
    fn default() -> Self {
        Self {
            scenarios: Vec::new(),
            firmware: vec![Firmware::Bios],
            faults: Vec::new(),
            proofs: Vec::new(),
            fork: ForkMode::Auto,
            only: None,
            partition: None,
        }
    }
}

/// Whether machines start where others had booted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForkMode {
    /// Where the platform can, and several cases have the same machine, or an earlier run has left a state.
    #[default]
    Auto,
    /// Every machine boots.
    Off,
    /// Where the platform can, also for a single case; one that has to boot in spite of that is not judged.
    Require,
}

/// One case: a scenario in a cell, perhaps with a fault.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its identity.
    pub id: CaseId,
    /// What it runs.
    pub scenario: &'static Scenario,
    /// Firmware of its machines.
    pub firmware: Firmware,
    /// A fault put into it.
    pub fault: Option<Fault>,
}

/// Cases that run one after the other: on one machine that they share, or a single one with machines of its own.
#[derive(Clone, Debug)]
pub(crate) enum Unit {
    /// They share a machine.
    Shared {
        /// Name of the machine's directory, unique in the cell.
        name: String,
        cases: Vec<Case>,
    },
    /// It has machines of its own, the first of which may start where another had booted.
    Alone { case: Box<Case>, fork: Option<Start> },
}

/// What the first machine of a case starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// Its place in [`Planned::forks`].
    pub(crate) point: usize,
    /// Whether it is the first of those that start from there, so that it is the one to boot it.
    leads: bool,
}

impl Unit {
    /// How many machines run at the same time.
    pub(crate) fn machines(&self) -> usize {
        match self {
            Self::Shared { .. } => 1,
            Self::Alone { case, .. } => case.scenario.needs.machines,
        }
    }
}

/// A plan, and how it is carried out.
#[derive(Debug)]
pub struct Planned {
    /// The promise, as it is written down.
    pub plan: Plan,
    /// The places of the cases in the plan that are run here; `None` if all are.
    pub(crate) selected: Option<Vec<usize>>,
    pub(crate) units: Vec<Unit>,
    /// What machines start from; units name them by their place.
    pub(crate) forks: Vec<ForkPlan>,
    pub(crate) fork: ForkMode,
}

/// Something that machines start from.
#[derive(Clone, Debug)]
pub(crate) struct ForkPlan {
    pub(crate) key: ForkKey,
    /// How many cases start from there.
    pub(crate) users: usize,
}

impl Planned {
    /// Runs only these cases. The promise stays what it is.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&CaseId) -> bool) {
        self.units.retain_mut(|unit| match unit {
            Unit::Shared { cases, .. } => {
                cases.retain(|case| wanted(&case.id));
                !cases.is_empty()
            }
            Unit::Alone { case, .. } => wanted(&case.id),
        });
    }

    /// Decides what will run. Nothing has been booted by then.
    #[must_use]
    pub fn new(
        run: String,
        request: &Request,
        world: &World,
        image: Image,
        expected: &Expected,
    ) -> Self {
        let mut cases = cases(request, world);
        if let Some(only) = &request.only {
            cases.retain(|case| only.contains(&case.id));
        }
        let arch = arch();
        let mut cells: BTreeMap<String, Cell> = BTreeMap::new();
        let mut planned = Vec::new();
        let mut runnable = Vec::new();
        for case in cases {
            let firmware = has_firmware(world).then(|| case.firmware.to_string());
            cells.entry(case.id.cell.clone()).or_insert_with(|| Cell {
                name: case.id.cell.clone(),
                platform: world.platform.name().to_owned(),
                arch: arch.to_owned(),
                firmware,
                variant: case.fault.as_ref().map(|fault| fault.name.clone()),
            });
            let needs = &case.scenario.needs;
            let skip = case
                .scenario
                .unmet(world.platform.capabilities(), &world.profile, case.firmware)
                .or_else(|| world.updates.unmet(needs.update));
            planned.push(PlannedCase {
                id: case.id.clone(),
                summary: case.scenario.summary.to_owned(),
                claims: case.scenario.claims.iter().map(|&claim| claim.to_owned()).collect(),
                tags: case.scenario.tags.iter().map(|&tag| tag.to_owned()).collect(),
                faults: case.fault.iter().map(|fault| fault.name.clone()).collect(),
                skip: skip.clone(),
            });
            if skip.is_none() {
                runnable.push((planned.len() - 1, case));
            }
        }
        let selected = request.partition.map(|partition| selected(partition, &planned, expected));
        let is_selected = |place: &usize| {
            selected.as_ref().is_none_or(|selected| selected.binary_search(place).is_ok())
        };
        let runnable = runnable.into_iter().filter(|(place, _)| is_selected(place));
        let runnable = runnable.map(|(_, case)| case).collect();
        let plan = Plan {
            version: wheeltap_reports::FORMAT_VERSION,
            run,
            created: jiff::Timestamp::now(),
            image,
            seed: None,
            repeat: None,
            cells: cells.into_values().collect(),
            cases: planned,
        };
        let mut units = units(runnable, world.platform.capabilities());
        let forks =
            if request.fork == ForkMode::Off { Vec::new() } else { forks(&mut units, world) };
        units.sort_by_key(urgency);
        Self { plan, selected, units, forks, fork: request.fork }
    }
}

/// The places of the cases of one part. What is skipped takes no time.
fn selected(partition: Partition, planned: &[PlannedCase], expected: &Expected) -> Vec<usize> {
    let duration = |case: &PlannedCase| match &case.skip {
        Some(_) => Some(Duration::ZERO),
        None => expected(&case.id),
    };
    let cases: Vec<_> = planned.iter().map(|case| (&case.id, duration(case))).collect();
    partition.select(&cases)
}

fn has_firmware(world: &World) -> bool {
    world.platform.capabilities().contains(&Capability::Firmware)
}

/// Architectures by the names that the images use.
pub(crate) fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn cases(request: &Request, world: &World) -> Vec<Case> {
    let firmwares: &[Firmware] =
        if has_firmware(world) { &request.firmware } else { &[Firmware::Bios] };
    let platform = world.platform.name();
    let case = |scenario: &'static Scenario, firmware: Firmware, fault: Option<&Fault>| {
        let place = if has_firmware(world) {
            format!("{platform}_{firmware}.{}", arch())
        } else {
            format!("{platform}.{}", arch())
        };
        let cell = match fault {
            Some(fault) => format!("{place}+{}", fault.name),
            None => place,
        };
        Case { id: CaseId::new(scenario.name, cell), scenario, firmware, fault: fault.cloned() }
    };
    let mut cases = Vec::new();
    for &firmware in firmwares {
        for (scenario, fault) in &request.proofs {
            cases.push(case(scenario, firmware, Some(fault)));
        }
        for &scenario in &request.scenarios {
            if request.faults.is_empty() {
                cases.push(case(scenario, firmware, None));
            }
            cases.extend(request.faults.iter().map(|fault| case(scenario, firmware, Some(fault))));
        }
    }
    cases
}

/// Groups the cases that share a machine. Those that only look do so where machines boot and can't be forked; without
/// fresh boots there is only the one machine, so all share it.
fn units(cases: Vec<Case>, capabilities: &[Capability]) -> Vec<Unit> {
    let boots = capabilities.contains(&Capability::FreshBoot);
    let forks = capabilities.contains(&Capability::Fork);
    let mut shared: Vec<(Firmware, Vec<Case>)> = Vec::new();
    let mut alone = Vec::new();
    for case in cases {
        let reversible = case.fault.as_ref().is_none_or(Fault::is_reversible);
        let looks = case.scenario.needs.machine == MachineNeed::Shared;
        if boots && (forks || !looks || !reversible) {
            alone.push(Unit::Alone { case: Box::new(case), fork: None });
            continue;
        }
        match shared.iter_mut().find(|(firmware, _)| *firmware == case.firmware) {
            Some((_, cases)) => cases.push(case),
            None => shared.push((case.firmware, vec![case])),
        }
    }
    let shared = shared.into_iter().map(|(firmware, mut cases)| {
        // Sound cases come last: they then also prove that every fault before them was taken back.
        cases.sort_by_key(|case| case.fault.is_none());
        Unit::Shared { name: format!("shared-{firmware}"), cases }
    });
    shared.chain(alone).collect()
}

/// What comes first: a shared machine, since it serves the most cases; what takes several machines, since it is hardest to
/// fit in; the first of those that start from one state, since the others wait for it; and these last.
fn urgency(unit: &Unit) -> (u8, Reverse<usize>) {
    let class = match unit {
        Unit::Shared { .. } => 0,
        Unit::Alone { case, .. } if case.scenario.needs.machines > 1 => 1,
        Unit::Alone { fork: Some(Start { leads: true, .. }), .. } => 2,
        Unit::Alone { fork: None, .. } => 3,
        Unit::Alone { fork: Some(_), .. } => 4,
    };
    (class, Reverse(unit.machines()))
}

/// Finds the cases whose machines are the same until a scenario touches them, and what they start from.
fn forks(units: &mut [Unit], world: &World) -> Vec<ForkPlan> {
    // A scenario has the same machine in every case with the same fault, and there may be thousands.
    let mut known: HashMap<_, Option<ForkKey>> = HashMap::new();
    let keys = units.iter().map(|unit| {
        let Unit::Alone { case, .. } = unit else { return None };
        let fault = case.fault.as_ref();
        let same = (case.scenario.name, fault.map(|fault| fault.name.clone()), case.firmware);
        let key = known.entry(same).or_insert_with(|| {
            let hardware = case.scenario.needs.hardware(case.firmware);
            ForkKey::of(world, case.scenario, hardware, fault)
        });
        key.clone()
    });
    let keys: Vec<_> = keys.collect();
    let (places, found) = grouped(&keys);
    let mut led = vec![false; found.len()];
    for (unit, place) in units.iter_mut().zip(places) {
        if let Unit::Alone { fork, .. } = unit {
            *fork = place.map(|point| {
                let leads = !std::mem::replace(&mut led[point], true);
                Start { point, leads }
            });
        }
    }
    found.into_iter().map(|(key, users)| ForkPlan { key, users }).collect()
}

/// What there is to start from, each once, with the number of those that have it; and for each of them its place.
fn grouped<K: Clone + Eq + Hash>(keys: &[Option<K>]) -> (Vec<Option<usize>>, Vec<(K, usize)>) {
    let (mut found, mut places) = (Vec::new(), HashMap::new());
    let mut place_of = |key: &K| {
        let place = *places.entry(key.clone()).or_insert_with(|| {
            found.push((key.clone(), 0));
            found.len() - 1
        });
        found[place].1 += 1;
        place
    };
    let places = keys.iter().map(|key| key.as_ref().map(&mut place_of)).collect();
    (places, found)
}

#[cfg(test)]
mod tests {
    use wheeltap_scenarios::catalogue;

    use super::*;

    fn case(name: &str, fault: Option<&str>) -> Case {
        let scenario = catalogue().find(|scenario| scenario.name == name).unwrap();
        let fault = fault.map(|name| Fault::find(name).unwrap());
        let id = CaseId::new(name, "qemu_bios.amd64");
        Case { id, scenario, firmware: Firmware::Bios, fault }
    }

    fn shape(units: &[Unit]) -> Vec<String> {
        units
            .iter()
            .map(|unit| match unit {
                Unit::Shared { cases, .. } => {
                    cases.iter().map(|case| case.scenario.name).collect::<Vec<_>>().join("+")
                }
                Unit::Alone { case, .. } => case.scenario.name.to_owned(),
            })
            .collect()
    }

    /// What QEMU offers, and what a platform would that boots machines and can't fork them.
    const FORKING: &[Capability] = &[Capability::FreshBoot, Capability::Fork];
    const BOOTING: &[Capability] = &[Capability::FreshBoot];

    #[test]
    fn where_machines_fork_each_case_has_its_own() {
        let cases = ["boot.multi-user", "reboot.clean", "boot.release"];
        let units = units(cases.iter().map(|name| case(name, None)).collect(), FORKING);
        assert_eq!(shape(&units), cases);
    }

    #[test]
    fn elsewhere_looks_share_a_machine_and_acts_have_their_own() {
        let cases = ["boot.multi-user", "reboot.clean", "boot.release"];
        let units = units(cases.iter().map(|name| case(name, None)).collect(), BOOTING);
        assert_eq!(shape(&units), ["boot.multi-user+boot.release", "reboot.clean"]);
    }

    #[test]
    fn reversible_faults_share_and_others_do_not() {
        let cases = vec![
            case("boot.multi-user", None),
            case("boot.multi-user", Some("failing-unit")),
            case("boot.multi-user", Some("stuck-unit")),
        ];
        let units = units(cases, BOOTING);
        assert_eq!(shape(&units), ["boot.multi-user+boot.multi-user", "boot.multi-user"]);
        let Unit::Shared { cases, .. } = &units[0] else { panic!("the first unit is shared") };
        assert!(cases[0].fault.is_some() && cases[1].fault.is_none(), "sound cases come last");
    }

    #[test]
    fn without_fresh_boots_everything_is_on_the_one_machine() {
        let units = units(vec![case("boot.release", None), case("reboot.clean", None)], &[]);
        assert_eq!(shape(&units), ["boot.release+reboot.clean"]);
    }

    #[test]
    fn what_others_wait_for_comes_first() {
        let start = |point, leads| Some(Start { point, leads });
        let mut units: Vec<Unit> = [
            ("boot.release", start(0, true)),
            ("boot.multi-user", start(0, false)),
            ("ignition.bad-config", None),
            ("reboot.clean", start(1, true)),
            ("boot.machine-id", None),
        ]
        .into_iter()
        .map(|(name, fork)| Unit::Alone { case: Box::new(case(name, None)), fork })
        .collect();
        units.sort_by_key(urgency);
        assert_eq!(
            shape(&units),
            [
                "boot.machine-id",
                "boot.release",
                "reboot.clean",
                "ignition.bad-config",
                "boot.multi-user"
            ]
        );
    }

    #[test]
    fn what_several_have_is_found_once() {
        let keys = [Some('a'), None, Some('b'), Some('a'), Some('c'), Some('b')];
        let (places, found) = grouped(&keys);
        assert_eq!(found, [('a', 2), ('b', 2), ('c', 1)]);
        assert_eq!(places, [Some(0), None, Some(1), Some(0), Some(2), Some(1)]);
    }
}

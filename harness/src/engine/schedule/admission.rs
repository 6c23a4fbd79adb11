//! From the plan's units to tasks, and from the host to what there is for them.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use wheeltap_platforms::{Firmware, Hardware};
use wheeltap_reports::CaseId;
use wheeltap_scenarios::{Scenario, UpdateNeed};

use super::{Capacity, Jobs, Task};
use crate::engine::{
    host,
    plan::{Case, Unit},
};

/// What history expects of a case, if it knows it.
pub type Expected = Arc<dyn Fn(&CaseId) -> Option<Duration> + Send + Sync>;

/// What a QEMU process needs beside the guest's memory, in MiB: its own code, device state and translated code.
const OVERHEAD_MIB: u64 = 256;

/// By how much the overlay of a machine's disk grows, in MiB: a first boot grows the root file system and writes the journal,
/// and a scenario some files. An estimate on the safe side, since QEMU stops a machine whose disk is full.
const OVERLAY_MIB: u64 = 512;

/// What an update writes, in MiB: a `/usr` of 1 GiB, which is Flatcar's, a kernel, and the payload on its way.
const UPDATE_MIB: u64 = 1_536;

/// Disk that is left alone, in MiB: for logs and reports, and for whoever else writes to it.
const SPARE_MIB: u64 = 1_024;

/// What units need. Where machines exist already (`boots` is false), that is nothing of this host's.
pub(crate) fn tasks(
    units: &[Unit],
    boots: bool,
    groups: &dyn Fn(&Scenario) -> Vec<String>,
    expected: &Expected,
) -> Vec<Task> {
    units
        .iter()
        .map(|unit| {
            let (name, cases) = match unit {
                Unit::Alone { case, .. } => (case.id.to_string(), std::slice::from_ref(&**case)),
                Unit::Shared { name, cases } => {
                    (format!("{name} ({} cases)", cases.len()), cases.as_slice())
                }
            };
            let mut task = Task {
                name,
                machines: unit.machines(),
                groups: cases.iter().flat_map(|case| groups(case.scenario)).collect(),
                cases: cases.len(),
                expected: together(cases.iter().map(|case| expected(&case.id))),
                ..Task::default()
            };
            // Cases that share a machine get the one that the first of them asks for.
            if let Some(Case { scenario, firmware, .. }) = cases.first().filter(|_| boots) {
                let machines = u64::try_from(task.machines).unwrap_or(u64::MAX);
                let hardware = scenario.needs.hardware(*firmware);
                task.memory_mib = machines * (u64::from(hardware.memory_mib) + OVERHEAD_MIB);
                task.cpus = machines * u64::from(hardware.cpus);
                task.disk_mib = machines * disk_mib(scenario, *firmware);
            }
            task
        })
        .collect()
}

/// The sum. What is unknown counts as the mean of the known; if all is unknown, so is the sum.
fn together(cases: impl Iterator<Item = Option<Duration>>) -> Option<Duration> {
    let cases: Vec<Option<Duration>> = cases.collect();
    let known: Vec<Duration> = cases.iter().flatten().copied().collect();
    let sum: Duration = known.iter().sum();
    (!known.is_empty()).then(|| sum.mul_f64(cases.len() as f64 / known.len() as f64))
}

fn disk_mib(scenario: &Scenario, firmware: Firmware) -> u64 {
    let extra: u64 =
        scenario.needs.hardware(firmware).disks.iter().map(|disk| u64::from(disk.size_mib)).sum();
    let update = if scenario.needs.update == UpdateNeed::None { 0 } else { UPDATE_MIB };
    OVERLAY_MIB + extra + update
}

/// What there is: on this host, and on the file system of the run's directory. Of that, `states` saved machines get their part
/// beforehand: they stay for the whole run.
pub(crate) fn capacity(
    jobs: Jobs,
    directory: &Path,
    states: usize,
    groups: BTreeMap<String, u64>,
) -> Capacity {
    let state = u64::from(Hardware::default().memory_mib) + OVERLAY_MIB;
    let kept = state * u64::try_from(states).unwrap_or(u64::MAX) + SPARE_MIB;
    Capacity {
        disk_mib: host::free_disk_mib(directory).map(|free| free.saturating_sub(kept)),
        groups,
        ..jobs.capacity(host::cpus(), host::available_memory_mib())
    }
}

#[cfg(test)]
mod tests {
    use wheeltap_scenarios::catalogue;

    use super::*;

    fn case(name: &str) -> Case {
        let scenario = catalogue().find(|scenario| scenario.name == name).unwrap();
        let id = CaseId::new(name, "qemu_bios.amd64");
        Case { id, scenario, firmware: Firmware::Bios, fault: None }
    }

    fn known(seconds: &'static [(&str, u64)]) -> Expected {
        Arc::new(move |case| {
            let found = seconds.iter().find(|(name, _)| *name == case.scenario)?;
            Some(Duration::from_secs(found.1))
        })
    }

    fn groups(scenario: &Scenario) -> Vec<String> {
        let is_update = scenario.needs.update != UpdateNeed::None;
        is_update.then(|| "updates".to_owned()).into_iter().collect()
    }

    #[test]
    fn a_unit_needs_what_its_machines_need() {
        let update = catalogue().find(|scenario| scenario.needs.update != UpdateNeed::None);
        let update = update.unwrap().name;
        let units = [
            Unit::Alone { case: Box::new(case(update)), fork: None },
            Unit::Shared {
                name: "shared-bios".to_owned(),
                cases: vec![case("boot.release"), case("boot.multi-user")],
            },
        ];
        let tasks = tasks(&units, true, &groups, &known(&[("boot.release", 7)]));
        assert_eq!(tasks[0].name, format!("{update} [qemu_bios.amd64]"));
        assert_eq!((tasks[0].machines, tasks[0].memory_mib, tasks[0].cpus), (1, 1280, 1));
        assert_eq!((tasks[0].disk_mib, &*tasks[0].groups), (2048, &["updates".to_owned()][..]));
        assert_eq!((tasks[0].cases, tasks[0].expected), (1, None));
        assert_eq!(tasks[1].name, "shared-bios (2 cases)");
        assert_eq!((tasks[1].disk_mib, tasks[1].groups.len()), (512, 0));
        let expected = Some(Duration::from_secs(14));
        assert_eq!((tasks[1].cases, tasks[1].expected), (2, expected));
    }

    #[test]
    fn machines_that_exist_take_nothing_of_the_host() {
        let unit =
            Unit::Shared { name: "shared-bios".to_owned(), cases: vec![case("boot.release")] };
        let task = &tasks(&[unit], false, &groups, &known(&[]))[0];
        assert_eq!((task.machines, task.memory_mib, task.cpus, task.disk_mib), (1, 0, 0, 0));
    }

    #[test]
    fn several_machines_need_everything_several_times() {
        let several = catalogue().find(|scenario| scenario.needs.machines > 1).unwrap();
        let hardware = several.needs.hardware(Firmware::Bios);
        let unit = Unit::Alone { case: Box::new(case(several.name)), fork: None };
        let task = &tasks(&[unit], true, &groups, &known(&[]))[0];
        let machines = several.needs.machines as u64;
        assert_eq!(task.memory_mib, machines * (u64::from(hardware.memory_mib) + OVERHEAD_MIB));
        assert_eq!(task.cpus, machines * u64::from(hardware.cpus));
    }

    #[test]
    fn the_disk_is_that_of_the_run() {
        let here = capacity(Jobs::Auto, Path::new("."), 0, BTreeMap::new()).disk_mib.unwrap();
        let with_states =
            capacity(Jobs::Auto, Path::new("."), 2, BTreeMap::new()).disk_mib.unwrap();
        assert!(with_states < here, "{with_states} MiB beside two states, {here} MiB without");
        let nowhere = capacity(Jobs::Auto, Path::new("/nonexistent"), 0, BTreeMap::new());
        assert_eq!(nowhere.disk_mib, None, "what can't be known limits nothing");
    }
}

//! What the machines of a run start from, and where that is kept.

use std::{fs, path::Path, sync::Arc};

use wheeltap_platforms::states::States;
use wheeltap_reports::{Event, EventLog};
use wheeltap_scenarios::{ForkPoint, ForkPolicy, World};

use super::{
    plan::{ForkMode, ForkPlan, Planned},
    record::append,
};

/// What units start from, in the plan's order. Nothing is booted yet.
pub(super) fn points(
    world: &Arc<World>,
    planned: &Planned,
    repeat: u32,
    directory: &Path,
    log: &EventLog,
) -> Vec<Arc<ForkPoint>> {
    if planned.forks.is_empty() {
        return Vec::new();
    }
    let required = planned.fork == ForkMode::Require;
    let policy = ForkPolicy { states: states(world, directory, log), required };
    let evidence = directory.join("forks");
    // Those of an earlier part of this run stay.
    let before = fs::read_dir(&evidence).map_or(0, Iterator::count);
    let point = |(index, ForkPlan { key, users }): (usize, &ForkPlan)| {
        let name = format!("boot-{}", before + index + 1);
        let evidence = evidence.join(&name);
        let users = users.saturating_mul(usize::try_from(repeat).unwrap_or(usize::MAX));
        let world = Arc::clone(world);
        Arc::new(ForkPoint::new(world, key.clone(), policy.clone(), users, name, evidence))
    };
    planned.forks.iter().enumerate().map(point).collect()
}

/// Where states are kept: for later runs too if that can be, else in the run's directory, for as long as it runs.
fn states(world: &World, directory: &Path, log: &EventLog) -> Arc<States> {
    let note = |text| append(log, Event::Note { text });
    if let Some(states) = &world.states {
        match states.prepare() {
            Ok(()) => return Arc::clone(states),
            Err(error) => note(format!("{error}, so machines are saved for this run only")),
        }
    }
    let own = States::temporary(directory.join("forks/states"));
    if let Err(error) = own.prepare() {
        note(format!("{error}, so machines can't be saved"));
    }
    Arc::new(own)
}

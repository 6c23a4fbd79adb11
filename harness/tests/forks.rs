//! States that are kept from run to run, on the reference image: found again, repaired, and refused.
//!
//! Ignored by default, since it boots some machines; `ci/test` runs it.

#![expect(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

use std::{
    fs,
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use tokio_util::sync::CancellationToken;
use wheeltap::{
    Setup,
    engine::{Engine, ForkMode, Request},
    settings::Settings,
};
use wheeltap_platforms::states::States;
use wheeltap_reports::{Happening, Origin, Run, Verdict};
use wheeltap_scenarios::catalogue;

/// Runs one scenario that only looks, and keeps its state there.
fn run(states: &Path, fork: ForkMode) -> Run {
    let setup = Setup::new("reference");
    let (mut world, image) =
        setup.world(CancellationToken::new(), &AtomicBool::new(false), &mut |_| ()).unwrap();
    world.states = Some(Arc::new(States::at(states, u64::MAX)));
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("forks");
    let mut settings = Settings::default();
    // A second attempt would hide what became of the first.
    settings.case.retries.infra = 0;
    let engine = Engine { settings: Arc::new(settings), ..Engine::new(world, image, out) };
    let request = Request {
        scenarios: catalogue().filter(|scenario| scenario.name == "boot.release").collect(),
        fork,
        ..Request::default()
    };
    let prepared = engine.prepare(&request).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(engine.run(&prepared)).unwrap()
}

/// Where the machines came from, in order.
fn origins(run: &Run) -> Vec<Origin> {
    let timeline = run.cases.iter().flat_map(|case| &case.attempts).flat_map(|one| &one.timeline);
    timeline
        .filter_map(|moment| match moment.what {
            Happening::Machine { origin, .. } => Some(origin),
            _ => None,
        })
        .collect()
}

fn steps(run: &Run) -> String {
    let timeline = run.cases.iter().flat_map(|case| &case.attempts).flat_map(|one| &one.timeline);
    let steps = timeline.filter_map(|moment| match &moment.what {
        Happening::Step { text } => Some(text.as_str()),
        _ => None,
    });
    steps.collect::<Vec<_>>().join("\n")
}

fn verdict(run: &Run) -> Verdict {
    run.cases[0].verdict
}

fn names(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

/// Overwrites the middle of a file, and leaves its size and its time as they were.
fn damage(file: &Path) {
    let file = fs::File::options().write(true).open(file).unwrap();
    let before = file.metadata().unwrap();
    file.write_all_at(&[0xA5; 4096], before.len() / 2).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
}

#[test]
#[ignore = "boots some machines; run by ci/test"]
fn a_state_lasts_until_it_is_damaged() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let states = directory.path().join("states");

    let made = run(&states, ForkMode::Require);
    assert_eq!((verdict(&made), origins(&made)), (Verdict::Pass, vec![Origin::Boot, Origin::Fork]));
    let [state] = &*names(&states) else { panic!("there is more than one state") };
    for (file, mode) in [("key", 0o600), ("config.json", 0o600), ("", 0o700)] {
        let permissions = fs::metadata(state.join(file)).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, mode, "{file}");
    }

    let found = run(&states, ForkMode::Auto);
    assert_eq!((verdict(&found), origins(&found)), (Verdict::Pass, vec![Origin::Fork]));
    let off = run(&states, ForkMode::Off);
    assert_eq!((verdict(&off), origins(&off)), (Verdict::Pass, vec![Origin::Boot]));

    // Nobody can tell before QEMU reads it.
    damage(&state.join("devices"));
    let refused = run(&states, ForkMode::Require);
    assert_eq!(verdict(&refused), Verdict::Infra);
    assert!(names(&states).is_empty(), "a state that doesn't come up is removed");

    run(&states, ForkMode::Require);
    damage(&state.join("devices"));
    let repaired = run(&states, ForkMode::Auto);
    assert_eq!(verdict(&repaired), Verdict::Pass);
    assert_eq!(origins(&repaired), [Origin::Boot], "QEMU read no state, and the case booted");
    assert!(steps(&repaired).contains("does not come up"), "{}", steps(&repaired));
    assert!(names(&states).is_empty());

    run(&states, ForkMode::Require);
    let memory = fs::File::options().write(true).open(state.join("memory")).unwrap();
    memory.set_len(1 << 20).unwrap();
    let remade = run(&states, ForkMode::Require);
    assert_eq!(verdict(&remade), Verdict::Pass);
    assert_eq!(origins(&remade), [Origin::Boot, Origin::Fork]);
}

//! The cases of one unit, one after the other.

use std::{
    collections::VecDeque,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use wheeltap_reports::{Event, EventLog};
use wheeltap_scenarios::{ForkPoint, SharedMachine, World, ignition::Fragment};

use super::{
    attempt::{Attempt, Ended},
    plan::{Case, Unit},
    record::{Recorder, append},
    run::Progress,
};

/// Runs the units of one run.
pub(crate) struct UnitRunner {
    pub(crate) world: Arc<World>,
    pub(crate) log: Arc<EventLog>,
    pub(crate) run_directory: PathBuf,
    pub(crate) progress: Arc<dyn Progress>,
    /// What machines start from.
    pub(crate) forks: Vec<Arc<ForkPoint>>,
}

impl UnitRunner {
    pub(crate) async fn run(&self, unit: Unit) {
        match unit {
            Unit::Alone { case, fork } => {
                let recorder = self.recorder(&case);
                let fork = fork.and_then(|index| self.forks.get(index));
                if !self.is_cancelled() {
                    self.case(&case, &recorder, None, fork).await;
                }
            }
            Unit::Shared { name, cases } => self.shared(&name, cases.into()).await,
        }
    }

    fn is_cancelled(&self) -> bool {
        self.world.cancel.is_cancelled()
    }

    fn recorder(&self, first: &Case) -> Arc<Recorder> {
        Arc::new(Recorder::new(Arc::clone(&self.log), first.id.clone()))
    }

    /// Runs cases on a machine that they share. A case that breaks it gets those after it a new one.
    async fn shared(&self, name: &str, mut cases: VecDeque<Case>) {
        let mut boots = 0;
        while let Some(first) = cases.front() {
            boots += 1;
            let recorder = self.recorder(first);
            let directory = Path::new("cells").join(name).join(format!("boot-{boots}")).join("m1");
            let shared = Arc::new(SharedMachine::new(
                Arc::clone(&self.world),
                first.scenario.needs.hardware(first.firmware),
                fragments(&cases, &self.world),
                self.run_directory.join(&directory),
                Arc::clone(&recorder) as _,
            ));
            while let Some(case) = cases.pop_front() {
                if self.is_cancelled() {
                    break;
                }
                if let Err(error) = self.link_machine(&directory, &case) {
                    recorder.note(format!("no link to the shared machine's evidence: {error}"));
                }
                let ended = self.case(&case, &recorder, Some(&shared), None).await;
                // A machine that never came up fails everybody at once; another boot would only fail again.
                if ended.spoilt && shared.is_up() {
                    break;
                }
            }
            shared.destroy().await;
            if self.is_cancelled() {
                break;
            }
        }
    }

    async fn case(
        &self,
        case: &Case,
        recorder: &Arc<Recorder>,
        shared: Option<&Arc<SharedMachine>>,
        fork: Option<&Arc<ForkPoint>>,
    ) -> Ended {
        let started = Instant::now();
        let number = 1;
        recorder.switch_to(&case.id, number);
        self.progress.started(&case.id);
        recorder.append(Event::AttemptStarted {
            case: case.id.clone(),
            attempt: number,
            dir: Attempt::directory(case, number).to_string_lossy().into_owned(),
        });
        let attempt = Attempt {
            world: &self.world,
            case,
            number,
            recorder,
            run_directory: &self.run_directory,
            shared,
            fork,
        };
        let ended = attempt.run().await;
        let seconds = started.elapsed().as_secs_f64();
        let (id, verdict, reason) = (case.id.clone(), ended.verdict, ended.reason.clone());
        append(&self.log, Event::CaseEnded { case: id, verdict, reason, seconds });
        // The JUnit report is there for whoever kills the run. That it can't be written is said at the end.
        if let Err(error) = wheeltap_reports::write_all(&self.run_directory) {
            tracing::warn!("{error}");
        }
        self.progress.ended(&case.id, &ended, seconds);
        ended
    }

    /// Makes the shared machine's evidence appear in the attempt's directory, where it is looked for.
    fn link_machine(&self, machine: &Path, case: &Case) -> io::Result<()> {
        let attempt = Attempt::directory(case, 1);
        fs::create_dir_all(self.run_directory.join(&attempt))?;
        let up: PathBuf = attempt.components().map(|_| "..").collect();
        symlink(up.join(machine), self.run_directory.join(attempt).join("m1"))
    }
}

/// What the cases bring to the config, each once: a scenario with several faults is there several times.
fn fragments(cases: &VecDeque<Case>, world: &World) -> Vec<Fragment> {
    let mut seen = Vec::new();
    cases
        .iter()
        .filter(|case| {
            let new = !seen.contains(&case.scenario.name);
            seen.push(case.scenario.name);
            new
        })
        .filter_map(|case| (case.scenario.ignition)(&world.profile))
        .collect()
}

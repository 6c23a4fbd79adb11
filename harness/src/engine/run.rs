//! A run: its directory, its events, and all of its units.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    os::unix::fs::{DirBuilderExt as _, symlink},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Instant,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use wheeltap_platforms::{
    Capability,
    lease::{LeasedFiles, Leases},
};
use wheeltap_reports::{CaseId, CaseResult, Event, EventLog, Image, Plan, Record, Run, Verdict};
use wheeltap_scenarios::{Scenario, World};

use super::{
    budget::Budget,
    forks, host,
    plan::{Planned, Request},
    record::append,
    schedule::{self, Expected, Jobs, Queue, Scheduler, Task},
    unit::{Tried, UnitRunner},
};
use crate::settings::Settings;

/// Is told what a run does, for the screen.
pub trait Progress: Send + Sync {
    /// What it promises, before its first event, and its directory.
    fn planned(&self, _plan: &Plan, _directory: &Path) {}

    /// An event was appended to its log. They come in the log's order, and the log is locked meanwhile: this must neither
    /// append to it nor wait for a slow reader.
    fn event(&self, record: &Record);
}

/// Shows nothing.
#[derive(Debug)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _record: &Record) {}
}

/// Why a run could not begin, or its results not be kept.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Its directory can't be made.
    #[error("can't make {}: {source}; choose another place with --out", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A run can't go on, because it would not be the same run.
    #[error("{} can't be resumed: {why}", run.display())]
    OtherPlan {
        /// Its directory.
        run: PathBuf,
        /// What has changed.
        why: String,
    },
    /// Events or reports can't be written or read back.
    #[error(transparent)]
    Reports(#[from] wheeltap_reports::Error),
}

/// Carries out a run.
pub struct Engine {
    /// What is the same for every attempt.
    pub world: Arc<World>,
    /// What is tested, for the reports.
    pub image: Image,
    /// How many machines at the same time.
    pub jobs: Jobs,
    /// Groups, retries and limits of each case, and when the run ends early.
    pub settings: Arc<Settings>,
    /// How often each case is run, whatever comes of it; more than once measures how often it passes, and nothing is retried.
    pub repeat: u32,
    /// How long each case is expected to run, as history has it.
    pub expected: Expected,
    /// The command line, for the reports.
    pub command: Vec<String>,
    /// Parent of the run's directory.
    pub out: PathBuf,
    /// The screen.
    pub progress: Arc<dyn Progress>,
}

/// A run that has a directory and a plan, and has not booted anything.
pub struct Prepared {
    /// The run's directory.
    pub directory: PathBuf,
    planned: Planned,
    log: Arc<EventLog>,
    /// What an earlier part of the run had attempted.
    earlier: HashMap<CaseId, Vec<Tried>>,
}

impl Prepared {
    /// Records what a signal did, when it comes.
    pub fn interrupted(&self, signal: &str) {
        append(&self.log, Event::RunInterrupted { signal: signal.to_owned() });
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &wheeltap_reports::Plan {
        &self.planned.plan
    }
}

impl Engine {
    /// Everything as by default: as much as the host can at the same time, each case once, nothing shown.
    #[must_use]
    pub fn new(world: World, image: Image, out: PathBuf) -> Self {
        Self {
            world: Arc::new(world),
            image,
            jobs: Jobs::Auto,
            settings: Arc::default(),
            repeat: 1,
            expected: Arc::new(|_| None),
            command: std::env::args().collect(),
            out,
            progress: Arc::new(Silent),
        }
    }

    /// Decides what will run, and writes that down.
    ///
    /// # Errors
    /// If the run's directory can't be made or written.
    pub fn prepare(&self, request: &Request) -> Result<Prepared, EngineError> {
        let (run, directory) = self.make_directory()?;
        let image = self.image.clone();
        let mut planned = Planned::new(run.clone(), request, &self.world, image, &self.expected);
        if let (Some(partition), Some(selected)) = (request.partition, &planned.selected) {
            let (some, all) = (selected.len(), planned.plan.cases.len());
            tracing::info!("{partition} of the plan is run: {some} of {all} cases");
        }
        planned.plan.repeat = repeat(self.repeat);
        let _lease = lease(&directory);
        planned.plan.write(&directory)?;
        let log = self.shown(EventLog::create(&directory)?, &planned.plan, &directory);
        log.append(Event::RunStarted {
            run: run.clone(),
            wheeltap: env!("CARGO_PKG_VERSION").to_owned(),
            command: self.command.clone(),
            host: host::facts(self.world.platform.accelerator()),
            image: self.image.clone(),
            plan: planned.plan.digest(),
            partition: request.partition.map(|partition| partition.to_string()),
            selected: planned.selected.clone(),
        })?;
        // A convenience; a file system without links has none.
        let _ = replace_link(Path::new(&run), &self.out.join("latest"));
        Ok(Prepared { directory, planned, log, earlier: HashMap::new() })
    }

    /// The directory of a new run, and the run's id, which is its name.
    fn make_directory(&self) -> Result<(String, PathBuf), EngineError> {
        let refused =
            |path: &Path, source| EngineError::Directory { path: path.to_owned(), source };
        fs::create_dir_all(&self.out).map_err(|source| refused(&self.out, source))?;
        let id = run_id();
        for number in 1.. {
            // One process may begin several in a second.
            let run = if number == 1 { id.clone() } else { format!("{id}-{number}") };
            let directory = self.out.join(&run);
            // Private: configs and logs may hold secrets.
            match fs::DirBuilder::new().mode(0o700).create(&directory) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(refused(&directory, error)),
                Ok(()) => return Ok((run, directory)),
            }
        }
        Err(refused(&self.out, io::ErrorKind::AlreadyExists.into()))
    }

    /// Goes on with a run that was killed, interrupted or ended early: what it has judged stays, and only the rest is run.
    ///
    /// # Errors
    /// If the plan would be another now (the image has changed, or the scenarios have), if the run still goes on, or if it
    /// can't be read or written.
    pub fn resume(&self, request: &Request, directory: &Path) -> Result<Prepared, EngineError> {
        let old = Plan::read(directory)?;
        let image = self.image.clone();
        // Which part of the plan is run here was decided when it began, perhaps with another history.
        let whole = Request { partition: None, ..request.clone() };
        let mut planned = Planned::new(old.run.clone(), &whole, &self.world, image, &self.expected);
        planned.plan.created = old.created;
        planned.plan.repeat = repeat(self.repeat);
        if let Some(why) = difference(&old, &planned.plan) {
            return Err(EngineError::OtherPlan { run: directory.to_owned(), why });
        }
        let _lease = lease(directory);
        let log = self.shown(EventLog::resume(directory)?, &planned.plan, directory);
        let run = Run::load(directory)?;
        let earlier = run.cases.iter().map(|case| {
            let tried = case.attempts.iter().map(|attempt| {
                let class = attempt.failure.as_ref().map(|failure| failure.class);
                Tried { verdict: attempt.verdict, class }
            });
            (case.planned.id.clone(), tried.collect())
        });
        let earlier = earlier.collect();
        let done = |case: &&CaseResult| case.verdict != Verdict::NotRun || case.elsewhere;
        let done: HashSet<&CaseId> =
            run.cases.iter().filter(done).map(|case| &case.planned.id).collect();
        planned.retain(|id| !done.contains(id));
        let wheeltap = env!("CARGO_PKG_VERSION").to_owned();
        log.append(Event::RunResumed { wheeltap, command: self.command.clone() })?;
        Ok(Prepared { directory: directory.to_owned(), planned, log, earlier })
    }

    /// The log, which tells the screen of every event.
    fn shown(&self, log: EventLog, plan: &Plan, directory: &Path) -> Arc<EventLog> {
        self.progress.planned(plan, directory);
        let progress = Arc::clone(&self.progress);
        Arc::new(log.watched_by(move |record| progress.event(record)))
    }

    /// Runs everything that was planned, and reads the result back from the events.
    ///
    /// # Errors
    /// If the result can't be read back or reported.
    pub async fn run(&self, prepared: &Prepared) -> Result<Run, EngineError> {
        let _lease = lease(&prepared.directory);
        let runner = UnitRunner {
            world: Arc::clone(&self.world),
            log: Arc::clone(&prepared.log),
            run_directory: prepared.directory.clone(),
            forks: forks::points(
                &self.world,
                &prepared.planned,
                self.repeat,
                &prepared.directory,
                &prepared.log,
            ),
            settings: Arc::clone(&self.settings),
            repeat: self.repeat,
            budget: Budget::new(self.settings.deadline, self.settings.max_fail),
            expected: Arc::clone(&self.expected),
            earlier: prepared.earlier.clone(),
            repeated: Mutex::default(),
            written: Mutex::default(),
        };
        self.run_units(prepared, &runner).await;
        let outcome = wheeltap_reports::Run::load(&prepared.directory)?.outcome();
        append(&prepared.log, Event::RunEnded { outcome });
        Ok(wheeltap_reports::write_last(&prepared.directory)?)
    }
}

impl Engine {
    /// Runs each unit when its turn has come.
    async fn run_units(&self, prepared: &Prepared, runner: &UnitRunner) {
        let Planned { units, forks, .. } = &prepared.planned;
        let boots = self.world.platform.capabilities().contains(&Capability::FreshBoot);
        let groups =
            |scenario: &Scenario| self.settings.for_case(scenario.name, scenario.tags).groups;
        let once = schedule::tasks(units, boots, &groups, &self.expected);
        // Task n is repetition n / units of unit n % units.
        let tasks: Vec<Task> = (0..self.repeat).flat_map(|_| once.clone()).collect();
        let limits = self.settings.test_groups.clone();
        let capacity = schedule::capacity(self.jobs, &prepared.directory, forks.len(), limits);
        tracing::debug!("there is {capacity:?}");
        let mut scheduler = Scheduler::new(capacity, tasks);
        let mut queue = Queue::default();
        let started = Instant::now();
        let mut running = FuturesUnordered::new();
        loop {
            while let Some(id) = scheduler.next(started.elapsed()) {
                let unit = units[id.0 % units.len()].clone();
                let repetition = u32::try_from(id.0 / units.len()).unwrap_or(u32::MAX);
                running.push(async move {
                    runner.run(unit, repetition.saturating_add(1)).await;
                    id
                });
            }
            queue.show(&scheduler, started.elapsed());
            let Some(id) = running.next().await else { break };
            scheduler.finished(id);
        }
    }
}

/// What a plan says of repetitions: nothing if there are none.
fn repeat(times: u32) -> Option<u32> {
    (times > 1).then_some(times)
}

/// Why the plan of a run that goes on is another, if it is.
fn difference(old: &Plan, new: &Plan) -> Option<String> {
    // What it is updated to is part of what it had planned.
    let image = Image { update: new.image.update.clone(), ..old.image.clone() };
    if image != new.image {
        let name = |image: &Image| format!("{} {} ({})", image.name, image.version, image.digest);
        return Some(format!(
            "its image was {}, and is {} now",
            name(&old.image),
            name(&new.image)
        ));
    }
    (old.digest() != new.digest()).then(|| {
        "with its command line this wheeltap plans other cases than it had planned; \
         start a new run"
            .to_owned()
    })
}

/// Covers the temporary files of reports, which a kill leaves beside what they would have become. Without it the run goes on.
fn lease(directory: &Path) -> Option<LeasedFiles> {
    Leases::of_this_process().files(directory, &[]).ok()
}

/// Sorts by time, and differs between processes that begin a run in the same second.
fn run_id() -> String {
    let now = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
    format!("{now}-{:05}", std::process::id())
}

fn replace_link(target: &Path, link: &Path) -> io::Result<()> {
    match fs::remove_file(link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => symlink(target, link),
    }
}

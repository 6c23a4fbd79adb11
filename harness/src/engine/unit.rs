//! The cases of one unit, one after the other, each with as many attempts as its policy allows.

use std::{
    collections::{HashMap, VecDeque},
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use wheeltap_reports::{CaseId, Event, EventLog, FailureClass, Verdict};
use wheeltap_scenarios::{ForkPoint, SharedMachine, World, ignition::Fragment};

use super::{
    attempt::{Attempt, Ended},
    budget::Budget,
    plan::{Case, Unit},
    record::{Recorder, append},
    retry::Tries,
    schedule::Expected,
};
use crate::settings::{CaseSettings, Settings};

/// Writing the JUnit report takes this part of the time at most: with thousands of cases it takes long.
const REPORT_PART: u32 = 20;

/// Runs the units of one run.
pub(crate) struct UnitRunner {
    pub(crate) world: Arc<World>,
    pub(crate) log: Arc<EventLog>,
    pub(crate) run_directory: PathBuf,
    /// What machines start from.
    pub(crate) forks: Vec<Arc<ForkPoint>>,
    pub(crate) settings: Arc<Settings>,
    /// How often each case is run, whatever comes of it.
    pub(crate) repeat: u32,
    pub(crate) budget: Budget,
    pub(crate) expected: Expected,
    /// Attempts of an earlier part of this run, which goes on.
    pub(crate) earlier: HashMap<CaseId, Vec<Tried>>,
    /// Cases that are repeated, and what came of them up to now.
    pub(crate) repeated: Mutex<HashMap<CaseId, Vec<(Verdict, f64)>>>,
    /// When the reports were last written, and how long that took.
    pub(crate) written: Mutex<Option<(Instant, Duration)>>,
}

/// An attempt that was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tried {
    pub(crate) verdict: Verdict,
    pub(crate) class: Option<FailureClass>,
}

/// A case on its way to its verdict.
struct Pending {
    case: Case,
    settings: CaseSettings,
    tried: Vec<Tried>,
    tries: Tries,
    /// Of the next attempt, from 1.
    number: u32,
    /// No attempt is wanted any more: those of an earlier part of this run have judged it.
    judged: bool,
    seconds: f64,
}

impl Pending {
    /// `repetition` counts the attempts that are to come if the case is repeated, from 1.
    fn new(
        case: Case,
        repetition: u32,
        repeat: u32,
        mut settings: CaseSettings,
        earlier: &[Tried],
    ) -> Self {
        let mut tries = Tries::default();
        let mut judged = false;
        if repeat > 1 {
            (settings.retries.product, settings.retries.infra) = (0, 0);
            judged = repetition > repeat.saturating_sub(judgements(earlier));
        } else {
            for tried in earlier.iter().filter(|tried| tried.verdict != Verdict::NotRun) {
                let again = tried.class.and_then(|class| tries.again(class, settings.retries));
                judged = again.is_none();
            }
        }
        let number = len(earlier).saturating_add(repetition);
        let tried = earlier.to_vec();
        Self { case, settings, tried, tries, number, judged, seconds: 0.0 }
    }
}

/// How many attempts judged something.
fn judgements(tried: &[Tried]) -> u32 {
    u32::try_from(tried.iter().filter(|tried| tried.verdict != Verdict::NotRun).count())
        .unwrap_or(u32::MAX)
}

fn len(tried: &[Tried]) -> u32 {
    u32::try_from(tried.len()).unwrap_or(u32::MAX)
}

/// A case gets no attempt any more.
struct Refusal {
    /// Why it was not run, if no attempt has judged it.
    reason: Option<String>,
}

/// What follows an attempt.
enum Next {
    /// Another, after a pause.
    Again(Duration),
    /// The verdict.
    Done,
}

impl UnitRunner {
    /// Runs a unit for the first time, or once more (`repetition`, from 1).
    pub(crate) async fn run(&self, unit: Unit, repetition: u32) {
        match unit {
            Unit::Alone { case, fork } => {
                let recorder = self.recorder(&case);
                let fork = fork.and_then(|start| self.forks.get(start.point));
                self.alone(self.pending(*case, repetition), &recorder, fork).await;
            }
            // There is only the one machine, so that repetitions follow one another.
            Unit::Shared { name, cases } if repetition == 1 => {
                let repeated = cases
                    .into_iter()
                    .flat_map(|case| (1..=self.repeat).map(move |number| (case.clone(), number)));
                let queue = repeated.map(|(case, number)| self.pending(case, number)).collect();
                self.shared(&name, queue).await;
            }
            Unit::Shared { .. } => {}
        }
    }

    fn pending(&self, case: Case, repetition: u32) -> Pending {
        let earlier = self.earlier.get(&case.id).map(Vec::as_slice).unwrap_or_default();
        let settings = self.settings.for_case(case.scenario.name, case.scenario.tags);
        Pending::new(case, repetition, self.repeat, settings, earlier)
    }

    async fn alone(
        &self,
        mut pending: Pending,
        recorder: &Arc<Recorder>,
        fork: Option<&Arc<ForkPoint>>,
    ) {
        while !self.is_cancelled() {
            if let Some(not_run) = self.refusal(&pending) {
                return self.end(pending, not_run.reason);
            }
            let ended = self.attempt(&mut pending, recorder, None, fork).await;
            match self.next(&mut pending, &ended) {
                Next::Again(pause) => {
                    // If it could not boot, another attempt would only be told so again.
                    fork.into_iter().for_each(|point| point.forget_failure());
                    self.pause(pause).await;
                }
                Next::Done => return self.end(pending, ended.reason),
            }
        }
    }

    /// Runs cases on a machine that they share. A case that breaks it gets those after it a new one.
    async fn shared(&self, name: &str, mut queue: VecDeque<Pending>) {
        let mut boots = 0;
        while let Some(first) = queue.front() {
            boots += 1;
            let recorder = self.recorder(&first.case);
            let directory = Path::new("cells").join(name).join(format!("boot-{boots}")).join("m1");
            let shared = Arc::new(SharedMachine::new(
                Arc::clone(&self.world),
                first.case.scenario.needs.hardware(first.case.firmware),
                fragments(&queue, &self.world),
                self.run_directory.join(&directory),
                Arc::clone(&recorder) as _,
            ));
            while let Some(mut pending) = queue.pop_front() {
                if self.is_cancelled() {
                    break;
                }
                if let Some(not_run) = self.refusal(&pending) {
                    self.end(pending, not_run.reason);
                    continue;
                }
                if let Err(error) = self.link_machine(&directory, &pending) {
                    recorder.note(format!("no link to the shared machine's evidence: {error}"));
                }
                let ended = self.attempt(&mut pending, &recorder, Some(&shared), None).await;
                let again = match self.next(&mut pending, &ended) {
                    Next::Again(pause) => {
                        self.pause(pause).await;
                        queue.push_front(pending);
                        true
                    }
                    Next::Done => {
                        self.end(pending, ended.reason);
                        false
                    }
                };
                // A machine that never came up fails everybody at once; another boot would only fail again, unless it is
                // what is tried again.
                if ended.spoilt && (again || shared.is_up()) {
                    break;
                }
            }
            shared.destroy().await;
            if self.is_cancelled() {
                break;
            }
        }
    }

    fn is_cancelled(&self) -> bool {
        self.world.cancel.is_cancelled()
    }

    fn recorder(&self, first: &Case) -> Arc<Recorder> {
        Arc::new(Recorder::new(Arc::clone(&self.log), first.id.clone()))
    }

    /// How a case ends that gets no attempt any more, if it doesn't.
    fn refusal(&self, pending: &Pending) -> Option<Refusal> {
        if pending.judged {
            return Some(Refusal { reason: None });
        }
        let reason = self.budget.refusal((self.expected)(&pending.case.id))?;
        Some(Refusal { reason: Some(reason) })
    }

    async fn attempt(
        &self,
        pending: &mut Pending,
        recorder: &Arc<Recorder>,
        shared: Option<&Arc<SharedMachine>>,
        fork: Option<&Arc<ForkPoint>>,
    ) -> Ended {
        let (case, number) = (&pending.case, pending.number);
        recorder.switch_to(&case.id, number);
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
            settings: &pending.settings,
            deadline: self.budget.deadline(),
        };
        let started = Instant::now();
        let ended = attempt.run().await;
        pending.seconds += started.elapsed().as_secs_f64();
        pending.tried.push(Tried { verdict: ended.verdict, class: ended.class });
        ended
    }

    /// Whether another attempt follows this one.
    fn next(&self, pending: &mut Pending, ended: &Ended) -> Next {
        pending.number += 1;
        let again =
            ended.class.and_then(|class| pending.tries.again(class, pending.settings.retries));
        match again {
            Some(pause) if self.refusal(pending).is_none() => Next::Again(pause),
            _ => Next::Done,
        }
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.world.cancel.cancelled() => {}
        }
    }

    /// Writes down the verdict of a case, unless repetitions of it are still to come.
    fn end(&self, pending: Pending, reason: Option<String>) {
        let Pending { case, tried, seconds, .. } = pending;
        let verdicts: Vec<Verdict> = tried.iter().map(|tried| tried.verdict).collect();
        let verdict = if self.repeat > 1 {
            Verdict::of_repetitions(&verdicts)
        } else {
            Verdict::of_attempts(&verdicts)
        };
        let verdict = verdict.unwrap_or(Verdict::NotRun);
        let Some((verdict, seconds)) = self.complete(&case.id, verdict, seconds) else {
            return;
        };
        let reason = reason.filter(|_| verdict == Verdict::NotRun);
        let id = case.id.clone();
        append(&self.log, Event::CaseEnded { case: id, verdict, reason, seconds });
        if let Some(why) = self.budget.judged(&case.id, verdict) {
            append(&self.log, Event::Note { text: format!("nothing more is started: {why}") });
        }
        self.write_reports();
    }

    /// The verdict and the time of a case with all its repetitions, once the last of them has ended.
    fn complete(&self, id: &CaseId, verdict: Verdict, seconds: f64) -> Option<(Verdict, f64)> {
        if self.repeat == 1 {
            return Some((verdict, seconds));
        }
        let mut repeated = self.repeated.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = repeated.entry(id.clone()).or_default();
        ended.push((verdict, seconds));
        let is_last = u32::try_from(ended.len()).is_ok_and(|count| count >= self.repeat);
        is_last.then(|| {
            let verdicts: Vec<Verdict> = ended.iter().map(|(verdict, _)| *verdict).collect();
            let verdict = Verdict::of_repetitions(&verdicts).unwrap_or(Verdict::NotRun);
            (verdict, ended.iter().map(|(_, seconds)| seconds).sum())
        })
    }

    /// The JUnit report is there for whoever kills the run. That it can't be written is said at the end.
    fn write_reports(&self) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.is_some_and(|(at, took)| at.elapsed() < took * REPORT_PART) {
            return;
        }
        let started = Instant::now();
        if let Err(error) = wheeltap_reports::write_all(&self.run_directory) {
            tracing::warn!("{error}");
        }
        *written = Some((Instant::now(), started.elapsed()));
    }

    /// Makes the shared machine's evidence appear in the attempt's directory, where it is looked for.
    fn link_machine(&self, machine: &Path, pending: &Pending) -> io::Result<()> {
        let attempt = Attempt::directory(&pending.case, pending.number);
        fs::create_dir_all(self.run_directory.join(&attempt))?;
        let up: PathBuf = attempt.components().map(|_| "..").collect();
        symlink(up.join(machine), self.run_directory.join(attempt).join("m1"))
    }
}

/// What the cases bring to the config, each once: a scenario with several faults is there several times.
fn fragments(queue: &VecDeque<Pending>, world: &World) -> Vec<Fragment> {
    let mut seen = Vec::new();
    let mut fragments = Vec::new();
    for Pending { case, .. } in queue {
        if !seen.contains(&case.scenario.name) {
            seen.push(case.scenario.name);
            fragments.extend((case.scenario.ignition)(&world.profile));
        }
    }
    fragments
}

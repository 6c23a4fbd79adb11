//! What a run is doing, as its events tell it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use wheeltap_reports::{CaseId, Event, Failure, Phase, Plan, Record, Verdict};

use super::{
    estimate::{Left, remaining},
    lines::{Cause, Level, Line},
};

/// What a run is doing.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Cases that the plan doesn't skip.
    pub(super) planned: usize,
    /// When the run began.
    pub(super) started: Option<Timestamp>,
    /// In the order in which they were begun.
    pub(super) running: Vec<Running>,
    /// The signal that asked the run to end.
    pub(super) interrupted: Option<String>,
    done: Done,
    directory: PathBuf,
    /// Cases that have not ended, with what history says.
    left: BTreeMap<CaseId, Option<Duration>>,
    /// The most cases that ran at the same time.
    slots: usize,
}

/// A case that was begun and has not ended.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) case: CaseId,
    pub(super) attempt: u32,
    /// Where the attempt is; `None` before its first phase.
    pub(super) phase: Option<Phase>,
    /// When the attempt began, or when the one before it ended.
    pub(super) since: Timestamp,
    directory: String,
    /// How the attempt ended. Whether it was the last only the next event knows.
    pub(super) ended: Option<Ended>,
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) verdict: Verdict,
    seconds: f64,
    failure: Option<Failure>,
}

/// How many cases ended how.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    pub(super) all: usize,
    pub(super) failed: usize,
    pub(super) infra: usize,
    pub(super) flaky: usize,
    pub(super) not_run: usize,
}

impl State {
    /// Before anything happened: what the run promises, where, and how long its cases took before.
    pub(super) fn new(
        plan: &Plan,
        directory: PathBuf,
        expected: impl Fn(&CaseId) -> Option<Duration>,
    ) -> Self {
        let cases = plan.cases.iter().filter(|case| case.skip.is_none());
        let left: BTreeMap<_, _> =
            cases.map(|case| (case.id.clone(), expected(&case.id))).collect();
        Self { planned: left.len(), directory, left, ..Self::default() }
    }

    /// Takes in an event, and gives what it makes worth saying.
    pub(super) fn apply(&mut self, Record { at, event, .. }: &Record) -> Vec<Line> {
        let line = match event {
            Event::RunStarted { .. } | Event::RunResumed { .. } => {
                self.started = Some(*at);
                None
            }
            Event::AttemptStarted { case, attempt, dir } => self.begin(case, *attempt, dir, *at),
            Event::PhaseEntered { case, attempt, phase } => {
                if let Some(running) = self.find(case, *attempt) {
                    running.phase = Some(*phase);
                }
                self.moment(Level::Verbose, &phase.to_string(), (case, *attempt), "", *at)
            }
            Event::MachineStarted { case, attempt, machine, from, .. } => {
                let text = match from {
                    Some(from) => format!("{machine} is a fork of {from}"),
                    None => format!("{machine} boots"),
                };
                self.moment(Level::Verbose, "machine", (case, *attempt), &text, *at)
            }
            Event::Step { case, attempt, text } => {
                self.moment(Level::Verbose, "step", (case, *attempt), text, *at)
            }
            Event::ConsoleHit { case, attempt, rule, text, .. } => {
                let text = format!("{rule}: {text}");
                self.moment(Level::Verbose, "console", (case, *attempt), &text, *at)
            }
            Event::AttemptSlow { case, attempt, .. } => {
                self.moment(Level::Normal, "SLOW", (case, *attempt), "", *at)
            }
            Event::AttemptEnded { case, attempt, verdict, failure, seconds, .. } => {
                if let Some(running) = self.find(case, *attempt) {
                    let (verdict, seconds, failure) = (*verdict, *seconds, failure.clone());
                    running.ended = Some(Ended { verdict, seconds, failure });
                    running.since = *at;
                }
                None
            }
            Event::CaseEnded { case, verdict, reason, seconds } => {
                return self.end(case, *verdict, reason.as_deref(), *seconds);
            }
            Event::TeardownTrouble { case, text, .. } => {
                Some(Line::Trouble { case: case.clone(), text: text.clone() })
            }
            Event::Note { text } => Some(Line::Note(text.clone())),
            Event::HarnessDefect { text } => Some(Line::Defect(text.clone())),
            Event::RunInterrupted { signal } => {
                self.interrupted = Some(signal.clone());
                None
            }
            Event::RunEnded { .. } => None,
        };
        line.into_iter().collect()
    }

    /// What was kept back, because no event said that it was the last: the run ends here.
    pub(super) fn rest(&mut self) -> Vec<Line> {
        let mut running = std::mem::take(&mut self.running);
        running.iter_mut().filter_map(|it| it.last_attempt(&self.directory)).collect()
    }

    /// How many cases ended how.
    pub(super) fn done(&self) -> Done {
        self.done
    }

    /// How long the rest may take, if the cases have a history.
    pub(super) fn remaining(&self, now: Timestamp) -> Option<Duration> {
        let left = self.left.iter().map(|(case, expected)| {
            let running = self.running.iter().find(|running| running.case == *case);
            let elapsed = running.map_or(0.0, |running| seconds(running.since, now));
            Left { expected: *expected, elapsed: Duration::from_secs_f64(elapsed) }
        });
        remaining(&left.collect::<Vec<_>>(), self.slots)
    }

    /// The attempts of a case that is repeated may run at the same time.
    fn find(&mut self, case: &CaseId, attempt: u32) -> Option<&mut Running> {
        self.running.iter_mut().find(|it| it.attempt == attempt && it.case == *case)
    }

    fn moment(
        &mut self,
        level: Level,
        word: &str,
        (case, attempt): (&CaseId, u32),
        text: &str,
        at: Timestamp,
    ) -> Option<Line> {
        let seconds = self.find(case, attempt).map_or(0.0, |running| seconds(running.since, at));
        let (word, case, text) = (word.to_owned(), case.clone(), text.to_owned());
        Some(Line::Moment { level, word, case, seconds, text })
    }

    /// A case's first attempt, or the next: then the one before was not the last.
    fn begin(
        &mut self,
        case: &CaseId,
        attempt: u32,
        directory: &str,
        at: Timestamp,
    ) -> Option<Line> {
        let root = self.directory.clone();
        let before = |it: &Running| it.ended.is_some() && it.case == *case;
        let place = self.running.iter().position(before);
        let line = place.and_then(|place| self.running[place].last_attempt(&root));
        let (case, directory) = (case.clone(), directory.to_owned());
        let running = Running { case, attempt, phase: None, since: at, directory, ended: None };
        match place {
            Some(place) => self.running[place] = running,
            None => self.running.push(running),
        }
        self.slots = self.slots.max(self.running.len());
        line
    }

    fn end(
        &mut self,
        case: &CaseId,
        verdict: Verdict,
        reason: Option<&str>,
        seconds: f64,
    ) -> Vec<Line> {
        self.left.remove(case);
        self.done.count(verdict);
        let of_case = |it: &mut Running| it.case == *case;
        let mut running: Vec<Running> = self.running.extract_if(.., of_case).collect();
        let attempts = running.iter().map(|running| running.attempt).max().unwrap_or(0);
        // One attempt and its case are one line; of several, each has said for itself why it ended.
        let (mut lines, cause) = match &mut *running {
            [only] if attempts == 1 => (Vec::new(), only.cause(&self.directory)),
            last => {
                let lines = last.iter_mut().filter_map(|it| it.last_attempt(&self.directory));
                (lines.collect(), None)
            }
        };
        let (case, reason) = (case.clone(), reason.map(str::to_owned));
        lines.push(Line::Case { case, verdict, seconds, attempts, cause, reason });
        lines
    }
}

impl Running {
    /// Says how the attempt ended, if it did.
    fn last_attempt(&mut self, root: &Path) -> Option<Line> {
        let cause = self.cause(root);
        let Ended { verdict, seconds, .. } = self.ended.take()?;
        let (case, number) = (self.case.clone(), self.attempt);
        Some(Line::Attempt { case, number, verdict, seconds, cause })
    }

    fn cause(&self, root: &Path) -> Option<Cause> {
        let failure = self.ended.as_ref()?.failure.as_ref()?;
        Some(Cause {
            headline: failure.headline.clone(),
            class: failure.class,
            phase: failure.phase,
            directory: root.join(&self.directory).display().to_string(),
        })
    }
}

impl Done {
    fn count(&mut self, verdict: Verdict) {
        self.all += 1;
        match verdict {
            Verdict::Fail => self.failed += 1,
            Verdict::Infra => self.infra += 1,
            Verdict::Flaky => self.flaky += 1,
            Verdict::NotRun => self.not_run += 1,
            Verdict::Pass | Verdict::Skip => {}
        }
    }
}

/// Between two times; none if the clock was set back.
pub(super) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

//! A run as its plan and its event log tell it: the one thing that every report is a view of.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::clean::{self, LINE};
use crate::redact;
use crate::{
    Attempt, CaseId, CaseResult, Counts, EVENTS_FILE, Error, Event, Host, Outcome, PLAN_FILE, Plan,
    Record, Result, Verdict, WAIVERS_FILE, WaiverStatus, Waivers, log,
};

/// A run, whole or cut off. All text in it from guests and tools is fit to be shown: see
/// [`Run::load`].
#[derive(Clone, Debug)]
pub struct Run {
    /// The run directory, absolute and without links; of merged runs, that of the first. Paths of evidence are relative
    /// to it, or to [`Attempt::run_dir`].
    pub dir: PathBuf,
    /// What was promised, without the cases: they are in `cases`, with what came of them.
    pub plan: Plan,
    /// The plan's digest, see [`Plan::digest`].
    pub plan_digest: String,
    /// Which part of the plan it does, such as `hash:2/3`; none if it does all of it.
    pub partition: Option<String>,
    /// What its first event says; none if it was killed before that.
    pub started: Option<Started>,
    /// How far it got.
    pub state: State,
    /// Every planned case, in the plan's order.
    pub cases: Vec<CaseResult>,
    /// What a reader should know, in the order in which it was noted.
    pub notes: Vec<String>,
    /// Defects of wheeltap itself outside of any attempt.
    pub defects: Vec<String>,
    /// What each waiver did, in the order of their file; empty without one.
    pub waivers: Vec<WaiverStatus>,
    /// From the first event to the last, in seconds; of merged runs the sum of all.
    pub seconds: f64,
    /// Whether its event log ends with the digest of all that was before, which agrees. It hasn't one
    /// as long as the run goes on, if it was killed, or if an older wheeltap wrote it.
    pub sealed: bool,
    /// The sha256 of its event log, by which a copy is known.
    pub(crate) log_digest: String,
    /// The waivers in its directory.
    pub(crate) own_waivers: Option<Arc<Waivers>>,
    /// What it was merged from.
    pub(crate) parts: Vec<Arc<Self>>,
}

/// What is known when a run starts, beyond its plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Started {
    /// When, in UTC.
    pub at: Timestamp,
    /// The version of wheeltap.
    pub wheeltap: String,
    /// The command line, program first, without secrets.
    pub command: Vec<String>,
    /// The same as it was given: to be run again, never to be shown.
    #[serde(skip)]
    pub asked: Vec<String>,
    /// Where it runs.
    pub host: Host,
}

/// How far a run got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Its event log is still being written.
    Running,
    /// Its event log just stops.
    Killed,
    /// A signal ended it.
    Interrupted {
        /// Its name, such as `SIGINT`.
        signal: String,
    },
    /// It ended by itself.
    Ended,
}

impl Run {
    /// Loads a run from its directory, at any time: while it runs, after its end, or after it was
    /// killed. What was planned and didn't end is `not-run`, with a reason.
    ///
    /// The waivers in its directory (`waivers.toml`) are applied as of the day on which it began, so
    /// that a report says the same whenever it is made.
    ///
    /// Text is cleaned on the way, whoever it is from: no terminal escapes or control characters, no
    /// [secrets](crate::redact), headlines of at most 200 characters, details of about 32 KiB with the middle left out.
    ///
    /// # Errors
    /// If the plan or the log can't be read or is damaged, or if they don't belong together. A log
    /// that is missing or ends in a torn line is none: that is what a kill leaves.
    pub fn load(dir: &Path) -> Result<Self> {
        let mut run = Self::load_unwaived(dir)?;
        let file = dir.join(WAIVERS_FILE);
        if file.exists() {
            let day = run.day();
            let waivers = Waivers::load(&file)?;
            waivers.apply(&mut run, day);
            run.own_waivers = Some(Arc::new(waivers));
        }
        Ok(run)
    }

    /// Loads a run as [`load`](Self::load) does, but without the waivers in its directory.
    ///
    /// # Errors
    /// The same, but for those about waivers.
    pub fn load_unwaived(dir: &Path) -> Result<Self> {
        let (mut plan, plan_digest) = Plan::read_with_digest(dir)?;
        let mut log = log::Lines::open(dir)?;
        // Where it really lies: a link such as `latest` leads elsewhere tomorrow.
        let dir = std::fs::canonicalize(dir)
            .map_err(|source| Error::Read { path: dir.to_owned(), source })?;

        // How far it got if the log doesn't say that it ended.
        let cut_off = if log.live { State::Running } else { State::Killed };
        let index: HashMap<_, _> =
            plan.cases.iter().enumerate().map(|(index, case)| (case.id.clone(), index)).collect();
        let planned = std::mem::take(&mut plan.cases);
        let cases: Vec<_> = planned.into_iter().map(CaseResult::planned).collect();
        let mut run = Self {
            dir,
            plan,
            plan_digest,
            partition: None,
            started: None,
            state: cut_off.clone(),
            cases,
            notes: Vec::new(),
            defects: Vec::new(),
            waivers: Vec::new(),
            seconds: 0.0,
            sealed: false,
            log_digest: String::new(),
            own_waivers: None,
            parts: Vec::new(),
        };
        let mut first = None;
        while let Some((line, record)) = log.next()? {
            let first = *first.get_or_insert(record.at);
            run.seconds = record.at.duration_since(first).as_secs_f64().max(0.0);
            if let Event::RunResumed { .. } = record.event {
                // What ended it before doesn't count any more.
                run.state = cut_off.clone();
            }
            run.apply(line, record, &index)?;
        }
        let log::End { digest, sealed } = log.end()?;
        (run.log_digest, run.sealed) = (digest, sealed);
        // Not before all events have found their cases.
        run.plan.clean();
        for case in &mut run.cases {
            case.planned.clean();
            case.settle(&run.state, run.partition.as_deref());
        }
        Ok(run)
    }

    /// The day on which it began, or was planned if it never did; in UTC.
    #[must_use]
    pub fn day(&self) -> Date {
        TimeZone::UTC.to_datetime(self.began()).date()
    }

    /// The path of a file that an attempt left.
    #[must_use]
    pub fn path_of(&self, attempt: &Attempt, file: &str) -> PathBuf {
        attempt.run_dir.as_deref().unwrap_or(&self.dir).join(file)
    }

    /// How the run ended, in one word.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome::of(self)
    }

    /// How many cases have which verdict.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::of(self)
    }

    fn apply(
        &mut self,
        line: usize,
        Record { at, event, .. }: Record,
        index: &HashMap<CaseId, usize>,
    ) -> Result<()> {
        if let Some(id) = event.case() {
            let Some(index) = index.get(id) else {
                let path = self.dir.join(EVENTS_FILE);
                return Err(Error::NotPlanned { path, line, case: id.clone() });
            };
            self.cases[*index].apply(at, event);
            return Ok(());
        }
        match event {
            Event::RunStarted { wheeltap, command, host, plan, partition, selected, .. } => {
                if plan != self.plan_digest {
                    return Err(Error::OtherPlan {
                        path: self.dir.join(PLAN_FILE),
                        expected: plan,
                        found: self.plan_digest.clone(),
                    });
                }
                let wheeltap = clean::line(&wheeltap, LINE);
                let asked = command;
                let command = redact::command(&asked);
                let command = command.iter().map(|word| clean::line(word, LINE)).collect();
                let host = Host {
                    name: clean::line(&host.name, LINE),
                    os: clean::line(&host.os, LINE),
                    arch: clean::line(&host.arch, LINE),
                    accelerator: clean::line(&host.accelerator, LINE),
                    ..host
                };
                self.started = Some(Started { at, wheeltap, command, asked, host });
                self.partition = partition.map(|partition| clean::line(&partition, LINE));
                self.leave_to_others(line, selected)?;
            }
            Event::Note { text } => self.notes.push(clean::line(&text, LINE)),
            Event::HarnessDefect { text } => self.defects.push(clean::line(&text, LINE)),
            Event::RunInterrupted { signal } => {
                self.state = State::Interrupted { signal: clean::line(&signal, LINE) };
            }
            // An interrupted run ends too, and stays interrupted.
            Event::RunEnded { .. } if matches!(self.state, State::Interrupted { .. }) => {}
            Event::RunEnded { .. } => self.state = State::Ended,
            // The others are about a case, and were dealt with above.
            _ => {}
        }
        Ok(())
    }

    /// Marks the cases that aren't this run's.
    fn leave_to_others(&mut self, line: usize, selected: Option<Vec<usize>>) -> Result<()> {
        let Some(selected) = selected else { return Ok(()) };
        let planned = self.cases.len();
        if let Some(index) = selected.iter().copied().find(|index| *index >= planned) {
            let path = self.dir.join(EVENTS_FILE);
            return Err(Error::NotSelectable { path, line, index, planned });
        }
        let selected: HashSet<usize> = selected.into_iter().collect();
        for (index, case) in self.cases.iter_mut().enumerate() {
            // What the plan skips is nobody's, and everybody says so.
            case.elsewhere = case.verdict == Verdict::NotRun && !selected.contains(&index);
        }
        Ok(())
    }
}

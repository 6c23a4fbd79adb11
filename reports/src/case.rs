//! A case and its attempts as the event log tells them.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::clean::{self, BLOCK, HEADLINE, LINE};
use crate::{
    Event, Failure, FailureClass, Origin, Phase, PlannedCase, Severity, State, Verdict, WaiverUse,
};

/// A planned case and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaseResult {
    /// The promise.
    #[serde(flatten)]
    pub planned: PlannedCase,
    /// What came of it.
    pub verdict: Verdict,
    /// Why it is `skip` or `not-run`; always there for these two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The waiver that covers it. Its verdict stays `fail`, and doesn't fail the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waived: Option<WaiverUse>,
    /// Whether it is `not-run` because the run's partition leaves it to another run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub elsewhere: bool,
    /// With all attempts, in seconds.
    pub seconds: f64,
    /// Every attempt, in order.
    pub attempts: Vec<Attempt>,
}

/// One execution of a case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// The directory of the run that made it, absolute, if several were merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_dir: Option<PathBuf>,
    /// Where its evidence lies, relative to the run directory.
    pub dir: String,
    /// When it began, in UTC.
    pub started: Timestamp,
    /// How it ended; `not-run` if its end isn't in the log.
    pub verdict: Verdict,
    /// Why it didn't pass.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "with_signature")]
    pub failure: Option<Failure>,
    /// How long it took, in seconds; 0 if its end isn't in the log.
    pub seconds: f64,
    /// What happened in it, in order.
    pub timeline: Vec<Moment>,
    /// Files to look at, relative to the run directory, the most telling first.
    pub evidence: Vec<String>,
}

/// A point of an attempt's timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// When, in UTC.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// What happened at a point of an attempt's timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Happening {
    /// It went on to this phase.
    Phase {
        /// The phase.
        phase: Phase,
    },
    /// A machine was started.
    Machine {
        /// Its name.
        machine: String,
        /// Whether it boots.
        origin: Origin,
        /// What it is a fork of.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<String>,
    },
    /// The scenario did or saw something.
    Step {
        /// In one line.
        text: String,
    },
    /// A console rule matched.
    Console {
        /// The rule's name.
        rule: String,
        /// How grave.
        severity: Severity,
        /// The console's line.
        text: String,
        /// Its number in the console log, from 1.
        line: u64,
        /// The boot of this machine, from 1.
        boot: u32,
    },
    /// It took longer than its slow-timeout, or once more as long.
    Slow {
        /// How long it had run by then, in seconds, rounded.
        seconds: u64,
    },
    /// Something could not be taken down or collected.
    Trouble {
        /// What is left, and how to remove it.
        text: String,
    },
}

impl CaseResult {
    pub(crate) fn planned(planned: PlannedCase) -> Self {
        let reason = planned.skip.as_deref().map(|reason| clean::line(reason, LINE));
        let verdict = if reason.is_some() { Verdict::Skip } else { Verdict::NotRun };
        Self {
            planned,
            verdict,
            reason,
            waived: None,
            elsewhere: false,
            seconds: 0.0,
            attempts: Vec::new(),
        }
    }

    /// The attempt that explains the verdict: the first that has it. For a flaky case that is the
    /// first that didn't pass.
    #[must_use]
    pub fn telling_attempt(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| match self.verdict {
            Verdict::Flaky => attempt.verdict != Verdict::Pass,
            verdict => attempt.verdict == verdict,
        })
    }

    /// Whether any attempt ended with a failure of this class.
    #[must_use]
    pub fn failed_by(&self, class: FailureClass) -> bool {
        self.attempts
            .iter()
            .any(|attempt| attempt.failure.as_ref().is_some_and(|failure| failure.class == class))
    }

    /// Takes in an event about this case.
    pub(crate) fn apply(&mut self, at: Timestamp, event: Event) {
        // Whatever was decided at first: it is this run's now.
        self.elsewhere = false;
        match event {
            Event::AttemptStarted { attempt, dir, .. } => {
                let attempt = self.attempt(attempt, at);
                attempt.dir = clean::line(&dir, LINE);
            }
            Event::PhaseEntered { attempt, phase, .. } => {
                self.attempt(attempt, at).add(at, Happening::Phase { phase });
            }
            Event::MachineStarted { attempt, machine, origin, from, .. } => {
                let machine = clean::line(&machine, LINE);
                let from = from.map(|from| clean::line(&from, LINE));
                self.attempt(attempt, at).add(at, Happening::Machine { machine, origin, from });
            }
            Event::Step { attempt, text, .. } => {
                let text = clean::line(&text, LINE);
                self.attempt(attempt, at).add(at, Happening::Step { text });
            }
            Event::ConsoleHit { attempt, rule, severity, text, line, boot, .. } => {
                let text = clean::line(&text, LINE);
                let rule = clean::line(&rule, LINE);
                let hit = Happening::Console { rule, severity, text, line, boot };
                self.attempt(attempt, at).add(at, hit);
            }
            Event::AttemptSlow { attempt, seconds, .. } => {
                let seconds = seconds.round() as u64;
                self.attempt(attempt, at).add(at, Happening::Slow { seconds });
            }
            Event::TeardownTrouble { attempt, text, .. } => {
                let text = clean::line(&text, LINE);
                self.attempt(attempt, at).add(at, Happening::Trouble { text });
            }
            Event::AttemptEnded { attempt, verdict, failure, seconds, evidence, .. } => {
                let attempt = self.attempt(attempt, at);
                attempt.verdict = verdict;
                attempt.failure = failure.as_ref().map(cleaned);
                attempt.seconds = seconds;
                // A hundred thousand of them shouldn't hold room for what doesn't come any more.
                attempt.timeline.shrink_to_fit();
                attempt.evidence = evidence.iter().map(|path| clean::line(path, LINE)).collect();
            }
            Event::CaseEnded { verdict, reason, seconds, .. } => {
                // Where the case and its attempts disagree, for instance because the disk was full
                // for a moment, the worse counts: a report never turns doubt into a pass.
                let attempts: Vec<_> = self.attempts.iter().map(|one| one.verdict).collect();
                self.verdict = Verdict::of_attempts(&attempts).unwrap_or(verdict).worse(verdict);
                // Why it was not run before the run was resumed is no reason any more.
                self.reason = reason.map(|reason| clean::line(&reason, LINE));
                self.seconds = seconds;
                self.attempts.shrink_to_fit();
            }
            // The others are about the run.
            _ => {}
        }
    }

    /// The attempt of this number; made if its start isn't in the log.
    fn attempt(&mut self, number: u32, at: Timestamp) -> &mut Attempt {
        let index = self.attempts.iter().position(|attempt| attempt.number == number);
        let index = index.unwrap_or_else(|| {
            self.attempts.push(Attempt::new(number, at));
            self.attempts.len() - 1
        });
        &mut self.attempts[index]
    }

    /// Gives the reason for what isn't told by any event.
    pub(crate) fn settle(&mut self, state: &State, partition: Option<&str>) {
        if self.elsewhere {
            self.reason = Some(match partition {
                Some(partition) => format!("not in partition {partition}"),
                None => "not selected for this run".to_owned(),
            });
        }
        if self.reason.is_some() {
            return;
        }
        let started = !self.attempts.is_empty();
        self.reason = match self.verdict {
            Verdict::Skip => Some("no reason was given".to_owned()),
            Verdict::NotRun => Some(match (state, started) {
                (State::Running, true) => "it was running when this report was written".to_owned(),
                (State::Running, false) => "it had not started when this report was written".into(),
                (State::Killed, true) => "the run was killed while this case was running".into(),
                (State::Killed, false) => "never started: the run was killed before".into(),
                (State::Interrupted { signal }, true) => {
                    format!("{signal} ended the run while this case was running")
                }
                (State::Interrupted { signal }, false) => {
                    format!("never started: {signal} ended the run before")
                }
                (State::Ended, true) => "the run ended while this case was running".into(),
                (State::Ended, false) => "never started, although the run went to its end".into(),
            }),
            Verdict::Pass | Verdict::Flaky | Verdict::Fail | Verdict::Infra => None,
        };
    }
}

impl Attempt {
    pub(crate) fn new(number: u32, started: Timestamp) -> Self {
        Self {
            number,
            run_dir: None,
            dir: String::new(),
            started,
            verdict: Verdict::NotRun,
            failure: None,
            seconds: 0.0,
            timeline: Vec::new(),
            evidence: Vec::new(),
        }
    }

    fn add(&mut self, at: Timestamp, what: Happening) {
        self.timeline.push(Moment { at, what });
    }

    /// Why it didn't pass, in one line.
    #[must_use]
    pub fn headline(&self) -> &str {
        match (&self.failure, self.verdict) {
            (Some(failure), _) => &failure.headline,
            (None, Verdict::Pass) => "passed",
            (None, Verdict::NotRun) => "the attempt was cut off",
            (None, _) => "no cause was recorded, which is a defect of wheeltap",
        }
    }
}

/// A failure in the JSON report has its signature beside it. In the event log it has none, since it
/// follows from the rest.
fn with_signature<S: Serializer>(failure: &Option<Failure>, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Signed<'a> {
        #[serde(flatten)]
        failure: &'a Failure,
        signature: String,
    }
    let signed = failure.as_ref().map(|failure| Signed { failure, signature: failure.signature() });
    signed.serialize(to)
}

fn cleaned(failure: &Failure) -> Failure {
    Failure {
        kind: clean::line(&failure.kind, HEADLINE),
        headline: clean::line(&failure.headline, HEADLINE),
        detail: clean::block(&failure.detail, BLOCK),
        phase: failure.phase,
        class: failure.class,
    }
}

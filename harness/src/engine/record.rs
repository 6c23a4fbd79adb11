//! Turns what happens in attempts into events.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use wheeltap_platforms::Class;
use wheeltap_reports::{self as reports, CaseId, Event, EventLog, FailureClass};
use wheeltap_scenarios::{
    Failure, Observer, Phase,
    watch::{Hit, Severity},
};

/// Writes events of one case after the other: a machine that is shared reports to whoever uses it now.
pub(crate) struct Recorder {
    log: Arc<EventLog>,
    current: Mutex<Current>,
}

#[derive(Clone)]
struct Current {
    case: CaseId,
    attempt: u32,
    phase: Phase,
}

impl Recorder {
    pub(crate) fn new(log: Arc<EventLog>, case: CaseId) -> Self {
        let current = Current { case, attempt: 1, phase: Phase::Provision };
        Self { log, current: Mutex::new(current) }
    }

    /// From now on this case is meant.
    pub(crate) fn switch_to(&self, case: &CaseId, attempt: u32) {
        let case = case.clone();
        *self.lock() = Current { case, attempt, phase: Phase::Provision };
    }

    /// The phase that the current attempt is in.
    pub(crate) fn current_phase(&self) -> Phase {
        self.lock().phase
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn append(&self, event: Event) {
        append(&self.log, event);
    }

    /// The current attempt takes long.
    pub(crate) fn slow(&self, elapsed: Duration) {
        let Current { case, attempt, .. } = self.lock().clone();
        self.append(Event::AttemptSlow { case, attempt, seconds: elapsed.as_secs_f64() });
    }

    /// Something that a reader of the reports should know.
    pub(crate) fn note(&self, text: String) {
        self.append(Event::Note { text });
    }
}

/// An event that can't be written must not change a verdict, so it is said and not returned. The log itself counts what it
/// lost, and the run's end says so.
pub(crate) fn append(log: &EventLog, event: Event) {
    if let Err(error) = log.append(event) {
        tracing::error!("{error}; the reports of this run will be incomplete");
    }
}

impl Observer for Recorder {
    fn phase(&self, phase: Phase) {
        let (case, attempt) = {
            let mut current = self.lock();
            current.phase = phase;
            (current.case.clone(), current.attempt)
        };
        self.append(Event::PhaseEntered { case, attempt, phase: phase_of(phase) });
    }

    fn machine(&self, name: &str, from: Option<&str>) {
        let Current { case, attempt, .. } = self.lock().clone();
        let origin = if from.is_some() { reports::Origin::Fork } else { reports::Origin::Boot };
        let (machine, from) = (name.to_owned(), from.map(str::to_owned));
        self.append(Event::MachineStarted { case, attempt, machine, origin, from });
    }

    fn step(&self, text: &str) {
        let Current { case, attempt, .. } = self.lock().clone();
        self.append(Event::Step { case, attempt, text: text.to_owned() });
    }

    fn console(&self, hit: &Hit) {
        let Current { case, attempt, .. } = self.lock().clone();
        self.append(Event::ConsoleHit {
            case,
            attempt,
            rule: hit.rule.to_string(),
            severity: match hit.severity {
                Severity::Fatal => reports::Severity::Fatal,
                Severity::Warn => reports::Severity::Warn,
            },
            text: hit.line.text.to_string(),
            line: hit.line.number,
            boot: hit.line.boot,
        });
    }

    fn trouble(&self, text: &str) {
        let Current { case, attempt, .. } = self.lock().clone();
        self.append(Event::TeardownTrouble { case, attempt, text: text.to_owned() });
    }
}

fn phase_of(phase: Phase) -> reports::Phase {
    match phase {
        Phase::Provision => reports::Phase::Provision,
        Phase::Boot => reports::Phase::Boot,
        Phase::Ignite => reports::Phase::Ignite,
        Phase::Reach => reports::Phase::Reach,
        Phase::Act => reports::Phase::Act,
        Phase::Check => reports::Phase::Check,
        Phase::Teardown => reports::Phase::Teardown,
    }
}

/// A failure as reports know it. `phase` is where the attempt was, if the failure doesn't know better.
pub(crate) fn failure_of(failure: Failure, phase: Phase) -> reports::Failure {
    reports::Failure {
        phase: phase_of(failure.phase.unwrap_or(phase)),
        class: match failure.class {
            Class::Product => FailureClass::Product,
            Class::Test => FailureClass::Test,
            Class::Infra => FailureClass::Infra,
            Class::Harness => FailureClass::Harness,
        },
        kind: failure.kind.into_owned(),
        headline: failure.headline,
        detail: failure.detail,
    }
}

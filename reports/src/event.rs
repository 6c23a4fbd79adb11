//! The event log's vocabulary: one [`Record`] is one line of `events.jsonl`.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Failure, Outcome, Phase, Severity, Verdict};

/// What happened, and when: `{"at":"2026-01-31T12:00:00.5Z","event":"step",…}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When it was written, in UTC.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// The seal of a run's end: the sha256 in hex of all lines before this one, which only `run_ended` has. So nobody has to
    /// trust a log that was damaged since, or lost a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// What happened.
///
/// # Order
/// ```text
/// run_started
///   attempt_started                              per attempt, numbered from 1 within its case
///     phase_entered | machine_started | step | console_hit | attempt_slow …   only between its start and its end
///   attempt_ended
///   teardown_trouble …                           also after the attempt's end
///   case_ended                                   once per case, after its last attempt
///   note | harness_defect | run_interrupted …    anywhere
/// run_ended
/// run_resumed …                                  only after what went before was cut off or ended early
/// ```
/// Cases run in parallel, so the events of several interleave; those of one case are in order.
/// Any suffix of this can be missing: a run that was killed just stops. A case that the plan skips
/// has no events, and neither has one that the run's partition leaves to others. A case that was never started, or that was cut off, has no `case_ended`, or has
/// one that says `not-run` and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "a run begins once, and events are not kept in numbers"
)]
pub enum Event {
    /// The run began; `plan.json` has been written.
    RunStarted {
        /// The run's id, also the name of its directory.
        run: String,
        /// The version of wheeltap.
        wheeltap: String,
        /// The command line, program first.
        command: Vec<String>,
        /// Where it runs.
        host: Host,
        /// What is tested.
        image: Image,
        /// The digest of `plan.json`, see [`Plan::digest`](crate::Plan::digest).
        plan: String,
        /// Which part of the plan this run does, such as `hash:2/3`; none if it does all of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partition: Option<String>,
        /// The cases of that part, by their places in the plan's `cases`, from 0; none if it is all
        /// of them. The others are no concern of this run: it has no events about them, and they
        /// don't count when it is judged. What the plan skips need not be listed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        selected: Option<Vec<usize>>,
    },
    /// An attempt began.
    AttemptStarted {
        /// Whose attempt.
        case: CaseId,
        /// Its number, from 1.
        attempt: u32,
        /// Where its evidence goes, relative to the run directory.
        dir: String,
    },
    /// An attempt went on to its next phase. A phase can be entered several times (reboots).
    PhaseEntered {
        /// Whose attempt.
        case: CaseId,
        /// Its number.
        attempt: u32,
        /// The phase it is in now.
        phase: Phase,
    },
    /// A machine was started.
    MachineStarted {
        /// Whose attempt.
        case: CaseId,
        /// Its number.
        attempt: u32,
        /// The machine's name, such as `m1`.
        machine: String,
        /// Whether it boots.
        origin: Origin,
        /// What it is a fork of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
    },
    /// A line of the scenario's timeline.
    Step {
        /// Whose attempt.
        case: CaseId,
        /// Its number.
        attempt: u32,
        /// What it did or saw, in one line.
        text: String,
    },
    /// A console rule matched.
    ConsoleHit {
        /// Whose attempt.
        case: CaseId,
        /// Its number.
        attempt: u32,
        /// The rule's name.
        rule: String,
        /// How grave.
        severity: Severity,
        /// The console's line.
        text: String,
        /// Its number in the console log, from 1.
        line: u64,
        /// The boot of this machine it belongs to, from 1.
        boot: u32,
    },
    /// An attempt has taken longer than its slow-timeout, or once more as long.
    AttemptSlow {
        /// Whose attempt.
        case: CaseId,
        /// Its number.
        attempt: u32,
        /// How long it has run, in seconds.
        seconds: f64,
    },
    /// An attempt ended.
    AttemptEnded {
        /// Whose attempt.
        case: CaseId,
        /// Its number.
        attempt: u32,
        /// How it ended; never `flaky`.
        verdict: Verdict,
        /// Why, if it didn't pass.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
        /// How long it took, in seconds.
        seconds: f64,
        /// Files to look at, relative to the run directory, the most telling first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        evidence: Vec<String>,
    },
    /// A case ended: no attempt follows.
    CaseEnded {
        /// Which case.
        case: CaseId,
        /// Its verdict, see [`Verdict::of_attempts`].
        verdict: Verdict,
        /// Why it is `skip` or `not-run`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// How long it took with all attempts, in seconds.
        seconds: f64,
    },
    /// Something could not be taken down or collected. It changes no verdict, and is never hidden.
    TeardownTrouble {
        /// Whose machine.
        case: CaseId,
        /// The attempt.
        attempt: u32,
        /// What is left, and how to remove it.
        text: String,
    },
    /// Something a reader of the reports should know.
    Note {
        /// In one line.
        text: String,
    },
    /// wheeltap itself went wrong outside of any attempt.
    HarnessDefect {
        /// In one line.
        text: String,
    },
    /// A run that had ended early goes on, with the same plan.
    RunResumed {
        /// The version of wheeltap.
        wheeltap: String,
        /// The command line, program first.
        command: Vec<String>,
    },
    /// A signal asked the run to end.
    RunInterrupted {
        /// Its name, such as `SIGINT`.
        signal: String,
    },
    /// The run ended in an orderly way; it may have been interrupted.
    RunEnded {
        /// Its exit code, in words.
        outcome: Outcome,
    },
}

/// Where a machine comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// It boots.
    Boot,
    /// It starts from the state of one that had booted.
    Fork,
}

/// A case's identity: a scenario in a cell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CaseId {
    /// The scenario's name, such as `boot.multi-user`. Stable for ever.
    pub scenario: String,
    /// The cell's name, such as `qemu_uefi.amd64`. Stable, without versions.
    pub cell: String,
}

impl CaseId {
    /// A case's identity from its two names.
    pub fn new(scenario: impl Into<String>, cell: impl Into<String>) -> Self {
        Self { scenario: scenario.into(), cell: cell.into() }
    }

    /// The scenario's group, the part of its name before the first dot.
    #[must_use]
    pub fn group(&self) -> &str {
        self.scenario.split_once('.').map_or(&*self.scenario, |(group, _)| group)
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.scenario, self.cell)
    }
}

/// Where a run ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The host's name.
    pub name: String,
    /// Its operating system, as `PRETTY_NAME` in os-release says.
    pub os: String,
    /// Its architecture, such as `amd64`.
    pub arch: String,
    /// The CPUs that wheeltap may use.
    pub cpus: u32,
    /// Its memory, in MiB.
    pub memory_mib: u64,
    /// The accelerator in use, such as `kvm` or `tcg`; `none` without QEMU.
    pub accelerator: String,
}

/// What was tested.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// As it was asked for, such as `reference` or `flatcar:stable`.
    pub name: String,
    /// The sha256 of its disk, in hex.
    pub digest: String,
    /// The version in it.
    pub version: String,
    /// The profile's name.
    pub profile: String,
    /// The address it was fetched from, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The fingerprint of the key that signed it, if that was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// Whether it was fetched without checking who signed it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub insecure: bool,
    /// What its machines are updated to by scenarios about updates, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateTarget>,
}

/// What an image is updated to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateTarget {
    /// The version that the update leads to.
    pub version: String,
    /// The sha256 of the image that the payload was made of, in hex; none if somebody else made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Event {
    /// The case it is about, if any.
    #[must_use]
    pub fn case(&self) -> Option<&CaseId> {
        match self {
            Self::AttemptStarted { case, .. }
            | Self::PhaseEntered { case, .. }
            | Self::MachineStarted { case, .. }
            | Self::Step { case, .. }
            | Self::ConsoleHit { case, .. }
            | Self::AttemptSlow { case, .. }
            | Self::AttemptEnded { case, .. }
            | Self::CaseEnded { case, .. }
            | Self::TeardownTrouble { case, .. } => Some(case),
            Self::RunStarted { .. }
            | Self::RunResumed { .. }
            | Self::Note { .. }
            | Self::HarnessDefect { .. }
            | Self::RunInterrupted { .. }
            | Self::RunEnded { .. } => None,
        }
    }
}

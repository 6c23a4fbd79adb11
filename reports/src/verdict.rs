//! How a case can end, and what is known about a failure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How an attempt, or a case, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It did what the scenario demands, at the first attempt.
    Pass,
    /// It passed, but only after an attempt that didn't. Never the verdict of one attempt.
    Flaky,
    /// The product, or the scenario, is at fault.
    Fail,
    /// It can't be told: the infrastructure or wheeltap itself got in the way.
    Infra,
    /// It was decided not to run it, with a reason.
    Skip,
    /// It was promised and didn't end.
    NotRun,
}

impl Verdict {
    /// Every verdict, in the order in which reports list them.
    pub const ALL: [Self; 6] =
        [Self::Pass, Self::Flaky, Self::Fail, Self::Infra, Self::Skip, Self::NotRun];

    /// The word for it in every report and file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Flaky => "flaky",
            Self::Fail => "fail",
            Self::Infra => "infra",
            Self::Skip => "skip",
            Self::NotRun => "not-run",
        }
    }

    /// The verdict of a case from those of its attempts, in order; `None` without attempts.
    ///
    /// A last attempt that passes makes the case `pass`, or `flaky` if any before it didn't.
    /// Otherwise the worst attempt decides: a product failure that was once seen isn't undone by an
    /// infrastructure failure at the second attempt. Attempts that were cut off (`not-run`, by a
    /// signal or a deadline) judge nothing, unless there are no others.
    #[must_use]
    pub fn of_attempts(attempts: &[Self]) -> Option<Self> {
        let judged: Vec<Self> =
            attempts.iter().copied().filter(|verdict| *verdict != Self::NotRun).collect();
        let judged = if judged.is_empty() { attempts } else { &judged };
        let (last, before) = judged.split_last()?;
        if *last == Self::Pass {
            let clean = before.iter().all(|verdict| *verdict == Self::Pass);
            return Some(if clean { Self::Pass } else { Self::Flaky });
        }
        before.iter().copied().fold(*last, Self::worse).into()
    }

    /// The verdict of a case that was repeated on purpose, from those of its attempts; `None` without
    /// attempts. One that didn't pass is enough: they are made to find it.
    #[must_use]
    pub fn of_repetitions(attempts: &[Self]) -> Option<Self> {
        let judged = |verdict: &&Self| **verdict != Self::NotRun;
        let worst = attempts.iter().filter(judged).copied().reduce(Self::worse);
        worst.or_else(|| attempts.last().copied())
    }

    /// The one of the two that is further from a pass.
    #[must_use]
    pub(crate) fn worse(self, other: Self) -> Self {
        let badness = |verdict| match verdict {
            Self::Pass => 0,
            Self::Flaky => 1,
            Self::Skip => 2,
            Self::NotRun => 3,
            Self::Infra => 4,
            Self::Fail => 5,
        };
        if badness(other) > badness(self) { other } else { self }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The part of an attempt in which something happened, in their usual order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The machine is made: disks, process or cloud object.
    Provision,
    /// Firmware, boot loader, kernel.
    Boot,
    /// Ignition applies the config.
    Ignite,
    /// The guest is reached by SSH.
    Reach,
    /// The scenario does something.
    Act,
    /// The scenario asserts something.
    Check,
    /// The machine is taken down, and evidence collected.
    Teardown,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Provision => "provision",
            Self::Boot => "boot",
            Self::Ignite => "ignite",
            Self::Reach => "reach",
            Self::Act => "act",
            Self::Check => "check",
            Self::Teardown => "teardown",
        })
    }
}

/// Who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The image under test.
    Product,
    /// The scenario.
    Test,
    /// The platform, the network, the host.
    Infra,
    /// wheeltap itself.
    Harness,
}

impl FailureClass {
    /// The verdict of an attempt that ended with a failure of this class.
    ///
    /// A defect of wheeltap says nothing about the image, so it is no `fail`; the run's
    /// [`Outcome`](crate::Outcome) tells it from infrastructure.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Product | Self::Test => Verdict::Fail,
            Self::Infra | Self::Harness => Verdict::Infra,
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Product => "product",
            Self::Test => "test",
            Self::Infra => "infra",
            Self::Harness => "harness",
        })
    }
}

/// Why an attempt didn't pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Where in the attempt it happened.
    pub phase: Phase,
    /// Who is at fault.
    pub class: FailureClass,
    /// A short slug for grouping, such as `kernel-panic` or `ignition-files`.
    pub kind: String,
    /// The cause in one line, such as `Ignition failed in stage files: /etc/foo: no such user`.
    pub headline: String,
    /// Everything else that is known, in lines: the error chain, the console around the fatal line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Failure {
    /// `class.phase.kind`, the `type` of a JUnit failure: stable, and fit for grouping.
    #[must_use]
    pub fn slug(&self) -> String {
        format!("{}.{}.{}", self.class, self.phase, self.kind)
    }
}

/// How grave a console rule's hit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It ends the wait, and the attempt.
    Fatal,
    /// It is worth a look.
    Warn,
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::Verdict::{self, Fail, Flaky, Infra, NotRun, Pass, Skip};

    #[test_case(&[Pass, Fail, Pass], Some(Fail); "one is enough")]
    #[test_case(&[Pass, Infra], Some(Infra); "nor can it be told")]
    #[test_case(&[Pass, NotRun], Some(Pass); "cut off after some")]
    #[test_case(&[NotRun], Some(NotRun); "never judged")]
    #[test_case(&[], None; "never run")]
    fn verdict_of_repetitions(attempts: &[Verdict], expected: Option<Verdict>) {
        assert_eq!(Verdict::of_repetitions(attempts), expected);
    }

    #[test_case(&[], None)]
    #[test_case(&[Pass], Some(Pass))]
    #[test_case(&[Fail, Pass], Some(Flaky))]
    #[test_case(&[Infra, Pass], Some(Flaky); "infra is not hidden either")]
    #[test_case(&[Fail, Infra], Some(Fail); "a product failure stays one")]
    #[test_case(&[Infra, Fail], Some(Fail); "infra first, then product")]
    #[test_case(&[Infra, Infra], Some(Infra))]
    #[test_case(&[Pass, Fail], Some(Fail); "the last attempt failed")]
    #[test_case(&[Fail, NotRun], Some(Fail); "cancelled while retrying")]
    #[test_case(&[NotRun, Pass], Some(Pass); "cut off, and resumed")]
    #[test_case(&[Fail, NotRun, Pass], Some(Flaky); "cut off after a failure")]
    #[test_case(&[NotRun, NotRun], Some(NotRun))]
    #[test_case(&[Skip], Some(Skip))]
    fn verdict_of_attempts(attempts: &[Verdict], expected: Option<Verdict>) {
        assert_eq!(Verdict::of_attempts(attempts), expected);
    }
}

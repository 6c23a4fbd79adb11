//! One word for a whole run. The harness maps it to an exit code.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{FailureClass, Run, State, Verdict};

/// How a run ended as a whole, the gravest first: the first that applies is the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A signal ended it early. What it found until then stands in the reports.
    Interrupted,
    /// wheeltap itself has a defect, so nothing it says about this image should be relied on.
    HarnessDefect,
    /// The product, or a scenario, failed, and no waiver covers it.
    ProductFailure,
    /// The infrastructure failed, so some cases say nothing about the product.
    InfraFailure,
    /// Some planned cases didn't end. Those that a partition leaves to other runs aren't meant.
    LessThanPlanned,
    /// No case ran: none was selected, or all were skipped. That is never a pass; only a partition
    /// that happens to be empty has nothing to do, which its siblings make good.
    NothingRan,
    /// All passed, some of them only after retries; or failed as waivers accept.
    FlakyOnly,
    /// All that ran passed at the first attempt, or failed as waivers accept: see [`Counts::waived`].
    AllPassed,
}

impl Outcome {
    /// The outcome of a run as far as its events go, and of the cases that are its own.
    #[must_use]
    pub fn of(run: &Run) -> Self {
        let counts = Counts::of(run);
        let any_defect = !run.defects.is_empty()
            || run.cases.iter().any(|case| {
                // A defect that a retry got around is told in the flaky case.
                case.verdict != Verdict::Flaky && case.failed_by(FailureClass::Harness)
            });
        if matches!(run.state, State::Interrupted { .. }) {
            Self::Interrupted
        } else if any_defect {
            Self::HarnessDefect
        } else if counts.fail > 0 {
            Self::ProductFailure
        } else if counts.infra > 0 {
            Self::InfraFailure
        } else if counts.not_run > 0 {
            Self::LessThanPlanned
        } else if counts.pass + counts.flaky + counts.waived + counts.elsewhere == 0 {
            Self::NothingRan
        } else if counts.flaky > 0 {
            Self::FlakyOnly
        } else {
            Self::AllPassed
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Interrupted => "interrupted",
            Self::HarnessDefect => "a defect of wheeltap itself",
            Self::ProductFailure => "product failure",
            Self::InfraFailure => "infrastructure failure",
            Self::LessThanPlanned => "less ran than planned",
            Self::NothingRan => "nothing ran",
            Self::FlakyOnly => "passed only after retries",
            Self::AllPassed => "all passed",
        })
    }
}

/// How many cases have which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Cases in the plan; the sum of the others.
    pub planned: usize,
    /// Cases with the verdict `pass`.
    pub pass: usize,
    /// Cases with the verdict `flaky`.
    pub flaky: usize,
    /// Cases with the verdict `fail` that no waiver covers.
    pub fail: usize,
    /// Cases with the verdict `fail` that a waiver covers.
    pub waived: usize,
    /// Cases with the verdict `infra`.
    pub infra: usize,
    /// Cases with the verdict `skip`.
    pub skip: usize,
    /// Cases with the verdict `not-run` that this run should have run.
    pub not_run: usize,
    /// Cases with the verdict `not-run` that the run's partition leaves to other runs.
    pub elsewhere: usize,
}

impl Counts {
    /// Counts a run's cases.
    #[must_use]
    pub fn of(run: &Run) -> Self {
        let mut counts = Self { planned: run.cases.len(), ..Self::default() };
        for case in &run.cases {
            *if case.elsewhere {
                &mut counts.elsewhere
            } else if case.waived.is_some() {
                &mut counts.waived
            } else {
                counts.slot(case.verdict)
            } += 1;
        }
        counts
    }

    /// The number of cases with this verdict, as the fields count them.
    #[must_use]
    pub fn get(mut self, verdict: Verdict) -> usize {
        *self.slot(verdict)
    }

    fn slot(&mut self, verdict: Verdict) -> &mut usize {
        match verdict {
            Verdict::Pass => &mut self.pass,
            Verdict::Flaky => &mut self.flaky,
            Verdict::Fail => &mut self.fail,
            Verdict::Infra => &mut self.infra,
            Verdict::Skip => &mut self.skip,
            Verdict::NotRun => &mut self.not_run,
        }
    }
}

//! Exit codes, part of the interface.

use std::process;

use wheeltap_reports::Outcome;

/// Every exit code of `wheeltap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// Everything that was asked for was done, and passed.
    Passed,
    /// The image broke a promise.
    ProductFailure,
    /// Wrong usage, or a broken config.
    Usage,
    /// The host, the network or a provider failed; the image was not judged.
    InfraFailure,
    /// Passed, but only after retries, and the policy says that this fails.
    Flaky,
    /// Nothing was selected, or less ran than was planned.
    Incomplete,
    /// The gate decided: NO-GO.
    NoGo,
    /// The gate can't decide: something that it must know is missing.
    Undecided,
    /// A defect of wheeltap.
    Defect,
    /// Ended by a signal.
    Interrupted,
}

impl ExitCode {
    /// The number, as documented.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::ProductFailure => 1,
            Self::Usage => 2,
            Self::InfraFailure => 3,
            Self::Flaky => 4,
            Self::Incomplete => 5,
            Self::NoGo => 20,
            Self::Undecided => 21,
            Self::Defect => 70,
            Self::Interrupted => 130,
        }
    }
}

impl ExitCode {
    /// The exit code of a run. Whether a case that passed only after retries fails it is policy; to report such cases is not.
    #[must_use]
    pub fn from_outcome(outcome: Outcome, flaky_fails: bool) -> Self {
        match outcome {
            Outcome::AllPassed => Self::Passed,
            Outcome::FlakyOnly if flaky_fails => Self::Flaky,
            Outcome::FlakyOnly => Self::Passed,
            Outcome::ProductFailure => Self::ProductFailure,
            Outcome::InfraFailure => Self::InfraFailure,
            Outcome::LessThanPlanned | Outcome::NothingRan => Self::Incomplete,
            Outcome::HarnessDefect => Self::Defect,
            Outcome::Interrupted => Self::Interrupted,
        }
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_as_documented() {
        let all = [
            (ExitCode::Passed, 0),
            (ExitCode::ProductFailure, 1),
            (ExitCode::Usage, 2),
            (ExitCode::InfraFailure, 3),
            (ExitCode::Flaky, 4),
            (ExitCode::Incomplete, 5),
            (ExitCode::NoGo, 20),
            (ExitCode::Undecided, 21),
            (ExitCode::Defect, 70),
            (ExitCode::Interrupted, 130),
        ];
        for (code, number) in all {
            assert_eq!(code.code(), number, "{code:?}");
        }
    }

    #[test]
    fn only_what_passed_is_a_pass() {
        let others = [
            Outcome::Interrupted,
            Outcome::HarnessDefect,
            Outcome::ProductFailure,
            Outcome::InfraFailure,
            Outcome::LessThanPlanned,
            Outcome::NothingRan,
        ];
        for outcome in others {
            for flaky_fails in [false, true] {
                let code = ExitCode::from_outcome(outcome, flaky_fails);
                assert!(!matches!(code, ExitCode::Passed | ExitCode::Flaky), "{outcome:?}");
            }
        }
    }

    #[test]
    fn what_a_flaky_pass_is_depends_on_policy() {
        let code = |outcome, flaky_fails| ExitCode::from_outcome(outcome, flaky_fails).code();
        assert_eq!(code(Outcome::FlakyOnly, false), 0);
        assert_eq!(code(Outcome::FlakyOnly, true), 4);
        assert_eq!(code(Outcome::AllPassed, true), 0);
    }
}

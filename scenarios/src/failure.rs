//! Why a case did not pass.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};
use wheeltap_platforms::{Class, Interruption, PlatformError, WaitError, ssh::SshError};

/// What a scenario's body gives back.
pub type Result<T = ()> = std::result::Result<T, Failure>;

/// How far an attempt had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The machine is being made.
    Provision,
    /// It runs, and the guest has not answered yet.
    Boot,
    /// Ignition is at work, as far as the console tells.
    Ignite,
    /// The guest is expected to answer on SSH.
    Reach,
    /// The scenario does something to the guest.
    Act,
    /// The scenario asserts something.
    Check,
    /// Everything is being taken down.
    Teardown,
}

/// Why a case did not pass: the cause in one line, and what is needed to believe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How far the attempt had come; filled in by the engine where the failure doesn't know better.
    pub phase: Option<Phase>,
    /// Whose fault it is.
    pub class: Class,
    /// A short stable word for the kind of failure: `console`, `timeout`, `check`.
    pub kind: Cow<'static, str>,
    /// The cause, in one line.
    pub headline: String,
    /// Everything else: output of the command, excerpt of the console.
    pub detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline)
    }
}

impl std::error::Error for Failure {}

/// The kind of a failure of the image: a promise that was checked, and doesn't hold.
const CHECK: &str = "check";

/// The kind of a failure that is none: the run was cancelled.
const CANCELLED: &str = "cancelled";

/// The kind of a failure to come about in time.
const TIMEOUT: &str = "timeout";

impl Failure {
    /// A failure of `class`.
    pub fn new(
        class: Class,
        kind: impl Into<Cow<'static, str>>,
        headline: impl Into<String>,
    ) -> Self {
        let headline = one_line(&headline.into());
        Self { phase: None, class, kind: kind.into(), headline, detail: String::new() }
    }

    /// The image broke a promise.
    pub fn check(headline: impl Into<String>) -> Self {
        Self { phase: Some(Phase::Check), ..Self::new(Class::Product, CHECK, headline) }
    }

    /// The same failure, seen in `phase`.
    #[must_use]
    pub fn in_phase(self, phase: Phase) -> Self {
        Self { phase: Some(phase), ..self }
    }

    /// The same failure with more to read. Appends to what is there.
    #[must_use]
    pub fn with_detail(mut self, detail: &str) -> Self {
        if !self.detail.is_empty() && !detail.is_empty() {
            self.detail.push('\n');
        }
        self.detail.push_str(detail.trim_end());
        self
    }

    /// The same failure, headed by what was being done: `swap on the second disk: …`.
    #[must_use]
    pub fn context(mut self, doing: &str) -> Self {
        self.headline = format!("{doing}: {}", self.headline);
        self
    }

    /// Whether a machine that others use should not be used any more.
    #[must_use]
    pub fn breaks_machine(&self) -> bool {
        BREAKING.contains(&&*self.kind)
    }

    /// Nothing was judged, because the run ended.
    #[must_use]
    pub fn cancelled(headline: &str) -> Self {
        Self::new(Class::Infra, CANCELLED, headline)
    }

    /// Whether something was awaited for too long.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind == TIMEOUT
    }

    /// The run was cancelled, so nothing was judged.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.kind == CANCELLED
    }
}

/// Kinds of failures after which a machine is not what it was.
const BREAKING: [&str; 5] = ["console", "machine-exited", "ssh", TIMEOUT, "stale-guest"];

/// Checks of one moment. All of them are made, so that a failure names everything that is wrong and not only the first of it.
#[derive(Debug, Default)]
pub struct Checks {
    failed: Vec<Failure>,
}

impl Checks {
    /// Notes the headline unless the condition holds.
    pub fn check(&mut self, holds: bool, headline: impl FnOnce() -> String) {
        if !holds {
            self.failed.push(Failure::check(headline()));
        }
    }

    /// Notes a check that has failed.
    ///
    /// # Errors
    /// Any other failure, such as a guest that is gone: no more can be checked then.
    pub fn note(&mut self, checked: Result) -> Result {
        match checked {
            Err(failure) if failure.kind == CHECK => self.failed.push(failure),
            other => return other,
        }
        Ok(())
    }

    /// # Errors
    /// All that was wrong, as one failure.
    pub fn done(self) -> Result {
        let [first, others @ ..] = &*self.failed else { return Ok(()) };
        if others.is_empty() {
            return Err(first.clone());
        }
        let headline = format!("{} ({} more)", first.headline, others.len());
        let list = self.failed.iter().map(|failure| format!("{LISTED}{}", failure.headline));
        let all = Failure::check(headline).with_detail(&list.collect::<Vec<_>>().join("\n"));
        Err(self.failed.iter().fold(all, |all, failure| all.with_detail(&failure.detail)))
    }
}

/// What stands before each of several failed checks in a detail.
pub const LISTED: &str = "- ";

/// Headlines go where one line is all there is.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl From<WaitError> for Failure {
    fn from(error: WaitError) -> Self {
        match &error {
            WaitError::Interrupted { why, what } => match why {
                // The headline is the cause; what was awaited when it came is only context.
                Interruption::FatalLine { headline } => {
                    Self::new(Class::Product, "console", headline)
                        .with_detail(&format!("while waiting for {what}"))
                }
                Interruption::MachineExited { by_guest, .. } => {
                    let class = if *by_guest { Class::Product } else { Class::Infra };
                    Self::new(class, "machine-exited", error.to_string())
                }
                Interruption::Cancelled => Self::new(Class::Infra, CANCELLED, error.to_string()),
            },
            WaitError::TimedOut { .. } => Self::new(Class::Product, TIMEOUT, error.to_string()),
        }
    }
}

impl From<PlatformError> for Failure {
    fn from(error: PlatformError) -> Self {
        // The first line is the cause; the command that failed is long and follows.
        let (headline, detail) = error.message.split_once('\n').unwrap_or((&error.message, ""));
        Self::new(error.class, "platform", headline).with_detail(detail)
    }
}

impl From<SshError> for Failure {
    fn from(error: SshError) -> Self {
        let class = error.class();
        match error {
            SshError::Wait(error) => error.into(),
            other => Self::new(class, "ssh", other.to_string()),
        }
    }
}

/// Fails the scenario with a headline unless the condition holds.
#[macro_export]
macro_rules! check {
    ($condition:expr, $($headline:tt)+) => {
        if !$condition {
            return Err($crate::Failure::check(format!($($headline)+)));
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_checks_of_a_moment_are_in_one_failure() {
        let mut checks = Checks::default();
        checks.check(true, || unreachable!("it holds"));
        checks.check(false, || "the first".to_owned());
        checks.note(Ok(())).unwrap();
        checks.note(Err(Failure::check("the second").with_detail("its detail"))).unwrap();
        let failure = checks.done().unwrap_err();
        assert_eq!(failure.headline, "the first (1 more)");
        assert_eq!(failure.detail, "- the first\n- the second\nits detail");
        assert_eq!(failure.phase, Some(Phase::Check));
        Checks::default().done().unwrap();
    }

    #[test]
    fn a_guest_that_is_gone_ends_the_checks() {
        let gone = Failure::new(Class::Product, "ssh", "the connection was lost");
        assert_eq!(Checks::default().note(Err(gone.clone())).unwrap_err(), gone);
    }
}

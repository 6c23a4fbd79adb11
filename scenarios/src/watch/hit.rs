//! A line that a rule matched.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::IgnitionFailure;

/// What a hit means for the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The guest can't be expected to go on, or is proven broken: ends every wait.
    Fatal,
    /// Recorded and reported.
    Warn,
}

/// Where lines come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The serial console.
    Console,
    /// The systemd journal.
    Journal,
    /// The kernel's ring buffer.
    Dmesg,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Number in the file, counted from 1, as an editor shows it.
    pub number: u64,
    /// Number of the boot, counted from 1.
    pub boot: u32,
    /// The text, without terminal escapes.
    #[serde(serialize_with = "as_str")]
    pub text: Arc<str>,
}

/// A line that a rule matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// Id of the rule.
    #[serde(serialize_with = "as_str")]
    pub rule: Arc<str>,
    /// Severity of the rule.
    pub severity: Severity,
    /// Whether a scenario expected it.
    pub expected: bool,
    /// What happened, in one line: `kernel panic: sysrq triggered crash`.
    pub headline: String,
    /// The Ignition failure behind it, if one was found in the lines around.
    pub ignition: Option<IgnitionFailure>,
    /// Whether an Ignition failure may be behind it.
    #[serde(skip)]
    pub(super) explained_by_ignition: bool,
    /// The line.
    pub line: Line,
    /// Up to 20 lines before it.
    pub before: Vec<Line>,
    /// Up to 20 lines after it, as far as they have come.
    pub after: Vec<Line>,
}

fn as_str<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

impl Hit {
    /// Whether the hit ends the waits on its machine.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.severity == Severity::Fatal && !self.expected
    }

    /// The lines around it that belong to the same boot, in order.
    pub(super) fn same_boot(&self) -> impl DoubleEndedIterator<Item = &str> {
        let boot = self.line.boot;
        self.before
            .iter()
            .chain([&self.line])
            .chain(&self.after)
            .filter(move |line| line.boot == boot)
            .map(|line| &*line.text)
    }
}

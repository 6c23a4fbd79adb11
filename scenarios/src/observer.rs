//! Who is told what happens in an attempt.

use crate::{failure::Phase, watch::Hit};

/// Is told what happens in an attempt, as it happens. Reports are made from it.
pub trait Observer: Send + Sync {
    /// The attempt is in another phase.
    fn phase(&self, phase: Phase);

    /// A machine was started: it boots, unless `from` says what it is a fork of.
    fn machine(&self, name: &str, from: Option<&str>);

    /// A line for the timeline: what the scenario does now.
    fn step(&self, text: &str);

    /// A console rule matched, and the scenario had not announced it.
    fn console(&self, hit: &Hit);

    /// Something could not be taken down.
    fn trouble(&self, text: &str);
}

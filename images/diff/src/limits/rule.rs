//! Kinds of rules.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Serialize;

use crate::{Aspect, Component};

/// Limits of one file, checked.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Where they are from, for reports.
    pub(super) source: String,
    pub(super) rules: Vec<Rule>,
    pub(super) allows: Vec<Allow>,
}

/// What a hit of a rule means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The image must not leave.
    Error,
    /// Somebody should look.
    Warn,
}

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) severity: Severity,
    /// Globs over what it is about.
    pub(super) allow: Vec<String>,
    pub(super) check: Check,
}

/// What a rule checks.
#[derive(Clone, Debug)]
pub(super) enum Check {
    PartitionUsed { partition: String, below: u64 },
    PartitionSize { partition: String, below: u64 },
    ImageSizeChange { within: u64 },
    DirectorySize { path: String, component: Component, below: Option<u64>, growth: Option<u64> },
    NoDowngrade,
    NoNewSetuid,
    NoNewCapability,
    NoRemovedUnit,
    NoRemovedFile { files: Vec<String> },
    NoNewListener,
    NoNewUser,
    KernelConfig { must: BTreeMap<String, String>, unchanged: Vec<String> },
    MustBeComparable { aspects: Vec<Aspect> },
}

/// A kind by its name, with the keys that it takes beside those of every rule.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) keys: &'static [&'static str],
    /// What it asks for, for reports.
    pub(super) summary: &'static str,
}

pub(super) const KINDS: [Kind; 13] = [
    Kind {
        name: "partition-used",
        keys: &["partition", "below"],
        summary: "a partition is not too full",
    },
    Kind {
        name: "partition-size",
        keys: &["partition", "below"],
        summary: "a partition is not too large",
    },
    Kind {
        name: "image-size-change",
        keys: &["within"],
        summary: "the image is about as large as before",
    },
    Kind {
        name: "directory-size",
        keys: &["path", "component", "below", "growth-below"],
        summary: "a directory is not too large, and did not grow too much",
    },
    Kind { name: "no-downgrade", keys: &[], summary: "no package is older than before" },
    Kind {
        name: "no-new-setuid",
        keys: &[],
        summary: "no file is new that runs with its owner's rights",
    },
    Kind {
        name: "no-new-capability",
        keys: &[],
        summary: "no file is new that gives capabilities",
    },
    Kind { name: "no-removed-unit", keys: &[], summary: "no unit is gone" },
    Kind { name: "no-removed-file", keys: &["files"], summary: "no file of these is gone" },
    Kind { name: "no-new-listener", keys: &[], summary: "nothing listens that did not before" },
    Kind { name: "no-new-user", keys: &[], summary: "no user is new, or can more than before" },
    Kind {
        name: "kernel-config",
        keys: &["must", "unchanged"],
        summary: "the kernel's config is as it must be",
    },
    Kind {
        name: MUST_BE_COMPARABLE,
        keys: &["aspects"],
        summary: "what the limits need can be compared",
    },
];

/// The kind that is there even if nobody asks for it.
pub(super) const MUST_BE_COMPARABLE: &str = "must-be-comparable";

impl Check {
    pub(super) fn kind(&self) -> &'static Kind {
        let index = match self {
            Self::PartitionUsed { .. } => 0,
            Self::PartitionSize { .. } => 1,
            Self::ImageSizeChange { .. } => 2,
            Self::DirectorySize { .. } => 3,
            Self::NoDowngrade => 4,
            Self::NoNewSetuid => 5,
            Self::NoNewCapability => 6,
            Self::NoRemovedUnit => 7,
            Self::NoRemovedFile { .. } => 8,
            Self::NoNewListener => 9,
            Self::NoNewUser => 10,
            Self::KernelConfig { .. } => 11,
            Self::MustBeComparable { .. } => 12,
        };
        &KINDS[index]
    }
}

/// An accepted hit.
#[derive(Clone, Debug)]
pub(super) struct Allow {
    /// An id, or a glob over ids.
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) reason: String,
    pub(super) tracker: Option<String>,
    /// The last day on which it holds.
    pub(super) expires: Date,
}

impl Limits {
    /// Nothing at all.
    #[must_use]
    pub fn none() -> Self {
        Self { source: "none".into(), rules: Vec::new(), allows: Vec::new() }
    }
}

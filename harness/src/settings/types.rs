//! What the settings are once they have been read.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use wheeltap_images::published::{FetchOptions, Patience, Trust};

use super::file::Override;
use crate::{
    engine::{ForkMode, Jobs},
    select::is_match,
};

/// Settings of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For cases that no override is about.
    pub case: CaseSettings,
    /// After so many failures nothing more is started; 1 is `fail-fast`.
    pub max_fail: Option<u32>,
    /// Whether a case that passed only after a retry fails the run.
    pub flaky: Flaky,
    /// Within what the run must end.
    pub deadline: Option<Duration>,
    /// Machines at the same time.
    pub jobs: Jobs,
    /// Whether machines start where others had booted.
    pub fork: ForkMode,
    /// Where history is kept.
    pub history: Option<PathBuf>,
    /// The waivers.
    pub waivers: Option<PathBuf>,
    /// Machines at the same time in each test group.
    pub test_groups: BTreeMap<String, u64>,
    /// How published images are fetched.
    pub images: ImageSettings,
    /// The first comes first.
    pub(super) overrides: Vec<Override>,
}

/// How published images are fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageSettings {
    /// How patient downloads are.
    pub patience: Patience,
    /// Of each family.
    pub families: BTreeMap<String, FamilySettings>,
}

/// How images of one family are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilySettings {
    /// Whose images are believed.
    pub trust: Trust,
    /// In place of the family's own server.
    pub mirrors: Vec<String>,
}

impl ImageSettings {
    /// How images of a family are fetched.
    #[must_use]
    pub fn options(&self, family: &str) -> FetchOptions {
        let (trust, mirrors) = match self.families.get(family) {
            Some(family) => (family.trust.clone(), family.mirrors.clone()),
            None => (Trust::Unknown, Vec::new()),
        };
        FetchOptions { mirrors, trust, patience: self.patience }
    }
}

/// Settings of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseSettings {
    /// How often it is tried again.
    pub retries: Retries,
    /// After this it is said to be slow, once each period. As under KVM: to be multiplied by the platform's slowness.
    pub slow_timeout: Duration,
    /// How long it may take, in place of what the scenario says. As under KVM: to be multiplied by the platform's slowness.
    pub timeout: Option<Duration>,
    /// Its test groups.
    pub groups: Vec<String>,
}

/// How often and when a case is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// So often, if the image or the test failed it.
    pub product: u32,
    /// So often, if the host, the network or a provider failed it.
    pub infra: u32,
    /// How the pause grows.
    pub backoff: Backoff,
    /// The pause before the second attempt.
    pub delay: Duration,
    /// The longest pause.
    pub max_delay: Duration,
    /// Whether the pause is made up to half shorter, at random.
    pub jitter: bool,
}

/// How the pause between attempts grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backoff {
    /// It stays the same.
    Fixed,
    /// It doubles each time.
    Exponential,
}

/// Whether a case that passed only after a retry fails the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flaky {
    /// It is only reported.
    Report,
    /// It does.
    Fail,
}

impl Settings {
    /// Whatever the file says of it, so often is tried again what the image or the test failed, and what the infrastructure did.
    pub(crate) fn retry(&mut self, product: Option<u32>, infra: Option<u32>) {
        let retries = &mut self.case.retries;
        retries.product = product.unwrap_or(retries.product);
        retries.infra = infra.unwrap_or(retries.infra);
        for table in self.overrides.iter_mut().filter_map(|one| one.retries.as_mut()) {
            table.forget(product.is_some(), infra.is_some());
        }
    }

    /// The settings of a scenario's cases, by its name and tags.
    #[must_use]
    pub fn for_case(&self, name: &str, tags: &[&str]) -> CaseSettings {
        let mut case = self.case.clone();
        // The last that is applied wins.
        for one in self.overrides.iter().rev().filter(|one| one.is_about(name, tags)) {
            if let Some(retries) = &one.retries {
                retries.apply(&mut case.retries);
            }
            if let Some(slow_timeout) = one.slow_timeout {
                case.slow_timeout = slow_timeout.0;
            }
            if let Some(timeout) = one.timeout {
                case.timeout = Some(timeout.0);
            }
            if let Some(groups) = &one.test_group {
                case.groups = groups.names().map(str::to_owned).collect();
            }
        }
        case
    }

    /// Overrides that are about none of these scenarios (names and tags), in words: most likely a slip of the pen, or a scenario
    /// that is called something else now.
    #[must_use]
    pub fn idle_overrides(&self, scenarios: &[(&str, &[&str])]) -> Vec<String> {
        let is_idle =
            |one: &&Override| !scenarios.iter().any(|(name, tags)| one.is_about(name, tags));
        self.overrides.iter().filter(is_idle).map(Override::to_string).collect()
    }
}

impl Override {
    fn is_about(&self, name: &str, tags: &[&str]) -> bool {
        let filter = self.filter.as_ref();
        filter.is_none_or(|globs| globs.names().any(|glob| is_match(glob, name)))
            && self.tag.as_ref().is_none_or(|tag| tags.contains(&tag.get_ref().as_str()))
    }
}

impl std::fmt::Display for Override {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let filter = self
            .filter
            .iter()
            .map(|globs| format!("filter `{}`", globs.names().collect::<Vec<_>>().join("`, `")));
        let tag = self.tag.iter().map(|tag| format!("tag `{}`", tag.get_ref()));
        f.write_str(&filter.chain(tag).collect::<Vec<_>>().join(" with "))
    }
}

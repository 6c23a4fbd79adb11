//! What a settings file may hold. What it doesn't say is `None`.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::{
    types::{Backoff, Flaky, Retries},
    values::{JobsValue, MaxFail, Names, Period, RetriesValue},
};
use crate::engine::ForkMode;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) profile: BTreeMap<String, Profile>,
    #[serde(default)]
    pub(super) test_groups: BTreeMap<String, TestGroup>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Profile {
    pub(super) retries: Option<RetriesValue>,
    pub(super) slow_timeout: Option<Period>,
    pub(super) fail_fast: Option<Spanned<bool>>,
    pub(super) max_fail: Option<MaxFail>,
    pub(super) flaky: Option<Flaky>,
    pub(super) deadline: Option<Period>,
    pub(super) jobs: Option<JobsValue>,
    pub(super) fork: Option<Fork>,
    pub(super) history: Option<PathBuf>,
    pub(super) waivers: Option<PathBuf>,
    #[serde(default)]
    pub(super) overrides: Vec<Spanned<Override>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Override {
    pub(super) filter: Option<Names>,
    pub(super) tag: Option<Spanned<String>>,
    pub(super) retries: Option<RetriesValue>,
    pub(super) slow_timeout: Option<Period>,
    pub(super) timeout: Option<Period>,
    pub(super) test_group: Option<Names>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct TestGroup {
    pub(super) max_machines: Spanned<u64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Fork {
    Auto,
    Off,
    Require,
}

impl From<Fork> for ForkMode {
    fn from(fork: Fork) -> Self {
        match fork {
            Fork::Auto => Self::Auto,
            Fork::Off => Self::Off,
            Fork::Require => Self::Require,
        }
    }
}

/// The table of `retries`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RetriesTable {
    pub(super) product: Option<u32>,
    pub(super) infra: Option<u32>,
    pub(super) backoff: Option<Backoff>,
    pub(super) delay: Option<Period>,
    pub(super) max_delay: Option<Period>,
    pub(super) jitter: Option<bool>,
}

impl RetriesTable {
    /// Changes what it says, and nothing else.
    pub(super) fn apply(&self, retries: &mut Retries) {
        *retries = Retries {
            product: self.product.unwrap_or(retries.product),
            infra: self.infra.unwrap_or(retries.infra),
            backoff: self.backoff.unwrap_or(retries.backoff),
            delay: self.delay.map_or(retries.delay, |delay| delay.0),
            max_delay: self.max_delay.map_or(retries.max_delay, |delay| delay.0),
            jitter: self.jitter.unwrap_or(retries.jitter),
        };
    }
}

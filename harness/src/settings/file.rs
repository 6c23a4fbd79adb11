//! What a settings file may hold. What it doesn't say is `None`.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
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
    #[serde(default)]
    pub(super) images: Images,
}

/// What `[images]` may hold: keys of its own, and a table for each family.
#[derive(Debug, Default)]
pub(super) struct Images {
    pub(super) stall: Option<Period>,
    pub(super) retries: Option<u32>,
    pub(super) retry_delay: Option<Period>,
    pub(super) families: BTreeMap<String, Spanned<Family>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Family {
    pub(super) key: Option<PathBuf>,
    pub(super) fingerprint: Option<String>,
    #[serde(default)]
    pub(super) mirrors: Vec<String>,
}

impl<'de> Deserialize<'de> for Images {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table;
        impl<'de> Visitor<'de> for Table {
            type Value = Images;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Images, A::Error> {
                let mut images = Images::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "stall" => images.stall = Some(map.next_value()?),
                        "retries" => images.retries = Some(map.next_value()?),
                        "retry-delay" => images.retry_delay = Some(map.next_value()?),
                        _ => drop(images.families.insert(key, map.next_value()?)),
                    }
                }
                Ok(images)
            }
        }
        deserializer.deserialize_map(Table)
    }
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

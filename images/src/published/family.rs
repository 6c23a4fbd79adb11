//! Families of published images: `families.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The built-in table.
const FAMILIES: &str = include_str!("families.toml");

/// Where the images of a family are, and what they are called.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Family {
    /// The profile of the OS.
    pub(crate) profile: String,
    /// What all addresses begin with; `{channel}` may stand in it.
    pub(crate) server: String,
    /// Where people find the signing key: never the server of the images.
    pub(crate) key_from: String,
    /// Our names of architectures, and the server's.
    pub(crate) architectures: BTreeMap<String, String>,
    /// In the order in which a version is looked for.
    pub(crate) channels: Vec<String>,
    version_part: usize,
    version_channels: BTreeMap<String, String>,
    pub(crate) directories: Option<Directories>,
    pub(crate) streams: Option<Streams>,
}

/// A directory for each version.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Directories {
    /// What says which version is current.
    pub(crate) current: String,
    /// What says that there is a version.
    pub(crate) about: String,
    /// The key in both.
    pub(crate) version_key: String,
    /// What an image may be called.
    pub(crate) images: Vec<String>,
    /// What the signature's name has after the image's.
    pub(crate) signature: String,
    /// The same of the digests.
    pub(crate) digests: String,
}

/// JSON that names everything.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Streams {
    /// What is current in a channel.
    pub(crate) current: String,
    /// What is known of a version.
    pub(crate) about: String,
    /// Which of the images, and in which form.
    pub(crate) artifact: String,
    pub(crate) format: String,
    /// What the signature's name has after the image's, where nothing names it.
    pub(crate) signature: String,
}

impl Family {
    /// Every family, by its name.
    pub(crate) fn all() -> BTreeMap<String, Self> {
        toml::from_str(FAMILIES).expect("the table is part of the program, and a test reads it")
    }

    /// The channels in which a version may be, the likeliest first.
    pub(crate) fn channels_of(&self, version: &str) -> Vec<&str> {
        let part = version.split('.').nth(self.version_part).unwrap_or_default();
        let likely = self.version_channels.get(part).map(String::as_str);
        let others = self.channels.iter().map(String::as_str).filter(|name| Some(*name) != likely);
        likely.into_iter().chain(others).collect()
    }
}

/// The families of which images are published.
#[must_use]
pub fn families() -> Vec<String> {
    Family::all().into_keys().collect()
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test]
    fn every_family_has_one_layout_and_known_channels() {
        for (name, family) in Family::all() {
            assert!(family.directories.is_some() != family.streams.is_some(), "{name}");
            for channel in family.version_channels.values() {
                assert!(family.channels.contains(channel), "{name}: {channel}");
            }
        }
    }

    #[test_case("flatcar", "4593.2.3" => "stable beta alpha lts")]
    #[test_case("flatcar", "4700.0.0" => "alpha stable beta lts")]
    #[test_case("flatcar", "4081.3.6" => "lts stable beta alpha")]
    #[test_case("flatcar", "4081" => "stable beta alpha lts"; "no second number")]
    #[test_case("fcos", "42.20250803.3.0" => "stable testing next")]
    #[test_case("fcos", "42.20250803.1.0" => "next stable testing")]
    fn a_version_is_looked_for_where_it_most_likely_is(family: &str, version: &str) -> String {
        Family::all()[family].channels_of(version).join(" ")
    }
}

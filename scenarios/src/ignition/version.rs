//! Versions of the Ignition config specification.

use std::{fmt, str::FromStr};

use serde::Deserialize;

/// A stable spec version. Experimental ones are refused: no image promises to accept them for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct SpecVersion {
    /// 2 or 3 in practice; the two are different formats.
    pub major: u32,
    /// Adds fields, takes none away.
    pub minor: u32,
    /// Always 0 so far.
    pub patch: u32,
}

/// Not a stable spec version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an Ignition spec version such as 3.3.0")]
pub struct VersionError {
    text: String,
}

impl FromStr for SpecVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let error = || VersionError { text: text.to_owned() };
        let mut numbers = text.split('.').map(|number| {
            let canonical = number == "0" || !number.starts_with(['0', '+']);
            number.parse::<u32>().ok().filter(|_| canonical).ok_or_else(error)
        });
        let mut next = || numbers.next().unwrap_or_else(|| Err(error()));
        let version = Self { major: next()?, minor: next()?, patch: next()? };
        if numbers.next().is_some() { Err(error()) } else { Ok(version) }
    }
}

impl TryFrom<String> for SpecVersion {
    type Error = VersionError;

    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

impl fmt::Display for SpecVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// An inclusive range of spec versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpecRange {
    /// The lowest version.
    pub from: SpecVersion,
    /// The highest version.
    pub to: SpecVersion,
}

impl SpecRange {
    /// Whether the version is in the range.
    #[must_use]
    pub fn contains(&self, version: SpecVersion) -> bool {
        (self.from..=self.to).contains(&version)
    }
}

impl fmt::Display for SpecRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test]
    fn versions_are_ordered_by_number() {
        let version = |text: &str| text.parse::<SpecVersion>().unwrap();
        assert!(version("3.10.0") > version("3.9.0"));
        assert_eq!(version("3.3.0").to_string(), "3.3.0");
    }

    #[test_case("")]
    #[test_case("3")]
    #[test_case("3.3")]
    #[test_case("3.3.0.0")]
    #[test_case("3.4.0-experimental")]
    #[test_case("v3.3.0")]
    #[test_case("3.03.0")]
    #[test_case("3.+3.0")]
    fn anything_else_is_refused(text: &str) {
        assert!(text.parse::<SpecVersion>().is_err());
    }
}

//! Versions of images, compared by number.

use std::{cmp::Ordering, fmt, hash, str::FromStr};

/// The version of an image: numbers with dots between them, perhaps with a suffix, as in `4593.2.3` and
/// `4628.0.0+nightly-20260318-2100`.
///
/// Versions are compared by number, so 4000.10.0 is above 4000.9.0, and 4000.1 equals 4000.1.0. Between equal numbers the
/// suffixes decide, as text: nightly builds differ in nothing else.
#[derive(Clone, Debug)]
pub struct Version {
    text: String,
    numbers: Vec<u64>,
    suffix: String,
}

/// A text is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a version; versions are numbers with dots between them, such as 4593.2.3")]
pub struct BadVersion {
    text: String,
}

impl Version {
    /// The version as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn key(&self) -> (&[u64], &str) {
        (&self.numbers, &self.suffix)
    }
}

impl FromStr for Version {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let bad = || BadVersion { text: text.to_owned() };
        let end = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
        let (dotted, suffix) = text.split_at(end);
        if !suffix.chars().all(|it| it.is_ascii_graphic()) {
            return Err(bad());
        }
        let numbers: Result<Vec<u64>, _> = dotted.split('.').map(str::parse).collect();
        let mut numbers = numbers.map_err(|_| bad())?;
        while numbers.len() > 1 && numbers.last() == Some(&0) {
            numbers.pop();
        }
        Ok(Self { text: text.to_owned(), numbers, suffix: suffix.to_owned() })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Version {}

impl hash::Hash for Version {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("4000.9.0", "4000.10.0" => Ordering::Less; "by number")]
    #[test_case("999.0.0", "4000.0.0" => Ordering::Less; "shorter numbers are smaller")]
    #[test_case("4000.1.0", "4000.1" => Ordering::Equal; "zeros at the end")]
    #[test_case("4000.01.0", "4000.1.0" => Ordering::Equal; "zeros in front")]
    #[test_case("4000.1.1", "4000.1" => Ordering::Greater; "a point release")]
    #[test_case("4628.0.0+nightly-20260318-2100", "4628.0.0+nightly-20260317-2100" => Ordering::Greater; "nightlies")]
    #[test_case("4628.0.0", "4628.0.0+nightly-20260317-2100" => Ordering::Less; "a suffix counts")]
    #[test_case("0", "0.0.0.0" => Ordering::Equal; "nothing")]
    fn comparison(one: &str, other: &str) -> Ordering {
        let (one, other): (Version, Version) = (one.parse().unwrap(), other.parse().unwrap());
        one.cmp(&other)
    }

    #[test_case(""; "empty")]
    #[test_case("stable"; "a word")]
    #[test_case("4000..1"; "a gap")]
    #[test_case(".1"; "no first number")]
    #[test_case("4000.1.0 "; "a space")]
    #[test_case("4000.1.0\u{1b}[2J"; "control characters")]
    #[test_case("99999999999999999999"; "more than a number can hold")]
    fn no_versions(text: &str) {
        assert!(text.parse::<Version>().is_err());
    }
}

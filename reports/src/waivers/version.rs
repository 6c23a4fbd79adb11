//! Versions of images, and ranges of them: `>=4000.0.0, <4100`.

use std::cmp::Ordering;
use std::fmt;

/// A version: numbers with dots between. Zeros at its end don't count, so `4000` is `4000.0.0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(Vec<u64>);

impl Version {
    /// From numbers and dots, and nothing else.
    fn parse(text: &str) -> Option<Self> {
        let part = |part: &str| {
            part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten()
        };
        let mut parts = text.split('.').map(part).collect::<Option<Vec<u64>>>()?;
        while parts.last() == Some(&0) {
            parts.pop();
        }
        Some(Self(parts))
    }

    /// From the version of an image. What says how it was built is left out: `4593.2.3+nightly-…`.
    pub(super) fn of_image(text: &str) -> Option<Self> {
        Self::parse(text.split(['+', '-', '~']).next().unwrap_or(text))
    }

    /// A version above this one, and below all others that are above it and have fewer than eight
    /// numbers.
    fn just_above(&self) -> Self {
        let mut parts = self.0.clone();
        parts.resize(parts.len().max(7), 0);
        parts.push(1);
        Self(parts)
    }
}

/// All of these conditions.
#[derive(Clone, Debug)]
pub(super) struct VersionRange {
    text: String,
    conditions: Vec<(Operator, Version)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// The longer ones first, so that `<=` isn't read as `<`.
const OPERATORS: [(&str, Operator); 5] = [
    (">=", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("=", Operator::Equal),
];

impl VersionRange {
    /// Reads a range.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let conditions =
            text.split(',').map(|part| condition(part.trim())).collect::<Result<Vec<_>, _>>()?;
        let range = Self { text: text.trim().to_owned(), conditions };
        // If any version is in it, then one of these: a bound, what is just above one, or zero.
        let bounds = range.conditions.iter().map(|(_, version)| version);
        let mut candidates = bounds.flat_map(|bound| [bound.clone(), bound.just_above()]);
        let zero = Version(Vec::new());
        if !range.contains(&zero) && !candidates.any(|version| range.contains(&version)) {
            return Err(format!(
                "no version is in the range `{range}`: its conditions exclude each other"
            ));
        }
        Ok(range)
    }

    pub(super) fn contains(&self, version: &Version) -> bool {
        self.conditions.iter().all(|(operator, bound)| {
            let order = version.cmp(bound);
            match operator {
                Operator::Less => order == Ordering::Less,
                Operator::LessOrEqual => order != Ordering::Greater,
                Operator::Equal => order == Ordering::Equal,
                Operator::GreaterOrEqual => order != Ordering::Less,
                Operator::Greater => order == Ordering::Greater,
            }
        })
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn condition(text: &str) -> Result<(Operator, Version), String> {
    let (operator, version) = OPERATORS
        .iter()
        .find_map(|(sign, operator)| text.strip_prefix(sign).map(|rest| (*operator, rest.trim())))
        // A version by itself is that version.
        .unwrap_or((Operator::Equal, text));
    match Version::parse(version) {
        Some(version) => Ok((operator, version)),
        None => Err(format!("`{text}` is no condition; give a range such as `>=4000.0.0, <4100`")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};
    use test_case::test_case;

    use super::{Version, VersionRange};

    #[test_case(">=4000.0.0, <4100", "4000.0.0" => true; "the lower bound is in it")]
    #[test_case(">=4000.0.0, <4100", "4099.9.9" => true)]
    #[test_case(">=4000.0.0, <4100", "4100.0.0" => false; "zeros at the end don't count")]
    #[test_case(">=4000.0.0, <4100", "3999.1.0" => false)]
    #[test_case("<=4000", "4000.0.1" => false)]
    #[test_case(">4000", "4000.0.1" => true)]
    #[test_case("=4000.1", "4000.1.0" => true)]
    #[test_case("4000.1.0", "4000.1.0" => true; "a version by itself")]
    #[test_case(">=4593", "4593.2.3+nightly-20260131-2100" => true; "a nightly")]
    #[test_case("<10", "9.1" => true; "numbers, not text")]
    #[test_case(">=41.20250101", "41.20250101.3.0" => true; "of four parts")]
    fn ranges(range: &str, version: &str) -> bool {
        VersionRange::parse(range).unwrap().contains(&Version::of_image(version).unwrap())
    }

    #[test_case("")]
    #[test_case(">=4000,"; "a trailing comma")]
    #[test_case("~4000"; "an operator of others")]
    #[test_case(">=4000 <4100"; "no comma")]
    #[test_case("4000.x"; "a wildcard")]
    #[test_case("-1")]
    #[test_case("4000..1")]
    #[test_case("99999999999999999999")]
    fn bad_ranges(range: &str) {
        let error = VersionRange::parse(range).unwrap_err();
        assert!(error.contains("give a range such as `>=4000.0.0, <4100`"), "{error}");
    }

    #[test_case(">=4100, <4000")]
    #[test_case(">4000, <4000")]
    #[test_case("=1, =2")]
    #[test_case("<0")]
    fn empty_ranges(range: &str) {
        let error = VersionRange::parse(range).unwrap_err();
        assert!(error.starts_with("no version is in the range"), "{error}");
    }

    #[test_case("unknown" => false)]
    #[test_case("" => false)]
    #[test_case("4000.0.0" => true)]
    fn versions(text: &str) -> bool {
        Version::of_image(text).is_some()
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in any::<String>()) {
            let _ = VersionRange::parse(&text);
            let _ = Version::of_image(&text);
        }

        #[test]
        fn versions_compare_as_numbers(
            one in prop::collection::vec(0_u64..5, 3), other in prop::collection::vec(0_u64..5, 3),
        ) {
            let text = |parts: &[u64]| parts.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
            let range = VersionRange::parse(&format!(">={}", text(&one))).unwrap();
            let version = Version::of_image(&text(&other)).unwrap();
            prop_assert_eq!(range.contains(&version), other >= one);
        }
    }
}

//! Which of two versions is the older one. Pure.

/// A version, to be compared: `4593.2.10` comes after `4593.2.9`.
///
/// ```text
/// 4593.2.0-rc1  <  4593.2.0 = 4593.2  <  4593.2.0-2  <  4593.2.0+nightly-20260131
/// ```
/// Numbers compare as numbers. A word after a hyphen is a preview of the release, a number is a
/// revision of it, and what follows a plus was built from it later.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct VersionKey {
    release: Vec<Part>,
    kind: Kind,
    suffix: Vec<Part>,
    build: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Preview,
    Release,
    Revision,
}

/// A stretch of digits or of other characters. What ends first is older than either.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Word(String),
    /// The number of digits without leading zeros, and the digits: of any length, without overflow.
    Number(usize, String),
}

impl VersionKey {
    pub(super) fn of(version: &str) -> Self {
        let (version, build) = version.split_once('+').unwrap_or((version, ""));
        let (release, suffix) = version.split_once('-').unwrap_or((version, ""));
        let mut release = parts(release);
        while release.last() == Some(&Part::number("0")) {
            release.pop();
        }
        let kind = match suffix.chars().next() {
            None => Kind::Release,
            Some(first) if first.is_ascii_digit() => Kind::Revision,
            Some(_) => Kind::Preview,
        };
        Self { release, kind, suffix: parts(suffix), build: parts(build) }
    }
}

impl Part {
    fn number(digits: &str) -> Self {
        let digits = digits.trim_start_matches('0');
        Self::Number(digits.len(), digits.to_owned())
    }
}

fn parts(text: &str) -> Vec<Part> {
    let chars: Vec<char> = text.chars().collect();
    let kind = |c: &char| (c.is_ascii_digit(), c.is_alphanumeric());
    chars
        .chunk_by(|one, other| kind(one) == kind(other))
        .filter(|chunk| chunk[0].is_alphanumeric())
        .map(|chunk| {
            let text: String = chunk.iter().collect();
            if chunk[0].is_ascii_digit() { Part::number(&text) } else { Part::Word(text) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::{prop_assert_eq, proptest};
    use test_case::test_case;

    use super::VersionKey;

    fn compare(one: &str, other: &str) -> Ordering {
        VersionKey::of(one).cmp(&VersionKey::of(other))
    }

    #[test_case("4593.2.9", "4593.2.10"; "numbers are no text")]
    #[test_case("4593.2.3", "4600.0.0"; "the first number decides")]
    #[test_case("4593.2", "4593.2.1"; "a point release")]
    #[test_case("40.20240101.3.0", "40.20240115.1.0"; "dates")]
    #[test_case("4593.2.0-rc1", "4593.2.0"; "a preview")]
    #[test_case("4593.2.0-rc2", "4593.2.0-rc10"; "previews in order")]
    #[test_case("4593.2.0", "4593.2.0-2"; "a revision")]
    #[test_case("4593.2.0", "4593.2.0+nightly-20260131-2100"; "a build of it")]
    #[test_case("4593.2.0+nightly-20260131-2100", "4593.2.0+nightly-20260201-2100"; "nightly")]
    #[test_case("4593.2.0+nightly-20260131-2100", "4593.2.1"; "a build of the one before")]
    #[test_case("1.99999999999999999999999", "1.100000000000000000000000"; "no overflow")]
    #[test_case("", "0.1"; "no version")]
    fn older_and_newer(older: &str, newer: &str) {
        assert_eq!(compare(older, newer), Ordering::Less);
        assert_eq!(compare(newer, older), Ordering::Greater);
    }

    #[test_case("4593.2", "4593.2.0"; "zeros at the end")]
    #[test_case("4593.02", "4593.2"; "zeros at the beginning")]
    fn the_same(one: &str, other: &str) {
        assert_eq!(compare(one, other), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn numbers_compare_as_numbers(one in proptest::array::uniform3(0_u32..2000), other in proptest::array::uniform3(0_u32..2000)) {
            let text = |[a, b, c]: [u32; 3]| format!("{a}.{b}.{c}");
            prop_assert_eq!(compare(&text(one), &text(other)), one.cmp(&other));
        }

        #[test]
        fn any_text_is_a_version(one in ".*", other in ".*") {
            prop_assert_eq!(compare(&one, &one), Ordering::Equal);
            prop_assert_eq!(compare(&one, &other), compare(&other, &one).reverse());
        }
    }
}

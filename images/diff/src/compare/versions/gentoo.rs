//! Versions of Gentoo: Package Manager Specification, 3.2 (what a version is) and 3.3 (how they compare, algorithms 3.1 to
//! 3.7).

use std::cmp::Ordering;

use super::numbers;

/// A version in its parts.
struct Version<'a> {
    numbers: Vec<&'a str>,
    /// One letter, or nothing.
    letter: &'a str,
    suffixes: Vec<(Suffix, &'a str)>,
    /// Digits, or nothing.
    revision: &'a str,
}

/// Suffixes in their order. A version that has come to its end is between `rc` and `p`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Suffix {
    Alpha,
    Beta,
    Pre,
    Rc,
    End,
    P,
}

const SUFFIXES: [(&str, Suffix); 5] = [
    ("alpha", Suffix::Alpha),
    ("beta", Suffix::Beta),
    ("pre", Suffix::Pre),
    ("rc", Suffix::Rc),
    // After `pre`, which begins the same.
    ("p", Suffix::P),
];

pub(crate) fn is_version(text: &str) -> bool {
    parse(text).is_some()
}

fn parse(text: &str) -> Option<Version<'_>> {
    let mut numbers = Vec::new();
    let (first, mut rest) = digits(text)?;
    numbers.push(first);
    while let Some((number, after)) = rest.strip_prefix('.').and_then(digits) {
        numbers.push(number);
        rest = after;
    }
    let has_letter = rest.starts_with(|c: char| c.is_ascii_lowercase());
    let (letter, mut rest) = rest.split_at(usize::from(has_letter));
    let mut suffixes = Vec::new();
    while let Some(suffix) = rest.strip_prefix('_') {
        let (kind, after) = SUFFIXES
            .iter()
            .find_map(|(name, kind)| suffix.strip_prefix(name).map(|after| (*kind, after)))?;
        let (number, after) = digits(after).unwrap_or(("", after));
        suffixes.push((kind, number));
        rest = after;
    }
    let revision = match rest.strip_prefix("-r") {
        Some(revision) => match digits(revision)? {
            (revision, "") => revision,
            _ => return None,
        },
        None if rest.is_empty() => "",
        None => return None,
    };
    Some(Version { numbers, letter, suffixes, revision })
}

fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    (end > 0).then(|| text.split_at(end))
}

pub(super) fn compare(one: &str, other: &str) -> Option<Ordering> {
    let (one, other) = (parse(one)?, parse(other)?);
    Some(
        compare_numbers(&one.numbers, &other.numbers)
            .then_with(|| one.letter.cmp(other.letter))
            .then_with(|| compare_suffixes(&one.suffixes, &other.suffixes))
            .then_with(|| numbers(one.revision, other.revision)),
    )
}

/// Algorithms 3.2 and 3.3.
fn compare_numbers(one: &[&str], other: &[&str]) -> Ordering {
    let mut order = numbers(one[0], other[0]);
    for (one, other) in one.iter().zip(other).skip(1) {
        order = order.then_with(|| {
            if one.starts_with('0') || other.starts_with('0') {
                // As the digits of a fraction.
                one.trim_end_matches('0').cmp(other.trim_end_matches('0'))
            } else {
                numbers(one, other)
            }
        });
    }
    order.then_with(|| one.len().cmp(&other.len()))
}

/// Algorithms 3.5 and 3.6.
fn compare_suffixes(one: &[(Suffix, &str)], other: &[(Suffix, &str)]) -> Ordering {
    for place in 0..one.len().max(other.len()) {
        let end = (Suffix::End, "");
        let (kind, number) = one.get(place).copied().unwrap_or(end);
        let (other_kind, other_number) = other.get(place).copied().unwrap_or(end);
        let order = kind.cmp(&other_kind).then_with(|| numbers(number, other_number));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

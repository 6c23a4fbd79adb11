//! Versions of Debian: Debian Policy, 5.6.12, and dpkg's `lib/dpkg/version.c`, which does what the policy leaves open.

use std::cmp::Ordering;

use super::{by_parts, numbers, until};

pub(super) fn compare(one: &str, other: &str) -> Ordering {
    by_parts(one, other, part)
}

/// What is no number and what is one, in turn.
fn part(mut one: &str, mut other: &str) -> Ordering {
    while !one.is_empty() || !other.is_empty() {
        let (text, rest) = until(one, |c| c.is_ascii_digit());
        let (other_text, other_rest) = until(other, |c| c.is_ascii_digit());
        let (number, rest) = until(rest, |c| !c.is_ascii_digit());
        let (other_number, other_rest) = until(other_rest, |c| !c.is_ascii_digit());
        let order = compare_text(text, other_text).then_with(|| numbers(number, other_number));
        if order != Ordering::Equal {
            return order;
        }
        (one, other) = (rest, other_rest);
    }
    Ordering::Equal
}

/// A tilde is before the end, the end before letters, letters before the rest.
fn compare_text(one: &str, other: &str) -> Ordering {
    let weight = |c: Option<char>| match c {
        Some('~') => (0, '~'),
        None => (1, '\0'),
        Some(c) if c.is_ascii_alphabetic() => (2, c),
        Some(c) => (3, c),
    };
    let (mut one, mut other) = (one.chars(), other.chars());
    loop {
        match (one.next(), other.next()) {
            (None, None) => return Ordering::Equal,
            (one, other) => match weight(one).cmp(&weight(other)) {
                Ordering::Equal => {}
                order => return order,
            },
        }
    }
}

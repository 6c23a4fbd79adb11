//! Versions of Debian: Debian Policy, 5.6.12, and dpkg's `lib/dpkg/version.c`, which does what the policy leaves open.

use std::cmp::Ordering;

use super::numbers;

pub(super) fn compare(one: &str, other: &str) -> Ordering {
    let (one, other) = (parts(one), parts(other));
    numbers(one.0, other.0).then_with(|| part(one.1, other.1)).then_with(|| part(one.2, other.2))
}

/// Epoch, upstream's version and revision.
fn parts(version: &str) -> (&str, &str, &str) {
    let (epoch, rest) = version
        .split_once(':')
        .filter(|(epoch, _)| !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit()))
        .unwrap_or(("", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch, upstream, revision)
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

pub(super) fn until(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(is_end).unwrap_or(text.len()))
}

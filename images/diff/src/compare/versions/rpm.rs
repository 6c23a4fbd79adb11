//! Versions of RPM: rpm-version(7), and `rpmio/rpmvercmp.cc`.

use std::cmp::Ordering;

use super::{by_parts, numbers, until};

pub(super) fn compare(one: &str, other: &str) -> Ordering {
    by_parts(one, other, part)
}

fn part(mut one: &str, mut other: &str) -> Ordering {
    let is_separator = |c: char| !c.is_ascii_alphanumeric() && c != '~' && c != '^';
    loop {
        one = one.trim_start_matches(is_separator);
        other = other.trim_start_matches(is_separator);
        let next = (one.chars().next(), other.chars().next());
        match next {
            (Some('~'), Some('~')) | (Some('^'), Some('^')) => {
                (one, other) = (&one[1..], &other[1..]);
                continue;
            }
            // A tilde is before everything, also the end.
            (Some('~'), _) => return Ordering::Less,
            (_, Some('~')) => return Ordering::Greater,
            // A caret is after the end, and before everything else.
            (Some('^'), None) => return Ordering::Greater,
            (None, Some('^')) => return Ordering::Less,
            (Some('^'), _) => return Ordering::Less,
            (_, Some('^')) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (Some(_), None) => return Ordering::Greater,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), Some(_)) => {}
        }
        let is_number = one.starts_with(|c: char| c.is_ascii_digit());
        let is_same =
            |c: char| if is_number { c.is_ascii_digit() } else { c.is_ascii_alphabetic() };
        let (segment, rest) = until(one, |c| !is_same(c));
        let (other_segment, other_rest) = until(other, |c| !is_same(c));
        // A number is newer than letters.
        if other_segment.is_empty() {
            return if is_number { Ordering::Greater } else { Ordering::Less };
        }
        let order =
            if is_number { numbers(segment, other_segment) } else { segment.cmp(other_segment) };
        if order != Ordering::Equal {
            return order;
        }
        (one, other) = (rest, other_rest);
    }
}

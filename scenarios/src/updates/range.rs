//! Range requests (RFC 9110, section 14): which bytes of a file a client wants.

use std::ops::Range;

/// What a `Range` header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The whole file.
    All,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that the file doesn't have.
    Unsatisfiable,
}

/// Reads the header for a file of `size` bytes.
///
/// A header that is malformed, or asks for several ranges, is ignored, as the RFC allows: no update client sends one.
pub(super) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some((first, last)) = header
        .and_then(|header| header.trim().strip_prefix("bytes="))
        .and_then(|range| range.split_once('-'))
    else {
        return Wanted::All;
    };
    let range = match (number(first), number(last)) {
        (Some(first), None) if last.trim().is_empty() => first..size,
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (None, Some(last)) if first.trim().is_empty() => size.saturating_sub(last)..size,
        _ => return Wanted::All,
    };
    if range.is_empty() { Wanted::Unsatisfiable } else { Wanted::Part(range) }
}

/// Digits only: `parse` would also take a plus sign.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    #[test_case(None => Wanted::All; "no header")]
    #[test_case(Some("bytes=0-") => Wanted::Part(0..1000); "from the start")]
    #[test_case(Some("bytes=400-") => Wanted::Part(400..1000); "the rest")]
    #[test_case(Some("bytes=400-499") => Wanted::Part(400..500); "the middle")]
    #[test_case(Some("bytes=999-5000") => Wanted::Part(999..1000); "beyond the end")]
    #[test_case(Some("bytes=-100") => Wanted::Part(900..1000); "the last bytes")]
    #[test_case(Some("bytes=-5000") => Wanted::Part(0..1000); "more last bytes than there are")]
    #[test_case(Some("bytes=1000-") => Wanted::Unsatisfiable; "just past the end")]
    #[test_case(Some("bytes=-0") => Wanted::Unsatisfiable; "no last bytes")]
    #[test_case(Some("bytes=0-18446744073709551615") => Wanted::Part(0..1000); "the largest number")]
    #[test_case(Some("bytes=5-4") => Wanted::All; "backwards")]
    #[test_case(Some("bytes=0-1,5-6") => Wanted::All; "several")]
    #[test_case(Some("bytes=+1-2") => Wanted::All; "a sign")]
    #[test_case(Some("bytes=-") => Wanted::All; "neither")]
    #[test_case(Some("bytes=18446744073709551616-") => Wanted::All; "more than a number can hold")]
    #[test_case(Some("lines=1-2") => Wanted::All; "another unit")]
    fn ranges(header: Option<&str>) -> Wanted {
        wanted(header, 1000)
    }

    proptest! {
        #[test]
        fn a_part_lies_in_the_file(header in "bytes=[0-9]{0,21}-[0-9]{0,21}", size in any::<u64>()) {
            if let Wanted::Part(range) = wanted(Some(&header), size) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}

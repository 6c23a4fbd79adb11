//! Private keys in PEM and the like: whatever stands between their first line and their last.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

use super::REDACTED;

/// Adds what private keys hold. Their lines may have been joined, also by `\n`, or have a prefix each,
/// as in a log; a key whose last line is missing goes to the end of the text.
///
/// By hand, since a pattern that looks for the last line of each key takes quadratic time where there
/// is none.
pub(super) fn find(text: &str, spans: &mut Vec<Range<usize>>) {
    static MARKER: LazyLock<Regex> = LazyLock::new(|| {
        RegexBuilder::new(r"-{4,5} ?(BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
            .unicode(false)
            .build()
            .expect("this module's patterns are tested")
    });

    let mut open: Option<usize> = None;
    let mut last = 0;
    for marker in MARKER.captures_iter(text.as_bytes()) {
        let (Some(whole), Some(word)) = (marker.get(0), marker.get(1)) else { continue };
        let begins = word.as_bytes() == b"BEGIN";
        match open {
            Some(start) => add(text, start..whole.start(), spans),
            // The beginning was cut off.
            None if !begins => words(text, last..whole.start(), spans),
            None => {}
        }
        open = begins.then(|| whole.end());
        last = whole.end();
    }
    if let Some(start) = open {
        add(text, start..text.len(), spans);
    }
}

fn add(text: &str, span: Range<usize>, spans: &mut Vec<Range<usize>>) {
    let inner = &text[span.clone()];
    if !inner.trim().is_empty() && inner != REDACTED {
        spans.push(span);
    }
}

/// Adds what looks like a line of base64, and the word at the end, which may be a short line.
fn words(text: &str, span: Range<usize>, spans: &mut Vec<Range<usize>>) {
    static WORD: LazyLock<Regex> = LazyLock::new(|| {
        RegexBuilder::new(r"[A-Za-z0-9+/]{40,}={0,2}|[A-Za-z0-9+/]{2,}={0,2}(?:\\n|\s)*$")
            .unicode(false)
            .build()
            .expect("this module's patterns are tested")
    });

    for word in WORD.find_iter(text[span.clone()].as_bytes()) {
        spans.push(span.start + word.start()..span.start + word.end());
    }
}

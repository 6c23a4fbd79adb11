//! Text of images and listings, made fit to be shown.
//!
//! Whoever builds an image names its files, and a terminal or a browser would obey some names. Nothing is left out: two
//! names that differ must look different.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Text in which whatever can't be seen, or changes how the rest is seen, is written as `\x1b` or `\u{202e}`.
///
/// Paths of an [`Inventory`](crate::Inventory) have their own backslashes doubled already, so this can be undone.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        // Writing to a string can't fail.
        let _ = match c {
            c if !is_hidden(c) => out.write_char(c),
            c if u32::from(c) < 0x80 => write!(out, "\\x{:02x}", u32::from(c)),
            c => write!(out, "\\u{{{:x}}}", u32::from(c)),
        };
    }
    Cow::Owned(out)
}

/// [`visible`] text of at most so many characters; the middle of a longer one is left out, since names differ at their ends.
pub(crate) fn shortened(text: &str, max: usize) -> String {
    let text = visible(text);
    let count = text.chars().count();
    if count <= max {
        return text.into_owned();
    }
    let head = max / 2;
    let tail = max.saturating_sub(head + 1);
    text.chars().take(head).chain(['…']).chain(text.chars().skip(count - tail)).collect()
}

/// Bytes as an inventory has them: those that are no UTF-8 as `\xNN`, a backslash doubled.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        if chunk.valid().contains('\\') {
            out.push_str(&chunk.valid().replace('\\', r"\\"));
        } else {
            out.push_str(chunk.valid());
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// Control characters, what XML forbids, and what turns the direction of text or has no width.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
    use test_case::test_case;

    use super::{escaped, shortened, visible};

    #[test_case("/usr/bin/su" => "/usr/bin/su")]
    #[test_case("\u{1b}[31mred" => r"\x1b[31mred"; "a colour")]
    #[test_case("a\nb\tc" => r"a\x0ab\x09c"; "a line break and a tab")]
    #[test_case("a\u{202e}b" => r"a\u{202e}b"; "the other direction")]
    #[test_case("\u{9b}m" => r"\u{9b}m"; "a control sequence of one character")]
    #[test_case("🦀é" => "🦀é"; "what can be seen")]
    fn hidden_characters(text: &str) -> String {
        visible(text).into_owned()
    }

    #[test_case(b"/a\\b" => r"/a\\b"; "a backslash")]
    #[test_case(b"/\xff\xfe" => r"/\xff\xfe"; "no text")]
    #[test_case(b"/\xf0\x9f\xa6" => r"/\xf0\x9f\xa6"; "text that was cut")]
    #[test_case("/🦀".as_bytes() => "/🦀")]
    fn bytes(bytes: &[u8]) -> String {
        escaped(bytes)
    }

    #[test]
    fn long_text_keeps_both_ends() {
        assert_eq!(shortened("0123456789", 5), "01…89");
        assert_eq!(shortened("01234", 5), "01234");
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left(text in any::<String>()) {
            prop_assert!(!visible(&text).chars().any(super::is_hidden));
        }

        #[test]
        fn different_names_look_different(
            one in prop::collection::vec(any::<u8>(), 0..8), other in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            let look = |bytes: &[u8]| visible(&escaped(bytes)).into_owned();
            prop_assert_eq!(look(&one) == look(&other), one == other);
        }
    }
}

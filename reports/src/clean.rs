//! Text from guests and tools, made fit for every report: no terminal escapes, no control
//! characters, none that XML 1.0 forbids, no secrets, and of bounded length.
//!
//! It is applied once, when a run is loaded, so that no view ever sees raw text. Whoever shows events
//! as they happen applies [`line`] itself.

use std::borrow::Cow;

use crate::redact;

/// The longest headline, in characters: what consumers of JUnit show in one line.
pub(crate) const HEADLINE: usize = 200;
/// The longest line of a timeline, in characters.
pub(crate) const LINE: usize = 1000;
/// The longest detail, in bytes. Jenkins keeps 100,000 of a failed case, attempts included.
pub(crate) const BLOCK: usize = 32 * 1024;

/// One line of at most `max` characters, without [secrets](redact); runs of white space become one space.
#[must_use]
pub fn line(text: &str, max: usize) -> String {
    // A hostile text of many megabytes isn't worth cleaning beyond what can be shown.
    let head = &text[..boundary(text, max.saturating_mul(16))];
    let plain = plain(head);
    // Before lines are joined and cut, so that a secret is known by its line and seen whole.
    let redacted = redact::text(&plain);
    let mut words = redacted.split_whitespace();
    let mut out = String::from(words.next().unwrap_or_default());
    for word in words {
        out.push(' ');
        out.push_str(word);
    }
    if head.len() == text.len() && out.chars().nth(max).is_none() {
        return out;
    }
    out.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

/// Several lines of at most `max` bytes, without secrets; the middle of a longer text is left out, and said so.
pub(crate) fn block(text: &str, max: usize) -> String {
    // Cleaned before it is cut, so that no escape sequence is torn by the cut.
    let text = plain(text.trim_end());
    // The cause tends to stand at the beginning, and what came of it at the end. Around the cut more is looked at than is
    // kept, so that a secret which is torn by it is seen; but not all of many megabytes.
    let (head, tail) = if text.len() <= 8 * max {
        (redact::text(&text), Cow::default())
    } else {
        let head = &text[..boundary(&text, 4 * max)];
        let tail = &text[boundary(&text, text.len() - 4 * max)..];
        (redact::text(head), redact::text(tail))
    };
    if tail.is_empty() && head.len() <= max {
        return head.into_owned();
    }
    let end = if tail.is_empty() { &head } else { &tail };
    let first = &head[..boundary(&head, max / 2)];
    let last = &end[boundary(end, end.len().saturating_sub(max / 2))..];
    let left_out = text.len().saturating_sub(first.len() + last.len());
    format!("{first}\n[… {left_out} bytes left out …]\n{last}")
}

/// The last boundary between characters at or before this byte.
fn boundary(text: &str, byte: usize) -> usize {
    (0..=byte.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Removes escape sequences and characters that reports can't hold.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c != '\n' && is_bad(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\x1b' => skip_escape(&mut rest),
            '\u{9b}' => skip_csi(&mut rest),
            // Serial consoles end lines with CR LF, and redraw them with a bare CR.
            '\r' if rest.peek() == Some(&'\n') => {}
            '\r' => out.push('\n'),
            '\t' => out.push_str("    "),
            '\n' => out.push(c),
            c if is_bad(c) => {}
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Control characters, the two non-characters that XML 1.0 forbids, and those that turn the
/// direction of text, with which a guest could make a line read differently from what it is.
pub(crate) fn is_bad(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{fffe}' | '\u{ffff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Skips what follows an ESC (ECMA-48). A sequence that is torn or unknown ends at the end of its
/// line, so that it can't swallow the lines after it.
fn skip_escape(rest: &mut Rest<'_>) {
    match rest.peek() {
        Some('[') => {
            rest.next();
            skip_csi(rest);
        }
        // OSC, DCS, SOS, PM and APC carry text until BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = rest.next_if(|c| *c != '\n') {
                if c == '\x07' || (c == '\x1b' && rest.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        _ => {
            while rest.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            rest.next_if(|c| matches!(c, '0'..='~'));
        }
    }
}

/// Skips the parameters and the final byte of a control sequence.
fn skip_csi(rest: &mut Rest<'_>) {
    while rest.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    rest.next_if(|c| matches!(c, '@'..='~'));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};
    use test_case::test_case;

    use super::{block, is_bad, line};

    #[test_case("\x1b[0;31mred\x1b[0m", "red"; "colour")]
    #[test_case("\x1b]0;title\x07text", "text"; "title ended by BEL")]
    #[test_case("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"; "hyperlink ended by ST")]
    #[test_case("\x1b(B\x1b7x\x1b=", "x"; "short sequences")]
    #[test_case("\x1b]0;torn\nnext", "\nnext"; "a torn sequence ends with its line")]
    #[test_case("a\x1b", "a"; "lonely escape")]
    #[test_case("a\r\nb\rc\td", "a\nb\nc    d"; "white space")]
    #[test_case("a\0b\x08\u{fffe}\u{202e}c", "abc"; "forbidden")]
    #[test_case("🚂 \u{fffd} ]]> <&", "🚂 \u{fffd} ]]> <&"; "what stays")]
    fn blocks(raw: &str, expected: &str) {
        assert_eq!(block(raw, 1000), expected);
    }

    #[test]
    fn long_text_loses_its_middle() {
        let text = format!("first {} last", "é".repeat(500_000));
        let cut = block(&text, 100);
        assert!(cut.starts_with("first é") && cut.ends_with("é last"), "{cut}");
        assert!(cut.contains("[… 999910 bytes left out …]"), "{cut}");
        assert_eq!(line("  two\n lines  ", 100), "two lines");
        assert_eq!(line("abcdef", 4), "abc…");
        assert_eq!(line(&" ".repeat(1000), 4), "…");
    }

    #[test]
    fn secrets_are_seen_before_anything_is_cut() {
        let token = format!("ghp_{}", "a1".repeat(20));
        assert_eq!(line(&format!("push with {token}"), 20), "push with [redacted]");
        assert_eq!(line("\x1b[1mpass\x1b[0mword=hunter2", 100), "password=[redacted]");
        assert_eq!(
            line("a: 1\n  password: two words\nb: 2", 100),
            "a: 1 password: [redacted] b: 2"
        );
        // Short texts, texts that are cut, and texts that are too long to be looked at whole.
        for fill in [0, 200, 500, 5000] {
            let text = format!("{}{token} {}", "é".repeat(20), "x".repeat(fill));
            let cut = block(&text, 100);
            assert!(!cut.contains("ghp_") && cut.contains("[re"), "{fill}: {cut}");
            let cut = block(&format!("{} {token}{}", "x".repeat(fill), "é".repeat(22)), 100);
            assert!(!cut.contains("a1a1"), "{fill}: {cut}");
        }
    }

    proptest! {
        #[test]
        fn nothing_bad_gets_through(text in any::<String>(), max in 1_usize..300) {
            prop_assert!(line(&text, max).chars().count() <= max);
            prop_assert!(!line(&text, max).chars().any(is_bad));
            prop_assert!(!block(&text, max).chars().any(|c| c != '\n' && is_bad(c)));
        }
    }
}

//! From a terminal's bytes to lines of text.

/// Bytes of a line after which it is handed on in pieces, so that memory stays bounded.
pub(super) const MAX_LINE: usize = 8 * 1024;
/// Bytes of a piece that the next one repeats, so that no match is lost at the cut.
pub(super) const OVERLAP: usize = 1024;

/// A line, a stretch of one between two carriage returns, or a piece of a very long one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// Number of the line in the file, counted from 1.
    pub(super) number: u64,
    /// The bytes, without terminal escapes.
    pub(super) bytes: &'a [u8],
}

/// Splits bytes into lines. What it gives doesn't depend on how the bytes are cut into calls.
///
/// Boot loaders and prompts draw with carriage returns and cursor movements instead of new lines; these end a piece
/// too, without being counted as lines.
#[derive(Debug)]
pub(super) struct Lines {
    escape: Escape,
    pending: Vec<u8>,
    number: u64,
    /// Something of the current line was handed on.
    handed_on: bool,
    /// The pending bytes begin with the end of a piece that was cut off.
    cut: bool,
}

/// Where in a terminal escape the bytes are (ECMA-48).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    /// After ESC, and after intermediates that choose a character set.
    Start,
    /// In a control sequence, until its final byte.
    Csi,
    /// In an operating system command, until BEL or ESC.
    Osc,
}

impl Default for Lines {
    fn default() -> Self {
        Self { escape: Escape::None, pending: Vec::new(), number: 1, handed_on: false, cut: false }
    }
}

impl Lines {
    /// Takes bytes in and hands on the pieces that they complete.
    pub(super) fn feed(&mut self, bytes: &[u8], mut hand_on: impl FnMut(Piece<'_>)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.escape == Escape::None {
                // Nearly all bytes are plain text, which is copied in runs.
                let plain = rest.iter().position(u8::is_ascii_control).unwrap_or(rest.len());
                self.text(&rest[..plain], &mut hand_on);
                rest = &rest[plain..];
            }
            if let Some((&byte, after)) = rest.split_first() {
                self.control(byte, &mut hand_on);
                rest = after;
            }
        }
    }

    /// The end of the bytes: hands on what no line break has ended.
    pub(super) fn finish(&mut self, mut hand_on: impl FnMut(Piece<'_>)) {
        self.end_piece(&mut hand_on);
    }

    /// What no line break has ended yet: a prompt, or half a line.
    pub(super) fn partial(&self) -> Option<Piece<'_>> {
        (!self.pending.is_empty()).then_some(Piece { number: self.number, bytes: &self.pending })
    }

    fn text(&mut self, mut bytes: &[u8], hand_on: &mut impl FnMut(Piece<'_>)) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(MAX_LINE - self.pending.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            if self.pending.len() == MAX_LINE {
                self.hand_on_pending(hand_on);
                self.pending.drain(..MAX_LINE - OVERLAP);
                self.cut = true;
            }
        }
    }

    fn control(&mut self, byte: u8, hand_on: &mut impl FnMut(Piece<'_>)) {
        match (self.escape, byte) {
            // A line break ends whatever escape was garbled before it.
            (_, b'\n') => self.end_line(hand_on),
            (_, b'\r') => {
                self.escape = Escape::None;
                self.end_piece(hand_on);
            }
            (_, 0x1b) => self.escape = Escape::Start,
            (Escape::None, b'\t') => self.text(b"\t", hand_on),
            (Escape::None, _) => {}
            (Escape::Start, b'[') => self.escape = Escape::Csi,
            (Escape::Start, b']') => self.escape = Escape::Osc,
            (Escape::Start, 0x20..=0x2f) => {}
            (Escape::Csi, 0x20..=0x3f) => {}
            (Escape::Csi, b'H' | b'f' | b'J') => {
                self.escape = Escape::None;
                self.end_piece(hand_on);
            }
            (Escape::Osc, 0x20..) => {}
            (Escape::Start | Escape::Csi | Escape::Osc, _) => self.escape = Escape::None,
        }
    }

    fn end_line(&mut self, hand_on: &mut impl FnMut(Piece<'_>)) {
        self.escape = Escape::None;
        if self.pending.is_empty() && !self.handed_on {
            hand_on(Piece { number: self.number, bytes: &[] });
        }
        self.end_piece(hand_on);
        self.number += 1;
        self.handed_on = false;
    }

    fn end_piece(&mut self, hand_on: &mut impl FnMut(Piece<'_>)) {
        // What a cut left over has been handed on already, unless more came.
        let nothing_new = self.pending.is_empty() || (self.cut && self.pending.len() == OVERLAP);
        if !nothing_new {
            self.hand_on_pending(hand_on);
        }
        self.pending.clear();
        self.cut = false;
    }

    fn hand_on_pending(&mut self, hand_on: &mut impl FnMut(Piece<'_>)) {
        hand_on(Piece { number: self.number, bytes: &self.pending });
        self.handed_on = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<(u64, String)> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        let mut push = |piece: Piece<'_>| {
            out.push((piece.number, String::from_utf8_lossy(piece.bytes).into_owned()));
        };
        chunks.iter().for_each(|chunk| lines.feed(chunk, &mut push));
        lines.finish(&mut push);
        out
    }

    #[test_case("a\nb\n", &[(1, "a"), (2, "b")] ; "line feeds")]
    #[test_case("a\r\n\r\nb", &[(1, "a"), (2, ""), (3, "b")] ; "carriage returns")]
    #[test_case("a\r\r\nb\n", &[(1, "a"), (2, "b")] ; "doubled carriage returns")]
    #[test_case("5 s\r4 s\rgo\nb\n", &[(1, "5 s"), (1, "4 s"), (1, "go"), (2, "b")] ; "countdown")]
    #[test_case("\x1b[0;1;31mFAILED\x1b[0m] x\n", &[(1, "FAILED] x")] ; "colours")]
    #[test_case("\x1b]0;title\x07a\x1b(Bb\x1bMc\n", &[(1, "abc")] ; "title and character set")]
    #[test_case("\x1b[2J\x1b[01;01Hmenu\x1b[02;01Hentry\n", &[(1, "menu"), (1, "entry")] ; "cursor movements")]
    #[test_case("\x1b[31\nb\0\x07c\td\n", &[(1, ""), (2, "bc\td")] ; "garbled escape and control characters")]
    fn bytes_become_lines(text: &str, expected: &[(u64, &str)]) {
        let expected: Vec<_> = expected.iter().map(|&(n, text)| (n, text.to_owned())).collect();
        assert_eq!(lines(&[text.as_bytes()]), expected);
    }

    #[test]
    fn a_very_long_line_comes_in_pieces_that_overlap() {
        let text = format!("{}needle{}\nnext\n", "x".repeat(MAX_LINE - 3), "y".repeat(20));
        let pieces = lines(&[text.as_bytes()]);
        assert_eq!(pieces.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 1, 2]);
        assert!(!pieces[0].1.contains("needle"));
        assert!(pieces[1].1.contains("needle"));
        assert_eq!(lines(&["z".repeat(MAX_LINE).as_bytes(), b"\n"]).len(), 1);
    }

    proptest! {
        #[test]
        fn cutting_the_bytes_differently_changes_nothing(
            parts in proptest::collection::vec(
                prop_oneof![
                    proptest::sample::select(vec!["a", "b", "\r", "\n", "\x1b", "[", "]", "H", "m", ";", "\x07"])
                        .prop_map(str::to_owned),
                    Just("x".repeat(2000)),
                ],
                0..60,
            ),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let text = parts.concat();
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(lines(&chunks), lines(&[bytes]));
        }
    }
}

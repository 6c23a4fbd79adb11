//! The telling lines of a log, however long the log is.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::{clean, redact};

/// Bytes kept of a line.
const LINE: usize = 600;
/// Lines before a fatal one, and after it.
const AROUND: (usize, usize) = (16, 6);
/// Lines of a log's end.
const TAIL: usize = 24;
/// Bytes read of a log's end.
const TAIL_BYTES: u64 = 64 * 1024;
/// Bytes in which a fatal line is looked for: more than a console writes in a night.
const SEARCHED: u64 = 64 * 1024 * 1024;

/// Lines of a log, fit to be shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) lines: Vec<Shown>,
    /// Whether there are others before them.
    pub(super) is_cut: bool,
}

/// A line, fit to be shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// Its number in the log, from 1, where it is known.
    pub(super) number: Option<u64>,
    pub(super) text: String,
    /// Whether it is the fatal one.
    pub(super) is_fatal: bool,
}

/// The lines around this one, counted from 1; nothing if the log is shorter.
pub(super) fn around(path: &Path, fatal: u64) -> io::Result<Option<Excerpt>> {
    let mut reader = BufReader::new(File::open(path)?.take(SEARCHED));
    let mut lines: VecDeque<(u64, Vec<u8>)> = VecDeque::new();
    let mut number = 0;
    while let Some(line) = next_line(&mut reader)? {
        number += 1;
        if number <= fatal && lines.len() > AROUND.0 {
            lines.pop_front();
        }
        lines.push_back((number, line));
        if number >= fatal.saturating_add(AROUND.1 as u64) {
            break;
        }
    }
    if number < fatal {
        return Ok(None);
    }
    let is_cut = lines.front().is_some_and(|(first, _)| *first > 1);
    let lines: Vec<_> = lines.into_iter().map(|(number, line)| (Some(number), line)).collect();
    let mut excerpt = shown(&lines, is_cut);
    if let Some(line) = excerpt.lines.iter_mut().find(|line| line.number == Some(fatal)) {
        line.is_fatal = true;
    }
    Ok(Some(excerpt))
}

/// The last lines.
pub(super) fn tail(path: &Path) -> io::Result<Excerpt> {
    let mut file = File::open(path)?;
    let skipped = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(skipped))?;
    let mut reader = BufReader::new(file.take(TAIL_BYTES));
    if skipped > 0 {
        // Torn by the cut.
        next_line(&mut reader)?;
    }
    let mut lines = VecDeque::new();
    let mut is_cut = skipped > 0;
    while let Some(line) = next_line(&mut reader)? {
        if lines.len() == TAIL {
            lines.pop_front();
            is_cut = true;
        }
        lines.push_back((None, line));
    }
    Ok(shown(lines.make_contiguous(), is_cut))
}

/// The next line without its end, and of a long one only its beginning.
fn next_line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut any = false;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(any.then_some(line));
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let piece = &buffer[..end.unwrap_or(buffer.len())];
        // One more than is kept, so that it is seen to be cut.
        line.extend(piece.iter().take((LINE + 1).saturating_sub(line.len())));
        let used = end.map_or(buffer.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

/// Cleans lines and takes secrets out of them: together, since some secrets have several lines.
fn shown(lines: &[(Option<u64>, Vec<u8>)], is_cut: bool) -> Excerpt {
    let clean = |bytes: &[u8]| {
        let kept = &bytes[..bytes.len().min(LINE)];
        let mut text = clean::plain(&String::from_utf8_lossy(kept)).into_owned();
        if bytes.len() > LINE {
            text.push('…');
        }
        // A console redraws lines; they stay the one that was counted.
        text.trim_end_matches('\n').replace('\n', " ⏎ ")
    };
    let text: Vec<_> = lines.iter().map(|(_, line)| clean(line)).collect();
    let text = text.join("\n");
    let text = redact::text(&text);
    let count = text.split('\n').count();
    // A secret of several lines takes their numbers with it.
    let number = |index: usize| if count == lines.len() { lines[index].0 } else { None };
    let lines = text.split('\n').enumerate().map(|(index, text)| Shown {
        number: number(index),
        text: text.to_owned(),
        is_fatal: false,
    });
    Excerpt { lines: if text.is_empty() { Vec::new() } else { lines.collect() }, is_cut }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::{any, prop, prop_assert, proptest};
    use tempfile::NamedTempFile;

    use super::{AROUND, Excerpt, LINE, TAIL, around, tail};

    fn log(bytes: &[u8]) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn texts(excerpt: &Excerpt) -> Vec<(Option<u64>, &str, bool)> {
        excerpt.lines.iter().map(|line| (line.number, &*line.text, line.is_fatal)).collect()
    }

    #[test]
    fn the_fatal_line_is_marked_and_numbered() {
        let file = log(b"one\r\ntwo\n\x1b[31mthree\x1b[0m\nfour");
        let excerpt = around(file.path(), 3).unwrap().unwrap();
        assert_eq!(
            texts(&excerpt),
            [
                (Some(1), "one", false),
                (Some(2), "two", false),
                (Some(3), "three", true),
                (Some(4), "four", false)
            ]
        );
        assert!(!excerpt.is_cut);
        assert_eq!(around(file.path(), 5).unwrap(), None);
    }

    #[test]
    fn of_a_long_log_only_what_is_near() {
        let text: String = (1..=1000).map(|number| format!("line {number}\n")).collect();
        let file = log(text.as_bytes());
        let excerpt = around(file.path(), 500).unwrap().unwrap();
        let lines = texts(&excerpt);
        let (before, after) = (AROUND.0 as u64, AROUND.1 as u64);
        assert_eq!(
            lines.first().unwrap(),
            &(Some(500 - before), &*format!("line {}", 500 - before), false)
        );
        assert_eq!(lines.last().unwrap().0, Some(500 + after));
        assert_eq!(lines.iter().filter(|line| line.2).count(), 1);
        assert!(excerpt.is_cut);
        let end = tail(file.path()).unwrap();
        assert_eq!((end.lines.len(), end.is_cut), (TAIL, true));
        assert_eq!(end.lines.last().unwrap().text, "line 1000");
    }

    #[test]
    fn a_log_without_lines_and_one_of_a_single_long_line() {
        let long = vec![b'x'; 10_000_000];
        let excerpt = around(log(&long).path(), 1).unwrap().unwrap();
        assert_eq!(excerpt.lines[0].text.chars().count(), LINE + 1);
        assert!(tail(log(&long).path()).unwrap().lines.len() <= 1);
        assert!(tail(log(b"").path()).unwrap().lines.is_empty());
    }

    #[test]
    fn secrets_are_taken_out() {
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\nAAAABG5vbmUAAAAE\n-----END OPENSSH PRIVATE KEY-----\n";
        let file = log(format!("before\n{key}after\n").as_bytes());
        for excerpt in [tail(file.path()).unwrap(), around(file.path(), 1).unwrap().unwrap()] {
            let text: Vec<_> = excerpt.lines.iter().map(|line| &*line.text).collect();
            let text = text.join("\n");
            assert!(text.contains("before") && text.contains("[redacted]"), "{text}");
            assert!(!text.contains("b3Blbn") && !text.contains("AAAABG5v"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_bounded_lines_without_control_characters(
            bytes in prop::collection::vec(any::<u8>(), 0..5000), fatal in 0_u64..60
        ) {
            let file = log(&bytes);
            let found = around(file.path(), fatal).unwrap();
            for excerpt in found.into_iter().chain([tail(file.path()).unwrap()]) {
                for line in &excerpt.lines {
                    prop_assert!(!line.text.chars().any(crate::clean::is_bad), "{:?}", line.text);
                    prop_assert!(line.text.len() < 8 * LINE);
                }
            }
        }
    }
}

//! `ssh.log`: what was run on the guest, and what it answered.

use std::{
    fmt::{self, Display, Write as _},
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use super::SshError;

/// How much of each output goes to the log. It is there to be read; who needs all of it has it from the command.
const SHOWN_BYTES: usize = 256 * 1024;

/// A log of commands, appended to from all connections of a machine. Clones share it.
///
/// Every line starts with the UTC time at which it was written and the command's number. `$` marks a command, `|` a line
/// of its standard output, `!` of its standard error, `=` its end. Trouble with writing is reported once, by `tracing`,
/// and never breaks a command.
#[derive(Clone, Default)]
pub struct SshLog {
    inner: Option<Arc<Mutex<Inner>>>,
}

struct Inner {
    path: PathBuf,
    file: File,
    entries: u64,
    broken: bool,
}

/// The number of a command in the log.
#[derive(Clone, Copy)]
pub(super) struct Entry(u64);

impl fmt::Debug for SshLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshLog").finish_non_exhaustive()
    }
}

impl SshLog {
    /// Opens a log, and appends to it if it exists.
    ///
    /// # Errors
    /// [`SshError::Write`] if it can't be opened.
    pub fn open(path: &Path) -> Result<Self, SshError> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .map_err(|source| SshError::Write { path: path.to_owned(), source })?;
        let inner = Inner { path: path.to_owned(), file, entries: 0, broken: false };
        Ok(Self { inner: Some(Arc::new(Mutex::new(inner))) })
    }

    /// A log that keeps nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Something that happened outside a command.
    pub(super) fn note(&self, text: &str) {
        self.write(|lines, _| line(lines, "--", text));
    }

    /// A command starts. Written before it does, so that a killed run shows what it was at.
    pub(super) fn begin(&self, command: &str, stdin: usize) -> Entry {
        let mut number = 0;
        self.write(|lines, inner| {
            inner.entries += 1;
            number = inner.entries;
            let input =
                if stdin > 0 { format!("  ({stdin} bytes of input)") } else { String::new() };
            line(lines, &format!("#{number} $"), &format!("{command}{input}"));
        });
        Entry(number)
    }

    /// What a command wrote.
    pub(super) fn output(&self, Entry(number): Entry, stdout: &[u8], stderr: &[u8], dropped: u64) {
        self.write(|lines, _| {
            output(lines, &format!("#{number} |"), stdout);
            output(lines, &format!("#{number} !"), stderr);
            if dropped > 0 {
                line(lines, &format!("#{number} ="), &format!("{dropped} more bytes dropped"));
            }
        });
    }

    /// How a command ended.
    pub(super) fn end(&self, Entry(number): Entry, how: &dyn Display, after: Duration) {
        self.write(|lines, _| {
            line(
                lines,
                &format!("#{number} ="),
                &format!("{how} after {:.3} s", after.as_secs_f64()),
            );
        });
    }

    fn write(&self, compose: impl FnOnce(&mut Lines, &mut Inner)) {
        let Some(inner) = &self.inner else { return };
        let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = Lines { now: Timestamp::now(), text: String::new() };
        compose(&mut lines, &mut inner);
        // One write for all of them, so that commands on several connections don't mix within their output.
        if let Err(error) = inner.file.write_all(lines.text.as_bytes())
            && !std::mem::replace(&mut inner.broken, true)
        {
            tracing::warn!("can't write {}: {error}", inner.path.display());
        }
    }
}

struct Lines {
    now: Timestamp,
    text: String,
}

fn line(lines: &mut Lines, mark: &str, text: &str) {
    // Writing to a string can't fail.
    let _ = writeln!(lines.text, "{:.3} {mark} {}", lines.now, printable(text));
}

fn output(lines: &mut Lines, mark: &str, bytes: &[u8]) {
    let shown = &bytes[..bytes.len().min(SHOWN_BYTES)];
    // A cut may go through a character; that is not what makes an output binary.
    let text = match std::str::from_utf8(shown) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && shown.len() < bytes.len() => {
            std::str::from_utf8(&shown[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return line(lines, mark, &format!("({} bytes, binary)", bytes.len())),
    };
    if text.contains('\0') {
        return line(lines, mark, &format!("({} bytes, binary)", bytes.len()));
    }
    for part in text.lines() {
        line(lines, mark, part);
    }
    if shown.len() < bytes.len() {
        line(lines, mark, &format!("({} more bytes)", bytes.len() - shown.len()));
    }
}

/// The text on one line, and harmless to a terminal.
fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\t' {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// The beginning of a text, on one line, for messages.
pub(super) fn shorten(text: &str) -> String {
    const SHOWN: usize = 100;
    let text = printable(text.trim());
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_can_be_read_by_a_human() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ssh.log");
        let log = SshLog::open(&path).unwrap();
        log.note("connected to SSH to core@127.0.0.1:22");
        let entry = log.begin("printf 'a\\tb\n'; id", 3);
        log.output(entry, "a\tb\nünix \u{1b}[31m\n".as_bytes(), b"\xff\xfe", 7);
        log.end(entry, &super::super::ExitStatus::Code(2), Duration::from_millis(1500));
        let text = std::fs::read_to_string(&path).unwrap();
        let untimed: Vec<_> = text
            .lines()
            .map(|line| {
                let (time, rest) = line.split_once(' ').unwrap();
                time.parse::<Timestamp>().unwrap();
                rest
            })
            .collect();
        insta::assert_snapshot!(untimed.join("\n"));
    }

    #[test]
    fn trouble_with_writing_is_kept_quiet() {
        let log = SshLog::open(Path::new("/dev/full")).unwrap();
        log.note("nothing of this arrives");
        SshLog::none().note("nor of this");
    }

    #[test]
    fn a_long_text_is_shortened_between_characters() {
        assert_eq!(shorten(" short\nlines "), "short\\nlines");
        assert_eq!(shorten(&"ü".repeat(101)), format!("{}…", "ü".repeat(100)));
    }
}

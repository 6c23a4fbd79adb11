//! Standard output and standard error. `println!` panics when the reader or the terminal has gone, which is nobody's defect:
//! whoever closed it has seen enough.

use std::{
    env,
    ffi::OsString,
    fmt::Display,
    fs::{self, Permissions},
    io::{self, IsTerminal, Write},
    os::unix::fs::PermissionsExt,
    panic,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use wheeltap_reports::Paint;

/// Gets lines that are meant for standard error, as long as somebody draws there: a line in the middle of a drawing would be
/// garbled, and would garble it.
static DIVERTED: Mutex<Option<Sink>> = Mutex::new(None);

type Sink = Box<dyn Fn(String) + Send>;
type PanicHook = Box<dyn Fn(&panic::PanicHookInfo<'_>) + Send + Sync>;

/// Prints a line on standard output.
pub(super) fn line(text: impl Display) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Prints text on standard output as it is.
pub(super) fn text(text: impl Display) {
    let _ = write!(io::stdout(), "{text}");
}

/// Replaces a file, so that a reader sees the old one or the new one. What is no file, such as `/dev/stdout`, is written to.
pub(super) fn file(path: &Path, text: &str) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return fs::write(path, text);
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .prefix(".wheeltap-")
        // The umask applies, so the file is as readable as any other; the default is 0600.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(dir.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

/// Where each part of a report goes that may have several: `junit.xml`, `junit-2.xml`, …
pub(super) fn numbered(path: &Path, parts: Vec<String>) -> Vec<(PathBuf, String)> {
    let numbered = |number: usize| {
        let mut name = path.file_stem().unwrap_or_default().to_owned();
        name.push(format!("-{number}"));
        if let Some(extension) = path.extension() {
            name.push(".");
            name.push(extension);
        }
        path.with_file_name(name)
    };
    let name = |number| if number == 1 { path.to_owned() } else { numbered(number) };
    (1..).map(name).zip(parts).collect()
}

/// Prints a line on standard error.
pub(super) fn error_line(text: impl Display) {
    match &*diverted() {
        Some(sink) => sink(text.to_string()),
        None => write_error(format_args!("{text}\n")),
    }
}

/// Prints text on standard error as it is, also while lines are diverted: for whom they are diverted to.
pub(super) fn write_error(text: impl Display) {
    // In one piece, so that nothing of another process comes in between.
    let _ = io::stderr().write_all(text.to_string().as_bytes());
}

/// Standard error for a log: whatever is written at once is a line.
pub(super) struct ErrorLines;

impl Write for ErrorLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        error_line(String::from_utf8_lossy(line).trim_end());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// From now on `sink` gets each line for standard error, and the messages of panics. It must not print lines itself.
pub(super) fn divert(sink: impl Fn(String) + Send + 'static) -> Diverted {
    *diverted() = Some(Box::new(sink));
    let before = panic::take_hook();
    panic::set_hook(Box::new(|panic| error_line(panic)));
    Diverted { hook: Some(before) }
}

/// Ends the diversion when it is dropped.
pub(super) struct Diverted {
    hook: Option<PanicHook>,
}

impl Drop for Diverted {
    fn drop(&mut self) {
        *diverted() = None;
        // A panicking thread may not change what happens at panics.
        if let Some(hook) = self.hook.take()
            && !std::thread::panicking()
        {
            panic::set_hook(hook);
        }
    }
}

fn diverted() -> MutexGuard<'static, Option<Sink>> {
    DIVERTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether what goes to this stream has colours: on a terminal that can show them, unless `NO_COLOR` is set
/// (<https://no-color.org>); elsewhere only if `CLICOLOR_FORCE` is (<https://bixense.com/clicolors>).
pub(super) fn paint(stream: &impl IsTerminal) -> Paint {
    paint_with(stream.is_terminal() && !is_dumb(), |name| env::var_os(name))
}

fn paint_with(can_show: bool, variable: impl Fn(&str) -> Option<OsString>) -> Paint {
    let is_set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let forced = is_set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    match is_set("NO_COLOR") {
        None if can_show || forced => Paint::Colour,
        _ => Paint::Plain,
    }
}

/// Whether the terminal, if there is one, can do nothing but print.
pub(super) fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use test_case::test_case;

    use super::{Paint, numbered, paint_with};

    #[test_case("out/junit.xml", "out/junit-2.xml")]
    #[test_case("TEST-a.b.xml", "TEST-a.b-2.xml")]
    #[test_case("junit", "junit-2")]
    fn parts_are_numbered(path: &str, second: &str) {
        let parts = numbered(Path::new(path), vec!["one".to_owned(), "two".to_owned()]);
        assert_eq!(parts, [(path.into(), "one".to_owned()), (second.into(), "two".to_owned())]);
    }

    #[test_case(true, &[] => Paint::Colour; "a terminal")]
    #[test_case(false, &[] => Paint::Plain; "a file")]
    #[test_case(true, &[("NO_COLOR", "0")] => Paint::Plain; "unwanted, whatever the value")]
    #[test_case(true, &[("NO_COLOR", "")] => Paint::Colour; "an empty value is none")]
    #[test_case(false, &[("CLICOLOR_FORCE", "1")] => Paint::Colour; "wanted in a file")]
    #[test_case(false, &[("CLICOLOR_FORCE", "0")] => Paint::Plain; "not wanted in a file")]
    #[test_case(true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")] => Paint::Plain; "both")]
    fn colours(can_show: bool, set: &[(&str, &str)]) -> Paint {
        paint_with(can_show, |name| {
            set.iter().find(|(set, _)| *set == name).map(|(_, value)| value.into())
        })
    }
}

//! `wheeltap transpile`.

use std::{
    fs::File,
    io::{self, Read, Write as _},
    path::Path,
};

use clap::{Args, ValueEnum};
use serde::Serialize;
use wheeltap_butane::{
    Diagnostic, Directory, Files, MAX_BYTES, Options, Severity, transpile as to_ignition,
};
use wheeltap_reports::Paint;

use super::out;
use crate::{ExitCode, UserError};

#[derive(Debug, Args)]
pub(super) struct TranspileArgs {
    /// The Butane config; `-` is standard input.
    #[arg(value_name = "FILE|-")]
    file: String,
    /// Take warnings for errors.
    #[arg(short, long)]
    strict: bool,
    /// What `local` and `trees` are read from.
    #[arg(short = 'd', long, value_name = "DIR")]
    files_dir: Option<std::path::PathBuf>,
    /// JSON for people: one value per line.
    #[arg(short, long)]
    pretty: bool,
    /// How errors and warnings are told on standard error: with the lines that they are about, or as a JSON object per line.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// The most that is told of one config as text.
const SHOWN: usize = 100;

pub(super) fn transpile(args: &TranspileArgs) -> Result<ExitCode, UserError> {
    let (name, source) = read(&args.file)?;
    let files = args.files_dir.as_deref().map(files).transpose()?;
    let files = files.as_ref().map(|files| files as &dyn Files);
    let options = Options { strict: args.strict, pretty: args.pretty, files };
    match to_ignition(&source, options) {
        Ok(done) => {
            tell(args.format, &name, &source, &done.warnings)?;
            print(&(done.json + "\n"))?;
            Ok(ExitCode::Passed)
        }
        Err(refused) => {
            tell(args.format, &name, &source, &refused.diagnostics)?;
            if matches!(args.format, Format::Text) {
                out::error_line(format_args!("{name}: {refused}"));
            }
            Ok(ExitCode::Usage)
        }
    }
}

/// The name to show, and the contents as far as they are needed to say that they are too many.
fn read(file: &str) -> Result<(String, Vec<u8>), UserError> {
    let mut source = Vec::new();
    let limit = MAX_BYTES as u64 + 1;
    if file == "-" {
        let unreadable = |error| UserError::usage(format!("standard input can't be read: {error}"));
        io::stdin().take(limit).read_to_end(&mut source).map_err(unreadable)?;
        return Ok(("<stdin>".to_owned(), source));
    }
    let path = Path::new(file);
    let unreadable = |error| UserError::unreadable(path, &error);
    File::open(path)
        .map_err(unreadable)?
        .take(limit)
        .read_to_end(&mut source)
        .map_err(unreadable)?;
    Ok((file.to_owned(), source))
}

fn files(directory: &Path) -> Result<Directory, UserError> {
    if !directory.is_dir() {
        return Err(UserError::usage(format!(
            "{} is not a directory; --files-dir is where `local` and `trees` are read from",
            directory.display()
        )));
    }
    Directory::new(directory).map_err(|error| UserError::unreadable(directory, &error))
}

fn print(text: &str) -> Result<(), UserError> {
    match io::stdout().write_all(text.as_bytes()) {
        // The reader has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(UserError::infra(format!("the Ignition config can't be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// A diagnostic for programs.
#[derive(Serialize)]
struct Told<'a> {
    severity: &'static str,
    message: &'a str,
    path: Option<String>,
    line: Option<u64>,
    column: Option<u64>,
}

fn tell(format: Format, name: &str, source: &[u8], found: &[Diagnostic]) -> Result<(), UserError> {
    match format {
        Format::Json => {
            for found in found {
                let told = Told {
                    severity: severity(found.severity),
                    message: &found.message,
                    path: found.path.as_ref().map(ToString::to_string),
                    line: found.position.map(|position| position.line),
                    column: found.position.map(|position| position.column),
                };
                let json = serde_json::to_string(&told).map_err(|error| {
                    UserError::defect(format!("can't be written as JSON: {error}"))
                })?;
                out::error_line(json);
            }
        }
        Format::Text => {
            let colour = out::paint(&io::stderr()) == Paint::Colour;
            let text = String::from_utf8_lossy(source);
            for found in found.iter().take(SHOWN) {
                out::error_line(excerpt(name, &text, found, colour));
            }
            if let Some(more @ 1..) = found.len().checked_sub(SHOWN) {
                out::error_line(format_args!("{name}: and {more} more; --format json tells all"));
            }
        }
    }
    Ok(())
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// In the manner of rustc. Not by miette: it counts columns in bytes, and Butane and editors do it in characters.
fn excerpt(name: &str, text: &str, found: &Diagnostic, colour: bool) -> String {
    let kind = severity(found.severity);
    let (on, off) = match (colour, found.severity) {
        (false, _) => ("", ""),
        (true, Severity::Error) => ("\x1b[1;31m", "\x1b[0m"),
        (true, Severity::Warning) => ("\x1b[1;33m", "\x1b[0m"),
    };
    let message = harmless(&found.message);
    let about = match &found.path {
        Some(path) if !path.is_root() => format!(" ({})", harmless(&path.to_string())),
        _ => String::new(),
    };
    let Some(position) = found.position else {
        return format!("{on}{kind}{off}: {message}\n  --> {name}{about}");
    };
    let head = format!("{on}{kind}{off}: {message}\n  --> {name}:{position}{about}");
    let Some(line) = position.line_of(text) else { return head };
    let (line, column) = window(line, usize::try_from(position.column - 1).unwrap_or(0));
    let number = position.line.to_string();
    let gutter = " ".repeat(number.len());
    // A tab in the line is one before the mark, too.
    let before: String =
        line.chars().take(column).map(|letter| if letter == '\t' { '\t' } else { ' ' }).collect();
    let line = harmless(&line);
    format!("{head}\n {gutter} |\n {number} | {line}\n {gutter} | {before}{on}^{off}")
}

/// What a config says must not steer the terminal.
fn harmless(text: &str) -> String {
    let shown = |letter: char| match letter.is_control() && letter != '\t' {
        true => char::REPLACEMENT_CHARACTER,
        false => letter,
    };
    text.chars().map(shown).collect()
}

/// The part of a line around a column that a terminal can show, and the column in it.
fn window(line: &str, column: usize) -> (String, usize) {
    const BEFORE: usize = 60;
    const WIDTH: usize = 120;
    let start = column.saturating_sub(BEFORE);
    (line.chars().skip(start).take(WIDTH).collect(), column - start)
}

#[cfg(test)]
mod tests {
    use wheeltap_butane::{Options, transpile};

    use super::excerpt;

    fn shown(config: &str) -> String {
        let refused = transpile(config.as_bytes(), Options { strict: true, ..Options::default() });
        let diagnostics = refused.unwrap_err().diagnostics;
        let excerpts = diagnostics.iter().map(|found| excerpt("my.bu", config, found, false));
        excerpts.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_value_is_shown_in_its_line() {
        insta::assert_snapshot!(shown(
            "variant: flatcar\nversion: 1.1.0\nstorage:\n  files:\n    - {path: /é, mode: 644}\n    - path: etc\n"
        ));
    }

    #[test]
    fn what_is_about_the_whole_text_has_no_line() {
        insta::assert_snapshot!(shown("version: 1.1.0\n"));
    }

    #[test]
    fn of_a_long_line_the_place_is_shown() {
        let filler = "x".repeat(500);
        insta::assert_snapshot!(shown(&format!(
            "variant: flatcar\nversion: 1.1.0\npasswd: {{users: [{{name: {filler}, nam: b, uid: 1}}]}}\n"
        )));
    }

    #[test]
    fn letters_that_steer_a_terminal_do_not_reach_it() {
        let shown = shown("variant: flatcar\nversion: 1.1.0\n\"\\e[31m\u{9b}\": 1\n");
        assert!(!shown.contains(['\u{1b}', '\u{9b}']), "{shown:?}");
    }
}

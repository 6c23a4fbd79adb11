//! `wheeltap report`.

use std::{
    io::{self, Write as _},
    path::Path,
};

use wheeltap_attestation::{Envelope, SigningKey};
use wheeltap_reports::{
    Format, JunitOptions, Paint, Run, Schema, Waivers,
    html::{self, HtmlOptions},
};

use super::{
    args::{FormatName, ReportArgs, SchemaName},
    out,
    run::unwritable,
};
use crate::{ExitCode, UserError};

pub(super) fn report(args: &ReportArgs) -> Result<ExitCode, UserError> {
    if args.key.is_some() && args.format != FormatName::InToto {
        let message = "only an attestation can be signed";
        return Err(UserError::usage(message).with_help("give --format in-toto with --key"));
    }
    if args.baseline.is_some() && args.format != FormatName::Html {
        return Err(UserError::usage("--baseline is for --format html"));
    }
    let is_junit = args.format == FormatName::Junit;
    let junit = args.junit.options(is_junit, "add --format junit, or leave them out")?;
    let parts = match args.schema {
        Some(schema) => vec![schema_of(schema).text().to_owned()],
        None => parts(args, &junit)?,
    };
    match &args.out {
        Some(path) => {
            for (path, part) in out::numbered(path, parts) {
                out::file(&path, &part).map_err(|error| unwritable(&path, &error))?;
            }
        }
        None => print(&parts)?,
    }
    Ok(ExitCode::Passed)
}

/// The report, in as many parts as it needs.
fn parts(args: &ReportArgs, junit: &JunitOptions) -> Result<Vec<String>, UserError> {
    // What is wrong with it is said before anything long is read.
    let key = args.key.as_deref().map(SigningKey::load).transpose()?;
    let run = load(args)?;
    let render = |format| wheeltap_reports::render(&run, format).map(|report| vec![report]);
    let parts = match args.format {
        FormatName::Junit => wheeltap_reports::render_junit(&run, junit),
        FormatName::Json => render(Format::Json),
        FormatName::Text => render(Format::Text(Paint::Plain)),
        FormatName::Md => render(Format::Markdown),
        FormatName::Tap => render(Format::Tap),
        FormatName::Html => return Ok(vec![html(args, &run)?]),
        FormatName::InToto => return Ok(vec![attested(&run, key)?]),
    };
    Ok(parts?)
}

fn html(args: &ReportArgs, run: &Run) -> Result<String, UserError> {
    let baseline = args.baseline.as_deref().map(Run::load).transpose()?;
    // Whoever reads standard output puts it where it likes, so no link could work from there.
    let place = args.out.as_deref().map(|file| match file.parent() {
        Some(directory) if directory.as_os_str().is_empty() => Path::new("."),
        Some(directory) => directory,
        None => file,
    });
    Ok(html::render(run, &HtmlOptions { baseline: baseline.as_ref(), place }))
}

fn schema_of(name: SchemaName) -> Schema {
    match name {
        SchemaName::Report => Schema::Report,
        SchemaName::Plan => Schema::Plan,
        SchemaName::Event => Schema::Event,
    }
}

fn print(parts: &[String]) -> Result<(), UserError> {
    let [report] = parts else {
        return Err(UserError::usage(format!(
            "the report has {} files of at most --junit-max-bytes, and standard output is one; \
             say where they go with --out FILE",
            parts.len()
        )));
    };
    match io::stdout().write_all(report.as_bytes()) {
        // The reader has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(UserError::infra(format!("the report can't be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// A statement about the image, signed if there is a key.
fn attested(run: &Run, key: Option<SigningKey>) -> Result<String, UserError> {
    let bytes = wheeltap_reports::statement(run)?.bytes();
    Ok(match key {
        Some(key) => Envelope::sign(&bytes, &[key]).line(),
        None => String::from_utf8_lossy(&bytes).into_owned() + "\n",
    })
}

/// The run, or several as one. Waivers that are given take the place of those in the run directories.
fn load(args: &ReportArgs) -> Result<Run, UserError> {
    let Some(file) = &args.waivers else {
        let runs = args.run.iter().map(|dir| Run::load(dir)).collect::<Result<_, _>>()?;
        return Ok(Run::merge(runs)?);
    };
    let waivers = Waivers::load(file)?;
    let runs = args.run.iter().map(|dir| Run::load_unwaived(dir)).collect::<Result<_, _>>()?;
    let mut run = Run::merge(runs)?;
    let day = run.day();
    waivers.apply(&mut run, day);
    Ok(run)
}

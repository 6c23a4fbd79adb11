//! `wheeltap report`.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use wheeltap_reports::{
    Format, Paint, Run, Waivers,
    html::{self, HtmlOptions},
};

use super::{
    args::{FormatName, ReportArgs},
    run::unwritable,
};
use crate::{ExitCode, UserError};

pub(super) fn report(args: &ReportArgs) -> Result<ExitCode, UserError> {
    if args.baseline.is_some() && args.format != FormatName::Html {
        return Err(UserError::usage("--baseline is for --format html"));
    }
    let run = load(args)?;
    let format = match args.format {
        FormatName::Junit => Format::Junit,
        FormatName::Json => Format::Json,
        FormatName::Text => Format::Text(Paint::Plain),
        FormatName::Html => return write(args, &html(args, &run)?),
    };
    write(args, &wheeltap_reports::render(&run, format)?)
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

/// To report is what was asked for; the report says how the run ended.
fn write(args: &ReportArgs, report: &str) -> Result<ExitCode, UserError> {
    if let Some(file) = &args.out {
        fs::write(file, report).map_err(|error| unwritable(file, &error))?;
        return Ok(ExitCode::Passed);
    }
    match io::stdout().write_all(report.as_bytes()) {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => {
            return Err(UserError::infra(format!("the report can't be written: {error}")));
        }
        Ok(()) => {}
    }
    Ok(ExitCode::Passed)
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

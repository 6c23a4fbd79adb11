//! `wheeltap report`.

use std::io::{self, Write as _};

use wheeltap_reports::{Format, Paint, Run, Waivers};

use super::args::{FormatName, ReportArgs};
use crate::{ExitCode, UserError};

pub(super) fn report(args: &ReportArgs) -> Result<ExitCode, UserError> {
    let run = load(args)?;
    let format = match args.format {
        FormatName::Junit => Format::Junit,
        FormatName::Json => Format::Json,
        FormatName::Text => Format::Text(Paint::Plain),
    };
    let report = wheeltap_reports::render(&run, format)?;
    match io::stdout().write_all(report.as_bytes()) {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => {
            return Err(UserError::infra(format!("the report can't be written: {error}")));
        }
        Ok(()) => {}
    }
    // To report is what was asked for; the report says how the run ended.
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

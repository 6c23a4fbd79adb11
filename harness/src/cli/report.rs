//! `wheeltap report`.

use std::io::{self, Write as _};

use wheeltap_reports::{Format, Paint, Run};

use super::args::{FormatName, ReportArgs};
use crate::{ExitCode, UserError};

pub(super) fn report(args: &ReportArgs) -> Result<ExitCode, UserError> {
    let run = Run::load(&args.run)?;
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

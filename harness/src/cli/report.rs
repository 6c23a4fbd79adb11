//! `wheeltap report`.

use std::io::{self, Write as _};

use wheeltap_attestation::{Envelope, SigningKey};
use wheeltap_reports::{Format, Paint, Run, Waivers};

use super::args::{FormatName, ReportArgs};
use crate::{ExitCode, UserError};

pub(super) fn report(args: &ReportArgs) -> Result<ExitCode, UserError> {
    if args.key.is_some() && args.format != FormatName::InToto {
        let message = "only an attestation can be signed";
        return Err(UserError::usage(message).with_help("give --format in-toto with --key"));
    }
    // What is wrong with it is said before anything long is read.
    let key = args.key.as_deref().map(SigningKey::load).transpose()?;
    let run = load(args)?;
    let report = match args.format {
        FormatName::Junit => wheeltap_reports::render(&run, Format::Junit)?,
        FormatName::Json => wheeltap_reports::render(&run, Format::Json)?,
        FormatName::Text => wheeltap_reports::render(&run, Format::Text(Paint::Plain))?,
        FormatName::InToto => attested(&run, key)?,
    };
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

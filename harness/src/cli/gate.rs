//! `wheeltap gate`.

use std::{fmt::Write as _, fs};

use jiff::{Timestamp, tz::TimeZone};
use wheeltap_attestation::SigningKey;
use wheeltap_gate::{
    DEFAULT_POLICY, Decision, Effect, Files, GATE_FILE, InputError, Inputs, Place, Sources,
    Verdict, WriteError, decide, explain, write,
};

use super::{
    args::{GateArgs, GateCommand},
    out,
};
use crate::{ExitCode, UserError};

pub(super) fn gate(args: &GateArgs) -> Result<ExitCode, UserError> {
    if let Some(GateCommand::Explain(args)) = &args.command {
        let path = args.gate.join(GATE_FILE);
        let json = fs::read(&path).map_err(|error| UserError::unreadable(&path, &error))?;
        let decision =
            read(&json).map_err(|why| UserError::usage(format!("{} {why}", path.display())))?;
        out::text(explain(&decision, &args.id).map_err(UserError::usage)?);
        return Ok(ExitCode::Passed);
    }
    let (Some(policy), Some(out)) = (&args.policy, &args.out) else {
        out::text(DEFAULT_POLICY);
        return Ok(ExitCode::Passed);
    };
    let place = Place::new(out).map_err(|error| {
        UserError::infra(format!("the current directory can't be told: {error}"))
    })?;
    // What is wrong with it is said before anything long is read.
    let key = args.key.as_deref().map(SigningKey::load).transpose()?;
    let today = || Timestamp::now().to_zoned(TimeZone::UTC).date();
    let inputs = Inputs::load(&Sources {
        policy: policy.clone(),
        results: args.results.clone(),
        baseline: args.baseline.clone(),
        waivers: args.waivers.clone(),
        image_diff: args.image_diff.clone(),
        as_of: args.as_of.unwrap_or_else(today),
    })?;
    let decision = decide(&inputs, &place);
    let files = Files::render(&decision, key.as_ref());
    write(&files, &place)?;
    if args.json {
        let json = files.0.iter().find(|(name, _)| *name == GATE_FILE);
        out::text(String::from_utf8_lossy(json.map_or(&[][..], |(_, bytes)| bytes)));
    } else {
        out::text(summary(&decision));
        out::line(format_args!("see {}", out.join("gate.html").display()));
    }
    if key.is_some() && decision.images.is_empty() {
        out::error_line("no image is known, so that there is nothing to attest");
    }
    Ok(match decision.verdict {
        Verdict::Go | Verdict::GoWithWaivers => ExitCode::Passed,
        Verdict::NoGo => ExitCode::NoGo,
        Verdict::Incomplete => ExitCode::Undecided,
    })
}

/// The verdict, and the gravest reasons.
fn summary(decision: &Decision) -> String {
    /// Reasons of each kind; the files have the rest.
    const REASONS: usize = 10;

    let mut out = decision.headline() + "\n";
    for effect in [Effect::Blocks, Effect::Incomplete, Effect::Accepted] {
        for finding in decision.with(effect).take(REASONS) {
            // Writing to a string can't fail.
            let _ = writeln!(out, "  {effect}: {}: {}", finding.id, finding.text);
        }
        if let more @ 1.. = decision.with(effect).count().saturating_sub(REASONS) {
            let _ = writeln!(out, "  {effect}: {more} more");
        }
    }
    out
}

/// A decision that was written before.
fn read(json: &[u8]) -> Result<Decision, String> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }

    let damaged = |error: serde_json::Error| format!("is damaged: {error}");
    let Versioned { version } = serde_json::from_slice(json).map_err(damaged)?;
    if version > wheeltap_gate::FORMAT_VERSION {
        return Err(format!("has version {version}; explain it with a newer wheeltap"));
    }
    serde_json::from_slice(json).map_err(damaged)
}

impl From<InputError> for UserError {
    fn from(error: InputError) -> Self {
        let wrong = Self::usage(error.to_string());
        match error {
            InputError::Policy { path, text, problem } => {
                // A table's place is all of it; its first line says enough.
                let shown = text.get(problem.span.clone()).unwrap_or_default();
                let end = problem.span.start + shown.find('\n').unwrap_or(shown.len());
                wrong.with_snippet(&path, &text, problem.span.start..end)
            }
            InputError::Waivers(error) => Self::from(error),
            InputError::Read { .. } => wrong,
        }
    }
}

impl From<WriteError> for UserError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Foreign { .. } => Self::usage(error.to_string()),
            WriteError::Io { .. } => Self::infra(error.to_string()),
        }
    }
}

//! Runs that begin where another ended: `wheeltap run --resume` and `wheeltap rerun`.

use std::{collections::BTreeSet, path::Path};

use clap::Parser as _;
use wheeltap_reports::{CaseId, Run, Verdict};

use super::{
    args::{Cli, Command, RerunArgs, RunArgs},
    out,
    run::{Start, carry_out},
};
use crate::{ExitCode, UserError, select::is_match};

/// What a run was asked to do.
struct Asked {
    args: Box<RunArgs>,
    /// Of all the cases that this means, only these.
    only: Option<BTreeSet<CaseId>>,
}

/// `wheeltap run --resume RUN`.
pub(super) fn resume(args: &RunArgs, directory: &Path, verbose: u8) -> Result<ExitCode, UserError> {
    // Not the link to the latest run, which may soon lead elsewhere.
    let real = directory.canonicalize();
    let directory = real.as_deref().unwrap_or(directory);
    let run = Run::load(directory)?;
    if run.cases.iter().all(|case| case.verdict != Verdict::NotRun) {
        return Err(UserError::usage(format!(
            "{} has judged all that it planned; `wheeltap rerun` runs cases again",
            directory.display()
        )));
    }
    let Asked { args: mut asked, only } = asked(&run)?;
    asked.jobs = args.jobs.or(asked.jobs);
    // What ended the run early is not what ends it again.
    asked.deadline = args.deadline;
    (asked.fail_fast, asked.max_fail) = (args.fail_fast, args.max_fail);
    // Nor need it be told in the same way.
    (asked.quiet, asked.format) = (args.quiet, args.format);
    asked.junit.clone_from(&args.junit);
    asked.junit_options.clone_from(&args.junit_options);
    carry_out(&asked, &Start::Resume { directory, only }, verbose)
}

/// `wheeltap rerun`.
pub(super) fn rerun(args: &RerunArgs, verbose: u8) -> Result<ExitCode, UserError> {
    let run = Run::load(&args.run)?;
    let wanted = chosen(&run, args)?;
    if wanted.is_empty() {
        out::error_line(format_args!("{}: there is nothing to run again", args.run.display()));
        return Ok(ExitCode::Incomplete);
    }
    let asked = asked(&run)?;
    carry_out(&asked.args, &Start::Anew { only: Some(wanted) }, verbose)
}

/// The cases that are run again: without a choice all that did not pass, and of those that are named all.
fn chosen(run: &Run, args: &RerunArgs) -> Result<BTreeSet<CaseId>, UserError> {
    let is_named = !args.filter.is_empty() || args.cell.is_some();
    let any = !args.failed && !args.not_run;
    let wanted = |verdict: Verdict| match verdict {
        Verdict::Fail | Verdict::Infra => args.failed || any,
        Verdict::NotRun => args.not_run || any,
        Verdict::Pass | Verdict::Flaky | Verdict::Skip => is_named && any,
    };
    let fits = |id: &CaseId| {
        let filtered = args.filter.iter().any(|filter| is_match(filter, &id.scenario));
        (args.filter.is_empty() || filtered)
            && args.cell.as_ref().is_none_or(|cell| is_match(cell, &id.cell))
    };
    let named: Vec<_> = run.cases.iter().filter(|case| fits(&case.planned.id)).collect();
    if is_named && named.is_empty() {
        return Err(UserError::usage(format!(
            "{} planned no such case; `wheeltap report` lists what it did",
            args.run.display()
        )));
    }
    let cases = named.into_iter().filter(|case| wanted(case.verdict));
    Ok(cases.map(|case| case.planned.id.clone()).collect())
}

/// What a run was asked to do, by the command line that it wrote down.
fn asked(run: &Run) -> Result<Asked, UserError> {
    let directory = run.dir.display();
    let started = run.started.as_ref().ok_or_else(|| {
        UserError::usage(format!("{directory} was killed before it began; start it anew"))
    })?;
    let command = Cli::try_parse_from(&started.asked).map(|cli| cli.command);
    match command {
        // One that was resumed has the arguments that it began with.
        Ok(Command::Run(args)) => Ok(Asked { args, only: None }),
        Ok(Command::Rerun(args)) => {
            let only = run.cases.iter().map(|case| case.planned.id.clone()).collect();
            let earlier = asked(&Run::load(&args.run)?)?;
            Ok(Asked { args: earlier.args, only: Some(only) })
        }
        Ok(_) | Err(_) => Err(UserError::usage(format!(
            "{directory} was not started by a command that this wheeltap knows: `{}`",
            started.command.join(" ")
        ))),
    }
}

//! Arguments of `wheeltap report`, and those about JUnit that `wheeltap run` has as well.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{Args, ValueEnum};
use wheeltap_reports::{JunitAttachments, JunitFlaky, JunitOptions, JunitOutput};

use crate::UserError;

#[derive(Debug, Args)]
pub(in crate::cli) struct ReportArgs {
    /// The run's directory; several runs of one plan, such as partitions, are merged.
    #[arg(required_unless_present = "schema")]
    pub(in crate::cli) run: Vec<PathBuf>,
    /// In which form.
    #[arg(long, value_enum, default_value = "text")]
    pub(in crate::cli) format: FormatName,
    /// Write it here, in place of standard output.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Accepted failures, in place of those that the run was judged by.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) waivers: Option<PathBuf>,
    /// An earlier run, of any plan, that `--format html` compares with.
    #[arg(long, value_name = "RUN")]
    pub(in crate::cli) baseline: Option<PathBuf>,
    /// Sign it: a private key in PEM, ed25519 or ECDSA over P-256; with `--format in-toto`.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) key: Option<PathBuf>,
    /// Print the JSON schema of what programs read, in place of a report.
    #[arg(long, value_enum, value_name = "OF", conflicts_with_all = ["run", "format", "waivers", "baseline", "key"])]
    pub(in crate::cli) schema: Option<SchemaName>,
    #[command(flatten)]
    pub(in crate::cli) junit: JunitArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum SchemaName {
    /// The JSON report.
    Report,
    /// `plan.json`.
    Plan,
    /// A line of `events.jsonl`.
    Event,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum FormatName {
    /// For CI systems.
    Junit,
    /// One page that needs nothing else, for a browser.
    Html,
    /// For programs.
    Json,
    /// For people.
    Text,
    /// Markdown, for a comment or a job's summary: at most 65,535 bytes.
    Md,
    /// TAP 14.
    Tap,
    /// A statement about the image for those who verify; with `--key` in a DSSE envelope.
    InToto,
}

/// How JUnit is written, for consumers that read it differently.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "JUnit")]
pub(in crate::cli) struct JunitArgs {
    /// What a case is that passed only after retries.
    #[arg(long, value_enum, value_name = "HOW", default_value = "surefire")]
    junit_flaky: FlakyElement,
    /// Whose timeline and evidence are in it.
    #[arg(long, value_enum, value_name = "WHOSE", default_value = "failed")]
    junit_output: OutputOf,
    /// How evidence is attached: by `absolute` paths, by paths `relative-to=DIR`, or not at all (`none`).
    #[arg(long, value_name = "HOW", default_value = "absolute", value_parser = attachments)]
    junit_attachments: Attachments,
    /// The most that a file should have, in bytes. What is more goes into further files: FILE.xml, FILE-2.xml, …
    #[arg(long, value_name = "BYTES")]
    junit_max_bytes: Option<NonZeroUsize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum FlakyElement {
    /// Passed, with a `flakyFailure` for each attempt that failed.
    #[default]
    Surefire,
    /// Failed.
    Failure,
    /// Passed, and neither `flakyFailure` nor `rerunFailure` is used.
    Plain,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum OutputOf {
    /// Attempts that didn't pass.
    #[default]
    Failed,
    /// All attempts.
    All,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Attachments(JunitAttachments);

fn attachments(text: &str) -> Result<Attachments, String> {
    let attachments = match (text, text.strip_prefix("relative-to=")) {
        ("absolute", _) => JunitAttachments::Absolute,
        ("none", _) => JunitAttachments::None,
        (_, Some(dir)) if !dir.is_empty() => JunitAttachments::RelativeTo(dir.into()),
        _ => return Err("say absolute, relative-to=DIR or none".to_owned()),
    };
    Ok(Attachments(attachments))
}

impl JunitArgs {
    /// What they mean, if JUnit is written at all.
    ///
    /// # Errors
    /// If it isn't, and something is said about it; `instead` says what to do.
    pub(in crate::cli) fn options(
        &self,
        is_written: bool,
        instead: &str,
    ) -> Result<JunitOptions, UserError> {
        if !is_written && *self != Self::default() {
            return Err(UserError::usage(format!(
                "the options --junit-… say how JUnit is written, and none is; {instead}"
            )));
        }
        Ok(JunitOptions {
            flaky: match self.junit_flaky {
                FlakyElement::Surefire => JunitFlaky::Surefire,
                FlakyElement::Failure => JunitFlaky::Failure,
                FlakyElement::Plain => JunitFlaky::Plain,
            },
            output: match self.junit_output {
                OutputOf::Failed => JunitOutput::Failed,
                OutputOf::All => JunitOutput::All,
            },
            attachments: self.junit_attachments.0.clone(),
            max_bytes: self.junit_max_bytes.map(NonZeroUsize::get),
        })
    }
}

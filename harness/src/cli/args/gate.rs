//! Arguments of `wheeltap gate` and `wheeltap verify-attestation`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::Date;

#[derive(Debug, Args)]
pub(in crate::cli) struct GateArgs {
    #[command(subcommand)]
    pub(in crate::cli) command: Option<GateCommand>,
    /// Print a policy in which every key is explained, and do nothing else.
    #[arg(long, exclusive = true)]
    pub(in crate::cli) print_policy: bool,
    /// What must be known and good.
    #[arg(long, value_name = "FILE", required_unless_present = "print_policy")]
    pub(in crate::cli) policy: Option<PathBuf>,
    /// Directories of the runs; partitions of one plan are merged.
    #[arg(long, value_name = "RUN", num_args = 1.., required_unless_present = "print_policy")]
    pub(in crate::cli) results: Vec<PathBuf>,
    /// Directories of the runs of the release before.
    #[arg(long, value_name = "RUN", num_args = 1..)]
    pub(in crate::cli) baseline: Vec<PathBuf>,
    /// Accepted failures and hits of limits. Those that the runs were judged by don't count.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) waivers: Option<PathBuf>,
    /// What `wheeltap image diff OLD NEW --format json` wrote.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) image_diff: Option<PathBuf>,
    /// The day (UTC) of the decision, by which waivers expire and results age; today.
    #[arg(long, value_name = "DATE")]
    pub(in crate::cli) as_of: Option<Date>,
    /// Attest the decision: a private key in PEM, ed25519 or ECDSA over P-256.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) key: Option<PathBuf>,
    /// Directory for gate.json, gate.md, gate.html, SHA256SUMS and, with a key, gate.intoto.jsonl.
    #[arg(long, value_name = "DIR", required_unless_present = "print_policy")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Print gate.json.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum GateCommand {
    /// Say why something did or didn't block.
    #[command(after_help = "Example:\n  wheeltap gate explain update.apply --gate gate")]
    Explain(ExplainArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ExplainArgs {
    /// A case (`SCENARIO [CELL]`, `CELL/SCENARIO`, or a scenario in all cells), a cell, a limit's hit, or a waiver.
    pub(in crate::cli) id: String,
    /// The directory of the decision.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) gate: PathBuf,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyArgs {
    /// DSSE envelopes, such as gate.intoto.jsonl.
    pub(in crate::cli) file: PathBuf,
    /// A public key in PEM. Of several, each must have signed.
    #[arg(long, value_name = "FILE", required = true)]
    pub(in crate::cli) key: Vec<PathBuf>,
    /// A file that it must be about, such as the image.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(in crate::cli) subject: Vec<PathBuf>,
    /// What it must say at least.
    #[arg(long, value_enum)]
    pub(in crate::cli) result: Option<ResultName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ResultName {
    /// All passed.
    Passed,
    /// All passed, or somebody accepted it.
    Warned,
}

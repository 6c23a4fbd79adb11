//! Arguments of `wheeltap history`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct HistoryArgs {
    #[command(subcommand)]
    pub(super) command: Option<HistoryCommand>,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum HistoryCommand {
    /// Take in runs from their directories; those that are known are updated.
    #[command(after_help = "Example:\n  wheeltap history import wheeltap-out/2026*")]
    Import(ImportArgs),
    /// Name the first bad build of a scenario among the images that were tested.
    #[command(
        after_help = "Example:\n  wheeltap history bisect update.apply --cell qemu_bios.amd64 --boot"
    )]
    Bisect(BisectArgs),
}

/// Which file.
#[derive(Debug, Default, Args)]
pub(super) struct FileArgs {
    /// The history; otherwise `$WHEELTAP_HISTORY`, or wheeltap/history.sqlite in `$XDG_STATE_HOME`
    /// (~/.local/state).
    #[arg(long, value_name = "FILE")]
    pub(super) history: Option<PathBuf>,
}

/// Which results.
#[derive(Debug, Default, Args)]
pub(super) struct WhichArgs {
    /// Only this cell, such as `qemu_bios.amd64`.
    #[arg(long)]
    pub(super) cell: Option<String>,
    /// Only images of this name; a name or a glob (`flatcar:*`).
    #[arg(long, value_name = "NAME")]
    pub(super) image: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Tell all about this scenario; a name or a glob. Without it, one line per scenario and cell.
    pub(super) scenario: Option<String>,
    #[command(flatten)]
    pub(super) which: WhichArgs,
    #[command(flatten)]
    pub(super) file: FileArgs,
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// Directories of runs.
    #[arg(required = true)]
    pub(super) run: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) file: FileArgs,
}

#[derive(Debug, Args)]
pub(super) struct BisectArgs {
    /// The scenario.
    pub(super) scenario: String,
    #[command(flatten)]
    pub(super) which: WhichArgs,
    /// Run the scenario on images between the last good and the first bad one that haven't run it.
    #[arg(long)]
    pub(super) boot: bool,
    /// Directory for the directories of these runs.
    #[arg(long, value_name = "DIR", default_value = "wheeltap-out", requires = "boot")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) file: FileArgs,
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
}

//! What can go wrong between the event log and a report.

use std::path::{Path, PathBuf};

use crate::{CaseId, Problem};

/// A result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a run could not be recorded, loaded or reported. Each message names the file and the fix.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory holds no plan.
    #[error(
        "{} is not a run directory: it has no plan.json; \
         give the directory that `wheeltap run` printed at its end", dir.display()
    )]
    NotARun {
        /// The directory that was given.
        dir: PathBuf,
    },

    /// A file exists but can't be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// A file can't be written.
    #[error("cannot write {}{}", path.display(), write_hint(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// An event log is there already.
    #[error(
        "{} exists already, and a run directory holds one run only; \
         choose another directory with --out", path.display()
    )]
    LogExists {
        /// The log that is in the way.
        path: PathBuf,
    },

    /// The run is going on.
    #[error("{} is a run that still goes on; end it first, or wait", dir.display())]
    StillRuns {
        /// Its directory.
        dir: PathBuf,
    },

    /// The plan isn't JSON, or lacks something.
    #[error("{} is damaged, so nothing can be said about this run", path.display())]
    BadPlan {
        /// The plan.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },

    /// The run was written by a newer wheeltap.
    #[error(
        "{} has format version {found}, and this wheeltap reads up to version {known}; \
         report it with the wheeltap that ran it, or a newer one", path.display()
    )]
    Newer {
        /// The plan.
        path: PathBuf,
        /// The version in the file.
        found: u32,
        /// The newest version that can be read.
        known: u32,
    },

    /// The plan promises one case twice.
    #[error("{} lists the case {case} twice", path.display())]
    PlannedTwice {
        /// The plan.
        path: PathBuf,
        /// The case.
        case: CaseId,
    },

    /// The log was written for another plan.
    #[error(
        "{} is not the plan that this run began with: its digest is {found}, \
         and events.jsonl names {expected}", path.display()
    )]
    OtherPlan {
        /// The plan.
        path: PathBuf,
        /// The digest in the log, in hex.
        expected: String,
        /// The digest of the file, in hex.
        found: String,
    },

    /// A line of the event log can't be read. (A torn last line is no error.)
    #[error("{} is damaged at line {line}, so this run can't be trusted", path.display())]
    BadEvent {
        /// The log.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Where in the line, and why.
        source: serde_json::Error,
    },

    /// The event log isn't what it was when the run ended.
    #[error(
        "{} is not as it was when the run ended: it was changed, or has lost lines, \
         so this run can't be trusted", path.display()
    )]
    BrokenSeal {
        /// The log.
        path: PathBuf,
    },

    /// The event log speaks about a case that the plan doesn't promise.
    #[error("{}, line {line}: the case {case} is not in plan.json", path.display())]
    NotPlanned {
        /// The log.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The case.
        case: CaseId,
    },

    /// The event log says that a case is this run's that the plan doesn't have.
    #[error(
        "{}, line {line}: case {index} is selected, and plan.json has only {planned}; \
         they don't belong together", path.display()
    )]
    NotSelectable {
        /// The log.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The place in the plan, counted from 0.
        index: usize,
        /// How many cases the plan has.
        planned: usize,
    },

    /// A file of waivers is wrong.
    #[error(
        "these waivers can't be used:\n{}",
        problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
    )]
    BadWaivers {
        /// Everything that is wrong, in the order of its lines.
        problems: Vec<Problem>,
    },

    /// There are no runs to merge.
    #[error("there are no runs to merge; give at least one run directory")]
    NothingToMerge,

    /// Runs of different plans.
    #[error(
        "{} and {} have different plans, with the digests {one_digest} and {other_digest}; \
         only runs that promised the same can be merged", one.display(), other.display()
    )]
    OtherPlans {
        /// A run's directory.
        one: PathBuf,
        /// Its plan's digest, in hex.
        one_digest: String,
        /// Another run's directory.
        other: PathBuf,
        /// Its plan's digest, in hex.
        other_digest: String,
    },

    /// Runs that were judged by different waivers.
    #[error(
        "{} and {} have different waivers with the id {id}; \
         say which holds with --waivers FILE", one.display(), other.display()
    )]
    OtherWaivers {
        /// The id.
        id: String,
        /// A run's directory.
        one: PathBuf,
        /// Another run's directory.
        other: PathBuf,
    },

    /// Nothing identifies the image.
    #[error(
        "{} says no digest of the image, as of a machine that existed before (--host); \
         an attestation must say what it is about", dir.display()
    )]
    NoDigest {
        /// The run's directory.
        dir: PathBuf,
    },

    /// A serializer refused the data.
    #[error("cannot render the {format} report; this is a defect of wheeltap, please report it")]
    Render {
        /// `JUnit` or `JSON`.
        format: &'static str,
        /// What the serializer said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    pub(crate) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }
}

fn write_hint(source: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "; free some space, or choose another directory with --out"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "; choose a directory that you can write to with --out"
        }
        ErrorKind::NotFound => "; its directory has disappeared",
        _ => "",
    }
}

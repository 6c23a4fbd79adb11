//! What can go wrong with the history file. Each message names the file and the way out; none of
//! the ways loses what is in it.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// A result with [`HistoryError`].
pub type HistoryResult<T> = Result<T, HistoryError>;

/// Why the history could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// No variable says where the user's state is.
    #[error("nothing says where the history is: give --history FILE, or set WHEELTAP_HISTORY")]
    NoHome,

    /// There is no file to read.
    #[error(
        "there is no history in {} yet; `wheeltap run` records one, \
         and `wheeltap history import RUN…` takes in earlier runs", path.display()
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },

    /// The file or its directory can't be made or opened.
    #[error("cannot open {}: {source}; choose another file with --history", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// The file isn't SQLite, or its pages make no sense.
    #[error(
        "{0} is damaged, or no history at all, and was left as it is; \
         move it away (mv {0} {0}.damaged) and fill a new one with `wheeltap history import RUN…`",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },

    /// The file is SQLite, but not a history.
    #[error(
        "{} is a database of another program, and was left as it is; \
         choose another file with --history", path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },

    /// The file was made by a newer wheeltap.
    #[error(
        "{} has schema version {found}, and this wheeltap knows up to version {known}; \
         use the wheeltap that made it, or a newer one, or choose another file with --history",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The newest version that is known.
        known: i64,
    },

    /// Another process kept it locked.
    #[error("{} is in use by another process, and was so for too long; try again", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },

    /// The file can't be written.
    #[error("cannot write {}: {source}; choose another file with --history", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },

    /// Anything else that SQLite says.
    #[error("cannot use {}: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },

    /// A serializer refused the data.
    #[error("cannot render the history as JSON; this is a defect of wheeltap, please report it")]
    Render(#[source] serde_json::Error),
}

impl HistoryError {
    /// Sorts what SQLite said by what the user can do about it.
    pub(super) fn sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { path, source }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Busy { path, source }
            }
            Some(
                ErrorCode::ReadOnly
                | ErrorCode::DiskFull
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::SystemIoFailure,
            ) => Self::Write { path, source },
            _ => Self::Sqlite { path, source },
        }
    }

    /// Whether the host is at fault, and not what the user gave.
    #[must_use]
    pub fn is_infra(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Busy { .. } | Self::Write { .. } | Self::Sqlite { .. } => {
                true
            }
            Self::NoHome
            | Self::Missing { .. }
            | Self::Damaged { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::Render(_) => false,
        }
    }
}

//! The file: where it is, how it is opened, and what is in it.

use std::env;
use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::{HistoryError, HistoryResult};

/// The version of the tables, in SQLite's `user_version`. A reader refuses newer ones.
pub const SCHEMA_VERSION: i64 = 1;

/// Marks the file as a history: "whlt", in SQLite's `application_id`.
const APPLICATION_ID: i64 = 0x7768_6c74;

/// How long one process waits for the others. A run of 10,000 cases is written in a second or two,
/// so this is enough for a dozen that end together, even on a slow disk.
const BUSY_LIMIT: Duration = Duration::from_secs(30);

/// Durations are in seconds, times in milliseconds since 1970 (UTC), verdicts the words of reports.
const SCHEMA: &str = "
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL,           -- the run's id
    plan TEXT NOT NULL,          -- digest of its plan: two hosts may give two runs the same id
    started INTEGER NOT NULL,
    seconds REAL NOT NULL,
    dir TEXT NOT NULL,
    wheeltap TEXT NOT NULL,      -- version; empty if the run was killed before its first event
    host TEXT NOT NULL,
    accelerator TEXT NOT NULL,   -- 'kvm', 'tcg', 'none'; empty as above
    image TEXT NOT NULL,         -- as it was asked for
    digest TEXT NOT NULL,        -- of the image; empty for a machine that exists
    version TEXT NOT NULL,       -- of the image; empty if it doesn't say
    profile TEXT NOT NULL,
    bisecting INTEGER NOT NULL,  -- whether it tried an older image to find a build, see PastRun
    UNIQUE (run, plan)
) STRICT;
CREATE TABLE cases (
    id INTEGER PRIMARY KEY,
    scenario TEXT NOT NULL,
    cell TEXT NOT NULL,
    arch TEXT NOT NULL,
    faults INTEGER NOT NULL,     -- whether it has deliberate faults, and so says nothing about images
    UNIQUE (scenario, cell)
) STRICT;
CREATE TABLE results (           -- what a case did in a run
    id INTEGER PRIMARY KEY,
    case_id INTEGER NOT NULL REFERENCES cases (id),
    run_id INTEGER NOT NULL REFERENCES runs (id),
    started INTEGER NOT NULL,    -- of the run, here so that the index has it
    verdict TEXT NOT NULL,
    reason TEXT,
    seconds REAL NOT NULL,
    UNIQUE (run_id, case_id)
) STRICT;
-- Holds all that is asked of a case's latest results, so that most of them needn't be read.
CREATE INDEX results_of_case ON results (case_id, started, run_id, verdict);
CREATE TABLE attempts (
    result_id INTEGER NOT NULL REFERENCES results (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,     -- from 1
    started INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    seconds REAL NOT NULL,
    slug TEXT,                   -- class.phase.kind of its failure
    headline TEXT,
    signature TEXT,              -- the same for the same failure in other cases and nights
    PRIMARY KEY (result_id, number)
) STRICT, WITHOUT ROWID;
";

/// A history file, open. Each thread opens its own.
///
/// Several processes may read and write at the same time. The journal is SQLite's rollback journal
/// and not its write-ahead log: a run writes once and for a short time, the history stays one file
/// that can be copied, and it works where home directories are on a network file system with locks.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    pub(super) connection: Connection,
}

/// What an opened file turned out to be.
#[derive(PartialEq, Eq)]
enum Content {
    Empty,
    History,
}

impl History {
    /// Where the user's history is: `$WHEELTAP_HISTORY`, or `history.sqlite` in the directory for what
    /// is kept of all runs: `$WHEELTAP_STATE`, `$XDG_STATE_HOME/wheeltap` or `~/.local/state/wheeltap`.
    /// An empty variable counts as unset.
    ///
    /// # Errors
    /// [`HistoryError::NoHome`] if none of the variables is set, nor `HOME`.
    pub fn path_of_user() -> HistoryResult<PathBuf> {
        let variable =
            |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let of_user = || {
            variable("WHEELTAP_STATE")
                .or_else(|| variable("XDG_STATE_HOME").map(|base| base.join("wheeltap")))
                .or_else(|| variable("HOME").map(|home| home.join(".local/state/wheeltap")))
        };
        variable("WHEELTAP_HISTORY")
            .or_else(|| of_user().map(|directory| directory.join("history.sqlite")))
            .ok_or(HistoryError::NoHome)
    }

    /// Opens the history in this file, which is made, with its directory, if it isn't there.
    ///
    /// # Errors
    /// If it can't be made or opened, or if it is damaged, not a history, or a newer one. A file
    /// that can't be used is left as it is.
    pub fn open(path: &Path) -> HistoryResult<Self> {
        let cannot = |source| HistoryError::Open { path: path.to_owned(), source };
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            // 0700 is what the XDG specification asks for.
            DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(cannot)?;
        }
        // Private, as run directories are: headlines may quote configs and logs.
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(source) if source.kind() != ErrorKind::AlreadyExists => Err(cannot(source)),
            _ => Self::open_existing(path),
        }
    }

    /// Opens the history in this file, which must be there.
    ///
    /// # Errors
    /// [`HistoryError::Missing`], and as [`open`](Self::open).
    pub fn open_existing(path: &Path) -> HistoryResult<Self> {
        if !path.exists() {
            return Err(HistoryError::Missing { path: path.to_owned() });
        }
        if path.is_dir() {
            let source = ErrorKind::IsADirectory.into();
            return Err(HistoryError::Open { path: path.to_owned(), source });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|source| HistoryError::sqlite(path, source))?;
        let history = Self { path: path.to_owned(), connection };
        history.prepare()?;
        Ok(history)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does something in one transaction, so that it is whole or not at all.
    pub(super) fn transaction<T>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> HistoryResult<T> {
        let attempt = || {
            let transaction = Transaction::new_unchecked(&self.connection, behavior)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        attempt().map_err(|source| HistoryError::sqlite(&self.path, source))
    }

    /// Makes the tables, if this is the first to open the file.
    fn prepare(&self) -> HistoryResult<()> {
        let wrong = |source| HistoryError::sqlite(&self.path, source);
        self.connection.busy_timeout(BUSY_LIMIT).map_err(wrong)?;
        self.connection.pragma_update(None, "foreign_keys", true).map_err(wrong)?;
        let found = self.transaction(TransactionBehavior::Deferred, content)?;
        if self.checked(found)? == Content::History {
            return Ok(());
        }
        // Asked again under the lock that writers take: another process may have been faster.
        let found = self.transaction(TransactionBehavior::Immediate, |connection| {
            let found = content(connection)?;
            if found == (0, 0, 0) {
                connection.execute_batch(SCHEMA)?;
                connection.pragma_update(None, "application_id", APPLICATION_ID)?;
                connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
                return content(connection);
            }
            Ok(found)
        })?;
        self.checked(found).map(|_| ())
    }

    fn checked(&self, content: (i64, i64, i64)) -> HistoryResult<Content> {
        let path = || self.path.clone();
        match content {
            (0, 0, 0) => Ok(Content::Empty),
            (APPLICATION_ID, found, _) if found > SCHEMA_VERSION => {
                Err(HistoryError::Newer { path: path(), found, known: SCHEMA_VERSION })
            }
            (APPLICATION_ID, SCHEMA_VERSION, _) => Ok(Content::History),
            _ => Err(HistoryError::Foreign { path: path() }),
        }
    }
}

/// Whose file it is, which schema it has, and how many tables and indexes.
fn content(connection: &Connection) -> rusqlite::Result<(i64, i64, i64)> {
    let number = |sql| connection.query_row(sql, [], |row| row.get(0));
    Ok((
        number("PRAGMA application_id")?,
        number("PRAGMA user_version")?,
        number("SELECT count(*) FROM sqlite_schema")?,
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::{History, SCHEMA_VERSION};
    use crate::history::HistoryError;

    /// What is said about a file with this content; it must still have it afterwards.
    fn refused(content: &[u8]) -> String {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("history.sqlite");
        fs::write(&path, content).unwrap();
        let error = History::open(&path).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), content, "it was left as it is");
        error.to_string().replace(dir.path().to_str().unwrap(), "/STATE")
    }

    #[test]
    fn it_is_made_with_its_directory_and_private() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("a/b/history.sqlite");
        drop(History::open(&path).unwrap());
        drop(History::open(&path).unwrap());
        let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path) & 0o777, 0o600);
        assert_eq!(mode(path.parent().unwrap()) & 0o777, 0o700);
    }

    #[test]
    fn what_is_no_history_is_refused_and_kept() {
        insta::assert_snapshot!(refused(&b"no database, and longer than a header ".repeat(99)), @"/STATE/history.sqlite is damaged, or no history at all, and was left as it is; move it away (mv /STATE/history.sqlite /STATE/history.sqlite.damaged) and fill a new one with `wheeltap history import RUN…`");
    }

    #[test]
    fn a_damaged_history_is_refused_and_kept() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("history.sqlite");
        drop(History::open(&path).unwrap());
        let mut bytes = fs::read(&path).unwrap();
        // The header survives, the tables don't.
        bytes[100..4096].fill(0xaa);
        assert!(refused(&bytes).contains("is damaged"));
    }

    #[test]
    fn a_newer_history_is_refused() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("history.sqlite");
        drop(History::open(&path).unwrap());
        let newer = SCHEMA_VERSION + 1;
        Connection::open(&path).unwrap().pragma_update(None, "user_version", newer).unwrap();
        let said = refused(&fs::read(&path).unwrap());
        insta::assert_snapshot!(said, @"/STATE/history.sqlite has schema version 2, and this wheeltap knows up to version 1; use the wheeltap that made it, or a newer one, or choose another file with --history");
    }

    #[test]
    fn a_database_of_another_program_is_refused() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("places.sqlite");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE places (name TEXT)").unwrap();
        let said = refused(&fs::read(&path).unwrap());
        insta::assert_snapshot!(said, @"/STATE/history.sqlite is a database of another program, and was left as it is; choose another file with --history");
    }

    #[test]
    fn what_is_not_there_is_not_made_to_be_read() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("history.sqlite");
        let error = History::open_existing(&path).unwrap_err();
        assert!(matches!(error, HistoryError::Missing { .. }), "{error}");
        assert!(!path.exists());
        let error = History::open(dir.path()).unwrap_err();
        assert!(matches!(error, HistoryError::Open { .. }), "{error}");
    }
}

//! Writing and withdrawing leases.
//!
//! ```text
//! STATE/leases/PID-START-RANDOM/            of one process; it holds the directory's lock as long as it lives
//! STATE/leases/PID-START-RANDOM/owner.json  which host and boot
//! STATE/leases/PID-START-RANDOM/N.json      a lease; gone when what it is about is
//! STATE/leases/gc.lock                      held by who takes away what dead processes left
//! ```
//!
//! A lease is a file of its own, written in one piece and never synced: a process that is killed at any instant leaves
//! whole leases, and at most one that was torn before what it is about was made. What a power cut loses of them is lost.
//! The directory goes with its last lease.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{
    owner::{Host, Process, ledger_name},
    place::state_directory,
    record::{OWNER_FILE, Resource, to_bytes},
};
use crate::lock_file::LockFile;

/// Leases that this process holds.
///
/// A lease that can't be written is said once, and the run goes on: QEMU still dies with wheeltap, and private directories
/// can be told by their names. What a later `wheeltap gc` can't know then is disks and saved states.
#[derive(Clone, Debug)]
pub struct Leases(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Directory of all processes' leases, or why there is none.
    place: Result<PathBuf, String>,
    ledger: Mutex<Option<Ledger>>,
    warned: AtomicBool,
}

/// The directory of this process's leases, while there are any.
#[derive(Debug)]
struct Ledger {
    directory: PathBuf,
    leases: u64,
    /// Says that we live; `None` where directories have no locks.
    _lock: Option<LockFile>,
}

impl Leases {
    /// Those that are kept with the user's state.
    pub fn of_this_process() -> &'static Self {
        static LEASES: OnceLock<Leases> = OnceLock::new();
        LEASES.get_or_init(|| {
            let state = state_directory().and_then(|state| {
                // The working directory may change, and another process has another.
                std::path::absolute(state).map_err(|_| super::NoPlace)
            });
            Self::new(state.map_err(|error| error.to_string()))
        })
    }

    /// Those that are kept in a state directory of their own.
    #[must_use]
    pub fn at(state: &Path) -> Self {
        Self::new(Ok(state.to_path_buf()))
    }

    fn new(state: Result<PathBuf, String>) -> Self {
        Self(Arc::new(Inner {
            place: state.map(|state| state.join("leases")),
            ledger: Mutex::new(None),
            warned: AtomicBool::new(false),
        }))
    }

    /// Writes a lease. What it is about may be made when this returns, and not before.
    pub(super) fn write(&self, resource: &Resource) -> Lease {
        let written = self.try_write(resource);
        if let Err(why) = &written
            && !self.0.warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "{why}; if wheeltap is killed, `wheeltap gc` won't know of its disks. Set WHEELTAP_STATE to a \
                 writable directory"
            );
        }
        Lease { leases: self.clone(), record: written.ok() }
    }

    fn try_write(&self, resource: &Resource) -> Result<Written, String> {
        let place = self.0.place.as_ref().map_err(|why| format!("leases can't be kept: {why}"))?;
        let cannot = |error: &dyn std::fmt::Display| {
            format!("a lease can't be written in {}: {error}", place.display())
        };
        let bytes = to_bytes(resource).map_err(|error| cannot(&error))?;
        let mut ledger = self.lock();
        // Somebody in another PID namespace who shares this directory may take a ledger for dead before it is locked.
        for _ in 0..3 {
            if ledger.is_none() {
                *ledger = Some(Ledger::open(place).map_err(|error| cannot(&error))?);
            }
            let Some(open) = ledger.as_mut() else { break };
            // Never the same twice in a process: a mark that a removal missed must not vouch for another lease.
            static NUMBER: AtomicU64 = AtomicU64::new(1);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let file = open.directory.join(format!("{number}.json"));
            match OpenOptions::new().write(true).create_new(true).open(&file) {
                Ok(mut created) => {
                    open.leases += 1;
                    let lease = Written { file, number };
                    if let Err(error) = created.write_all(&bytes) {
                        Self::withdraw(&mut ledger, &lease);
                        return Err(cannot(&error));
                    }
                    return Ok(lease);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => *ledger = None,
                Err(error) => return Err(cannot(&error)),
            }
        }
        Err(cannot(&"somebody removes it"))
    }

    fn withdraw(ledger: &mut Option<Ledger>, lease: &Written) {
        // A lease that stays though what it is about is gone does no harm; `gc` takes it away.
        let _ = fs::remove_file(&lease.file);
        if let Some(open) = ledger.take_if(|open| {
            open.leases -= 1;
            open.leases == 0
        }) {
            let _ = fs::remove_file(open.directory.join(OWNER_FILE));
            let _ = fs::remove_dir(&open.directory);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Ledger>> {
        // Whole after each statement, so a panic elsewhere doesn't matter.
        self.0.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    fn open(place: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(place)?;
        loop {
            let directory = place.join(ledger_name());
            match DirBuilder::new().mode(0o700).create(&directory) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            let lock = match File::open(&directory) {
                // A collector looks whether it is locked, and holds it no longer than that.
                Ok(file) => Some(LockFile(file)).filter(|file| file.lock().is_ok()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let still_there = match &lock {
                Some(file) => file.metadata()?.nlink() > 0,
                None => directory.exists(),
            };
            if still_there {
                fs::write(directory.join(OWNER_FILE), to_bytes(Host::current())?)?;
                return Ok(Self { directory, leases: 0, _lock: lock });
            }
        }
    }
}

#[derive(Debug)]
struct Written {
    file: PathBuf,
    number: u64,
}

/// A lease that this process holds. It outlives the process unless it is released.
#[derive(Debug)]
pub(super) struct Lease {
    leases: Leases,
    /// `None` if it could not be written.
    record: Option<Written>,
}

impl Lease {
    /// Name of the empty file that, in a directory, says that this lease is about it.
    pub(super) fn mark(&self) -> Option<String> {
        self.record.as_ref().map(|record| mark(Process::current(), record.number))
    }

    /// Where more leases of the same process are written.
    pub(super) fn leases(&self) -> Leases {
        self.leases.clone()
    }

    /// Says more about the same thing, atomically.
    pub(super) fn replace(&self, resource: &Resource) {
        let Some(Written { file, .. }) = &self.record else { return };
        let new = file.with_extension("new");
        // The lease says enough as it is to find what it is about; this only makes that easier.
        let _ = to_bytes(resource)
            .map_err(io::Error::from)
            .and_then(|bytes| fs::write(&new, bytes))
            .and_then(|()| fs::rename(&new, file));
    }

    /// Withdraws it: what it is about is gone, or somebody else's now.
    pub(super) fn release(&mut self) {
        if let Some(record) = self.record.take() {
            Leases::withdraw(&mut self.leases.lock(), &record);
        }
    }
}

/// Name of the file by which a directory says that a lease is about it.
pub(super) fn mark(owner: Process, number: u64) -> String {
    format!("{}lease-{owner}-{number}", super::TEMPORARY_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(name: &str) -> Resource {
        Resource::Directory { path: Path::new("/nonexistent").join(name) }
    }

    fn files(directory: &Path) -> usize {
        fs::read_dir(directory).map_or(0, Iterator::count)
    }

    #[test]
    fn a_ledger_lives_from_the_first_lease_to_the_last() {
        let state = tempfile::tempdir().unwrap();
        let place = state.path().join("leases");
        let leases = Leases::at(state.path());
        assert!(!place.exists(), "nothing is written before there is something to say");
        let mut one = leases.write(&resource("one"));
        let mut other = leases.write(&resource("other"));
        assert_ne!(one.mark(), other.mark());
        let ledger = fs::read_dir(&place).unwrap().next().unwrap().unwrap().path();
        assert_eq!(files(&ledger), 3);
        assert_eq!(super::super::owner::alive_by_lock(&ledger), Some(true));
        one.release();
        assert_eq!(files(&ledger), 2);
        other.release();
        assert_eq!(files(&place), 0);
        leases.write(&resource("again")).release();
        assert_eq!(files(&place), 0);
    }

    #[test]
    fn a_lease_that_is_not_released_stays() {
        let state = tempfile::tempdir().unwrap();
        let leases = Leases::at(state.path());
        drop(leases.write(&resource("one")));
        assert_eq!(files(&state.path().join("leases")), 1);
    }

    #[test]
    fn where_nothing_can_be_written_work_goes_on() {
        let state = tempfile::NamedTempFile::new().unwrap();
        let mut lease = Leases::at(state.path()).write(&resource("one"));
        assert_eq!(lease.mark(), None);
        lease.replace(&resource("one"));
        lease.release();
    }

    #[test]
    fn a_ledger_that_somebody_took_away_is_begun_anew() {
        let state = tempfile::tempdir().unwrap();
        let place = state.path().join("leases");
        let leases = Leases::at(state.path());
        drop(leases.write(&resource("one")));
        fs::remove_dir_all(&place).unwrap();
        let again = leases.write(&resource("again"));
        assert!(again.mark().is_some());
        assert_eq!(files(&place), 1);
    }

    /// Not a test of time: prints a figure for people. `cargo test -p wheeltap-platforms cost -- --ignored --nocapture`
    #[test]
    #[ignore = "prints a figure"]
    fn cost() {
        let state = tempfile::tempdir().unwrap();
        let leases = Leases::at(state.path());
        let _first = leases.write(&resource("first"));
        let start = std::time::Instant::now();
        let count = 10_000;
        for _ in 0..count {
            leases.write(&resource("one")).release();
        }
        println!("{:?} for a lease, written and withdrawn", start.elapsed() / count);
    }
}

//! Taking away what killed processes left, and never what a living one uses.
//!
//! A process lives if it holds the lock of its leases, or if there is one with its number and its start time since the same
//! boot of the host. What a lease names and a living process has a lease for, too, stays as well.

use std::{
    collections::HashSet,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde::Serialize;

use super::{
    ledger::mark,
    owner::{Host, PrivateName, Process, alive_by_lock, parse_ledger_name},
    place::state_directory,
    record::{OWNER_FILE, Parsed, Resource, parse_host, parse_resource},
    remove::{self, Act, Proof, Refusal, Tried},
    stray::Stray,
};
use crate::lock_file::LockFile;

/// How long another collector may take. Deleting many GiB takes seconds; ending a process at most ten.
const TURN_LIMIT: Duration = Duration::from_secs(60);

/// What is found without a living owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Left {
    /// A QEMU process.
    Process {
        /// Its number.
        pid: u32,
        /// Its program.
        program: String,
    },
    /// A directory with all it holds: sockets, or a saved state.
    Directory {
        /// Where.
        path: PathBuf,
    },
    /// A disk, firmware variables, or a temporary file.
    File {
        /// Where.
        path: PathBuf,
    },
    /// A lease that can't be followed.
    Lease {
        /// Where.
        path: PathBuf,
    },
}

/// Something that was left, and the process that left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// What.
    #[serde(flatten)]
    pub what: Left,
    /// Number of the process that made it, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
}

/// Something that was left and stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// What.
    #[serde(flatten)]
    pub found: Found,
    /// Why.
    pub why: String,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Collection {
    /// What was removed, or would be.
    pub removed: Vec<Found>,
    /// What should have been.
    pub failed: Vec<Failed>,
    /// Numbers of living processes that hold leases here.
    pub alive: Vec<u32>,
}

impl Collection {
    fn note(&mut self, owner: Process, what: Left, result: Result<(), String>) {
        let found = Found { what, owner: Some(owner.pid) };
        match result {
            Ok(()) => self.removed.push(found),
            Err(why) => self.failed.push(Failed { found, why }),
        }
    }

    /// Whether a directory has been dealt with.
    fn knows(&self, directory: &Path) -> bool {
        let mut all = self.removed.iter().chain(self.failed.iter().map(|failed| &failed.found));
        all.any(|found| matches!(&found.what, Left::Directory { path } if path == directory))
    }
}

/// Looks for what was left, and removes it.
#[derive(Clone, Debug)]
pub struct Collector {
    /// Directory of all processes' leases; `None` if this user has no place for it.
    leases: Option<PathBuf>,
    /// Where private directories are.
    temporary: PathBuf,
}

impl Collector {
    /// For the user's leases, and the private directories in `TMPDIR`.
    #[must_use]
    pub fn of_user() -> Self {
        let state = state_directory().ok().and_then(|state| std::path::absolute(state).ok());
        Self { leases: state.map(|state| state.join("leases")), temporary: std::env::temp_dir() }
    }

    /// For another state directory, and private directories elsewhere.
    #[must_use]
    pub fn at(state: &Path, temporary: &Path) -> Self {
        Self { leases: Some(state.join("leases")), temporary: temporary.to_path_buf() }
    }

    /// Finds out what [`collect`](Self::collect) would remove.
    #[must_use]
    pub fn find(&self) -> Collection {
        self.go(Act::Find, &Stray::all())
    }

    /// Removes what was left: what leases tell of, and without any lease what carries our name in the directory for
    /// temporary files.
    ///
    /// # Errors
    /// If another collector is at work and doesn't end.
    pub fn collect(&self) -> io::Result<Collection> {
        let _turn = self.turn()?;
        Ok(self.go(Act::Remove, &Stray::all()))
    }

    /// The same as [`collect`](Self::collect) as cheaply as possible: where nobody died, that is a look at two directories.
    ///
    /// # Errors
    /// If another collector is at work and doesn't end.
    fn sweep(&self) -> io::Result<Collection> {
        let nobody = self.ledgers().is_empty() && self.private_directories().is_empty();
        if nobody { Ok(Collection::default()) } else { self.collect() }
    }

    fn go(&self, act: Act, strays: &[Stray]) -> Collection {
        let mut collection = Collection::default();
        let (alive, dead): (Vec<_>, Vec<_>) =
            self.ledgers_of_all().into_iter().partition(|ledger| ledger.is_alive);
        let mut ours = Vec::new();
        for ledger in alive {
            collection.alive.push(ledger.owner.pid);
            ours.extend(ledger.leases().into_iter().filter_map(|lease| lease.what.ok()));
        }
        collection.alive.sort_unstable();
        let in_use: HashSet<PathBuf> = ours.iter().flat_map(paths).collect();

        // Processes first: they have the rest open.
        let leased: Vec<_> = dead.iter().map(|ledger| (ledger, ledger.leases())).collect();
        let mut ended: Vec<(Process, &Stray)> = Vec::new();
        for (ledger, leases) in leased.iter().filter(|(ledger, _)| ledger.same_boot) {
            for resource in leases.iter().filter_map(|lease| lease.what.as_ref().ok()) {
                let is_it = |stray: &&Stray| resource.is_about(stray.process, &stray.socket);
                ended.extend(strays.iter().filter(is_it).map(|stray| (ledger.owner, stray)));
            }
        }
        let temporary = self.temporary();
        for stray in strays {
            let directory = stray.socket.parent();
            let known = ended.iter().any(|(_, other)| other.process == stray.process);
            if let Some(owner) = stray.owner()
                && !known
                && directory.and_then(Path::parent) == Some(&temporary)
                && !is_alive(owner, directory)
            {
                ended.push((owner, stray));
            }
        }
        for (owner, stray) in ended {
            let what = Left::Process { pid: stray.process.pid, program: stray.program.clone() };
            let result = match act {
                Act::Find => Ok(()),
                Act::Remove => stray.end().map_err(|error| format!("can't be killed: {error}")),
            };
            collection.note(owner, what, result);
        }

        for (ledger, leases) in leased {
            ledger.take_away(&leases, &in_use, act, &mut collection);
        }
        for (path, owner) in self.private_directories() {
            if collection.knows(&path) {
                continue;
            }
            match remove::directory(&path, Proof::Name, act) {
                // Another user's is theirs to remove.
                Ok(false) | Err(Refusal::NotOurs) => {}
                Ok(true) => collection.note(owner, Left::Directory { path }, Ok(())),
                Err(refusal) => {
                    collection.note(owner, Left::Directory { path }, Err(refusal.to_string()));
                }
            }
        }
        collection
    }

    /// Where private directories are, as their paths are written: without symbolic links.
    fn temporary(&self) -> PathBuf {
        fs::canonicalize(&self.temporary).unwrap_or_default()
    }

    /// Private directories, found by their names, of processes that have ended.
    fn private_directories(&self) -> Vec<(PathBuf, Process)> {
        let entries = fs::read_dir(self.temporary()).into_iter().flatten().flatten();
        let mut found: Vec<_> = entries
            .filter_map(|entry| {
                let owner = PrivateName::parse(entry.file_name().to_str()?)?.owner;
                let path = entry.path();
                (!is_alive(owner, Some(&path))).then_some((path, owner))
            })
            .collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found
    }

    /// Ledgers whose owner has ended.
    fn ledgers(&self) -> Vec<LedgerOf> {
        let mut ledgers = self.ledgers_of_all();
        ledgers.retain(|ledger| !ledger.is_alive);
        ledgers
    }

    fn ledgers_of_all(&self) -> Vec<LedgerOf> {
        let Some(place) = &self.leases else { return Vec::new() };
        // No way that is followed below may lead through a symbolic link; the one to here may.
        let Ok(place) = fs::canonicalize(place) else { return Vec::new() };
        let entries = fs::read_dir(place).into_iter().flatten().flatten();
        let mut ledgers: Vec<_> =
            entries.filter_map(|entry| LedgerOf::read(entry.path())).collect();
        ledgers.sort_by(|one, other| one.directory.cmp(&other.directory));
        ledgers
    }

    /// One collector at a time; and whoever starts a run waits until what the last one left is gone.
    fn turn(&self) -> io::Result<Option<LockFile>> {
        let Some(place) = self.leases.as_ref().filter(|place| place.is_dir()) else {
            return Ok(None);
        };
        let path = place.join("gc.lock");
        // Where nothing can be written, nothing can be removed from there, and locks are for nothing.
        let Ok(file) = File::options().create(true).append(true).open(path).map(LockFile) else {
            return Ok(None);
        };
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(_)) => return Ok(None),
        }
        let (sender, locked) = mpsc::channel();
        // Nobody listens any more once the limit has passed.
        thread::spawn(move || sender.send(file.lock().map(|()| file)));
        match locked.recv_timeout(TURN_LIMIT) {
            Ok(file) => file.map(Some),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("another wheeltap has been cleaning up for {} s", TURN_LIMIT.as_secs()),
            )),
        }
    }
}

/// Removes what killed processes of this user left, before something new is begun. What can't be is said by `wheeltap gc`.
pub(crate) fn sweep() {
    match Collector::of_user().sweep() {
        Ok(Collection { removed, failed, .. }) => {
            for Found { what, .. } in removed {
                tracing::info!("removed what a killed process left: {what:?}");
            }
            for Failed { found: Found { what, .. }, why } in failed {
                tracing::info!("a killed process left {what:?}: {why}");
            }
        }
        Err(error) => tracing::info!("{error}"),
    }
}

/// Whether a process lives that is known by its number and start time, and perhaps by the lock of its directory: in
/// another PID namespace its number says nothing.
fn is_alive(owner: Process, directory: Option<&Path>) -> bool {
    owner.is_alive() || directory.and_then(alive_by_lock) == Some(true)
}

fn paths(resource: &Resource) -> Vec<PathBuf> {
    match resource {
        Resource::Directory { path } => vec![path.clone()],
        Resource::Files { directory, names } => {
            let files = names.iter().map(|name| directory.join(name));
            files.chain([directory.clone()]).collect()
        }
        Resource::Process { .. } => Vec::new(),
    }
}

/// The leases of one process.
struct LedgerOf {
    directory: PathBuf,
    owner: Process,
    is_alive: bool,
    /// Whether process numbers in it mean something.
    same_boot: bool,
}

/// One of them.
struct LeaseOf {
    file: PathBuf,
    number: u64,
    what: Result<Resource, Unreadable>,
}

enum Unreadable {
    /// What it is about was never made.
    Torn,
    /// Why it can't be followed.
    Unknown(String),
}

impl LedgerOf {
    fn read(directory: PathBuf) -> Option<Self> {
        let owner = parse_ledger_name(directory.file_name()?.to_str()?)?;
        let by_lock = alive_by_lock(&directory);
        let here = Host::current();
        let host = match fs::read(directory.join(OWNER_FILE)).as_deref().map(parse_host) {
            Ok(Parsed::Known(host)) => host,
            // Killed before it wrote its first lease; or another version's, which then says so in the leases.
            _ => here.clone(),
        };
        let same_boot = host == *here;
        let is_alive = match by_lock {
            Some(true) => true,
            // Containers are hosts of their own on the same kernel, and it is the kernel that knows of the lock.
            Some(false) if host.boot == here.boot => owner.is_alive(),
            // Of another host's processes nothing is known here, so they are taken for alive.
            _ if host.host != here.host => true,
            _ => same_boot && owner.is_alive(),
        };
        Some(Self { directory, owner, is_alive, same_boot })
    }

    /// All of them, by number.
    fn leases(&self) -> Vec<LeaseOf> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let mut leases: Vec<LeaseOf> = entries
            .filter_map(|entry| {
                let file = entry.path();
                let number = entry.file_name().to_str()?.strip_suffix(".json")?.parse().ok()?;
                let what = match fs::read(&file).as_deref().map(parse_resource) {
                    Ok(Parsed::Known(resource)) => Ok(resource),
                    Ok(Parsed::Torn) => Err(Unreadable::Torn),
                    Ok(Parsed::Unknown) => Err(Unreadable::Unknown(
                        "another version of wheeltap wrote it; run `wheeltap gc` of that version"
                            .to_owned(),
                    )),
                    Err(error) => Err(Unreadable::Unknown(error.to_string())),
                };
                Some(LeaseOf { file, number, what })
            })
            .collect();
        leases.sort_by_key(|lease| lease.number);
        leases
    }

    /// Removes what its leases are about, the last first, and each lease after that.
    fn take_away(
        &self,
        leases: &[LeaseOf],
        in_use: &HashSet<PathBuf>,
        act: Act,
        collection: &mut Collection,
    ) {
        for lease in leases.iter().rev() {
            let settled = self.settle(lease, in_use, act, collection);
            if settled && act == Act::Remove {
                let _ = fs::remove_file(&lease.file);
            }
        }
        if act == Act::Remove {
            let rest = fs::read_dir(&self.directory).into_iter().flatten().flatten();
            // Leases that can't be settled stay, and with them who wrote them.
            let done = rest.into_iter().all(|entry| {
                entry.path().extension().is_none_or(|extension| extension != "json")
                    || entry.file_name() == OWNER_FILE
            });
            if done {
                let _ = fs::remove_file(self.directory.join(OWNER_FILE));
                // Where `owner.json` is the last that goes, a second try finds it all dead again.
                let _ = remove::directory(&self.directory, Proof::Name, Act::Remove);
            }
        }
    }

    /// Whether nothing is left of what a lease is about.
    fn settle(
        &self,
        lease: &LeaseOf,
        in_use: &HashSet<PathBuf>,
        act: Act,
        collection: &mut Collection,
    ) -> bool {
        let mark = mark(self.owner, lease.number);
        match &lease.what {
            Err(Unreadable::Torn) => true,
            Err(Unreadable::Unknown(why)) => {
                let what = Left::Lease { path: lease.file.clone() };
                collection.note(self.owner, what, Err(why.clone()));
                false
            }
            // It was dealt with before all others. What did not end is still there, and so is what it holds.
            Ok(Resource::Process { .. }) => !collection.failed.iter().any(|failed| {
                failed.found.owner == Some(self.owner.pid)
                    && matches!(failed.found.what, Left::Process { .. })
            }),
            Ok(resource) if paths(resource).iter().any(|path| in_use.contains(path)) => false,
            Ok(Resource::Directory { path }) => {
                let what = Left::Directory { path: path.clone() };
                match remove::directory(path, Proof::Mark(&mark), act) {
                    Ok(false) => true,
                    Ok(true) => {
                        collection.note(self.owner, what, Ok(()));
                        true
                    }
                    Err(refusal) => {
                        let why = self.explain(&refusal, lease);
                        collection.note(self.owner, what, Err(why));
                        false
                    }
                }
            }
            Ok(Resource::Files { directory, names }) => {
                match remove::files(directory, names, &mark, act) {
                    Ok(results) => {
                        let mut settled = true;
                        for Tried { path, result } in results {
                            settled &= result.is_ok();
                            let result = result.map_err(|refusal| self.explain(&refusal, lease));
                            collection.note(self.owner, Left::File { path }, result);
                        }
                        settled
                    }
                    Err(refusal) => {
                        let what = Left::Directory { path: directory.clone() };
                        let why = self.explain(&refusal, lease);
                        collection.note(self.owner, what, Err(why));
                        false
                    }
                }
            }
        }
    }

    fn explain(&self, refusal: &Refusal, lease: &LeaseOf) -> String {
        format!("{refusal} (its lease is {})", lease.file.display())
    }
}

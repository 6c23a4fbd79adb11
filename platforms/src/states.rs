//! Saved states that outlive the run which made them, so that the next one doesn't boot at all.
//!
//! ```text
//! STATES/NAME/             renamed here when it is complete; about.json says what it is and lists the rest
//! STATES/NAME.making/      of the process that holds NAME.lock alone
//! STATES/NAME.own-PID/     of one process, which removes it when it ends
//! STATES/NAME.lock         held together by those who start machines from it, alone by who makes or removes it; its time is
//!                          that of the last use
//! ```
//!
//! The kernel frees the locks of a process that ends, however it ends. So what is not locked is not in use, and a directory
//! with a dot in its name that isn't locked was left by a process that was killed.

mod entry;
mod lock;

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use sha2::{Digest as _, Sha256};

pub use self::entry::{Held, Vacant};
use self::lock::{Lock, Mode};
use crate::{
    Hardware, PlatformError,
    lease::{LeasedDirectory, Leases},
    lock_file::LockFile,
};

/// Counts up when states of an earlier wheeltap are of no use to this one.
const FORMAT: u32 = 1;

/// How much the states may take together, unless somebody says otherwise: twenty or more of machines with 1 GiB.
pub const DEFAULT_LIMIT: u64 = 8 << 30;

/// Room that must be left beside a new state: its memory is written by the guest itself, and a disk that is full kills it.
const SPARE: u64 = 1 << 30;

/// How often a lock is tried again that somebody else holds alone.
const POLL: Duration = Duration::from_millis(100);

/// A directory with saved states.
#[derive(Debug)]
pub struct States {
    root: PathBuf,
    limit: u64,
    /// Whether it goes with its last user.
    temporary: bool,
    /// Its lease then, once it is made.
    own: OnceLock<LeasedDirectory>,
}

/// What a state is made of. Where all of it is the same, one does for the other.
#[derive(Clone, Debug)]
pub struct Ingredients<'a> {
    /// Digest of the image.
    pub image: &'a str,
    /// The config, without the key to log in.
    pub config: &'a [u8],
    /// Who logs in.
    pub user: &'a str,
    /// The machine.
    pub hardware: &'a Hardware,
    /// What the platform adds: [`Platform::state_facts`](crate::Platform::state_facts).
    pub facts: &'a [String],
}

impl Ingredients<'_> {
    /// The name of such a state.
    #[must_use]
    pub fn digest(&self) -> String {
        let Self { image, config, user, hardware, facts } = self;
        let config = hex::encode(Sha256::digest(config));
        // As JSON, so that no part runs into the next.
        let all = serde_json::json!([FORMAT, image, config, user, hardware, facts]);
        let mut digest = hex::encode(Sha256::digest(all.to_string()));
        digest.truncate(32);
        digest
    }
}

/// What is found under a name.
#[derive(Debug)]
pub enum Entry {
    /// A state, held so that nobody removes it.
    Ready(Held),
    /// Nothing, and nobody else will make it.
    Vacant(Vacant),
}

/// A state as [`States::list`] shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub directory: PathBuf,
    /// Bytes on the disk.
    pub size: u64,
    /// When a machine was last started from it.
    pub used: SystemTime,
    /// Whether somebody holds it now.
    pub held: bool,
}

impl States {
    /// States in a directory that stays, limited to so many bytes together.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>, limit: u64) -> Self {
        Self { root: root.into(), limit, temporary: false, own: OnceLock::new() }
    }

    /// States in a directory that is removed when this is dropped.
    #[must_use]
    pub fn temporary(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), limit: u64::MAX, temporary: true, own: OnceLock::new() }
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.root
    }

    /// Makes the directory, and finds out whether it can be written. Removes what killed processes have left in it.
    ///
    /// # Errors
    /// If it can't be.
    pub fn prepare(&self) -> Result<(), PlatformError> {
        let unusable = |error: io::Error| {
            PlatformError::infra(format!("{} can't be used: {error}", self.root.display()))
        };
        if self.temporary && !self.root.exists() {
            let made = Leases::of_this_process().directory(&self.root).map_err(unusable)?;
            // Somebody else who was as quick has not made the directory.
            let _ = self.own.set(made);
        }
        // Private: whoever can read the memory of a guest, or the key to it, is its master.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.root).map_err(unusable)?;
        tempfile::tempfile_in(&self.root).map_err(unusable)?;
        self.remove_abandoned().map(drop).map_err(unusable)
    }

    /// The state of that name, if there is one that nobody is just making.
    ///
    /// One that is damaged, or whose image has changed, is removed.
    ///
    /// # Errors
    /// If the directory can't be read or written.
    pub fn find(&self, name: &str) -> Result<Option<Held>, PlatformError> {
        if !self.path(name).exists() {
            return Ok(None);
        }
        match Lock::attempt(&self.lock_file(name), Mode::Together)
            .map_err(|error| self.trouble(name, &error))?
        {
            Some(lock) => self.open(name, lock),
            None => Ok(None),
        }
    }

    /// The state of that name, or the right to make it. Waits while somebody else makes it, which takes a boot; dropping the
    /// future ends that.
    ///
    /// # Errors
    /// If the directory can't be read or written.
    pub async fn acquire(&self, name: &str) -> Result<Entry, PlatformError> {
        let file = self.lock_file(name);
        let trouble = |error: io::Error| self.trouble(name, &error);
        let mut poll = tokio::time::interval(POLL);
        loop {
            poll.tick().await;
            let Some(lock) = Lock::attempt(&file, Mode::Together).map_err(trouble)? else {
                continue;
            };
            if let Some(held) = self.open(name, lock)? {
                return Ok(Entry::Ready(held));
            }
            // Somebody may be quicker, and then there is nothing to make any more.
            if let Some(lock) = Lock::attempt(&file, Mode::Alone).map_err(trouble)?
                && !self.path(name).exists()
            {
                return Vacant::new(&self.root, name, lock).map(Entry::Vacant).map_err(trouble);
            }
        }
    }

    /// Whether there is room for a state of such a machine.
    #[must_use]
    pub fn has_room(&self, hardware: &Hardware) -> bool {
        let needed = (u64::from(hardware.memory_mib) << 20) + SPARE;
        // What can't be found out is no obstacle.
        rustix::fs::statvfs(&self.root)
            .map_or(true, |facts| facts.f_bavail.saturating_mul(facts.f_frsize) >= needed)
    }

    /// Removes a state that is of no use, also if others hold it: machines that run have all its files open, and whoever would
    /// start one more is better off without.
    pub fn spoil(&self, held: &Held) {
        // Nobody makes it anew meanwhile, since it is held.
        let (directory, away) = (&held.state().directory, format!("{}.making", held.name()));
        let away = self.path(&away);
        let removed = match fs::rename(directory, &away) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            renamed => renamed.and_then(|()| remove_directory(&away)),
        };
        if let Err(error) = removed {
            tracing::warn!("the saved state {} can't be removed: {error}", held.name());
        }
    }

    /// All states, the one that was used least recently first.
    ///
    /// # Errors
    /// If the directory is there and can't be read.
    pub fn list(&self) -> io::Result<Vec<Listed>> {
        let mut listed = Vec::new();
        for name in self.names()? {
            if name.contains('.') {
                continue;
            }
            let directory = self.path(&name);
            let Ok(size) = size(&directory) else { continue };
            let file = self.lock_file(&name);
            let used = fs::metadata(&file).and_then(|facts| facts.modified());
            let held = matches!(Lock::attempt(&file, Mode::Alone), Ok(None));
            let used = used.unwrap_or(SystemTime::UNIX_EPOCH);
            listed.push(Listed { name, directory, size, used, held });
        }
        listed.sort_by(|a, b| (a.used, &a.name).cmp(&(b.used, &b.name)));
        Ok(listed)
    }

    /// Removes states, the least recently used first, until the others take no more than `limit` bytes; and what killed
    /// processes have left. What somebody holds stays. Gives what was removed.
    ///
    /// # Errors
    /// If the directory is there and can't be read or written.
    pub fn evict(&self, limit: u64) -> io::Result<Vec<Listed>> {
        self.remove_abandoned()?;
        let listed = self.list()?;
        let mut total: u64 = listed.iter().map(|state| state.size).sum();
        let mut removed = Vec::new();
        for state in listed {
            if total <= limit {
                break;
            }
            if self.remove(&state.name)? {
                total -= state.size;
                removed.push(state);
            }
        }
        Ok(removed)
    }

    /// Keeps to the limit. Not to manage that is no reason to fail.
    pub fn keep_to_limit(&self) {
        match self.evict(self.limit) {
            Ok(removed) if removed.is_empty() => {}
            Ok(removed) => tracing::info!("{} saved states made room", removed.len()),
            Err(error) => tracing::warn!("{}: {error}", self.root.display()),
        }
    }

    /// The state under a lock, if it is there and good.
    fn open(&self, name: &str, lock: Lock) -> Result<Option<Held>, PlatformError> {
        if !self.path(name).exists() {
            return Ok(None);
        }
        match Held::open(&self.root, name, lock) {
            Ok(held) => Ok(Some(held)),
            Err(why) => {
                tracing::warn!("the saved state {name} is of no use any more: {why}");
                self.remove(name).map_err(|error| self.trouble(name, &error))?;
                Ok(None)
            }
        }
    }

    /// Removes an entry that nobody holds, and says whether it did.
    fn remove(&self, name: &str) -> io::Result<bool> {
        let file = self.lock_file(name);
        let Some(lock) = Lock::attempt(&file, Mode::Alone)? else { return Ok(false) };
        let directory = self.path(name);
        if directory.exists() {
            // Renamed first: half of a state must not look like a whole one.
            let away = self.path(&format!("{name}.making"));
            remove_directory(&away)?;
            fs::rename(&directory, &away)?;
            remove_directory(&away)?;
        }
        lock.remove()?;
        Ok(true)
    }

    /// What processes have left that were killed: the directories of states that were never complete, or for one run only.
    ///
    /// # Errors
    /// If the directory is there and can't be read.
    pub fn abandoned(&self) -> io::Result<Vec<PathBuf>> {
        let mut abandoned = Vec::new();
        for name in self.names()? {
            // The lock is only looked at: where there is none, nobody holds it.
            let is_held = |lock: LockFile| matches!(lock.try_lock(), Err(TryLockError::WouldBlock));
            if let Some(locked) = disposable(&name)
                && !File::open(self.lock_file(locked)).map(LockFile).is_ok_and(is_held)
            {
                abandoned.push(self.path(&name));
            }
        }
        Ok(abandoned)
    }

    /// Removes what processes have left that were killed, and says what.
    ///
    /// # Errors
    /// If the directory is there and can't be read or written.
    pub fn remove_abandoned(&self) -> io::Result<Vec<PathBuf>> {
        let mut removed = Vec::new();
        for name in self.names()? {
            let Some(locked) = disposable(&name) else { continue };
            if let Some(lock) = Lock::attempt(&self.lock_file(locked), Mode::Alone)? {
                // Whoever had it may have completed it by now.
                if self.path(&name).exists() {
                    remove_directory(&self.path(&name))?;
                    removed.push(self.path(&name));
                }
                if locked == name || !self.path(locked).exists() {
                    lock.remove()?;
                }
            }
        }
        Ok(removed)
    }

    /// Names of the directories.
    fn names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                names.extend(entry.file_name().into_string());
            }
        }
        Ok(names)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn lock_file(&self, name: &str) -> PathBuf {
        self.root.join(format!("{name}.lock"))
    }

    fn trouble(&self, name: &str, error: &io::Error) -> PlatformError {
        let directory = self.root.display();
        PlatformError::infra(format!(
            "the saved state {name} in {directory} can't be used: {error}"
        ))
    }
}

impl Drop for States {
    fn drop(&mut self) {
        // Under a lease, it goes with the lease.
        if self.temporary
            && self.own.get().is_none()
            && let Err(error) = remove_directory(&self.root)
        {
            tracing::warn!("{} is left behind: {error}", self.root.display());
        }
    }
}

/// Whose lock is held as long as a directory is in use that is no state for others: `NAME.making` is under that of NAME,
/// `NAME.own-PID` under its own.
fn disposable(name: &str) -> Option<&str> {
    name.contains('.').then(|| name.strip_suffix(".making").unwrap_or(name))
}

/// Bytes that the files of a directory take on the disk, holes not counted.
fn size(directory: &Path) -> io::Result<u64> {
    let sizes = fs::read_dir(directory)?
        .map(|entry| entry?.metadata().map(|metadata| metadata.blocks() * 512));
    sizes.sum()
}

fn remove_directory(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests;

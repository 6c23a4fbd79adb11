//! One state: while it is made, and while it is used.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use serde::{Deserialize, Serialize};

use super::{
    FORMAT,
    lock::{Lock, Mode},
    remove_directory,
};
use crate::{
    Hardware, PlatformError,
    qemu::{SavedMemory, SavedState},
};

/// Tells the states apart that this process has for itself.
static OWN: AtomicU32 = AtomicU32::new(0);

/// Written last: without it a directory is no state.
const ABOUT: &str = "about.json";

/// What a state says about itself.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    format: u32,
    wheeltap: String,
    made: jiff::Timestamp,
    hardware: Hardware,
    memory: SavedMemory,
    /// The image that its disk reads from.
    image: Seen,
    /// Every other file of it, by name.
    files: Vec<Seen>,
}

/// A file as it was: whoever writes to it changes its size or its time.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    path: PathBuf,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

impl Seen {
    fn at(directory: &Path, path: &Path) -> io::Result<Self> {
        let facts = fs::metadata(directory.join(path))?;
        let modified = (facts.mtime(), facts.mtime_nsec());
        Ok(Self { path: path.to_owned(), size: facts.len(), modified })
    }

    /// Says what has become of it, if it isn't what it was.
    fn check(&self, directory: &Path) -> Result<(), String> {
        let path = self.path.display();
        let now = Self::at(directory, &self.path).map_err(|error| format!("{path}: {error}"))?;
        if now.size != self.size {
            return Err(format!("{path} had {} bytes and has {}", self.size, now.size));
        }
        if now.modified != self.modified {
            return Err(format!("{path} was written to"));
        }
        Ok(())
    }
}

/// The right to make a state, which nobody else has meanwhile. Dropping it removes what was made so far.
#[derive(Debug)]
pub struct Vacant {
    root: PathBuf,
    name: String,
    making: Disposable,
    /// Taken out when the state is complete.
    lock: Option<Lock>,
}

impl Drop for Vacant {
    fn drop(&mut self) {
        if let Some(lock) = &self.lock {
            // Nothing is left that it could stand for.
            let _ = lock.remove();
        }
    }
}

impl Vacant {
    pub(super) fn new(root: &Path, name: &str, lock: Lock) -> io::Result<Self> {
        let directory = root.join(format!("{name}.making"));
        remove_directory(&directory)?;
        fs::DirBuilder::new().mode(0o700).create(&directory)?;
        let making = Disposable(Some(directory));
        Ok(Self { root: root.to_owned(), name: name.to_owned(), making, lock: Some(lock) })
    }

    /// An empty directory, for the files of the state.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.making.path()
    }

    /// The state is complete, for whoever looks for it.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn publish(self, state: &SavedState, image: &Path) -> Result<Held, PlatformError> {
        let name = self.name.clone();
        self.complete(state, image, &name)
    }

    /// The state is complete, but for nobody else. It is removed when the last of those drops it who hold it.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn keep(mut self, state: &SavedState, image: &Path) -> Result<Held, PlatformError> {
        let number = OWN.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}.own-{}-{number}", self.name, std::process::id());
        let failed = |error: io::Error| trouble(&name, &error);
        let own = Lock::attempt(&self.root.join(format!("{name}.lock")), Mode::Alone);
        let own = own.map_err(failed)?.ok_or_else(|| {
            PlatformError::infra(format!("the saved state {name} is there already"))
        })?;
        let others = self.lock.replace(own);
        let mut held = self.complete(state, image, &name)?;
        held.disposable = Disposable(Some(held.state.directory.clone()));
        if let Some(others) = others {
            others.remove().map_err(failed)?;
        }
        Ok(held)
    }

    fn complete(
        mut self,
        state: &SavedState,
        image: &Path,
        name: &str,
    ) -> Result<Held, PlatformError> {
        let failed = |error: io::Error| trouble(name, &error);
        self.describe(state, image).map_err(failed)?;
        let directory = self.root.join(name);
        fs::rename(self.making.path(), &directory).map_err(failed)?;
        self.making.0 = None;
        let gone = || PlatformError::infra(format!("the saved state {name} was removed at once"));
        let lock = self.lock.take().ok_or_else(gone)?;
        let lock = lock.share().map_err(failed)?.ok_or_else(gone)?;
        Held::open(&self.root, name, lock).map_err(|why| {
            PlatformError::infra(format!("the saved state {name} is damaged: {why}"))
        })
    }

    /// Writes down what the directory holds, and sees to it that a host that crashes leaves no state that only looks
    /// complete.
    fn describe(&self, state: &SavedState, image: &Path) -> io::Result<()> {
        let directory = self.directory();
        let image = Seen::at(directory, &std::path::absolute(image)?)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(directory)? {
            let name = PathBuf::from(entry?.file_name());
            File::open(directory.join(&name))?.sync_data()?;
            files.push(Seen::at(directory, &name)?);
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let about = About {
            format: FORMAT,
            wheeltap: env!("CARGO_PKG_VERSION").to_owned(),
            made: jiff::Timestamp::now(),
            hardware: state.hardware.clone(),
            memory: state.memory,
            image,
            files,
        };
        let file = File::create_new(directory.join(ABOUT))?;
        serde_json::to_writer_pretty(&file, &about)?;
        file.sync_all()
    }
}

/// A state from which machines can start; nobody removes it as long as this is there.
#[derive(Debug)]
pub struct Held {
    name: String,
    state: SavedState,
    /// Removed before the lock is given up.
    disposable: Disposable,
    _lock: Lock,
}

impl Held {
    /// Looks whether all is as it was when the state was made, and notes that it was used.
    pub(super) fn open(root: &Path, name: &str, lock: Lock) -> Result<Self, String> {
        let directory = root.join(name);
        let text = fs::read(directory.join(ABOUT)).map_err(|error| format!("{ABOUT}: {error}"))?;
        let about: About =
            serde_json::from_slice(&text).map_err(|error| format!("{ABOUT}: {error}"))?;
        if about.format != FORMAT {
            return Err(format!("it has format {}, not {FORMAT}", about.format));
        }
        about.image.check(&directory)?;
        about.files.iter().try_for_each(|file| file.check(&directory))?;
        lock.touch().map_err(|error| format!("its lock: {error}"))?;
        let state = SavedState { directory, hardware: about.hardware, memory: about.memory };
        Ok(Self { name: name.to_owned(), state, disposable: Disposable(None), _lock: lock })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What machines start from.
    #[must_use]
    pub fn state(&self) -> &SavedState {
        &self.state
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(directory) = &self.disposable.0 {
            let mut lock = directory.clone().into_os_string();
            lock.push(".lock");
            // Nobody else knows of it.
            let _ = fs::remove_file(lock);
        }
    }
}

/// A directory that goes with its owner.
#[derive(Debug)]
struct Disposable(Option<PathBuf>);

impl Disposable {
    fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }
}

impl Drop for Disposable {
    fn drop(&mut self) {
        if let Some(directory) = &self.0
            && let Err(error) = remove_directory(directory)
        {
            tracing::warn!("{} is left behind: {error}", directory.display());
        }
    }
}

fn trouble(name: &str, error: &io::Error) -> PlatformError {
    PlatformError::infra(format!("the saved state {name} can't be written: {error}"))
}

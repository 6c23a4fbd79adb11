//! The cache: images, unpacked packages, and the rules by which several builds share them.
//!
//! ```text
//! CACHE/images/reference-4000.0.0-0123456789abcdef.img        read-only; the digest is of the recipe
//! CACHE/images/reference-4000.0.0-0123456789abcdef.img.json   written last: without it the image isn't trusted
//! CACHE/payloads/0123456789abcdef.payload                     read-only; the digest is of image, slot and keys
//! CACHE/downloads/0123456789abcdef/NAME                       of the URL; what was checked has NAME.sha256 beside it
//! CACHE/packages/0123456789abcdef/{root,versions}             renamed here when complete
//! CACHE/partial/NAME/                                         of a published image, while it is on its way: see `published`
//! CACHE/states/NAME/                                          machines that were saved, with locks of their own
//! CACHE/locks/NAME                                            held while that entry is made
//! CACHE/work/XXXXXX/                                          of one build; its lock file is held by a living one
//! ```

use std::fs::{self, File, TryLockError};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::{env, io, thread};

use tempfile::TempDir;

use crate::error::{CacheError, LockError};
use crate::process::CANCEL_POLL;
use crate::recipe::Recipe;
use crate::sidecar::CachedImage;

/// A directory with images.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache in a directory, which is made when something is put into it.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The user's: `$WHEELTAP_CACHE`, `$XDG_CACHE_HOME/wheeltap` or `~/.cache/wheeltap`.
    ///
    /// # Errors
    /// If none of the variables is set, nor `HOME`.
    pub fn of_user() -> Result<Self, CacheError> {
        let variable =
            |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        variable("WHEELTAP_CACHE")
            .or_else(|| variable("XDG_CACHE_HOME").map(|base| base.join("wheeltap")))
            .or_else(|| variable("HOME").map(|home| home.join(".cache/wheeltap")))
            .map(Self::at)
            .ok_or(CacheError::NoHome)
    }

    /// Where saved machines are kept.
    #[must_use]
    pub fn states(&self) -> PathBuf {
        self.root.join("states")
    }

    /// The images, by name. A file that no valid sidecar describes is none.
    ///
    /// # Errors
    /// If the directory is there and can't be read.
    pub fn list(&self) -> Result<Vec<CachedImage>, CacheError> {
        let directory = self.root.join("images");
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(CacheError::io("read", &directory))?,
        };
        let mut images = Vec::new();
        for entry in entries {
            let path = entry.map_err(CacheError::io("read", &directory))?.path();
            if path.extension().is_some_and(|extension| extension == "img") {
                images.extend(CachedImage::of(&path));
            }
        }
        images.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
        Ok(images)
    }

    /// Where images are.
    pub(crate) fn images_directory(&self) -> PathBuf {
        self.root.join("images")
    }

    /// Where the reference image of a recipe and version is or will be.
    pub(crate) fn image_path(&self, recipe: &Recipe, version: &str) -> PathBuf {
        let key = &recipe.digest()[..16];
        self.root.join("images").join(format!("reference-{version}-{key}.img"))
    }

    /// Where the unpacked packages of a recipe are or will be.
    pub(crate) fn packages_path(&self, recipe: &Recipe) -> PathBuf {
        self.root.join("packages").join(&recipe.packages_digest()[..16])
    }

    /// A directory of the cache, made if need be.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf, CacheError> {
        let path = self.root.join(name);
        fs::create_dir_all(&path).map_err(CacheError::io("make the directory", &path))?;
        Ok(path)
    }

    /// Takes the lock of an entry, which is free again when it is dropped. `progress` hears of a wait.
    pub(crate) fn lock(
        &self,
        entry: &str,
        cancel: &AtomicBool,
        progress: &mut dyn FnMut(&str),
    ) -> Result<LockFile, LockError> {
        let path = self.directory("locks")?.join(entry);
        let file = open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                progress("waiting for another process that makes the same");
            }
            Err(TryLockError::Error(error)) => {
                return Err(CacheError::io("lock", &path)(error).into());
            }
        }
        // A thread waits for the lock, so that this one can still be cancelled.
        let (sender, locked) = mpsc::channel();
        thread::spawn(move || sender.send(file.lock().map(|()| file)));
        loop {
            match locked.recv_timeout(CANCEL_POLL) {
                Ok(result) => return Ok(result.map_err(CacheError::io("lock", &path))?),
                Err(RecvTimeoutError::Timeout) if !cancel.load(Ordering::Relaxed) => {}
                Err(_) => return Err(LockError::Cancelled),
            }
        }
    }

    /// Where the scratch directories of builds are.
    #[must_use]
    pub fn work_directory(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Scratch directories of builds that were killed.
    ///
    /// # Errors
    /// If the cache is there and can't be read.
    pub fn abandoned(&self) -> Result<Vec<PathBuf>, CacheError> {
        let directory = self.work_directory();
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(CacheError::io("read", &directory))?,
        };
        let mut abandoned = Vec::new();
        for entry in entries {
            let path = entry.map_err(CacheError::io("read", &directory))?.path();
            let lock = File::open(path.join("lock")).map(LockFile);
            let alive = lock.is_ok_and(|file| file.try_lock().is_err());
            if !alive {
                abandoned.push(path);
            }
        }
        Ok(abandoned)
    }

    /// Removes the scratch directories of builds that were killed, and says which.
    ///
    /// # Errors
    /// If the cache is there and can't be read or written.
    pub fn remove_abandoned(&self) -> Result<Vec<PathBuf>, CacheError> {
        if self.abandoned()?.is_empty() {
            return Ok(Vec::new());
        }
        // What is new and not yet locked looks abandoned; nothing new is made while this is held.
        let guard = self.directory("locks")?.join("work");
        let guard_file = open_lock(&guard)?;
        guard_file.lock().map_err(CacheError::io("lock", &guard))?;
        let abandoned = self.abandoned()?;
        for path in &abandoned {
            fs::remove_dir_all(path).map_err(CacheError::io("remove", path))?;
        }
        Ok(abandoned)
    }

    /// A private directory for one build, on the file system of the cache. What builds that were killed left behind
    /// goes first.
    pub(crate) fn work(&self) -> Result<Work, CacheError> {
        let directory = self.directory("work")?;
        // No sweep may see a new directory before its lock is taken.
        let guard = self.directory("locks")?.join("work");
        let guard_file = open_lock(&guard)?;
        guard_file.lock().map_err(CacheError::io("lock", &guard))?;

        for path in self.abandoned()? {
            fs::remove_dir_all(&path).map_err(CacheError::io("remove", &path))?;
        }
        let directory =
            TempDir::new_in(&directory).map_err(CacheError::io("write to", &directory))?;
        let lock = open_lock(&directory.path().join("lock"))?;
        lock.lock().map_err(CacheError::io("lock", directory.path()))?;
        Ok(Work { directory, _lock: lock })
    }
}

/// The scratch directory of a build; removed with all it holds.
#[derive(Debug)]
pub(crate) struct Work {
    directory: TempDir,
    _lock: LockFile,
}

impl Work {
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// A file that may be locked, and is unlocked when this is dropped. To close it would not be enough: a child that another
/// thread is just starting has a copy of its descriptor, and with it the lock, until it calls exec (flock(2)).
#[derive(Debug)]
pub(crate) struct LockFile(File);

impl Deref for LockFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

pub(crate) fn open_lock(path: &Path) -> Result<LockFile, CacheError> {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .map(LockFile)
        .map_err(CacheError::io("open the lock", path))
}

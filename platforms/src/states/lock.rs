//! Locks on files that may be removed by whoever holds them.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::lock_file::LockFile;

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Together with others.
    Together,
    /// By one.
    Alone,
}

/// A lock that is held, until this is dropped or the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: LockFile,
}

impl Lock {
    /// Takes the lock unless somebody has it.
    pub(super) fn attempt(path: &Path, mode: Mode) -> io::Result<Option<Self>> {
        loop {
            let file = LockFile(File::options().create(true).append(true).open(path)?);
            let locked = match mode {
                Mode::Together => file.try_lock_shared(),
                Mode::Alone => file.try_lock(),
            };
            match locked {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Who held it before may have removed the file; then this is a lock on nothing.
            if is_at(&file, path)? {
                return Ok(Some(Self { path: path.to_owned(), file }));
            }
        }
    }

    /// Holds it together with others from now on. In between, it may have been somebody else's.
    pub(super) fn share(self) -> io::Result<Option<Self>> {
        match self.file.try_lock_shared() {
            Ok(()) if is_at(&self.file, &self.path)? => Ok(Some(self)),
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Notes that what it stands for was used just now.
    pub(super) fn touch(&self) -> io::Result<()> {
        self.file.set_modified(SystemTime::now())
    }

    /// Removes the file; whoever waits for the lock waits for another then.
    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Whether the file is the one that has this path.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((open.dev(), open.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

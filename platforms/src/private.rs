//! Private directories that don't outlive the process, or not for long.

use std::{fs::File, io, path::Path};

use crate::{
    PlatformError,
    lease::{LeasedDirectory, Leases, PrivateName},
    lock_file::LockFile,
};

/// A directory that only we can look into, removed when it is dropped; that of a killed process is removed by the next run,
/// or by `wheeltap gc`.
#[derive(Debug)]
pub struct PrivateDirectory {
    directory: LeasedDirectory,
    /// Says that we live to those who know the directory by its name only; `None` where directories have no locks.
    _lock: Option<LockFile>,
}

impl PrivateDirectory {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Removes it.
    ///
    /// # Errors
    /// If something of it can't be removed.
    pub fn close(self) -> io::Result<()> {
        self.directory.close()
    }
}

/// Makes one in the directory for temporary files. Sockets are in such a one and not in the run directory, whose path may be
/// longer than the 108 bytes that a socket's address can hold (unix(7)).
///
/// # Errors
/// If the directory for temporary files can't be written.
pub fn private_directory() -> Result<PrivateDirectory, PlatformError> {
    let parent = std::env::temp_dir();
    private_in(&parent, Leases::of_this_process()).map_err(|error| {
        PlatformError::infra(format!(
            "can't make a directory in {}: {error}; set TMPDIR to a writable directory",
            parent.display()
        ))
    })
}

fn private_in(parent: &Path, leases: &Leases) -> io::Result<PrivateDirectory> {
    // Who names a directory that isn't there has misspelt it; it isn't for us to make.
    let parent = parent.canonicalize()?;
    if !parent.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let directory = loop {
        // Names are random, so that a second try is rare and a third is not needed in a lifetime.
        match leases.directory(&parent.join(PrivateName::new().to_string())) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            directory => break directory?,
        }
    };
    let lock = File::open(directory.path()).map(LockFile).ok().filter(|file| file.lock().is_ok());
    Ok(PrivateDirectory { directory, _lock: lock })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_directory_is_refused() {
        let (state, parent) =
            (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        let leases = Leases::at(state.path());
        let error = private_in(parent.path(), &leases).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn it_is_private_and_goes() {
        use std::os::unix::fs::PermissionsExt as _;
        let (state, parent) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let private = private_in(parent.path(), &Leases::at(state.path())).unwrap();
        let path = private.path().to_path_buf();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(PrivateName::of(&path).is_some(), "{}", path.display());
        std::fs::write(path.join("qmp"), "").unwrap();
        private.close().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn its_place_is_not_made() {
        let (state, parent) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let missing = parent.path().join("missing");
        private_in(&missing, &Leases::at(state.path())).unwrap_err();
        assert!(!missing.exists());
    }
}

//! Private directories that don't outlive the process, or not for long.

use std::{fs::File, io, path::Path};

use crate::{
    PlatformError,
    lease::{LeasedDirectory, Leases, PrivateName},
};

/// A directory that only we can look into, removed when it is dropped; that of a killed process is removed by the next run,
/// or by `wheeltap gc`.
#[derive(Debug)]
pub struct PrivateDirectory {
    directory: LeasedDirectory,
    /// Says that we live to those who know the directory by its name only; `None` where directories have no locks.
    _lock: Option<File>,
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
    let directory = loop {
        match leases.directory(&parent.join(PrivateName::new().to_string())) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            directory => break directory?,
        }
    };
    let lock = File::open(directory.path()).ok().filter(|file| file.lock().is_ok());
    Ok(PrivateDirectory { directory, _lock: lock })
}

//! Directories, files and processes that a lease is held for.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use super::{
    ledger::{Lease, Leases},
    owner::Process,
    record::Resource,
    remove::{self, Act, Proof, Refusal},
};

impl Leases {
    /// Makes a directory that only the user can look into, under a lease; those above it are made, too, and stay.
    ///
    /// # Errors
    /// If it exists, or can't be made.
    pub fn directory(&self, path: &Path) -> io::Result<LeasedDirectory> {
        let path = without_links(path)?;
        let lease = self.write(&Resource::Directory { path: path.clone() });
        let mut directory = LeasedDirectory { path, lease, made: false };
        // A lease without a directory goes when `directory` is dropped.
        DirBuilder::new().mode(0o700).create(&directory.path)?;
        directory.made = true;
        directory.lease.put_mark(&directory.path)?;
        Ok(directory)
    }

    /// Holds a lease for files that will be made in a directory, and for our temporary files there.
    ///
    /// # Errors
    /// If the directory doesn't exist or can't be written.
    pub fn files(&self, directory: &Path, names: &[String]) -> io::Result<LeasedFiles> {
        let directory = fs::canonicalize(directory)?;
        let names = names.to_vec();
        let lease =
            self.write(&Resource::Files { directory: directory.clone(), names: names.clone() });
        let files = LeasedFiles { directory, names, lease };
        files.lease.put_mark(&files.directory)?;
        Ok(files)
    }

    /// Holds a lease for a QEMU process that will be started, with this QMP socket.
    #[must_use]
    pub fn process(&self, socket: &Path) -> LeasedProcess {
        let resource = |process: Option<Process>| Resource::Process {
            socket: socket.to_path_buf(),
            pid: process.map(|process| process.pid),
            start: process.map(|process| process.start),
        };
        let lease = self.write(&resource(None));
        LeasedProcess { socket: socket.to_path_buf(), lease }
    }
}

/// The path of something that needn't exist, in a directory that is made if need be; free of symbolic links.
fn without_links(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    fs::create_dir_all(parent)?;
    Ok(fs::canonicalize(parent)?.join(name))
}

impl Lease {
    fn put_mark(&self, directory: &Path) -> io::Result<()> {
        match self.mark() {
            Some(mark) => File::create_new(directory.join(mark)).map(drop),
            None => Ok(()),
        }
    }

    fn take_mark(&self, directory: &Path) {
        if let Some(mark) = self.mark() {
            // One that stays vouches for a lease that nobody will ever write.
            let _ = fs::remove_file(directory.join(mark));
        }
    }
}

/// A directory that goes, with all it holds, when this is dropped; or, if the process is killed, when somebody collects.
#[derive(Debug)]
pub struct LeasedDirectory {
    path: PathBuf,
    lease: Lease,
    /// Whether it exists and is ours.
    made: bool,
}

impl LeasedDirectory {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it.
    ///
    /// # Errors
    /// If something of it can't be removed. The lease then stays, for a later try.
    pub fn close(mut self) -> io::Result<()> {
        self.remove()
    }

    /// Leaves it where it is: it is complete, and no longer goes with this process.
    pub fn keep(mut self) -> PathBuf {
        self.made = false;
        self.lease.take_mark(&self.path);
        self.lease.release();
        self.path.clone()
    }

    fn remove(&mut self) -> io::Result<()> {
        if self.made {
            let mark = self.lease.mark();
            // Without a lease there is no mark, and we know what we made.
            let proof = mark.as_deref().map_or(Proof::Name, Proof::Mark);
            remove::directory(&self.path, proof, Act::Remove).map_err(|refusal| match refusal {
                Refusal::Os(error) => error,
                refusal => io::Error::other(refusal.to_string()),
            })?;
            self.made = false;
        }
        self.lease.release();
        Ok(())
    }
}

impl Drop for LeasedDirectory {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!(
                "{} is left behind ({error}); `wheeltap gc` removes it",
                self.path.display()
            );
        }
    }
}

/// Files that go when this is dropped; or, if the process is killed, when somebody collects.
#[derive(Debug)]
pub struct LeasedFiles {
    directory: PathBuf,
    names: Vec<String>,
    lease: Lease,
}

impl LeasedFiles {
    /// Leaves them all where they are: they belong to somebody else now.
    pub fn keep(&mut self) {
        self.names.clear();
        self.remove();
    }

    /// Removes them, and says what could not be removed. The lease then stays, for a later try.
    pub fn remove(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        self.names.retain(|name| {
            let file = self.directory.join(name);
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    left.push(format!("{} ({error})", file.display()));
                    true
                }
                _ => false,
            }
        });
        if left.is_empty() {
            self.lease.take_mark(&self.directory);
            self.lease.release();
        }
        left
    }
}

impl Drop for LeasedFiles {
    fn drop(&mut self) {
        // Where QEMU still has them open it is about to die, and unlinking first does no harm.
        self.remove();
    }
}

/// A process that this one ends and waits for; when this is dropped, that has happened or is sure to happen.
#[derive(Debug)]
pub struct LeasedProcess {
    socket: PathBuf,
    lease: Lease,
}

impl LeasedProcess {
    /// It has started, and has this number.
    pub fn started(&self, pid: u32) {
        // One that has ended already needs no number.
        let Some(process) = Process::with_pid(pid) else { return };
        let (pid, start) = (Some(process.pid), Some(process.start));
        self.lease.replace(&Resource::Process { socket: self.socket.clone(), pid, start });
    }
}

impl Drop for LeasedProcess {
    fn drop(&mut self) {
        self.lease.release();
    }
}

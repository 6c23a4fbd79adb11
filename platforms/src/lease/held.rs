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

    /// Moves it, for instance when it is complete; it still goes with this process.
    ///
    /// # Errors
    /// If it can't be moved there.
    pub fn move_to(&mut self, path: &Path) -> io::Result<()> {
        let path = without_links(path)?;
        let leases = self.lease.leases();
        // Both leases hold while it is at either place.
        let mut lease = leases.write(&Resource::Directory { path: path.clone() });
        let moved = lease.put_mark(&self.path).and_then(|()| fs::rename(&self.path, &path));
        if let Err(error) = moved {
            lease.take_mark(&self.path);
            lease.release();
            return Err(error);
        }
        self.path = path;
        self.lease.take_mark(&self.path);
        self.lease.release();
        self.lease = lease;
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A place for leases and one for what they are about.
    struct Place {
        state: tempfile::TempDir,
        work: tempfile::TempDir,
        leases: Leases,
    }

    impl Place {
        fn new() -> Self {
            let (state, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let leases = Leases::at(state.path());
            Self { state, work, leases }
        }

        /// How many leases there are, and the names in a directory, marks included.
        fn seen(&self, directory: &Path) -> (usize, usize) {
            let count = |path: &Path| fs::read_dir(path).map_or(0, Iterator::count);
            let ledgers = fs::read_dir(self.state.path().join("leases")).into_iter().flatten();
            // Each ledger has an `owner.json`, too.
            let leases = ledgers.map(|ledger| count(&ledger.unwrap().path()) - 1).sum();
            (leases, count(directory))
        }
    }

    #[test]
    fn a_directory_and_its_lease_go_together() {
        let place = Place::new();
        let path = place.work.path().join("new/state");
        let directory = place.leases.directory(&path).unwrap();
        assert_eq!(directory.path(), fs::canonicalize(&path).unwrap());
        fs::create_dir(path.join("inner")).unwrap();
        fs::write(path.join("inner/file"), "").unwrap();
        assert_eq!(place.seen(&path), (1, 2));
        let error = place.leases.directory(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(place.seen(&path), (1, 2), "what was there before stays");
        directory.close().unwrap();
        assert!(!path.exists());
        assert_eq!(place.seen(place.work.path()), (0, 1));
    }

    #[test]
    fn a_directory_can_be_kept() {
        let place = Place::new();
        let directory = place.leases.directory(&place.work.path().join("state")).unwrap();
        fs::write(directory.path().join("file"), "").unwrap();
        let path = directory.keep();
        assert_eq!(place.seen(&path), (0, 1));
    }

    #[test]
    fn a_directory_can_be_moved() {
        let place = Place::new();
        let (old, new) = (place.work.path().join("making"), place.work.path().join("made"));
        let mut directory = place.leases.directory(&old).unwrap();
        fs::write(old.join("file"), "").unwrap();
        directory.move_to(&new).unwrap();
        assert!(!old.exists());
        assert_eq!(place.seen(&new), (1, 2));
        // Onto something that is in the way.
        fs::create_dir_all(old.join("inner")).unwrap();
        directory.move_to(&old).unwrap_err();
        assert_eq!(place.seen(&new), (1, 2));
        drop(directory);
        assert!(!new.exists() && old.exists());
    }

    #[test]
    fn files_go_and_their_directory_stays() {
        let place = Place::new();
        let path = place.work.path();
        let mut files = place.leases.files(path, &["a".into(), "b".into()]).unwrap();
        fs::write(path.join("a"), "").unwrap();
        fs::write(path.join("evidence"), "").unwrap();
        assert_eq!(place.seen(path), (1, 3));
        assert_eq!(files.remove(), [""; 0]);
        assert_eq!(place.seen(path), (0, 1));
    }

    #[test]
    fn files_can_be_kept() {
        let place = Place::new();
        let path = place.work.path();
        let mut files = place.leases.files(path, &["a".into()]).unwrap();
        fs::write(path.join("a"), "").unwrap();
        files.keep();
        assert_eq!(place.seen(path), (0, 1));
    }

    #[test]
    fn the_lease_of_what_cannot_be_removed_stays() {
        let place = Place::new();
        let path = place.work.path();
        let mut files = place.leases.files(path, &["a".into()]).unwrap();
        fs::create_dir(path.join("a")).unwrap();
        assert_eq!(files.remove().len(), 1);
        drop(files);
        assert_eq!(place.seen(path), (1, 2));
    }
}

//! Files whose lock is free the moment they are dropped.

use std::{fs::File, ops::Deref};

/// A file that may be locked, and is unlocked when this is dropped.
///
/// To close it would not be enough: a child that another thread is just starting has a copy of every descriptor until it
/// calls exec, and a lock stays as long as there are copies, unless it is given up in so many words (flock(2)).
#[derive(Debug)]
pub(crate) struct LockFile(pub(crate) File);

impl Deref for LockFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Where there are no locks there is nothing to give up.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_unlocked_even_where_somebody_has_a_copy_of_the_descriptor() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lock = LockFile(file.reopen().unwrap());
        lock.lock().unwrap();
        let _copy = lock.try_clone().unwrap();
        let other = file.reopen().unwrap();
        other.try_lock().unwrap_err();
        drop(lock);
        other.try_lock().unwrap();
    }
}

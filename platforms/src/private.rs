//! Private directories that don't outlive the process, or not for long.

use std::{fs, path::Path};

use crate::PlatformError;

/// How the names of private directories begin; the process that made them follows.
const RUNTIME_PREFIX: &str = "wheeltap-";

/// A directory that only we can look into, removed when it is dropped; that of a killed process is removed by the next
/// run. Sockets are in such a one and not in the run directory, whose path may be longer than the 108 bytes that a
/// socket's address can hold (unix(7)).
///
/// # Errors
/// If the directory for temporary files can't be written.
pub fn private_directory() -> Result<tempfile::TempDir, PlatformError> {
    let parent = std::env::temp_dir();
    let prefix = format!("{RUNTIME_PREFIX}{}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir_in(&parent).map_err(|error| {
        PlatformError::infra(format!(
            "can't make a directory in {}: {error}; set TMPDIR to a writable directory",
            parent.display()
        ))
    })
}

/// Removes the private directories of processes that were killed and could not do so themselves.
pub(crate) fn sweep_private_directories() {
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let owner =
            name.to_str().and_then(|name| name.strip_prefix(RUNTIME_PREFIX)?.split('-').next());
        let is_dead = owner
            .filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()))
            .is_some_and(|pid| !Path::new("/proc").join(pid).exists());
        if is_dead {
            // Somebody else's can't be removed, and is theirs to remove.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

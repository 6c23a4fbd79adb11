//! Writing a decision: all of it, or nothing.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::{Files, Place};

/// The decision.
pub const GATE_FILE: &str = "gate.json";
pub(crate) const MARKDOWN_FILE: &str = "gate.md";
pub(crate) const HTML_FILE: &str = "gate.html";
pub(crate) const ATTESTATION_FILE: &str = "gate.intoto.jsonl";
pub(crate) const SUMS_FILE: &str = "SHA256SUMS";

/// All that a directory of a decision may hold.
const ALL: [&str; 5] = [GATE_FILE, MARKDOWN_FILE, HTML_FILE, ATTESTATION_FILE, SUMS_FILE];

/// What begins the name of a file that isn't whole yet.
const TEMPORARY: &str = ".wheeltap-";

/// Why a decision can't be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There is something else in the directory.
    #[error("{} is in the way: a decision has a directory of its own; choose another one with --out", path.display())]
    Foreign {
        /// What is in the way.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("{} can't be written: {source}", path.display())]
    Io {
        /// The file, or the directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes a decision into its directory, which is made if need be. An earlier decision in it is replaced.
///
/// Everything is on the disk before anything is replaced. The sums come last, so that a decision that was cut off by a crash
/// doesn't agree with them.
///
/// # Errors
/// [`WriteError`]; then the directory is as it was.
pub fn write(files: &Files, place: &Place) -> Result<(), WriteError> {
    let dir = place.dir();
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| WriteError::Io { path, source }
    };
    let is_new = !dir.exists();
    if !is_new {
        for entry in fs::read_dir(dir).map_err(io(dir))? {
            let entry = entry.map_err(io(dir))?;
            let name = entry.file_name();
            let is_ours = ALL.iter().any(|ours| name == **ours)
                || name.to_string_lossy().starts_with(TEMPORARY);
            let is_file = entry.file_type().map_err(io(dir))?.is_file();
            if !is_ours || !is_file {
                return Err(WriteError::Foreign { path: entry.path() });
            }
        }
    }
    fs::create_dir_all(dir).map_err(io(dir))?;
    let staged = stage(files, dir);
    if staged.is_err() && is_new {
        // Nothing is in it.
        let _ = fs::remove_dir(dir);
    }
    let staged = staged?;
    // Of an earlier decision nothing may stay that this one hasn't, nor sums that would vouch for a mixture.
    for name in ALL.iter().filter(|name| ![GATE_FILE, MARKDOWN_FILE, HTML_FILE].contains(name)) {
        match fs::remove_file(dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io(&dir.join(name))(error));
            }
            _ => {}
        }
    }
    for (file, path) in staged {
        file.persist(&path).map_err(|error| io(&path)(error.error))?;
    }
    Ok(())
}

fn stage(files: &Files, dir: &Path) -> Result<Vec<(tempfile::NamedTempFile, PathBuf)>, WriteError> {
    let stage = |name: &str, bytes: &[u8]| {
        let mut file = tempfile::Builder::new()
            .prefix(TEMPORARY)
            // The umask applies, so the file is as readable as any other; the default is 0600.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        Ok((file, dir.join(name)))
    };
    files
        .0
        .iter()
        .map(|(name, bytes)| {
            stage(name, bytes).map_err(|source| WriteError::Io { path: dir.join(name), source })
        })
        .collect()
}

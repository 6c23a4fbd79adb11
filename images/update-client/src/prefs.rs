//! What is remembered across reboots: one small file for each thing, as update_engine keeps them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::journal;

const DIRECTORY: &str = "/var/lib/update_engine/prefs";

/// The version that an update was installed from, until that has been reported; then the file is empty.
const PREVIOUS_VERSION: &str = "previous-version";
const ALEPH_VERSION: &str = "aleph-version";

/// The version that an update was installed from. `None` if there never was one, or a report of there being none;
/// empty if it has been reported.
pub(crate) fn previous_version() -> Option<String> {
    read(PREVIOUS_VERSION)
}

/// Notes the version from which an update is installed now; empty to forget it.
///
/// # Errors
/// It can't be kept; the error names the file.
pub(crate) fn set_previous_version(version: &str) -> Result<(), String> {
    write(PREVIOUS_VERSION, version)
        .map_err(|error| format!("cannot write {DIRECTORY}/{PREVIOUS_VERSION}: {error}"))
}

/// The version that was installed first; this one, if nothing is noted yet.
pub(crate) fn aleph_version(running: &str) -> String {
    read(ALEPH_VERSION).unwrap_or_else(|| {
        if let Err(error) = write(ALEPH_VERSION, running) {
            journal::warning(format!("Cannot write {DIRECTORY}/{ALEPH_VERSION}: {error}."));
        }
        running.to_owned()
    })
}

fn read(name: &str) -> Option<String> {
    fs::read_to_string(Path::new(DIRECTORY).join(name)).ok()
}

/// Replaces a file, so that after a power loss it holds the old value or the new one.
fn write(name: &str, value: &str) -> io::Result<()> {
    let directory = Path::new(DIRECTORY);
    fs::create_dir_all(directory)?;
    let new = directory.join(format!("{name}.new"));
    let replace = || {
        let mut file = File::create(&new)?;
        file.write_all(value.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, directory.join(name))?;
        File::open(directory)?.sync_all()
    };
    replace().inspect_err(|_| {
        // There is nothing to remove if it could not even be created.
        let _ = fs::remove_file(&new);
    })
}

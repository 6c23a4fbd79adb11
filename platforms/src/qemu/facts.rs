//! What a saved state depends on besides the guest: another QEMU or another host can't go on with it.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{Accelerator, PlatformError};

/// What all machines of one QEMU on this host have in common.
pub(super) async fn common(
    program: &Path,
    accelerator: Accelerator,
) -> Result<Vec<String>, PlatformError> {
    let unknown = |error: io::Error| {
        PlatformError::infra(format!("{} can't be started: {error}", program.display()))
    };
    let mut command = tokio::process::Command::new(program);
    let output = command.arg("--version").kill_on_drop(true).output().await.map_err(unknown)?;
    let version = String::from_utf8_lossy(&output.stdout);
    let version = version.lines().next().unwrap_or_default().to_owned();
    let mut facts = vec![version, identity(&find(program)), format!("accelerator {accelerator}")];
    if accelerator == Accelerator::Kvm {
        // The guest has the host's own CPU, and its state is the kernel's.
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        facts.extend(cpu(&cpuinfo));
        facts.push(rustix::system::uname().release().to_string_lossy().into_owned());
    }
    Ok(facts)
}

/// A file by its content.
pub(super) fn of_file(file: &Path) -> Result<String, PlatformError> {
    let content = fs::read(file).map_err(|error| {
        PlatformError::infra(format!("{} can't be read: {error}", file.display()))
    })?;
    Ok(format!("{} {}", file.display(), hex::encode(Sha256::digest(content))))
}

/// The program as the shell would find it.
fn find(program: &Path) -> PathBuf {
    if program.components().count() > 1 {
        return program.to_owned();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = std::env::split_paths(&path).map(|directory| directory.join(program));
    candidates.find(|candidate| candidate.is_file()).unwrap_or_else(|| program.to_owned())
}

/// A program by what changes when a package replaces it. Its content has tens of megabytes.
fn identity(program: &Path) -> String {
    let facts = fs::metadata(program).map(|facts| {
        format!("{} bytes, changed {}.{:09}", facts.len(), facts.mtime(), facts.mtime_nsec())
    });
    format!("{}: {}", program.display(), facts.unwrap_or_else(|error| error.to_string()))
}

/// Model and abilities of the first CPU.
fn cpu(cpuinfo: &str) -> Vec<String> {
    let first = cpuinfo.lines().take_while(|line| !line.is_empty());
    let fields = first.filter(|line| {
        ["model name", "microcode", "flags"].iter().any(|field| line.starts_with(field))
    });
    fields.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_is_its_model_and_what_it_can() {
        let one = "processor\t: 0\nmodel name\t: Xeon  9\ncpu MHz\t\t: 2800\nflags\t\t: fpu vmx\n";
        let facts = cpu(&format!("{one}\n{one}"));
        assert_eq!(facts, ["model name : Xeon 9", "flags : fpu vmx"]);
        assert_eq!(cpu(&one.replace("2800", "1200")), facts, "its clock changes all the time");
    }

    #[test]
    fn a_program_that_was_replaced_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("qemu");
        fs::write(&program, "1").unwrap();
        let before = identity(&find(&program));
        fs::write(&program, "22").unwrap();
        assert_ne!(identity(&find(&program)), before);
        assert!(find(Path::new("sh")).is_absolute());
    }
}

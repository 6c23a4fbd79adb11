//! Where the host keeps OVMF.

use std::path::{Path, PathBuf};

use crate::PlatformError;

/// Code and variable store, as distributions name them. Debian and Ubuntu: package ovmf; Fedora: edk2-ovmf;
/// Arch: edk2-ovmf.
const CANDIDATES: [(&str, &str); 5] = [
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("/usr/share/qemu/edk2-x86_64-code.fd", "/usr/share/qemu/edk2-i386-vars.fd"),
];

/// The firmware's code, and the template of its variable store.
///
/// # Errors
/// Names the package where no firmware is found.
pub fn find_ovmf() -> Result<(PathBuf, PathBuf), PlatformError> {
    CANDIDATES
        .iter()
        .map(|(code, variables)| (Path::new(code), Path::new(variables)))
        .find(|(code, variables)| code.exists() && variables.exists())
        .map(|(code, variables)| (code.to_path_buf(), variables.to_path_buf()))
        .ok_or_else(|| PlatformError::infra("no UEFI firmware (OVMF) found: apt-get install ovmf"))
}

//! What the recipe needs of the host.

use std::env;
use std::path::{Path, PathBuf};

/// A program (or, with a slash, a file) of the host and the Debian package that brings it.
const TOOLS: &[(&str, &str)] = &[
    ("awk", "mawk"),
    ("bash", "bash"),
    ("cgpt", "cgpt"),
    ("cpio", "cpio"),
    ("depmod", "kmod"),
    ("grub-mkimage", "grub-common"),
    ("lz4", "lz4"),
    ("mcopy", "mtools"),
    ("mkfs.erofs", "erofs-utils"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.vfat", "dosfstools"),
    ("mmdebstrap", "mmdebstrap"),
    ("sgdisk", "gdisk"),
    ("strip", "binutils"),
    ("veritysetup", "cryptsetup-bin"),
    ("/usr/lib/grub/i386-pc/boot.img", "grub-pc-bin"),
    ("/usr/lib/grub/x86_64-efi/moddep.lst", "grub-efi-amd64-bin"),
    ("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring"),
];

/// The Debian packages to install before the reference image can be built here; empty if it can.
#[must_use]
pub fn missing_packages() -> Vec<&'static str> {
    missing_in(&search_path())
}

/// `PATH` with the directories that Debian leaves out of it for ordinary users.
pub(crate) fn search_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).collect()
}

fn missing_in(directories: &[PathBuf]) -> Vec<&'static str> {
    TOOLS
        .iter()
        .filter(|(tool, _)| {
            if tool.contains('/') {
                !Path::new(tool).exists()
            } else {
                !directories.iter().any(|directory| directory.join(tool).is_file())
            }
        })
        .map(|(_, package)| *package)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_missing_packages_are_named_at_once() {
        let missing = missing_in(&[]);
        for package in ["mmdebstrap", "erofs-utils", "mtools"] {
            assert!(missing.contains(&package), "{missing:?}");
        }
    }
}

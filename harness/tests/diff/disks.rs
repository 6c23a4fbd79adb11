//! Disks with one ext4 file system, made as the command will find them.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Where the partition begins, in bytes.
const START: u64 = 1 << 20;

/// Bytes of the disk.
const SIZE: u64 = 32 << 20;

/// A tree of a small system, for a test to change before it is put on a disk.
pub(crate) struct Tree(PathBuf);

impl Tree {
    pub(crate) fn new(root: PathBuf) -> Self {
        let tree = Self(root);
        tree.file("usr/lib/os-release", "ID=small\nVERSION_ID=1\n");
        tree.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
        tree.file("var/lib/dpkg/status", &dpkg("2.0"));
        tree.file("usr/bin/tool", "tool");
        tree.file("usr/lib/systemd/system/tap.service", "[Service]\nExecStart=/usr/bin/tool\n");
        tree
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    pub(crate) fn file(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Everything that the built-in limits can find in a file system.
    pub(crate) fn spoil(&self) {
        self.file("var/lib/dpkg/status", &dpkg("1.9"));
        fs::set_permissions(self.path("usr/bin/tool"), fs::Permissions::from_mode(0o4755)).unwrap();
        fs::remove_file(self.path("usr/lib/systemd/system/tap.service")).unwrap();
        self.file("usr/lib/systemd/system/open.socket", "[Socket]\nListenStream=23\n");
        let wants = self.path("usr/lib/systemd/system/sockets.target.wants");
        fs::create_dir_all(&wants).unwrap();
        symlink("../open.socket", wants.join("open.socket")).unwrap();
    }

    /// Puts it on a disk; `None`, with the reason printed, where the tools for that are missing.
    pub(crate) fn disk(&self, disk: &Path) -> Option<()> {
        fs::File::create(disk).unwrap().set_len(SIZE).unwrap();
        let name = disk.to_str().unwrap();
        let offset = format!("offset={START}");
        let blocks = (SIZE - 2 * START) / 4096;
        run("sgdisk", &["--new=1:2048:+30M", "--change-name=1:ROOT", name])?;
        let tree = self.0.to_str().unwrap();
        let blocks = blocks.to_string();
        run("mkfs.ext4", &["-q", "-F", "-b", "4096", "-E", &offset, "-d", tree, name, &blocks])
    }
}

fn dpkg(version: &str) -> String {
    format!(
        "Package: tool\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n"
    )
}

fn run(program: &str, args: &[&str]) -> Option<()> {
    let mut command = Command::new(program);
    // Where users don't look for programs.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    match command.args(args).env("PATH", path).stdout(Stdio::null()).status() {
        Ok(status) => assert!(status.success(), "{program} {args:?}: {status}"),
        Err(error) => {
            eprintln!("skipped: {program} can't be run: {error} (see ci/packages)");
            return None;
        }
    }
    Some(())
}

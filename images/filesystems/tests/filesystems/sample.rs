//! A directory with everything that a file system can get wrong, and what is in it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use wheeltap_filesystems::{FileSystem, NodeKind, capabilities};

/// What is said of a file: enough to find any mistake, and still readable when two are compared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    kind: NodeKind,
    mode: u16,
    owner: (u32, u32),
    size: u64,
    links: u32,
    target: Option<Vec<u8>>,
    sum: u64,
    capabilities: Option<String>,
}

/// What a file is not asked for, since the file system or its tool can't do it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lacks {
    /// Modes, owners, links of any kind and attributes.
    pub(crate) unix: bool,
    /// Names that share a file.
    pub(crate) hard_links: bool,
    /// Files with holes: mke2fs cuts them short where it may put small ones into inodes.
    pub(crate) holes: bool,
}

pub(crate) type Facts = BTreeMap<String, Fact>;

/// A sum that differs when a byte or the order does (FNV-1a).
fn sum(mut from: impl std::io::Read) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = from.read(&mut buffer).unwrap();
        if count == 0 {
            return sum;
        }
        for byte in &buffer[..count] {
            sum = (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

/// Bytes that compress about as well as programs do.
fn mixed(count: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = Vec::with_capacity(count + 64);
    while bytes.len() < count {
        match random.u8(..4) {
            0 => bytes.extend((0..random.usize(1..64)).map(|_| random.u8(..))),
            1 => bytes.extend(std::iter::repeat_n(random.u8(..), random.usize(1..500))),
            _ if bytes.len() > 100 => {
                let start = random.usize(..bytes.len() - 64);
                bytes.extend_from_within(start..start + random.usize(4..64));
            }
            _ => bytes.extend_from_slice(b"the quick brown fox "),
        }
    }
    bytes.truncate(count);
    bytes
}

/// Fills a directory. `plain` leaves out what only Unix knows; `small` keeps it under a megabyte.
pub(crate) fn fill(root: &Path, plain: bool, small: bool) {
    let write = |name: &str, bytes: &[u8]| fs::write(root.join(name), bytes).unwrap();
    fs::create_dir_all(root.join("usr/lib/deep")).unwrap();
    write("empty", b"");
    write("one", b"1");
    write("usr/lib/os-release", b"NAME=Sample\nVERSION=1\n");
    // Around the borders of blocks, where ends of files are kept apart.
    for size in [59, 60, 61, 4000, 4095, 4096, 4097, 8192, 12_289] {
        write(&format!("size-{size}"), &mixed(size, size as u64));
    }
    let size = if small { 90_000 } else { 1_400_000 };
    write("usr/lib/mixed", &mixed(size, 1));
    let mut random = fastrand::Rng::with_seed(2);
    let noise: Vec<u8> = (0..size / 2).map(|_| random.u8(..)).collect();
    write("usr/lib/noise", &noise);
    write("usr/lib/zeros", &vec![0; size]);
    // The longest that mtools and mkfs.erofs take; the others take 255 bytes.
    write(&"n".repeat(if plain { 100 } else { 200 }), b"a long name");
    write("größe ✓", b"a name in UTF-8");
    let mut deep = root.join("usr/lib/deep");
    for level in 0..if small { 5 } else { 60 } {
        deep = deep.join(format!("level-{level}"));
    }
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("bottom"), b"deep").unwrap();
    fs::create_dir(root.join("many")).unwrap();
    // mtools takes minutes for thousands.
    for number in 0..if small || plain { 40 } else { 3000 } {
        write(&format!("many/a-file-with-number-{number:05}"), format!("{number}").as_bytes());
    }
    if plain {
        return;
    }
    let mode = |name: &str, mode| {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    for (name, bits) in [("su", 0o4755), ("wall", 0o2755), ("secret", 0o600), ("both", 0o6711)] {
        write(&format!("usr/{name}"), name.as_bytes());
        mode(&format!("usr/{name}"), bits);
    }
    fs::create_dir(root.join("tmp")).unwrap();
    mode("tmp", 0o1777);
    symlink("usr/lib", root.join("lib")).unwrap();
    symlink("../".repeat(100), root.join("usr/far")).unwrap();
    symlink("t".repeat(59), root.join("usr/link-59")).unwrap();
    symlink("t".repeat(60), root.join("usr/link-60")).unwrap();
    fs::hard_link(root.join("usr/lib/mixed"), root.join("usr/same")).unwrap();
    fs::hard_link(root.join("usr/lib/mixed"), root.join("many/same")).unwrap();
    let mut sparse = File::create(root.join("usr/sparse")).unwrap();
    sparse.write_all(b"begin").unwrap();
    sparse.seek(SeekFrom::Start(if small { 150_000 } else { 3_000_000 })).unwrap();
    sparse.write_all(&mixed(9000, 3)).unwrap();
    sparse.set_len(if small { 200_000 } else { 5_000_000 }).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(root.join("usr/secret"), Some(500), Some(70_000)).unwrap();
        // Some file systems of the host don't take attributes; then there are none to be read.
        let raw = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        write("usr/ping", b"ping");
        mode("usr/ping", 0o755);
        let flags = rustix::fs::XattrFlags::empty();
        if let Err(error) =
            rustix::fs::setxattr(root.join("usr/ping"), "security.capability", raw, flags)
        {
            println!("no capabilities are tested: {error}");
        }
        let long = vec![b'v'; 300];
        let _ = rustix::fs::setxattr(root.join("usr/ping"), "user.long", &long, flags);
    }
}

/// What a directory of the host holds.
pub(crate) fn of_host(root: &Path, lacks: Lacks) -> Facts {
    let mut facts = Facts::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let of = metadata.file_type();
        let kind = match () {
            () if of.is_dir() => NodeKind::Directory,
            () if of.is_symlink() => NodeKind::Symlink,
            () if of.is_fifo() => NodeKind::Fifo,
            () => NodeKind::File,
        };
        if kind == NodeKind::Directory {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let target = of
            .is_symlink()
            .then(|| fs::read_link(&path).unwrap().as_os_str().as_bytes().to_owned());
        let mut value = [0; 64];
        let value = rustix::fs::lgetxattr(&path, "security.capability", &mut value[..])
            .ok()
            .and_then(|count| capabilities(&value[..count]));
        let mut fact = Fact {
            kind,
            mode: (metadata.mode() & 0o7777) as u16,
            owner: (metadata.uid(), metadata.gid()),
            size: if of.is_file() { metadata.size() } else { 0 },
            links: if of.is_dir() { 0 } else { metadata.nlink() as u32 },
            target,
            sum: if of.is_file() { sum(File::open(&path).unwrap()) } else { 0 },
            capabilities: value,
        };
        fact.forget(lacks);
        let path = path.strip_prefix(root).unwrap();
        facts.insert(format!("/{}", path.display()), fact);
    }
    facts
}

/// What a file system holds.
pub(crate) fn of_image(filesystem: &FileSystem, lacks: Lacks) -> Facts {
    let mut facts = Facts::new();
    for node in filesystem.walk() {
        let node = node.unwrap();
        let path = String::from_utf8(node.path).unwrap();
        if path.starts_with("/lost+found") {
            continue;
        }
        let inode = &node.inode;
        let file = inode.kind == NodeKind::File;
        let xattrs = filesystem.xattrs(inode).unwrap();
        if path == "/usr/ping" && xattrs.iter().any(|(name, _)| name == b"user.long") {
            assert!(xattrs.contains(&(b"user.long".to_vec(), vec![b'v'; 300])));
        }
        let value = xattrs.iter().find(|(name, _)| name == b"security.capability");
        let mut fact = Fact {
            kind: inode.kind,
            mode: inode.mode,
            owner: (inode.uid, inode.gid),
            size: if file { inode.size } else { 0 },
            links: if inode.kind == NodeKind::Directory { 0 } else { inode.links },
            target: (inode.kind == NodeKind::Symlink).then(|| filesystem.target(inode).unwrap()),
            sum: if file { sum(filesystem.contents(inode).unwrap()) } else { 0 },
            capabilities: value.and_then(|(_, value)| capabilities(value)),
        };
        fact.forget(lacks);
        facts.insert(path, fact);
    }
    facts
}

impl Fact {
    fn forget(&mut self, lacks: Lacks) {
        if lacks.unix {
            (self.mode, self.owner) = (0, (0, 0));
        }
        if lacks.unix || lacks.hard_links {
            self.links = 0;
        }
    }
}

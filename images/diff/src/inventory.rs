//! What an image holds, as far as it is known.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What an image holds. `None` means that it is not known, which is never the same as empty: what is unknown on one side
/// can't be compared, and that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// What the user called the image.
    pub name: String,
    /// Where this was learned.
    pub origin: Origin,
    /// Such as `amd64-usr`; images of two boards aren't compared.
    pub board: Option<String>,
    /// The version that the OS says it has.
    pub version: Option<String>,
    /// Bytes of the disk, with the holes.
    pub size: Option<u64>,
    /// Versions by component and package. A package that is there in several versions has several.
    pub packages: Option<BTreeMap<(Component, String), BTreeSet<String>>>,
    /// Everything in the file systems.
    pub files: Option<BTreeMap<FileKey, Entry>>,
    /// Values by option, as `CONFIG_EXT4_FS` → `y`; an option that is not set isn't there.
    pub kernel_config: Option<BTreeMap<String, String>>,
    /// Partitions by GPT label.
    pub partitions: Option<BTreeMap<String, Partition>>,
    /// What listens without anybody's doing: enabled socket units.
    pub listeners: Option<BTreeSet<Listener>>,
    /// Users by name.
    pub users: Option<BTreeMap<String, User>>,
    /// What there is and could not be read, with the reason.
    pub unread: Vec<Unread>,
}

/// Where an inventory was learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// From the image itself.
    #[default]
    Image,
    /// From the listings that its release published.
    Listings,
}

/// What an image is made of: the base, its initrd, and extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// The image itself.
    #[default]
    Base,
    /// The initrd that the kernel is given: a small one, on Flatcar.
    Initrd,
    /// The whole initrd that the small one mounts.
    FullInitrd,
    /// A system extension, by its name, such as `docker-flatcar` or `oem-azure`.
    Sysext(String),
}

/// A file of a component, by its path from the root, such as `/usr/bin/su`. Bytes that are no UTF-8 are escaped as `\xNN`,
/// a backslash as `\\`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileKey {
    /// Of what.
    pub component: Component,
    /// Where.
    pub path: String,
}

/// A file, directory or other node. What is `None` is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits with setuid, setgid and sticky: `0o4755`.
    pub mode: u16,
    /// Number or name of the owner, as the source has it.
    pub owner: Option<String>,
    /// Number or name of the group, as the source has it.
    pub group: Option<String>,
    /// Bytes; none for what is no file.
    pub size: Option<u64>,
    /// How many names it has.
    pub links: Option<u32>,
    /// Capabilities that it gives whoever runs it, as `cap_net_raw=ep`; empty for none.
    pub capabilities: Option<String>,
    /// SHA-256 of what it holds, in hex; none for what is no file.
    pub digest: Option<String>,
    /// Where a symbolic link points.
    pub target: Option<String>,
}

/// What an [`Entry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device that is read in blocks.
    BlockDevice,
    /// A device that is read in bytes.
    CharDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// A partition of the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Bytes.
    pub size: u64,
    /// Bytes that its file system says are in use.
    pub used: Option<u64>,
    /// What is in it, such as `ext4`; `None` if nothing that is known.
    pub filesystem: Option<String>,
}

/// A socket that systemd listens on from boot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Listener {
    /// The unit, such as `sshd.socket`.
    pub unit: String,
    /// Such as `tcp` or `unix`.
    pub protocol: String,
    /// Such as `22`, `127.0.0.1:53` or `/run/docker.sock`.
    pub address: String,
}

impl Listener {
    /// Protocol and address where only the unit is known.
    pub const UNKNOWN: &str = "unknown";
}

/// A user of the system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The number.
    pub uid: u32,
    /// The number of the main group.
    pub gid: u32,
    /// Where it lives.
    pub home: String,
    /// What it logs in to.
    pub shell: String,
    /// Whether a password lets it in: a hash in `shadow` that is neither empty nor locked. `None` if not known.
    pub password: Option<bool>,
    /// The groups that it is also in.
    pub groups: BTreeSet<String>,
}

/// Something that is there and could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unread {
    /// What: a partition, an extension, a listing.
    pub what: String,
    /// Why, in words.
    pub why: String,
}

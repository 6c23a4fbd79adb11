//! The types that a comparison is made of.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::{Component, Entry, EntryKind, Inventory, Listener, Partition, User};

/// What changed between two images.
#[derive(Clone, Debug)]
pub struct Diff<'a> {
    /// The old image.
    pub old: &'a Inventory,
    /// The new image.
    pub new: &'a Inventory,
    /// What changed, the most alarming first.
    pub changes: Vec<Change<'a>>,
    /// What can't be said to be the same.
    pub incomparable: Vec<Incomparable>,
}

/// One thing that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Change<'a> {
    /// An extension that is new, or gone.
    Component {
        /// Which.
        component: &'a Component,
        /// How.
        change: Presence,
    },
    /// A package.
    Package(PackageChange<'a>),
    /// A file, directory or other node.
    File(FileChange<'a>),
    /// A unit of systemd that came or went, wherever its file lies.
    Unit {
        /// Of the image with its extensions ([`Component::Base`]), or an initrd.
        realm: Component,
        /// Such as `docker.service`.
        name: &'a str,
        /// How.
        change: Presence,
    },
    /// A socket that systemd listens on.
    Listener {
        /// The socket.
        listener: &'a Listener,
        /// How.
        change: Presence,
    },
    /// A user.
    User(UserChange<'a>),
    /// An option of the kernel; `None` if it is not set.
    KernelOption {
        /// Such as `CONFIG_EXT4_FS`.
        option: &'a str,
        /// The old value.
        old: Option<&'a str>,
        /// The new value.
        new: Option<&'a str>,
    },
    /// A partition.
    Partition {
        /// Its label.
        label: &'a str,
        /// As it was.
        old: Option<&'a Partition>,
        /// As it is.
        new: Option<&'a Partition>,
    },
    /// What the files below a directory take, each counted once however many names it has.
    Directory {
        /// Of what.
        component: &'a Component,
        /// The directory.
        path: Cow<'a, str>,
        /// Bytes.
        old: u64,
        /// Bytes.
        new: u64,
    },
    /// Bytes of the disk.
    ImageSize {
        /// Bytes.
        old: u64,
        /// Bytes.
        new: u64,
    },
    /// Bytes of all files of the image itself, each counted once.
    ContentSize {
        /// Bytes.
        old: u64,
        /// Bytes.
        new: u64,
    },
}

/// Whether something came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is there as before, and not the same.
    Changed,
}

/// A package that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackageChange<'a> {
    /// Of what.
    pub component: &'a Component,
    /// Such as `sys-apps/systemd`.
    pub name: &'a str,
    /// How.
    pub change: PackageMove,
    /// Versions that are gone.
    pub old: Vec<&'a str>,
    /// Versions that are new.
    pub new: Vec<&'a str>,
}

/// How a package changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageMove {
    /// Its newest version is older than before.
    Down,
    /// Its versions differ, and which is newer can't be told.
    Unordered,
    /// It is gone.
    Removed,
    /// It is new.
    Added,
    /// Its newest version is newer than before.
    Up,
    /// Its newest version is as new as before, and something else about its versions changed.
    Same,
}

/// A file that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileChange<'a> {
    /// Of what.
    pub component: &'a Component,
    /// Where. The kernel's version is `<kernel>` in it.
    pub path: Cow<'a, str>,
    /// How.
    pub change: Presence,
    /// In what it differs, if it was there before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// As it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<&'a Entry>,
    /// As it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<&'a Entry>,
}

impl FileChange<'_> {
    /// Whether it now runs with the rights of its owner or group, and did not before; or does so for another.
    #[must_use]
    pub fn gained_setid(&self) -> bool {
        let Some(new) = self.new.filter(|new| new.kind == EntryKind::File) else { return false };
        let is_set = |mode: u16| mode & 0o6000;
        let before =
            self.old.filter(|old| old.kind == EntryKind::File).map_or(0, |old| is_set(old.mode));
        let differs = |what| self.differences.contains(&what);
        is_set(new.mode) & !before != 0
            || (new.mode & 0o4000 != 0 && differs(Difference::Owner))
            || (new.mode & 0o2000 != 0 && differs(Difference::Group))
    }

    /// Whether it now gives capabilities that it did not give before.
    #[must_use]
    pub fn gained_capabilities(&self) -> bool {
        let given =
            |entry: &&Entry| entry.capabilities.as_ref().is_some_and(|given| !given.is_empty());
        let Some(new) = self.new.filter(given) else { return false };
        match self.old {
            None => true,
            // Unknown before: that is said elsewhere.
            Some(old) => {
                old.capabilities.as_ref().is_some_and(|old| Some(old) != new.capabilities.as_ref())
            }
        }
    }

    /// By how many bytes its size changed.
    #[must_use]
    pub fn growth(&self) -> i128 {
        let size =
            |entry: Option<&Entry>| i128::from(entry.and_then(|entry| entry.size).unwrap_or(0));
        size(self.new) - size(self.old)
    }
}

/// In what a file differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// File, directory, link.
    Kind,
    /// Permission bits.
    Mode,
    /// The owner.
    Owner,
    /// The group.
    Group,
    /// Capabilities.
    Capabilities,
    /// Where a link points.
    Target,
    /// Bytes.
    Size,
    /// What it holds.
    Digest,
}

/// A user that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UserChange<'a> {
    /// The user's name.
    pub name: &'a str,
    /// How.
    pub change: Presence,
    /// As it was.
    pub old: Option<&'a User>,
    /// As it is.
    pub new: Option<&'a User>,
}

impl UserChange<'_> {
    /// Whether a password lets the user in that did not before, or the user has become root.
    #[must_use]
    pub fn is_alarming(&self) -> bool {
        let has_password = |user: &User| user.password == Some(true);
        let gained = |what: &dyn Fn(&User) -> bool| {
            self.new.is_some_and(what) && !self.old.is_some_and(what)
        };
        gained(&has_password) || gained(&|user| user.uid == 0)
    }
}

/// What images are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// Packages and their versions.
    Packages,
    /// Files, with their kinds, modes and sizes; also units.
    Files,
    /// Owners and groups of files.
    Owners,
    /// Capabilities of files.
    Capabilities,
    /// What files hold.
    Digests,
    /// Where symbolic links point.
    Targets,
    /// The kernel's config.
    KernelConfig,
    /// Partitions.
    Partitions,
    /// The size of the disk.
    ImageSize,
    /// What listens.
    Listeners,
    /// Users.
    Users,
    /// What is in the initrd, which of an image isn't read: it is packed into the kernel.
    Initrd,
}

impl Aspect {
    /// All, in their order.
    pub const ALL: [Self; 12] = [
        Self::Packages,
        Self::Files,
        Self::Owners,
        Self::Capabilities,
        Self::Digests,
        Self::Targets,
        Self::KernelConfig,
        Self::Partitions,
        Self::ImageSize,
        Self::Listeners,
        Self::Users,
        Self::Initrd,
    ];

    /// Its name in limits and ids.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Packages => "packages",
            Self::Files => "files",
            Self::Owners => "owners",
            Self::Capabilities => "capabilities",
            Self::Digests => "digests",
            Self::Targets => "targets",
            Self::KernelConfig => "kernel-config",
            Self::Partitions => "partitions",
            Self::ImageSize => "image-size",
            Self::Listeners => "listeners",
            Self::Users => "users",
            Self::Initrd => "initrd",
        }
    }

    /// What it is in a sentence.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Owners => "owners and groups of files",
            Self::Capabilities => "capabilities of files",
            Self::Digests => "digests of files",
            Self::Targets => "targets of links",
            Self::KernelConfig => "the kernel's config",
            Self::ImageSize => "the size of the disk",
            Self::Initrd => "what is in the initrd",
            Self::Packages | Self::Files | Self::Partitions | Self::Listeners | Self::Users => {
                self.name()
            }
        }
    }
}

/// Something that can't be said to be the same, since it isn't known on one side or on both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Incomparable {
    /// What.
    pub aspect: Aspect,
    /// Only of this component; of all of them if there is none.
    pub component: Option<Component>,
    /// Only of this part of the image: a partition, a listing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Why, as a sentence.
    pub why: String,
}

impl Incomparable {
    pub(super) fn new(aspect: Aspect, why: impl Into<String>) -> Self {
        Self { aspect, component: None, part: None, why: why.into() }
    }

    /// `files`, or `files:initrd` where it is about a part only.
    #[must_use]
    pub fn name(&self) -> String {
        let aspect = self.aspect.name();
        match (&self.component, &self.part) {
            (_, Some(part)) => format!("{aspect}:{part}"),
            (None | Some(Component::Base), None) => aspect.to_owned(),
            (Some(component), None) => format!("{aspect}:{component}"),
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.write_str("image"),
            Self::Initrd => f.write_str("initrd"),
            Self::FullInitrd => f.write_str("full-initrd"),
            Self::Sysext(name) => f.write_str(name),
        }
    }
}

impl Diff<'_> {
    /// Notes that an aspect isn't known on one side or both, and says whether it can be compared.
    pub(super) fn known(&mut self, aspect: Aspect, old: bool, new: bool) -> bool {
        self.known_of(aspect, None, old, new)
    }

    pub(super) fn known_of(
        &mut self,
        aspect: Aspect,
        component: Option<&Component>,
        old: bool,
        new: bool,
    ) -> bool {
        let (what, whose) = match component {
            None => (aspect.words(), String::new()),
            Some(component) => (aspect.words(), format!(" of {component}")),
        };
        let why = match (old, new) {
            (true, true) => return true,
            (false, false) => format!("neither image's {} tell {what}{whose}", self.sources()),
            (false, true) => {
                format!("the old image's {} don't tell {what}{whose}", source(self.old))
            }
            (true, false) => {
                format!("the new image's {} don't tell {what}{whose}", source(self.new))
            }
        };
        let component = component.cloned();
        self.incomparable.push(Incomparable { component, ..Incomparable::new(aspect, why) });
        false
    }

    fn sources(&self) -> &'static str {
        if self.old.origin == self.new.origin {
            source(self.new)
        } else {
            "listings or file systems"
        }
    }
}

fn source(inventory: &Inventory) -> &'static str {
    match inventory.origin {
        crate::Origin::Image => "file systems",
        crate::Origin::Listings => "listings",
    }
}

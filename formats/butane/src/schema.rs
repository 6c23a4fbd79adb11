//! What a config may hold, for each version, as data: Butane's keys and Ignition's, which are the same words in another case.
//!
//! Fields stand in the order in which they are checked and written.

use std::fmt;

/// A version of Butane's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Whose.
    pub variant: Variant,
    /// The `y` of version 1.y.0.
    pub minor: u8,
}

/// For which system a config is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Fedora CoreOS.
    Fcos,
    /// Flatcar Container Linux.
    Flatcar,
}

impl Spec {
    /// All that are known.
    pub const ALL: [Self; 9] = [
        Self::fcos(0),
        Self::fcos(1),
        Self::fcos(2),
        Self::fcos(3),
        Self::fcos(4),
        Self::fcos(5),
        Self::fcos(6),
        Self::flatcar(0),
        Self::flatcar(1),
    ];

    const fn fcos(minor: u8) -> Self {
        Self { variant: Variant::Fcos, minor }
    }

    const fn flatcar(minor: u8) -> Self {
        Self { variant: Variant::Flatcar, minor }
    }

    /// The `y` of Ignition's version 3.y.0, which this becomes.
    #[must_use]
    pub fn ignition(self) -> u8 {
        match (self.variant, self.minor) {
            (Variant::Fcos, minor @ 0..=2) => minor,
            (Variant::Fcos, minor) => minor - 1,
            (Variant::Flatcar, minor) => minor + 3,
        }
    }

    pub(crate) fn is_fcos(self, since: u8) -> bool {
        self.variant == Variant::Fcos && self.minor >= since
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} 1.{}.0", self.variant, self.minor)
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fcos => "fcos",
            Self::Flatcar => "flatcar",
        })
    }
}

/// An object with named fields.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) name: TypeName,
    pub(crate) fields: &'static [Field],
}

/// What an object is, for those who check it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TypeName {
    Config,
    Ignition,
    IgnitionConfig,
    Tls,
    Proxy,
    Reference,
    Resource,
    Verification,
    Header,
    User,
    Group,
    Storage,
    Owner,
    Directory,
    File,
    Link,
    Tree,
    Disk,
    Partition,
    Filesystem,
    Luks,
    Clevis,
    ClevisCustom,
    Tang,
    Raid,
    Systemd,
    Unit,
    Dropin,
    BootDevice,
    Mirror,
    GrubUser,
    /// One that nobody checks.
    Plain,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Int,
    Bool,
    Text,
    Object(&'static Type),
    List(&'static Kind),
}

#[derive(Debug)]
pub(crate) struct Field {
    /// In Butane; Ignition has the same words in camel case.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    since: Since,
    side: Side,
    /// How the field is written when it is empty.
    pub(crate) empty: Empty,
    /// Lists in which nothing may be there twice have the same group, or are alone in theirs.
    pub(crate) group: Group,
}

#[derive(Clone, Copy, Debug)]
enum Since {
    Ignition(u8),
    Fcos(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Both,
    Butane,
    Ignition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Empty {
    /// Not at all.
    Omitted,
    /// Not at all, nor are 0 and an empty text.
    Zero,
    /// As an empty text.
    Text,
    /// As an empty text up to this minor version of Ignition, later not at all.
    TextUpTo(u8),
    /// As null in Ignition 3.0, later not at all.
    NullInFirst,
    /// As an empty object, if the user wrote one, in Ignition 3.2; later not at all.
    ObjectInThird,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Own,
    Shared(&'static str),
    /// Duplicates are fine.
    None,
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        since: Since::Ignition(0),
        side: Side::Both,
        empty: Empty::Omitted,
        group: Group::Own,
    }
}

const fn int(name: &'static str) -> Field {
    field(name, Kind::Int)
}

const fn flag(name: &'static str) -> Field {
    field(name, Kind::Bool)
}

const fn text(name: &'static str) -> Field {
    field(name, Kind::Text)
}

/// A text that is always written.
const fn name(name: &'static str) -> Field {
    text(name).empty(Empty::Text)
}

const fn texts(name: &'static str) -> Field {
    field(name, Kind::List(&Kind::Text))
}

const fn object(name: &'static str, of: &'static Type) -> Field {
    field(name, Kind::Object(of))
}

const fn list(name: &'static str, of: &'static Kind) -> Field {
    field(name, Kind::List(of))
}

impl Field {
    const fn since(mut self, ignition: u8) -> Self {
        self.since = Since::Ignition(ignition);
        self
    }

    const fn fcos(mut self, minor: u8) -> Self {
        self.since = Since::Fcos(minor);
        self
    }

    const fn butane(mut self) -> Self {
        self.side = Side::Butane;
        self
    }

    const fn ignition(mut self) -> Self {
        self.side = Side::Ignition;
        self
    }

    const fn empty(mut self, empty: Empty) -> Self {
        self.empty = empty;
        self
    }

    const fn group(mut self, group: Group) -> Self {
        self.group = group;
        self
    }

    fn exists(&self, spec: Spec) -> bool {
        match self.since {
            Since::Ignition(minor) => spec.ignition() >= minor,
            Since::Fcos(minor) => spec.is_fcos(minor),
        }
    }

    /// Whether a Butane config of this version may have it.
    pub(crate) fn in_butane(&self, spec: Spec) -> bool {
        self.side != Side::Ignition && self.exists(spec)
    }

    /// Whether an Ignition config of this version may have it.
    pub(crate) fn in_ignition(&self, spec: Spec) -> bool {
        self.side != Side::Butane && self.exists(spec)
    }
}

impl Type {
    const fn new(name: TypeName, fields: &'static [Field]) -> Self {
        Self { name, fields }
    }

    pub(crate) fn slot(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }
}

/// A key as Ignition has it.
pub(crate) fn camel(name: &str) -> String {
    let (name, unit) = match name.strip_suffix("_mib") {
        Some(name) => (name, "MiB"),
        None => (name, ""),
    };
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel + unit
}

pub(crate) static CONFIG: Type = Type::new(
    TypeName::Config,
    &[
        text("version").butane(),
        text("variant").butane(),
        object("ignition", &IGNITION),
        object("kernel_arguments", &KERNEL_ARGUMENTS).since(3),
        object("passwd", &PASSWD),
        object("storage", &STORAGE),
        object("systemd", &SYSTEMD),
        object("boot_device", &BOOT_DEVICE).fcos(3).butane(),
        object("grub", &GRUB).fcos(5).butane(),
    ],
);

pub(crate) static IGNITION: Type = Type::new(
    TypeName::Ignition,
    &[
        object("config", &IGNITION_CONFIG),
        object("proxy", &PROXY).since(1),
        object("security", &SECURITY),
        object("timeouts", &TIMEOUTS),
        text("version").ignition(),
    ],
);

static IGNITION_CONFIG: Type = Type::new(
    TypeName::IgnitionConfig,
    &[list("merge", &Kind::Object(&REFERENCE)), object("replace", &REFERENCE)],
);

static SECURITY: Type = Type::new(TypeName::Plain, &[object("tls", &TLS)]);

static TLS: Type =
    Type::new(TypeName::Tls, &[list("certificate_authorities", &Kind::Object(&REFERENCE))]);

static PROXY: Type =
    Type::new(TypeName::Proxy, &[text("http_proxy"), text("https_proxy"), texts("no_proxy")]);

static TIMEOUTS: Type =
    Type::new(TypeName::Plain, &[int("http_response_headers"), int("http_total")]);

/// What configs and certificates come from.
static REFERENCE: Type = Type::new(
    TypeName::Reference,
    &[
        text("compression").since(1),
        list("http_headers", &Kind::Object(&HEADER)).since(1),
        text("source").empty(Empty::NullInFirst),
        text("inline").since(1).butane(),
        text("local").since(1).butane(),
        object("verification", &VERIFICATION),
    ],
);

/// What the contents of files come from.
pub(crate) static RESOURCE: Type = Type::new(
    TypeName::Resource,
    &[
        text("compression"),
        list("http_headers", &Kind::Object(&HEADER)).since(1),
        text("source"),
        text("inline").butane(),
        text("local").since(1).butane(),
        object("verification", &VERIFICATION),
    ],
);

static HEADER: Type = Type::new(TypeName::Header, &[name("name"), text("value")]);

static VERIFICATION: Type = Type::new(TypeName::Verification, &[text("hash")]);

static KERNEL_ARGUMENTS: Type = Type::new(
    TypeName::Plain,
    &[
        texts("should_exist").group(Group::Shared("argument")),
        texts("should_not_exist").group(Group::Shared("argument")),
    ],
);

static PASSWD: Type = Type::new(
    TypeName::Plain,
    &[list("groups", &Kind::Object(&GROUP)), list("users", &Kind::Object(&USER))],
);

static GROUP: Type = Type::new(
    TypeName::Group,
    &[
        int("gid"),
        name("name"),
        text("password_hash"),
        flag("should_exist").since(2),
        flag("system"),
    ],
);

static USER: Type = Type::new(
    TypeName::User,
    &[
        text("gecos"),
        texts("groups"),
        text("home_dir"),
        name("name"),
        flag("no_create_home"),
        flag("no_log_init"),
        flag("no_user_group"),
        text("password_hash"),
        text("primary_group"),
        texts("ssh_authorized_keys"),
        texts("ssh_authorized_keys_local").since(4).butane(),
        text("shell"),
        flag("should_exist").since(2),
        flag("system"),
        int("uid"),
    ],
);

pub(crate) static STORAGE: Type = Type::new(
    TypeName::Storage,
    &[
        list("directories", &Kind::Object(&DIRECTORY)).group(Group::Shared("node")),
        list("disks", &Kind::Object(&DISK)),
        list("files", &Kind::Object(&FILE)).group(Group::Shared("node")),
        list("filesystems", &Kind::Object(&FILESYSTEM)),
        list("links", &Kind::Object(&LINK)).group(Group::Shared("node")),
        list("luks", &Kind::Object(&LUKS)).since(2),
        list("raid", &Kind::Object(&RAID)),
        list("trees", &Kind::Object(&TREE)).since(1).butane(),
    ],
);

static OWNER: Type = Type::new(TypeName::Owner, &[int("id"), text("name")]);

static DIRECTORY: Type = Type::new(
    TypeName::Directory,
    &[
        object("group", &OWNER),
        flag("overwrite"),
        name("path"),
        object("user", &OWNER),
        int("mode"),
    ],
);

pub(crate) static FILE: Type = Type::new(
    TypeName::File,
    &[
        object("group", &OWNER),
        flag("overwrite"),
        name("path"),
        object("user", &OWNER),
        list("append", &Kind::Object(&RESOURCE)).group(Group::None),
        object("contents", &RESOURCE),
        int("mode"),
    ],
);

pub(crate) static LINK: Type = Type::new(
    TypeName::Link,
    &[
        object("group", &OWNER),
        flag("overwrite"),
        name("path"),
        object("user", &OWNER),
        flag("hard"),
        text("target").empty(Empty::TextUpTo(2)),
    ],
);

static TREE: Type = Type::new(TypeName::Tree, &[text("local"), text("path")]);

pub(crate) static DISK: Type = Type::new(
    TypeName::Disk,
    &[name("device"), list("partitions", &Kind::Object(&PARTITION)), flag("wipe_table")],
);

pub(crate) static PARTITION: Type = Type::new(
    TypeName::Partition,
    &[
        text("guid"),
        text("label"),
        int("number").empty(Empty::Zero),
        flag("resize").since(2),
        flag("should_exist"),
        int("size_mib"),
        int("start_mib"),
        text("type_guid"),
        flag("wipe_partition_entry"),
    ],
);

pub(crate) static FILESYSTEM: Type = Type::new(
    TypeName::Filesystem,
    &[
        name("device"),
        text("format"),
        text("label"),
        texts("mount_options").since(1).group(Group::None),
        texts("options").group(Group::None),
        text("path"),
        text("uuid"),
        flag("wipe_filesystem"),
        flag("with_mount_unit").since(1).butane(),
    ],
);

pub(crate) static LUKS: Type = Type::new(
    TypeName::Luks,
    &[
        object("cex", &CEX).since(5),
        object("clevis", &CLEVIS).empty(Empty::ObjectInThird),
        text("device"),
        flag("discard").since(4),
        object("key_file", &RESOURCE),
        text("label"),
        name("name"),
        texts("open_options").since(4),
        texts("options").group(Group::None),
        text("uuid"),
        flag("wipe_volume"),
    ],
);

static CEX: Type = Type::new(TypeName::Plain, &[flag("enabled")]);

pub(crate) static CLEVIS: Type = Type::new(
    TypeName::Clevis,
    &[
        object("custom", &CLEVIS_CUSTOM).empty(Empty::ObjectInThird),
        list("tang", &Kind::Object(&TANG)),
        int("threshold"),
        flag("tpm2"),
    ],
);

static CLEVIS_CUSTOM: Type = Type::new(
    TypeName::ClevisCustom,
    &[
        text("config").empty(Empty::TextUpTo(2)),
        flag("needs_network"),
        text("pin").empty(Empty::TextUpTo(2)),
    ],
);

static TANG: Type = Type::new(
    TypeName::Tang,
    &[text("advertisement").since(4), text("thumbprint"), text("url").empty(Empty::Zero)],
);

pub(crate) static RAID: Type = Type::new(
    TypeName::Raid,
    &[
        texts("devices"),
        text("level").empty(Empty::TextUpTo(2)),
        name("name"),
        texts("options").group(Group::None),
        int("spares"),
    ],
);

pub(crate) static SYSTEMD: Type =
    Type::new(TypeName::Systemd, &[list("units", &Kind::Object(&UNIT))]);

pub(crate) static UNIT: Type = Type::new(
    TypeName::Unit,
    &[
        text("contents"),
        text("contents_local").since(4).butane(),
        list("dropins", &Kind::Object(&DROPIN)),
        flag("enabled"),
        flag("mask"),
        name("name"),
    ],
);

static DROPIN: Type = Type::new(
    TypeName::Dropin,
    &[text("contents"), text("contents_local").since(4).butane(), name("name")],
);

static BOOT_DEVICE: Type = Type::new(
    TypeName::BootDevice,
    &[text("layout"), object("luks", &BOOT_DEVICE_LUKS), object("mirror", &MIRROR)],
);

static BOOT_DEVICE_LUKS: Type = Type::new(
    TypeName::Plain,
    &[
        object("cex", &CEX).fcos(6),
        flag("discard").fcos(5),
        text("device").fcos(6),
        list("tang", &Kind::Object(&TANG)),
        int("threshold"),
        flag("tpm2"),
    ],
);

static MIRROR: Type = Type::new(TypeName::Mirror, &[texts("devices")]);

static GRUB: Type = Type::new(TypeName::Plain, &[list("users", &Kind::Object(&GRUB_USER))]);

static GRUB_USER: Type = Type::new(TypeName::GrubUser, &[text("name"), text("password_hash")]);

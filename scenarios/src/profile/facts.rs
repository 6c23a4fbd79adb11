//! The facts that a profile holds.

use std::net::IpAddr;

use serde::Deserialize;

use crate::ignition::{SpecRange, SpecVersion};

/// What wheeltap knows about an OS family.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Profile {
    /// Short name, as in `--image NAME:VERSION`.
    pub name: String,
    /// The family in words.
    pub summary: String,
    /// The user that exists without being asked for, and gets the harness's SSH key.
    pub user: String,
    /// `ID=` in os-release.
    pub os_release_id: String,
    /// Files on the guest that carry its version, the most specific one first.
    pub release_files: Vec<String>,
    /// How its Ignition is fed, and what that accepts.
    pub ignition: IgnitionFacts,
    /// How a first boot is told from a later one.
    pub first_boot: FirstBoot,
    /// How it updates itself, if it does.
    pub update: Option<Update>,
    /// Its update slots. `None` if it has none on partitions of their own.
    pub slots: Option<Slots>,
    /// What may listen on a fresh machine.
    pub sockets: Sockets,
}

/// How Ignition is fed, and what it accepts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IgnitionFacts {
    /// Name under which QEMU's fw_cfg device offers the config.
    pub fw_cfg_key: String,
    /// Ignition's name for the platform on QEMU.
    pub platform: String,
    /// Spec versions it accepts, as inclusive ranges in ascending order.
    pub accepts: Vec<SpecRange>,
    /// Spec version of the configs that the harness writes itself.
    pub emits: SpecVersion,
}

impl IgnitionFacts {
    /// Whether the image's Ignition accepts a config of this version.
    #[must_use]
    pub fn accepts(&self, version: SpecVersion) -> bool {
        self.accepts.iter().any(|range| range.contains(version))
    }

    /// The accepted versions in words: `2.0.0 to 2.3.0 and 3.0.0 to 3.5.0`.
    #[must_use]
    pub fn accepted(&self) -> String {
        self.accepts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
    }
}

/// How a first boot is told from a later one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FirstBoot {
    /// File on the guest that exists until Ignition has run.
    pub marker: String,
    /// Key on the kernel command line of a first boot.
    pub cmdline: String,
}

/// How the OS updates itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Update {
    /// Command that asks for an update and reports its state.
    pub client: String,
    /// Unit of the update service.
    pub service: String,
    /// Unit that reboots after an update; scenarios mask it to keep reboots in their own hands.
    pub reboot_manager: String,
    /// Config files or directories, the one that wins first.
    pub config: Vec<String>,
    /// The public key that payloads are checked with, as a path on the guest, where updates are signed that way.
    pub payload_key: Option<String>,
    /// File that exists while an update waits for a reboot, where there is one.
    pub reboot_required: Option<String>,
}

/// Two or more copies of the OS on partitions of their own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Slots {
    /// How the boot loader chooses.
    pub scheme: SlotScheme,
    /// GPT type GUID of a slot.
    pub type_guid: String,
    /// Kernel command line key whose value names the partition in use.
    pub cmdline_device: String,
    /// Kernel command line key whose value is the dm-verity root hash in use.
    pub cmdline_hash: String,
    /// Where the root hash is in a slot's kernel.
    pub hash_offset: HashOffset,
    /// Command that prints the device of the slot in use.
    pub active: String,
    /// Command that marks the slot in use as good.
    pub mark_good: String,
    /// Command that shows and edits the GPT attributes, with the options of `cgpt`.
    pub attributes: String,
    /// The partition with the kernels of all slots.
    pub boot: BootPartition,
    /// The slots in order.
    pub slot: Vec<Slot>,
}

impl Slots {
    /// The slot with this partition UUID, in any case of letters.
    #[must_use]
    pub fn by_partuuid(&self, partuuid: &str) -> Option<&Slot> {
        self.slot.iter().find(|slot| slot.partuuid.eq_ignore_ascii_case(partuuid))
    }

    /// The slot with this partition label.
    #[must_use]
    pub fn by_label(&self, label: &str) -> Option<&Slot> {
        self.slot.iter().find(|slot| slot.label == label)
    }
}

/// The partition with the kernels.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BootPartition {
    /// GPT label.
    pub label: String,
    /// Where the guest mounts it.
    pub mount: String,
}

impl BootPartition {
    /// A path on the guest as a path in the partition, without a slash in front; `None` if it is elsewhere.
    #[must_use]
    pub fn relative<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&self.mount)?.strip_prefix('/')
    }
}

/// How the boot loader chooses a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotScheme {
    /// By the priority, tries and successful bits in the GPT attributes (bits 48-51, 52-55 and 56).
    Gpt,
}

/// Byte offset of the 64 hexadecimal digits of the root hash in a kernel image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HashOffset {
    /// On x86-64.
    pub amd64: u64,
    /// On 64-bit Arm, where the profile knows it.
    pub arm64: Option<u64>,
}

/// One slot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Slot {
    /// GPT label.
    pub label: String,
    /// Number of its GPT entry, counted from 1.
    pub number: u32,
    /// GPT unique GUID, in lower case.
    pub partuuid: String,
    /// Its kernel, as a path on the guest.
    pub kernel: String,
}

/// What may listen on a fresh machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sockets {
    /// Must listen.
    pub listening: Vec<Socket>,
    /// May listen.
    #[serde(default)]
    pub tolerated: Vec<Socket>,
}

impl Sockets {
    /// Whether a socket on this address and port is expected or tolerated.
    #[must_use]
    pub fn allow(&self, protocol: Protocol, address: IpAddr, port: u16) -> bool {
        self.listening
            .iter()
            .chain(&self.tolerated)
            .any(|socket| socket.matches(protocol, address, port))
    }
}

/// A listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Socket {
    /// Protocol.
    pub protocol: Protocol,
    /// Local address; any if absent.
    pub address: Option<IpAddr>,
    /// Local port.
    pub port: u16,
    /// Who listens.
    pub why: String,
}

impl Socket {
    /// Whether this entry covers a socket on this address and port.
    #[must_use]
    pub fn matches(&self, protocol: Protocol, address: IpAddr, port: u16) -> bool {
        self.protocol == protocol
            && self.port == port
            && self.address.is_none_or(|own| own == address)
    }
}

/// Transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

//! A machine as its platform sees it: power, console, QMP, and where its SSH port is.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;

use crate::{Accelerator, Class, Interrupter, qemu::SavedState};

/// Firmware that starts the boot loader.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// SeaBIOS.
    Bios,
    /// OVMF, without Secure Boot.
    Uefi,
}

impl std::fmt::Display for Firmware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bios => "bios",
            Self::Uefi => "uefi",
        })
    }
}

/// Hardware that a scenario asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Hardware {
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Firmware.
    pub firmware: Firmware,
    /// Extra empty disks; each appears in the guest as `/dev/disk/by-id/virtio-SERIAL`.
    pub disks: Vec<ExtraDisk>,
    /// Extra network cards, each on a network of its own.
    pub extra_nics: u32,
}

impl Default for Hardware {
    /// The smallest machine that Flatcar's documentation promises to run on is larger; this is what the scenarios need.
    fn default() -> Self {
        Self {
            memory_mib: 1024,
            cpus: 1,
            firmware: Firmware::Bios,
            disks: Vec::new(),
            extra_nics: 0,
        }
    }
}

/// An empty disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ExtraDisk {
    /// Serial number, at most 20 characters, by which the guest finds it.
    pub serial: String,
    /// Size in MiB.
    pub size_mib: u32,
}

/// A change made to a machine's own copy of the disk before it boots. The image itself is never written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskPatch {
    /// Label of the GPT partition to write into.
    pub partition: String,
    /// Byte offset in the partition.
    pub offset: u64,
    /// What to write there.
    pub bytes: Vec<u8>,
}

/// Everything needed to make a machine.
#[derive(Clone, Debug)]
pub struct MachineSpec {
    /// Short name, unique in its attempt: `m1`.
    pub name: String,
    /// The image: a raw or qcow2 file that is only read.
    pub image: PathBuf,
    /// Changes to the machine's own copy of the disk.
    pub patches: Vec<DiskPatch>,
    /// Hardware.
    pub hardware: Hardware,
    /// The Ignition config, byte for byte as the guest gets it.
    pub ignition: Vec<u8>,
    /// Name under which QEMU's fw_cfg device offers the config (from the profile).
    pub fw_cfg_key: String,
    /// Directory for evidence (`console.log`, `qemu.args`, …). It exists, and outlives the machine.
    pub evidence: PathBuf,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a machine comes from.
#[derive(Clone, Debug, Default)]
pub enum Origin {
    /// It boots.
    #[default]
    Boot,
    /// It boots, and can be saved ([`Machine::save`]) into this directory, which exists and is empty.
    Savable(PathBuf),
    /// It starts from the state of another, which had the same hardware and config.
    Fork(SavedState),
}

/// How a machine can't be made, or was lost by its platform.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PlatformError {
    /// Whose fault it is.
    pub class: Class,
    /// A sentence that says what failed and what to do about it.
    pub message: String,
}

impl PlatformError {
    /// An error of the host or the provider.
    #[must_use]
    pub fn infra(message: impl Into<String>) -> Self {
        Self { class: Class::Infra, message: message.into() }
    }
}

/// What a machine offers beyond SSH.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Its console can be read.
    Console,
    /// Power, reset and screenshots from outside.
    Power,
    /// It boots a fresh copy of the image with a config of our choice.
    FreshBoot,
    /// Extra disks can be attached.
    ExtraDisks,
    /// The firmware can be chosen.
    Firmware,
    /// Machines can be saved, and others start from that.
    Fork,
}

impl std::fmt::Display for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Console => "a console",
            Self::Power => "power control (QMP)",
            Self::FreshBoot => "a fresh boot with a config",
            Self::ExtraDisks => "extra disks",
            Self::Firmware => "a choice of firmware",
            Self::Fork => "forks of a machine that has booted",
        })
    }
}

/// Where machines come from.
#[async_trait]
pub trait Platform: Send + Sync {
    /// Stable short name: `qemu`.
    fn name(&self) -> &'static str;

    /// What its machines offer.
    fn capabilities(&self) -> &[Capability];

    /// How much slower than on hardware virtualisation its guests run: multiplies every time limit that depends on
    /// the guest's speed.
    fn slowness(&self) -> u32;

    /// The accelerator in use, where that means something.
    fn accelerator(&self) -> Option<Accelerator>;

    /// What the platform itself puts into a saved state, such as the version of its emulator: a state is of use only where
    /// this is the same.
    ///
    /// # Errors
    /// If it can't be found out, or machines can't be saved here at all.
    async fn state_facts(
        &self,
        hardware: &Hardware,
        fw_cfg_key: &str,
    ) -> Result<Vec<String>, PlatformError> {
        let _ = (hardware, fw_cfg_key);
        let name = self.name();
        Err(PlatformError::infra(format!("machines of the platform {name} can't be saved")))
    }

    /// Makes a machine and starts it. Returns as soon as it runs, long before the guest answers.
    ///
    /// # Errors
    /// [`PlatformError`] with the platform's own words, and QEMU's standard error where there is one.
    async fn start(&self, spec: MachineSpec) -> Result<Box<dyn Machine>, PlatformError>;
}

/// A running machine.
///
/// Dropping it kills it; [`Machine::destroy`] does the same and waits until nothing is left.
#[async_trait]
pub trait Machine: Send + Sync {
    /// The name it was given.
    fn name(&self) -> &str;

    /// Raises and listens for whatever ends waits on this machine.
    fn interrupter(&self) -> &Interrupter;

    /// Where its SSH server can be reached.
    fn ssh_address(&self) -> SocketAddr;

    /// The address by which the guest reaches what listens on the host's 127.0.0.1, if there is one. Elsewhere only a
    /// forward leads there ([`Connector::forward`](crate::ssh::Connector::forward)).
    fn host_address(&self) -> Option<IpAddr>;

    /// The file that its console is written to, if it has one.
    fn console_log(&self) -> Option<&Path>;

    /// How often it was reset (by the guest or from outside) since it started. 0 where that can't be known.
    fn resets(&self) -> u32;

    /// Says in advance that the machine will end, so that its end is not an interruption: waits for the exit
    /// with [`Machine::wait_exit`].
    fn expect_exit(&self);

    /// Presses the power button (ACPI).
    async fn power_button(&self) -> Result<(), PlatformError>;

    /// Resets it hard.
    async fn reset(&self) -> Result<(), PlatformError>;

    /// Stops its CPUs.
    async fn pause(&self) -> Result<(), PlatformError>;

    /// Lets its CPUs run again.
    async fn resume(&self) -> Result<(), PlatformError>;

    /// The state as the platform names it: `running`, `paused`, `shutdown`.
    async fn status(&self) -> Result<String, PlatformError>;

    /// Stops it for ever and keeps its state, from which others can start. It must have been started as
    /// [`Origin::Savable`].
    ///
    /// # Errors
    /// If it wasn't, or its state can't be written.
    async fn save(&self) -> Result<SavedState, PlatformError>;

    /// Writes a picture of the screen to `file` (PNG).
    async fn screenshot(&self, file: &Path) -> Result<(), PlatformError>;

    /// Waits until the machine has ended, and says how.
    async fn wait_exit(&self, limit: Duration) -> Result<MachineExit, crate::WaitError>;

    /// Ends it and removes everything that was made for it, except the evidence.
    ///
    /// # Errors
    /// Says what could not be removed, and where it is.
    async fn destroy(&self) -> Result<(), PlatformError>;
}

/// How a machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineExit {
    /// The guest powered itself off.
    GuestPowerOff,
    /// The guest asked for a reset that was not allowed, or panicked with that action.
    GuestPanic,
    /// We ended it.
    Quit,
    /// The process died by itself.
    Died {
        /// Exit status or signal, and its last words.
        how: String,
    },
}

impl std::fmt::Display for MachineExit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::GuestPowerOff => f.write_str("the guest powered off"),
            Self::GuestPanic => f.write_str("the guest panicked"),
            Self::Quit => f.write_str("it was told to quit"),
            Self::Died { how } => f.write_str(how),
        }
    }
}

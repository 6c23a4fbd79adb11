//! Faults: deliberate defects, as data, that prove that a scenario can fail.

use serde::Deserialize;
use serde_json::{Map, Value};
use wheeltap_platforms::{Class, ssh::quote};

use crate::{failure::Failure, guest::Guest, ignition::Fragment};

/// The built-in faults.
const BUILTIN: &str = include_str!("../faults.toml");

/// A deliberate defect put into an image, a config or a running guest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Fault {
    /// Short name: `no-verity`.
    pub name: String,
    /// What is broken, in one sentence without a period.
    pub summary: String,
    /// Names of other faults of which this one consists, as far as they concern a running guest.
    #[serde(default)]
    pub parts: Vec<String>,
    /// Merged last into the Ignition config, so that it wins.
    pub ignition: Option<Map<String, Value>>,
    /// Takes the place of the config that the scenario would have given.
    pub config: Option<Map<String, Value>>,
    /// Shell commands run as root on the guest, after it was reached and before the scenario sees it.
    pub guest: Option<String>,
    /// Shell commands that take the effect of `guest` back, so that the machine can go on to be used.
    pub undo: Option<String>,
    /// Written into the machine's copy of the disk before it boots.
    pub disk: Option<DiskFault>,
}

/// Bytes written into a partition.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DiskFault {
    /// GPT label.
    pub partition: String,
    /// Byte offset in the partition.
    pub offset: u64,
    /// How many bytes are overwritten with 0xA5.
    pub length: u32,
}

/// Why there is no such fault, or why the list of faults is broken.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct FaultError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    fault: Vec<Fault>,
}

impl Fault {
    /// Every built-in fault.
    ///
    /// # Errors
    /// Only if the built-in list is broken, which a test excludes.
    pub fn builtin() -> Result<Vec<Self>, FaultError> {
        toml::from_str::<File>(BUILTIN)
            .map(|file| file.fault)
            .map_err(|error| FaultError(format!("the built-in faults are broken: {error}")))
    }

    /// The built-in fault of that name.
    ///
    /// # Errors
    /// Names the faults that exist.
    pub fn find(name: &str) -> Result<Self, FaultError> {
        let all = Self::builtin()?;
        let named = |name: &str| {
            all.iter().find(|fault| fault.name == name).ok_or_else(|| {
                let names: Vec<_> = all.iter().map(|fault| fault.name.as_str()).collect();
                FaultError(format!("no fault is named {name}; there are: {}", names.join(", ")))
            })
        };
        let mut fault = named(name)?.clone();
        for part in &fault.parts {
            let script = named(part)?.guest.as_deref().unwrap_or("true");
            let before = fault.guest.map(|before| format!("{before}\n")).unwrap_or_default();
            // In a shell of its own, so that parts don't see each other's variables.
            fault.guest = Some(format!("{before}(\n{script}\n)"));
        }
        Ok(fault)
    }

    /// The config that takes the place of the scenario's.
    #[must_use]
    pub fn config_fragment(&self) -> Option<Fragment> {
        self.config.clone().map(Fragment::from)
    }

    /// The config that is merged last.
    #[must_use]
    pub fn ignition_fragment(&self) -> Option<Fragment> {
        self.ignition.clone().map(Fragment::from)
    }

    /// Puts the part of the fault that concerns a running guest into it.
    pub async fn apply(&self, guest: &Guest) -> crate::failure::Result {
        match &self.guest {
            Some(script) => self.run(guest, script).await,
            None => Ok(()),
        }
    }

    /// Takes it back.
    pub async fn undo(&self, guest: &Guest) -> crate::failure::Result {
        match &self.undo {
            Some(script) => self.run(guest, script).await,
            None => Ok(()),
        }
    }

    async fn run(&self, guest: &Guest, script: &str) -> crate::failure::Result {
        // What differs between OS families is in the profile, so the scripts get it as variables.
        let marker = quote(&guest.live.profile().first_boot.marker);
        let script = format!("set -e; FIRST_BOOT_MARKER={marker}; {script}");
        let run = guest.try_sudo(&script).await?;
        if run.success() {
            return Ok(());
        }
        let headline =
            format!("fault {} can't be put in or taken back: {}", self.name, run.error_text());
        Err(Failure::new(Class::Test, "fault", headline))
    }

    /// Whether it is put in only after the guest runs, and can be taken back: such faults can share a machine.
    #[must_use]
    pub fn is_reversible(&self) -> bool {
        self.undo.is_some()
            && self.ignition.is_none()
            && self.config.is_none()
            && self.disk.is_none()
    }

    /// The patch to the machine's disk, if the fault is one.
    #[must_use]
    pub fn disk_patch(&self) -> Option<wheeltap_platforms::DiskPatch> {
        self.disk.as_ref().map(|disk| wheeltap_platforms::DiskPatch {
            partition: disk.partition.clone(),
            offset: disk.offset,
            bytes: vec![0xA5; disk.length as usize],
        })
    }
}

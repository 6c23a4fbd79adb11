//! What a scenario is: a named story with requirements, claims, and faults that must turn it red.

use std::{pin::Pin, time::Duration};

use serde::Serialize;
use wheeltap_platforms::{Capability, ExtraDisk, Firmware, Hardware};

use crate::{
    context::Context, failure::Result, ignition::Fragment, profile::Profile, targets::UpdateNeed,
};

/// The future of a scenario's body.
pub type Story = Pin<Box<dyn Future<Output = Result> + Send>>;

/// A named story: boot, act, wait, assert.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Dotted, group first: `reboot.clean`. Stable for ever, since history hangs on it.
    pub name: &'static str,
    /// What it proves, in one sentence without a period.
    pub summary: &'static str,
    /// Ids of the promises it checks.
    pub claims: &'static [&'static str],
    /// Words to select it by.
    pub tags: &'static [&'static str],
    /// What it needs from the platform and the image.
    pub needs: Needs,
    /// The part of the Ignition config that it brings, without `ignition.version`.
    pub ignition: fn(&Profile) -> Option<Fragment>,
    /// Ids of console rules whose lines it provokes, so that they don't fail it.
    pub expects: &'static [&'static str],
    /// Faults that must turn it red, each with words that the headline must then hold.
    pub proofs: &'static [Proof],
    /// How long it may take under KVM; multiplied by the platform's slowness.
    pub timeout: Duration,
    /// The story.
    pub body: fn(Context) -> Story,
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scenario").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Scenario {
    /// The group: what stands before the first dot.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }

    /// Why it can't run there, if it can't: capabilities the platform lacks, features the profile lacks, another
    /// firmware. What it is updated to is another question: [`Updates::unmet`](crate::Updates::unmet).
    #[must_use]
    pub fn unmet(
        &self,
        capabilities: &[Capability],
        profile: &Profile,
        firmware: Firmware,
    ) -> Option<String> {
        let missing = self.needs.capabilities.iter().find(|need| !capabilities.contains(need));
        if let Some(missing) = missing {
            return Some(format!("needs {missing}, which this platform does not have"));
        }
        // A config is only applied where a fresh copy of the image is booted with it.
        if (self.ignition)(profile).is_some() && !capabilities.contains(&Capability::FreshBoot) {
            return Some(format!(
                "needs {}, which this platform does not have",
                Capability::FreshBoot
            ));
        }
        if self.needs.slots && profile.slots.is_none() {
            return Some(format!("needs A/B slots, which profile {} does not have", profile.name));
        }
        match self.needs.firmware {
            Some(needed) if needed != firmware => Some(format!("needs {needed} firmware")),
            _ => None,
        }
    }
}

/// What a scenario needs.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// What its machines must offer.
    pub capabilities: &'static [Capability],
    /// Whether its machine may be like that of other scenarios, or the same, one after the other: it only looks, or cleans up
    /// after itself, and its config doesn't get in the way of others.
    pub machine: MachineNeed,
    /// Machines it runs at the same time.
    pub machines: usize,
    /// Memory of each machine in MiB; 0 for the default.
    pub memory_mib: u32,
    /// Virtual CPUs of each machine; 0 for the default.
    pub cpus: u32,
    /// Network cards beyond the first.
    pub extra_nics: u32,
    /// Extra disks: serial and size in MiB.
    pub disks: &'static [(&'static str, u32)],
    /// The only firmware it makes sense on.
    pub firmware: Option<Firmware>,
    /// Whether the image must have A/B slots.
    pub slots: bool,
    /// What it must be possible to update to.
    pub update: UpdateNeed,
}

/// Whose machine a scenario runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MachineNeed {
    /// A fork of one whose config holds what all of this kind bring; where machines can't be forked, one that others use
    /// before and after it.
    Shared,
    /// One of its own, which may start from the state of another that had booted with the same config.
    Own,
    /// One of its own that it boots itself: what happens in the boot matters, or it has several that must differ.
    Fresh,
}

impl Needs {
    /// A look at a shared machine.
    pub const SHARED: Self = Self {
        capabilities: &[],
        machine: MachineNeed::Shared,
        machines: 1,
        memory_mib: 0,
        cpus: 0,
        extra_nics: 0,
        disks: &[],
        firmware: None,
        slots: false,
        update: UpdateNeed::None,
    };

    /// A machine of its own.
    pub const OWN: Self =
        Self { capabilities: &[Capability::FreshBoot], machine: MachineNeed::Own, ..Self::SHARED };

    /// A machine of its own that boots for it.
    pub const FRESH: Self = Self { machine: MachineNeed::Fresh, ..Self::OWN };

    /// The hardware of each machine.
    #[must_use]
    pub fn hardware(&self, firmware: Firmware) -> Hardware {
        let default = Hardware::default();
        let or = |wanted: u32, default: u32| if wanted == 0 { default } else { wanted };
        Hardware {
            memory_mib: or(self.memory_mib, default.memory_mib),
            cpus: or(self.cpus, default.cpus),
            firmware,
            disks: self
                .disks
                .iter()
                .map(|&(serial, size_mib)| ExtraDisk { serial: serial.to_owned(), size_mib })
                .collect(),
            extra_nics: self.extra_nics,
        }
    }
}

/// A fault, and how its effect must be named.
#[derive(Clone, Copy, Debug)]
pub struct Proof {
    /// Name of the fault in `faults.toml`.
    pub fault: &'static str,
    /// Words that the headline, or one of the failed checks listed under it, must hold; all of them.
    pub headline: &'static [&'static str],
}

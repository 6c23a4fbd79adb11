//! The QEMU platform.

use std::{path::PathBuf, process::Stdio};

use async_trait::async_trait;

use super::{
    args::{Launch, Memory},
    find_ovmf, process,
    state::SavedState,
};
use crate::{
    Accelerator, Capability, Firmware, HostFacts, Machine, MachineSpec, Origin, Platform,
    PlatformError,
};

/// The programs that machines need and that this host lacks; Debian has them in qemu-system-x86 and qemu-utils.
#[must_use]
pub fn missing_programs() -> Vec<&'static str> {
    let runs = |program: &&str| {
        let mut command = std::process::Command::new(program);
        command.arg("--version").stdin(Stdio::null()).output().is_ok()
    };
    ["qemu-system-x86_64", "qemu-img", "qemu-io"].into_iter().filter(|name| !runs(name)).collect()
}

/// How QEMU is used.
#[derive(Clone, Debug)]
pub struct QemuOptions {
    /// The program, by name or path.
    pub program: PathBuf,
    /// The accelerator; `None` finds out what works here.
    pub accelerator: Option<Accelerator>,
}

impl Default for QemuOptions {
    fn default() -> Self {
        Self { program: "qemu-system-x86_64".into(), accelerator: None }
    }
}

/// Machines in QEMU processes on this host, without root.
#[derive(Clone, Debug)]
pub struct Qemu {
    program: PathBuf,
    accelerator: Accelerator,
}

impl Qemu {
    /// What every machine in QEMU offers, whatever the host.
    pub const CAPABILITIES: &[Capability] = &[
        Capability::Console,
        Capability::Power,
        Capability::FreshBoot,
        Capability::ExtraDisks,
        Capability::Firmware,
        Capability::Fork,
    ];

    /// QEMU as the options say.
    #[must_use]
    pub fn new(options: QemuOptions) -> Self {
        crate::private::sweep_private_directories();
        let accelerator = options.accelerator.unwrap_or_else(|| HostFacts::read().choose().0);
        Self { program: options.program, accelerator }
    }
}

#[async_trait]
impl Platform for Qemu {
    fn name(&self) -> &'static str {
        "qemu"
    }

    fn capabilities(&self) -> &[Capability] {
        Self::CAPABILITIES
    }

    fn slowness(&self) -> u32 {
        self.accelerator.slowness()
    }

    fn accelerator(&self) -> Option<Accelerator> {
        Some(self.accelerator)
    }

    async fn start(&self, spec: MachineSpec) -> Result<Box<dyn Machine>, PlatformError> {
        // QEMU runs with our working directory, and so do its tools; absolute paths hold for both.
        let evidence = std::path::absolute(&spec.evidence).map_err(|error| {
            PlatformError::infra(format!("{} can't be used: {error}", spec.evidence.display()))
        })?;
        let ovmf = match spec.hardware.firmware {
            Firmware::Bios => None,
            Firmware::Uefi => Some(find_ovmf()?),
        };
        // What a machine consists of lies beside its evidence, or where it is saved.
        let own = SavedState {
            directory: match &spec.origin {
                Origin::Boot | Origin::Fork(_) => evidence.clone(),
                Origin::Savable(directory) => directory.clone(),
            },
            hardware: spec.hardware.clone(),
        };
        let launch = Launch {
            accelerator: self.accelerator,
            hardware: spec.hardware.clone(),
            disk: own.disk(),
            extra_disks: extra_disks(&own),
            memory: match &spec.origin {
                Origin::Boot => Memory::Anonymous,
                Origin::Savable(_) => Memory::File(own.memory()),
                Origin::Fork(state) => Memory::PrivateFile(state.memory()),
            },
            fw_cfg_key: spec.fw_cfg_key.clone(),
            ignition: evidence.join("ignition.json"),
            console: evidence.join("console.log"),
            qmp_socket: PathBuf::new(),
            ovmf: ovmf.as_ref().map(|(code, _)| (code.clone(), own.variables())),
        };
        let variables = ovmf.as_ref().map(|(_, variables)| variables.as_path());
        Ok(Box::new(process::start(&self.program, launch, spec, variables).await?))
    }
}

fn extra_disks(state: &SavedState) -> Vec<PathBuf> {
    state.hardware.disks.iter().map(|disk| state.extra_disk(&disk.serial)).collect()
}

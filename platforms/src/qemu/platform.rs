//! The QEMU platform.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::{
    args::{Launch, Memory},
    facts, find_ovmf, process,
    state::{SavedMemory, SavedState},
};
use crate::{
    Accelerator, Capability, Firmware, Hardware, HostFacts, Machine, MachineSpec, Origin, Platform,
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
    /// How memory is saved. Where a file can't be mapped, it is copied whatever stands here.
    pub saved_memory: SavedMemory,
}

impl Default for QemuOptions {
    fn default() -> Self {
        Self {
            program: "qemu-system-x86_64".into(),
            accelerator: None,
            saved_memory: SavedMemory::Mapped,
        }
    }
}

/// Machines in QEMU processes on this host, without root.
#[derive(Clone, Debug)]
pub struct Qemu {
    program: PathBuf,
    accelerator: Accelerator,
    saved_memory: SavedMemory,
    /// What saved states have in common, once it was asked for.
    facts: Arc<OnceCell<Vec<String>>>,
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
        crate::lease::sweep();
        let accelerator = options.accelerator.unwrap_or_else(|| HostFacts::read().choose().0);
        let QemuOptions { program, saved_memory, .. } = options;
        Self { program, accelerator, saved_memory, facts: Arc::default() }
    }

    /// The command line of a machine, and the template of its firmware's variables. What it consists of lies in the
    /// directory of `own`.
    fn launch(
        &self,
        own: &SavedState,
        memory: Memory,
        fw_cfg_key: &str,
        evidence: &Path,
    ) -> Result<(Launch, Option<PathBuf>), PlatformError> {
        let ovmf = match own.hardware.firmware {
            Firmware::Bios => None,
            Firmware::Uefi => Some(find_ovmf()?),
        };
        let launch = Launch {
            accelerator: self.accelerator,
            hardware: own.hardware.clone(),
            disk: own.disk(),
            extra_disks: extra_disks(own),
            memory,
            fw_cfg_key: fw_cfg_key.to_owned(),
            ignition: evidence.join("ignition.json"),
            console: evidence.join("console.log"),
            qmp_socket: PathBuf::new(),
            ovmf: ovmf.as_ref().map(|(code, _)| (code.clone(), own.variables())),
        };
        Ok((launch, ovmf.map(|(_, variables)| variables)))
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
        // What a machine consists of lies beside its evidence, or where it is saved.
        let own = SavedState {
            directory: match &spec.origin {
                Origin::Boot | Origin::Fork(_) => evidence.clone(),
                Origin::Savable(directory) => directory.clone(),
            },
            hardware: spec.hardware.clone(),
            memory: self.saved_memory,
        };
        let memory = match &spec.origin {
            Origin::Boot => Memory::Anonymous,
            Origin::Savable(_) if own.memory == SavedMemory::Copied => Memory::Copied,
            Origin::Savable(_) => Memory::File(own.memory_file()),
            Origin::Fork(state) if state.memory == SavedMemory::Copied => Memory::Incoming,
            Origin::Fork(state) => Memory::PrivateFile(state.memory_file()),
        };
        let start = async |memory: Memory| {
            let (launch, variables) = self.launch(&own, memory, &spec.fw_cfg_key, &evidence)?;
            process::start(&self.program, launch, spec.clone(), variables.as_deref()).await
        };
        let is_mapped = matches!((&spec.origin, &memory), (Origin::Savable(_), Memory::File(_)));
        let started = match start(memory).await {
            // Not every file system has files that can be mapped and shared, and not every QEMU the means.
            Err(error) if is_mapped => {
                tracing::info!(%error, "no file for the guest's memory");
                start(Memory::Copied).await
            }
            started => started,
        };
        Ok(Box::new(started?))
    }

    async fn state_facts(
        &self,
        hardware: &Hardware,
        fw_cfg_key: &str,
    ) -> Result<Vec<String>, PlatformError> {
        let common = || facts::common(&self.program, self.accelerator);
        let mut facts = self.facts.get_or_try_init(common).await?.clone();
        let own = SavedState {
            directory: "/STATE".into(),
            hardware: hardware.clone(),
            memory: self.saved_memory,
        };
        let memory = match own.memory {
            SavedMemory::Mapped => Memory::File(own.memory_file()),
            SavedMemory::Copied => Memory::Copied,
        };
        let (launch, variables) = self.launch(&own, memory, fw_cfg_key, Path::new("/EVIDENCE"))?;
        facts.extend(launch.args().iter().map(|arg| arg.to_string_lossy().into_owned()));
        if let (Some((code, _)), Some(variables)) = (&launch.ovmf, &variables) {
            facts.push(facts::of_file(code)?);
            facts.push(facts::of_file(variables)?);
        }
        Ok(facts)
    }
}

fn extra_disks(state: &SavedState) -> Vec<PathBuf> {
    state.hardware.disks.iter().map(|disk| state.extra_disk(&disk.serial)).collect()
}

//! Saved states: a machine that has booted is written to files, and others start from them.
//!
//! The guest's memory is a file that the saved machine had mapped and a fork maps for itself (copy on write), so that
//! neither reads nor copies it, and forks share what they don't change. All else (devices, CPUs) goes through QEMU's
//! migration, which is told to leave that memory alone (`x-ignore-shared`, QEMU 4.0 and later). Where QEMU can't do that,
//! the memory goes the same way as the devices, and a fork reads all of it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use qapi::qmp::{
    self, MigrateSetParameters, MigrationCapability, MigrationCapabilityStatus, MigrationStatus,
    RunState,
};
use serde::{Deserialize, Serialize};

use super::qmp::Qmp;
use crate::{Hardware, Interrupt, PlatformError, poll_until};

/// To write or read what isn't memory: some 20 MB, most of it the display's. With the memory it is as much as the guest uses,
/// and seconds.
const TRANSFER_LIMIT: Duration = Duration::from_secs(120);

/// More than any disk takes: by default QEMU writes no more than 128 MiB/s, for the sake of networks.
const BANDWIDTH: u64 = 100 << 30;

/// How often QEMU is asked how far it is. It takes a tenth of a second.
const TRANSFER_POLL: Duration = Duration::from_millis(10);

/// How the memory of a machine is saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SavedMemory {
    /// In a file of its own that a fork maps.
    #[default]
    Mapped,
    /// With the devices, to be read whole: for a QEMU that can't leave memory out of that.
    Copied,
}

/// A machine as it was at one moment: files from which other machines start.
///
/// They must not change while a fork lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedState {
    /// Where all of it is.
    pub directory: PathBuf,
    /// What the machine consisted of; a fork consists of the same.
    pub hardware: Hardware,
    /// How its memory is kept.
    pub memory: SavedMemory,
}

impl SavedState {
    /// The guest's memory.
    pub(super) fn memory_file(&self) -> PathBuf {
        self.directory.join("memory")
    }

    /// Devices and CPUs.
    pub(super) fn devices(&self) -> PathBuf {
        self.directory.join("devices")
    }

    /// The machine's own disk.
    pub(super) fn disk(&self) -> PathBuf {
        self.directory.join("disk.qcow2")
    }

    /// An extra disk.
    pub(super) fn extra_disk(&self, serial: &str) -> PathBuf {
        self.directory.join(format!("disk-{serial}.qcow2"))
    }

    /// The firmware's variables, for UEFI.
    pub(super) fn variables(&self) -> PathBuf {
        self.directory.join("ovmf-vars.fd")
    }

    /// Bytes that it takes on the disk, holes not counted.
    ///
    /// # Errors
    /// If its files can't be looked at.
    pub fn size(&self) -> io::Result<u64> {
        use std::os::unix::fs::MetadataExt as _;
        let sizes = fs::read_dir(&self.directory)?
            .map(|entry| entry?.metadata().map(|metadata| metadata.blocks() * 512));
        sizes.sum()
    }
}

/// Stops the machine and writes what isn't in the file of its memory. The machine is of no use after that.
///
/// Gives what became of the memory: a QEMU that can't leave it alone writes it with the rest.
pub(super) async fn save(qmp: &Qmp, state: &SavedState) -> Result<SavedMemory, PlatformError> {
    qmp.execute(qmp::stop {}).await?;
    let memory = match state.memory {
        SavedMemory::Mapped if leave_memory_alone(qmp).await.is_ok() => SavedMemory::Mapped,
        _ => SavedMemory::Copied,
    };
    if memory == SavedMemory::Copied {
        let max_bandwidth = Some(BANDWIDTH);
        let parameters = MigrateSetParameters { max_bandwidth, ..Default::default() };
        qmp.execute(qmp::migrate_set_parameters(parameters)).await?;
    }
    let uri = format!("exec:cat >{}", crate::ssh::quote(&state.devices().to_string_lossy()));
    qmp.execute(qmp::migrate { uri: Some(uri), channels: None, detach: None, resume: None })
        .await?;
    let never = Interrupt::never();
    let written =
        poll_until("qemu to write its state", TRANSFER_LIMIT, TRANSFER_POLL, &never, async || {
            match qmp.execute(qmp::query_migrate {}).await {
                Ok(info) => match info.status {
                    Some(MigrationStatus::completed) => Ok(Ok(())),
                    Some(MigrationStatus::failed) => Ok(Err(info.error_desc.unwrap_or_default())),
                    other => Err(format!("migration is {other:?}")),
                },
                Err(error) => Err(error.message),
            }
        });
    match written.await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => {
            return Err(PlatformError::infra(format!("qemu can't write its state: {why}")));
        }
        Err(error) => return Err(PlatformError::infra(error.to_string())),
    }
    if memory == SavedMemory::Copied
        && let Err(error) = fs::remove_file(state.memory_file())
        && error.kind() != io::ErrorKind::NotFound
    {
        let file = state.memory_file();
        return Err(PlatformError::infra(format!("can't remove {}: {error}", file.display())));
    }
    Ok(memory)
}

/// Reads what isn't in a file of its own into a QEMU that waits for it, and lets the machine run.
pub(super) async fn resume(qmp: &Qmp, state: &SavedState) -> Result<(), PlatformError> {
    if state.memory == SavedMemory::Mapped {
        leave_memory_alone(qmp).await?;
    }
    let uri = format!("exec:cat {}", crate::ssh::quote(&state.devices().to_string_lossy()));
    let incoming = qmp::migrate_incoming { uri: Some(uri), channels: None, exit_on_error: None };
    qmp.execute(incoming).await?;
    let never = Interrupt::never();
    let read = poll_until(
        "qemu to read the saved state",
        TRANSFER_LIMIT,
        TRANSFER_POLL,
        &never,
        async || match qmp.execute(qmp::query_status {}).await {
            Ok(info) if info.status == RunState::inmigrate => Err("it still reads".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.message),
        },
    );
    read.await.map_err(|error| PlatformError::infra(error.to_string()))?;
    // It was stopped when it was saved, and so it is now.
    qmp.execute(qmp::cont {}).await.map(drop)
}

async fn leave_memory_alone(qmp: &Qmp) -> Result<(), PlatformError> {
    let capability = MigrationCapability::x_ignore_shared;
    let capabilities = vec![MigrationCapabilityStatus { capability, state: true }];
    qmp.execute(qmp::migrate_set_capabilities { capabilities }).await.map(drop)
}

/// Copies the firmware's variables, which a fork changes for itself.
pub(super) fn copy_variables(template: &Path, own: &Path) -> Result<(), PlatformError> {
    fs::copy(template, own)
        .map(drop)
        .map_err(|error| PlatformError::infra(format!("can't write {}: {error}", own.display())))
}

//! Saved states: a machine that has booted is written to files, and others start from them.
//!
//! The guest's memory is a file that the saved machine had mapped and a fork maps for itself (copy on write), so that
//! neither reads nor copies it, and forks share what they don't change. All else (devices, CPUs) goes through QEMU's
//! migration, which is told to leave that memory alone (`x-ignore-shared`, QEMU 4.0 and later).

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use qapi::qmp::{self, MigrationCapability, MigrationCapabilityStatus, MigrationStatus, RunState};

use super::qmp::Qmp;
use crate::{Hardware, Interrupt, PlatformError, poll_until};

/// To write or read what isn't memory: some 20 MB, most of it the display's.
const TRANSFER_LIMIT: Duration = Duration::from_secs(60);

/// How often QEMU is asked how far it is. It takes a tenth of a second.
const TRANSFER_POLL: Duration = Duration::from_millis(10);

/// A machine as it was at one moment: files from which other machines start.
///
/// They must not change while a fork lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedState {
    /// Where all of it is.
    pub directory: PathBuf,
    /// What the machine consisted of; a fork consists of the same.
    pub hardware: Hardware,
}

impl SavedState {
    /// The guest's memory.
    pub(super) fn memory(&self) -> PathBuf {
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

/// Stops the machine and writes what isn't memory. The machine is of no use after that.
pub(super) async fn save(qmp: &Qmp, state: &SavedState) -> Result<(), PlatformError> {
    qmp.execute(qmp::stop {}).await?;
    leave_memory_alone(qmp).await?;
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
        Ok(Ok(())) => Ok(()),
        Ok(Err(why)) => Err(PlatformError::infra(format!("qemu can't write its state: {why}"))),
        Err(error) => Err(PlatformError::infra(error.to_string())),
    }
}

/// Reads what isn't memory into a QEMU that waits for it, and lets the machine run.
pub(super) async fn resume(qmp: &Qmp, state: &SavedState) -> Result<(), PlatformError> {
    leave_memory_alone(qmp).await?;
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

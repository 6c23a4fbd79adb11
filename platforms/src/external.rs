//! A machine that already exists, reached by SSH only.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    Accelerator, Capability, Interrupter, Machine, MachineExit, MachineSpec, Platform,
    PlatformError, WaitError,
};

/// The platform of one existing machine. It has no console, no power control and no fresh boots: scenarios that need
/// them are skipped with that reason.
#[derive(Clone, Debug)]
pub struct External {
    address: SocketAddr,
}

impl External {
    /// The machine whose SSH server listens at `address`.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }
}

#[async_trait]
impl Platform for External {
    fn name(&self) -> &'static str {
        "external"
    }

    fn capabilities(&self) -> &[Capability] {
        &[]
    }

    fn slowness(&self) -> u32 {
        // Nothing is known about the machine. Bare metal may take minutes in its firmware, so limits are generous.
        4
    }

    fn accelerator(&self) -> Option<Accelerator> {
        None
    }

    async fn start(&self, spec: MachineSpec) -> Result<Box<dyn Machine>, PlatformError> {
        Ok(Box::new(ExternalMachine {
            name: spec.name,
            address: self.address,
            interrupter: Interrupter::new(),
        }))
    }
}

struct ExternalMachine {
    name: String,
    address: SocketAddr,
    interrupter: Interrupter,
}

fn unsupported<T>(what: &str) -> Result<T, PlatformError> {
    Err(PlatformError::infra(format!("an external machine can't be {what} by wheeltap")))
}

#[async_trait]
impl Machine for ExternalMachine {
    fn name(&self) -> &str {
        &self.name
    }

    fn interrupter(&self) -> &Interrupter {
        &self.interrupter
    }

    fn ssh_address(&self) -> SocketAddr {
        self.address
    }

    fn host_address(&self) -> Option<IpAddr> {
        // What lies between it and this host isn't known.
        None
    }

    fn console_log(&self) -> Option<&Path> {
        None
    }

    fn resets(&self) -> u32 {
        0
    }

    fn expect_exit(&self) {}

    async fn power_button(&self) -> Result<(), PlatformError> {
        unsupported("powered down")
    }

    async fn reset(&self) -> Result<(), PlatformError> {
        unsupported("reset")
    }

    async fn pause(&self) -> Result<(), PlatformError> {
        unsupported("paused")
    }

    async fn resume(&self) -> Result<(), PlatformError> {
        unsupported("resumed")
    }

    async fn status(&self) -> Result<String, PlatformError> {
        Ok("external".to_owned())
    }

    async fn save(&self) -> Result<crate::qemu::SavedState, PlatformError> {
        unsupported("saved")
    }

    async fn screenshot(&self, _file: &Path) -> Result<(), PlatformError> {
        unsupported("photographed")
    }

    async fn wait_exit(&self, _limit: Duration) -> Result<MachineExit, WaitError> {
        Err(WaitError::Interrupted {
            what: "the machine to end".into(),
            why: crate::Interruption::MachineExited {
                how: "the end of an external machine can't be seen".into(),
                by_guest: false,
            },
        })
    }

    async fn destroy(&self) -> Result<(), PlatformError> {
        // It was there before the run, and stays.
        Ok(())
    }
}

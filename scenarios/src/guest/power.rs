//! Reboots and power: each ends an epoch.

use std::time::Duration;

use wheeltap_platforms::{MachineExit, poll_until};

use super::Guest;
use crate::{
    check,
    failure::{Failure, Phase, Result},
};

/// How often the machine is asked whether it was reset. Costs the guest nothing.
const RESET_POLL: Duration = Duration::from_millis(100);

impl Guest {
    /// Reboots by the guest's own means, and gives the guest of the next epoch.
    pub async fn reboot(self) -> Result<Self> {
        let limit = self.limits().reboot();
        self.come_back_after("sudo -n systemctl reboot", "a reset after `systemctl reboot`", limit)
            .await
    }

    /// Resets the machine hard, and gives the guest of the next epoch.
    pub async fn reset(self) -> Result<Self> {
        let resets = self.live.machine().resets();
        self.live.machine().reset().await?;
        let limit = self.limits().command();
        self.next_epoch(resets, "a reset", limit).await
    }

    /// Runs a root command that makes the machine reset, and gives the guest of the next epoch.
    ///
    /// `reset_limit` is how long it may take from the command to the reset; the boot after it has a limit of its own.
    ///
    /// # Errors
    /// A command that ends with an error before the machine is gone is one; a connection that is lost is not.
    pub async fn come_back_after(
        self,
        command: &str,
        what: &str,
        reset_limit: Duration,
    ) -> Result<Self> {
        let resets = self.live.machine().resets();
        match self.try_sudo(command).await {
            Ok(run) => {
                run.checked()?;
            }
            // The guest dies in the middle of the command, so its answer may be lost.
            Err(failure) if failure.kind == "ssh" => {}
            Err(failure) => return Err(failure),
        }
        self.next_epoch(resets, what, reset_limit).await
    }

    async fn next_epoch(self, resets: u32, what: &str, reset_limit: Duration) -> Result<Self> {
        let Self { live, boot_id, connection, .. } = self;
        let limit = live.limits().reboot();
        live.end_epoch();
        drop(connection);
        if live.sees_resets() {
            poll_until(what, reset_limit, RESET_POLL, live.interrupt(), async || {
                if live.machine().resets() > resets { Ok(()) } else { Err("no reset so far") }
            })
            .await?;
        }
        live.observer().phase(Phase::Reach);
        // Without sight of resets, the old epoch may still answer for a while; only the boot id tells.
        let guest = loop {
            let guest = live.reach(limit).await?;
            if guest.boot_id != boot_id || live.sees_resets() {
                break guest;
            }
            drop(guest);
            tokio::time::sleep(live.limits().poll()).await;
        };
        check!(
            guest.boot_id != boot_id,
            "the machine was reset, but the boot id is still {boot_id}"
        );
        live.observer().phase(Phase::Act);
        Ok(guest)
    }

    /// Powers off by the guest's own means, and says how the machine ended.
    pub async fn power_off(self) -> Result<MachineExit> {
        self.live.machine().expect_exit();
        let limit = self.limits().reboot();
        match self.try_sudo("systemctl poweroff").await {
            Ok(run) => {
                run.checked()?;
            }
            Err(failure) if failure.kind == "ssh" => {}
            Err(failure) => return Err(failure),
        }
        self.live.machine().wait_exit(limit).await.map_err(Failure::from)
    }
}

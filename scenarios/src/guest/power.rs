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
        self.come_back_after("systemctl reboot", "a reset after `systemctl reboot`", limit).await
    }

    /// Resets the machine hard, and gives the guest of the next epoch.
    pub async fn reset(self) -> Result<Self> {
        let before = self.live.machine().resets();
        self.live.machine().reset().await?;
        self.wait_for_reset(before, "a reset", self.limits().command()).await?;
        self.next_epoch().await
    }

    /// Runs a root command that makes the machine reset, and gives the guest of the next epoch.
    ///
    /// `limit` is how long it may take from the command to the reset; the boot after it has a limit of its own.
    ///
    /// # Errors
    /// A command that fails before the machine is gone is an error; one that never answers is not, if the reset comes.
    pub async fn come_back_after(self, command: &str, what: &str, limit: Duration) -> Result<Self> {
        self.reset_by(command, what, limit).await?;
        self.next_epoch().await
    }

    /// Reboots into a version that is not expected to come up, and gives the guest of the version before it: the one that
    /// the boot loader fell back to.
    pub async fn reboot_and_roll_back(self) -> Result<Self> {
        let limit = self.limits().rollback();
        self.reset_by("systemctl reboot", "a reset after `systemctl reboot`", limit).await?;
        self.epoch_within(limit).await
    }

    async fn reset_by(&self, command: &str, what: &str, limit: Duration) -> Result {
        let before = self.live.machine().resets();
        let reset = self.wait_for_reset(before, what, limit);
        let commanded = async {
            match self.try_sudo(command).await {
                Ok(run) => run.checked().map(drop),
                // The guest dies in the middle of the command, so its answer may be lost.
                Err(failure) if failure.kind == "ssh" => Ok(()),
                Err(failure) => Err(failure),
            }
        };
        tokio::pin!(commanded, reset);
        tokio::select! {
            result = &mut reset => result,
            result = &mut commanded => {
                result?;
                reset.await
            }
        }
    }

    /// Waits until the machine was reset once more than `before` times. Ends at once where resets can't be seen.
    async fn wait_for_reset(&self, before: u32, what: &str, limit: Duration) -> Result {
        if !self.live.sees_resets() {
            return Ok(());
        }
        let machine = self.live.machine();
        poll_until(what, limit, RESET_POLL, self.interrupt(), async || {
            if machine.resets() > before { Ok(()) } else { Err("no reset so far") }
        })
        .await?;
        Ok(())
    }

    async fn next_epoch(self) -> Result<Self> {
        let limit = self.limits().reboot();
        self.epoch_within(limit).await
    }

    async fn epoch_within(self, limit: Duration) -> Result<Self> {
        let Self { live, boot_id, connection, .. } = self;
        live.end_epoch();
        drop(connection);
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

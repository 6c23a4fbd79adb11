//! The guest's own update client.

use wheeltap_platforms::{Class, ssh::quote};

use super::{Guest, UpdateAttempt, UpdateStatus};
use crate::{
    failure::{Failure, Result},
    profile::Update,
};

impl Guest {
    /// What the update client says about itself.
    pub async fn update_status(&self) -> Result<UpdateStatus> {
        let client = &self.update_facts()?.client;
        UpdateStatus::parse(&self.sudo(&format!("{client} -status")).await?)
    }

    /// Asks the update client to look for an update, which returns before it has. What becomes of it is in the
    /// [`UpdateAttempt`].
    pub async fn check_for_update(&self) -> Result<UpdateAttempt<'_>> {
        let attempt = self.watch_for_update().await?;
        let client = &self.update_facts()?.client;
        self.sudo(&format!("{client} -check_for_update")).await?;
        Ok(attempt)
    }

    /// Watches what the update client does from now on, for an attempt that it begins by itself.
    pub async fn watch_for_update(&self) -> Result<UpdateAttempt<'_>> {
        UpdateAttempt::begin(self, self.update_facts()?).await
    }

    /// Replaces the update client's config by these keys and values, and restarts its service. From then on the machine
    /// reboots only when the scenario wants it to: the reboot manager is masked.
    ///
    /// # Errors
    /// If the service does not start.
    pub async fn set_update_conf(&self, keys: &[(&str, &str)]) -> Result {
        let Update { service, reboot_manager, config, .. } = self.update_facts()?;
        let path = config.first().ok_or_else(|| no_facts("has no update config"))?;
        let content: String = keys.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        let present = self.unit(reboot_manager).await?.load;
        if present != "not-found" && present != "masked" {
            self.sudo(&format!("systemctl mask --now {}", quote(reboot_manager))).await?;
        }
        self.write(path, content.as_bytes(), 0o644).await?;
        // Several configs in a row are no reason to give up on the service, which systemd's limit of starts would be.
        let unit = quote(service);
        self.sudo(&format!("systemctl reset-failed {unit}; systemctl restart {unit}")).await?;
        self.wait_for_unit(service).await?;
        Ok(())
    }

    /// Takes back what [`set_update_conf`](Self::set_update_conf) wrote, so that the image's own config counts again.
    pub async fn remove_update_conf(&self) -> Result {
        let Update { service, config, .. } = self.update_facts()?;
        let path = config.first().ok_or_else(|| no_facts("has no update config"))?;
        let (path, unit) = (quote(path), quote(service));
        self.sudo(&format!("rm -f {path}; systemctl reset-failed {unit}; systemctl restart {unit}"))
            .await
            .map(drop)
    }

    /// Asks for an update as [`check_for_update`](Self::check_for_update) does, of a client that may well refuse to ask.
    pub async fn ask_a_client_that_may_refuse(&self) -> Result {
        let client = &self.update_facts()?.client;
        self.try_sudo(&format!("{client} -check_for_update")).await.map(drop)
    }

    /// Makes the update client trust payloads signed with this key (PEM, the public half), until the next reboot: lays it
    /// over the key in `/usr`, as kola does. Nothing happens where the image has the same key.
    pub async fn trust_payloads_of(&self, key: &str) -> Result {
        let facts = self.update_facts()?;
        let own = facts.payload_key.as_deref().ok_or_else(|| no_facts("names no payload key"))?;
        if self.read(own).await? == key.as_bytes() {
            return Ok(());
        }
        const KEY: &str = "/run/wheeltap-payload-key.pem";
        self.write(KEY, key.as_bytes(), 0o644).await?;
        self.sudo(&format!("mount --bind {KEY} {}", quote(own))).await.map(drop)
    }

    /// The version that runs, as os-release has it.
    pub async fn version(&self) -> Result<String> {
        let version = self.run(". /etc/os-release && echo \"$VERSION_ID\"").await?;
        Ok(version.trim().to_owned())
    }

    fn update_facts(&self) -> Result<&Update> {
        let facts = self.live.profile().update.as_ref();
        facts.ok_or_else(|| no_facts("has no update client"))
    }
}

fn no_facts(lack: &str) -> Failure {
    Failure::new(Class::Test, "no-updates", format!("the image's profile {lack}"))
}

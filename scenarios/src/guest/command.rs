//! Commands on the guest, and files to and from it.

use std::sync::Arc;

use wheeltap_platforms::{
    Class, Interrupt,
    ssh::{Command, Connection, Output, quote},
};

use crate::{
    failure::{Failure, Result},
    limits::Limits,
    live::LiveMachine,
};

/// A guest in one epoch: from one boot to the next. A handle from before a reboot can't be used after it.
///
/// Clones share the connection.
#[derive(Clone)]
pub struct Guest {
    pub(crate) live: Arc<LiveMachine>,
    pub(crate) connection: Connection,
    pub(crate) boot_id: String,
    /// The machine's epoch that this handle belongs to.
    pub(crate) epoch: u32,
}

/// What a command has left.
#[derive(Clone, Debug)]
pub struct Run {
    command: String,
    output: Output,
}

impl Run {
    /// Whether it exited with 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.output.status.success()
    }

    /// Its standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        self.output.stdout_text().into_owned()
    }

    /// Its standard error as text, in one line, or how it ended if it said nothing.
    #[must_use]
    pub fn error_text(&self) -> String {
        let text = self.output.stderr_text();
        match text.trim() {
            "" => self.output.status.to_string(),
            text => text.to_owned(),
        }
    }

    /// Itself, if it exited with 0.
    ///
    /// # Errors
    /// Names the command, its exit status and the last line of its standard error; all of its output is the detail.
    pub fn checked(self) -> Result<Self> {
        if self.success() {
            return Ok(self);
        }
        let stderr = self.output.stderr_text();
        let last = stderr.lines().rev().find(|line| !line.trim().is_empty());
        let last = last.map(|line| format!(": {}", line.trim())).unwrap_or_default();
        let headline = format!("`{}` ended with {}{last}", self.command, self.output.status);
        Err(Failure::new(Class::Product, "command", headline)
            .with_detail(&self.output.stdout_text())
            .with_detail(&stderr))
    }
}

impl Guest {
    /// The boot id of this epoch (`/proc/sys/kernel/random/boot_id`).
    #[must_use]
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// Time limits for this guest.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.live.limits()
    }

    /// What ends every wait on this machine.
    #[must_use]
    pub fn interrupt(&self) -> &Interrupt {
        self.live.interrupt()
    }

    /// Runs a command in the default user's login shell, and gives its standard output.
    ///
    /// # Errors
    /// If it exits with anything but 0.
    pub async fn run(&self, command: &str) -> Result<String> {
        Ok(self.try_run(command).await?.checked()?.text())
    }

    /// Runs a command as root, and gives its standard output.
    ///
    /// # Errors
    /// If it exits with anything but 0.
    pub async fn sudo(&self, command: &str) -> Result<String> {
        Ok(self.try_sudo(command).await?.checked()?.text())
    }

    /// Runs a command as root, however it ends.
    pub async fn try_sudo(&self, command: &str) -> Result<Run> {
        self.exec(command, &format!("sudo -n sh -c {}", quote(command))).await
    }

    /// Runs a command, however it ends.
    pub async fn try_run(&self, command: &str) -> Result<Run> {
        self.exec(command, command).await
    }

    /// The content of a file that root can read.
    pub async fn read(&self, path: &str) -> Result<Vec<u8>> {
        self.refuse_stale(path)?;
        Ok(self.connection.download(path, true).await?)
    }

    /// Makes or replaces a file as root, with permission bits as `0o644`.
    pub async fn write(&self, path: &str, content: &[u8], mode: u32) -> Result {
        self.refuse_stale(path)?;
        Ok(self.connection.upload(path, content, mode, true).await?)
    }

    fn refuse_stale(&self, what: &str) -> Result {
        if self.epoch == self.live.epoch() {
            return Ok(());
        }
        let headline = format!("`{what}` was asked of a guest from before a reboot");
        Err(Failure::new(Class::Test, "stale-guest", headline))
    }

    async fn exec(&self, shown: &str, line: &str) -> Result<Run> {
        self.refuse_stale(shown)?;
        let command = Command::new(line, self.limits().command());
        let output = self.connection.exec(command).await?;
        Ok(Run { command: shown.to_owned(), output })
    }

    /// Whether a console line that the scenario expects has been seen.
    #[must_use]
    pub fn saw_expected(&self, rule: &str) -> bool {
        self.live.saw_expected(rule)
    }

    /// The ways to log in that the SSH server offers to the default user.
    pub async fn offered_logins(&self) -> Result<Vec<String>> {
        let connector = self.live.connector();
        Ok(connector.offered_methods(self.limits().command(), self.interrupt()).await?)
    }
}

//! How SSH fails.

use std::{io, net::SocketAddr, path::PathBuf};

use super::{ExitStatus, HostKey};
use crate::{Class, Interruption, WaitError};

/// How SSH fails.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// The wait ended first: by its deadline, or by an interruption of the machine.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// This attempt to connect failed; a later one may not.
    #[error("no SSH connection to {address}: {last}")]
    Unreachable {
        /// Where the machine was expected.
        address: SocketAddr,
        /// What went wrong, as a phrase.
        last: String,
    },
    /// The server answered, and said no to the key.
    #[error(
        "the guest at {address} refuses our SSH key for user {user}{}; check that the config gives {user} the key",
        times(*.attempts)
    )]
    AuthRejected {
        /// Where.
        address: SocketAddr,
        /// The user that was to log in.
        user: String,
        /// How many times in a row the server said so.
        attempts: u32,
    },
    /// Another host key than at the first contact.
    #[error(
        "the SSH host key of {address} changed from {pinned} to {found}; host keys must survive a reboot, so either the \
         guest lost its state or another machine answers"
    )]
    HostKeyChanged {
        /// Where.
        address: SocketAddr,
        /// The key seen first.
        pinned: HostKey,
        /// The key seen now.
        found: HostKey,
    },
    /// The connection ended in the middle of a command. Expected when the command reboots the guest.
    #[error("the SSH connection was lost while running `{command}`: {how}")]
    Lost {
        /// The command, shortened.
        command: String,
        /// What was seen.
        how: String,
    },
    /// The server refused to start a command on a connection that still works.
    #[error("the SSH server did not run `{command}`: {how}")]
    NotStarted {
        /// The command, shortened.
        command: String,
        /// The server's or libssh2's words.
        how: String,
    },
    /// The server does not let us listen on the guest.
    #[error(
        "the SSH server at {address} does not forward {} to us; check that sshd_config(5) says `AllowTcpForwarding yes` \
         on the guest{}",
        guest_port(*.port), if *port == 0 { "" } else { ", and that nothing else listens on that port there" }
    )]
    ForwardRefused {
        /// Where the server is.
        address: SocketAddr,
        /// The port on the guest, or 0 if the server was to choose one.
        port: u16,
    },
    /// The connection that carried a forward ended.
    #[error("the SSH connection that forwards port {port} of the guest was lost: {how}")]
    ForwardLost {
        /// The port on the guest.
        port: u16,
        /// What was seen.
        how: String,
    },
    /// A transfer's command failed on the guest.
    #[error("can't {action} {path} on the guest: {status}{}", reason(stderr))]
    Transfer {
        /// `write` or `read`.
        action: &'static str,
        /// The path on the guest.
        path: String,
        /// How the command ended.
        status: ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// A file on the guest is larger than what a download may bring.
    #[error("{path} on the guest is larger than the {limit} bytes that a download may have")]
    TooLarge {
        /// The path on the guest.
        path: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// A private key can't be used.
    #[error("can't use the SSH key {}: {why}", path.as_ref().map_or("of this run".into(), |path| path.display().to_string()))]
    BadKey {
        /// The file, or nothing for a key made by wheeltap.
        path: Option<PathBuf>,
        /// What is wrong, and what to do about it.
        why: String,
    },
    /// A file of ours can't be written.
    #[error("can't write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A worker thread is gone, which is a defect.
    #[error("an SSH worker thread ended without a result: {0}")]
    Worker(String),
}

fn guest_port(port: u16) -> String {
    if port == 0 { "a port of its choice".into() } else { format!("port {port} of the guest") }
}

fn times(attempts: u32) -> String {
    if attempts > 1 { format!(" (said {attempts} times)") } else { String::new() }
}

fn reason(stderr: &str) -> String {
    let stderr = stderr.trim();
    if stderr.is_empty() { String::new() } else { format!(": {stderr}") }
}

impl SshError {
    /// Whose fault it is, as far as the transport can tell. A scenario that knows better overrides it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            // A cancelled run, or a machine that QEMU or the provider took away, says nothing about the image. Neither
            // is a defect of ours, and of the four classes this is the one that is never blamed on the product.
            Self::Wait(WaitError::Interrupted {
                why: Interruption::Cancelled | Interruption::MachineExited { by_guest: false, .. },
                ..
            }) => Class::Infra,
            Self::Wait(
                WaitError::TimedOut { .. }
                | WaitError::Interrupted {
                    why: Interruption::FatalLine { .. } | Interruption::MachineExited { .. },
                    ..
                },
            )
            | Self::Unreachable { .. }
            | Self::AuthRejected { .. }
            | Self::HostKeyChanged { .. }
            | Self::Lost { .. }
            | Self::NotStarted { .. }
            | Self::ForwardLost { .. } => Class::Product,
            Self::Transfer { .. } | Self::TooLarge { .. } | Self::ForwardRefused { .. } => {
                Class::Test
            }
            Self::BadKey { .. } | Self::Write { .. } => Class::Infra,
            Self::Worker(_) => Class::Harness,
        }
    }

    /// Whether the connection ended in the middle of a command or a forward, as it does when the guest reboots.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::ForwardLost { .. })
    }
}

//! SSH to a guest, by libssh2.
//!
//! A [`Connector`] knows how to reach one machine. It gives [`Connection`]s, on which commands run one after another,
//! [`Follower`]s, each of which runs one long command, and [`Forward`]s, each of which leads from a port of the guest to
//! a server on the host. Each has a session of its own: libssh2 has one lock for each session, so streams that must not
//! wait for each other need sessions of their own.

mod carried;
mod connect;
mod error;
mod exec;
mod follow;
mod forward;
mod hostkey;
mod keys;
mod log;
mod transfer;
mod wire;

pub use connect::Connector;
pub use error::SshError;
pub use exec::{Command, Connection, ExitStatus, Output};
pub use follow::Follower;
pub use forward::Forward;
pub use hostkey::{HostKey, HostKeyPin};
pub use keys::{RunKey, SshKey, UserKey};
pub use log::SshLog;
pub use transfer::quote;

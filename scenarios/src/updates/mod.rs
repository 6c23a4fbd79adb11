//! The update server: answers update clients in the Omaha protocol, and misbehaves when told to.
//!
//! [`UpdateServer::start`] offers [`Release`]s on an address of this host. Whatever clients ask and report is kept, in
//! order ([`UpdateServer::requests`], [`UpdateServer::events`]), and [`UpdateServer::misbehave`] makes the server fail in
//! one of the ways that real ones do.

mod answer;
mod door;
mod error;
mod log;
mod misbehaviour;
mod range;
mod release;
mod reply;
mod served;
mod server;
mod site;
mod tls;
mod transfer;
mod version;
mod wire;

pub use error::UpdateServerError;
pub use misbehaviour::{Misbehaviour, Scope, Trouble};
pub use release::{PackageFile, Release};
pub use served::{Asked, ReportedEvent, Served};
pub use server::UpdateServer;
pub use tls::{Authority, TlsError, TlsIdentity};
pub use version::{BadVersion, Version};

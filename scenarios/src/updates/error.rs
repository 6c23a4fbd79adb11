//! Why the update server can't do what was asked.

use std::{io, net::SocketAddr, path::PathBuf};

/// The update server can't do what was asked. Every message is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub enum UpdateServerError {
    /// Another program listens there.
    #[error(
        "{address} is in use by another program; give another port, or port 0 for any free one"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The address belongs to no interface.
    #[error("this host has no address {}; give one of its own, such as 127.0.0.1", address.ip())]
    NoSuchAddress {
        /// The address.
        address: SocketAddr,
    },
    /// The system refuses to listen there.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A payload isn't there.
    #[error("there is no payload {}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A payload is a directory, a device or the like.
    #[error("{} is not a file, and only a file can be a payload", path.display())]
    NotAFile {
        /// What was given.
        path: PathBuf,
    },
    /// A payload has no content, which clients refuse.
    #[error("{} is empty, and no update client takes an empty payload", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A payload can't be read.
    #[error("the payload {} can't be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file name that can't stand in a URL as it is. The protocol has no escaping for it.
    #[error(
        "{} has a name that doesn't fit into a URL; rename it to letters, digits and any of . _ + - @",
        path.display()
    )]
    BadName {
        /// The file.
        path: PathBuf,
    },
    /// Two different files would have the same URL.
    #[error("{} and {} have the same name and different contents; rename one", one.display(), other.display())]
    SameName {
        /// The one.
        one: PathBuf,
        /// The other.
        other: PathBuf,
    },
}

impl UpdateServerError {
    /// What the system said about listening on `address`, in words that help.
    pub(super) fn listen(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address },
            io::ErrorKind::AddrNotAvailable => Self::NoSuchAddress { address },
            _ => Self::Listen { address, source },
        }
    }
}

//! What the machines of a run can be updated to.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use crate::updates::Version;

/// Where the updates of a run come from.
#[derive(Clone, Debug)]
pub enum Updates {
    /// There are none, for this reason.
    None(String),
    /// From a server that exists and offers what it likes: its URL as guests see it.
    Server(String),
    /// From servers of our own, one for each scenario.
    Own(Box<Targets>),
}

/// Payloads to update to, and the key to sign others with.
#[derive(Clone, Debug)]
pub struct Targets {
    /// The version to update to.
    pub next: Payload,
    /// The image's own version, as an update.
    pub back: Payload,
    /// The next version with a defect in its `/usr`, so that its userspace starts and never gets good.
    pub never_good: Option<Payload>,
    /// The key pair that payloads made here are signed with, as PEM files.
    pub key: KeyPair,
}

/// A key pair as PEM files.
#[derive(Clone)]
pub struct KeyPair {
    /// PKCS#8 or PKCS#1.
    pub private: String,
    /// What update_engine reads.
    pub public: String,
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

/// An update payload.
#[derive(Clone, Debug)]
pub struct Payload {
    /// A CrAU file.
    pub path: PathBuf,
    /// The version that it leads to, where that is known.
    pub version: Option<Version>,
    /// The digest of the image that it was made of; none if it wasn't made here.
    pub image: Option<String>,
    /// Who signed it.
    pub signer: Signer,
}

/// Whose signature a payload has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// Whoever the image trusts as it is.
    Vendor,
    /// [`Targets::key`], which the guest is made to trust.
    Us,
}

/// What a scenario needs to be updated to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateNeed {
    /// Nothing.
    None,
    /// Any server with an update.
    AnyServer,
    /// A server of ours, which says what it was asked and misbehaves when told to.
    OwnServer,
    /// Also a payload whose userspace never gets good.
    NeverGood,
}

impl Updates {
    /// Why these updates are not what a scenario needs, if they aren't.
    #[must_use]
    pub fn unmet(&self, need: UpdateNeed) -> Option<String> {
        match (need, self) {
            (UpdateNeed::None, _) | (UpdateNeed::AnyServer, Self::Server(_)) => None,
            (_, Self::None(why)) => Some(format!("needs a version to update to, and {why}")),
            (_, Self::Server(_)) => Some(
                "needs an update server of its own, and --update-server names another".to_owned(),
            ),
            (UpdateNeed::NeverGood, Self::Own(targets)) if targets.never_good.is_none() => {
                Some("needs a version whose userspace never gets good, which wheeltap builds of the reference image only".to_owned())
            }
            (_, Self::Own(_)) => None,
        }
    }
}

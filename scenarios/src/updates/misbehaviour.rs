//! How a server can fail its clients.

use std::fmt;

use serde::Serialize;

/// One way in which the server fails its clients.
///
/// A payload with a wrong signature, or none, is not among them: that is another payload, to be offered as a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Misbehaviour {
    /// The server is gone: open connections are reset and new ones refused. It stays gone until
    /// [`behave`](super::UpdateServer::behave); scope and number of times mean nothing.
    Down,
    /// Bodies trickle.
    Slow {
        /// Bytes per second, at least 1.
        bytes_per_second: u64,
    },
    /// The connection is reset in the middle of a body. A shorter body is complete.
    ResetAfter {
        /// Bytes of the body before that. Those that the client has not read by then may be lost.
        bytes: u64,
    },
    /// The connection ends in good order in the middle of a body, of which more was announced. A shorter body is complete.
    Truncated {
        /// Bytes of the body before that.
        bytes: u64,
    },
    /// A body stops, and the connection stays open.
    StallAfter {
        /// Bytes of the body before that.
        bytes: u64,
    },
    /// One bit of a package is flipped on its way.
    Corrupt {
        /// Which byte of the file holds it.
        offset: u64,
    },
    /// Range requests are answered with the whole file.
    NoRanges,
    /// The manifest says that packages are one byte longer than they are.
    WrongSize,
    /// The manifest has wrong digests: SHA-1, SHA-256, and that of the postinstall action.
    WrongHash,
    /// An answer with this HTTP status.
    HttpStatus {
        /// From 400 to 599; anything else becomes 500.
        status: u16,
    },
    /// The answer to an update check is not XML.
    GarbageXml,
    /// An HTTP redirect (302).
    Redirect {
        /// The `Location` header, as it is.
        to: String,
    },
}

/// Which requests meet with a misbehaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those that ask for an update.
    Checks,
    /// Those that report something and don't ask.
    Reports,
    /// Those for packages.
    Downloads,
    /// All of them.
    Everything,
}

/// A misbehaviour, where it shows and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    misbehaviour: Misbehaviour,
    scope: Scope,
    left: Option<u64>,
}

impl Misbehaviour {
    /// Only for these requests; see [`Trouble::on`].
    #[must_use]
    pub fn on(self, scope: Scope) -> Trouble {
        Trouble::from(self).on(scope)
    }

    /// Only so many times; see [`Trouble::times`].
    #[must_use]
    pub fn times(self, times: u64) -> Trouble {
        Trouble::from(self).times(times)
    }

    /// Where it shows unless something else is said.
    fn usual_scope(&self) -> Scope {
        match self {
            Self::WrongSize | Self::WrongHash | Self::GarbageXml => Scope::Checks,
            Self::Slow { .. }
            | Self::ResetAfter { .. }
            | Self::Truncated { .. }
            | Self::StallAfter { .. }
            | Self::Corrupt { .. }
            | Self::NoRanges => Scope::Downloads,
            Self::Down | Self::HttpStatus { .. } | Self::Redirect { .. } => Scope::Everything,
        }
    }
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("down"),
            Self::Slow { bytes_per_second } => write!(f, "slow, {bytes_per_second} B/s"),
            Self::ResetAfter { bytes } => write!(f, "reset after {bytes} B"),
            Self::Truncated { bytes } => write!(f, "truncated after {bytes} B"),
            Self::StallAfter { bytes } => write!(f, "stalled after {bytes} B"),
            Self::Corrupt { offset } => write!(f, "corrupt at byte {offset}"),
            Self::NoRanges => f.write_str("no ranges"),
            Self::WrongSize => f.write_str("wrong size"),
            Self::WrongHash => f.write_str("wrong hash"),
            Self::HttpStatus { status } => write!(f, "HTTP {status}"),
            Self::GarbageXml => f.write_str("garbage XML"),
            Self::Redirect { to } => write!(f, "redirect to {to}"),
        }
    }
}

impl Trouble {
    /// Only for these requests. Without it, what is about bodies or packages shows in downloads, what is about manifests in
    /// update checks, and the rest everywhere.
    #[must_use]
    pub fn on(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// Only so many times: for the next `times` requests in scope.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { left: Some(times), ..self }
    }

    pub(super) fn is_down(&self) -> bool {
        self.misbehaviour == Misbehaviour::Down
    }

    /// What a request in `scope` meets with, if anything.
    fn strike(&mut self, scope: Scope) -> Option<Misbehaviour> {
        if self.scope != Scope::Everything && self.scope != scope {
            return None;
        }
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1)?;
        }
        Some(self.misbehaviour.clone())
    }
}

impl From<Misbehaviour> for Trouble {
    fn from(misbehaviour: Misbehaviour) -> Self {
        let scope = misbehaviour.usual_scope();
        Self { misbehaviour, scope, left: None }
    }
}

/// How a body ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The connection is reset.
    Reset,
    /// The connection is closed.
    Close,
    /// Nothing happens any more.
    Stall,
}

/// What one request meets with. Of two contradictory misbehaviours the one that was asked for first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conduct(pub(super) Vec<Misbehaviour>);

impl Conduct {
    /// What all troubles together mean for a request in `scope`.
    pub(super) fn of(troubles: &mut [Trouble], scope: Scope) -> Self {
        Self(troubles.iter_mut().filter_map(|trouble| trouble.strike(scope)).collect())
    }

    pub(super) fn has(&self, misbehaviour: &Misbehaviour) -> bool {
        self.0.contains(misbehaviour)
    }

    pub(super) fn status(&self) -> Option<u16> {
        self.0.iter().find_map(|it| match it {
            Misbehaviour::HttpStatus { status } if (400..600).contains(status) => Some(*status),
            Misbehaviour::HttpStatus { .. } => Some(500),
            _ => None,
        })
    }

    pub(super) fn redirect(&self) -> Option<&str> {
        self.0.iter().find_map(|it| match it {
            Misbehaviour::Redirect { to } => Some(to.as_str()),
            _ => None,
        })
    }

    /// Bytes per second.
    pub(super) fn pace(&self) -> Option<u64> {
        self.0.iter().find_map(|it| match it {
            Misbehaviour::Slow { bytes_per_second } => Some((*bytes_per_second).max(1)),
            _ => None,
        })
    }

    /// How a body ends, and after how many bytes.
    pub(super) fn end(&self) -> Option<(u64, End)> {
        self.0.iter().find_map(|it| match *it {
            Misbehaviour::ResetAfter { bytes } => Some((bytes, End::Reset)),
            Misbehaviour::Truncated { bytes } => Some((bytes, End::Close)),
            Misbehaviour::StallAfter { bytes } => Some((bytes, End::Stall)),
            _ => None,
        })
    }

    /// The byte of the file that is corrupted.
    pub(super) fn corrupt(&self) -> Option<u64> {
        self.0.iter().find_map(|it| match it {
            Misbehaviour::Corrupt { offset } => Some(*offset),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_strikes_where_and_as_often_as_was_said() {
        let mut troubles = [
            Misbehaviour::HttpStatus { status: 503 }.on(Scope::Checks).times(1),
            Misbehaviour::Slow { bytes_per_second: 10 }.into(),
        ];
        let mut status = |scope| Conduct::of(&mut troubles, scope).status();
        assert_eq!(status(Scope::Reports), None);
        assert_eq!(status(Scope::Downloads), None);
        assert_eq!(status(Scope::Checks), Some(503));
        assert_eq!(status(Scope::Checks), None);
        assert_eq!(Conduct::of(&mut troubles, Scope::Downloads).pace(), Some(10));
        assert_eq!(Conduct::of(&mut troubles, Scope::Checks), Conduct::default());
    }

    #[test]
    fn several_troubles_add_up_and_the_first_of_a_kind_counts() {
        let mut troubles = [
            Misbehaviour::Slow { bytes_per_second: 0 }.into(),
            Misbehaviour::Truncated { bytes: 7 }.into(),
            Misbehaviour::ResetAfter { bytes: 3 }.into(),
            Misbehaviour::HttpStatus { status: 200 }.into(),
        ];
        let conduct = Conduct::of(&mut troubles, Scope::Downloads);
        assert_eq!(conduct.pace(), Some(1));
        assert_eq!(conduct.end(), Some((7, End::Close)));
        assert_eq!(conduct.status(), Some(500));
    }
}

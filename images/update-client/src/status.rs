//! What `update_engine_client -status` shows.

use std::fmt;

/// What the engine is doing, in update_engine's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Idle,
    CheckingForUpdate,
    UpdateAvailable,
    Downloading,
    Verifying,
    Finalizing,
    UpdatedNeedReboot,
    ReportingErrorEvent,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "UPDATE_STATUS_IDLE",
            Self::CheckingForUpdate => "UPDATE_STATUS_CHECKING_FOR_UPDATE",
            Self::UpdateAvailable => "UPDATE_STATUS_UPDATE_AVAILABLE",
            Self::Downloading => "UPDATE_STATUS_DOWNLOADING",
            Self::Verifying => "UPDATE_STATUS_VERIFYING",
            Self::Finalizing => "UPDATE_STATUS_FINALIZING",
            Self::UpdatedNeedReboot => "UPDATE_STATUS_UPDATED_NEED_REBOOT",
            Self::ReportingErrorEvent => "UPDATE_STATUS_REPORTING_ERROR_EVENT",
        })
    }
}

/// The whole status. Displayed, it is what the command prints.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Status {
    /// When a server last answered a check, in seconds since 1970; 0 for never.
    pub(crate) last_checked: u64,
    /// How much of the payload is here, from 0 to 1.
    pub(crate) progress: f64,
    pub(crate) operation: Operation,
    /// The version on offer.
    pub(crate) new_version: String,
    /// Size of the payload on offer, in bytes.
    pub(crate) new_size: u64,
}

impl Status {
    /// Nothing on offer.
    pub(crate) fn new(operation: Operation) -> Self {
        Self { last_checked: 0, progress: 0.0, operation, new_version: "0.0.0".into(), new_size: 0 }
    }

    /// Back to a status with nothing on offer; when the last check was is kept.
    pub(crate) fn settle(&mut self, operation: Operation) {
        *self = Self { last_checked: self.last_checked, ..Self::new(operation) };
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { last_checked, progress, operation, new_version, new_size } = self;
        writeln!(f, "LAST_CHECKED_TIME={last_checked}")?;
        writeln!(f, "PROGRESS={progress:.6}")?;
        writeln!(f, "CURRENT_OP={operation}")?;
        writeln!(f, "NEW_VERSION={new_version}")?;
        writeln!(f, "NEW_SIZE={new_size}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_at_the_start() {
        insta::assert_snapshot!(Status::new(Operation::Idle), @"
        LAST_CHECKED_TIME=0
        PROGRESS=0.000000
        CURRENT_OP=UPDATE_STATUS_IDLE
        NEW_VERSION=0.0.0
        NEW_SIZE=0
        ");
    }

    #[test]
    fn status_of_a_download() {
        let mut status = Status {
            last_checked: 1_700_000_000,
            progress: 1.0 / 3.0,
            operation: Operation::Downloading,
            new_version: "4000.1.0".into(),
            new_size: 88_000_000,
        };
        insta::assert_snapshot!(status, @"
        LAST_CHECKED_TIME=1700000000
        PROGRESS=0.333333
        CURRENT_OP=UPDATE_STATUS_DOWNLOADING
        NEW_VERSION=4000.1.0
        NEW_SIZE=88000000
        ");
        status.settle(Operation::Idle);
        assert_eq!(status, Status { last_checked: 1_700_000_000, ..Status::new(Operation::Idle) });
    }
}

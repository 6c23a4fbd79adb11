//! What the update client says about itself.

use std::fmt;

use crate::failure::{Failure, Result};

/// What `update_engine_client -status` prints, one `KEY=VALUE` on a line (flatcar/update_engine,
/// `update_engine_client.cc`).
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateStatus {
    /// When a server last answered a check, in seconds since 1970; 0 for never.
    pub last_checked: u64,
    /// How much of the payload has been fetched, from 0 to 1.
    pub progress: f64,
    /// What it is doing.
    pub operation: Operation,
    /// The version on offer; `0.0.0` if there is none, and empty if the server didn't say.
    pub new_version: String,
    /// Size of the payload on offer, in bytes.
    pub new_size: u64,
}

/// What the update service is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Nothing; also after an update that failed.
    Idle,
    /// It asks the server.
    CheckingForUpdate,
    /// There is an update.
    UpdateAvailable,
    /// It fetches and writes it.
    Downloading,
    /// It checks what it has written.
    Verifying,
    /// It prepares the next boot.
    Finalizing,
    /// The update is in its slot, and the next boot is its.
    UpdatedNeedReboot,
    /// It tells the server why an update failed.
    ReportingErrorEvent,
    /// Something that only a newer client does, in its words.
    Other(String),
}

impl UpdateStatus {
    /// Reads what the client has printed. Lines that are not about the status are passed over.
    ///
    /// # Errors
    /// If `CURRENT_OP` is missing, or a number is none.
    pub fn parse(printed: &str) -> Result<Self> {
        let value = |key: &str| {
            let pairs = printed.lines().filter_map(|line| line.split_once('='));
            pairs.rev().find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
        };
        let operation = value("CURRENT_OP").filter(|operation| !operation.is_empty());
        let operation = operation.ok_or_else(|| {
            Failure::check("the update client's status has no line CURRENT_OP=…")
                .with_detail(printed)
        })?;
        Ok(Self {
            last_checked: number("LAST_CHECKED_TIME", value("LAST_CHECKED_TIME"))?,
            progress: number("PROGRESS", value("PROGRESS"))?,
            operation: Operation::named(operation),
            new_version: value("NEW_VERSION").unwrap_or_default().to_owned(),
            new_size: number("NEW_SIZE", value("NEW_SIZE"))?,
        })
    }
}

fn number<T: std::str::FromStr + Default>(key: &str, value: Option<&str>) -> Result<T> {
    let Some(value) = value else { return Ok(T::default()) };
    value.parse().map_err(|_| {
        Failure::check(format!("the update client's status has {key}={value}, which is no number"))
    })
}

impl Operation {
    /// By the client's word for it, such as `UPDATE_STATUS_IDLE`.
    fn named(name: &str) -> Self {
        match name.strip_prefix("UPDATE_STATUS_").unwrap_or(name) {
            "IDLE" => Self::Idle,
            "CHECKING_FOR_UPDATE" => Self::CheckingForUpdate,
            "UPDATE_AVAILABLE" => Self::UpdateAvailable,
            "DOWNLOADING" => Self::Downloading,
            "VERIFYING" => Self::Verifying,
            "FINALIZING" => Self::Finalizing,
            "UPDATED_NEED_REBOOT" => Self::UpdatedNeedReboot,
            "REPORTING_ERROR_EVENT" => Self::ReportingErrorEvent,
            _ => Self::Other(name.to_owned()),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::CheckingForUpdate => "checking for an update",
            Self::UpdateAvailable => "about to download an update",
            Self::Downloading => "downloading",
            Self::Verifying => "verifying",
            Self::Finalizing => "finalizing",
            Self::UpdatedNeedReboot => "done, and needs a reboot",
            Self::ReportingErrorEvent => "reporting an error",
            Self::Other(name) => name,
        })
    }
}

/// `downloading 4000.1.0 (33 % of 88000000 bytes)`.
impl fmt::Display for UpdateStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { progress, operation, new_version, new_size, .. } = self;
        write!(f, "{operation}")?;
        if *operation == Operation::Downloading {
            write!(f, " {new_version} ({:.0} % of {new_size} bytes)", progress * 100.0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    const DOWNLOADING: &str = "LAST_CHECKED_TIME=1700000000\nPROGRESS=0.333333\n\
        CURRENT_OP=UPDATE_STATUS_DOWNLOADING\nNEW_VERSION=4000.1.0\nNEW_SIZE=88000000\n";

    #[test]
    fn a_download() {
        let status = UpdateStatus::parse(DOWNLOADING).unwrap();
        let expected = UpdateStatus {
            last_checked: 1_700_000_000,
            progress: 0.333_333,
            operation: Operation::Downloading,
            new_version: "4000.1.0".into(),
            new_size: 88_000_000,
        };
        assert_eq!(status, expected);
        assert_eq!(status.to_string(), "downloading 4000.1.0 (33 % of 88000000 bytes)");
        // In any order, with lines of a log in between.
        let mut lines: Vec<_> = DOWNLOADING.lines().rev().collect();
        lines.insert(2, "I1124 22:19:14.123456  812 update_engine_client.cc:213] Querying status");
        assert_eq!(UpdateStatus::parse(&lines.join("\r\n")).unwrap(), expected);
    }

    #[test_case("UPDATE_STATUS_IDLE", "idle")]
    #[test_case("UPDATE_STATUS_CHECKING_FOR_UPDATE", "checking for an update")]
    #[test_case("UPDATE_STATUS_UPDATE_AVAILABLE", "about to download an update")]
    #[test_case("UPDATE_STATUS_VERIFYING", "verifying")]
    #[test_case("UPDATE_STATUS_FINALIZING", "finalizing")]
    #[test_case("UPDATE_STATUS_UPDATED_NEED_REBOOT", "done, and needs a reboot")]
    #[test_case("UPDATE_STATUS_REPORTING_ERROR_EVENT", "reporting an error")]
    #[test_case("UPDATE_STATUS_TASTING", "UPDATE_STATUS_TASTING"; "of the future")]
    fn operations(name: &str, shown: &str) {
        let status = UpdateStatus::parse(&format!("CURRENT_OP={name}\n")).unwrap();
        assert_eq!(status.to_string(), shown);
    }

    #[test_case("", "has no line CURRENT_OP=…"; "nothing")]
    #[test_case("CURRENT_OP=", "has no line CURRENT_OP=…"; "an empty operation")]
    #[test_case("CURRENT_OP=UPDATE_STATUS_IDLE\nNEW_SIZE=-1", "NEW_SIZE=-1, which is no number"; "a size below zero")]
    #[test_case("CURRENT_OP=UPDATE_STATUS_IDLE\nPROGRESS=most", "PROGRESS=most, which is no number"; "a word")]
    fn what_is_no_status(printed: &str, message: &str) {
        let failure = UpdateStatus::parse(printed).unwrap_err();
        assert!(failure.headline.contains(message), "{failure}");
    }

    proptest! {
        #[test]
        fn nothing_panics(printed in "(?s).{0,200}") {
            let _ = UpdateStatus::parse(&printed).map(|status| status.to_string());
        }

        #[test]
        fn no_value_panics(
            key in "LAST_CHECKED_TIME|PROGRESS|NEW_VERSION|NEW_SIZE|CURRENT_OP",
            value in ".{0,40}",
        ) {
            let printed = format!("CURRENT_OP=UPDATE_STATUS_DOWNLOADING\n{key}={value}\n");
            let _ = UpdateStatus::parse(&printed).map(|status| status.to_string());
        }
    }
}

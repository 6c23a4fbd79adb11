//! What a client reports: the stages of an update and how they ended.

use std::fmt;

use super::element::{Element, Value};
use super::error::OmahaError;
use super::error_code::ErrorCode;

/// An enum of numbers. Unknown ones are kept, so that nothing is lost between reading and writing.
macro_rules! numbers {
    ($(
        $(#[$doc:meta])*
        $name:ident, $what:literal {
            $($(#[$number_doc:meta])* $variant:ident = $number:literal $text:literal,)+
        }
    )*) => {$(
        $(#[$doc])*
        ///
        /// Make one from a number with `from`, so that a known number never ends up as `Other`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$number_doc])* $variant,)+
            /// Any other number.
            Other(i32),
        }

        impl $name {
            /// The number as it stands in a message.
            pub fn number(self) -> i32 {
                match self {
                    $(Self::$variant => $number,)+
                    Self::Other(number) => number,
                }
            }
        }

        impl From<i32> for $name {
            fn from(number: i32) -> Self {
                match number {
                    $($number => Self::$variant,)+
                    _ => Self::Other(number),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($text),)+
                    Self::Other(number) => write!(f, concat!($what, " {}"), number),
                }
            }
        }

        impl Value for $name {
            const EXPECTED: &'static str = "a whole number";

            fn read(text: &str) -> Option<Self> {
                i32::read(text).map(Self::from)
            }

            fn write(&self) -> String {
                self.number().write()
            }
        }
    )*};
}

numbers! {
    /// The stage that an event is about (numbers from go-omaha's `codes.go`).
    EventType, "event" {
        /// 0: not said.
        Unknown = 0 "unknown event",
        /// 1: the package is here.
        DownloadComplete = 1 "download complete",
        /// 2: a first installation is done.
        InstallComplete = 2 "install complete",
        /// 3: the update is done, or its result after the reboot.
        UpdateComplete = 3 "update complete",
        /// 4: the application was removed.
        Uninstall = 4 "uninstall",
        /// 5: the download of a first installation started.
        DownloadStarted = 5 "download started",
        /// 6: a first installation started.
        InstallStarted = 6 "install started",
        /// 9: a first installation of an application started.
        NewApplicationInstallStarted = 9 "new application install started",
        /// 10: the client sets itself up.
        SetupStarted = 10 "setup started",
        /// 11: the client is set up.
        SetupFinished = 11 "setup finished",
        /// 12: the update of an application started.
        UpdateApplicationStarted = 12 "update application started",
        /// 13: the download of an update started.
        UpdateDownloadStarted = 13 "update download started",
        /// 14: the download of an update is done.
        UpdateDownloadFinished = 14 "update download finished",
        /// 15: the installer of an update started.
        UpdateInstallerStarted = 15 "update installer started",
        /// 16: the client updates itself.
        SetupUpdateBegin = 16 "setup update begin",
        /// 17: the client is updated.
        SetupUpdateComplete = 17 "setup update complete",
        /// 20: a product is registered.
        RegisterProductComplete = 20 "register product complete",
        /// 30: the first check of a preinstalled client.
        OemInstallFirstCheck = 30 "OEM install first check",
        /// 40: a command of an application started.
        AppSpecificCommandStarted = 40 "app-specific command started",
        /// 41: a command of an application ended.
        AppSpecificCommandEnded = 41 "app-specific command ended",
        /// 100: the client could not be set up.
        SetupFailure = 100 "setup failure",
        /// 102: a COM server failed.
        ComServerFailure = 102 "COM server failure",
        /// 103: the client could not update itself.
        SetupUpdateFailure = 103 "setup update failure",
    }

    /// How a stage ended (numbers from go-omaha's `codes.go`).
    EventResult, "result" {
        /// 0: it failed; the error code says why.
        Error = 0 "error",
        /// 1: it succeeded.
        Success = 1 "success",
        /// 2: it succeeded, and the machine was rebooted.
        SuccessReboot = 2 "success after reboot",
        /// 3: it succeeded, and the browser was restarted.
        SuccessRestartBrowser = 3 "success after restart of the browser",
        /// 4: somebody stopped it.
        Cancelled = 4 "cancelled",
        /// 5: an MSI installer failed.
        ErrorInstallerMsi = 5 "error of the MSI installer",
        /// 6: another installer failed.
        ErrorInstallerOther = 6 "error of the installer",
        /// 7: there was no update.
        NoUpdate = 7 "no update",
        /// 8: the installer failed for want of something in the system.
        InstallerSystem = 8 "error of the installer's system",
        /// 9: the client puts the update off.
        UpdateDeferred = 9 "update deferred",
        /// 10: the client could not hand over.
        HandoffError = 10 "handoff error",
    }
}

/// One report of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The stage (`eventtype`).
    pub event_type: EventType,
    /// How it ended (`eventresult`).
    pub result: EventResult,
    /// Why it failed; update_engine leaves it out of plain successes only.
    pub error_code: Option<ErrorCode>,
    /// The version before the update; update_engine says `0.0.0.0` when there was none.
    pub previous_version: Option<String>,
    /// The version after the update.
    pub next_version: Option<String>,
}

impl Event {
    /// An event without the optional attributes.
    pub fn new(event_type: EventType, result: EventResult) -> Self {
        Self { event_type, result, error_code: None, previous_version: None, next_version: None }
    }

    pub(super) fn read(element: &Element) -> Result<Self, OmahaError> {
        Ok(Self {
            event_type: element.need("eventtype")?,
            result: element.need("eventresult")?,
            error_code: element.get("errorcode")?,
            previous_version: element.get("previousversion")?,
            next_version: element.get("nextversion")?,
        })
    }

    pub(super) fn element(&self) -> Element {
        Element::new("event")
            .with("eventtype", &self.event_type)
            .with("eventresult", &self.result)
            .maybe("errorcode", &self.error_code)
            .maybe("previousversion", &self.previous_version)
            .maybe("nextversion", &self.next_version)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.event_type, self.result)?;
        match self.error_code {
            Some(code) => write!(f, ", {code}"),
            None => Ok(()),
        }
    }
}

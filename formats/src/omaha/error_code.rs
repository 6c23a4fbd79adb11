//! The numbers with which update_engine says what went wrong.

use std::fmt;

use super::element::Value;

/// An error code of update_engine: a number below, with flags in the four highest bits.
///
/// Source: `action_processor.h` of flatcar/update_engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal $text:literal,)+) => {
        impl ErrorCode {
            $(
                #[doc = concat!($number, ": ", $text, ".")]
                pub const $name: Self = Self($number);
            )+

            /// What the number means, without the flags; `None` when nobody says.
            pub fn name(self) -> Option<&'static str> {
                match self.base() {
                    $($number => Some($text),)+
                    _ => None,
                }
            }
        }
    };
}

codes! {
    SUCCESS = 0 "success",
    ERROR = 1 "error",
    OMAHA_REQUEST = 2 "the Omaha request failed",
    RESPONSE_HANDLER = 3 "the response could not be handled",
    FILESYSTEM_COPIER = 4 "the file system could not be copied",
    POSTINSTALL = 5 "the postinstall step failed",
    INSTALL_DEVICE_OPEN = 7 "the target partition could not be opened",
    KERNEL_DEVICE_OPEN = 8 "the target kernel could not be opened",
    DOWNLOAD_TRANSFER = 9 "the download failed",
    PAYLOAD_HASH_MISMATCH = 10 "payload hash mismatch",
    PAYLOAD_SIZE_MISMATCH = 11 "payload size mismatch",
    PAYLOAD_VERIFICATION = 12 "the payload could not be verified",
    NEW_PARTITION_INFO = 13 "the new partition does not match its description",
    DOWNLOAD_WRITE = 14 "the download could not be written",
    NEW_ROOTFS_VERIFICATION = 15 "the new file system could not be verified",
    NEW_KERNEL_VERIFICATION = 16 "the new kernel could not be verified",
    SIGNED_DELTA_EXPECTED = 17 "the payload is not signed",
    PAYLOAD_PUB_KEY_VERIFICATION = 18 "the payload's signature does not fit the public key",
    STATE_INITIALIZATION = 20 "the update state could not be initialised",
    INVALID_METADATA_MAGIC = 21 "the payload does not start with CrAU",
    SIGNATURE_MISSING_IN_MANIFEST = 22 "the manifest names no signature",
    MANIFEST_PARSE = 23 "the manifest could not be parsed",
    METADATA_SIGNATURE_MISMATCH = 26 "metadata signature mismatch",
    OPERATION_HASH_VERIFICATION = 27 "an operation's hash could not be verified",
    OPERATION_EXECUTION = 28 "an operation failed",
    OPERATION_HASH_MISMATCH = 29 "operation hash mismatch",
    EMPTY_RESPONSE = 30 "the server's response is empty",
    XML_PARSE = 31 "the server's response is not XML",
    INVALID_METADATA_SIZE = 32 "the metadata has the wrong size",
    RESPONSE_INVALID = 34 "the server's response is invalid",
    IGNORED_PER_POLICY = 35 "the update was ignored as the policy says",
    DEFERRED_PER_POLICY = 36 "the update was deferred as the policy says",
    HTTP_RESPONSE = 37 "the server answered with an HTTP error",
    OPERATION_HASH_MISSING = 38 "an operation has no hash",
    DEFERRED_FOR_BACKOFF = 40 "the update was deferred after failures",
    NEW_PCR_POLICY_VERIFICATION = 42 "the new PCR policy could not be verified",
    PCR_POLICY_HTTP = 43 "the PCR policy server answered with an HTTP error",
    ROLLBACK = 44 "rollback",
    DOWNLOAD_INCOMPLETE = 100 "the download is incomplete",
}

/// Codes from here on hold the status of an HTTP answer.
const HTTP_BASE: u32 = 2000;

impl ErrorCode {
    /// Flag: the client is in developer mode.
    pub const DEVELOPER_MODE: u32 = 1 << 31;
    /// Flag: the update was resumed.
    pub const RESUMED: u32 = 1 << 30;
    /// Flag: the image is one for tests.
    pub const TEST_IMAGE: u32 = 1 << 29;
    /// Flag: the server is one for tests.
    pub const TEST_OMAHA_URL: u32 = 1 << 28;

    const FLAGS: u32 =
        Self::DEVELOPER_MODE | Self::RESUMED | Self::TEST_IMAGE | Self::TEST_OMAHA_URL;

    /// The code for an HTTP answer.
    pub fn from_http_status(status: u16) -> Self {
        Self(HTTP_BASE + u32::from(status))
    }

    /// The number without the flags.
    pub fn base(self) -> u32 {
        self.0 & !Self::FLAGS
    }

    /// The flags, as a set of the four constants.
    pub fn flags(self) -> u32 {
        self.0 & Self::FLAGS
    }

    /// The HTTP status in the code. update_engine reports 999 for one that makes no sense.
    pub fn http_status(self) -> Option<u16> {
        let status = self.base().checked_sub(HTTP_BASE)?;
        u16::try_from(status).ok().filter(|status| *status < 1000)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error code {}", self.base())?;
        match (self.name(), self.http_status()) {
            (Some(name), _) => write!(f, " ({name})")?,
            (None, Some(status)) => write!(f, " (HTTP status {status})")?,
            (None, None) => {}
        }
        let flags = [
            (Self::DEVELOPER_MODE, "developer mode"),
            (Self::RESUMED, "resumed"),
            (Self::TEST_IMAGE, "test image"),
            (Self::TEST_OMAHA_URL, "test server"),
        ];
        flags
            .iter()
            .filter(|(flag, _)| self.0 & flag != 0)
            .try_for_each(|(_, name)| write!(f, ", {name}"))
    }
}

impl Value for ErrorCode {
    const EXPECTED: &'static str = "a whole number of 32 bits";

    // update_engine prints its enum with %d, so that a code with the highest flag is negative.
    fn read(text: &str) -> Option<Self> {
        u32::read(text).or_else(|| i32::read(text).map(i32::cast_unsigned)).map(Self)
    }

    fn write(&self) -> String {
        self.0.cast_signed().write()
    }
}

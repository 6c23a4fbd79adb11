//! Why an update failed, in a sentence for the journal and in a number for the server.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use wheeltap_formats::omaha::{ErrorCode, OmahaError};
use wheeltap_formats::payload::{Part, PayloadError, Sha256Hash, SignatureError};

use crate::curl::TransferError;
use crate::download::DownloadError;
use crate::slots::{SlotError, ToolError};

/// An update failed. What it wrote is in a slot that doesn't boot.
#[derive(Debug, Error)]
pub(crate) enum UpdateError {
    #[error("Omaha request failed: {0}")]
    Request(TransferError),
    #[error("Omaha response is empty")]
    EmptyResponse,
    #[error("Omaha response cannot be read: {0}")]
    Response(OmahaError),
    #[error("Omaha response {0}")]
    Offer(String),
    #[error(transparent)]
    Slots(#[from] SlotError),
    #[error("cannot make {label} unbootable before it is written: {source}")]
    Disable { label: &'static str, source: ToolError },
    #[error("Failed to copy kernel from {} to {}: {source}", from.display(), to.display())]
    CopyKernel { from: PathBuf, to: PathBuf, source: io::Error },
    #[error("cannot open the {part} {}: {source}", path.display())]
    Open { part: Part, path: PathBuf, source: io::Error },
    #[error("cannot use the public key {path}: {problem}")]
    Key { path: &'static str, problem: String },
    #[error(transparent)]
    Download(#[from] DownloadError),
    #[error("payload refused: {0}")]
    Payload(#[from] PayloadError),
    #[error(
        "payload refused: its SHA-256 is {found}, and the server announced {announced}: it was \
         changed on its way, or belongs to another update"
    )]
    Hash { announced: Sha256Hash, found: Sha256Hash },
    #[error("payload refused: it brings no kernel for the new /usr")]
    NoKernel,
    #[error("cannot write the update to the disk: {0}")]
    Write(io::Error),
    #[error("postinstall failed: {0}")]
    PostInstall(String),
}

impl UpdateError {
    /// What update_engine reports in this case, without flags (`payload_processor.cc`, `update_attempter.cc`).
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            // Without an answer there is no status to add.
            Self::Request(error) => ErrorCode::from_http_status(error.status().unwrap_or(0)),
            Self::EmptyResponse => ErrorCode::EMPTY_RESPONSE,
            Self::Response(error) => of_omaha(error),
            Self::Offer(_) => ErrorCode::RESPONSE_INVALID,
            Self::Open { part: Part::Kernel, .. } => ErrorCode::KERNEL_DEVICE_OPEN,
            Self::Slots(_) | Self::Disable { .. } | Self::Open { .. } => {
                ErrorCode::INSTALL_DEVICE_OPEN
            }
            Self::CopyKernel { .. } => ErrorCode::FILESYSTEM_COPIER,
            Self::Key { .. } => ErrorCode::PAYLOAD_PUB_KEY_VERIFICATION,
            Self::Download(DownloadError::Transfer { .. }) => ErrorCode::DOWNLOAD_TRANSFER,
            Self::Download(DownloadError::Size { .. }) => ErrorCode::PAYLOAD_SIZE_MISMATCH,
            Self::Payload(error) => of_payload(error),
            Self::Hash { .. } => ErrorCode::PAYLOAD_HASH_MISMATCH,
            Self::NoKernel => ErrorCode::NEW_KERNEL_VERIFICATION,
            Self::Write(_) => ErrorCode::DOWNLOAD_WRITE,
            Self::PostInstall(_) => ErrorCode::POSTINSTALL,
        }
    }

    /// Whether the payload was taken whole, and only what it made is wrong: then the download has finished.
    pub(crate) fn is_of_result(&self) -> bool {
        matches!(self, Self::Payload(PayloadError::Result { .. } | PayloadError::Incomplete { .. }))
    }
}

fn of_omaha(error: &OmahaError) -> ErrorCode {
    match error {
        OmahaError::Empty { .. }
        | OmahaError::NotUtf8 { .. }
        | OmahaError::Encoding { .. }
        | OmahaError::Syntax { .. }
        | OmahaError::Truncated { .. }
        | OmahaError::MalformedAttribute { .. } => ErrorCode::XML_PARSE,
        OmahaError::TooLarge { .. }
        | OmahaError::Doctype
        | OmahaError::WrongRoot { .. }
        | OmahaError::TooDeep { .. }
        | OmahaError::TooManyAttributes { .. }
        | OmahaError::MissingAttribute { .. }
        | OmahaError::BadAttribute { .. }
        | OmahaError::Repeated { .. } => ErrorCode::RESPONSE_INVALID,
    }
}

fn of_payload(error: &PayloadError) -> ErrorCode {
    match error {
        PayloadError::NotAPayload { .. } | PayloadError::Version { .. } => {
            ErrorCode::INVALID_METADATA_MAGIC
        }
        PayloadError::ManifestSize { .. } => ErrorCode::INVALID_METADATA_SIZE,
        PayloadError::Manifest { .. } => ErrorCode::MANIFEST_PARSE,
        PayloadError::OperationHash { .. } => ErrorCode::OPERATION_HASH_MISMATCH,
        PayloadError::Operation { .. } | PayloadError::Io { .. } => ErrorCode::OPERATION_EXECUTION,
        PayloadError::OldImage { .. } | PayloadError::NoOldImage { .. } => {
            ErrorCode::PAYLOAD_VERIFICATION
        }
        PayloadError::Result { part, .. } | PayloadError::Incomplete { part, .. } => match part {
            Part::Kernel => ErrorCode::NEW_KERNEL_VERIFICATION,
            Part::PcrPolicy => ErrorCode::NEW_PCR_POLICY_VERIFICATION,
            Part::Partition | Part::Unknown(_) => ErrorCode::NEW_ROOTFS_VERIFICATION,
        },
        PayloadError::Signature(SignatureError::Unsigned) => ErrorCode::SIGNED_DELTA_EXPECTED,
        PayloadError::Signature(_) | PayloadError::Key(_) => {
            ErrorCode::PAYLOAD_PUB_KEY_VERIFICATION
        }
        PayloadError::Truncated { .. }
        | PayloadError::TrailingData
        | PayloadError::NoTarget
        | PayloadError::Content { .. } => ErrorCode::PAYLOAD_VERIFICATION,
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;
    use wheeltap_formats::omaha::Response;
    use wheeltap_formats::payload::verify;

    use super::*;

    const HASH: Sha256Hash = Sha256Hash([0; 32]);

    fn broken() -> TransferError {
        TransferError::Broken { url: "http://a".into(), reason: "Connection refused".into() }
    }

    fn status(status: u16) -> TransferError {
        TransferError::Status { url: "http://a".into(), status }
    }

    #[test_case(&UpdateError::Request(broken()), 2000; "server down")]
    #[test_case(&UpdateError::Request(status(500)), 2500; "server error")]
    #[test_case(&UpdateError::EmptyResponse, 30; "empty")]
    #[test_case(&UpdateError::Response(Response::parse(b"<a").unwrap_err()), 31; "not XML")]
    #[test_case(&UpdateError::Response(Response::parse(b"<a/>").unwrap_err()), 34; "another document")]
    #[test_case(&UpdateError::Offer("names no package".into()), 34; "bad offer")]
    #[test_case(&UpdateError::CopyKernel { from: "a".into(), to: "b".into(), source: io::ErrorKind::StorageFull.into() }, 4; "boot full")]
    #[test_case(&DownloadError::Transfer { at: 0, tries: 5, source: broken() }.into(), 9; "download")]
    #[test_case(&DownloadError::Size { url: "a".into(), announced: 1, found: 2 }.into(), 11; "size")]
    #[test_case(&UpdateError::Hash { announced: HASH, found: HASH }, 10; "hash")]
    #[test_case(&PayloadError::from(SignatureError::Unsigned).into(), 17; "unsigned")]
    #[test_case(&PayloadError::from(SignatureError::Mismatch).into(), 18; "another key")]
    #[test_case(&PayloadError::Result { part: Part::Partition, expected: HASH, found: HASH }.into(), 15; "usr")]
    #[test_case(&PayloadError::Result { part: Part::Kernel, expected: HASH, found: HASH }.into(), 16; "kernel")]
    #[test_case(&verify(&b"ELF"[..], None).unwrap_err().into(), 21; "no payload")]
    #[test_case(&UpdateError::PostInstall("root is full".into()), 5; "postinstall")]
    fn codes(error: &UpdateError, code: u32) {
        assert_eq!(error.code().base(), code, "{error}");
    }
}

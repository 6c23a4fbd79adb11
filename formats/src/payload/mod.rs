//! Update payloads in the CrAU format, version 1, as Flatcar's update_engine reads and writes them.
//!
//! A payload is read once, from its first byte to its last, and never held in memory as a whole:
//! `header` → `manifest` → blobs, one operation at a time → `signature`. [`inspect`] lists,
//! [`verify`] checks, [`apply`] writes and [`create`] makes payloads; [`resign`] signs one
//! anew.
//!
//! Facts about the format come from update_engine's `update_metadata.proto`, and about how a client
//! acts on it from its `payload_processor.cc`, `delta_performer.cc` and `payload_signer.cc`.

mod apply;
mod bspatch;
mod create;
mod error;
mod extents;
mod header;
mod manifest;
mod operation;
mod reader;
mod resign;
mod signature;
mod summary;
mod validate;
mod verify;
mod wire;

pub use apply::{Slot, Target, apply};
pub use create::{Content, Created, create};
pub use error::{KeyError, PayloadError, Place, SignatureError};
pub use manifest::{BLOCK_SIZE, Info, Part, Sha256Hash};
pub use resign::resign;
pub use signature::{CLIENT_VERSION, PrivateKey, PublicKey};
pub use summary::{OperationCounts, PartSummary, SignatureSummary, Summary, inspect};
pub use verify::{ResultCheck, Verification, verify};

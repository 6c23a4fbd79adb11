//! Detached OpenPGP signatures, checked against a key that the user trusts by its fingerprint.
//!
//! A signature counts if its key was valid when the signature says it was made, and neither that key nor its primary key
//! is revoked, whenever and why ever. Keys for images are often a primary key that only certifies and subkeys that sign for
//! a year each, so a key that has expired since is no error; [`Signed::expired_since`] says it. That makes the time in the
//! signature as trustworthy as the key: who stole an expired subkey can sign with an old date, until it is revoked.
//!
//! What the key may do is said by its newest valid self-signatures. MD5, SHA-1 and RIPEMD-160 count nowhere but in
//! revocations.

mod certificate;
mod error;
mod key;
mod packets;
mod verify;

pub use error::{KeyError, SignatureError};
pub use key::TrustedKey;
pub use verify::{MAX_SIGNATURE, Signed, Verifier};

#[cfg(test)]
mod tests;

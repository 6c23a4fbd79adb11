//! Update payloads: made from images, or fetched from release servers.
//!
//! `disk` reads an image without root, `create` packs its first slot, and `cached` keeps the result, because packing
//! takes seconds and many cases update to the same image. `fetch` downloads what others have published. Nothing here
//! knows an OS: which partitions and files make up an update is said by a [`SlotLayout`].

mod cached;
mod create;
mod disk;
mod error;
mod fetch;
mod qcow2;

pub use create::{SlotLayout, create_payload};
pub use error::CreatePayloadError;
pub use fetch::FetchError;

/// A private key whose public half every reference image knows, so that updates can be tried without a key of one's
/// own: PEM, PKCS#8, RSA-2048. It is public and protects nothing.
pub const DEVELOPMENT_KEY: &str = include_str!("../../keys/development.key.pem");

/// The public half of [`DEVELOPMENT_KEY`].
pub const DEVELOPMENT_PUBLIC_KEY: &str = include_str!("../../keys/development.pub.pem");

#[cfg(test)]
mod tests;

//! What is booted: the reference image, the cache, and what an image file says about itself.
//!
//! [`Cache::build`] makes the reference image from Debian packages, [`Cache::fetch_image`] gets published ones, [`resolve`]
//! turns a name or a path into an [`Image`], and [`Cache::list`] says what the cache holds. All of it is blocking.

mod builder;
mod cache;
mod digest;
pub mod digests;
mod error;
mod http;
mod image;
pub mod openpgp;
pub mod payload;
mod process;
pub mod published;
mod recipe;
mod script;
mod sidecar;
mod tools;
pub mod unpack;

pub use builder::{BuildOptions, Built, Defect};
pub use cache::Cache;
pub use error::{BuildError, CacheError, ResolveError};
pub use image::{Format, Image};
pub use payload::{DEVELOPMENT_KEY, DEVELOPMENT_PUBLIC_KEY};
pub use sidecar::{CachedImage, Package, Published, Signature};
pub use tools::missing_packages;

/// The version of the reference image that `reference` stands for.
pub const DEFAULT_VERSION: &str = "4000.0.0";

/// The image that `reference`, `reference:VERSION`, a published image's name or a path stands for. Nothing is fetched: of a
/// channel it is the newest version in the cache.
///
/// The digest of an image without a valid sidecar is computed, which reads the whole file.
///
/// # Errors
/// Says which names there are, how to build what isn't built yet, or why a file is no image.
pub fn resolve(name: &str) -> Result<Image, ResolveError> {
    image::resolve(name, Cache::of_user)
}

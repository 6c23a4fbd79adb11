//! Published images: `flatcar:stable`, `fcos:42.20250803.3.0`.
//!
//! `family` says where they are, `name` reads their names, `source` asks the servers what a name means, `transfer` downloads,
//! `trust` verifies while that goes on, `unpack` takes the disk out of it, `fetch` does one after the other, and `store` is
//! about those in the cache.
//!
//! ```text
//! CACHE/images/flatcar-4593.2.3-amd64.img        read-only, unpacked
//! CACHE/images/flatcar-4593.2.3-amd64.img.sig    the signature of what was downloaded
//! CACHE/images/flatcar-4593.2.3-amd64.img.json   written last: without it nobody believes the image
//! CACHE/partial/flatcar-4593.2.3-amd64/          a download on its way, and what it is of
//! CACHE/locks/image-flatcar-4593.2.3-amd64       held by who fetches it
//! CACHE/locks/use-flatcar-4593.2.3-amd64         shared by all who use it
//! ```

mod error;
mod family;
mod fetch;
mod name;
mod source;
mod store;
mod transfer;
mod trust;
mod unpack;

pub use error::PublishedError;
pub use family::families;
pub use fetch::FetchOptions;
pub use name::{PublishedName, Which};
pub use store::{Removed, Verified};
pub use transfer::Patience;
pub use trust::Trust;

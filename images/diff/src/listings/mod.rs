//! An inventory from the listings that a release publishes beside its images.
//!
//! `lines` reads a listing line by line, `contents` and `words` know the formats, and `directory` knows which file is what.
//! `docs/image-diff.md` lists the files.

mod contents;
mod directory;
mod error;
mod lines;
mod words;

#[cfg(test)]
mod tests;

pub use directory::inventory;
pub use error::{BadLine, ListingError};

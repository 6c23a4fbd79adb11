//! What an image holds, read from the image itself.
//!
//! The order is that of the modules: `read` opens the disk, `layout` says what is mounted where, `scan` lists and hashes
//! a file system, and the others make sense of single files: `release`, `packages`, `kernel`, `users`, `listeners`.

mod error;
mod kernel;
mod layout;
mod listeners;
mod names;
mod packages;
mod read;
mod release;
mod scan;
mod users;

pub use error::InventoryError;
pub use read::inventory;

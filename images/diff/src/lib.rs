//! What changed between two images: inventories, their comparison, limits, and views of the hits.
//!
//! An [`Inventory`] says what an image holds, whether it was read from the image itself or from the listings that its
//! release published. Everything here is pure: no network, no clock. Only
//! [`image`] reads a file, the image.

pub mod image;
mod inventory;

pub use inventory::{
    Component, Entry, EntryKind, FileKey, Inventory, Listener, Origin, Partition, Unread, User,
};

//! What changed between two images: inventories, their comparison, limits, and views of the hits.
//!
//! ```text
//! image, listings ─▶ Inventory × Inventory ─▶ compare ─▶ Diff ─▶ Limits::judge ─▶ views
//! ```
//! An [`Inventory`] says what an image holds, whether it was read from the image itself or from the listings that its
//! release published. Only [`image`] and [`listings`] read files; the rest is pure: no network, no clock.

mod compare;
pub mod image;
mod inventory;
pub mod limits;
pub mod listings;
#[cfg(test)]
mod sample;
pub mod views;
mod visible;

pub use compare::{
    Alarm, Aspect, Change, CompareError, Diff, Difference, FileChange, Incomparable, PackageChange,
    PackageMove, Presence, Scheme, UserChange, compare,
};
pub use inventory::{
    Component, Entry, EntryKind, FileKey, Inventory, Listener, Origin, Partition, Unread, User,
};
pub use visible::visible;

//! What changed between two inventories.
//!
//! ```text
//! Inventory × Inventory ─▶ packages · files · sizes · system ─▶ rank ─▶ Diff
//! ```
//! What is unknown on one side is never equal: it becomes an [`Incomparable`].

mod diff;
mod files;
mod kernel;
mod packages;
mod rank;
mod sizes;
mod system;
#[cfg(test)]
mod tests;
pub(crate) mod units;
mod versions;

pub use diff::{
    Aspect, Change, Diff, Difference, FileChange, Incomparable, PackageChange, PackageMove,
    Presence, UserChange,
};
pub use rank::Alarm;
pub(crate) use sizes::{content_size, directory_size};
pub use versions::Scheme;
pub(crate) use versions::gentoo;

use crate::{Inventory, Origin, visible};

/// Why two images aren't compared at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// Nearly everything would differ, and nothing would be learned.
    #[error(
        "{} is for {} and {} is for {}: images of two boards aren't compared; give two of one board",
        visible(old),
        visible(old_board),
        visible(new),
        visible(new_board)
    )]
    Boards {
        /// The old image.
        old: String,
        /// Its board.
        old_board: String,
        /// The new image.
        new: String,
        /// Its board.
        new_board: String,
    },
}

/// Compares two images, and ranks what changed: the most alarming first.
///
/// # Errors
/// If they are of two boards.
pub fn compare<'a>(old: &'a Inventory, new: &'a Inventory) -> Result<Diff<'a>, CompareError> {
    if let (Some(old_board), Some(new_board)) = (&old.board, &new.board)
        && old_board != new_board
    {
        return Err(CompareError::Boards {
            old: old.name.clone(),
            old_board: old_board.clone(),
            new: new.name.clone(),
            new_board: new_board.clone(),
        });
    }
    let mut diff = Diff { old, new, changes: Vec::new(), incomparable: Vec::new() };
    packages::compare(&mut diff);
    files::compare(&mut diff);
    sizes::compare(&mut diff);
    system::compare(&mut diff);
    for (side, inventory) in [("the old image", old), ("the new image", new)] {
        for unread in &inventory.unread {
            let why = format!(
                "{side} has something that could not be read: {}: {}",
                unread.what, unread.why
            );
            for aspect in hidden_by(inventory.origin, &unread.what) {
                let (part, why) = (Some(unread.what.clone()), why.clone());
                diff.incomparable.push(Incomparable { part, ..Incomparable::new(*aspect, why) });
            }
        }
    }
    diff.changes.sort_by_cached_key(rank::key);
    diff.incomparable.sort();
    Ok(diff)
}

/// What may be in something that could not be read.
fn hidden_by(origin: Origin, what: &str) -> &'static [Aspect] {
    match origin {
        Origin::Image => &[Aspect::Packages, Aspect::Files, Aspect::Listeners],
        Origin::Listings if what.ends_with("_packages.txt") => &[Aspect::Packages],
        Origin::Listings if what.ends_with("_kernel_config.txt") => &[Aspect::KernelConfig],
        Origin::Listings if what.ends_with("_disk_usage.txt") => &[Aspect::Partitions],
        // Sockets are known by files.
        Origin::Listings => &[Aspect::Files, Aspect::Listeners],
    }
}

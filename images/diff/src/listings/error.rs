//! What can be wrong with listings.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why listings can't be read. Each message names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The directory holds no listings at all.
    #[error(
        "{} holds no listings of a release; it should have flatcar_production_image_packages.txt or \
         flatcar_production_image_contents.txt in it, as they lie beside the images of a release", dir.display()
    )]
    NoListings {
        /// The directory.
        dir: PathBuf,
    },

    /// The directory or a file in it can't be read.
    #[error("{} can't be read: {source}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// Something else has a listing's name.
    #[error("{} is no regular file, so there is no listing in it; put the listing there, or take it away", path.display())]
    NoFile {
        /// What.
        path: PathBuf,
    },

    /// Nothing that a release publishes is so long.
    #[error("{} has more than {most} lines, which no listing of a release has; is it another file?", path.display())]
    TooLong {
        /// The listing.
        path: PathBuf,
        /// The most lines that are read.
        most: usize,
    },

    /// It is something else, or damaged.
    #[error(
        "{}:{}: this is no line of such a listing: `{}` ({count} of {lines} lines are not understood); \
         fetch the file again, or take it away to go without",
        path.display(), first_number(first), first_text(first)
    )]
    NotUnderstood {
        /// The listing.
        path: PathBuf,
        /// How many lines.
        count: usize,
        /// Of how many.
        lines: usize,
        /// The first of them.
        first: Vec<BadLine>,
    },
}

impl ListingError {
    /// Whether the host is at fault, not the listing.
    #[must_use]
    pub fn is_io(&self) -> bool {
        let Self::Read { source, .. } = self else { return false };
        // What isn't there was named wrongly.
        !matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    }
}

/// A line that was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub number: usize,
    /// Its beginning and end, fit to be shown.
    pub text: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: `{}`", self.number, self.text)
    }
}

fn first_number(first: &[BadLine]) -> usize {
    first.first().map_or(0, |line| line.number)
}

fn first_text(first: &[BadLine]) -> &str {
    first.first().map_or("", |line| &line.text)
}

//! Decompresses a downloaded image while it is read: bzip2, gzip, xz, zstd, a ZIP archive with one file, or nothing.
//!
//! What it is is told by its first bytes, and not by its name. Memory is some hundred KiB and what the format asks for:
//! 8 MiB for bzip2, and up to [`MAX_WINDOW`] for xz and zstd. Files that ask for more are refused; `xz -9` takes 64 MiB,
//! `zstd --ultra -22` takes 128 MiB.

mod error;
mod input;
mod output;
mod streams;
mod zip;

use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::sync::atomic::AtomicBool;

pub use error::UnpackError;
use input::{Input, Shared};
use output::Output;

/// The memory that a file may ask for to be decompressed.
pub const MAX_WINDOW: u64 = 128 << 20;

/// The size of an image that nobody exceeds by intent.
pub const DEFAULT_LIMIT: u64 = 64 << 30;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// As by `bzip2`.
    Bzip2,
    /// As by `gzip`.
    Gzip,
    /// As by `xz`.
    Xz,
    /// As by `zstd`.
    Zstd,
    /// An archive.
    Zip,
}

impl Compression {
    /// What the first bytes of a file say; six are enough.
    #[must_use]
    pub fn of(first: &[u8]) -> Self {
        match first {
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            // Also a frame that decoders skip: pzstd begins with one.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            // An empty archive has no file, but is none the less one.
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Self::Zip,
            _ => Self::None,
        }
    }

    /// Its name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "uncompressed",
            Self::Bzip2 => "bzip2",
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Zip => "ZIP",
        }
    }
}

/// An image that was decompressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// How it was compressed.
    pub compression: Compression,
    /// Its bytes, with the holes.
    pub size: u64,
    /// Its SHA-256, in hex.
    pub digest: String,
}

/// Decompresses `from` into `to`, which is emptied first and gets holes where the image has blocks of zeros.
///
/// All of `from` is read. More than `limit` bytes are not written ([`DEFAULT_LIMIT`] if you don't know better). `progress`
/// hears every few MiB how many bytes were read and written. Setting `cancel` ends it within a second, if `from` doesn't
/// wait for longer.
///
/// # Errors
/// The file is damaged, cut off, too large or goes on behind its end, or can't be read or written; see [`UnpackError`].
pub fn unpack(
    from: &mut dyn Read,
    to: &File,
    limit: u64,
    cancel: &AtomicBool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Unpacked, UnpackError> {
    let shared = Shared { cancel, taken: Cell::new(0) };
    let mut input = Input::new(from, &shared);
    let compression = Compression::of(input.peek(6)?);
    let mut output = Output::new(to, &shared, limit, progress)?;
    match compression {
        Compression::None if input.peek(1)?.is_empty() => return Err(UnpackError::Empty),
        Compression::None => streams::copy(&mut input, &mut output)?,
        Compression::Bzip2 => streams::bzip2(&mut input, &mut output)?,
        Compression::Gzip => streams::gzip(&mut input, &mut output)?,
        Compression::Xz => streams::xz(&mut input, &mut output)?,
        Compression::Zstd => streams::zstd(&mut input, &mut output)?,
        Compression::Zip => zip::extract(&mut input, &mut output)?,
    }
    let (size, digest) = output.finish()?;
    if size == 0 {
        return Err(UnpackError::Empty);
    }
    Ok(Unpacked { compression, size, digest })
}

#[cfg(test)]
mod tests;

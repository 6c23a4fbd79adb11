//! The digests that Flatcar publishes beside its images, in `NAME.DIGESTS`.
//!
//! ```text
//! # MD5 HASH
//! d41d8cd98f00b204e9800998ecf8427e  flatcar_production_image.bin.bz2
//! # SHA512 HASH
//! cf83e1…  flatcar_production_image.bin.bz2
//! ```

use std::collections::BTreeMap;

use thiserror::Error;

/// Real ones have less than 2 KiB.
pub const MAX_DIGESTS: usize = 64 << 10;

/// What a file must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// SHA-512, in hex digits of lower case.
    pub sha512: String,
}

/// A file with digests can't be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DigestsError {
    /// No such file is that large.
    #[error(
        "the file with the digests is larger than 64 KiB, so it is something else; get it again"
    )]
    TooLarge,
    /// A line in the part with SHA-512 that is none of a digest.
    #[error("line {line} of the digests is no SHA-512 and a name of a file; get the file again")]
    BadLine {
        /// Which one, from 1.
        line: usize,
    },
    /// Nobody knows which one is right.
    #[error("the digests name {name:?} twice, and differently; get the file again")]
    Contradiction {
        /// The file.
        name: String,
    },
    /// MD5 and SHA-1 don't count.
    #[error("the digests hold no SHA-512, and others can be forged; get the file again")]
    NoSha512,
}

/// The digests by the names of their files. MD5 and SHA-1 are left out, since others can make files with the same.
///
/// # Errors
/// There is no SHA-512, or something that is none.
pub fn parse(text: &str) -> Result<BTreeMap<String, Digests>, DigestsError> {
    if text.len() > MAX_DIGESTS {
        return Err(DigestsError::TooLarge);
    }
    let mut files = BTreeMap::new();
    let mut is_sha512 = false;
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim_end();
        if let Some(heading) = line.strip_prefix('#') {
            is_sha512 = heading.trim() == "SHA512 HASH";
            continue;
        }
        if !is_sha512 || line.is_empty() {
            continue;
        }
        let (name, sha512) = entry(line).ok_or(DigestsError::BadLine { line: number })?;
        let known = files.insert(name.to_owned(), Digests { sha512: sha512.clone() });
        if known.is_some_and(|known| known.sha512 != sha512) {
            return Err(DigestsError::Contradiction { name: name.to_owned() });
        }
    }
    if files.is_empty() { Err(DigestsError::NoSha512) } else { Ok(files) }
}

/// A line as `sha512sum` writes it.
fn entry(line: &str) -> Option<(&str, String)> {
    let (digest, name) = line.split_once(' ')?;
    let name = name.strip_prefix([' ', '*']).unwrap_or(name);
    let is_digest = digest.len() == 128 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-@~".contains(&byte);
    let is_name = !name.is_empty() && !name.starts_with('.') && name.bytes().all(plain);
    (is_digest && is_name).then(|| (name, digest.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests;

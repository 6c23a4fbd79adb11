//! From a name or a path to an image that can be booted.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::DEFAULT_VERSION;
use crate::cache::Cache;
use crate::digest;
use crate::error::{CacheError, ResolveError};
use crate::published::PublishedName;
use crate::recipe::Recipe;
use crate::sidecar::{CachedImage, Package, Published};

/// How the disk is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The bytes of the disk.
    Raw,
    /// QEMU's copy-on-write format.
    Qcow2,
}

impl Format {
    /// As QEMU calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// A disk that a machine can boot.
#[derive(Debug, Clone)]
pub struct Image {
    /// What the user called it.
    pub name: String,
    /// The disk.
    pub path: PathBuf,
    /// How it is stored.
    pub format: Format,
    /// SHA-256 of the file, in hex.
    pub digest: String,
    /// The version of the OS, if a sidecar says so.
    pub version: Option<String>,
    /// The profile that describes the OS, if a sidecar says so.
    pub profile: Option<String>,
    /// The Debian packages in it, if a sidecar lists them.
    pub packages: Vec<Package>,
    /// Where it is from, if it was fetched.
    pub published: Option<Published>,
}

/// See [`crate::resolve`]. The cache is only looked for when the name needs it.
pub(crate) fn resolve(
    name: &str,
    cache: impl FnOnce() -> Result<Cache, CacheError>,
) -> Result<Image, ResolveError> {
    // A path with a colon is still a path.
    let published = PublishedName::parse(name).filter(|_| !Path::new(name).exists());
    match published {
        Some(Ok(published)) => return open(name, &cache()?.published(&published)?.path),
        Some(Err(problem)) => return Err(ResolveError::BadName { problem }),
        None => {}
    }
    let version = match name.split_once(':') {
        None if name == "reference" => DEFAULT_VERSION,
        Some(("reference", version)) => version,
        _ => return open(name, Path::new(name)),
    };
    let path = cache()?.image_path(&Recipe::embedded(), version);
    if CachedImage::of(&path).is_none() {
        return Err(ResolveError::NotBuilt { version: version.to_owned() });
    }
    open(name, &path)
}

fn open(name: &str, path: &Path) -> Result<Image, ResolveError> {
    let format = match recognized(path) {
        Err(ResolveError::Cache(CacheError::Io { source, .. }))
            if source.kind() == io::ErrorKind::NotFound =>
        {
            return Err(ResolveError::Unknown(name.to_owned()));
        }
        recognized => recognized?,
    };
    // QEMU runs elsewhere, and names the path in overlays.
    let absolute = fs::canonicalize(path).map_err(CacheError::io("read the image", path))?;
    let about = CachedImage::of(&absolute);
    let digest = match &about {
        Some(about) => about.digest.clone(),
        None => digest::of_file(&absolute).map_err(CacheError::io("read the image", path))?,
    };
    let published = about.as_ref().and_then(|about| about.published.clone());
    let packages = about.as_ref().map(|about| about.packages.clone()).unwrap_or_default();
    let (version, profile) = about.map(|about| (about.version, about.profile)).unzip();
    let name = name.to_owned();
    Ok(Image { name, path: absolute, format, digest, version, profile, packages, published })
}

/// How the disk in a file is stored.
pub(crate) fn recognized(path: &Path) -> Result<Format, ResolveError> {
    let format = recognize(path).map_err(CacheError::io("read the image", path))?;
    format.map_err(|no| ResolveError::NotAnImage {
        path: path.to_owned(),
        what: no.what,
        fix: no.fix.replace("FILE", &path.display().to_string()),
    })
}

/// Why a file is no image.
#[derive(Debug, PartialEq, Eq)]
struct NoImage {
    what: &'static str,
    /// `FILE` stands for its path.
    fix: &'static str,
}

/// Formats of other things that people take for images, by their first bytes.
const OTHERS: &[(&[u8], &str, &str)] = &[
    (b"\x1f\x8b", "compressed with gzip", "decompress it with `gunzip FILE`"),
    (b"BZh", "compressed with bzip2", "decompress it with `bunzip2 FILE`"),
    (b"\xfd7zXZ\0", "compressed with xz", "decompress it with `unxz FILE`"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "decompress it with `unzstd FILE`"),
    (b"PK\x03\x04", "a zip archive", "unpack it with `unzip FILE`"),
    (b"KDMV", "a VMware disk", "convert it with `qemu-img convert -O qcow2 FILE disk.qcow2`"),
    (b"vhdxfile", "a Hyper-V disk", "convert it with `qemu-img convert -O qcow2 FILE disk.qcow2`"),
];

/// Reads the first kilobyte: qcow2 by its magic, a raw disk by a GPT in its second sector or the end mark of an MBR.
fn recognize(path: &Path) -> io::Result<Result<Format, NoImage>> {
    let no = |what, fix| Ok(Err(NoImage { what, fix }));
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return no("a directory", "give the path of a file in it");
    }
    let mut head = Vec::new();
    File::open(path)?.take(1024).read_to_end(&mut head)?;
    if head.starts_with(b"QFI\xfb") {
        return Ok(Ok(Format::Qcow2));
    }
    if head.get(512..520) == Some(b"EFI PART") || head.get(510..512) == Some(b"\x55\xaa") {
        return Ok(Ok(Format::Raw));
    }
    if head.is_empty() {
        return no("empty", "get it again");
    }
    if let Some((_, what, fix)) = OTHERS.iter().find(|(magic, _, _)| head.starts_with(magic)) {
        return no(what, fix);
    }
    if std::str::from_utf8(&head).is_ok_and(|text| !text.contains('\0')) {
        return no("a text file", "give the path of a raw or qcow2 disk");
    }
    no("neither qcow2 nor a disk with a partition table", "give the path of a raw or qcow2 disk")
}

#[cfg(test)]
mod tests;

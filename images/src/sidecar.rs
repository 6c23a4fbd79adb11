//! The JSON file beside an image that says what it is.

use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A Debian package in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, as apt resolved it when the packages were unpacked.
    pub version: String,
}

/// Where a fetched image is from, and what was checked of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Such as `flatcar`.
    pub family: String,
    /// The channel in which it was found.
    pub channel: String,
    /// Such as `amd64`.
    pub arch: String,
    /// The address it was downloaded from.
    pub origin: String,
    /// When.
    pub fetched: Timestamp,
    /// SHA-256 of the download, in hex: of what is signed, which may be packed.
    pub download: String,
    /// Who signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// Whether nobody checked a signature, because the user wanted that.
    #[serde(default)]
    pub insecure: bool,
}

/// A signature that was good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The fingerprint of the key that was trusted, in hex.
    pub trusted: String,
    /// The fingerprint of the key that signed: that one, or a subkey of it.
    pub fingerprint: String,
    /// Whose key it is, as the key says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it was signed.
    pub made: Timestamp,
    /// Since when the key has expired; it was valid when it signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_since: Option<Timestamp>,
}

/// A built or fetched image. All but its path is kept beside it, in `IMAGE.json`, and believed only while the image has the size
/// and the time of modification that are noted there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedImage {
    /// Where it is.
    #[serde(default)]
    pub path: PathBuf,
    /// What the image is called: `reference:4000.0.0`.
    pub name: String,
    /// The version that the OS in it says it has.
    pub version: String,
    /// The profile that describes it.
    pub profile: String,
    /// SHA-256 of the image, in hex.
    pub digest: String,
    /// Bytes, with the holes.
    pub size: u64,
    /// Time of modification, nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Hex digest of the recipe, if it was built.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub recipe: String,
    /// What was unpacked to build it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<Package>,
    /// Where it is from, if it was fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
}

impl CachedImage {
    /// The path of the sidecar of an image.
    pub(crate) fn sidecar(image: &Path) -> PathBuf {
        with_suffix(image, ".json")
    }

    /// Where the signature of an image is kept.
    pub(crate) fn signature_file(image: &Path) -> PathBuf {
        with_suffix(image, ".sig")
    }

    /// What the sidecar of an image says, whether it still describes it or not.
    pub(crate) fn noted(image: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(Self::sidecar(image)).ok()?).ok()
    }

    /// What the sidecar of an image says, if there is one that still describes it.
    pub(crate) fn of(image: &Path) -> Option<Self> {
        let noted = Self::noted(image)?;
        let found = fs::metadata(image).ok()?;
        let holds = noted.size == found.len() && noted.mtime_ns == mtime_ns(&found);
        holds.then(|| Self { path: image.to_owned(), ..noted })
    }

    /// Writes the sidecar for the image as it is now, at once or not at all.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        let found = fs::metadata(&self.path)?;
        self.size = found.len();
        self.mtime_ns = mtime_ns(&found);
        let path = Self::sidecar(&self.path);
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        let mut temporary = tempfile::NamedTempFile::new_in(directory)?;
        serde_json::to_writer_pretty(&mut temporary, self)?;
        temporary.write_all(b"\n")?;
        temporary.as_file().sync_all()?;
        // The temporary file is private; this one is as public as the image.
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o444);
        temporary.as_file().set_permissions(permissions)?;
        temporary.persist(&path)?;
        File::open(directory)?.sync_all()
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn mtime_ns(metadata: &Metadata) -> i128 {
    i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())
}

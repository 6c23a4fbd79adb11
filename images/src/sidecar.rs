//! The JSON file beside an image that says what it is.

use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A Debian package in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, as apt resolved it when the packages were unpacked.
    pub version: String,
}

/// A built image. All but its path is kept beside it, in `IMAGE.json`, and believed only while the image has the size
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
    /// Hex digest of the recipe.
    pub recipe: String,
    /// What was unpacked.
    pub packages: Vec<Package>,
}

impl CachedImage {
    /// The path of the sidecar of an image.
    pub(crate) fn sidecar(image: &Path) -> PathBuf {
        let mut name = image.as_os_str().to_owned();
        name.push(".json");
        name.into()
    }

    /// What the sidecar of an image says, if there is one that still describes it.
    pub(crate) fn of(image: &Path) -> Option<Self> {
        let noted: Self = serde_json::from_slice(&fs::read(Self::sidecar(image)).ok()?).ok()?;
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

fn mtime_ns(metadata: &Metadata) -> i128 {
    i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())
}

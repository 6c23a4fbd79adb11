//! What can go wrong, in sentences.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// The cache could not be found, read or written.
#[derive(Debug, Error)]
pub enum CacheError {
    /// Nothing says where the cache is.
    #[error("there is no home directory to keep the cache in: set WHEELTAP_CACHE to a directory")]
    NoHome,
    /// A file operation failed.
    #[error("cannot {doing} {}: {source}{}", path.display(), hint(source))]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl CacheError {
    pub(crate) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull => {
            "; make room (a build needs 2 GiB) or set WHEELTAP_CACHE to a directory elsewhere"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; set WHEELTAP_CACHE to a directory you may write"
        }
        _ => "",
    }
}

/// The lock of an entry of the cache could not be taken.
#[derive(Debug)]
pub(crate) enum LockError {
    /// The caller wants to wait no longer.
    Cancelled,
    /// The lock file.
    Cache(CacheError),
}

impl From<CacheError> for LockError {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}

/// The reference image could not be built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// Programs of the host that the recipe calls.
    #[error("building the reference image needs more Debian packages: apt-get install {}", packages.join(" "))]
    MissingPackages {
        /// What to install.
        packages: Vec<&'static str>,
    },
    /// The update client could not be built with this binary.
    #[error(
        "this wheeltap cannot build the reference image, because {why}\nthen build wheeltap again"
    )]
    NoUpdateClient {
        /// Why not, and what to do.
        why: String,
    },
    /// The version would not be one of an OS.
    #[error("{version:?} is not a version: give three numbers, such as 4000.0.0")]
    BadVersion {
        /// What was given.
        version: String,
    },
    /// A step of the recipe failed.
    #[error(
        "building the reference image failed in step {step:?} ({status}){}\n{output}",
        step_hint(output)
    )]
    Failed {
        /// The step.
        step: String,
        /// How its shell ended.
        status: String,
        /// The last lines it wrote.
        output: String,
    },
    /// The caller asked for it.
    #[error("the build was cancelled")]
    Cancelled,
    /// The copy that was asked for can't be written.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// Where it was to go.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The cache can't be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl From<LockError> for BuildError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Cancelled => Self::Cancelled,
            LockError::Cache(error) => error.into(),
        }
    }
}

fn step_hint(output: &str) -> &'static str {
    if output.contains("No space left on device") {
        ": no space left; make room (a build needs 2 GiB) or set WHEELTAP_CACHE"
    } else if output.contains("Could not resolve") || output.contains("Failed to fetch") {
        ": the Debian mirror can't be reached; check the network or the proxy (http_proxy)"
    } else {
        ""
    }
}

/// A name or path stands for no usable image.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// Not built yet.
    #[error(
        "the reference image {version} is not built yet: run `wheeltap image build --version {version}`"
    )]
    NotBuilt {
        /// The version.
        version: String,
    },
    /// No name of a published image.
    #[error("{problem}")]
    BadName {
        /// What is wrong with it.
        problem: String,
    },
    /// Not fetched yet.
    #[error(
        "the image {name} is not in the cache: run `wheeltap image fetch {name}`{}",
        others(cached)
    )]
    NotFetched {
        /// What was asked for.
        name: String,
        /// Images of that family that are.
        cached: Vec<String>,
    },
    /// Nothing of that name is in the cache.
    #[error("there is no image {name:?} in the cache{}", others(cached))]
    NotCached {
        /// What was asked for.
        name: String,
        /// What there is.
        cached: Vec<String>,
    },
    /// Neither a name nor a file.
    #[error(
        "there is no image {0:?}: give `reference`, `reference:VERSION`, a published one such as `flatcar:stable`, or the path \
         of a raw or qcow2 disk"
    )]
    Unknown(String),
    /// A file that no machine boots.
    #[error("{} is no disk image: it is {what}; {fix}", path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
        /// What to do about it.
        fix: String,
    },
    /// The cache or the image file.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// What could be named instead.
fn others(cached: &[String]) -> String {
    match cached {
        [] => String::new(),
        cached => format!("; there are: {}", cached.join(", ")),
    }
}

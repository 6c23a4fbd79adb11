//! Building the reference image into a cache.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::cache::{Cache, Work};
use crate::digest;
use crate::error::{BuildError, CacheError};
use crate::recipe::Recipe;
use crate::script;
use crate::sidecar::{CachedImage, Package};

/// What to build.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// The version the image says it has: three numbers.
    pub version: String,
    /// Where to put a copy, with its sidecar.
    pub out: Option<PathBuf>,
    /// Build even if it is cached, from packages that apt resolves now. Without it a second build uses the packages
    /// of the first.
    pub force: bool,
    /// What is wrong with it, for scenarios that need a bad image.
    pub defect: Option<Defect>,
}

impl BuildOptions {
    /// The sound image of a version, from the cache if it is there.
    #[must_use]
    pub fn new(version: impl Into<String>) -> Self {
        Self { version: version.into(), out: None, force: false, defect: None }
    }

    /// What stands behind `reference:` in its name: the version, and what is wrong with it.
    fn label(&self) -> String {
        match self.defect {
            None => self.version.clone(),
            Some(defect) => format!("{}-{}", self.version, defect.name()),
        }
    }
}

/// A defect that an image is built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// The program that marks the slot good is missing from `/usr`; everything else is sound.
    NeverGood,
}

impl Defect {
    fn name(self) -> &'static str {
        match self {
            Self::NeverGood => "never-good",
        }
    }
}

/// A build's result.
#[derive(Debug, Clone)]
pub struct Built {
    /// The copy that was asked for, else the image in the cache.
    pub image: CachedImage,
    /// Whether it had been built before.
    pub cached: bool,
}

impl Cache {
    /// Builds the reference image, unless the cache has it.
    ///
    /// `step` is told what is being done, in a word or a few. Setting `cancel` ends the build within a second, with
    /// all its processes.
    ///
    /// # Errors
    /// Says what is missing or what failed. Nothing is left then that a later build would trust.
    pub fn build(
        &self,
        options: &BuildOptions,
        cancel: &AtomicBool,
        step: &mut dyn FnMut(&str),
    ) -> Result<Built, BuildError> {
        self.build_recipe(&Recipe::embedded(), options, cancel, step)
    }

    fn build_recipe(
        &self,
        recipe: &Recipe,
        options: &BuildOptions,
        cancel: &AtomicBool,
        step: &mut dyn FnMut(&str),
    ) -> Result<Built, BuildError> {
        let version = &options.version;
        if !is_version(version) {
            return Err(BuildError::BadVersion { version: version.clone() });
        }
        let label = options.label();
        let path = self.image_path(recipe, &label);
        let _lock = self.lock(&format!("reference-{label}"), cancel, step)?;
        let found = if options.force { None } else { CachedImage::of(&path) };
        let cached = found.is_some();
        let image = match found {
            Some(image) => image,
            None => self.make(recipe, options, path, cancel, step)?,
        };
        let Some(out) = &options.out else {
            return Ok(Built { image, cached });
        };
        step("copy");
        let image =
            copy_out(image, out).map_err(|source| BuildError::Io { path: out.clone(), source })?;
        Ok(Built { image, cached })
    }

    fn make(
        &self,
        recipe: &Recipe,
        options: &BuildOptions,
        path: PathBuf,
        cancel: &AtomicBool,
        step: &mut dyn FnMut(&str),
    ) -> Result<CachedImage, BuildError> {
        if let Some(why) = recipe.client_missing() {
            return Err(BuildError::NoUpdateClient { why });
        }
        let packages = recipe.missing_packages();
        if !packages.is_empty() {
            return Err(BuildError::MissingPackages { packages });
        }
        let work = self.work()?;
        let scripts = work.path().join("recipe");
        recipe.write(&scripts).map_err(CacheError::io("write", &scripts))?;

        // Held to the end, so that a forced build doesn't take the packages away from under this one.
        let _lock = self.lock("packages", cancel, step)?;
        let packages = self.packages_path(recipe);
        if options.force || !packages.is_dir() {
            self.unpack(&work, &packages, cancel, step)?;
        }

        let scratch = work.path().join("scratch");
        fs::create_dir(&scratch).map_err(CacheError::io("make the directory", &scratch))?;
        let disk = work.path().join("disk.img");
        let defect = options.defect.map_or("", Defect::name);
        let arguments: [&OsStr; 4] =
            [options.version.as_ref(), packages.as_ref(), disk.as_ref(), defect.as_ref()];
        script::run(&scripts.join("build"), &arguments, &scratch, cancel, step)?;

        step("digest");
        self.directory("images")?;
        let image = CachedImage {
            name: format!("reference:{}", options.label()),
            version: options.version.clone(),
            profile: "reference".to_owned(),
            digest: digest::of_file(&disk).map_err(CacheError::io("read", &disk))?,
            // The sidecar notes these when it is written.
            size: 0,
            mtime_ns: 0,
            recipe: recipe.digest(),
            packages: read_packages(&packages)?,
            published: None,
            path: path.clone(),
        };
        Ok(put(&disk, image).map_err(CacheError::io("write", path))?)
    }

    /// Unpacks the packages, and moves them to their place when that is complete.
    fn unpack(
        &self,
        work: &Work,
        packages: &Path,
        cancel: &AtomicBool,
        step: &mut dyn FnMut(&str),
    ) -> Result<(), BuildError> {
        step("packages");
        let new = work.path().join("packages");
        let script = work.path().join("recipe/unpack");
        script::run(&script, &[new.as_ref()], work.path(), cancel, step)?;

        let directory = self.directory("packages")?;
        // All of it is on the disk before its name says that it is complete.
        let handle = File::open(&directory).map_err(CacheError::io("open", &directory))?;
        rustix::fs::syncfs(&handle)
            .map_err(|error| CacheError::io("write to", &directory)(error.into()))?;
        if packages.exists() {
            let old = work.path().join("old-packages");
            fs::rename(packages, &old).map_err(CacheError::io("replace", packages))?;
        }
        fs::rename(&new, packages).map_err(CacheError::io("make", packages))?;
        handle.sync_all().map_err(CacheError::io("write to", &directory))?;
        Ok(())
    }
}

/// Three numbers, as in `4000.0.0`. The recipe writes it into files that shells read.
fn is_version(text: &str) -> bool {
    let mut parts = text.split('.');
    let number =
        |part: &str| (1..=9).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    parts.by_ref().take(3).filter(|part| number(part)).count() == 3 && parts.next().is_none()
}

fn read_packages(directory: &Path) -> Result<Vec<Package>, CacheError> {
    let path = directory.join("versions");
    let text = fs::read_to_string(&path).map_err(CacheError::io("read", &path))?;
    let package = |line: &str| {
        let (name, version) = line.split_once(' ')?;
        Some(Package { name: name.to_owned(), version: version.to_owned() })
    };
    Ok(text.lines().filter_map(package).collect())
}

/// Moves a finished disk to the image's path, and writes the sidecar after it: only that makes it an image.
pub(crate) fn put(disk: &Path, mut image: CachedImage) -> io::Result<CachedImage> {
    // An older sidecar must not describe the new image, not even for a moment.
    match fs::remove_file(CachedImage::sidecar(&image.path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::set_permissions(disk, Permissions::from_mode(0o444))?;
    File::open(disk)?.sync_all()?;
    fs::rename(disk, &image.path)?;
    image.write()?;
    Ok(image)
}

/// Copies an image and its sidecar out of the cache.
fn copy_out(image: CachedImage, out: &Path) -> io::Result<CachedImage> {
    let directory = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut copy = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
    copy_sparse(&image.path, copy.as_file_mut())?;
    let copy = copy.into_temp_path();
    let image = put(&copy, CachedImage { path: out.to_owned(), ..image })?;
    // It has been renamed, so there is nothing left to remove.
    let _ = copy.keep();
    Ok(image)
}

/// Copies a file and leaves holes where there are only zeros.
fn copy_sparse(from: &Path, to: &mut File) -> io::Result<()> {
    let mut from = File::open(from)?;
    let mut buffer = vec![0; 64 << 10];
    let mut size = 0;
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return to.set_len(size);
        }
        if buffer[..count].iter().any(|byte| *byte != 0) {
            to.seek(SeekFrom::Start(size))?;
            to.write_all(&buffer[..count])?;
        }
        size += count as u64;
    }
}

#[cfg(test)]
mod tests;

//! Published images that are in the cache: found, verified again, held, and removed.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::error::PublishedError;
use super::fetch::stem;
use super::name::{PublishedName, Which};
use super::trust::{Trust, Trusted};
use crate::cache::{Cache, LockFile, open_lock};
use crate::digest;
use crate::error::{CacheError, ResolveError};
use crate::openpgp::Verifier;
use crate::sidecar::{CachedImage, Signature};

/// What was removed from the cache, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The image; none if it is an unfinished download.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it was.
    pub path: PathBuf,
}

/// What was found out about an image anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The file.
    pub path: PathBuf,
    /// Its SHA-256 now, in hex.
    pub digest: String,
    /// Whether that is the digest it had when it was fetched or built; nothing says so of other files.
    pub as_noted: bool,
    /// Who signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// Whether the signature was checked anew: it is of what was downloaded, and only where that was not packed it is still
    /// there.
    pub signature_checked_now: bool,
    /// Whether nobody ever checked a signature.
    pub insecure: bool,
}

impl Cache {
    /// Where the image of a version is or will be.
    pub(crate) fn published_path(&self, name: &PublishedName, version: &str) -> PathBuf {
        self.images_directory().join(format!("{}.img", stem(name, version)))
    }

    /// Where downloads are while they are not complete.
    #[must_use]
    pub fn partials_directory(&self) -> PathBuf {
        self.images_directory().with_file_name("partial")
    }

    /// The fetched images of a family, the newest versions first.
    ///
    /// # Errors
    /// If the cache is there and can't be read.
    pub fn fetched(&self, family: &str) -> Result<Vec<CachedImage>, CacheError> {
        let of_family = |image: &CachedImage| {
            image.published.as_ref().is_some_and(|about| about.family == family)
        };
        let mut images: Vec<_> = self.list()?.into_iter().filter(of_family).collect();
        images.sort_by_cached_key(|image| Reverse(newness(image)));
        Ok(images)
    }

    /// The image of the cache that a name means without asking anybody: of a channel, the newest version that is here.
    pub(crate) fn published(&self, name: &PublishedName) -> Result<CachedImage, ResolveError> {
        let images = self.fetched(&name.family)?;
        let wanted = |image: &&CachedImage| {
            image.published.as_ref().is_some_and(|about| {
                about.arch == name.arch
                    && match &name.which {
                        Which::Channel(channel) => about.channel == *channel,
                        Which::Version(version) => image.version == *version,
                    }
            })
        };
        images.iter().find(wanted).cloned().ok_or_else(|| ResolveError::NotFetched {
            name: name.to_string(),
            cached: images.into_iter().map(|image| image.name).collect(),
        })
    }

    /// Keeps an image from being removed until this process ends.
    ///
    /// # Errors
    /// If the cache can't be written.
    pub fn hold(&self, image: &Path) -> Result<(), CacheError> {
        let path = self.use_lock(image)?;
        let file = open_lock(&path)?;
        file.lock_shared().map_err(CacheError::io("lock", &path))?;
        // A run uses its image to the end, and the end of the process frees it.
        std::mem::forget(file);
        Ok(())
    }

    /// Removes an image; of a channel all that are here.
    ///
    /// # Errors
    /// There is none, a process uses it, or it can't be removed.
    pub fn remove_image(&self, name: &str) -> Result<Vec<Removed>, PublishedError> {
        let named = PublishedName::parse(name).transpose();
        let named =
            named.map_err(|problem| PublishedError::BadName { name: name.to_owned(), problem })?;
        let all = self.list()?.into_iter().filter(|image| match (&named, &image.published) {
            (Some(PublishedName { which: Which::Channel(channel), family, arch }), Some(about)) => {
                about.channel == *channel && about.family == *family && about.arch == *arch
            }
            (Some(named), _) => image.name == named.to_string(),
            (None, _) => image.name == name,
        });
        let all: Vec<_> = all.collect();
        if all.is_empty() {
            let cached = self.list()?.into_iter().map(|image| image.name).collect();
            return Err(ResolveError::NotCached { name: name.to_owned(), cached }.into());
        }
        all.iter().map(|image| self.remove(image)).collect()
    }

    /// Removes fetched images, except for the newest `keep` versions of each family, channel and architecture, and for those
    /// in use. Built images stay. So does nothing of downloads that nobody goes on with.
    ///
    /// # Errors
    /// If the cache is there and can't be read or written.
    pub fn collect_images(
        &self,
        keep: usize,
        dry_run: bool,
    ) -> Result<Vec<Removed>, PublishedError> {
        let mut groups: BTreeMap<_, Vec<CachedImage>> = BTreeMap::new();
        for image in self.list()? {
            if let Some(about) = &image.published {
                let group = (about.family.clone(), about.channel.clone(), about.arch.clone());
                groups.entry(group).or_default().push(image);
            }
        }
        let mut removed = Vec::new();
        for mut images in groups.into_values() {
            images.sort_by_cached_key(|image| Reverse(newness(image)));
            for image in images.iter().skip(keep) {
                match self.in_use(&image.path)? {
                    None => {}
                    Some(_) if dry_run => removed.push(Removed::of(image)),
                    Some(_lock) => removed.push(remove_files(image)?),
                }
            }
        }
        let partials = if dry_run { self.partials()? } else { self.remove_partials()? };
        removed.extend(partials.into_iter().map(|path| Removed { name: None, path }));
        Ok(removed)
    }

    /// Downloads that nobody goes on with just now: what killed, cancelled and failed fetches left.
    ///
    /// # Errors
    /// If the cache is there and can't be read.
    pub fn partials(&self) -> Result<Vec<PathBuf>, CacheError> {
        self.each_unfinished(|_| Ok(()))
    }

    /// Removes them, and says which.
    ///
    /// # Errors
    /// If the cache is there and can't be read or written.
    pub fn remove_partials(&self) -> Result<Vec<PathBuf>, CacheError> {
        self.each_unfinished(|path| {
            if path.is_dir() {
                return fs::remove_dir_all(path).map_err(CacheError::io("remove", path));
            }
            remove_image_files(path)
        })
    }

    fn each_unfinished(
        &self,
        mut act: impl FnMut(&Path) -> Result<(), CacheError>,
    ) -> Result<Vec<PathBuf>, CacheError> {
        let mut unfinished = entries(&self.partials_directory())?;
        // A fetch that was killed between its last two steps has left an image without a note, which nobody believes.
        let images = entries(&self.images_directory())?.into_iter();
        unfinished.extend(images.filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".img")
                && !name.starts_with("reference-")
                && CachedImage::noted(path).is_none()
        }));
        let mut found = Vec::new();
        for path in unfinished {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let stem = name.strip_suffix(".img").unwrap_or(&name);
            let lock = open_lock(&self.directory("locks")?.join(format!("image-{stem}")))?;
            // Whoever fetches it holds the lock.
            if lock.try_lock().is_ok() {
                act(&path)?;
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }

    /// Reads an image again, and says what can still be said of it.
    ///
    /// # Errors
    /// There is no such image, or it isn't what it was, or its signature isn't good.
    pub fn verify_image(&self, name: &str, trust: &Trust) -> Result<Verified, PublishedError> {
        let trusted = trust.load()?;
        let path = match PublishedName::parse(name) {
            Some(Ok(named)) if !Path::new(name).exists() => self.published(&named)?.path,
            Some(Err(problem)) if !Path::new(name).exists() => {
                return Err(PublishedError::BadName { name: name.to_owned(), problem });
            }
            _ if Path::new(name).is_file() => PathBuf::from(name),
            _ => crate::resolve(name)?.path,
        };
        let reading = |error| PublishedError::from(CacheError::io("read", &path)(error));
        let signature = fs::read(CachedImage::signature_file(&path));
        let about = CachedImage::noted(&path);
        let published = about.as_ref().and_then(|about| about.published.as_ref());
        // The signature is of what was downloaded.
        let is_download = |digest: &str| published.is_none_or(|about| about.download == digest);
        let digest = digest::of_file(&path).map_err(reading)?;
        if let Some(about) = about.as_ref().filter(|about| about.digest != digest) {
            let expected = about.digest.clone();
            return Err(PublishedError::Changed { path, expected, found: digest });
        }
        let mut verified = Verified {
            as_noted: about.is_some(),
            signature: published.and_then(|about| about.signature.clone()),
            signature_checked_now: false,
            insecure: published.is_some_and(|about| about.insecure),
            path: path.clone(),
            digest,
        };
        match (&trusted, signature) {
            (Trusted::Key(key), Ok(signature)) if is_download(&verified.digest) => {
                let url = path.display().to_string();
                let bad = |error: crate::openpgp::SignatureError| PublishedError::BadSignature {
                    url: url.clone(),
                    problem: error.to_string(),
                };
                let mut verifier = Verifier::new(key, &signature, Timestamp::now()).map_err(bad)?;
                let copied = File::open(&path).and_then(|file| {
                    io::copy(&mut io::BufReader::with_capacity(1 << 20, file), &mut verifier)
                });
                copied.and_then(|_| verifier.flush()).map_err(reading)?;
                let by = verifier.finish().map_err(bad)?;
                verified.signature = Some(Signature {
                    trusted: key.fingerprint(),
                    fingerprint: by.fingerprint,
                    by: by.user_id,
                    made: by.made,
                    expired_since: by.expired_since,
                });
                verified.signature_checked_now = true;
            }
            (Trusted::Key(key), _) => {
                // It was checked when it was fetched; whose key that was is noted.
                if let Some(by) = &verified.signature
                    && by.trusted != key.fingerprint()
                {
                    let problem = format!(
                        "it was fetched with the key {}, and {} is trusted now",
                        by.trusted,
                        key.fingerprint()
                    );
                    let url = path.display().to_string();
                    return Err(PublishedError::BadSignature { url, problem });
                }
            }
            _ => {}
        }
        Ok(verified)
    }

    fn remove(&self, image: &CachedImage) -> Result<Removed, PublishedError> {
        match self.in_use(&image.path)? {
            Some(_lock) => Ok(remove_files(image)?),
            None => Err(PublishedError::InUse { name: image.name.clone() }),
        }
    }

    /// A lock that nobody else has while this one is held; none if the image is in use.
    fn in_use(&self, image: &Path) -> Result<Option<LockFile>, CacheError> {
        let path = self.use_lock(image)?;
        let file = open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(CacheError::io("lock", &path)(error)),
        }
    }

    fn use_lock(&self, image: &Path) -> Result<PathBuf, CacheError> {
        let stem = image.file_stem().unwrap_or_default().to_string_lossy();
        Ok(self.directory("locks")?.join(format!("use-{stem}")))
    }
}

impl Removed {
    fn of(image: &CachedImage) -> Self {
        Self { name: Some(image.name.clone()), path: image.path.clone() }
    }
}

/// What is in a directory; nothing, if it isn't there.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, CacheError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(CacheError::io("read", directory))?,
    };
    let paths: io::Result<_> = entries.map(|entry| Ok(entry?.path())).collect();
    paths.map_err(CacheError::io("read", directory))
}

fn remove_files(image: &CachedImage) -> Result<Removed, CacheError> {
    remove_image_files(&image.path)?;
    Ok(Removed::of(image))
}

/// The sidecar first: without it nobody believes what is left, should this be killed.
fn remove_image_files(path: &Path) -> Result<(), CacheError> {
    for file in [CachedImage::sidecar(path), path.to_owned(), CachedImage::signature_file(path)] {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(CacheError::io("remove", &file)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What newer versions have more of: numbers from the left, and of the same version, when it was fetched.
fn newness(image: &CachedImage) -> (Vec<u64>, Option<Timestamp>) {
    let numbers = image.version.split(|c: char| !c.is_ascii_digit());
    let numbers = numbers.filter_map(|part| part.parse().ok()).collect();
    (numbers, image.published.as_ref().map(|about| about.fetched))
}

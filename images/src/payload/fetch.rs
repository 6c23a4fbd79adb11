//! Payloads from release servers, kept in the cache.
//!
//! Flatcar publishes `https://update.release.flatcar-linux.net/amd64-usr/VERSION/flatcar_production_update.gz` (which is a
//! payload and nothing that gunzip knows) with a file of the same name and `.sha256` beside it, the one that
//! `flatcar-update` checks. A file without such a neighbour is downloaded each time: nothing says that it is the same.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use thiserror::Error;

use crate::cache::Cache;
use crate::error::{CacheError, LockError};
use crate::http::{self, HttpError, Request};

/// A `.sha256` file has one line; what is longer is another page.
const MAX_DIGEST_FILE: usize = 64 << 10;

/// A file could not be downloaded.
#[derive(Debug, Error)]
pub enum FetchError {
    /// Nothing that could be downloaded.
    #[error("{url:?} can't be downloaded: {problem}")]
    BadUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The server can't be talked to, or stopped in the middle.
    #[error(
        "downloading {url} failed: {problem}; check the address, the network and the proxy (https_proxy)"
    )]
    Transfer {
        /// What was asked for.
        url: String,
        /// What went wrong.
        problem: String,
    },
    /// The server answers with something else.
    #[error(
        "downloading {url} failed: the server answers with HTTP status {status}{}",
        if *status == 404 { "; is there such a version?" } else { "" }
    )]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The file with the digest holds none.
    #[error("{url} holds no SHA-256 digest, so the download can't be checked against it")]
    NoDigest {
        /// The file with the digest.
        url: String,
    },
    /// What came is not what was published.
    #[error(
        "what came from {url} is corrupt: its SHA-256 is {found}, the server says {expected}; try again"
    )]
    Corrupt {
        /// What was asked for.
        url: String,
        /// The digest in the `.sha256` file, in hex.
        expected: String,
        /// The digest of the download, in hex.
        found: String,
    },
    /// The caller asked for it.
    #[error("the download was cancelled")]
    Cancelled,
    /// The cache can't be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl From<LockError> for FetchError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Cancelled => Self::Cancelled,
            LockError::Cache(error) => error.into(),
        }
    }
}

impl Cache {
    /// Downloads a file, and checks it against the `.sha256` file beside it if the server has one. What has been checked
    /// is not downloaded again while the server keeps that digest. The file keeps its name.
    ///
    /// Proxies are taken from the environment (`https_proxy`, `http_proxy`, `no_proxy`), and certificates are trusted as
    /// by the host. `step` hears how far it is. Setting `cancel` ends the download within a second.
    ///
    /// # Errors
    /// The address is none, the server fails, or what came is not what was published. Nothing new is in the cache then.
    pub fn fetch(
        &self,
        url: &str,
        cancel: &AtomicBool,
        step: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, FetchError> {
        let address = Address::of(url)?;
        let key = &hex::encode(Sha256::digest(url))[..16];
        let _lock = self.lock(&format!("download-{key}"), cancel, step)?;
        let path = self.directory(&format!("downloads/{key}"))?.join(address.name);
        let noted = path.with_file_name(format!("{}.sha256", address.name));

        let published = published_digest(&address.neighbour(), cancel)?;
        if published.is_some() && published == fs::read_to_string(&noted).ok() && path.is_file() {
            return Ok(path);
        }
        let work = self.work()?;
        let writing = || CacheError::io("write to", work.path());
        let mut file = NamedTempFile::new_in(work.path()).map_err(writing())?;
        let found = download(url, file.as_file_mut(), work.path(), cancel, step)?;
        if let Some(expected) = published.as_ref().filter(|published| **published != found) {
            let (url, expected) = (url.to_owned(), expected.clone());
            return Err(FetchError::Corrupt { url, expected, found });
        }
        // The temporary file is private; this one is read by everybody and written by nobody.
        let permissions = Permissions::from_mode(0o444);
        file.as_file().set_permissions(permissions).map_err(writing())?;
        file.as_file().sync_all().map_err(writing())?;
        // An older digest must not describe the new file, not even for a moment.
        match fs::remove_file(&noted) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(CacheError::io("remove", &noted)(error).into());
            }
            _ => {}
        }
        file.persist(&path).map_err(|error| CacheError::io("write", &path)(error.error))?;
        if let Some(published) = published {
            fs::write(&noted, published).map_err(CacheError::io("write", &noted))?;
        }
        Ok(path)
    }
}

/// The digest that the server publishes beside a file, in lower-case hex; `None` if it publishes none.
fn published_digest(url: &str, cancel: &AtomicBool) -> Result<Option<String>, FetchError> {
    let mut text = Vec::new();
    let head = http::get(Request::of(url), cancel, |_, bytes| {
        if text.len() < MAX_DIGEST_FILE {
            text.extend_from_slice(bytes);
        }
        Ok(())
    });
    match head.map_err(|error| failed(url, error))?.status {
        200 => {}
        // Stores such as S3 hide whether there is something that nobody may read.
        403 | 404 | 410 => return Ok(None),
        status => return Err(FetchError::Status { url: url.to_owned(), status }),
    }
    let digest = digest_in(&String::from_utf8_lossy(&text));
    digest.map(Some).ok_or_else(|| FetchError::NoDigest { url: url.to_owned() })
}

/// The digest in a file as `sha256sum` writes it, or alone.
fn digest_in(text: &str) -> Option<String> {
    let word = text.split_whitespace().next()?;
    let digest = word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    digest.then(|| word.to_ascii_lowercase())
}

/// Downloads a file, and gives its digest in hex.
fn download(
    url: &str,
    file: &mut File,
    directory: &Path,
    cancel: &AtomicBool,
    step: &mut dyn FnMut(&str),
) -> Result<String, FetchError> {
    step("download");
    let mut digest = Sha256::new();
    let (mut size, mut tenths) = (0, 0);
    let answer = http::get(Request::of(url), cancel, |head, bytes| {
        digest.update(bytes);
        size += bytes.len() as u64;
        if let Some(length) = head.length.filter(|length| *length > 0)
            && size.saturating_mul(10) / length > tenths
        {
            tenths = size.saturating_mul(10) / length;
            step(&format!("download: {tenths}0 % of {} MiB", length >> 20));
        }
        file.write_all(bytes)
    });
    match answer {
        Ok(head) if head.status == 200 => Ok(hex::encode(digest.finalize())),
        Ok(head) => Err(FetchError::Status { url: url.to_owned(), status: head.status }),
        Err(HttpError::Sink(error)) => Err(CacheError::io("write to", directory)(error).into()),
        Err(error) => Err(failed(url, error)),
    }
}

fn failed(url: &str, error: HttpError) -> FetchError {
    let problem = match error {
        HttpError::Cancelled => return FetchError::Cancelled,
        HttpError::Sink(error) => error.to_string(),
        HttpError::Transfer { problem, .. } => problem,
    };
    FetchError::Transfer { url: url.to_owned(), problem }
}

/// An address of a file: everything up to its name, the name, and a query.
#[derive(Debug, PartialEq, Eq)]
struct Address<'a> {
    base: &'a str,
    name: &'a str,
    query: &'a str,
}

impl<'a> Address<'a> {
    fn of(url: &'a str) -> Result<Self, FetchError> {
        let bad = |problem| FetchError::BadUrl { url: url.to_owned(), problem };
        let uri: ureq::http::Uri = url.parse().map_err(|_| bad("it is no URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(bad("it does not begin with http:// or https://"));
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err(bad("it names no server"));
        }
        let without_query = url.find(['?', '#']).unwrap_or(url.len());
        let (path, query) = url.split_at(without_query);
        let name = path.rsplit('/').next().unwrap_or_default();
        if name.is_empty() || uri.path().trim_matches('/').is_empty() {
            return Err(bad("it names no file"));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-@".contains(&byte);
        if !name.bytes().all(plain) || name.starts_with('.') {
            return Err(bad("the name of the file has characters that no package may have"));
        }
        let base = &path[..path.len() - name.len()];
        Ok(Self { base, name, query })
    }

    /// Where the digest is.
    fn neighbour(&self) -> String {
        let Self { base, name, query } = self;
        format!("{base}{name}.sha256{query}")
    }
}

#[cfg(test)]
mod tests;

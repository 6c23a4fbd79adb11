//! From a name to an image in the cache: find out what the name means, download, verify, unpack, and only then believe it.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;

use super::error::PublishedError;
use super::family::Family;
use super::name::{PublishedName, Which};
use super::source::{Pinned, Server};
use super::transfer::{Patience, Transfer, directory_of};
use super::trust::{Checks, Trust, Trusted, same};
use super::unpack::unpack;
use crate::builder::put;
use crate::cache::Cache;
use crate::digests;
use crate::error::{CacheError, ResolveError};
use crate::image::recognized;
use crate::sidecar::{CachedImage, Published};

/// How published images are fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchOptions {
    /// In place of the family's own server, in this order. They replace scheme and host; `{channel}` may stand in them.
    pub mirrors: Vec<String>,
    /// Whose images are believed.
    pub trust: Trust,
    /// How patient downloads are.
    pub patience: Patience,
}

impl Cache {
    /// Fetches a published image, unless the cache has it. A moving name is looked up each time; call this once for all
    /// that belongs together, and use the version that comes of it from then on.
    ///
    /// Proxies are taken from the environment, as by [`Cache::fetch`]. `step` hears how far it is. Setting `cancel` ends it
    /// within a second.
    ///
    /// # Errors
    /// The name is none, no key is known, or the server, the network or the disk failed. Nothing is in the cache then that
    /// anybody believes; what a later fetch can go on with is kept, except if the disk is full.
    pub fn fetch_image(
        &self,
        name: &PublishedName,
        options: &FetchOptions,
        cancel: &AtomicBool,
        step: &mut dyn FnMut(&str),
    ) -> Result<CachedImage, PublishedError> {
        let family = Family::all().remove(&name.family).ok_or_else(|| {
            let problem = "there is no such family".to_owned();
            PublishedError::BadName { name: name.to_string(), problem }
        })?;
        let servers = servers(options, &family)?;
        let trusted = options.trust.load()?;
        let no_key = || PublishedError::NoKey {
            family: name.family.clone(),
            key_from: family.key_from.clone(),
        };
        match &name.which {
            Which::Version(version) => {
                if let Some(found) = self.acceptable(name, version, &trusted) {
                    return Ok(found);
                }
            }
            Which::Channel(_) => {}
        }
        // Without a key, only what is here already can come of it.
        let may_fetch = !matches!(trusted, Trusted::Nobody);
        if !may_fetch && self.fetched(&name.family)?.is_empty() {
            return Err(no_key());
        }
        let mut transfer = Transfer { patience: options.patience, cancel, step };
        let pinned = on_servers(&servers, &mut transfer, |base, transfer| {
            Server { name, family: &family, base }.pin(transfer)
        })?;
        if let Which::Channel(_) = name.which {
            (transfer.step)(&format!("it is version {} now", pinned.version));
        }
        if let Some(found) = self.acceptable(name, &pinned.version, &trusted) {
            return Ok(found);
        }
        if !may_fetch {
            return Err(no_key());
        }
        let stem = stem(name, &pinned.version);
        let _lock = self.lock(&format!("image-{stem}"), cancel, transfer.step)?;
        // Somebody else may have fetched it meanwhile.
        if let Some(found) = self.acceptable(name, &pinned.version, &trusted) {
            return Ok(found);
        }
        on_servers(&servers, &mut transfer, |base, transfer| {
            let server = Server { name, family: &family, base };
            self.fetch_from(&server, &pinned, &trusted, &stem, transfer)
        })
    }

    /// The image of a version, if it is here and signed by whom it should be.
    fn acceptable(
        &self,
        name: &PublishedName,
        version: &str,
        trusted: &Trusted,
    ) -> Option<CachedImage> {
        let found = CachedImage::of(&self.published_path(name, version))?;
        found.published.as_ref().is_some_and(|about| trusted.accepts(about)).then_some(found)
    }

    fn fetch_from(
        &self,
        server: &Server<'_>,
        pinned: &Pinned,
        trusted: &Trusted,
        stem: &str,
        transfer: &mut Transfer<'_>,
    ) -> Result<CachedImage, PublishedError> {
        let name = server.name;
        let place = server.place(pinned, transfer)?;
        let url = &place.image;
        let signature = match trusted.key() {
            Some(_) => Some(transfer.text(&place.signature)?.ok_or_else(|| {
                let (url, signature) = (url.clone(), place.signature.clone());
                PublishedError::Unsigned { url, signature }
            })?),
            None => None,
        };
        let sha512 = match &place.digests {
            Some(digests) => published_sha512(digests, url, transfer)?,
            None => None,
        };
        let mut checks = Checks::new(trusted.key().zip(signature.clone()), &place, sha512)?;
        let partial = directory_of(&self.partials_directory(), stem);
        transfer.file(url, &partial, &mut checks)?;
        // What isn't good is no beginning of anything.
        let checked = checks.finish().inspect_err(|_| partial.remove())?;

        let work = self.work()?;
        let disk = work.path().join("disk.img");
        (transfer.step)("unpack");
        let unpacked = unpack(&partial.file(), &disk, url, transfer);
        if let Err(PublishedError::NoSpace { .. } | PublishedError::Unpack { .. }) = unpacked {
            partial.remove();
        }
        let digest = unpacked?;
        if let Some(expected) = &place.unpacked_sha256 {
            same(url, "SHA-256 when unpacked", expected, &digest)
                .inspect_err(|_| partial.remove())?;
        }
        recognized(&disk).map_err(|error| match error {
            ResolveError::NotAnImage { what, .. } => {
                partial.remove();
                let problem = format!("what is in it is no disk image: it is {what}");
                PublishedError::Unpack { url: url.clone(), problem }
            }
            error => error.into(),
        })?;
        let image = CachedImage {
            path: self.published_path(name, &pinned.version),
            name: name.pinned(&pinned.version).to_string(),
            version: pinned.version.clone(),
            profile: server.family.profile.clone(),
            digest,
            // The sidecar notes these when it is written.
            size: 0,
            mtime_ns: 0,
            recipe: String::new(),
            packages: Vec::new(),
            published: Some(Published {
                family: name.family.clone(),
                channel: pinned.channel.clone(),
                arch: name.arch.clone(),
                origin: url.clone(),
                fetched: Timestamp::now(),
                download: checked.sha256,
                insecure: checked.signature.is_none(),
                signature: checked.signature,
            }),
        };
        self.directory("images")?;
        keep_signature(&image.path, signature.as_deref())?;
        let path = image.path.clone();
        let image = put(&disk, image).map_err(|error| PublishedError::writing(path, error))?;
        partial.remove();
        Ok(image)
    }
}

/// What the name of an image's files begins with.
pub(super) fn stem(name: &PublishedName, version: &str) -> String {
    format!("{}-{version}-{}", name.family, name.arch)
}

/// What all addresses begin with, for each server that may be asked.
fn servers(options: &FetchOptions, family: &Family) -> Result<Vec<String>, PublishedError> {
    for url in &options.mirrors {
        let uri = url.replace("{channel}", "channel").parse::<ureq::http::Uri>().ok();
        let good = uri.is_some_and(|uri| {
            let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
            scheme && uri.query().is_none() && uri.host().is_some_and(|host| !host.is_empty())
        });
        if !good {
            return Err(PublishedError::BadMirror { url: url.clone() });
        }
    }
    // Who names mirrors may have no other way out: the family's own server is only asked if it is one of them.
    let own = || vec![family.server.clone()];
    Ok(if options.mirrors.is_empty() { own() } else { options.mirrors.clone() })
}

/// Asks one server after the other, until one does better than to fail.
fn on_servers<T>(
    servers: &[String],
    transfer: &mut Transfer<'_>,
    mut ask: impl FnMut(&str, &mut Transfer<'_>) -> Result<T, PublishedError>,
) -> Result<T, PublishedError> {
    let mut problems = Vec::new();
    for server in servers {
        match ask(server, transfer) {
            Err(error) if error.is_of_server() && servers.len() > 1 => {
                (transfer.step)(&format!("mirror {server}: {error}"));
                problems.push(error.to_string());
            }
            result => return result,
        }
    }
    Err(PublishedError::Mirrors { problems })
}

/// The digest that is published for an image, if one is.
fn published_sha512(
    digests: &str,
    image: &str,
    transfer: &mut Transfer<'_>,
) -> Result<Option<String>, PublishedError> {
    let Some(text) = transfer.text(digests)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&text);
    let name = image.rsplit('/').next().unwrap_or_default();
    let bad = |problem: String| PublishedError::Metadata { url: digests.to_owned(), problem };
    let mut files = digests::parse(&text).map_err(|error| bad(error.to_string()))?;
    match files.remove(name) {
        Some(digests) => Ok(Some(digests.sha512)),
        None => Err(bad(format!("there is no SHA-512 of {name}"))),
    }
}

/// Kept beside the image. An older one must not stand beside a new image.
fn keep_signature(image: &Path, signature: Option<&[u8]>) -> Result<(), PublishedError> {
    let path = CachedImage::signature_file(image);
    match signature {
        Some(bytes) => fs::write(&path, bytes),
        None => fs::remove_file(&path).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        }),
    }
    .map_err(|error| CacheError::io("write", path)(error).into())
}

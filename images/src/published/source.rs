//! From a name to addresses: what the release servers say about their images.

use serde::Deserialize;

use super::error::PublishedError;
use super::family::{Directories, Family, Streams};
use super::name::{PublishedName, Which, is_version};
use super::transfer::Transfer;

/// A name that means one image: what a moving name came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pinned {
    pub(super) channel: String,
    pub(super) version: String,
    /// If the server names everything at once.
    disk: Option<Disk>,
}

/// Where an image is, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) image: String,
    pub(super) signature: String,
    /// A file with SHA-512 digests.
    pub(super) digests: Option<String>,
    /// SHA-256 of what is downloaded.
    pub(super) sha256: Option<String>,
    /// SHA-256 of what is in it.
    pub(super) unpacked_sha256: Option<String>,
}

/// An image in stream metadata; in those of a build it is given by its path.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Disk {
    #[serde(alias = "path")]
    location: String,
    signature: Option<String>,
    sha256: String,
    #[serde(rename = "uncompressed-sha256")]
    unpacked_sha256: Option<String>,
}

/// A family as one of its servers has it.
pub(super) struct Server<'a> {
    pub(super) name: &'a PublishedName,
    pub(super) family: &'a Family,
    /// What addresses begin with; `{channel}` may stand in it.
    pub(super) base: &'a str,
}

impl Server<'_> {
    /// Finds out what a name means now. Asked once: from then on only the version is used.
    pub(super) fn pin(&self, transfer: &mut Transfer<'_>) -> Result<Pinned, PublishedError> {
        match (&self.name.which, &self.family.directories, &self.family.streams) {
            (Which::Channel(channel), Some(layout), _) => {
                let (url, text) = self.required(channel, &layout.current, "", transfer)?;
                let version = version_in(&text, layout, &url)?;
                Ok(Pinned { channel: channel.clone(), version, disk: None })
            }
            (Which::Channel(channel), None, Some(layout)) => {
                let (url, text) = self.required(channel, &layout.current, "", transfer)?;
                let (version, disk) = stream(&text, layout, self.arch(), &url)?;
                Ok(Pinned { channel: channel.clone(), version, disk: Some(disk) })
            }
            (Which::Version(version), ..) => self.find(version, transfer),
            (_, None, None) => Err(self.none_of(&[])),
        }
    }

    /// Looks for a version in one channel after the other.
    fn find(&self, version: &str, transfer: &mut Transfer<'_>) -> Result<Pinned, PublishedError> {
        let Family { directories, streams, .. } = self.family;
        let about = directories.as_ref().map(|layout| &layout.about);
        let about = about.or(streams.as_ref().map(|layout| &layout.about));
        let about = about.ok_or_else(|| self.none_of(&[]))?;
        let mut tried = Vec::new();
        for channel in self.family.channels_of(version) {
            let url = self.url(channel, about, version);
            // A mirror may have all channels in one place.
            if tried.contains(&url) {
                continue;
            }
            let Some(text) = transfer.text(&url)? else {
                tried.push(url);
                continue;
            };
            let text = String::from_utf8_lossy(&text);
            let (found, disk) = match (directories, streams) {
                (Some(layout), _) => (version_in(&text, layout, &url)?, None),
                (None, Some(layout)) => {
                    let (found, disk) = build(&text, layout, &url)?;
                    (found, Some(disk))
                }
                (None, None) => continue,
            };
            if found != version {
                let problem = format!("it is about version {found:?}");
                return Err(PublishedError::Metadata { url, problem });
            }
            return Ok(Pinned { channel: channel.to_owned(), version: found, disk });
        }
        Err(self.none_of(&tried))
    }

    /// Where the image of a version is.
    pub(super) fn place(
        &self,
        pinned: &Pinned,
        transfer: &mut Transfer<'_>,
    ) -> Result<Place, PublishedError> {
        if let Some(disk) = &pinned.disk {
            return self.disk_place(&pinned.channel, disk);
        }
        let layout = self.family.directories.as_ref().ok_or_else(|| self.none_of(&[]))?;
        let mut tried = Vec::new();
        for image in &layout.images {
            let image = self.url(&pinned.channel, image, &pinned.version);
            if transfer.has(&image)? {
                return Ok(Place {
                    signature: format!("{image}{}", layout.signature),
                    digests: Some(format!("{image}{}", layout.digests)),
                    image,
                    sha256: None,
                    unpacked_sha256: None,
                });
            }
            tried.push(image);
        }
        Err(self.none_of(&tried))
    }

    /// Metadata name the original server; a mirror has the same paths.
    fn disk_place(&self, channel: &str, disk: &Disk) -> Result<Place, PublishedError> {
        let base = self.base.replace("{channel}", channel);
        let base = base.trim_end_matches('/');
        let moved = |url: &str| {
            // What was found beside its metadata is where these came from.
            if url.strip_prefix(base).is_some_and(|path| path.starts_with('/')) {
                return Some(url.to_owned());
            }
            let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
            path.map(|(_, path)| format!("{base}/{path}"))
        };
        let bad = || {
            let problem = format!("{:?} is no address of an image", disk.location);
            PublishedError::Metadata { url: base.to_owned(), problem }
        };
        let image = moved(&disk.location).ok_or_else(bad)?;
        let suffix = self.family.streams.as_ref().map_or("", |layout| &layout.signature);
        let signature = disk.signature.as_deref().and_then(moved);
        let signature = signature.unwrap_or_else(|| format!("{image}{suffix}"));
        let (sha256, unpacked_sha256) = (Some(disk.sha256.clone()), disk.unpacked_sha256.clone());
        Ok(Place { image, signature, digests: None, sha256, unpacked_sha256 })
    }

    fn required(
        &self,
        channel: &str,
        path: &str,
        version: &str,
        transfer: &mut Transfer<'_>,
    ) -> Result<(String, String), PublishedError> {
        let url = self.url(channel, path, version);
        match transfer.text(&url)? {
            Some(text) => Ok((url, String::from_utf8_lossy(&text).into_owned())),
            None => Err(PublishedError::Status { url, status: 404 }),
        }
    }

    fn url(&self, channel: &str, path: &str, version: &str) -> String {
        let base = self.base.replace("{channel}", channel);
        let path = path
            .replace("{channel}", channel)
            .replace("{arch}", self.arch())
            .replace("{version}", version);
        format!("{}/{path}", base.trim_end_matches('/'))
    }

    /// What the server calls the architecture.
    fn arch(&self) -> &str {
        // The name was checked when it was read.
        self.family.architectures.get(&self.name.arch).map_or("", String::as_str)
    }

    fn none_of(&self, tried: &[String]) -> PublishedError {
        PublishedError::NoSuchImage {
            name: self.name.to_string(),
            server: self.base.to_owned(),
            tried: tried.to_vec(),
        }
    }
}

/// The version that a file of `KEY=value` lines says.
fn version_in(text: &str, layout: &Directories, url: &str) -> Result<String, PublishedError> {
    let key = &layout.version_key;
    let value = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
    let version = value.map(|value| value.trim().trim_matches('"'));
    version.filter(|version| is_version(version)).map(str::to_owned).ok_or_else(|| {
        let problem = format!("there is no line {key}=VERSION");
        PublishedError::Metadata { url: url.to_owned(), problem }
    })
}

/// The current image of a stream.
fn stream(
    text: &str,
    layout: &Streams,
    arch: &str,
    url: &str,
) -> Result<(String, Disk), PublishedError> {
    let Streams { artifact, format, .. } = layout;
    let artifact = format!("/architectures/{arch}/artifacts/{artifact}");
    let disk = format!("{artifact}/formats/{}/disk", escaped(format));
    version_and_disk(text, &format!("{artifact}/release"), &disk, url)
}

/// The image of a build, which is beside its metadata.
fn build(text: &str, layout: &Streams, url: &str) -> Result<(String, Disk), PublishedError> {
    let image = format!("/images/{}", layout.artifact);
    let (version, mut disk) = version_and_disk(text, "/buildid", &image, url)?;
    let directory = url.rsplit_once('/').map_or(url, |(directory, _)| directory);
    disk.location = format!("{directory}/{}", disk.location);
    Ok((version, disk))
}

fn version_and_disk(
    text: &str,
    version: &str,
    disk: &str,
    url: &str,
) -> Result<(String, Disk), PublishedError> {
    let bad = |problem: String| PublishedError::Metadata { url: url.to_owned(), problem };
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|error| bad(format!("it is no JSON: {error}")))?;
    let found = json.pointer(version).and_then(serde_json::Value::as_str);
    let found = found.filter(|found| is_version(found));
    let found = found.ok_or_else(|| bad(format!("there is no version in {version}")))?.to_owned();
    let about = json.pointer(disk).ok_or_else(|| bad(format!("there is no image in {disk}")))?;
    let about: Disk = serde_json::from_value(about.clone())
        .map_err(|error| bad(format!("the image in {disk} is not described: {error}")))?;
    Ok((found, about))
}

/// As part of a JSON pointer (RFC 6901).
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests;
